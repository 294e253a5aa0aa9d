"""Both pathways as boxes whose edges are to scale, drawn from a configuration."""

from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from slowfast_edu.analysis.shapes import stage_shapes
from slowfast_edu.checks import check_kind
from slowfast_edu.config import SlowFastConfig
from slowfast_edu.models.inputs import example_clip, split_pathways
from slowfast_edu.models.plan import LATERALS_AFTER, fast_plan, lateral_channels
from slowfast_edu.models.slowfast import LAYERS, SlowFast
from slowfast_edu.viz.style import (
    BLACK,
    DOTS_PER_INCH,
    PATHWAY_COLORS,
    PATHWAY_HATCHES,
    new_figure,
)

STAGES = ("data", *LAYERS)
Shape = tuple[int, int, int, int]  # (C, T, H, W)

# All lengths are dots on paper.
WIDEST, DEEPEST, TALLEST = 180, 90, 112  # the most channels, frames, rows of pixels
INTO_PAGE = (0.8, 0.6)  # where frames go: right and up, a step of length 1
FACES = {"top": 0.6, "side": 0.35, "front": 1.0}  # how much of its colour each has
MARGIN, LETTER, BETWEEN = 84, 5.8, 10  # left of all; a letter's width; columns
FLOORS = {"slow": 330, "fast": 98}  # on which boxes stand
TITLES, HANDED, HEIGHT = 542, 284, 548  # texts; what laterals hand over; the picture


def architecture_shapes(config: SlowFastConfig, crop: int = 224) -> dict[str, Shape]:
    """What ``draw_architecture`` draws: the output (C, T, H, W) of each stage.

    Read off a model without weights. "slow.res2" is Slow's own; "lateral.res2" is what
    the lateral behind it hands over.

    Args:
        config: with both pathways.
        crop: height and width of the clip in pixels.

    Raises:
        ValueError: the configuration has not both pathways; a crop below 32.

    >>> architecture_shapes(SlowFastConfig())["lateral.res2"]
    (64, 4, 56, 56)
    """
    check_kind("config", config, SlowFastConfig, "PRESETS['slowfast_4x16_r50'], say")
    if config.pathways != "slowfast":
        raise ValueError(
            f"pathways={config.pathways!r} has no laterals to draw; take 'slowfast'"
        )
    clip = example_clip(config, crop, "meta")  # shapes without numbers
    with torch.device("meta"):
        shapes = stage_shapes(SlowFast(config=config), clip)
    inputs = split_pathways(clip, config)
    shapes |= {"slow.data": inputs.slow.shape, "fast.data": inputs.fast.shape}
    names = [f"{pathway}.{stage}" for stage in STAGES for pathway in ("slow", "fast")]
    found = {name: tuple(shapes[name][1:]) for name in names}
    for stage in LATERALS_AFTER if config.fusion != "none" else ():
        channels, *rest = found[f"slow.{stage}"]
        added = lateral_channels(config, found[f"fast.{stage}"][0])
        found[f"lateral.{stage}"] = (added or channels, *rest)  # ttoc_sum: as Slow has
    return found


class _Scale(NamedTuple):
    """Dots on paper a channel, a frame and a row of pixels."""

    channel: float
    frame: float
    row: float

    def back(self, frames: int) -> tuple[float, float]:
        """How far right and up the last of ``frames`` lies behind the first."""
        return tuple(step * frames * self.frame for step in INTO_PAGE)


def _scale(shapes: dict[str, Shape]) -> _Scale:
    most = [max(sizes) for sizes in zip(*shapes.values(), strict=True)]
    return _Scale(WIDEST / most[0], DEEPEST / most[1], TALLEST / most[2])


def _box(axis: Axes, name: str, corner, shape: Shape, scale: _Scale) -> None:
    """A box for (C, T, H, W): C wide, T deep, H high; faces are named "slow.res2.front".

    ``corner`` is its lower left one, in front.
    """
    x, y = corner
    width, height = shape[0] * scale.channel, shape[2] * scale.row
    right, up = scale.back(shape[1])
    front = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    back = [(px + right, py + up) for px, py in front]
    faces = {
        "top": [front[3], front[2], back[2], back[3]],
        "side": [front[1], back[1], back[2], front[2]],
        "front": front,
    }
    pathway = name.split(".")[0]
    color, hatch = PATHWAY_COLORS[pathway], PATHWAY_HATCHES[pathway]
    edge = {"edgecolor": _mixed(color, 0.5, BLACK), "linewidth": 0.6, "hatch": hatch}
    for face, share in FACES.items():
        fill = {"facecolor": _mixed(color, share, "white"), "gid": f"{name}.{face}"}
        axis.add_patch(Polygon(faces[face], **fill, **edge))


def _mixed(color: str, share: float, other: str) -> tuple[float, ...]:
    pairs = zip(to_rgb(color), to_rgb(other), strict=True)
    return tuple(share * a + (1 - share) * b for a, b in pairs)


