"""A widget: which of Fast's frames a lateral reads, and what it costs."""

from dataclasses import replace

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.analysis import closed_form_pathways
from slowfast_edu.config import PRESETS, ClipConfig, SlowFastConfig
from slowfast_edu.models.plan import LATERALS_AFTER, fast_plan, lateral_channels
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.laterals import lateral_reads

FAST_FRAMES, FAST_STRIDE = 32, 2
KINDS = {
    "T-conv": "t_conv",
    "T-sample": "t_sample",
    "TtoC, sum": "ttoc_sum",
    "TtoC, concat": "ttoc_concat",
}
KERNELS, ALPHAS = (1, 3, 5, 7, 9, 11, 13, 15), (4, 8, 16)


def joined(fusion: str, kernel: int, alpha: int) -> SlowFastConfig:
    """The R50 whose Fast pathway sees 32 frames, 2 apart, with this lateral.

    Raises:
        ValueError: an even kernel, or a sum of channels that do not agree.
    """
    clip = ClipConfig(T=FAST_FRAMES // alpha, tau=FAST_STRIDE * alpha, alpha=alpha)
    base = PRESETS["slowfast_4x16_r50"]
    return replace(base, clip=clip, fusion=fusion, fusion_kernel=kernel)


def lateral_links(config: SlowFastConfig, mixed: int = 0) -> np.ndarray:
    """Which of Fast's frames each of Slow's gets through one lateral.

    Args:
        config: with a lateral.
        mixed: frames to either side that each of Fast's features already holds: 0 for the
            features themselves, 2 for input frames behind a first layer 5 frames wide.

    Returns:
        (T, alpha * T), true where it does.

    Raises:
        ValueError: a configuration without lateral.

    >>> lateral_links(SlowFastConfig())[1].nonzero()[0].tolist()
    [6, 7, 8, 9, 10]
    """
    half, alpha = config.fusion_kernel // 2, config.clip.alpha
    around = {
        "t_conv": (-half, half),
        "t_sample": (0, 0),
        "ttoc_sum": (0, alpha - 1),
        "ttoc_concat": (0, alpha - 1),
    }
    if config.fusion not in around:
        raise ValueError(f"fusion={config.fusion!r} reads nothing; try 't_conv'")
    first, last = around[config.fusion]
    slow, fast = np.indices((config.clip.T, config.clip.fast_frames))
    away = fast - alpha * slow
    return (first - mixed <= away) & (away <= last + mixed)


def reads_behind(config: SlowFastConfig) -> dict[str, np.ndarray]:
    """What the laterals read: features, and input frames behind pool1 and behind res2.

    Fast's convolutions over time have mixed neighbours before a lateral sees them.

    Returns:
        {label: (T, alpha * T) true or false}, for ``lateral_reads``.
    """
    plan = fast_plan(config)
    stem = plan.stem_kernel // 2
    res2 = stem + sum(kernel // 2 for kernel in plan.stages[0].temporal_kernels)
    return {
        "Fast's features\nat the lateral": lateral_links(config),
        "Fast's input,\nbehind pool1": lateral_links(config, stem),
        "Fast's input,\nbehind res2": lateral_links(config, res2),
    }


def lateral_weights(config: SlowFastConfig) -> int:
    """Weights of the convolutions in all laterals; only a T-conv has any.

    >>> lateral_weights(SlowFastConfig())  # 5 * 2 * (8**2 + 32**2 + 64**2 + 128**2)
    215680
    """
    if config.fusion != "t_conv":
        return 0
    plan = fast_plan(config)
    widths = [plan.channels_after(name) for name in LATERALS_AFTER]
    return sum(config.fusion_kernel * c * lateral_channels(config, c) for c in widths)


def _sentence(kind: str, config: SlowFastConfig) -> str:
    """The picture in words, for who cannot see it, and the price."""
    reads = [links.any(axis=0).sum() for links in reads_behind(config).values()]
    macs = closed_form_pathways(config)
    alone = closed_form_pathways(replace(config, fusion="none"))
    own = macs.get("lateral", 0) / 1e9
    wider = (macs["slow"] - alone["slow"]) / 1e9
    of = f" with kernel {config.fusion_kernel}" if config.fusion == "t_conv" else ""
    return (
        f"{kind}{of}, every {config.clip.alpha} frames: reads {reads[0]} of {FAST_FRAMES} "
        f"feature frames; of the input {reads[1]} reach Slow behind pool1, {reads[2]} "
        f"behind res2. {lateral_weights(config):,} weights. Adds {own + wider:.2f} to "
        f"{sum(alone.values()) / 1e9:.2f} GMACs: {own:.2f} in the lateral, {wider:.2f} in "
        "a wider Slow."
    )


def lateral_explorer() -> Dialled:
    """Dials for a lateral's kind, kernel and stride over ``lateral_reads``.

    Fast sees 32 frames whatever alpha is; Slow sees 32 / alpha. A sum needs as many
    channels as Slow has, alpha * beta = 1, which holds here for alpha = 8.
    """
    dials = {
        "kind": widgets.SelectionSlider(options=list(KINDS), description="kind"),
        "kernel": widgets.SelectionSlider(
            options=KERNELS, value=5, description="kernel of T-conv"
        ),
        "alpha": widgets.SelectionSlider(
            options=ALPHAS, value=8, description="alpha, the stride"
        ),
    }

    def draw(kind: str, kernel: int, alpha: int) -> tuple[Figure, str]:
        config = joined(KINDS[kind], kernel, alpha)
        return lateral_reads(reads_behind(config)), _sentence(kind, config)

    told = "dials for a lateral's kind, kernel and stride, and a picture that follows"
    return dialled(dials, draw, told)
