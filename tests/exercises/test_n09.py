"""Notebook 09's exercises: by hand, by other right functions, and by one more wrong one."""

from itertools import combinations

import numpy as np
import pytest

from slowfast_edu.exercises import EXERCISES, examine


def answer(word, *given):
    return EXERCISES[f"09.{word}"].answer(*given)


def verdict(word, function, seed=0):
    return examine(EXERCISES[f"09.{word}"], function, seed)


RECORD = {"seed": 0, "beta": 1 / 4, "T": 4, "top1": 0.9, "cpu_seconds": 70.0}


@pytest.mark.parametrize(
    "changes, names",
    [
        ({"beta": 1 / 8}, ["beta"]),
        ({"T": 8, "beta": 1 / 8}, ["T", "beta"]),
        ({"seed": 1, "top1": 0.8, "cpu_seconds": 71.0}, []),
        ({"tau": 16}, ["tau"]),  # the other has none
        ({"non_local": None}, ["non_local"]),  # None is a setting too
    ],
)
def test_settings_differ_and_outcomes_do_not_count(changes, names):
    assert answer("one_factor", RECORD, RECORD | changes) == (names, len(names) == 1)


def test_names_may_be_found_in_another_way():
    def one_factor(one, other):
        names = []
        for name in sorted({*one, *other} - {"seed", "top1", "cpu_seconds"}):
            if name not in one or name not in other or one[name] != other[name]:
                names.append(name)
        return tuple(names), len(names) == 1

    assert verdict("one_factor", one_factor).right


def test_unsorted_names_are_another_answer():
    def one_factor(one, other):
        names, fair = answer("one_factor", one, other)
        return names[::-1], fair

    assert not verdict("one_factor", one_factor).right


# By hand: of 1, 2, 3, 4 dealt two and two the means are 2, 1, 0, 0, -1, -2 apart.
@pytest.mark.parametrize(
    "one, other, wanted",
    [
        ([3, 4], [1, 2], (2, 2 / 6)),
        ([1, 2], [3, 4], (-2, 2 / 6)),
        ([2, 4], [1, 3], (1, 4 / 6)),
        ([1, 4], [2, 3], (0, 1)),
        ([10], [1, 2, 3], (8, 1 / 4)),  # no deal is as far the other way
    ],
)
def test_p_is_the_share_of_deals_as_far_apart(one, other, wanted):
    assert answer("seeds", one, other) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(3))
def test_a_solution_without_room_for_rounding_passes_too(seed):
    """The inputs are whole numbers, in which equal deals come out equal."""

    def seeds(one, other):
        if not one or not other:
            raise ValueError("empty")
        everything = np.array([*one, *other])
        ours, far = np.mean(one) - np.mean(other), []
        for chosen in combinations(range(len(everything)), len(one)):
            rest = np.delete(everything, chosen)
            far.append(abs(everything[list(chosen)].mean() - rest.mean()) >= abs(ours))
        return float(ours), float(np.mean(far))

    assert verdict("seeds", seeds, seed).right


def test_random_deals_are_not_exact():
    def seeds(one, other):
        if not one or not other:
            raise ValueError("empty")
        rng, everything = np.random.default_rng(0), np.array([*one, *other])
        ours, far = np.mean(one) - np.mean(other), []
        for _ in range(200):
            dealt = rng.permutation(everything)
            far.append(abs(dealt[: len(one)].mean() - dealt[len(one) :].mean()))
        return float(ours), float(np.mean(np.array(far) >= abs(ours)))

    assert not verdict("seeds", seeds).right
