"""Frames beside each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.viz.style import PATHWAY_COLORS, new_figure


def filmstrip(rows: dict[str, tuple[np.ndarray, Sequence[int]]], columns: int) -> Figure:
    """Frames in time order, one row a pathway, placed by their raw-frame number.

    Args:
        rows: {"slow": (frames, indices), ...}; frames are uint8 (T, H, W, 3) and indices
            their T raw-frame numbers. A row named after a pathway has its colour.
        columns: raw frames that the strip spans; frames are drawn at their place.

    Returns:
        The figure.
    """
    figure = new_figure(12, 0.4 + 1.1 * len(rows))
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axis, (name, (frames, indices)) in zip(axes, rows.items(), strict=True):
        width = columns / 16  # as wide as a sixteenth of the strip
        for frame, index in zip(frames, indices, strict=True):
            axis.imshow(frame, extent=(index, index + width, 0, width), aspect="equal")
        color = PATHWAY_COLORS.get(name, "black")
        axis.plot(
            np.asarray(indices), [-0.12 * width] * len(indices), "^", color=color, ms=4
        )
        axis.set(xlim=(-0.5, columns + width), ylim=(-0.25 * width, width * 1.02))
        axis.set_ylabel(name, color=color, weight="bold")
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("raw frame of the clip (a triangle marks each one that is seen)")
    return figure
