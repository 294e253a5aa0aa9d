"""Notebook 02's exercises on channels: what beta makes of them, and what can be paid."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slowfast_edu.analysis import closed_form_macs
from slowfast_edu.config import PRESETS
from slowfast_edu.exercises.exercise import Exercise, Mistake

# 02.channels


def _channels(rng: np.random.Generator) -> list[tuple]:
    slow = [64, 256, 512, 1024, 2048]
    return [(int(c), int(b)) for c in slow for b in rng.choice([2, 4, 8, 16, 32], 3)]


CHANNELS = Exercise(
    name="02.channels",
    title="Fast's channels and its cost per frame",
    minutes=6,
    difficulty=2,
    points=2,
    answer=lambda slow, beta_inv: (slow // beta_inv, 1 / beta_inv**2),
    inputs=_channels,
    mistakes=(
        Mistake(
            answer=lambda slow, beta_inv: (slow // beta_inv, 1 / beta_inv),
            cause="you let the cost fall with the channels once; a convolution between "
            "two of Fast's layers has fewer channels going in *and* coming out",
        ),
        Mistake(
            answer=lambda slow, beta_inv: (slow * beta_inv, float(beta_inv**2)),
            cause="you multiplied; Fast is the thin pathway",
        ),
        Mistake(
            answer=lambda slow, beta_inv: (slow // beta_inv, beta_inv**2),
            cause="you said how many times cheaper Fast is; its share is one over that",
        ),
        Mistake(
            answer=lambda slow, beta_inv: (slow / beta_inv, 1 / beta_inv**2),
            cause="you gave a float: a number of channels is an int, so divide with //",
        ),
        Mistake(
            answer=lambda slow, beta_inv: (slow // beta_inv, 1 / beta_inv**3),
            cause="you let the cost fall three times; channels in and channels out are two",
        ),
    ),
    hints=(
        "beta = 1 / beta_inv is the ratio of Fast's channels to Slow's.",
        "A convolution costs positions x channels out x kernel volume x channels in.",
        "Both channels out and channels in are divided by beta_inv.",
    ),
)


# 02.budget

BETA_INVERSES = (2, 4, 8, 16, 32)


def _gmacs(beta_inv: int, T: int = 4) -> float:
    clip = replace(PRESETS["slowfast_4x16_r50"].clip, T=T)
    config = replace(PRESETS["slowfast_4x16_r50"], clip=clip, beta=1 / beta_inv)
    return closed_form_macs(config) / 1e9


def _within(costs: dict[int, float], budget: float) -> int:
    fitting = [beta_inv for beta_inv, cost in costs.items() if cost <= budget]
    if not fitting:
        raise ValueError(f"budget={budget}: even the cheapest costs {min(costs.values())}")
    return min(fitting)


def _budgets(rng: np.random.Generator) -> Sequence[tuple]:
    costs = {b: round(_gmacs(b), 3) for b in BETA_INVERSES}
    given = [costs[8], *rng.uniform(28, 80, 8).round(2).tolist(), 5.0]
    shuffled = [dict(rng.permutation(list(costs.items())).tolist()) for _ in given]
    whole = [{int(b): c for b, c in one.items()} for one in shuffled]
    return list(zip(whole, given, strict=True))


def _widest_below(costs: dict[int, float], budget: float) -> int:
    fitting = [beta_inv for beta_inv, cost in costs.items() if cost < budget]
    if not fitting:
        raise ValueError("nothing fits")
    return min(fitting)


BUDGET = Exercise(
    name="02.budget",
    title="The widest Fast pathway within a budget",
    minutes=8,
    difficulty=2,
    points=3,
    answer=_within,
    inputs=_budgets,
    mistakes=(
        Mistake(
            answer=lambda costs, budget: max(b for b, c in costs.items() if c <= budget),
            cause="you took the largest beta_inv, which is the *thinnest* Fast; the widest "
            "has the smallest",
        ),
        Mistake(
            answer=_widest_below,
            cause="you left out the one that costs exactly the budget",
        ),
        Mistake(
            answer=lambda costs, budget: min(costs, key=lambda b: abs(costs[b] - budget)),
            cause="you took the nearest cost, which may be above the budget",
        ),
        Mistake(
            answer=lambda costs, budget: min(
                (b for b, c in costs.items() if c <= budget), default=None
            ),
            cause="if nothing fits, raise a ValueError; None would fail later, elsewhere",
        ),
    ),
    hints=(
        "First collect every beta_inv whose cost is at most the budget.",
        "beta = 1 / beta_inv: the widest Fast has the smallest beta_inv.",
        "min(fitting), after raising ValueError if fitting is empty.",
    ),
)
