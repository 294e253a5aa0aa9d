"""The exercises of notebook 04 that are answered with a network, and a faulty one."""

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor, nn

from slowfast_edu.exercises.exercise import Exercise, Mistake
from slowfast_edu.exercises.networks import behaviour
from slowfast_edu.models import LateralConnection

# 04.tconv


class _TConv(nn.Module):
    """The library's T-conv lateral, with one thing wrong if asked for."""

    def __init__(self, channels, alpha, kernel, wrong=""):
        super().__init__()
        out = channels if wrong == "channels" else 2 * channels
        pad = 0 if wrong == "padding" else kernel // 2
        how = dict(stride=(alpha, 1, 1), padding=(pad, 0, 0), bias=wrong == "bias")
        self.conv = nn.Conv3d(channels, out, (kernel, 1, 1), **how)
        self.bn, self.wrong = nn.BatchNorm3d(out), wrong

    def forward(self, slow, fast):
        told = self.bn(self.conv(fast))
        told = told if self.wrong == "relu" else told.relu()
        both = torch.cat([told, slow] if self.wrong == "order" else [slow, told], dim=1)
        return both.relu() if self.wrong == "all" else both


def _without(wrong: str) -> Callable:
    return lambda channels, alpha, kernel: _TConv(channels, alpha, kernel, wrong)


TCONV = Exercise(
    name="04.tconv",
    title="Build the T-conv lateral",
    minutes=5,
    difficulty=1,
    points=2,
    answer=lambda channels, alpha, kernel: LateralConnection(
        channels, alpha, kernel=kernel
    ),
    inputs=lambda rng: [
        (8, 8, 5),
        (8, 4, 7),
        (1, 1, 1),
        *(
            (int(rng.integers(2, 9)), int(a), int(rng.choice([3, 5, 7])))
            for a in (2, 3, 4, 6, 8)
        ),
    ],
    view=lambda network, channels, alpha, kernel: behaviour(
        network, (1, 4, 3, 2, 2), (1, channels, 3 * alpha, 2, 2)
    ),
    mistakes=(
        Mistake(
            answer=_without("bias"),
            cause="you kept the convolution's bias; batch normalisation follows and would "
            "subtract it again, so bias=False",
        ),
        Mistake(
            answer=_without("relu"),
            cause="you left out the ReLU behind the batch normalisation; no shape and no "
            "count shows that",
        ),
        Mistake(
            answer=_without("padding"),
            cause="you forgot the padding of kernel // 2 in time, which centres the kernel "
            "on Slow's frames",
        ),
        Mistake(
            answer=_without("channels"),
            cause="you kept Fast's number of channels; a T-conv puts out twice as many",
        ),
        Mistake(
            answer=_without("order"),
            cause="you put the lateral's channels first; Slow's come first",
        ),
        Mistake(
            answer=_without("all"),
            cause="you took the ReLU of Slow as well; its channels go on unchanged",
        ),
    ),
    hints=(
        "Three layers act on Fast, and then Slow is joined to what they give. Which layer "
        "brings alpha frames down to one?",
        "A convolution of kernel x 1 x 1 with stride alpha in time, without a bias, to "
        "twice the channels; batch normalisation; ReLU. Then torch.cat over channels.",
        "nn.Conv3d(channels, 2 * channels, (kernel, 1, 1), (alpha, 1, 1), "
        "(kernel // 2, 0, 0), bias=False), and torch.cat([slow, told], dim=1).",
    ),
)

# 04.debug


