"""A widget: turn the score from which a detector is believed, and count its mistakes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from slowfast_edu.checks import check_frames
from slowfast_edu.viz.detection import draw_boxes
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.style import BLACK, BLUE, GREY, VERMILLION, new_figure

# What a statement "box 1 claps" turned out to be: its cell's look, and what that means.
CELLS = {
    "found": ({"facecolor": BLUE, "edgecolor": BLACK}, "said, and true"),
    "false": (
        {"facecolor": "white", "edgecolor": VERMILLION, "hatch": "////"},
        "said, and not true",
    ),
    "missed": (
        {"facecolor": "white", "edgecolor": BLUE, "linestyle": "--"},
        "true, and not said",
    ),
}


class Boxes(Protocol):
    """Boxes of one keyframe, as ``detect_keyframes`` gives them."""

    boxes: np.ndarray
    scores: np.ndarray


class Counts(NamedTuple):
    """Statements of the kind "box 1 claps" at one threshold.

    Attributes:
        found: made, and true.
        false: made, and not true.
        missed: true, and not made.
    """

    found: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """The share of the statements made that are true; NaN where none is made."""
        made = self.found + self.false
        return self.found / made if made else float("nan")

    @property
    def recall(self) -> float:
        """The share of the true statements that are made; NaN where none is true."""
        true = self.found + self.missed
        return self.found / true if true else float("nan")


def count_statements(scores: np.ndarray, true: np.ndarray, threshold: float) -> Counts:
    """What is found, false and missed if scores from ``threshold`` up are believed.

    Args:
        scores: (N, classes), between 0 and 1.
        true: (N, classes), 0 or 1, of the same boxes.
        threshold: the least score that counts as a yes.

    >>> count_statements(np.array([[0.9, 0.2]]), np.array([[1, 1]]), 0.5)
    Counts(found=1, false=0, missed=1)
    """
    made, right = np.asarray(scores) >= threshold, np.asarray(true) == 1
    kinds = made & right, made & ~right, ~made & right
    return Counts(*(int(kind.sum()) for kind in kinds))


def precision_recall(scores: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Recall and precision at every threshold that changes something, highest first.

    Shape: (N, classes), (N, classes) -> (thresholds, 2).

    >>> precision_recall(np.array([[0.9, 0.2]]), np.array([[1, 0]])).tolist()
    [[1.0, 1.0], [1.0, 0.5]]
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    last = np.flatnonzero(np.diff(scores.ravel()[order], append=-np.inf))
    found = np.cumsum((true == 1).ravel()[order])[last]
    return np.stack([found / (true == 1).sum(), found / (last + 1)], axis=1)


def _checked(frames: np.ndarray, detections: Sequence[Boxes], truths: Sequence[Boxes]):
    """Scores and truths of all keyframes, each as one array (N, classes)."""
    check_frames(frames)
    if not len(frames) <= len(detections) == len(truths) or not len(frames):
        raise ValueError(
            f"{len(frames)} frames, {len(detections)} detections and {len(truths)} truths; "
            "give as many truths as detections, and frames of the first of them"
        )
    if not any((one.scores == 1).any() for one in truths):
        raise ValueError("truths have no score of 1; there is nothing to find")
    for place, (found, true) in enumerate(zip(detections, truths, strict=True)):
        if found.scores.shape != true.scores.shape:
            raise ValueError(
                f"keyframe {place} has scores of shape {found.scores.shape} and truths of "
                f"{true.scores.shape}; ask the detector about the true boxes"
            )
    return (np.concatenate([one.scores for one in some]) for some in (detections, truths))


def threshold_figure(
    frames: np.ndarray,
    detections: Sequence[Boxes],
    truths: Sequence[Boxes],
    classes: Sequence[str],
    *,
    number: int = 0,
    threshold: float = 0.5,
) -> Figure:
    """One frame's boxes, what is said of each from a score up, and precision over recall.

    The detector was asked about the true boxes, so that only the action can be wrong.

    Args:
        frames: uint8 (F, H, W, 3), of the first F keyframes.
        detections: boxes and scores of every keyframe; the curve is of all.
        truths: the same boxes, with scores of 0 or 1.
        classes: names.
        number: which of the frames.
        threshold: the least score that is believed.

    Raises:
        ValueError: lists or shapes that do not go together.
    """
    scores, true = _checked(frames, detections, truths)
    figure = new_figure(11.5, 3.6)
    seen, cells, curve = figure.subplots(1, 3, width_ratios=(1, 2, 1.25))
    draw_boxes(seen, frames[number], detections[number].boxes)
    own = detections[number].scores, truths[number].scores
    _draw_cells(cells, *own, classes, threshold)
    told = "in this frame {} found, {} false, {} missed; scores in %"
    counts = count_statements(*own, threshold)
    cells.set_title(told.format(*counts), loc="left", fontsize=10)
    named = [Rectangle((0, 0), 1, 1, **look) for look, _ in CELLS.values()]
    words = [f"{name}: {meaning}" for name, (_, meaning) in CELLS.items()]
    figure.legend(named, words, loc="lower left", fontsize=9, frameon=False)
    recall, precision = precision_recall(scores, true).T
    curve.step(recall, precision, where="post", color=GREY)
    now = count_statements(scores, true, threshold)
    if now.found + now.false:
        curve.plot(now.recall, now.precision, "o", color=BLUE, ms=11, mec=BLACK)
    curve.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.08), xlabel="recall", ylabel="precision")
    for side in (curve.xaxis, curve.yaxis):
        side.set_major_formatter(PercentFormatter(1))
    curve.set_title(f"all {len(truths)} keyframes", loc="left", fontsize=10)
    curve.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_cells(axis, scores, true, classes: Sequence[str], threshold: float) -> None:
    """A row a box, a column a class, the score in percent in the cell."""
    for (row, column), score in np.ndenumerate(scores):
        counts = count_statements(score, true[row, column], threshold)
        kind = next((name for name in CELLS if getattr(counts, name)), "")
        if kind:
            place = column - 0.42, row - 0.42
            axis.add_patch(Rectangle(place, 0.84, 0.84, linewidth=1.8, **CELLS[kind][0]))
        text = {"ha": "center", "va": "center", "fontsize": 9.5}
        color = "white" if kind == "found" else BLACK if kind else GREY
        back = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
        axis.text(
            column,
            row,
            f"{100 * score:.0f}",
            color=color,
            weight="bold" if kind else "normal",
            bbox=back if kind == "false" else None,
            **text,
        )
    axis.set(xlim=(-0.6, len(classes) - 0.4), ylim=(len(scores) - 0.4, -0.6))
    axis.set_xticks(range(len(classes)), list(classes), rotation=40, ha="right")
    axis.set_yticks(range(len(scores)), [f"box {n + 1}" for n in range(len(scores))])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _sentence(own: Counts, every: Counts, number: int, threshold: float) -> str:
    """The picture in words, for who cannot see it."""
    made = every.found + every.false
    told = f"precision {every.precision:.0%}" if made else "no statement, so no precision"
    return (
        f"From a score of {threshold:.2f} up, frame {number + 1}: {own.found} found, "
        f"{own.false} false, {own.missed} missed. All keyframes: {every.found} found, "
        f"{every.false} false, {every.missed} missed; {told}, recall {every.recall:.0%}."
    )


def threshold_explorer(
    frames: np.ndarray,
    detections: Sequence[Boxes],
    truths: Sequence[Boxes],
    classes: Sequence[str],
) -> Dialled:
    """Dials for the least score that is believed and the frame, over ``threshold_figure``.

    Args: as there.

    Raises:
        ValueError: lists or shapes that do not go together.
    """
    scores, true = _checked(frames, detections, truths)
    look = {"min": 0.0, "max": 1.0, "step": 0.05, "value": 0.5}
    numbers = [(str(n + 1), n) for n in range(len(frames))]
    dials = {
        "threshold": widgets.FloatSlider(description="threshold", **look),
        "number": widgets.SelectionSlider(options=numbers, description="frame"),
    }

    def draw(threshold: float, number: int) -> tuple[Figure, str]:
        own = detections[number].scores, truths[number].scores
        counts = (count_statements(*pair, threshold) for pair in (own, (scores, true)))
        figure = threshold_figure(
            frames, detections, truths, classes, number=number, threshold=threshold
        )
        return figure, _sentence(*counts, number, threshold)

    told = "dials for the threshold and the frame, and what a detector finds and misses"
    return dialled(dials, draw, told)
