"""The exercises of notebook 03: block, stage, pathway, Table 1, and time kept."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from slowfast_edu.config import BLOCKS, SlowFastConfig
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n03_building import (
    DEPTHS,
    MAKE_BOTTLENECK,
    MAKE_PATHWAY,
    MAKE_STAGE,
    PATHWAYS,
)
from slowfast_edu.models.plan import fast_plan, slow_plan

HALVINGS = {"conv1": 1, "pool1": 2, "res2": 2, "res3": 3, "res4": 4, "res5": 5}


# 03.table_rows


def _rows(
    pathway, T, alpha, beta_inv, crop, halvings=HALVINGS, round_down=False, in_time=False
) -> list[tuple]:
    """(channels, frames, pixels of a side) after conv1, pool1 and the four stages."""
    config = SlowFastConfig(beta=1 / beta_inv)
    plan = slow_plan(config) if pathway == "slow" else fast_plan(config)
    rows = []
    for name, times in halvings.items():
        channels = plan.channels_after("pool1" if name == "conv1" else name)
        frames, side = T * alpha if pathway == "fast" else T, crop / 2**times
        if in_time and name in ("res3", "res4", "res5"):
            frames = math.ceil(frames / 2 ** (times - 2))
        rows.append((channels, frames, math.floor(side) if round_down else math.ceil(side)))
    return rows


def _inner(rows: list[tuple]) -> list[tuple]:
    return rows[:2] + [(c // 4, t, side) for c, t, side in rows[2:]]


def _tables(rng: np.random.Generator) -> list[tuple]:
    drawn = [("slow", 4, 8, 8, 224), ("fast", 4, 8, 8, 224), ("slow", 8, 4, 8, 256)]
    for pathway in PATHWAYS * 4:
        T, alpha = int(rng.integers(1, 17)), int(rng.choice([2, 4, 8, 16]))
        crop = int(rng.choice([112, 130, 161, 250, 257]))
        drawn.append((pathway, T, alpha, int(rng.choice([2, 4, 8, 16])), crop))
    return drawn


TABLE_ROWS = Exercise(
    name="03.table_rows",
    title="The shapes of Table 1, without a network",
    minutes=7,
    difficulty=1,
    points=2,
    answer=_rows,
    inputs=_tables,
    mistakes=(
        Mistake(
            answer=partial(_rows, halvings={n: i + 1 for i, n in enumerate(HALVINGS)}),
            cause="you halved the image in res2 too; res2 keeps the size, because pool1 "
            "has just halved it",
        ),
        Mistake(
            answer=partial(_rows, round_down=True),
            cause="you rounded down; a stride of 2 with padding k // 2 keeps the first "
            "pixel of an odd side, so half of 125 is 63",
        ),
        Mistake(
            answer=partial(_rows, in_time=True),
            cause="you halved the frames together with the image; no stage of SlowFast "
            "strides in time",
        ),
        Mistake(
            answer=lambda *given: _inner(_rows(*given)),
            cause="you gave the inner width of the blocks; c brings it to four times that",
        ),
        Mistake(
            answer=lambda pathway, T, *rest: [
                (c, T, side) for c, _, side in _rows(pathway, T, *rest)
            ],
            cause="you gave both pathways T frames; Fast has alpha times as many",
        ),
        Mistake(
            answer=lambda pathway, T, alpha, beta_inv, crop: _rows(
                pathway, T, alpha, 1, crop
            ),
            cause="you gave both pathways Slow's channels; Fast has 1 / beta_inv of them",
        ),
    ),
    hints=(
        "Frames first: which of the six layers changes their number?",
        "Five of the six layers halve the image, rounding up. Channels: 64, 64, and then "
        "256, which doubles from stage to stage; Fast divides by beta_inv.",
        "side = (side + 1) // 2 halves, once for each of conv1, pool1, res3, res4, res5.",
    ),
)


# 03.reach


def _kernels(pathway, blocks, stage, **changed) -> list[int]:
    """Frames that each convolution over time covers, from conv1 to the end of a stage."""
    config = SlowFastConfig(depth=DEPTHS[tuple(blocks)], **changed)
    plan = slow_plan(config) if pathway == "slow" else fast_plan(config)
    stages = plan.stages[: int(stage[-1]) - 1] if stage != "conv1" else ()
    return [plan.stem_kernel, *(k for s in stages for k in s.temporal_kernels)]


def _reach(pathway, blocks, stage, **changed) -> int:
    return 1 + sum(k - 1 for k in _kernels(pathway, blocks, stage, **changed))


def _of_kernels(rule: Callable) -> Callable:
    return lambda *given: rule(_kernels(*given))


def _reaches(rng: np.random.Generator) -> list[tuple]:
    asked = [("slow", 50, "res5"), ("fast", 50, "res5"), ("slow", 50, "res3")]
    asked += [("slow", 101, "res5"), ("fast", 50, "conv1"), ("slow", 50, "conv1")]
    stages = ["res2", "res3", "res4", "res5"]
    for depth in BLOCKS:
        for pathway in PATHWAYS:
            asked.append((pathway, depth, str(rng.choice(stages))))
    return [(pathway, BLOCKS[depth], stage) for pathway, depth, stage in asked]


REACH = Exercise(
    name="03.reach",
    title="How many frames a feature depends on",
    minutes=6,
    difficulty=2,
    points=3,
    answer=_reach,
    inputs=_reaches,
    mistakes=(
        Mistake(
            answer=_of_kernels(sum),
            cause="you added the kernels up; each looks k - 1 frames further than the "
            "layer before, and the frame itself counts once",
        ),
        Mistake(
            answer=_of_kernels(math.prod),
            cause="you multiplied the kernels, which would be right if each layer also had "
            "a stride of its size; here no layer strides in time",
        ),
        Mistake(
            answer=lambda _, blocks, stage: _reach("fast", blocks, stage),
            cause="you gave both pathways Fast's kernels; Slow looks at single frames in "
            "conv1, res2 and res3",
        ),
        Mistake(
            answer=partial(_reach, res4_temporal_blocks=max(b[2] for b in BLOCKS.values())),
            cause="you gave all blocks of a deeper res4 a kernel over time; in the paper "
            "only the first 6 have one",
        ),
        Mistake(
            answer=lambda *given: 1 + sum(k - 1 for k in _kernels(*given)[1:]),
            cause="you left out conv1, which covers 5 frames in Fast",
        ),
        Mistake(
            answer=lambda pathway, _, stage: _reach(pathway, BLOCKS[14], stage),
            cause="you counted one kernel a stage; each of its blocks has one, in a",
        ),
    ),
    hints=(
        "After one kernel of 3 a feature knows 3 frames. After a second one?",
        "A convolution over k frames adds k - 1 to the reach. A block has one such: a.",
        "1 + 4 (Fast's conv1) + 2 * (blocks whose a covers 3 frames, up to the stage).",
    ),
)

DEFEND = Written(
    name="03.defend",
    title="Defend that time is kept",
    minutes=7,
    difficulty=2,
    points=3,
)

EXERCISES = (TABLE_ROWS, MAKE_BOTTLENECK, MAKE_STAGE, REACH, MAKE_PATHWAY, DEFEND)
