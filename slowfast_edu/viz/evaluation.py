"""Figures of an evaluation: accuracy against cost, who was taken for whom, how sure."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from slowfast_edu.config import ClipConfig
from slowfast_edu.sampling import view_starts
from slowfast_edu.viz.style import BLACK, BLUE, GREY, ORANGE, VERMILLION, new_figure

LOOKS = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": VERMILLION, "marker": "s", "linestyle": "--"},
    {"color": ORANGE, "marker": "^", "linestyle": "-."},
)


def accuracy_against_cost(
    points: Mapping[str, Sequence[Sequence[float]]], unit: str = "GMACs of a video"
) -> Figure:
    """Accuracy over what it costs, with intervals; cost on a logarithmic axis.

    Args:
        points: {name: [(cost, accuracy, low, high), ...]}, accuracies between 0 and 1;
            three names at most.
        unit: of the cost, to write under the axis.

    Returns:
        The figure.
    """
    figure = new_figure(8, 3.8)
    axis = figure.subplots()
    for (name, rows), look in zip(points.items(), LOOKS, strict=False):
        cost, value, low, high = np.array(rows, dtype=float).T
        reach = np.array([value - low, high - value])
        axis.errorbar(cost, value, reach, label=name, capsize=3, **look)
    axis.set_xscale("log")
    costs: list[float] = []
    for cost in sorted({row[0] for rows in points.values() for row in rows}):
        if not costs or cost > 1.25 * costs[-1]:  # or their numbers would overlap
            costs.append(cost)
    axis.set_xticks(costs, [f"{cost:.2g}" for cost in costs])
    axis.minorticks_off()
    axis.set_xlabel(f"{unit}, logarithmic")
    axis.set_ylabel("top-1 accuracy")
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.spines[["top", "right"]].set_visible(False)
    if len(points) > 1:
        axis.legend(frameon=False, loc="lower right")
    return figure


def confusion_chart(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """A confusion matrix: a row a true class, a column a prediction, counts in the cells.

    Colour is the share of the row.

    Args:
        matrix: int (classes, classes), of ``confusion_matrix``.
        classes: names.

    Returns:
        The figure.

    Raises:
        ValueError: a matrix that does not fit the names.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            f"matrix has shape {matrix.shape}, must be ({len(classes)}, {len(classes)}): "
            "a row and a column for each of the names"
        )
    share = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    side = 2 + 0.42 * len(classes)
    figure = new_figure(side + 1, side)
    axis = figure.subplots()
    axis.imshow(share, cmap="cividis", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = BLACK if share[row, column] > 0.47 else "white"
            axis.text(column, row, str(count), ha="center", va="center", color=color)
    axis.set_xticks(range(len(classes)), list(classes), rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), list(classes))
    axis.set_xlabel("taken for")
    axis.set_ylabel("true class")
    return figure


def reliability_chart(calibrations: Mapping[str, object]) -> Figure:
    """Accuracy over confidence, bin by bin: on the diagonal a model knows what it knows.

    Args:
        calibrations: {name: ``Calibration``}; three at most. A dot's area is its share of
            clips.

    Returns:
        The figure.
    """
    figure = new_figure(6.8, 4)
    axis = figure.subplots()
    axis.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, label="right as often as sure")
    for (name, found), look in zip(calibrations.items(), LOOKS, strict=False):
        there = found.count > 0
        sure, right = found.confidence[there], found.accuracy[there]
        axis.plot(sure, right, label=name, markersize=0, **look)
        area = 12 + 400 * found.count[there] / found.count.sum()
        axis.scatter(sure, right, s=area, color=look["color"], marker=look["marker"])
    axis.set_xlabel("how sure")
    axis.set_ylabel("how often right")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_formatter(PercentFormatter(1))
    axis.set(xlim=(0, 1.04), ylim=(0, 1.04))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def clips_over_video(clip: ClipConfig, video_frames: int, counts: Sequence[int]) -> Figure:
    """Which stretches of a video so many clips cover, one row a number of clips.

    Args:
        clip: T and tau say how many raw frames one spans.
        video_frames: of the video.
        counts: numbers of clips, such as (1, 3, 10).

    Returns:
        The figure.
    """
    figure = new_figure(9, 0.8 + 0.55 * len(counts))
    axis = figure.subplots()
    for row, count in enumerate(counts):
        spans = [(s, clip.raw_frames) for s in view_starts(clip, video_frames, count)]
        look = {"facecolor": BLUE, "edgecolor": BLACK, "alpha": 0.35}
        axis.broken_barh(spans, (row - 0.35, 0.7), **look)
    axis.set_yticks(range(len(counts)), [f"{n} clip{'s' * (n > 1)}" for n in counts])
    axis.invert_yaxis()
    axis.set_xlim(0, video_frames)
    axis.set_xlabel("raw frame of the video; where clips overlap it is darker")
    axis.spines[["top", "right", "left"]].set_visible(False)
    return figure


def time_bars(seconds: Mapping[str, Mapping[str, float]]) -> Figure:
    """What takes how long, one bar a case.

    Args:
        seconds: {"1 clip": {"reading": 0.1, "network": 0.05}, ...}; the same parts in
            each, three at most.

    Returns:
        The figure.
    """
    figure = new_figure(8, 1.1 + 0.5 * len(seconds))
    axis = figure.subplots()
    parts = list(next(iter(seconds.values())))
    ends = dict.fromkeys(seconds, 0.0)
    looks = zip((BLUE, ORANGE, GREY), ("", "///", ".."), strict=True)
    for part, (color, hatch) in zip(parts, looks, strict=False):
        widths = [case[part] for case in seconds.values()]
        look = {"color": color, "hatch": hatch, "edgecolor": "white"}
        axis.barh(list(seconds), widths, left=list(ends.values()), label=part, **look)
        ends = {name: ends[name] + case[part] for name, case in seconds.items()}
    axis.invert_yaxis()
    axis.set_xlabel("seconds")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
