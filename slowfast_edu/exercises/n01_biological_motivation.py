"""The exercises of notebook 01: what two filters keep, what a reader can know, binding."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from slowfast_edu.config import LUMA
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written

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


# 01.flicker_kept


def _kept(window: int, fps: float, hertz: float) -> float:
    arrows = np.exp(2j * np.pi * hertz / fps * np.arange(window))
    return float(abs(arrows.mean()))


def _flickers(rng: np.random.Generator) -> list[tuple]:
    asked = [(16, 30.0, hertz) for hertz in (1.0, 0.0, 30 / 16, 4.0, 15.0, 30.0)]
    for _ in range(8):
        window, fps = int(rng.integers(2, 25)), float(rng.choice([15, 24, 25, 30, 60]))
        asked.append((window, fps, round(float(rng.uniform(0.1, 0.6) * fps), 2)))
    return [*asked, (1, 30.0, 7.0)]


FLICKER_KEPT = Exercise(
    name="01.flicker_kept",
    title="What an average over frames lets through",
    minutes=9,
    difficulty=2,
    points=3,
    answer=_kept,
    inputs=_flickers,
    mistakes=(
        Mistake(
            answer=lambda window, fps, hertz: float(abs(np.sinc(window * hertz / fps))),
            cause="you averaged over all moments (sinc); a video has frames only, and a "
            "flicker of fps cycles a second looks still in them",
        ),
        Mistake(
            answer=lambda window, fps, hertz: _kept(window, 1.0, hertz),
            cause="you took hertz for cycles a frame; divide by the frames a second",
        ),
        Mistake(
            answer=lambda window, fps, hertz: max(0.0, 1 - window * hertz / fps),
            cause="you let it fall in a straight line to its first zero; it is curved, "
            "and behind the zero a little comes back",
        ),
        Mistake(
            answer=lambda window, fps, hertz: _kept(window, fps, hertz) ** 2,
            cause="you gave the power, which is the square of the swing",
        ),
        Mistake(
            answer=lambda window, fps, hertz: float(
                np.cos(2 * np.pi * hertz / fps * np.arange(window)).mean()
            ),
            cause="you averaged one cosine from its crest on, as one frame does; "
            "the swing is the most that any frame can get",
        ),
    ),
    hints=(
        "How many frames is one cycle long? When the window holds whole cycles, nothing "
        "comes through (unless one cycle is one frame).",
        "A flicker is the shadow of a turning arrow. The mean of the arrows of the "
        "window's frames is an arrow that turns as fast; its length is what is kept.",
        "abs(mean of exp(2j * pi * hertz / fps * t)) for t in 0 ... window - 1.",
    ),
)


# 01.change


def _grey(video: Tensor) -> Tensor:
    return (video * video.new_tensor(LUMA).view(1, 3, 1, 1, 1)).sum(dim=1, keepdim=True)


def _blur(grey: Tensor, size: int) -> Tensor:
    return F.avg_pool3d(grey, (1, size, size), stride=1, padding=(0, size // 2, size // 2))


def _change(video: Tensor, size: int, lag: int, grey=_grey) -> Tensor:
    coarse = _blur(grey(video), size)
    before = [max(0, t - lag) for t in range(coarse.shape[2])]
    return coarse - coarse[:, :, before]


def _rolled(video: Tensor, size: int, lag: int) -> Tensor:
    coarse = _blur(_grey(video), size)
    return coarse - coarse.roll(lag, dims=2)


def _zero_at_first(video: Tensor, size: int, lag: int) -> Tensor:
    out = _change(video, size, lag)
    out[:, :, :lag] = 0
    return out


def _videos(rng: np.random.Generator) -> list[tuple]:
    sizes = [(1, 8, 3, 2), (1, 8, 1, 1), (2, 6, 5, 3), (1, 1, 3, 1), (1, 4, 3, 6)]
    sizes += [(1, 5, 3, int(lag)) for lag in rng.integers(1, 5, 3)]
    asked = []
    for batch, T, size, lag in sizes:
        shape = (batch, 3, T, *rng.integers(5, 10, 2))
        asked.append((torch.from_numpy(rng.random(shape, np.float32)), size, lag))
    return asked


CHANGE = Exercise(
    name="01.change",
    title="An M-like filter with another memory",
    minutes=9,
    difficulty=2,
    points=3,
    answer=_change,
    inputs=_videos,
    mistakes=(
        Mistake(
            answer=_rolled,
            cause="you used roll, which takes the last frames for what came before the "
            "first",
        ),
        Mistake(
            answer=_zero_at_first,
            cause="you set the first lag frames to zero; it is as if the video had stood "
            "still before, so they are compared with frame 0",
        ),
        Mistake(
            answer=lambda video, size, lag: _change(
                video, size, lag, lambda rgb: rgb.mean(dim=1, keepdim=True)
            ),
            cause="you weighed red, green and blue alike; section 2 weighs them by LUMA",
        ),
        Mistake(
            answer=lambda video, size, lag: _change(video, size, 1),
            cause="you compared with the frame just before; lag says how far back to look",
        ),
        Mistake(
            answer=lambda video, size, lag: _change(video, size, lag).abs(),
            cause="you dropped the sign; brighter and darker are different news",
        ),
    ),
    hints=(
        "Section 2's m_like does it for size 9 and lag 1. What changes?",
        "Make the blurred grey video longer at its front: lag times its first frame. Then "
        "subtract it, cut to T frames, from the unshifted one.",
        "past = torch.cat([coarse[:, :, :1]] * lag + [coarse], dim=2)[:, :, :T]; the "
        "answer is coarse - past.",
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
