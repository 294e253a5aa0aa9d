"""mAP of boxes in AVA's protocol: who does what where, at IoU 0.5.

It is the Pascal VOC measure that AVA's own evaluation takes from TensorFlow's object
detection, with one difference: detections of equal score come in together, so that the
result does not depend on their order.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np


class FrameBoxes(NamedTuple):
    """Boxes of one keyframe.

    Attributes:
        name: of the keyframe.
        boxes: (N, 4): x1, y1, x2, y2.
        scores: (N, classes): of what was detected any numbers, the higher the surer; of
            what is true 0 or 1.
    """

    name: str
    boxes: np.ndarray
    scores: np.ndarray


class FrameMap(NamedTuple):
    """Average precision of boxes.

    Attributes:
        mean: over the classes that count and have a true box.
        of_class: (classes,), NaN of any other class.
        true_boxes: int (classes,), how many there are.
    """

    mean: float
    of_class: np.ndarray
    true_boxes: np.ndarray


def box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of each box with each other one; 0 of two without area.

    Shape: (N, 4), (M, 4) -> float64 (N, M).

    >>> box_iou(np.array([[0, 0, 1, 1]]), np.array([[0, 0, 0.5, 1]])).item()
    0.5
    """
    a = np.asarray(boxes, dtype=np.float64)[:, None]
    b = np.asarray(others, dtype=np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = sides.clip(min=0).prod(axis=-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (a, b)]
    union = areas[0] + areas[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def frame_map(
    detections: Sequence[FrameBoxes],
    truths: Sequence[FrameBoxes],
    *,
    classes: Collection[int] | None = None,
    excluded: Collection[str] = (),
    iou: float = 0.5,
) -> FrameMap:
    """Mean average precision over all keyframes together.

    Each detection goes to the true box of its class that it overlaps most. It is right if
    their IoU is at least ``iou`` and no higher score was right about that box before. A
    detection on a keyframe without truths is wrong. Average precision is the area
    under the precision that this or any higher recall reaches.

    Args:
        detections: at most one of each keyframe.
        truths: the same.
        classes: which count; AVA evaluates 60 of 80.
        excluded: names of keyframes to leave out.
        iou: least overlap, above 0.

    Raises:
        ValueError: shapes or names that do not go together, or no true box that counts.
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou={iou} must be above 0 and at most 1; AVA's is 0.5")
    detections, truths = (
        _by_name(given, what, excluded)
        for given, what in ((detections, "detections"), (truths, "truths"))
    )
    width = _classes(detections, truths)
    counted = _counted(classes, width)
    true_boxes = sum((frame.scores == 1).sum(axis=0) for frame in truths.values())
    scores, right = [np.zeros((0, width))], [np.zeros((0, width), dtype=bool)]
    for name, frame in detections.items():
        scores.append(frame.scores)
        right.append(_right(frame, truths.get(name), iou))
    scores, right = np.concatenate(scores), np.concatenate(right)
    of_class = np.full(width, np.nan)
    for place in counted:
        if true_boxes[place]:
            columns = scores[:, place], right[:, place]
            of_class[place] = average_precision(*columns, true_boxes[place])
    if np.isnan(of_class).all():
        raise ValueError("truths have no box of a class that counts; give at least one")
    return FrameMap(float(np.nanmean(of_class)), of_class, true_boxes)


def average_precision(scores: np.ndarray, right: np.ndarray, true_boxes: int) -> float:
    """Area under precision over recall, as Pascal VOC takes it since 2010.

    Args:
        scores: (N,).
        right: bool (N,): which detections found a box that was not found before.
        true_boxes: how many there are to find.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # of those of one score
    found = np.cumsum(right[order])[last]
    precision = found / (last + 1)
    reached = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or above
    return float((np.diff(found, prepend=0) / true_boxes * reached).sum())


def _right(frame: FrameBoxes, truth: FrameBoxes | None, iou: float) -> np.ndarray:
    """Which detections of a keyframe are right: bool (N, classes)."""
    right = np.zeros(frame.scores.shape, dtype=bool)
    if truth is None or not len(frame.boxes):
        return right
    overlaps = box_iou(frame.boxes, truth.boxes)
    for place in np.flatnonzero((truth.scores == 1).any(axis=0)):
        own = overlaps[:, truth.scores[:, place] == 1]
        best = own.argmax(axis=1)
        meets = own.max(axis=1) >= iou
        order = np.argsort(-frame.scores[:, place], kind="stable")
        order = order[meets[order]]
        _, first = np.unique(best[order], return_index=True)
        right[order[first], place] = True
    return right


def _by_name(
    frames: Sequence[FrameBoxes], what: str, excluded: Collection[str]
) -> dict[str, FrameBoxes]:
    """Checked, without what is excluded."""
    found: dict[str, FrameBoxes] = {}
    for name, boxes, scores in frames:
        boxes, scores = np.asarray(boxes), np.asarray(scores)
        if name in found:
            raise ValueError(f"{what} hold {name!r} twice; put its boxes together")
        if boxes.shape != (len(scores), 4) or scores.ndim != 2:
            raise ValueError(
                f"{what} of {name!r} have boxes of shape {boxes.shape} and scores of "
                f"{scores.shape}; must be (N, 4) and (N, classes)"
            )
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError(f"{what} of {name!r} hold numbers that are not finite")
        found[name] = FrameBoxes(name, boxes, scores)
    return {name: frame for name, frame in found.items() if name not in set(excluded)}


def _classes(detections: dict[str, FrameBoxes], truths: dict[str, FrameBoxes]) -> int:
    """How many classes there are, the same everywhere."""
    if not truths:
        raise ValueError("truths hold no keyframe; give at least one")
    width = next(iter(truths.values())).scores.shape[1]
    for what, frames in (("truths", truths), ("detections", detections)):
        for name, frame in frames.items():
            if frame.scores.shape[1] != width:
                raise ValueError(
                    f"{what} of {name!r} have {frame.scores.shape[1]} classes, must have "
                    f"{width} as the first of truths"
                )
    if any(not np.isin(frame.scores, (0, 1)).all() for frame in truths.values()):
        raise ValueError("truths must have scores of 0 and 1; did they change places?")
    if detections and detections.keys().isdisjoint(truths):
        raise ValueError(
            f"no keyframe has both: detections begin with {next(iter(detections))!r}, "
            f"truths with {next(iter(truths))!r}; the names must be the same"
        )
    return width


def _counted(classes: Collection[int] | None, width: int) -> list[int]:
    counted = range(width) if classes is None else sorted(set(classes))
    wrong = [place for place in counted if place not in range(width)]
    if wrong:
        raise ValueError(
            f"classes hold {wrong[0]}, must be 0 to {width - 1}: places, so that AVA's "
            "action 1 is 0"
        )
    return list(counted)