def _conv_bn(
    before: int, after: int, kernel: tuple, stride: tuple = (1, 1, 1)
) -> nn.Module:
    padding = tuple(k // 2 for k in kernel)
    conv = nn.Conv3d(before, after, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(after))


class Draft(nn.Module):
    """A small SlowFast whose ``forward`` has four faults on purpose: 04.debug.

    It runs and gives scores of the right shape. Its layers are as they should be.

    Args:
        alpha: frame-rate ratio Fast / Slow.
        classes: scores to give.

    Shape: (B, 3, alpha * T, H, W) -> (B, classes).
    """

    def __init__(self, alpha: int, classes: int):
        super().__init__()
        self.alpha = alpha
        self.slow1, self.slow2 = _conv_bn(3, 16, (1, 3, 3)), _conv_bn(24, 32, (1, 3, 3))
        self.fast1, self.fast2 = _conv_bn(3, 4, (5, 3, 3)), _conv_bn(4, 8, (3, 3, 3))
        self.lateral = _conv_bn(4, 8, (5, 1, 1), (alpha, 1, 1))
        self.head = nn.Linear(32 + 8, classes)

    def forward(self, clip):
        fast = self.fast1(clip).relu()
        slow = self.slow1(clip[:, :, : clip.shape[2] // self.alpha]).relu()
        told = self.lateral(fast.detach())
        slow = self.slow2(torch.cat([slow, told], dim=1)).relu()
        fast = self.fast2(fast[:, :, ::2]).relu()
        pooled = [x.mean(dim=(2, 3, 4)) for x in (slow, fast)]
        return self.head(torch.cat(pooled, dim=1))


class _Repaired(Draft):
    """The draft repaired, but for the faults that are left."""

    def __init__(self, alpha, classes, left=()):
        super().__init__(alpha, classes)
        self.left = left

    def forward(self, clip):
        first, every = clip[:, :, : clip.shape[2] // self.alpha], clip[:, :, :: self.alpha]
        fast = self.fast1(clip).relu()
        slow = self.slow1(first if "frames" in self.left else every).relu()
        told = self.lateral(fast.detach() if "detach" in self.left else fast)
        told = told if "relu" in self.left else told.relu()
        slow = self.slow2(torch.cat([slow, told], dim=1)).relu()
        fast = self.fast2(fast[:, :, ::2] if "stride" in self.left else fast).relu()
        pooled = [x.mean(dim=(2, 3, 4)) for x in (slow, fast)]
        return self.head(torch.cat(pooled, dim=1))


WHERE = {
    "frames": "which frames Slow gets",
    "detach": "whether a gradient comes back through the lateral",
    "relu": "what acts on the lateral's output",
    "stride": "what happens to time in Fast",
}


def _leaving(*left: str) -> Callable:
    return lambda alpha, classes: _Repaired(alpha, classes, left)


def _still(*left: str) -> Mistake:
    """Several faults left, and where to look."""
    where = "; ".join(WHERE[fault] for fault in left)
    cause = f"{len(left)} of the four faults are left; look again at {where}"
    return Mistake(answer=_leaving(*left), cause=cause)


def _trained(network: nn.Module, alpha: int, classes: int) -> dict[str, int | Tensor]:
    """Size, scores, and what only training would show: how they depend on the clip."""
    shape = (1, 3, 2 * alpha, 4, 4)
    seen = behaviour(network, shape)
    clip = torch.randn(shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
    (slope,) = torch.autograd.grad(network(clip)[0, 0], clip)
    return {**seen, "gradient": slope}


DEBUG = Exercise(
    name="04.debug",
    title="Repair a small SlowFast",
    minutes=10,
    difficulty=3,
    points=4,
    answer=_Repaired,
    inputs=lambda rng: [
        (8, 2),
        (4, 5),
        *((int(rng.choice([2, 4, 8])), int(rng.integers(2, 9))) for _ in range(6)),
    ],
    view=_trained,
    mistakes=(
        Mistake(
            answer=Draft,
            cause="you gave the draft back as it is: it runs, but look at which frames "
            "Slow gets, at the lateral, and at what happens to time",
        ),
        Mistake(
            answer=_leaving("frames"),
            cause="you left Slow its first T frames; it must see every alpha-th, so that "
            "both pathways span the same time",
        ),
        Mistake(
            answer=_leaving("detach"),
            cause="you left the detach: scores are right, but no gradient comes back "
            "through the lateral, so Fast never learns what Slow needs",
        ),
        Mistake(
            answer=_leaving("relu"),
            cause="you left out the ReLU behind the lateral's batch normalisation",
        ),
        Mistake(
            answer=_leaving("stride"),
            cause="you left the step of 2 between Fast's layers; no stage of SlowFast "
            "strides in time",
        ),
        *(_still(*left) for many in (2, 3) for left in combinations(WHERE, many)),
    ),
    hints=(
        "Read forward line by line and ask of each tensor: which frames has it, what acted "
        "on it last, and does a gradient come back through it?",
        "One fault is in which frames Slow gets, two in the line of the lateral, one "
        "between Fast's two layers.",
        "Slow gets clip[:, :, :: self.alpha]; told = self.lateral(fast).relu(); and fast "
        "goes into self.fast2 with all its frames.",
    ),
)
