"""Two exercises of notebook 07: how sure a model may be, and how lucky it was."""

import math
from collections.abc import Callable

import numpy as np

from slowfast_edu.exercises.exercise import Exercise, Mistake
from slowfast_edu.training import metrics

# 07.ece


def _parts(chances: np.ndarray, labels: np.ndarray, bins: int, past: bool = False) -> tuple:
    """(clips, right ones, sum of confidence, middle) of each bin that holds a clip."""
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == labels
    place = np.searchsorted(np.arange(1, bins) / bins, sure) + (past & (sure == 1))
    held = [place == number for number in np.unique(place)]
    middles = (np.unique(place) + 0.5) / bins
    sums = [(own.sum(), right[own].sum(), sure[own].sum()) for own in held]
    return *(np.array(column) for column in zip(*sums, strict=True)), middles


def _wrongly(error: Callable, past: bool = False) -> Callable:
    """An answer that makes something else of the bins."""
    return lambda chances, labels, bins: float(error(*_parts(chances, labels, bins, past)))


def _without_the_surest(chances: np.ndarray, labels: np.ndarray, bins: int) -> float:
    kept = chances.max(axis=1) < 1
    error = metrics.calibration(chances[kept], labels[kept], bins).error
    return error * float(kept.mean())


def _chances(rng: np.random.Generator) -> list[tuple]:
    one_sure = np.array([[1.0, 0.0], [0.95, 0.05], [0.02, 0.98], [0.63, 0.37]])
    edges = np.array([[0.75, 0.25], [0.25, 0.75], [0.6, 0.4], [0.9, 0.1]])
    drawn = [(one_sure, np.array([1, 0, 1, 1]), 10), (edges, np.array([0, 0, 0, 1]), 4)]
    for bins in (1, 4, 5, 10, 10, 12, 15):
        chances = rng.dirichlet(np.full(4, 0.4), 24)
        lucky = rng.random(24) < 0.7
        labels = np.where(lucky, chances.argmax(axis=1), rng.integers(0, 4, 24))
        drawn.append((chances, labels, bins))
    return drawn


ECE = Exercise(
    name="07.ece",
    title="The expected calibration error",
    minutes=8,
    difficulty=3,
    points=3,
    answer=lambda chances, labels, bins: metrics.calibration(chances, labels, bins).error,
    inputs=_chances,
    mistakes=(
        Mistake(
            answer=_wrongly(lambda n, right, sure, _: np.abs(right / n - sure / n).mean()),
            cause="you gave every bin the same weight; a bin counts by its share of videos",
        ),
        Mistake(
            answer=_wrongly(lambda n, right, sure, _: abs((right - sure).sum()) / n.sum()),
            cause="you let bins that are too sure make up for those that are not sure "
            "enough; take the distance in each bin, then the mean",
        ),
        Mistake(
            answer=_wrongly(lambda n, right, sure, _: np.abs(right / n - sure / n).max()),
            cause="you took the worst bin, which is the *maximum* calibration error",
        ),
        Mistake(
            answer=_wrongly(lambda n, right, _, at: np.abs(right - at * n).sum() / n.sum()),
            cause="you took the middle of a bin for its confidence; it is the mean of the "
            "confidences in it",
        ),
        Mistake(
            answer=_wrongly(
                lambda n, right, sure, _: np.abs(right - sure).sum() / n.sum(), past=True
            ),
            cause="you gave a confidence of exactly 1 a bin of its own; the last bin "
            "includes it",
        ),
        Mistake(
            answer=_without_the_surest,
            cause="you lost videos with a confidence of exactly 1; a bin includes its "
            "upper edge",
        ),
        Mistake(
            answer=lambda chances, labels, bins: (
                metrics.calibration(chances, labels, bins).error
                if len(_parts(chances, labels, bins)[0]) == bins
                else float("nan")
            ),
            cause="you took the mean of an empty bin, which is NaN; leave out bins "
            "without a video",
        ),
    ),
    hints=(
        "Of each video you need how sure the answer is, and whether it is right.",
        "In each bin: the share that is right minus the mean confidence, without its "
        "sign. What weight has a bin?",
        "np.ceil(sure * bins) - 1 is the bin. Sum n / N * abs(right.mean() - sure.mean()).",
    ),
)

# 07.coin


def _tail(less: int, total: int) -> float:
    return sum(math.comb(total, k) for k in range(less + 1)) / 2**total


def _split(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """(the smaller part, all) of the videos that only one of two is right about."""
    only = int((one & ~other).sum()), int((other & ~one).sum())
    return min(only), sum(only)


def _split_alone(one: np.ndarray, other: np.ndarray) -> float:
    less, total = _split(one, other)
    return math.comb(total, less) / 2**total


def _paired(rng: np.random.Generator) -> list[tuple]:
    counts = [(180, 2, 8, 10), (30, 0, 0, 10), (20, 5, 5, 2), (1, 0, 10, 1)]
    counts += [tuple(rng.integers(1, 14, 4)) for _ in range(6)]
    kinds = [(1, 1), (1, 0), (0, 1), (0, 0)]
    drawn = []
    for count in counts:
        pairs = rng.permutation(np.repeat(kinds, count, axis=0)).astype(bool)
        drawn.append((pairs[:, 0], pairs[:, 1]))
    return drawn


COIN = Exercise(
    name="07.coin",
    title="Could a coin have done it?",
    minutes=8,
    difficulty=3,
    points=3,
    answer=lambda one, other: min(1.0, 2 * _tail(*_split(one, other))),
    inputs=_paired,
    view=lambda chance, *_: float(chance),
    mistakes=(
        Mistake(
            answer=lambda one, other: _tail(*_split(one, other)),
            cause="you counted one direction; before the test nobody said which of the two "
            "would win, so both count",
        ),
        Mistake(
            answer=_split_alone,
            cause="you took this very split; splits that are more uneven count too",
        ),
        Mistake(
            answer=lambda one, other: (
                2 * (_tail(*_split(one, other)) - _split_alone(one, other))
            ),
            cause="you left out this very split; *at least as unevenly* includes it",
        ),
        Mistake(
            answer=lambda one, other: min(
                1.0, 2 * _tail(min(one.sum(), other.sum()), len(one))
            ),
            cause="you counted all videos; those on which the two agree do not say which "
            "is better",
        ),
        Mistake(
            answer=lambda one, other: 2 * _tail(*_split(one, other)),
            cause="you doubled without a limit; for an even split that gives more than 1, "
            "and no probability is",
        ),
    ),
    hints=(
        "Each video on which the two disagree is one toss. How many tosses are there?",
        "Of n tosses, k heads or fewer have the chance sum(comb(n, i) for i <= k) / 2**n.",
        "k is the smaller of the two counts; twice that sum, but at most 1.",
    ),
)
