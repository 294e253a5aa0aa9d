"""A widget: what each stage would see of time if stages halved it, as they halve space."""

from collections.abc import Collection
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.analysis import closed_form_stages
from slowfast_edu.checks import check_choice
from slowfast_edu.config import PRESETS, SlowFastConfig
from slowfast_edu.models.plan import PathwayPlan, fast_plan, slow_plan
from slowfast_edu.sampling import fast_indices, slow_indices
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.style import BLACK, PATHWAY_COLORS, new_figure

MODELS = {
    "4x16 R50": "slowfast_4x16_r50",
    "8x8 R50": "slowfast_8x8_r50",
    "16x8 R101": "slowfast_16x8_r101",
}
WHO = {"Fast": ("fast",), "Slow": ("slow",), "both": ("slow", "fast")}
STAGES = ("res2", "res3", "res4", "res5")
HALVING = {
    "no stage": (),
    "res5": ("res5",),
    "res4, res5": ("res4", "res5"),
    "res3 to res5": ("res3", "res4", "res5"),
}
RATE, SIDE = 30, 224  # raw frames a second; pixels of the crop of Table 1


class Level(NamedTuple):
    """What a pathway has behind one stage.

    Attributes:
        stage: "conv1", "res2", ..., "res5".
        channels: of a frame.
        side: height and width, for a crop of 224.
        places: raw-frame numbers at which its frames lie.
        spacing: raw frames from one of them to the next.
        reach: raw frames from the first to the last that one of its frames reads, by this
            pathway's own kernels; those beyond the clip's ends count.
    """

    stage: str
    channels: int
    side: int
    places: np.ndarray
    spacing: int
    reach: int


def time_levels(
    config: SlowFastConfig, pathway: str, halved: Collection[str] = ()
) -> list[Level]:
    """A pathway's frames behind conv1 and each stage, if the stages ``halved`` halved time.

    SlowFast has none such (section 3). One would move its first block's convolution over
    time two frames at each step, as the one over space moves two pixels.

    Args:
        config: with both pathways and the frame rule "stride".
        pathway: "slow" or "fast".
        halved: some of "res2" to "res5".

    Raises:
        ValueError: an unknown stage, or more halvings than there are frames for.

    >>> [len(level.places) for level in time_levels(SlowFastConfig(), "fast", ["res3"])]
    [32, 32, 16, 16, 16]
    """
    for stage in halved:
        check_choice("halved", stage, STAGES)
    clip = config.clip
    if pathway == "slow":
        plan, places, spacing = slow_plan(config), slow_indices(clip), clip.tau
    else:
        plan, places, spacing = fast_plan(config), fast_indices(clip), clip.fast_stride
    if len(places) % 2 ** len(halved):
        most = (len(places) & -len(places)).bit_length() - 1
        raise ValueError(
            f"{pathway.capitalize()} has {len(places)} frames, which cannot be halved "
            f"{len(halved)} times; the most is {most}"
        )
    return _levels(plan, places, spacing, halved)


def _levels(plan: PathwayPlan, places, spacing: int, halved) -> list[Level]:
    reach, side = 1 + (plan.stem_kernel - 1) * spacing, SIDE // 2
    levels = [Level("conv1", plan.stem_channels, side, places, spacing, reach)]
    side //= 2  # pool1
    for stage in plan.stages:
        for block, kernel in enumerate(stage.temporal_kernels):
            reach += (kernel - 1) * spacing
            if block == 0 and stage.name in halved:
                places, spacing = places[::2], 2 * spacing
        side //= stage.spatial_stride
        level = Level(stage.name, stage.out_channels, side, places, spacing, reach)
        levels.append(level)
    return levels


def halved_macs(
    config: SlowFastConfig, pathways: Collection[str], halved: Collection[str], crop=256
) -> int:
    """Multiply-adds of a view, if in these pathways the stages ``halved`` halved time.

    A stage costs in proportion to its frames, a lateral to Slow's. (Its stride would be
    another, so that it still ends at Slow's frames; that costs nothing.)

    >>> halved_macs(SlowFastConfig(), ["fast"], []) / 1e9  # none does
    36.099198976
    """
    stages = closed_form_stages(config, crop)
    for pathway in pathways:
        levels = time_levels(config, pathway, halved)
        whole = len(levels[0].places)
        prefixes = [pathway, "lateral"] if pathway == "slow" else [pathway]
        for level in levels:
            for name in (f"{prefix}.{level.stage}" for prefix in prefixes):
                stages[name] = stages.get(name, 0) * len(level.places) // whole
    return sum(stages.values())


