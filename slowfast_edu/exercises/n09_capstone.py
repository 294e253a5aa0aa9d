"""Exercises of notebook 09: what differs between two runs, and how sure a difference is."""

import statistics
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from slowfast_edu.analysis.seeds import permutation_p
from slowfast_edu.claims import RUNS
from slowfast_edu.claims.comparing import results, settings
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written

OUTCOMES = ("seed", "top1", "cpu_seconds")  # of a record, beside its settings
TEST_CLIPS = 2000
CLOSE = 1e-6  # deals nearer than this must be equal, or rounding would decide

# 09.one_factor


def _records(rng: np.random.Generator) -> list[tuple[dict, dict]]:
    """Pairs of runs: named ones, one run with two seeds, two that have the same numbers."""
    pairs = [
        (("actions", "slowfast"), ("actions", "slowfast_gray")),
        (("actions", "slow"), ("actions", "slow_8x8")),
        (("binding", "slowfast_t_conv"), ("binding", "slowfast_no_lateral")),
        (("spin", "fast"), ("hue", "fast_rgb")),
        (("hue", "fast_gray"), ("spin", "slowfast")),
        (("actions", "slowfast"), ("actions", "slowfast")),
    ]
    names = list(RUNS)
    pairs += [tuple(names[i] for i in rng.choice(len(names), 2)) for _ in range(5)]
    records = [tuple(_record(name, rng) for name in pair) for pair in pairs]
    twin = _record(("actions", "slowfast_alpha_2"), rng)
    alike = {**twin, "model.clip.alpha": 8}
    unset = {**twin, "model.pretrained": None}  # a setting, though it is None
    return [*records, (twin, alike), (twin, unset), (unset, alike)]


def _record(name: tuple[str, str], rng: np.random.Generator) -> dict:
    top1, cpu_seconds = rng.uniform(0.1, 1), rng.uniform(20, 130)
    found = {"top1": round(float(top1), 4), "cpu_seconds": round(float(cpu_seconds), 1)}
    return {"seed": int(rng.integers(100)), **settings(RUNS[name]), **found}


_MISSING = object()


def _differing(one: dict, other: dict, names: Sequence[str] | None = None) -> list[str]:
    names = one.keys() | other.keys() if names is None else names
    unlike = (n for n in names if one.get(n, _MISSING) != other.get(n, _MISSING))
    return sorted(name for name in unlike if name not in OUTCOMES)


def _by_get(one: dict, other: dict) -> list[str]:
    return [name for name in _differing(one, other) if one.get(name) != other.get(name)]


def _with_fairness(names: list[str]) -> tuple[list[str], bool]:
    return names, len(names) == 1


def _with_outcomes(one: dict, other: dict) -> tuple:
    return _with_fairness(
        sorted(_differing(one, other) + [n for n in OUTCOMES if one[n] != other[n]])
    )


def _or_none(one: dict, other: dict) -> tuple:
    names = _differing(one, other)
    return names, len(names) <= 1


ONE_FACTOR = Exercise(
    name="09.one_factor",
    title="Is it one thing that differs?",
    minutes=6,
    difficulty=1,
    points=3,
    answer=lambda one, other: _with_fairness(_differing(one, other)),
    inputs=_records,
    mistakes=(
        Mistake(
            answer=_with_outcomes,
            cause="you counted seed, top1 and cpu_seconds too; those are drawn or "
            "measured, nobody set them",
        ),
        Mistake(
            answer=lambda one, other: _with_fairness(_differing(one, other, list(one))),
            cause="you looked only at the settings that the first run has; the second may "
            "have others",
        ),
        Mistake(
            answer=lambda one, other: _with_fairness(
                _differing(one, other, [name for name in one if name in other])
            ),
            cause="you looked only at settings that both runs have; what one of them lacks "
            "differs as well",
        ),
        Mistake(
            answer=_or_none,
            cause="you called a comparison fair in which nothing differs; one factor is "
            "exactly one, and none is a comparison of seeds",
        ),
        Mistake(
            answer=lambda one, other: _with_fairness(_by_get(one, other)),
            cause="you asked with get, which gives None both for a setting that is None "
            "and for one that is missing",
        ),
    ),
    hints=(
        "Which names can differ: those of the one, of the other, or of either?",
        "one.keys() | other.keys() are all names; leave out the three that nobody set.",
        "sorted(n for n in names if n not in one or n not in other or one[n] != other[n]); "
        "fair if there is exactly one.",
    ),
)

# 09.seeds


