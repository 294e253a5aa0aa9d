"""The exercises of notebook 06: batches, rates, luck, and going on."""

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np
import torch

from slowfast_edu.claims.comparing import results
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.training import Schedule
from slowfast_edu.training.batches import ShardedBatches, mix

# 06.scale


def _scale(rate: float, at_batch: int, gpus: int, clips: int, passes: int) -> tuple:
    stated = Schedule(base_rate=rate, base_batch=at_batch, warmup_epochs=0)
    batch = gpus * clips * passes
    return batch, stated.rate(0, batch), clips


def _set_ups(rng: np.random.Generator) -> list[tuple]:
    drawn = [(1.6, 1024, 128, 8, 1), (0.1, 64, 8, 8, 1), (0.1, 64, 1, 8, 2)]
    while len(drawn) < 12:
        stated = [(1.6, 1024), (0.1, 64), (0.4, 256)][rng.integers(3)]
        drawn.append((*stated, *(int(rng.choice([1, 2, 4, 8, 16])) for _ in range(3))))
    return drawn


SCALE = Exercise(
    name="06.scale",
    title="A rate for your machine",
    minutes=6,
    difficulty=1,
    points=2,
    answer=_scale,
    inputs=_set_ups,
    mistakes=(
        Mistake(
            answer=lambda rate, at, gpus, clips, passes: _scale(rate, at, gpus, clips, 1),
            cause="you left out the passes: their gradients are added up before the step, "
            "so their clips belong to the batch too",
        ),
        Mistake(
            answer=lambda rate, at, *rest: (math.prod(rest), rate, rest[1]),
            cause="you kept the rate as it is stated; it belongs to at_batch clips a step "
            "and grows with the batch",
        ),
        Mistake(
            answer=lambda r, at, g, c, p: (g * c * p, r * math.sqrt(g * c * p / at), c),
            cause="you scaled with the square root of the batch, as some do for Adam; "
            "here it is linear",
        ),
        Mistake(
            answer=lambda r, at, g, c, p: (g * c * p, r * g * c * p / at, g * c * p),
            cause="you let BN see the whole batch; it normalises one pass of one GPU at a "
            "time",
        ),
        Mistake(
            answer=lambda r, at, g, c, p: (g * c * p, r * g * c * p / at, g * c),
            cause="you let BN see the clips of all GPUs; each normalises its own",
        ),
    ),
    hints=(
        "Which clips have had their say when the optimiser steps?",
        "gpus x clips x passes of them. Twice the batch, twice the rate.",
        "batch = gpus * clips * passes; rate * batch / at_batch; BN sees one pass.",
    ),
)

# 06.rate


def _rate(iteration, steps, epochs, warmup, full, first) -> float:
    schedule = Schedule(
        epochs=epochs, warmup_epochs=warmup, base_rate=full, warmup_rate=first
    )
    return schedule.rate(iteration / steps, schedule.base_batch)


def _moments(rng: np.random.Generator) -> list[tuple]:
    code, paper = (3750, 196, 34, 0.1, 0.01), (234, 196, 34.133, 1.6, 0.16)
    drawn = [(i * 3750, *code) for i in (0, 17, 34, 195)] + [(45_000, *paper)]
    drawn += [(0, 10, 4, 0, 0.1, 0.01)]  # no warm-up at all
    drawn += [(100_001, *code), (196 * 3750 - 1, *code), (7, 10, 4, 0, 0.1, 0.01)]
    while len(drawn) < 14:
        steps, epochs = int(rng.integers(20, 400)), int(rng.integers(8, 60))
        shape = steps, epochs, int(rng.integers(1, 7)), 0.1, 0.01
        drawn.append((int(rng.integers(steps * epochs)), *shape))
    return drawn


def _wave(epoch: float, epochs: float, full: float) -> float:
    return full * 0.5 * (math.cos(math.pi * epoch / epochs) + 1)


