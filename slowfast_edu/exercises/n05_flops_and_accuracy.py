"""The exercises of notebook 05: counting by hand, shares and units of a cost.

Those on reading a table of models are in ``n05_tables``.
"""

import math
from collections.abc import Callable

import numpy as np

from slowfast_edu.analysis import Cost, closed_form_stages
from slowfast_edu.config import PRESETS
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n05_tables import FLOPS_UNIT, PARETO, SETTLE

# 05.conv_macs


def _up(n: int, stride: int) -> int:
    return -(-n // stride)


def _counting(positions: Callable, weights: Callable) -> Callable:
    """A cost by hand: positions of (size, stride) times weights of (in, out, groups)."""

    def macs(channels_in, channels_out, kernel, stride, size, groups):
        along = [positions(n, s) for n, s in zip(size, stride, strict=True)]
        weight = math.prod(kernel) * weights(channels_in, channels_out, groups)
        return math.prod(along) * weight

    return macs


def _convolutions(rng: np.random.Generator) -> list[tuple]:
    """Fast's conv1, a lateral, a channel-wise one, an odd size, and drawn ones."""
    given = [
        (3, 8, (5, 7, 7), (1, 2, 2), (32, 256, 256), 1),
        (8, 16, (5, 1, 1), (8, 1, 1), (32, 64, 64), 1),
        (64, 64, (3, 3, 3), (1, 1, 1), (8, 56, 56), 64),
        (16, 32, (1, 3, 3), (1, 2, 2), (5, 7, 9), 1),
    ]
    while len(given) < 12:
        groups = int(rng.choice([1, 2, 4]))
        channels = [groups * int(n) for n in rng.integers(1, 9, 2)]
        kernel = tuple(int(rng.choice([1, 3, 5])) for _ in range(3))
        stride = tuple(int(rng.choice([1, 2])) for _ in range(3))
        size = tuple(int(n) for n in rng.integers(2, 30, 3))
        given.append((*channels, kernel, stride, size, groups))
    return given


CONV_MACS = Exercise(
    name="05.conv_macs",
    title="A convolution by hand",
    minutes=7,
    difficulty=1,
    points=2,
    answer=_counting(_up, lambda i, o, g: i // g * o),
    inputs=_convolutions,
    mistakes=(
        Mistake(
            answer=_counting(lambda n, s: n, lambda i, o, g: i // g * o),
            cause="you forgot the stride: a sum is made for each position of the *output*",
        ),
        Mistake(
            answer=_counting(lambda n, s: n // s, lambda i, o, g: i // g * o),
            cause="you rounded sizes down; padded by half its kernel, a convolution with "
            "stride 2 makes 4 of 7",
        ),
        Mistake(
            answer=_counting(_up, lambda i, o, g: i * o),
            cause="you forgot the groups: each output channel sums over the input channels "
            "of its own group alone",
        ),
        Mistake(
            answer=_counting(_up, lambda i, o, g: i // g * (o // g)),
            cause="you divided by groups twice; all output channels have to be made, only "
            "the input channels of each are fewer",
        ),
        Mistake(
            answer=_counting(_up, lambda i, o, g: 2 * (i // g) * o),
            cause="you counted a multiply-add as two operations; asked are multiply-adds",
        ),
    ),
    hints=(
        "Positions x channels out x kernel volume x channels in: which of the four does "
        "the stride change, and which do groups?",
        "An output has size / stride positions along each axis, rounded up. One output "
        "channel sums over channels_in / groups channels.",
        "Along an axis -(-n // s) rounds up; multiply the three, the three kernel sizes, "
        "channels_out and channels_in // groups.",
    ),
)

# 05.by_pathway


def _shares(stages: dict[str, Cost], part_of: Callable = lambda name: name.split(".")[0]):
    whole, parts = sum(cost.macs for cost in stages.values()), {}
    for name, cost in stages.items():
        parts[part_of(name)] = parts.get(part_of(name), 0) + 100 * cost.macs / whole
    return parts


def _counts(rng: np.random.Generator) -> list[tuple[dict[str, Cost]]]:
    """What ``count_flops`` finds of each stage, with batch normalisation drawn."""
    names = ["slowfast_4x16_r50", "slowfast_8x8_r50", "slow_4x16_r50", "fast_32x2_r50"]
    names += ["slowfast_16x8_r101_nl", "i3d_8x8_r50", "slowfast_8x8_r101", "slowfast_tiny"]
    given = []
    for name in names:
        stages = closed_form_stages(PRESETS[name], int(rng.choice([224, 256])))
        extra = rng.uniform(1.02, 1.2, len(stages))
        costs = {
            s: Cost(n, int(n * e)) for (s, n), e in zip(stages.items(), extra, strict=True)
        }
        given.append(({str(s): costs[str(s)] for s in rng.permutation(list(costs))},))
    return given


def _lateral_to(pathway: str) -> Callable:
    def part_of(name):
        part = name.split(".")[0]
        return pathway if part == "lateral" else part

    return lambda stages: _shares(stages, part_of)


def _without_head(stages: dict[str, Cost]) -> dict[str, float]:
    return _shares({name: cost for name, cost in stages.items() if name != "head"})


BY_PATHWAY = Exercise(
    name="05.by_pathway",
    title="The share of each pathway",
    minutes=6,
    difficulty=1,
    points=2,
    answer=_shares,
    inputs=_counts,
    mistakes=(
        Mistake(
            answer=lambda stages: _shares(
                {name: Cost(cost.total, cost.total) for name, cost in stages.items()}
            ),
            cause="you added .total, in which fvcore has batch normalisation too; "
            "multiply-adds are .macs",
        ),
        Mistake(
            answer=_lateral_to("fast"),
            cause="you counted the laterals as Fast's; they are a part of their own here",
        ),
        Mistake(
            answer=lambda stages: {p: s / 100 for p, s in _shares(stages).items()},
            cause="you gave fractions; asked are percent",
        ),
        Mistake(
            answer=_without_head,
            cause="you left out the head: it costs little, but it is a part of the whole",
        ),
        Mistake(
            answer=lambda stages: {
                stage: 100 * cost.macs / sum(c.macs for c in stages.values())
                for stage, cost in stages.items()
            },
            cause="you gave the share of each stage; add up those of one pathway",
        ),
    ),
    hints=(
        "What do the names of all stages of one pathway begin with?",
        'name.split(".")[0] is the pathway, also of "head". Add up the .macs of each, and '
        "those of all stages.",
        "parts[part] = parts.get(part, 0) + cost.macs for every stage; then "
        "100 * macs / sum(parts.values()) for every part.",
    ),
)

TWO_FIGURES = Written(
    name="05.two_figures",
    title="A slide with two figures",
    minutes=7,
    difficulty=2,
    points=3,
)

EXERCISES = (CONV_MACS, BY_PATHWAY, FLOPS_UNIT, SETTLE, PARETO, TWO_FIGURES)