def _arrow(axis: Axes, name: str, start, end) -> None:
    pathway = name.split(".")[0]
    look = {"arrowstyle": "-|>", "mutation_scale": 13, "shrinkA": 0, "shrinkB": 0}
    line = {"linewidth": 1.8, "linestyle": "-" if pathway == "slow" else "--"}
    look |= {"color": PATHWAY_COLORS[pathway], **line}
    axis.annotate("", end, start, gid=name, arrowprops=look)


def _text(axis: Axes, x: float, y: float, text: str, **look) -> None:
    axis.text(x, y, text, **{"ha": "center", "va": "top", "size": 7.5, **look})


class _Column(NamedTuple):
    """Where a stage's boxes begin, and the middle that its lateral goes up along."""

    slow: float
    slow_middle: float
    fast: float
    middle: float
    right: float


def _column(left: float, slow: Shape, beside: int, fast: Shape, scale: _Scale) -> _Column:
    """Lay out one stage; Fast stands below what it gives, which so goes straight up.

    Args:
        left: where the column begins.
        slow: of Slow's box.
        beside: channels that join Slow's on the right, or 0.
        fast: of Fast's box.
        scale: of the picture.
    """
    wide, added, narrow = (scale.channel * c for c in (slow[0], beside, fast[0]))
    to_slow = (wide + added) / 2 if beside else 0  # from middle to middle
    half_text = LETTER * max(len(str(slow)), len(str(fast))) / 2
    half_fast = (narrow + scale.back(fast[1])[0]) / 2
    slow_end = (added if beside else wide) / 2 + scale.back(slow[1])[0]
    middle = left + max(to_slow + max(wide / 2, half_text), half_fast, half_text)
    return _Column(
        slow=middle - to_slow - wide / 2,
        slow_middle=middle - to_slow,
        fast=middle - half_fast,
        middle=middle,
        right=middle + max(half_fast, slow_end, half_text) + BETWEEN,
    )


def _columns(shapes: dict[str, Shape], scale: _Scale, sums: bool) -> dict[str, _Column]:
    columns, left = {}, MARGIN
    for stage in STAGES:
        slow, fast = shapes[f"slow.{stage}"], shapes[f"fast.{stage}"]
        beside = 0 if sums else shapes.get(f"lateral.{stage}", (0,))[0]
        if stage == STAGES[-1]:
            beside = fast[0]  # the head puts both pathways side by side
        columns[stage] = _column(left, slow, beside, fast, scale)
        left = columns[stage].right
    return columns


def _draw_pathways(axis: Axes, shapes, columns, scale: _Scale, config) -> None:
    """Both boxes of every stage, with their shapes and their numbers of blocks."""
    blocks = {plan.name: len(plan.temporal_kernels) for plan in fast_plan(config).stages}
    for stage, column in columns.items():
        places = {"fast": (column.fast, column.middle, FLOORS["fast"] - 6)}
        places["slow"] = (column.slow, column.slow_middle, TITLES - 32)
        for pathway, (x, middle, y) in places.items():
            name = f"{pathway}.{stage}"
            _box(axis, name, (x, FLOORS[pathway]), shapes[name], scale)
            _text(axis, middle, y, str(shapes[name]), gid=name)
        _text(axis, column.slow_middle, TITLES, stage, weight="bold", size=10)
        count = blocks.get(stage, 0)
        told = f"{count} block{'s' if count > 1 else ''}" if count else ""
        if stage == "res4" and config.non_local:
            told += f", {len(config.non_local.blocks)} non-local"
        _text(axis, column.slow_middle, TITLES - 17, told)


def _top(column: _Column, fast: Shape, scale: _Scale) -> tuple[float, float]:
    """The middle of the upper face of Fast's box, where arrows begin."""
    up = fast[2] * scale.row + scale.back(fast[1])[1] / 2
    return column.middle, FLOORS["fast"] + up


def _draw_laterals(axis: Axes, shapes, columns, scale: _Scale, sums: bool) -> None:
    """Up from the top of Fast's box, and what they add beside Slow's."""
    for stage, column in columns.items():
        name = f"lateral.{stage}"
        if name not in shapes:
            continue
        slow, fast, added = (shapes[f"{p}.{stage}"] for p in ("slow", "fast", "lateral"))
        left = column.slow + slow[0] * scale.channel
        if not sums:
            _box(axis, name, (left, FLOORS["slow"]), added, scale)
        end = (column.middle, FLOORS["slow"] - 2)
        _arrow(axis, name, _top(column, fast, scale), end)
        patch = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        _text(axis, column.middle, HANDED, str(added), gid=name, bbox=patch)
        joined = "sum" if sums else f"{slow[0]} + {added[0]} = {slow[0] + added[0]}"
        _text(axis, column.slow_middle, TITLES - 46, joined, gid=f"{name}.joined")


