"""Notebook 03's exercises that build: a block, a stage, a pathway.

What learners build wrongly is built here as well, to be recognised.
"""

from functools import partial

import numpy as np
from torch import Tensor, nn

from slowfast_edu.config import BLOCKS, SlowFastConfig
from slowfast_edu.exercises.exercise import Exercise, Mistake
from slowfast_edu.exercises.networks import behaviour
from slowfast_edu.models import FastPathway, SlowPathway
from slowfast_edu.models.blocks import Bottleneck, ConvBNReLU, Stage, conv3d
from slowfast_edu.models.plan import StagePlan

PATHWAYS = ("slow", "fast")
DEPTHS = {blocks: depth for depth, blocks in BLOCKS.items()}


# 03.make_bottleneck


class _OddBottleneck(Bottleneck):
    """The block with one thing done otherwise.

    Args:
        channels: of the input.
        inner: channels of a and b.
        k: frames that a covers.
        stride: in space.
        fault: "a" (the stride on a), "early relu", "always" (a convolution in every
            shortcut), "no bn" (behind the shortcut's convolution), "by channels" (the
            input itself wherever the channels fit) or "bias" (in each convolution).
    """

    def __init__(self, channels: int, inner: int, k: int, stride: int, fault: str):
        super().__init__(channels, inner, k, (1, stride))
        if fault == "a":
            self.a = conv3d(channels, inner, (k, 1, 1), (1, stride, stride))
            self.b = conv3d(inner, inner, (1, 3, 3))
        if fault == "always" and self.shortcut is None:
            self.shortcut = conv3d(channels, 4 * inner, (1, 1, 1))
            self.shortcut_bn = nn.BatchNorm3d(4 * inner)
        if fault == "no bn" and self.shortcut is not None:
            self.shortcut_bn = nn.Identity()
        if fault == "by channels" and channels == 4 * inner:
            self.shortcut = None
        if fault == "bias":
            for conv in (part for part in self.modules() if isinstance(part, nn.Conv3d)):
                conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        if self.fault != "early relu":
            return super().forward(x)
        shortcut = x if self.shortcut is None else self.shortcut_bn(self.shortcut(x))
        y = self.relu(self.a_bn(self.a(x)))
        y = self.relu(self.b_bn(self.b(y)))
        return self.relu(self.c_bn(self.c(y))) + shortcut


def _blocks(rng: np.random.Generator) -> list[tuple]:
    # as in Slow: res2's first block, its others, res3's first, res4's first, its others
    drawn = [(4, 4, 1, 1), (16, 4, 1, 1), (20, 8, 1, 2), (24, 8, 3, 2), (16, 4, 3, 1)]
    drawn += [(16, 4, 1, 2), (8, 2, 5, 2)]  # as many channels out as in, and a stride
    return [*drawn, (int(rng.integers(1, 12)), int(rng.integers(1, 6)), 3, 1)]


MAKE_BOTTLENECK = Exercise(
    name="03.make_bottleneck",
    title="The block, with stride and shortcut",
    minutes=10,
    difficulty=2,
    points=4,
    answer=lambda channels, inner, k, stride: Bottleneck(channels, inner, k, (1, stride)),
    inputs=_blocks,
    view=lambda network, channels, *_: behaviour(network, (1, channels, 4, 6, 5)),
    mistakes=(
        Mistake(
            answer=partial(_OddBottleneck, fault="a"),
            cause="you put the stride on a, which covers one pixel and would miss three "
            "of four; it belongs to b, the 1x3x3",
        ),
        Mistake(
            answer=partial(_OddBottleneck, fault="early relu"),
            cause="you took the last ReLU before the sum; it comes after the shortcut is "
            "added",
        ),
        Mistake(
            answer=partial(_OddBottleneck, fault="always"),
            cause="you gave every block a convolution as its shortcut; where channels and "
            "size stay, the shortcut is the input itself",
        ),
        Mistake(
            answer=partial(_OddBottleneck, fault="no bn"),
            cause="you left out the batch normalisation behind the shortcut's convolution",
        ),
        Mistake(
            answer=partial(_OddBottleneck, fault="by channels"),
            cause="you asked for the channels only; a block with a stride needs a "
            "convolution as its shortcut even if its channels stay",
        ),
        Mistake(
            answer=partial(_OddBottleneck, fault="bias"),
            cause="you kept the convolutions' biases; batch normalisation subtracts them "
            "again, so bias=False",
        ),
    ),
    hints=(
        "Begin with section 1's block. What is added has to have the shape of what it is "
        "added to: when has the input another one?",
        "The stride sits on b and on the shortcut, (1, stride, stride). The shortcut needs "
        "a convolution if channels != 4 * inner or stride != 1.",
        "nn.Sequential(nn.Conv3d(channels, 4 * inner, 1, (1, stride, stride), bias=False), "
        "nn.BatchNorm3d(4 * inner)) is the shortcut, or nn.Identity().",
    ),
)


