"""Figures made of rounded limbs, drawn with anti-aliasing: the samples' source."""

from collections.abc import Callable

import numpy as np

Point = np.ndarray  # (x, y), y downwards, in units of the figure's height
BACKGROUND = ((0.82, 0.86, 0.90), (0.62, 0.66, 0.62))  # top and bottom, RGB
SKIN, SHIRT, TROUSERS = (0.80, 0.62, 0.50), (0.75, 0.22, 0.20), (0.18, 0.22, 0.42)


def _limb(start: Point, angle: float, length: float) -> Point:
    """Where a limb ends that hangs from ``start``; angle 0 points down."""
    return start + length * np.array([np.sin(angle), np.cos(angle)])


def walk(phase: float) -> dict[str, tuple[float, float]]:
    """Joint angles of a walk, seen from the side, at ``phase`` of one stride (0 to 1)."""
    swing = np.sin(2 * np.pi * phase)
    lift = np.maximum(0, np.cos(2 * np.pi * phase))
    other = np.maximum(0, -np.cos(2 * np.pi * phase))
    return {
        "left_leg": (0.5 * swing, 0.5 * swing - 0.9 * lift),
        "right_leg": (-0.5 * swing, -0.5 * swing - 0.9 * other),
        "left_arm": (-0.5 * swing, -0.5 * swing + 0.35),
        "right_arm": (0.5 * swing, 0.5 * swing + 0.35),
    }


def jumping_jack(phase: float) -> dict[str, tuple[float, float]]:
    """Joint angles of a jumping jack, seen from the front, at ``phase`` (0 to 1)."""
    spread = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    leg, arm = 0.1 + 0.45 * spread, 0.25 + 2.5 * spread
    return {
        "left_leg": (-leg, -leg),
        "right_leg": (leg, leg),
        "left_arm": (-arm, -arm),
        "right_arm": (arm, arm),
    }


ACTIONS: dict[str, Callable] = {"walk": walk, "jumping_jack": jumping_jack}


def _segments(angles: dict[str, tuple[float, float]], hip: Point) -> list[tuple]:
    """(start, end, radius, colour) of every limb, those behind first."""
    neck = hip - np.array([0, 0.26])
    found = []
    for side in ("left", "right"):
        for name, root, lengths, radius, colours in (
            ("leg", hip, (0.20, 0.20), 0.032, (TROUSERS, TROUSERS)),
            ("arm", neck + np.array([0, 0.03]), (0.14, 0.14), 0.023, (SHIRT, SKIN)),
        ):
            upper, lower = angles[f"{side}_{name}"]
            shade = 0.7 if side == "left" else 1.0  # the far side is darker
            first, second = (shade * np.array(colour) for colour in colours)
            joint = _limb(root, upper, lengths[0])
            found.append((root, joint, radius, first))
            found.append((joint, _limb(joint, lower, lengths[1]), radius, second))
        if side == "left":
            head = neck - np.array([0, 0.10])
            found.append((hip, neck, 0.050, SHIRT))
            found.append((head, head, 0.058, SKIN))
    return found


def render(
    action: str,
    frames: int,
    size: int = 224,
    frames_per_cycle: float = 32,
    travel: float = 0.0,
) -> np.ndarray:
    """Draw a figure that performs an action before a plain background.

    Args:
        action: a key of ``ACTIONS``.
        frames: number of frames.
        size: height and width in pixels.
        frames_per_cycle: frames of one stride or jump.
        travel: way from the left to the right over all frames, as a share of the width.

    Returns:
        uint8 RGB of shape (frames, size, size, 3); the same call gives the same bytes.

    Raises:
        ValueError: an unknown action.
    """
    if action not in ACTIONS:
        raise ValueError(f"action={action!r} is not one of {', '.join(ACTIONS)}")
    axis = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(axis, axis)
    top, bottom = (np.array(colour) for colour in BACKGROUND)
    background = top + (bottom - top) * (y[..., None] > 0.8)
    video = np.empty((frames, size, size, 3), dtype=np.uint8)
    for t in range(frames):
        place = 0.5 + travel * (t / max(1, frames - 1) - 0.5)
        angles = ACTIONS[action](t / frames_per_cycle)
        image = background.copy()
        for limb in _segments(angles, hip=np.array([place, 0.52])):
            image = _draw(image, x, y, *limb)
        video[t] = np.round(255 * image).astype(np.uint8)
    return video


def _draw(image, x, y, start, end, radius, colour) -> np.ndarray:
    """Paint one rounded limb; a pixel's share of it is its distance to the edge."""
    along = end - start
    length_squared = max(float(along @ along), 1e-12)
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length_squared
    share = np.clip(share, 0, 1)
    distance = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
    cover = np.clip((radius - distance) * len(x) + 0.5, 0, 1)[..., None]
    return image * (1 - cover) + np.asarray(colour) * cover