def _jumps(at: float, warmup: float, full: float, first: float, wave: Callable) -> float:
    """A warm-up that rises to the full rate itself, and some cosine behind it."""
    return first + (full - first) * at / warmup if at < warmup else wave(at)


RATE = Exercise(
    name="06.rate",
    title="The rate at any iteration",
    minutes=8,
    difficulty=2,
    points=3,
    answer=_rate,
    inputs=_moments,
    mistakes=(
        Mistake(
            answer=lambda i, steps, *rest: _rate(i // steps * steps, steps, *rest),
            cause="you changed the rate once an epoch; iteration / steps has a fraction",
        ),
        Mistake(
            answer=lambda i, steps, e, w, full, first: _jumps(
                i / steps, w, full, first, lambda at: _wave(at, e, full)
            ),
            cause="you let warm-up rise to the full rate; it ends where the cosine is by "
            "then, a little lower, or the rate would jump",
        ),
        Mistake(
            answer=lambda i, steps, e, w, full, first: _jumps(
                i / steps, w, full, first, lambda at: _wave(at - w, e, full)
            ),
            cause="you began the cosine where warm-up ends and still gave it all epochs, "
            "so that it never reaches zero (section 2)",
        ),
        Mistake(
            answer=lambda i, steps, e, w, full, first: _jumps(
                i / steps, w, full, first, lambda at: _wave(at - w, e - w, full)
            ),
            cause="you began the cosine where warm-up ends, as some libraries do; this one "
            "has run since epoch 0, hidden by the warm-up",
        ),
    ),
    hints=(
        "The formulas of section 2 count in epochs. Which epoch is an iteration, with its "
        "fraction?",
        "Write the cosine as a function of the epoch; you need it twice: behind the "
        "warm-up, and for the height at which warm-up ends.",
        "In warm-up: first + (cosine(warmup) - first) * epoch / warmup.",
    ),
)

# 06.luck

BAR = 2.8  # Student's t for two times three runs, 5%, four degrees of freedom


def _luck(runs: Sequence[float], others: Sequence[float]) -> tuple[float, float, bool]:
    difference = statistics.fmean(runs) - statistics.fmean(others)
    spreads = statistics.stdev(runs), statistics.stdev(others)
    doubt = math.hypot(*spreads) / math.sqrt(3)
    return difference, doubt, abs(difference) > BAR * doubt


def _accuracies(rng: np.random.Generator) -> list[tuple]:
    """Of the ledger's runs, three seeds each, and some drawn ones."""
    names = ("", "_no_lateral", "_time_difference", "_no_warmup")
    models = ["slow", "fast", *(f"slowfast{name}" for name in names)]
    slow, fast, both, *others = (
        [round(top1, 2) for top1 in results("actions", model)] for model in models
    )
    asked = [slow, fast, *others]
    pairs = [(runs, both) for runs in asked] + [(asked[1], asked[3])]
    drawn = [tuple(rng.normal(90, 3, (2, 3)).round(2).tolist()) for _ in range(5)]
    return [*pairs, (both, asked[3]), *drawn]


def _judged(difference: float, doubt: float, bar: float = BAR) -> tuple:
    return difference, doubt, abs(difference) > bar * doubt


LUCK = Exercise(
    name="06.luck",
    title="Better, or lucky?",
    minutes=8,
    difficulty=2,
    points=3,
    answer=_luck,
    inputs=_accuracies,
    mistakes=(
        Mistake(
            answer=lambda a, b: _judged(
                _luck(a, b)[0], math.hypot(np.std(a), np.std(b)) / 3**0.5
            ),
            cause="you divided by 3 in the standard deviation (NumPy's default); three "
            "runs are a sample, so divide by 2: statistics.stdev, or ddof=1",
        ),
        Mistake(
            answer=lambda a, b: _judged(_luck(a, b)[0], _luck(a, b)[1] * 3**0.5),
            cause="you took the spread of single runs; the mean of three is uncertain by "
            "less, s / sqrt(3)",
        ),
        Mistake(
            answer=lambda a, b: _judged(*_luck(a, b)[:2], 2.0),
            cause="you set the bar at 2, which is for many seeds; two times three need 2.8",
        ),
        Mistake(
            answer=lambda a, b: (abs(_luck(a, b)[0]), *_luck(a, b)[1:]),
            cause="you lost the sign of the difference; only the verdict forgets it",
        ),
        Mistake(
            answer=lambda a, b: (*_luck(a, b)[:2], _luck(a, b)[0] > BAR * _luck(a, b)[1]),
            cause="you looked for gains only; a loss may be beyond luck as well",
        ),
    ),
    hints=(
        "Section 8: each mean is uncertain by s / sqrt(3). And their difference?",
        "sqrt(s1**2 + s2**2) / sqrt(3), with s from statistics.stdev.",
        "abs(difference) > 2.8 * doubt is the verdict.",
    ),
)

# 06.resume


def _left(seed: int, clips: int, batch: int, done: int) -> tuple[int, list[list[int]]]:
    epoch, first_step = divmod(done, clips // batch)
    sampler = ShardedBatches(clips, batch, batch, seed)
    sampler.set_epoch(epoch, first_step)
    return epoch, list(sampler)


def _stops(rng: np.random.Generator) -> list[tuple]:
    drawn = [(0, 8, 2, 0), (7, 9, 2, 3), (7, 9, 2, 8)]  # fresh, within, at an epoch's end
    while len(drawn) < 12:
        seed, batch = (int(rng.integers(1, n)) for n in (100, 5))
        clips = int(rng.integers(2 * batch, 6 * batch))
        drawn.append((seed, clips, batch, int(rng.integers(4 * (clips // batch)))))
    return drawn


def _steps(seed: int, clips: int, batch: int) -> list[list[int]]:
    """One shuffled epoch, the incomplete batch at its end included."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(clips, generator=generator).tolist()
    return [order[i : i + batch] for i in range(0, clips, batch)]


def _with_seed(draw: Callable) -> Callable:
    """An answer that is right but for the seed of the order."""

    def answer(seed, clips, batch, done):
        steps = clips // batch
        drawn = _steps(draw(seed, done // steps), clips, batch)[:steps]
        return done // steps, drawn[done % steps :]

    return answer


RESUME = Exercise(
    name="06.resume",
    title="Go on where it stopped",
    minutes=8,
    difficulty=3,
    points=3,
    answer=_left,
    inputs=_stops,
    mistakes=(
        Mistake(
            answer=lambda seed, clips, batch, done: _left(
                seed, clips, batch, done - done % (clips // batch)
            ),
            cause="you began the epoch anew: its first clips would be learnt twice",
        ),
        Mistake(
            answer=_with_seed(lambda seed, epoch: mix(seed)),
            cause="you drew the order from the seed alone: all epochs have the same order",
        ),
        Mistake(
            answer=_with_seed(lambda seed, epoch: mix(seed, epoch + 1)),
            cause="you counted epochs from 1 for the order; the first one is 0",
        ),
        Mistake(
            answer=lambda seed, clips, batch, done: (
                done // (clips // batch),
                _steps(mix(seed, done // (clips // batch)), clips, batch)[
                    done % (clips // batch) :
                ],
            ),
            cause="you kept the clips that fill no whole batch; an epoch leaves them out",
        ),
    ),
    hints=(
        "How many whole steps has an epoch? Then divmod tells where the run stands.",
        "The order of the epoch that was broken off can be drawn again: it depends on "
        "(seed, epoch) alone.",
        "epoch, first = divmod(done, clips // batch); step s takes order[s * batch : "
        "(s + 1) * batch].",
    ),
)

VERDICT = Written(
    name="06.verdict",
    title="Does dropout harm?",
    minutes=9,
    difficulty=2,
    points=4,
)

EXERCISES = (SCALE, RATE, LUCK, RESUME, VERDICT)
