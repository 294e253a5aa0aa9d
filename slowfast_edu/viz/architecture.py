"""The two pathways drawn to scale from a configuration."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from slowfast_edu.config import SlowFastConfig
from slowfast_edu.models.plan import LATERALS_AFTER, fast_plan, slow_plan
from slowfast_edu.viz.style import PATHWAY_COLORS, new_figure

STAGES = ("pool1", "res2", "res3", "res4", "res5")
Y_CENTER = {"slow": 2.4, "fast": 0.6}


def _draw_stage(axis, pathway: str, x: float, frames: int, channels: int, scale) -> None:
    """``frames`` thin slabs side by side, as tall as the channels are many."""
    height = scale * channels**0.5
    spread = 0.62
    slab = min(0.05, spread / frames * 0.7)
    for t in range(frames):
        left = x + (t / max(1, frames - 1) - 0.5) * (spread - slab) - slab / 2
        axis.add_patch(
            Rectangle(
                (left, Y_CENTER[pathway] - height / 2),
                slab,
                height,
                facecolor=PATHWAY_COLORS[pathway],
                edgecolor="none",
            )
        )
    axis.text(
        x,
        Y_CENTER[pathway] - height / 2 - 0.07,
        f"{channels} ch\n{frames} frames",
        ha="center",
        va="top",
        fontsize=8,
    )


def draw_architecture(config: SlowFastConfig) -> Figure:
    """Slow above, Fast below, laterals between.

    A slab is a frame; its height grows with the square root of the channels. The
    channels are a stage's own, before a lateral adds to Slow's.

    Args:
        config: with both pathways.

    Returns:
        The figure.

    Raises:
        ValueError: the configuration has one pathway only.
    """
    if config.pathways != "slowfast":
        raise ValueError(f"pathways={config.pathways!r} has no laterals to draw")
    plans = {"slow": slow_plan(config), "fast": fast_plan(config)}
    frames = {"slow": config.clip.T, "fast": config.clip.fast_frames}
    scale = 1.35 / plans["slow"].out_channels ** 0.5
    figure = new_figure(10, 4.6)
    axis = figure.subplots()
    for x, name in enumerate(STAGES):
        for pathway, plan in plans.items():
            channels = plan.channels_after(name)
            _draw_stage(axis, pathway, x, frames[pathway], channels, scale)
        axis.text(x, 3.35, name, ha="center", weight="bold")
        if name in LATERALS_AFTER and config.fusion != "none":
            arrow = FancyArrowPatch(
                (x + 0.1, Y_CENTER["fast"] + 0.3),
                (x + 0.68, Y_CENTER["slow"] - 0.25),
                arrowstyle="-|>",
                mutation_scale=16,
                linewidth=2,
                linestyle="--",
                color=PATHWAY_COLORS["lateral"],
            )
            axis.add_patch(arrow)
    axis.text(0.42, 1.33, "lateral", color=PATHWAY_COLORS["lateral"], ha="left")
    strides = {"slow": config.clip.tau, "fast": config.clip.fast_stride}
    for pathway, stride in strides.items():
        axis.text(
            -0.8,
            Y_CENTER[pathway],
            f"{pathway.title()}\n1 of {stride}\nraw frames",
            color=PATHWAY_COLORS[pathway],
            ha="center",
            va="center",
            weight="bold",
        )
    axis.text(4.75, 1.5, "pool,\nconcat,\nclassify", ha="center", va="center")
    axis.set(xlim=(-1.1, 5.1), ylim=(-0.05, 3.6))
    axis.axis("off")
    return figure