def pathways_figure(
    config: SlowFastConfig, pathways: Collection[str] = (), halved: Collection[str] = ()
) -> Figure:
    """When each stage's frames lie, of both pathways, and the time that one spans.

    A stroke is a frame, at its raw frame; the bar spans what the middle one reads by its
    own pathway's kernels, as far as the clip goes.

    Args:
        config: of a model with two pathways.
        pathways: in which time is halved: "slow", "fast", both or none.
        halved: in which stages.

    Raises:
        ValueError: see ``time_levels``.
    """
    figure = new_figure(11, 5.4)
    panels = figure.subplots(2, 1, sharex=True)
    end = config.clip.raw_frames
    for axis, pathway in zip(panels, ("slow", "fast"), strict=True):
        stages = halved if pathway in pathways else ()
        levels = time_levels(config, pathway, stages)
        color = PATHWAY_COLORS[pathway]
        labels = []
        for row, level in enumerate(levels):
            _draw_level(axis, -row, level, end, color)
            told = _spanned(level, end) + ", halves" * (level.stage in stages)
            beside = axis.get_yaxis_transform()
            axis.text(1.01, -row, told, transform=beside, va="center")
            shape = f"{level.channels} x {len(level.places)} x {level.side}²"
            labels.append(f"{level.stage}   {shape}")
        axis.set_yticks(-np.arange(len(levels)), labels)
        axis.set(xlim=(-1, end), ylim=(-len(levels) + 0.4, 0.6))
        title = (
            f"{pathway.capitalize()}: channels x T x S², and what one frame (black) spans"
        )
        axis.set_title(title, loc="left", weight="bold", fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    panels[1].set_xlabel(f"raw frame ({RATE} a second)")
    panels[1].set_xticks(range(0, end + 1, 8))
    return figure


def _draw_level(axis, height: float, level: Level, end: int, color: str) -> None:
    """A row of strokes, one a frame, and a bar for what the middle one spans."""
    first, last = _span(level)
    first, last = max(0, first), min(end - 1, last)
    axis.barh(height, last - first, 0.62, first, color=color, alpha=0.25)
    axis.plot(level.places, [height] * len(level.places), "|", color=color, ms=11, mew=1.5)
    middle = level.places[len(level.places) // 2]
    axis.plot(middle, height, "|", color=BLACK, ms=15, mew=3)


def _span(level: Level) -> tuple[int, int]:
    """The middle frame's first and last raw frame; some may lie beyond the clip."""
    middle, far = level.places[len(level.places) // 2], level.reach // 2
    return middle - far, middle + far


def _spanned(level: Level, end: int) -> str:
    if level.reach == 1:
        return "spans 1 frame"
    first, last = _span(level)
    whole = " (all)" if first <= 0 and last >= end - 1 else ""
    return f"spans {level.reach / RATE:.2f} s{whole}"


def _frames(level: Level) -> str:
    count, apart = len(level.places), level.spacing / RATE
    return f"{count} frames, {apart:.2f} s apart" if count > 1 else "1 frame"


def _sentence(model: str, who: str, stages: str) -> str:
    """The picture in words, for who cannot see it, and what is saved."""
    config, halved = PRESETS[MODELS[model]], HALVING[stages]
    slow, fast = (
        time_levels(config, pathway, halved if pathway in WHO[who] else ())[-1]
        for pathway in ("slow", "fast")
    )
    left = f"behind res5 Slow has {_frames(slow)}, Fast {_frames(fast)}"
    if not halved:
        return f"{model}, no stage halves time: {left}."
    macs = halved_macs(config, (), ()), halved_macs(config, WHO[who], halved)
    subject = "both pathways halve" if who == "both" else f"{who} halves"
    return (
        f"{model}, {subject} time in {stages}: {left}. That saves "
        f"{1 - macs[1] / macs[0]:.1%} of the multiply-adds."
    )


def pathways_explorer() -> Dialled:
    """Dials for the model, who halves time, and where, over ``pathways_figure``."""
    dials = {
        "model": widgets.SelectionSlider(options=list(MODELS), description="model"),
        "who": widgets.SelectionSlider(options=list(WHO), description="who halves"),
        "stages": widgets.SelectionSlider(
            options=list(HALVING), value="res5", description="time is halved in"
        ),
    }

    def draw(model: str, who: str, stages: str) -> tuple[Figure, str]:
        figure = pathways_figure(PRESETS[MODELS[model]], WHO[who], HALVING[stages])
        return figure, _sentence(model, who, stages)

    told = "dials for the model, who halves time and where, and a picture that follows"
    return dialled(dials, draw, told)
