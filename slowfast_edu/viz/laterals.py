"""Which of Fast's frames a lateral connection reads."""

from collections.abc import Mapping

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from slowfast_edu.viz.style import BLACK, GREEN, GREY, PATHWAY_COLORS, new_figure

PITCH, GAP = 2.3, 1.0  # from one lateral to the next; from Fast's row up to Slow's


def _checked(label: str, reads: ArrayLike) -> np.ndarray:
    links = np.asarray(reads)
    if links.ndim != 2 or not links.size or links.shape[1] % links.shape[0]:
        raise ValueError(
            f"reads[{label!r}] has shape {links.shape}, must be (T, alpha * T): a row for "
            "each Slow frame, a column for each Fast frame"
        )
    return links != 0


def _draw_lateral(axis, height: float, links: np.ndarray) -> None:
    """Slow's frames above Fast's, and a line where one reads the other."""
    alpha = links.shape[1] // links.shape[0]
    reads = [((t * alpha, height + GAP), (f, height)) for t, f in np.argwhere(links)]
    axis.add_collection(LineCollection(reads, colors=GREEN, linewidths=1))
    slow = np.arange(links.shape[0]) * alpha
    blue, vermillion = PATHWAY_COLORS["slow"], PATHWAY_COLORS["fast"]
    axis.scatter(slow, np.full(len(slow), height + GAP), s=50, color=blue, zorder=3)
    read = links.any(axis=0)
    for chosen, look in (
        (read, {"marker": "s", "color": vermillion}),
        (~read, {"marker": "x", "color": GREY}),
    ):
        frames = np.flatnonzero(chosen)
        axis.scatter(frames, np.full(len(frames), height), s=44, zorder=3, **look)


def lateral_reads(reads: Mapping[str, ArrayLike]) -> Figure:
    """Slow's frames, Fast's frames, and lines from each of the first to what it reads.

    A blue circle is a Slow frame, above the Fast frame of the same moment. A filled
    square is a Fast frame that some Slow frame reads, a cross one that none does.

    Args:
        reads: {"T-conv, k=5": (T, alpha * T) true or false, ...}, one entry a lateral.

    Returns:
        The figure.

    Raises:
        ValueError: no entry, or one that has not alpha columns to a row.
    """
    if not reads:
        raise ValueError("reads is empty; give {label: (T, alpha * T) true or false}")
    checked = {label: _checked(label, links) for label, links in reads.items()}
    figure = new_figure(9, 0.6 + 0.85 * len(checked))
    axis = figure.subplots()
    longest = max(links.shape[1] for links in checked.values())
    for i, (label, links) in enumerate(checked.items()):
        height = -PITCH * i
        _draw_lateral(axis, height, links)
        middle = height + GAP / 2
        axis.text(-1.5, middle, label, ha="right", va="center", fontsize=10)
        count = f"reads {links.any(axis=0).sum()} of {links.shape[1]}"
        axis.text(longest + 0.5, middle, count, va="center", fontsize=10, color=BLACK)
    axis.set(xlim=(-10, longest + 5.5), ylim=(-PITCH * len(checked) + 1.5, GAP + 0.5))
    axis.set_xticks(range(0, longest, 4))
    axis.set_yticks([])
    axis.set_xlabel("Fast's frame")
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
    return figure