# 03.make_stage


def _stage_of(channels: int, inner: int, kernels: list, strides: list) -> nn.Sequential:
    """Blocks one behind the other, with the kernel and the (time, space) stride of each."""
    blocks = []
    for k, stride in zip(kernels, strides, strict=True):
        blocks.append(Bottleneck(channels, inner, k, stride))
        channels = 4 * inner
    return nn.Sequential(*blocks)


def _first(stride: tuple, blocks: int) -> list[tuple]:
    return [stride] + [(1, 1)] * (blocks - 1)


def _stages(rng: np.random.Generator) -> list[tuple]:
    drawn = [(10, 8, 1, 3, 1), (40, 16, 1, 4, 2), (20, 4, 3, 6, 2), (16, 4, 3, 3, 2)]
    for k in (1, 3, 1, 3):
        channels, inner, blocks = (int(rng.integers(1, 5)) for _ in range(3))
        drawn.append((channels, inner, k, blocks, 2))
    return drawn


MAKE_STAGE = Exercise(
    name="03.make_stage",
    title="A stage out of blocks",
    minutes=6,
    difficulty=2,
    points=3,
    answer=lambda channels, inner, k, blocks, stride: Stage(
        StagePlan("res", channels, inner, (k,) * blocks, stride)
    ),
    inputs=_stages,
    view=lambda network, channels, *_: behaviour(network, (1, channels, 4, 9, 8)),
    mistakes=(
        Mistake(
            answer=lambda channels, inner, k, blocks, stride: _stage_of(
                channels, inner, [k] * blocks, [(1, stride)] * blocks
            ),
            cause="you let every block stride; a stage halves the image once, in its first",
        ),
        Mistake(
            answer=lambda channels, inner, k, blocks, stride: _stage_of(
                channels, inner, [k] * blocks, _first((stride, stride), blocks)
            ),
            cause="you let time stride too; the pair is (in time, in space), and in time "
            "it is 1",
        ),
        Mistake(
            answer=lambda channels, inner, k, blocks, stride: _stage_of(
                channels, inner, [k] + [1] * (blocks - 1), _first((1, stride), blocks)
            ),
            cause="you gave the kernel over time to the first block only; all blocks of a "
            "stage have it here",
        ),
        Mistake(
            answer=lambda channels, inner, k, blocks, stride: nn.Sequential(
                Bottleneck(channels, inner, k, (1, stride)),
                *(Bottleneck(channels, inner, k) for _ in range(blocks - 1)),
            ),
            cause="you made every block for the channels that go into the stage; behind "
            "the first there are 4 * inner",
        ),
    ),
    hints=(
        "Which block changes the number of channels and the size of the image?",
        "Only the first gets the stage's channels and the stride. All others get 4 * inner "
        "channels and stride (1, 1).",
        "[Bottleneck(channels, inner, k, (1, stride))], and blocks - 1 times "
        "Bottleneck(4 * inner, inner, k).",
    ),
)


# 03.make_pathway


