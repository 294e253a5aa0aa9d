"""How sure a difference is between two groups of runs that differ in their seeds."""

import math
import statistics
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

ROUNDING = 1e-9  # of sums in another order
# Student's t, two-sided 95%, of 1 to 30 degrees of freedom: the usual table, as in the
# NIST/SEMATECH e-Handbook, 1.3.6.7.2. A test integrates the density.
STUDENT_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


class Interval(NamedTuple):
    """A difference of two means, and the 95% interval around it."""

    points: float
    low: float
    high: float


def dealt_as_far(one: Sequence[float], other: Sequence[float]) -> tuple[int, int]:
    """In how many deals of all results onto two groups the means lie as far apart.

    All results are dealt out to two groups of these sizes in every possible way; counted
    are the ways whose means differ, either way, by at least as much as they did.

    Returns:
        Those ways, and all ways.

    Raises:
        ValueError: a group is empty.
    """
    _check_groups(one, other, least=1)
    everything, size = [*one, *other], len(one)
    observed = abs(statistics.fmean(one) - statistics.fmean(other))
    total, as_far, ways = sum(everything), 0, 0
    for dealt in combinations(everything, size):
        first = sum(dealt)
        apart = first / size - (total - first) / len(other)
        as_far += abs(apart) >= observed - ROUNDING
        ways += 1
    return as_far, ways


def permutation_p(one: Sequence[float], other: Sequence[float]) -> float:
    """How often chance alone deals out a difference of means as large as this one.

    Exact; it supposes only that, without an effect, any seed could have been in either
    group.

    Raises:
        ValueError: a group is empty.

    >>> permutation_p([5, 6, 7], [1, 2, 3])  # 2 of the 20 ways; less cannot be
    0.1
    """
    as_far, ways = dealt_as_far(one, other)
    return as_far / ways


def welch_reach(one: Sequence[float], other: Sequence[float], seeds: int = 0) -> float:
    """Half of Welch's 95% interval around the difference of two means.

    It supposes that seeds scatter normally about each mean, not that both scatter alike.
    Degrees of freedom are rounded down, and above 30 those of 30 are taken: a little too
    wide rather than too narrow.

    Args:
        one: results of one group, two or more.
        other: of the other.
        seeds: suppose that each group had so many, varying like these; 0 for as many as
            there are.

    Raises:
        ValueError: fewer than two results in a group, or no two that differ in either.
    """
    _check_groups(one, other, least=2)
    sizes = [seeds or len(group) for group in (one, other)]
    doubts = [
        statistics.variance(group) / size
        for group, size in zip((one, other), sizes, strict=True)
    ]
    if not any(doubts):
        raise ValueError(
            "one and other have no two results that differ: no spread, no interval"
        )
    shares = (doubt**2 / (size - 1) for doubt, size in zip(doubts, sizes, strict=True))
    freedom = int(sum(doubts) ** 2 / sum(shares) + ROUNDING)
    return STUDENT_95[min(freedom, len(STUDENT_95)) - 1] * math.sqrt(sum(doubts))


def difference_interval(one: Sequence[float], other: Sequence[float]) -> Interval:
    """The difference of two means, one minus other, with Welch's 95% interval.

    Raises:
        ValueError: see ``welch_reach``.
    """
    reach = welch_reach(one, other)
    points = statistics.fmean(one) - statistics.fmean(other)
    return Interval(points, points - reach, points + reach)


def _check_groups(one: Sequence, other: Sequence, least: int) -> None:
    for name, group in (("one", one), ("other", other)):
        if len(group) < least:
            raise ValueError(
                f"{name} has {len(group)} results, must have at least {least}; "
                "train with more seeds"
            )
