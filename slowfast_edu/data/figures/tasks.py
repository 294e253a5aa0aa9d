"""Tasks in which a figure does something: ``Actions``, ``Hue`` and ``Crowd``.

A task turns (case, generator, raw-frame numbers, size) into a ``Scene``. Cases are what
is balanced, by the number of a name in ``case_names``. Whatever else varies comes from
the generator, which knows nothing of the case.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from slowfast_edu.checks import check_choice
from slowfast_edu.config import LUMA, ClipConfig
from slowfast_edu.data.figures.actions import ACTIONS
from slowfast_edu.data.figures.scene import (
    PARTS,
    Clothes,
    draw_camera,
    draw_performer,
    paint_background,
    paint_performer,
)

STYLES = ("clothed", "bright", "negative", "point_light")
DIM, LIGHT = 0.45, 150  # of "bright": a share of the wall's levels, least of the figure's
# Directions in the plane of blue and red differences (Cb, Cr) of ITU-R BT.601.
HUES = {"blue": (1, 0), "red": (0, 1), "yellow": (-1, 0), "green": (0, -1)}
CHROMA = 36  # saturation: far above rounding
# A clip's brightness. With SHADE each way and GRAIN no channel leaves 0 to 255.
LUMAS = (80, 165)
SHADE = 15
GRAIN = 10


class Scene(NamedTuple):
    """What a task renders.

    Attributes:
        frames: uint8 (T, S, S, 3).
        label: the class, or for a crowd one 0 or 1 a class, float32.
        boxes: of a crowd, float32 (T, N, 4): x1, y1, x2, y2 in shares of the picture.
        actions: of a crowd, int64 (N,): what each figure does; N in boxes' order.
    """

    frames: np.ndarray
    label: int | np.ndarray
    boxes: np.ndarray | None = None
    actions: np.ndarray | None = None


class Task:
    """What all tasks have in common. A new one is a frozen dataclass that subclasses this.

    It names its ``classes`` and writes ``_draw``.

    Attributes:
        classes: names; a label is a place in this list.
    """

    __slots__ = ()
    classes: tuple[str, ...]

    @property
    def case_names(self) -> tuple[str, ...]:
        """What is balanced: the classes, unless a task has finer cases."""
        return self.classes

    @property
    def cases(self) -> int:
        """How many cases there are."""
        return len(self.case_names)

    @property
    def flipped_labels(self) -> tuple[int, ...] | None:
        """The class of each class's mirror image, or -1; None if a mirror changes none."""
        return None

    def check(self, clip: ClipConfig) -> None:
        """Refuse a clip with which the task is not what it says; here none."""

    def render(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        """Render one scene.

        Args:
            case: a number below ``cases``.
            rng: draws all else, the same for every case.
            times: (T,) raw-frame numbers.
            size: height and width in pixels.

        Raises:
            ValueError: no such case, or ``times`` that the task cannot start at.
        """
        if case not in range(self.cases):
            raise ValueError(f"case={case!r} must be one of 0 to {self.cases - 1}")
        return self._draw(case, rng, np.asarray(times), size)

    def _draw(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        """What a subclass writes: the scene, of arguments that are checked."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Actions(Task):
    """Which of ten actions? As in KTH, both what is seen and how it moves tell.

    Controlled: each action appears equally often. Drawn without regard to it: clothing,
    body height, phase, speed, direction, sway of the camera, colours and boards of the
    background. Part of an action are its usual pace and side of view, and that the camera
    follows who walks or runs: the wall moves.

    Attributes:
        style: "clothed" takes any colours; "bright" a light figure before a dark wall,
            which small networks learn sooner; "negative" the same with all levels
            inverted; "point_light" only moving dots (Johansson, 1973): a still frame
            says little.

    >>> task = Actions()
    >>> task.render(0, np.random.default_rng(1), np.arange(8), size=64).frames.shape
    (8, 64, 64, 3)
    """

    style: str = "clothed"
    classes: ClassVar[tuple[str, ...]] = tuple(ACTIONS)

    def __post_init__(self):
        check_choice("style", self.style, STYLES)

    def _draw(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        dots = self.style == "point_light"
        performer = draw_performer(self.classes[case], rng)
        camera = draw_camera(rng)
        if dots:
            video = np.zeros((len(times), size, size, 3), dtype=np.uint8)
        else:
            shift = camera.shift(times) - performer.way(times)
            video = paint_background(rng, shift, size)
        if self.style in ("bright", "negative"):
            video = (DIM * video).astype(np.uint8)
            performer = performer._replace(clothes=_lighten(performer.clothes))
        paint_performer(video, performer, camera, times, point_light=dots)
        return Scene(255 - video if self.style == "negative" else video, case)


def _lighten(clothes: Clothes) -> Clothes:
    """The same colours, from ``LIGHT`` up."""
    span = (255 - LIGHT) / 255
    return {part: LIGHT + span * color for part, color in clothes.items()}


def equal_luma(hue: str, luma: float) -> np.ndarray:
    """RGB, 0 to 255, of a hue at a given luma: all hues look alike in grey.

    Args:
        hue: a key of ``HUES``.
        luma: 0.299 R + 0.587 G + 0.114 B, before the picture is normalised.

    >>> round(float(equal_luma("red", 120) @ np.array(LUMA)), 9)
    120.0
    """
    blue, red = (CHROMA * part for part in HUES[hue])
    r, b = luma + 2 * (1 - LUMA[0]) * red, luma + 2 * (1 - LUMA[2]) * blue
    g = (luma - LUMA[0] * r - LUMA[2] * b) / LUMA[1]
    return np.array([r, g, b])


def add_grain(video: np.ndarray, rng: np.random.Generator) -> None:
    """Add 0 to 9 levels to each channel of each pixel, the same ones on all frames.

    A colour is rounded to bytes, so that its luma is off by a fraction of a level. That
    fraction depends on the hue, and a histogram of it would betray the hue in grey. Grain
    makes all fractions equally likely.
    """
    video += rng.integers(GRAIN, size=video.shape[1:], dtype=np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hue(Task):
    """Which hue does the figure wear? Only colour tells; to a grey pathway all look alike.

    Controlled: the four hues have one luma, by the weights of the grey Fast input, taken
    before normalisation (which is linear, so that it changes nothing). What the figure
    does is drawn without regard to the hue. What rounding to bytes leaves is far below
    the change of brightness from clip to clip, 85 levels, and hidden by grain. In the
    paper's Table 5c a grey Fast pathway costs a tenth of a point: Slow keeps the colour.
    """

    classes: ClassVar[tuple[str, ...]] = tuple(HUES)

    def _draw(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        performer = draw_performer(list(ACTIONS)[rng.integers(len(ACTIONS))], rng)
        camera = draw_camera(rng)
        luma, wall = rng.uniform(*LUMAS), rng.uniform(60, 200)
        shades = rng.uniform(-SHADE, SHADE, size=len(PARTS))
        clothes = {
            part: equal_luma(self.classes[case], luma + shade)
            for part, shade in zip(PARTS, shades, strict=True)
        }
        video = np.full((len(times), size, size, 3), round(wall), dtype=np.uint8)
        paint_performer(video, performer._replace(clothes=clothes), camera, times)
        add_grain(video, rng)
        return Scene(video, case)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crowd(Task):
    """Who does what? Several figures, each with its own action, box and identity.

    Controlled: the number of figures (two, three or four in turn). Their actions are
    drawn independently, those behind are smaller and may be hidden in part, and who walks
    treads on the spot, for the camera follows nobody. The label says which actions occur;
    ``boxes`` and ``actions`` say where each is, in one order on all frames, which is the
    figures' identity.
    """

    classes: ClassVar[tuple[str, ...]] = tuple(ACTIONS)
    figures: ClassVar[tuple[int, ...]] = (2, 3, 4)

    @property
    def case_names(self) -> tuple[str, ...]:
        return tuple(f"{count} figures" for count in self.figures)

    def _draw(
        self, case: int, rng: np.random.Generator, times: np.ndarray, size: int
    ) -> Scene:
        count = self.figures[case]
        camera = draw_camera(rng)
        video = paint_background(rng, camera.shift(times), size)
        actions = rng.integers(len(self.classes), size=count)
        places = rng.permutation((np.arange(count) + 0.5) / count)
        heights = np.sort(rng.uniform(0.35, 0.6, size=count))  # the smaller are behind
        boxes = []
        for action, x, height in zip(actions, places, heights, strict=True):
            name = self.classes[action]
            who = draw_performer(name, rng, x, height)
            who = who._replace(ground=0.62 + 0.6 * (height - 0.25))
            boxes.append(paint_performer(video, who, camera, times))
        share = np.clip(np.stack(boxes, axis=1) / size, 0, 1).astype(np.float32)
        label = np.zeros(len(self.classes), dtype=np.float32)
        label[actions] = 1
        return Scene(video, label, share, actions.astype(np.int64))
