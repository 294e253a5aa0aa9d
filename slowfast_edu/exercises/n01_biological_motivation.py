"""The exercises of notebook 01: what a reader can know, two filters, binding, a story."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n01_filters import CHANGE, FLICKER_KEPT

# 01.ceiling

BLUE, YELLOW = "blue", "yellow"
BINDING = tuple(product(("blue left", "blue right"), ("left turns", "right turns")))
CLASSES = (BLUE, YELLOW, YELLOW, BLUE)  # of the four rows of section 6


def _groups(seen: Sequence, classes: Sequence) -> list[Counter]:
    """For each signal that occurs, how often it comes with each class."""
    if not len(seen):
        raise ValueError("there are no clips, so that no share of them is right")
    groups = defaultdict(Counter)
    for signal, label in zip(seen, classes, strict=True):
        groups[signal][label] += 1
    return list(groups.values())


def _ceiling(seen: Sequence, classes: Sequence) -> float:
    return sum(max(group.values()) for group in _groups(seen, classes)) / len(seen)


def _certain(seen: Sequence, classes: Sequence) -> float:
    groups = _groups(seen, classes)
    return sum(group.total() for group in groups if len(group) == 1) / len(seen)


def _readers(rng: np.random.Generator) -> list[tuple]:
    asked = [([row[i] for row in BINDING], list(CLASSES)) for i in (0, 1)]
    asked += [(list(BINDING), list(CLASSES)), (["grey"] * 4, list("rgby")), ([], [])]
    asked += [(["a"] * 3 + ["b"], ["walk", "walk", "run", "run"])]
    for size in rng.integers(5, 30, 6):
        signals = rng.integers(0, 4, size)
        labels = (signals + (rng.random(size) < 0.5) * rng.integers(0, 3, size)) % 3
        asked.append((signals.tolist(), [("walk", "run", "wave")[i] for i in labels]))
    return asked


CEILING = Exercise(
    name="01.ceiling",
    title="The best that a reader of a signal can do",
    minutes=8,
    difficulty=1,
    points=3,
    answer=_ceiling,
    inputs=_readers,
    mistakes=(
        Mistake(
            answer=lambda seen, classes: _ceiling([None] * len(seen), classes),
            cause="you took the commonest class of all; who sees a signal may name another "
            "class for each",
        ),
        Mistake(
            answer=lambda seen, classes: float(
                np.mean([max(g.values()) / g.total() for g in _groups(seen, classes)])
            ),
            cause="you averaged over signals; one that comes often counts more, because "
            "clips are counted",
        ),
        Mistake(
            answer=_certain,
            cause="you counted only signals that leave no doubt; with the others a guess "
            "is right sometimes",
        ),
        Mistake(
            answer=lambda seen, classes: _ceiling(seen, classes) if len(seen) else 0.0,
            cause="you gave 0 for no clips at all; a share of nothing is no number, so "
            "raise a ValueError",
        ),
    ),
    hints=(
        "Clips with the same signal get the same answer. Which one should it be?",
        "Group the clips by their signal. In each group as many are right as its commonest "
        "class has clips.",
        "Per group max(Counter(its classes).values()); sum these and divide by len(seen).",
    ),
)


# 01.meet


def _meet(hue: Tensor, motion: Tensor) -> Tensor:
    total = motion.sum(dim=(1, 2))
    return (hue * motion).sum(dim=(1, 2)) / torch.where(total > 0, total, 1)


def _scenes(rng: np.random.Generator) -> list[tuple]:
    asked = []
    for batch in (4, 1, 3, 2, 5, 1, 2, 3):
        hue = rng.choice([-1.0, 0.0, 1.0], (batch, 4, 6)).astype(np.float32)
        motion = np.maximum(rng.normal(0, 1, hue.shape), 0).astype(np.float32)
        asked.append((torch.from_numpy(hue), torch.from_numpy(motion)))
    asked[0][0][:] = torch.tensor([1.0, 0, -1]).repeat_interleave(2)  # blue left,
    asked[0][0][2:] *= -1  # and in the last two rows blue right
    asked[0][1][0::2, :, 3:] = 0  # the left turns in rows 1 and 3
    asked[0][1][1::2, :, :3] = 0
    asked[1][1][:] = 0  # nothing moves
    asked[2][1][:] *= 0.001  # hardly anything does
    return asked


MEET = Exercise(
    name="01.meet",
    title="The hue of what moves",
    minutes=9,
    difficulty=3,
    points=4,
    answer=_meet,
    inputs=_scenes,
    mistakes=(
        Mistake(
            answer=lambda hue, motion: hue.mean(dim=(1, 2)) + motion.mean(dim=(1, 2)),
            cause="you added two scores, which section 6 proves to be too little",
        ),
        Mistake(
            answer=lambda hue, motion: hue.mean(dim=(1, 2)) * motion.mean(dim=(1, 2)),
            cause="you averaged over the places first and multiplied then; after averaging "
            "nobody knows where it moved",
        ),
        Mistake(
            answer=lambda hue, motion: (hue * motion).mean(dim=(1, 2)),
            cause="you divided by the number of places; divide by the motion there is, or "
            "a small wheel counts for less",
        ),
        Mistake(
            answer=lambda hue, motion: (
                (hue * motion).sum(dim=(1, 2)) / motion.sum(dim=(1, 2))
            ),
            cause="you divided by zero where nothing moves; the answer there is 0",
        ),
    ),
    hints=(
        "At one place you know its hue and how much it moves. Which places should have a "
        "say, and how loud?",
        "A weighted mean of the hues, the motion of each place being its weight.",
        "(hue * motion).sum(dim=(1, 2)) / motion.sum(dim=(1, 2)), and 0 where that divides "
        "by 0.",
    ),
)

ANALOGY = Written(
    name="01.analogy",
    title="Where the analogy ends",
    minutes=8,
    difficulty=2,
    points=3,
)

EXERCISES = (CEILING, FLICKER_KEPT, CHANGE, MEET, ANALOGY)
