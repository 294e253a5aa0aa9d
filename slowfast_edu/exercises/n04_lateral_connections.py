"""The exercises of notebook 04: what laterals read, pack and cost.

Those that are answered with a network are in ``n04_networks``.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from slowfast_edu.analysis import closed_form_stages
from slowfast_edu.config import FUSIONS, PRESETS, ClipConfig
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n04_networks import DEBUG, TCONV
from slowfast_edu.models import time_to_channel

# 04.reads


def _reads(t: int, T: int, alpha: int, kernel: int) -> list[int]:
    first = alpha * t - kernel // 2
    return [f for f in range(first, first + kernel) if 0 <= f < alpha * T]


def _windows(rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """t, T, alpha and kernel: the paper's two, a lonely frame, and drawn ones."""
    drawn = [(0, 4, 8, 5), (3, 4, 8, 5), (7, 8, 4, 7), (0, 1, 2, 7), (2, 4, 8, 1)]
    while len(drawn) < 14:
        T, alpha, kernel = (
            int(rng.choice(c)) for c in ((2, 4, 8), (2, 4, 8), (3, 5, 7, 9))
        )
        drawn.append((int(rng.integers(T)), T, alpha, kernel))
    return drawn


READS = Exercise(
    name="04.reads",
    title="The frames that a T-conv reads",
    minutes=5,
    difficulty=1,
    points=2,
    answer=_reads,
    inputs=_windows,
    mistakes=(
        Mistake(
            answer=lambda t, T, alpha, kernel: list(
                range(alpha * t - kernel // 2, alpha * t + kernel // 2 + 1)
            ),
            cause="you counted frames that are not there: before frame 0 and behind the "
            "last the convolution meets padding, which is zeros",
        ),
        Mistake(
            answer=lambda t, T, alpha, kernel: [
                f for f in range(t - kernel // 2, t + kernel // 2 + 1) if 0 <= f < alpha * T
            ],
            cause="you forgot the stride: Slow's frame t lies at Fast's frame alpha * t",
        ),
        Mistake(
            answer=lambda t, T, alpha, kernel: [
                f for f in range(alpha * t, alpha * t + kernel) if f < alpha * T
            ],
            cause="you let the kernel begin at Slow's frame; padded by half of it, it is "
            "centred there and looks both ways",
        ),
        Mistake(
            answer=lambda t, T, alpha, kernel: list(range(alpha * t, alpha * (t + 1))),
            cause="you gave the alpha frames that TtoC packs; a T-conv reads kernel frames",
        ),
        Mistake(
            answer=lambda t, T, alpha, kernel: _reads(t, T, alpha, kernel)[:-1],
            cause="you stopped one frame too soon; range leaves its end out",
        ),
        Mistake(
            answer=lambda t, T, *rest: [f for f in _reads(t, T, *rest) if f < T],
            cause="you took T for the number of Fast's frames; it has alpha * T",
        ),
    ),
    hints=(
        "On which of Fast's frames is the kernel centred, and how many does it look at to "
        "either side?",
        "Slow's frame t lies at Fast's frame alpha * t. Of the frames around it, keep "
        "those that exist.",
        "Every f from alpha * t - kernel // 2 to alpha * t + kernel // 2, both included, "
        "with 0 <= f < alpha * T.",
    ),
)

# 04.ttoc


def _join(slow: Tensor, packed: Tensor, add: bool) -> Tensor:
    if not add:
        return torch.cat([slow, packed], dim=1)
    if packed.shape[1] != slow.shape[1]:
        raise ValueError(f"{packed.shape[1]} channels cannot be added to {slow.shape[1]}")
    return slow + packed


def _alpha(slow: Tensor, fast: Tensor) -> int:
    return fast.shape[2] // slow.shape[2]


def _groups(slow: Tensor, fast: Tensor) -> Tensor:
    return fast.unflatten(2, (-1, _alpha(slow, fast)))


def _ttoc(slow: Tensor, fast: Tensor, add: bool) -> Tensor:
    return _join(slow, time_to_channel(fast, _alpha(slow, fast)), add)


def _pairs(rng: np.random.Generator) -> list[tuple[Tensor, Tensor, bool]]:
    """Slow, Fast, and whether to add: some sums fit and some do not."""
    sizes = [(64, 4, 8, 8, True), (64, 8, 8, 4, True), (64, 8, 8, 4, False)]
    sizes += [(6, 1, 2, 3, True), (4, 3, 1, 1, True), (2, 2, 1, 1, True)]
    for add in (True, False, True, False):
        T, channels, alpha = (int(rng.integers(2, 5)) for _ in range(3))
        sizes.append((alpha * channels, T, channels, alpha, add))
    given = []
    for wide, T, channels, alpha, add in sizes:
        shapes = (1, wide, T, 2, 3), (1, channels, alpha * T, 2, 3)
        pair = (torch.from_numpy(rng.standard_normal(shape)).float() for shape in shapes)
        given.append((*pair, add))
    return given


TTOC = Exercise(
    name="04.ttoc",
    title="Time to channel, joined to Slow",
    minutes=8,
    difficulty=2,
    points=3,
    answer=_ttoc,
    inputs=_pairs,
    mistakes=(
        Mistake(
            answer=lambda slow, fast, add: _join(
                slow, _groups(slow, fast).transpose(2, 3).flatten(1, 2), add
            ),
            cause="you put the channels outside and the frames inside; asked is channel "
            "f * C + c: first all channels of frame 0, then all of frame 1",
        ),
        Mistake(
            answer=lambda slow, fast, add: _join(
                slow, fast.reshape(fast.shape[0], -1, slow.shape[2], *fast.shape[3:]), add
            ),
            cause="you reshaped without moving an axis: the shape is right, but each "
            "channel then holds frames that follow each other in Fast",
        ),
        Mistake(
            answer=lambda slow, fast, add: _join(
                slow,
                fast.unflatten(2, (_alpha(slow, fast), -1)).transpose(1, 2).flatten(1, 2),
                add,
            ),
            cause="you cut Fast into alpha stretches of T frames; Slow's frame t gets the "
            "alpha frames from alpha * t on, so it is T groups of alpha",
        ),
        Mistake(
            answer=lambda slow, fast, add: (
                slow + time_to_channel(fast, _alpha(slow, fast))
                if add
                else _ttoc(slow, fast, add)
            ),
            cause="you left it to torch to refuse a sum: it raises another error, and one "
            "single channel it adds to all of Slow's without a word",
        ),
        Mistake(
            answer=lambda slow, fast, add: (
                _ttoc(slow, fast, add)
                if add
                else torch.cat([time_to_channel(fast, _alpha(slow, fast)), slow], dim=1)
            ),
            cause="you put Fast's channels first; Slow's come first",
        ),
    ),
    hints=(
        "How many of Fast's frames belong to one of Slow's? That is alpha.",
        "Split Fast's time into T groups of alpha, (B, C, T, alpha, H, W). Which axis must "
        "stand right before C, for all channels of one frame to lie together?",
        "packed = fast.unflatten(2, (-1, alpha)).permute(0, 3, 1, 2, 4, 5).flatten(1, 2); "
        "before adding, compare packed.shape[1] with slow.shape[1].",
    ),
)

# 04.cost

POSITIONS = 4 * 64 * 64  # of Slow in 4x16 behind pool1, at 256 pixels
A_CHANNELS, OUT_CHANNELS = 64, 256  # of the first block of Slow's res2


def _cost(fusion: str, channels: int, alpha: int, kernel: int) -> tuple[int, int]:
    config = replace(
        PRESETS["slowfast_4x16_r50"],
        clip=ClipConfig(T=4, tau=16, alpha=alpha),
        beta=channels / 64,
        fusion_kernel=kernel,
    )
    macs, alone = (
        closed_form_stages(replace(config, fusion=f), crop=256) for f in (fusion, "none")
    )
    return macs.get("lateral.pool1", 0), macs["slow.res2"] - alone["slow.res2"]


def _fusions(rng: np.random.Generator) -> list[tuple[str, int, int, int]]:
    """The five at the paper's setting, and drawn ones; sums only where they fit."""
    drawn = [(fusion, 8, 8, 5) for fusion in FUSIONS]
    for fusion in FUSIONS[:-1]:
        for alpha in rng.choice([2, 4, 16], 2, replace=False):
            sums = fusion == "ttoc_sum"
            channels = 64 // int(alpha) if sums else int(rng.choice([4, 16, 32]))
            drawn.append((fusion, channels, int(alpha), int(rng.choice([3, 5, 7]))))
    return drawn


def _read_by(outputs: int, double: int = 2, pack: bool = True, sums: int = 0) -> Callable:
    """A wrong cost: by how many channels Slow reads, and which ones it is given."""

    def cost(fusion, channels, alpha, kernel):
        packed = alpha * channels if pack else channels
        added = {"t_conv": double * channels, "t_sample": channels, "none": 0}
        added |= {"ttoc_concat": packed, "ttoc_sum": sums * packed}
        own = added["t_conv"] * channels * kernel if fusion == "t_conv" else 0
        return own * POSITIONS, added[fusion] * outputs * POSITIONS

    return cost


def _unstrided(fusion: str, channels: int, alpha: int, kernel: int) -> tuple[int, int]:
    own, wider = _cost(fusion, channels, alpha, kernel)
    return own * alpha, wider


BOTH = A_CHANNELS + OUT_CHANNELS
COST = Exercise(
    name="04.cost",
    title="What a lateral costs, and where",
    minutes=8,
    difficulty=2,
    points=3,
    answer=_cost,
    inputs=_fusions,
    mistakes=(
        Mistake(
            answer=_unstrided,
            cause="you let the T-conv put out a frame for each of Fast's; with stride "
            "alpha it has only Slow's frames to compute",
        ),
        Mistake(
            answer=_read_by(A_CHANNELS),
            cause="you forgot the shortcut: res2's first block reads its input twice, in a "
            "and in the shortcut",
        ),
        Mistake(
            answer=_read_by(BOTH, double=1),
            cause="you let the T-conv keep Fast's channels; it puts out twice as many",
        ),
        Mistake(
            answer=_read_by(BOTH, pack=False),
            cause="you forgot that TtoC packs alpha frames: it concatenates alpha times "
            "Fast's channels",
        ),
        Mistake(
            answer=_read_by(BOTH, sums=1),
            cause="you made Slow wider for the sum; what is added needs no channels of its "
            "own",
        ),
        Mistake(
            answer=lambda *given: tuple(macs // 4 for macs in _cost(*given)),
            cause="you forgot time: Slow has 4 frames of 64 x 64 positions",
        ),
        Mistake(
            answer=lambda *given: tuple(2 * macs for macs in _cost(*given)),
            cause="you counted multiplications and additions; a multiply-add is one",
        ),
    ),
    hints=(
        "How many channels does each fusion concatenate to Slow's? Who reads them?",
        "Every concatenated channel goes through two 1x1x1 convolutions at every position "
        "of Slow. Only the T-conv works itself, at Slow's positions too.",
        "With positions = 4 * 64 * 64: positions * 2 * channels * kernel * channels for "
        "t_conv, else 0; and positions * concatenated channels * (64 + 256).",
    ),
)

WHY_LATERAL = Written(
    name="04.why_lateral",
    title="Why binding needs a lateral",
    minutes=7,
    difficulty=2,
    points=3,
)

EXERCISES = (READS, TCONV, TTOC, COST, DEBUG, WHY_LATERAL)
