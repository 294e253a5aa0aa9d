"""How good predictions are: accuracies, confusion, calibration, average precision.

Plain NumPy, so that saved predictions can be judged anew without a model. Where the
highest scores are tied, one rule holds in all of them: the model gets no credit for a
choice that it did not make, so the tie is broken against it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slowfast_edu.checks import check_count

ABOVE_ONE = 1e-5  # what rounding may add to a probability


class Calibration(NamedTuple):
    """Confidence beside accuracy, in bins of equal width over [0, 1].

    Attributes:
        confidence: of each bin, the mean over its clips; NaN where there is none.
        accuracy: the same.
        count: clips of each bin.
        error: expected calibration error, between 0 and 1.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float


def top_k_accuracy(probabilities: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Share of clips whose true class is among the k highest scores.

    Another class with the same score counts as higher: constant scores are never right
    by chance. With k classes or fewer every clip is right, and the result is 1.

    Args:
        probabilities: (N, classes); any scores will do.
        labels: int (N,).
        k: 1 for top-1, 5 for top-5.

    Raises:
        ValueError: wrong shapes, no clip, NaN, a label that is no class, k below 1.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]], [0, 1], k=1)
    0.5
    """
    check_count("k", k)
    scores, labels = _checked(probabilities, labels)
    own = scores[np.arange(len(labels)), labels]
    as_high = (scores >= own[:, None]).sum(axis=1)  # itself included
    return float((as_high <= k).mean())


def confusion_matrix(probabilities: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """How often each class (row) was taken for each class (column).

    The prediction is the class of the highest score, of tied ones the first wrong one.

    Args:
        probabilities: (N, classes); any scores will do.
        labels: int (N,).

    Returns:
        int64 (classes, classes); the sum is N.

    Raises:
        ValueError: wrong shapes, no clip, NaN, a label that is no class.

    >>> confusion_matrix([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1]).tolist()
    [[1, 0], [1, 1]]
    """
    scores, labels = _checked(probabilities, labels)
    matrix = np.zeros((scores.shape[1],) * 2, dtype=np.int64)
    np.add.at(matrix, (labels, _predicted(scores, labels)), 1)
    return matrix


def mean_class_accuracy(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Top-1 accuracy of each class, averaged over the classes that occur.

    Unlike top-1 it cannot be had by always naming the most frequent class.

    Raises:
        ValueError: see ``confusion_matrix``.
    """
    matrix = confusion_matrix(probabilities, labels)
    clips = matrix.sum(axis=1)
    occurs = clips > 0
    return float((matrix.diagonal()[occurs] / clips[occurs]).mean())


def calibration(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> Calibration:
    """Whether a model that is 80% sure is right in 80% of cases (Guo et al., ICML 2017).

    Clips are binned by the highest probability; bin m holds ((m - 1) / bins, m / bins].
    The expected calibration error is the mean distance of a bin's accuracy from its
    confidence, weighted by its clips.

    Args:
        probabilities: (N, classes), each in [0, 1].
        labels: int (N,).
        bins: how many; 15 in Guo et al.

    Raises:
        ValueError: wrong shapes, no clip, NaN, no probabilities, a label that is no class.
    """
    check_count("bins", bins)
    scores, labels = _checked(probabilities, labels)
    if scores.min() < 0 or scores.max() > 1 + ABOVE_ONE:
        raise ValueError(
            f"probabilities reach from {scores.min():g} to {scores.max():g}, must lie in "
            "[0, 1]; of a model's output take the softmax"
        )
    sure = scores.max(axis=1)
    right = _predicted(scores, labels) == labels
    place = np.searchsorted(np.arange(1, bins) / bins, sure)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights, minlength=bins) for weights in (sure, right)]
    error = float(np.abs(sums[0] - sums[1]).sum() / len(labels))
    some = np.where(count, count, np.nan)
    return Calibration(sums[0] / some, sums[1] / some, count, error)


def mean_average_precision(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Of clips with several labels: mAP over the classes that have a positive.

    A class's average precision is the precision at each score, weighted by what that
    score adds to recall, without interpolation. Clips of equal score come in together.

    Args:
        probabilities: (N, classes); any scores will do.
        targets: 0 or 1, (N, classes).

    Raises:
        ValueError: wrong shapes, no clip, NaN, other targets, or none that is 1.

    >>> mean_average_precision([[0.9], [0.8], [0.7]], [[1], [0], [1]])  # (1 + 2/3) / 2
    0.8333333333333333
    """
    scores, targets = _scores(probabilities), np.asarray(targets)
    if targets.shape != scores.shape:
        raise ValueError(
            f"targets have shape {targets.shape}, must have that of the probabilities: "
            f"{scores.shape}"
        )
    if not np.isin(targets, (0, 1)).all():
        row, column = np.argwhere(~np.isin(targets, (0, 1)))[0]
        raise ValueError(f"targets[{row}, {column}]={targets[row, column]} must be 0 or 1")
    positive = targets == 1
    found = np.flatnonzero(positive.any(axis=0))
    if not len(found):
        raise ValueError("targets are all 0; at least one class must have a positive")
    return float(np.mean([_average_precision(scores[:, c], positive[:, c]) for c in found]))


def wilson_interval(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Where the true accuracy probably lies, after ``correct`` of ``total`` (Wilson 1927).

    Unlike accuracy +- z standard errors it stays in [0, 1] and has a width at 0 and 1.

    Args:
        correct: clips that were right.
        total: all clips.
        z: width in standard deviations; 1.96 gives 95%.

    Raises:
        ValueError: counts that cannot be, or a z that is not above 0.

    >>> low, high = wilson_interval(97, 100)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.915 to 0.990
    """
    check_count("total", total)
    check_count("correct", correct, 0)
    if correct > total:
        raise ValueError(f"correct={correct} must be at most total={total}")
    if not 0 < z < math.inf:
        raise ValueError(f"z={z} must be above 0; 1.96 gives 95%")
    wrong, spread = total - correct, z * z
    centre = correct + spread / 2
    half = z * math.sqrt(correct * wrong / total + spread / 4)
    high = (centre + half) / (total + spread) if wrong else 1.0  # but for rounding
    return (centre - half) / (total + spread), high


def _scores(probabilities: ArrayLike) -> np.ndarray:
    """As float64 (N, classes), refusing other shapes, emptiness and NaN."""
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(
            f"probabilities have shape {scores.shape}, must be (N, classes) with at least "
            "one of each"
        )
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        value = scores[row, column]
        raise ValueError(f"probabilities[{row}, {column}]={value} must be a finite number")
    return scores


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = _scores(probabilities), np.asarray(labels)
    clips, classes = scores.shape
    if labels.shape != (clips,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels are {labels.dtype} of shape {labels.shape}, must be whole numbers of "
            f"shape ({clips},), one for each clip"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise ValueError(
            f"labels[{wrong[0]}]={labels[wrong[0]]} names none of {classes} classes; it "
            f"must be 0 to {classes - 1}"
        )
    return scores, labels


def _predicted(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class of the highest score; of tied ones the first wrong one."""
    highest = scores == scores.max(axis=1, keepdims=True)
    tied = np.flatnonzero(highest.sum(axis=1) > 1)
    highest[tied, labels[tied]] = False
    return highest.argmax(axis=1)


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    order = np.argsort(-scores)
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # of clips of one score
    found = np.cumsum(positive[order])[last]
    recall_gains = np.diff(found, prepend=0) / found[-1]
    return float((recall_gains * found / (last + 1)).sum())