def _pathway_of(
    pathway: str,
    width: int,
    blocks: tuple,
    *,
    everywhere: bool = False,
    fast_stem: int = 5,
    pool: tuple | None = (1, 2, 2),
    halvings: tuple = (1, 2, 2, 2),
    in_time: int = 1,
) -> nn.Sequential:
    """conv1, pool1 and four stages: right with the defaults, each option is a mistake.

    Args:
        pathway: "slow" or "fast".
        width: channels of conv1.
        blocks: of res2, res3, res4 and res5.
        everywhere: kernels over time in all of Slow's stages.
        fast_stem: frames that Fast's conv1 covers.
        pool: pool1's stride, or None without it.
        halvings: the stages' strides in space.
        in_time: stride in time of res3, res4 and res5.
    """
    kernels = (1, 1, 3, 3) if pathway == "slow" and not everywhere else (3, 3, 3, 3)
    stem = 1 if pathway == "slow" else fast_stem
    layers = [ConvBNReLU(3, width, (stem, 7, 7), (1, 2, 2))]
    if pool:
        layers.append(nn.MaxPool3d((1, 3, 3), pool, (0, 1, 1)))
    channels = width
    for i, (k, count, space) in enumerate(zip(kernels, blocks, halvings, strict=True)):
        first = (in_time if i else 1, space)
        strides = [first] + [(1, 1)] * (count - 1)
        layers.append(_stage_of(channels, width * 2**i, [k] * count, strides))
        channels = 4 * width * 2**i
    return nn.Sequential(*layers)


def _pathway(pathway: str, width: int, blocks: tuple) -> nn.Module:
    depth = DEPTHS[tuple(blocks)]
    config = SlowFastConfig(pathways=pathway, depth=depth, width=width, beta=1)
    return SlowPathway(config) if pathway == "slow" else FastPathway(config)


def _pathways(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for depth in (14, 26):
        for pathway in PATHWAYS:
            drawn.append((pathway, int(rng.integers(1, 4)), BLOCKS[depth]))
    return [*drawn, ("slow", 2, BLOCKS[50])]


MAKE_PATHWAY = Exercise(
    name="03.make_pathway",
    title="A whole pathway, Slow or Fast",
    minutes=9,
    difficulty=3,
    points=4,
    answer=_pathway,
    inputs=_pathways,
    view=lambda network, *_: behaviour(network, (1, 3, 6, 48, 33)),
    mistakes=(
        Mistake(
            answer=partial(_pathway_of, everywhere=True),
            cause="you gave Slow kernels over time in all stages; in Slow only res4 and "
            "res5 have them",
        ),
        Mistake(
            answer=partial(_pathway_of, fast_stem=1),
            cause="you let Fast's conv1 look at one frame; it covers 5",
        ),
        Mistake(
            answer=partial(_pathway_of, pool=None),
            cause="you left out pool1, the max over 1x3x3 with stride 2 behind conv1",
        ),
        Mistake(
            answer=partial(_pathway_of, pool=(1, 3, 3)),
            cause="your pool1 steps by its whole kernel, as MaxPool3d does when no stride "
            "is given; it halves, so (1, 2, 2)",
        ),
        Mistake(
            answer=partial(_pathway_of, halvings=(2, 2, 2, 2)),
            cause="you halved the image in res2; pool1 has just done that",
        ),
        Mistake(
            answer=partial(_pathway_of, in_time=2),
            cause="you halved time in res3, res4 and res5 as well; SlowFast keeps all its "
            "frames",
        ),
    ),
    hints=(
        "Write down the six layers, and for each its kernel over time, its stride and its "
        "channels out.",
        "Inner widths are width, 2, 4 and 8 times width. Kernels of the stages: 1, 1, 3, 3 "
        "in Slow and 3, 3, 3, 3 in Fast.",
        "ConvBNReLU(3, width, (stem, 7, 7), (1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2), "
        "(0, 1, 1)), then the blocks; the first of res3, res4 and res5 has stride (1, 2).",
    ),
)
