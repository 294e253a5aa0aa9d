"""What the pathways see of one clip, frame by frame."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from slowfast_edu.config import ModelConfig, SlowFastConfig
from slowfast_edu.models.inputs import Pathways, split_pathways
from slowfast_edu.sampling import slow_positions
from slowfast_edu.viz.style import PATHWAY_COLORS, TEXT_COLORS, new_figure

COLUMNS = 16  # frames side by side; more go below
GAP, TEXT = 0.06, 0.42  # around a picture and beneath it, in widths of a frame
DASHES = {"slow": "-", "fast": "--", "backbone": "-"}


class _Row(NamedTuple):
    """A pathway's name, its pictures (T, H, W, 3), and where among Fast's each stands."""

    name: str
    pictures: Tensor
    places: Sequence[int]


def filmstrip(
    clip: Tensor,
    config: ModelConfig,
    numbers: Sequence[int],
    frames_per_second: float,
    title: str = "",
) -> Figure:
    """A model's input as film: Slow's frames above those of Fast, at the same moments.

    Each picture is what the pathway gets: of a grey Fast the luma, of time differences
    those, about grey. Beneath stand the frame's number and its second in the video. Slow
    is blue and solid, Fast vermillion and dashed; a model with one pathway has one row.

    Args:
        clip: uint8 (1, 3, alpha * T, H, W), cropped as the model takes it.
        config: of the model.
        numbers: of the clip's frames in the video.
        frames_per_second: at which they are numbered.
        title: above all; such as the video's name.

    Returns:
        The figure.

    Raises:
        TypeError, ValueError: a clip that the model does not take.
    """
    rows = _rows(clip.float() / 255, config)
    bands = -(-len(numbers) // COLUMNS)
    columns = min(COLUMNS, len(numbers))
    height = 1 + TEXT
    figure = new_figure(1.2 + 0.85 * columns, 0.4 + 0.85 * height * bands * len(rows))
    axis = figure.subplots()
    for number, row in enumerate(rows):
        for band in range(bands):
            top = (band * len(rows) + number) * height
            told = (-0.15, top + 0.5)
            color = TEXT_COLORS[row.name]
            axis.annotate(
                _told(row, config), told, ha="right", va="center", color=color, size=11
            )
        for picture, place in zip(row.pictures, row.places, strict=True):
            top = (place // COLUMNS * len(rows) + number) * height
            seconds = numbers[place] / frames_per_second
            beneath = f"{numbers[place]}\n{seconds:.2f} s"
            _draw(axis, picture, (place % COLUMNS, top), row.name, beneath)
    axis.set_xlim(-1.1, columns)
    axis.set_ylim(bands * len(rows) * height, -GAP)
    axis.set_aspect("equal")
    axis.axis("off")
    axis.set_title(title, loc="left", size=11)
    return figure


def _rows(clip: Tensor, config: ModelConfig) -> list[_Row]:
    """Which pictures go into which pathway: of floats between 0 and 1."""
    every = range(clip.shape[2])
    if not isinstance(config, SlowFastConfig):
        return [_Row("backbone", _pictures(clip), every)]
    seen: Pathways = split_pathways(clip, config)
    rows = []
    if seen.slow is not None:
        alpha = config.clip.alpha
        places = slow_positions(len(every), alpha, config.clip.frame_rule).tolist()
        rows.append(_Row("slow", _pictures(seen.slow), places))
    if seen.fast is not None:
        signed = config.fast_input == "time_difference"
        fast = (1 + seen.fast) / 2 if signed else seen.fast
        rows.append(_Row("fast", _pictures(fast), every))
    return rows


def _pictures(frames: Tensor) -> Tensor:
    """(1, C, T, H, W) between 0 and 1 -> uint8 (T, H, W, 3); of one channel greys."""
    rgb = frames[0].expand(3, -1, -1, -1).permute(1, 2, 3, 0)
    return (255 * rgb).round().to(torch.uint8)


def _told(row: _Row, config: ModelConfig) -> str:
    name = config.kind if row.name == "backbone" else row.name.capitalize()
    return f"{name}\n{len(row.pictures)} frames"


def _draw(
    axis: Axes, picture: Tensor, corner: tuple[float, float], pathway: str, beneath: str
) -> None:
    """One frame in a cell of width 1, its top left corner at ``corner``."""
    left, top = corner
    side = 1 - 2 * GAP
    axis.imshow(
        picture.numpy(),
        extent=(left + GAP, left + GAP + side, top + side, top),
        interpolation="nearest",
    )
    border = {"linewidth": 2, "linestyle": DASHES[pathway], "fill": False}
    color = PATHWAY_COLORS[pathway]
    axis.add_patch(Rectangle((left + GAP, top), side, side, edgecolor=color, **border))
    axis.text(left + 0.5, top + side + 0.04, beneath, ha="center", va="top", size=7)