def _seeds(one: list[int], other: list[int]) -> tuple[float, float]:
    p = permutation_p(one, other)
    return statistics.fmean(one) - statistics.fmean(other), p


def _accuracies(rng: np.random.Generator) -> list[tuple[list[int], list[int]]]:
    """Numbers of right clips: the two worked pages, other sizes, equal results, none."""
    worked = (("actions", "slow", "slowfast"), ("binding", "slowfast_t_conv", "slow"))
    groups = [tuple(_right(task, model) for model in pair) for task, *pair in worked]
    groups += [([1900, 1900, 1910], [1900, 1880, 1900]), ([1500], [1400, 1450, 1480])]
    for one, other in ((2, 4), (3, 5), (4, 4), (5, 3)):
        groups.append(_drawn(rng, one, other))
    return [*groups, ([], [1900, 1910])]


def _right(task: str, model: str) -> list[int]:
    return [round(top1 / 100 * TEST_CLIPS) for top1 in results(task, model)]


def _drawn(rng: np.random.Generator, one: int, other: int) -> tuple[list[int], list[int]]:
    """Results in which no two different deals are equally far apart but for rounding."""
    while True:
        drawn = rng.integers(1700, 1950, one + other).tolist()
        first, rest = drawn[:one], drawn[one:]
        deals = [abs(d) for d in _deals(first, rest)]
        near = [d for d in deals if abs(d - deals[0]) < CLOSE]
        if all(d == deals[0] for d in near) and first[0] > rest[0]:
            return first, rest


def _deals(one: list[int], other: list[int]) -> list[float]:
    """The difference of means of every deal, the real one first."""
    everything = [*one, *other]
    return [_apart(chosen, everything) for chosen in combinations(everything, len(one))]


def _apart(chosen: Sequence[int], everything: list[int]) -> float:
    left = len(everything) - len(chosen)
    return sum(chosen) / len(chosen) - (sum(everything) - sum(chosen)) / left


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def _one_sided(one: list[int], other: list[int]) -> tuple:
    deals = _deals(one, other)
    return deals[0], _share([deal >= deals[0] for deal in deals])


def _strictly(one: list[int], other: list[int]) -> tuple:
    deals = _deals(one, other)
    return deals[0], _share([abs(deal) > abs(deals[0]) for deal in deals])


def _each_once(one: list[int], other: list[int]) -> tuple:
    everything = sorted([*one, *other])
    ways = sorted(set(combinations(everything, len(one))))
    ours = _apart(one, everything)
    return ours, _share([abs(_apart(way, everything)) >= abs(ours) for way in ways])


def _sums(one: list[int], other: list[int]) -> tuple:
    ours, total = statistics.fmean(one) - statistics.fmean(other), sum(one) + sum(other)
    far = [abs(2 * sum(w) - total) for w in combinations([*one, *other], len(one))]
    return ours, _share([way >= far[0] for way in far])


SEEDS = Exercise(
    name="09.seeds",
    title="The exact p-value of a difference",
    minutes=9,
    difficulty=3,
    points=3,
    answer=_seeds,
    inputs=_accuracies,
    mistakes=(
        Mistake(
            answer=_one_sided,
            cause="you counted deals in one direction only; without an effect a "
            "difference as large the other way is as likely, so compare sizes with abs",
        ),
        Mistake(
            answer=_strictly,
            cause="you counted only larger differences; *at least as large* counts ours "
            "too, and p is never zero",
        ),
        Mistake(
            answer=_each_once,
            cause="you counted equal deals once; two runs with the same result are still "
            "two runs, so deal out runs and not values",
        ),
        Mistake(
            answer=_sums,
            cause="you compared sums; with groups of unequal size only means compare",
        ),
        Mistake(
            answer=lambda one, other: (-_seeds(one, other)[0], permutation_p(one, other)),
            cause="you subtracted the first mean from the second",
        ),
    ),
    hints=(
        "Put all results in one list. Which len(one) of them could have been the first "
        "group?",
        "combinations(everything, len(one)) deals out the first group; what is left is the "
        "second, and its sum is the whole sum less the first's.",
        "p is the share of deals with abs(sum(dealt) / n - (total - sum(dealt)) / m) >= "
        "abs(difference), for n and m runs.",
    ),
)

QUESTION = Written(
    name="09.question", title="Your question", minutes=8, difficulty=2, points=6
)
FINDING = Written(
    name="09.finding",
    title="Your finding, on one page",
    minutes=22,
    difficulty=3,
    points=14,
)

EXERCISES = (ONE_FACTOR, SEEDS, QUESTION, FINDING)
