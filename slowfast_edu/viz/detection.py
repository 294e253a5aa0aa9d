"""Boxes on frames: who is where, and what is said of them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from slowfast_edu.checks import check_frames
from slowfast_edu.viz.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILLION,
    ink_on,
    new_figure,
)

LOOKS = (
    (VERMILLION, "-"),
    (BLUE, "--"),
    (ORANGE, "-."),
    (GREEN, ":"),
    (PURPLE, "-"),
    (BLACK, "--"),
)


def draw_boxes(axis, frame: np.ndarray, boxes: ArrayLike) -> None:
    """A frame, and its boxes with their numbers from 1 on.

    Args:
        axis: to draw on.
        frame: uint8 (H, W, 3).
        boxes: (N, 4): x1, y1, x2, y2 in shares of the picture.
    """
    axis.imshow(frame)
    axis.axis("off")
    height, width = frame.shape[:2]
    for place, box in enumerate(np.asarray(boxes)):
        color, style = LOOKS[place % len(LOOKS)]
        x1, y1, x2, y2 = box * (width, height, width, height) - 0.5
        look = {"fill": False, "edgecolor": color, "linestyle": style, "linewidth": 2}
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **look))
        mark = {"color": ink_on(color), "fontweight": "bold", "ha": "left", "va": "top"}
        held = {"boxstyle": "square,pad=0.15", "fc": color, "ec": "none"}
        axis.text(x1, y1, str(place + 1), bbox=held, fontsize=9, **mark)


def boxes_on_frames(
    frames: np.ndarray, boxes: Sequence[ArrayLike], names: Sequence[Sequence[str]]
) -> Figure:
    """Frames side by side, with boxes and what each is called in the same colour.

    Args:
        frames: uint8 (T, H, W, 3).
        boxes: of each frame, (N, 4): x1, y1, x2, y2 in shares of the picture.
        names: of each frame, N texts; a line break begins a second line.

    Returns:
        The figure.

    Raises:
        ValueError: frames that are none, or lists of different lengths.
    """
    check_frames(frames)
    counts = [(len(own), len(said)) for own, said in zip(boxes, names, strict=False)]
    if not len(frames) == len(boxes) == len(names) or any(a != b for a, b in counts):
        raise ValueError(
            f"{len(frames)} frames, {len(boxes)} lists of boxes and {len(names)} of names; "
            "give each frame as many names as boxes"
        )
    height, width = frames.shape[1:3]
    figure = new_figure(3.2 * len(frames), 3.6 * height / width + 0.6)
    axes = figure.subplots(1, len(frames), squeeze=False)[0]
    for axis, frame, own, said in zip(axes, frames, boxes, names, strict=True):
        draw_boxes(axis, frame, own)
        lines = [f"{number}: {name}" for number, name in enumerate(said, start=1)]
        axis.set_title("\n".join(lines), fontsize=10, loc="left")
    return figure
