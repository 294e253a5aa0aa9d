"""Figures of what a model sees: stem filters, Grad-CAM on frames, what laterals add."""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import nn

from slowfast_edu.checks import check_choice, check_frames, check_model
from slowfast_edu.config import LUMA, ClipConfig
from slowfast_edu.sampling import fast_indices, slow_positions
from slowfast_edu.viz.frames import mosaic
from slowfast_edu.viz.style import (
    BLACK,
    GREEN,
    PATHWAY_HATCHES,
    TEXT_COLORS,
    new_figure,
)

COLUMNS = 16  # small pictures side by side
HEAT = "viridis"
OPACITY = 0.55  # of a map over its frame
PATHWAYS = ("slow", "fast", "backbone")


def _stem(model: nn.Module, pathway: str) -> np.ndarray:
    """The first convolution's kernels, (filters, k_t, k, k, RGB)."""
    check_model(model)
    found = [name for name in PATHWAYS if getattr(model, name, None) is not None]
    check_choice("pathway", pathway, found)
    modules = getattr(model, pathway).modules()
    stem = next(module for module in modules if isinstance(module, nn.Conv3d))
    kernels = stem.weight.detach().cpu()
    if kernels.shape[1] not in (1, 3):
        raise ValueError(
            f"conv1 of {pathway} reads {kernels.shape[1]} channels, which are no colours; "
            "drawn are filters of 'rgb', 'half', 'gray' and 'time_difference'"
        )
    return kernels.expand(-1, 3, -1, -1, -1).permute(0, 2, 3, 4, 1).numpy()