def _draw_head(axis: Axes, shapes, column: _Column, scale: _Scale) -> None:
    """Both pathways' averages side by side, between the rows, below and above res5."""
    slow, fast = shapes[f"slow.{STAGES[-1]}"], shapes[f"fast.{STAGES[-1]}"]
    floor, flat = HANDED - 10, TALLEST / scale.row / 30  # thin, but to be seen
    x = column.slow
    for name, shape in (("slow.head", slow), ("fast.head", fast)):
        _box(axis, name, (x, floor), (shape[0], 0, flat, 0), scale)
        x += shape[0] * scale.channel
    down = (column.slow_middle, FLOORS["slow"] - 2), (column.slow_middle, floor + 5)
    _arrow(axis, "slow.average", *down)
    up = _top(column, fast, scale), (column.middle, floor - 2)
    _arrow(axis, "fast.average", *up)
    joined = f"{slow[0]} + {fast[0]} = {slow[0] + fast[0]}"
    told = f"averages over T, H, W,\nconcatenated:\n{joined}"
    _text(axis, column.slow_middle - 12, floor - 8, told, gid="head")


def _draw_margin(axis: Axes, config: SlowFastConfig) -> None:
    """Which frames each pathway sees, and how Fast's become as many as Slow's."""
    clip = config.clip
    frames = {"slow": clip.T, "fast": clip.fast_frames}
    for pathway, count in frames.items():
        x, y, color = MARGIN / 2, FLOORS[pathway] + TALLEST, PATHWAY_COLORS[pathway]
        _text(axis, x, y, pathway.title(), color=color, weight="bold", size=14)
        _text(axis, x, y - 22, f"{count} of {clip.raw_frames}\nraw frames")
    told = {
        "t_conv": f"T-conv\n{config.fusion_kernel}x1x1\nstride {clip.alpha}",
        "t_sample": f"T-sample:\n1 frame of {clip.alpha}",
        "ttoc_concat": f"TtoC, concat:\n{clip.alpha} frames\ninto channels",
        "ttoc_sum": f"TtoC, sum:\n{clip.alpha} frames\ninto channels",
        "none": "no laterals",
    }[config.fusion]
    _text(axis, MARGIN / 2, HANDED + 14, told, gid="fusion")
    _text(axis, MARGIN / 2, TITLES - 32, "(C, T, H, W)", style="italic")


def _draw_scale(axis: Axes, shapes: dict[str, Shape], scale: _Scale) -> None:
    """Three bars: so wide are so many channels, so deep frames, so high rows."""
    most = [max(sizes) for sizes in zip(*shapes.values(), strict=True)]
    channels, frames, rows = (max(1, most[i] // 4) for i in range(3))
    bars = {
        f"{channels} channels": (channels * scale.channel, 0),
        f"{frames} frames": scale.back(frames),
        f"{rows} rows of pixels": (0, rows * scale.row),
    }
    _text(axis, MARGIN, 32, "All boxes to one linear scale:", ha="left")
    x = MARGIN + 190
    for told, (right, up) in bars.items():
        axis.plot((x, x + right), (20, 20 + up), color=BLACK, linewidth=2, gid=told)
        _text(axis, x + right + 8, 32, told, ha="left")
        x += right + 150


def draw_architecture(config: SlowFastConfig, crop: int = 224) -> Figure:
    """Slow above, Fast below, every output a box: channels wide, frames deep, pixels high.

    All three are linear, and the same for both pathways (Table 1 as a picture). A line is
    as thick as a few channels, so the narrowest boxes are shown by their sides. Dashed
    arrows are laterals, with what they hand over; crossed beside Slow's box is what
    concatenation adds to it. Shapes are (C, T, H, W). The averages at the end have
    neither frames nor pixels: their bar is to scale in its width alone.

    Args:
        config: with both pathways.
        crop: height and width of the clip in pixels.

    Returns:
        The figure; its patches' ``gid`` is such as "slow.res2.front".

    Raises:
        ValueError: the configuration has not both pathways; a crop below 32.
    """
    shapes = architecture_shapes(config, crop)
    scale, sums = _scale(shapes), config.fusion == "ttoc_sum"
    columns = _columns(shapes, scale, sums)
    last = columns[STAGES[-1]]
    width = last.right
    figure = new_figure(width / DOTS_PER_INCH, HEIGHT / DOTS_PER_INCH)
    axis = figure.subplots()
    _draw_pathways(axis, shapes, columns, scale, config)
    _draw_laterals(axis, shapes, columns, scale, sums)
    _draw_head(axis, shapes, last, scale)
    _draw_margin(axis, config)
    _draw_scale(axis, shapes, scale)
    axis.set(xlim=(0, width), ylim=(0, HEIGHT), aspect="equal")
    axis.axis("off")
    return figure
