"""A scene: who stands where in which clothes, before what background, filmed how."""

from functools import cache
from typing import NamedTuple

import numpy as np

from slowfast_edu.data.figures.actions import ACTIONS
from slowfast_edu.data.figures.body import joints
from slowfast_edu.data.figures.draw import Capsule, paint

FRAMES_PER_SECOND = 30
SKINS = ((255, 219, 172), (224, 172, 125), (198, 134, 88), (141, 85, 50), (92, 58, 38))
PARTS = ("skin", "hair", "shirt", "sleeve", "trousers", "stocking", "shoe")

# (from, to, radius in body heights, what it wears); "middle" parts have no side.
MIDDLE = (("hip", "neck", 0.070, "shirt"), ("head", "head", 0.068, "skin"))
SIDES = (
    ("hip", "knee", 0.044, "trousers"),
    ("knee", "ankle", 0.036, "stocking"),
    ("ankle", "toe", 0.026, "shoe"),
    ("shoulder", "elbow", 0.034, "shirt"),
    ("elbow", "hand", 0.028, "sleeve"),
    ("hand", "hand", 0.036, "skin"),
)
POINT_LIGHTS = ("shoulder", "elbow", "hand", "hip", "knee", "ankle")

Clothes = dict[str, np.ndarray]  # {one of PARTS: RGB, 0 to 255}


class Performer(NamedTuple):
    """One figure: what it does, what it wears, where it stands on the picture.

    Attributes:
        action: a key of ``ACTIONS``.
        phase: where in its cycle it is at raw frame 0, in cycles.
        cycle_frames: raw frames of one cycle.
        yaw: turn away from the camera in radians, to the right.
        mirrored: seen in a mirror: walks to the left, waves with the other hand.
        x, ground: where its feet are, in shares of the picture's width and height.
        height: of the body, as a share of the picture's height.
        clothes: a colour for each of ``PARTS``.
    """

    action: str
    phase: float
    cycle_frames: float
    yaw: float
    mirrored: bool
    x: float
    ground: float
    height: float
    clothes: Clothes

    def way(self, times: np.ndarray) -> np.ndarray:
        """How far it has come at raw frames ``times``: (T,), in widths of the picture."""
        action = ACTIONS[self.action]
        sign = -1 if self.mirrored else 1
        cycles = np.asarray(times) / self.cycle_frames
        return sign * cycles * action.travel * np.sin(self.yaw) * self.height


class Camera(NamedTuple):
    """Height of view in radians above the horizon, and a slow sway to the sides.

    ``sway`` is in widths of the picture, ``period_frames`` and ``start`` (a share of the
    period) say when.
    """

    elevation: float
    sway: float
    period_frames: float
    start: float

    def shift(self, times: np.ndarray) -> np.ndarray:
        """By how much everything is moved at raw frames ``times``: (T,), in widths."""
        return self.sway * np.sin(2 * np.pi * (times / self.period_frames + self.start))


def draw_clothes(rng: np.random.Generator) -> Clothes:
    """Clothes for one figure; sleeves and trouser legs are long or short."""
    skin = np.array(SKINS[rng.integers(len(SKINS))], dtype=float)
    shirt, trousers = rng.uniform(20, 235, size=(2, 3))
    hair, shoe = rng.uniform(15, 120, size=(2, 3))
    sleeve = shirt if rng.random() < 0.5 else skin
    stocking = trousers if rng.random() < 0.6 else skin
    colors = (skin, hair, shirt, sleeve, trousers, stocking, shoe)
    return dict(zip(PARTS, colors, strict=True))


def draw_camera(rng: np.random.Generator) -> Camera:
    """A camera at about chest height, hardly moving."""
    return Camera(
        elevation=rng.uniform(0.0, 0.2),
        sway=rng.uniform(0.0, 0.06),
        period_frames=rng.uniform(90, 240),
        start=rng.uniform(),
    )


def draw_performer(
    action: str, rng: np.random.Generator, x: float = 0.5, height: float = 0.72
) -> Performer:
    """Everything about a figure but its action, near the given place and height.

    The draws do not depend on the action, so that two calls with equal generators give
    the same person doing different things.
    """
    usual = ACTIONS[action]
    size = height * rng.uniform(0.85, 1.1)
    return Performer(
        action=action,
        phase=rng.uniform(),
        cycle_frames=usual.cycle_seconds * FRAMES_PER_SECOND * rng.uniform(0.85, 1.2),
        yaw=usual.yaw + rng.uniform(-0.2, 0.2),
        mirrored=bool(rng.random() < 0.5),
        x=x + rng.uniform(-0.06, 0.06),
        ground=0.5 + 0.5 * size + rng.uniform(0.0, 0.06),
        height=size,
        clothes=draw_clothes(rng),
    )


@cache
def _usual_places(action: str) -> dict[str, np.ndarray]:
    """Where each joint is on average over a cycle: (3,) in body heights."""
    body = joints(ACTIONS[action].pose(np.arange(64) / 64), 64)
    return {name: places.mean(axis=0) for name, places in body.items()}


def _nearness(performer: Performer) -> dict[str, float]:
    """How near each joint usually is; of no one moment, so that limbs keep their order."""
    x, y = np.cos(performer.yaw), np.sin(performer.yaw)
    usual = _usual_places(performer.action)
    return {name: float(place[0] * x - place[1] * y) for name, place in usual.items()}