def stem_filters(model: nn.Module, pathway: str) -> Figure:
    """The filters of conv1 as pictures: of Slow 7x7, of Fast five 7x7 one after another.

    Zero is mid-grey, and each filter has a scale of its own: its largest weight is full
    colour. Batch normalisation follows, so that the size of a filter's weights means
    nothing. A grey filter weighs R, G and B alike; pictures that differ from one
    frame to the next are a filter of change.

    Args:
        model: of this library.
        pathway: "slow", "fast", or "backbone" of a baseline.

    Raises:
        ValueError: the model has no such pathway, or filters of flow, without colours.
    """
    kernels = _stem(model, pathway)
    count, frames = kernels.shape[:2]
    largest = np.abs(kernels).max(axis=(1, 2, 3, 4), keepdims=True)
    scaled = np.divide(kernels, largest, out=np.zeros_like(kernels), where=largest > 0)
    pictures = np.round(127.5 + 127.5 * scaled).astype(np.uint8)
    filters = np.stack([mosaic(one, frames, gap=1) for one in pictures])
    columns = min(count, COLUMNS // frames)
    sheet = mosaic(filters, columns, gap=3)
    figure = new_figure(9, 0.4 + 8.5 * sheet.shape[0] / sheet.shape[1])
    axis = figure.subplots()
    axis.imshow(sheet, interpolation="nearest")
    axis.set_axis_off()
    height, width = filters.shape[1] + 3, filters.shape[2] + 3
    for i in range(count):
        place = i % columns * width - 0.5, i // columns * height + height - 3.4
        axis.text(*place, str(i), fontsize=7, va="top", color=BLACK)
    size = "x".join(map(str, kernels.shape[1:4]))
    order = f"; left to right: frames {-(frames // 2)} to +{frames // 2}"
    title = f"{pathway}: {count} filters of {size}{order if frames > 1 else ''}"
    color = TEXT_COLORS[pathway]
    axis.set_title(title, loc="left", color=color, weight="bold", fontsize=9)
    return figure


def _fit(cam: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map's pixels repeated or left out, to a picture's size; 0 to 1."""
    rows, columns = (
        np.arange(n) * k // n for n, k in zip(size, cam.shape[1:], strict=True)
    )
    return cam[:, rows][:, :, columns] / (cam.max() or 1)


def _overlaid(frames: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """Grey frames (T, H, W, 3) under the colours of a map, so that those are its own."""
    heat = 255 * colormaps[HEAT](_fit(cam, frames.shape[1:3]))[..., :3]
    grey = (frames @ np.array(LUMA))[..., None]
    return np.round(OPACITY * heat + (1 - OPACITY) * grey).astype(np.uint8)


def cam_strips(
    frames: np.ndarray, maps: Mapping[str, np.ndarray], clip: ClipConfig
) -> Figure:
    """Grad-CAM over the frames that each pathway sees, Slow's above Fast's, by time.

    A pathway's colours go from 0 to its own largest value, over all of its frames, so
    that frames can be compared, but not pathways. Below each frame stands its raw-frame
    number.

    Args:
        frames: uint8 (alpha * T, H, W, 3): what Fast sees, in colour.
        maps: {"slow": (T, H, W), "fast": (alpha * T, H, W)}, one of them, or
            {"backbone": (T, H, W)}: ``cams.maps``.
        clip: of the model, ``model.config.clip``.

    Raises:
        ValueError: no map, an unknown pathway, or another number of frames.
    """
    rows = _tiles(frames, maps, clip)
    count, numbers = len(frames), fast_indices(clip)
    columns = min(count, COLUMNS if count > COLUMNS else COLUMNS // 2)
    gap = max(2, frames.shape[1] // 5)
    bands = [(name, start) for start in range(0, count, columns) for name in rows]
    joined = [mosaic(rows[name][s : s + columns], columns, gap) for name, s in bands]
    joined = np.concatenate(joined)
    figure = new_figure(11, 0.3 + 10 * joined.shape[0] / joined.shape[1])
    axis = figure.subplots()
    axis.imshow(joined)
    axis.set_axis_off()
    tall, wide = frames.shape[1] + gap, frames.shape[2] + gap
    for band, (name, start) in enumerate(bands):
        color, top = TEXT_COLORS[name], band * tall
        label = name if np.any(maps[name]) else f"{name}\nall 0"
        middle = top + frames.shape[1] / 2
        axis.text(-gap, middle, label, ha="right", va="center", color=color)
        for column in range(min(columns, count - start)):
            if (rows[name][start + column] < 255).any():  # a frame, no blank
                place = column * wide + frames.shape[2] / 2, top + frames.shape[1]
                number = numbers[start + column]
                axis.text(*place, number, fontsize=8, ha="center", va="top", color=color)
    scale = "colour: from 0 (dark) to the pathway's largest value (yellow)"
    axis.set_title(scale, loc="left", fontsize=8)
    return figure


def _tiles(frames, maps, clip) -> dict[str, np.ndarray]:
    """{pathway: one picture for each of Fast's frames, white where it has none}."""
    check_frames(frames)
    if not maps or len(frames) != clip.fast_frames:
        raise ValueError(
            f"{len(frames)} frames and {len(maps)} maps; give alpha * T = "
            f"{clip.fast_frames} frames and at least one map"
        )
    rows = {}
    for name, cam in maps.items():
        check_choice("pathway", name, PATHWAYS)
        positions = np.arange(len(frames))
        if name == "slow":
            positions = slow_positions(len(frames), clip.alpha, clip.frame_rule)
        if np.ndim(cam) != 3 or len(cam) != len(positions):
            raise ValueError(
                f"maps[{name!r}] has shape {np.shape(cam)}, must be ({len(positions)}, H, "
                "W): one for each frame that the pathway sees"
            )
        rows[name] = np.full_like(frames, 255)
        rows[name][positions] = _overlaid(frames[positions], np.asarray(cam))
    return rows


def lateral_share(shares: Mapping[str, np.ndarray]) -> Figure:
    """How much of each channel's response comes from the lateral: a bar each, sorted.

    The dashed line is half: above it the lateral moves a channel more than Slow's own
    channels do.

    Args:
        shares: {"pool1": (C,) from 0 to 1, ...}, by the stage that a lateral follows.

    Returns:
        The figure.

    Raises:
        ValueError: no entry, or one that is not a row of shares.
    """
    if not shares:
        raise ValueError("shares is empty; give {'pool1': (C,) from 0 to 1}")
    figure = new_figure(2.6 * len(shares) + 0.6, 2.8)
    axes = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
    for axis, (name, share) in zip(axes, shares.items(), strict=True):
        share = np.sort(np.asarray(share, dtype=float))[::-1]
        if share.ndim != 1 or not len(share) or share[0] > 1 or share[-1] < 0:
            raise ValueError(
                f"shares[{name!r}] has shape {share.shape}, must be (C,) of 0 to 1: "
                "parts.share"
            )
        hatch = PATHWAY_HATCHES["lateral"] if len(share) <= 64 else ""
        bars = {"color": GREEN, "edgecolor": "white", "linewidth": 0, "hatch": hatch}
        axis.bar(range(len(share)), share, width=0.9, **bars)
        axis.axhline(0.5, color=BLACK, linestyle="--", linewidth=0.8)
        title = f"after {name}: mean {share.mean():.2f}"
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_xlabel(f"{len(share)} channels, sorted", fontsize=8)
        axis.set(ylim=(0, 1), xticks=[])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("the lateral's share", fontsize=8)
    return figure
