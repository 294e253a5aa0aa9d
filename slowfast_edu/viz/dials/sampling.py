"""A widget: turn tau, alpha and beta, and see which frames are taken at what cost."""

from dataclasses import replace

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.analysis import closed_form_pathways
from slowfast_edu.config import PRESETS, ClipConfig, SlowFastConfig
from slowfast_edu.sampling import fast_indices, slow_indices
from slowfast_edu.viz.charts import stacked_bar
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.frames import mosaic
from slowfast_edu.viz.style import PATHWAY_COLORS, TEXT_COLORS, new_figure

RAW_FRAMES = 64
TAUS, ALPHAS = (4, 8, 16, 32), (1, 2, 4, 8, 16)
BETAS = (("1/4", 1 / 4), ("1/8", 1 / 8), ("1/16", 1 / 16), ("1/32", 1 / 32))
COLUMNS = 16  # thumbnails a row


def explored(tau: int, alpha: int, beta: float) -> SlowFastConfig:
    """The R50 whose clip spans 64 raw frames at these dials.

    Raises:
        ValueError: an alpha that does not divide tau.
    """
    clip = ClipConfig(T=RAW_FRAMES // tau, tau=tau, alpha=alpha)
    return replace(PRESETS["slowfast_4x16_r50"], clip=clip, beta=beta)


def sampling_figure(
    frames: np.ndarray, config: SlowFastConfig, with_cost: bool = True
) -> Figure:
    """Which raw frames each pathway sees, the frames themselves, and what they cost.

    Args:
        frames: uint8 (T * tau, H, W, 3): all raw frames of one clip.
        config: of a model with two pathways.
        with_cost: draw the multiply-adds of each pathway too.

    Raises:
        ValueError: another number of frames.
    """
    clip = config.clip
    if len(frames) != clip.raw_frames:
        raise ValueError(
            f"frames has {len(frames)} frames, must have T * tau = {clip.raw_frames}"
        )
    seen = {"slow": slow_indices(clip), "fast": fast_indices(clip)}
    rows = {name: -(-len(indices) // COLUMNS) for name, indices in seen.items()}
    heights = [1.1, *(0.75 * count for count in rows.values()), 0.6][: 3 + with_cost]
    figure = new_figure(11, 0.6 + sum(heights))
    when, *strips = figure.subplots(len(heights), 1, height_ratios=heights)
    if with_cost:
        _draw_cost(strips.pop(), closed_form_pathways(config))
    for place, (name, indices) in enumerate(seen.items()):
        color = PATHWAY_COLORS[name]
        when.plot(indices, [-place] * len(indices), "|", color=color, ms=14, mew=2.5)
        strips[place].imshow(mosaic(frames[indices], COLUMNS), aspect="equal")
        strips[place].set_axis_off()
        stride = clip.tau if name == "slow" else clip.fast_stride
        label = f"{name}: {len(indices)} frames, 1 in {stride}"
        strips[place].set_title(
            label, loc="left", color=TEXT_COLORS[name], weight="bold", fontsize=9
        )
    when.set(xlim=(-1, clip.raw_frames), ylim=(-1.6, 0.6), yticks=[0, -1])
    when.set_yticklabels(["slow", "fast"])
    when.set_xticks(range(0, clip.raw_frames + 1, 8))
    when.set_xlabel("raw frame", fontsize=8)
    when.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _draw_cost(axis, macs: dict[str, int]) -> None:
    parts = {name: cost / 1e9 for name, cost in macs.items()}
    total = sum(parts.values())
    stacked_bar(axis, 0, parts)
    told = ", ".join(f"{n} {g:.1f} ({g / total:.0%})" for n, g in parts.items() if g > 0.05)
    axis.set_title(f"{total:.1f} GMACs a view of 256x256: {told}", loc="left", fontsize=9)
    axis.set_xlabel("GMACs", fontsize=8)
    axis.set_yticks([])
    axis.spines[["top", "right", "left"]].set_visible(False)


def _sentence(config: SlowFastConfig) -> str:
    """The picture in words, for who cannot see it."""
    clip, total = config.clip, sum(closed_form_pathways(config).values()) / 1e9
    return f"Slow sees {clip.T} frames, Fast {clip.fast_frames}: {total:.1f} GMACs a view."


def sampling_explorer(frames: np.ndarray) -> Dialled:
    """Dials for tau, alpha and beta over ``sampling_figure``.

    Args:
        frames: uint8 (64, H, W, 3), of one clip.

    Raises:
        ValueError: another number of frames.
    """
    dials = {
        "tau": widgets.SelectionSlider(options=TAUS, value=16, description="tau"),
        "alpha": widgets.SelectionSlider(options=ALPHAS, value=8, description="alpha"),
        "beta": widgets.SelectionSlider(options=BETAS, value=1 / 8, description="beta"),
    }

    def draw(tau: int, alpha: int, beta: float) -> tuple[Figure, str]:
        config = explored(tau, alpha, beta)
        return sampling_figure(frames, config), _sentence(config)

    told = "dials for tau, alpha and beta, and a picture that follows"
    return dialled(dials, draw, told)