def _project(
    performer: Performer, camera: Camera, times: np.ndarray, size: int
) -> dict[str, np.ndarray]:
    """Joints on the picture: {name: (T, 2) pixels}."""
    phase = performer.phase + times / performer.cycle_frames
    body = joints(ACTIONS[performer.action].pose(phase), len(times))
    x, y, z = np.moveaxis(np.stack(list(body.values())), 2, 0)  # each (joints, T)
    right = y * np.cos(performer.yaw) + x * np.sin(performer.yaw)
    near = x * np.cos(performer.yaw) - y * np.sin(performer.yaw)
    up = z * np.cos(camera.elevation) - near * np.sin(camera.elevation)
    sign = -1 if performer.mirrored else 1
    column = performer.x + camera.shift(times) + sign * performer.height * right
    row = performer.ground - performer.height * up
    places = size * np.stack([column, row], axis=-1)
    return dict(zip(body, places, strict=True))


def _parts(places: dict, nearness: dict) -> list[tuple]:
    """(start, end, radius in heights, colour's name, shade), the farthest first."""
    found = []
    for start, end, radius, cloth in MIDDLE:
        found.append((0.0, places[start], places[end], radius, cloth, 0.88))
    for side, other in (("left", "right"), ("right", "left")):
        for start, end, radius, cloth in SIDES:
            a, b = f"{side}_{start}", f"{side}_{end}"
            near = nearness[a] + nearness[b]
            behind = near < nearness[f"{other}_{start}"] + nearness[f"{other}_{end}"] - 0.05
            shade = 0.72 if behind else 1.0  # the far side is darker
            found.append((near, places[a], places[b], radius, cloth, shade))
    crown = places["head"] + 0.25 * (places["head"] - places["neck"])
    found.append((-1e-6, crown, crown, 0.066, "hair", 1.0))
    found.sort(key=lambda part: part[0])
    return [part[1:] for part in found]


def paint_performer(
    video: np.ndarray,
    performer: Performer,
    camera: Camera,
    times: np.ndarray,
    point_light: bool = False,
) -> np.ndarray:
    """Paint one figure on all frames, in place.

    Args:
        video: uint8 (T, S, S, 3).
        performer: who.
        camera: how it is filmed.
        times: (T,) raw-frame numbers.
        point_light: dots at the joints in place of limbs (Johansson, 1973).

    Returns:
        Boxes (T, 4) around the figure: x1, y1, x2, y2 in pixels, not cut at the borders.
    """
    size = video.shape[2]
    height = performer.height * size
    places = _project(performer, camera, times, size)
    if point_light:
        names = [f"{side}_{p}" for side in ("left", "right") for p in POINT_LIGHTS]
        dots = [places[name] for name in ("head", *names)]
        parts = [Capsule(dot, dot, 0.022 * height, np.full(3, 255.0)) for dot in dots]
        below = []
    else:
        feet = np.stack([places["hip"][:, 0], 0 * times + performer.ground * size], -1)
        reach = np.array([0.13 * height, 0])
        below = [Capsule(feet - reach, feet + reach, 0.02 * height, np.zeros(3), 0.35)]
        parts = [
            Capsule(start, end, radius * height, shade * performer.clothes[cloth])
            for start, end, radius, cloth, shade in _parts(places, _nearness(performer))
        ]
    paint(video, below + parts)
    low = [np.minimum(part.start, part.end) - part.radius for part in parts]
    high = [np.maximum(part.start, part.end) + part.radius for part in parts]
    return np.concatenate([np.min(low, axis=0), np.max(high, axis=0)], axis=-1)


def paint_background(rng: np.random.Generator, shift: np.ndarray, size: int) -> np.ndarray:
    """A wall with some boards on it and a floor, moved sideways by ``shift``.

    Boards have random places and widths: nothing repeats like a grating, whose own
    aliasing would add a motion that the figure does not make.

    Args:
        rng: draws colours and boards.
        shift: (T,) in widths of the picture; fractions of a pixel count.
        size: height and width in pixels.

    Returns:
        uint8 (T, size, size, 3).
    """
    steps = 4  # a quarter of a pixel is the finest shift
    around = 2 * size * steps  # then it goes round
    wall, floor = rng.uniform(110, 225, size=(2, 3))
    boards, tint = rng.uniform(size=(6, 4)), rng.uniform(-45, 45, size=(6, 3))
    horizon = int(size * rng.uniform(0.72, 0.82))
    tops = np.sort(0.7 * size * boards[:, :2], axis=1).astype(int)
    rows = np.unique([0, horizon, size, *tops.ravel()])  # all rows between two are equal
    bands = np.empty((len(rows) - 1, around, 3), dtype=np.float32)
    bands[:] = np.where(rows[:-1, None, None] < horizon, wall, floor)
    for (top, bottom), (left, width), change in zip(tops, boards[:, 2:], tint, strict=True):
        covered = (rows[:-1] >= top) & (rows[:-1] < bottom)
        first = int(left * around)
        columns = np.arange(first, first + int((0.05 + 0.2 * width) * around)) % around
        bands[np.ix_(covered, columns)] = np.clip(wall + change, 0, 255)
    bands = np.concatenate([bands, bands[:, : (size + 1) * steps]], axis=1)
    shifted = [
        bands[:, k : k - steps].reshape(len(bands), -1, steps, 3).mean(axis=2)
        for k in range(steps)
    ]
    pictures = np.round(shifted).astype(np.uint8).repeat(np.diff(rows), axis=1)
    video = np.empty((len(shift), size, size, 3), dtype=np.uint8)
    offsets = np.round(-shift * size * steps).astype(int) % around
    for frame, offset in zip(video, offsets, strict=True):
        first = offset // steps
        frame[:] = pictures[offset % steps, :, first : first + size]
    return video
