"""Notebook 01's exercises on filters: what an average keeps, and another M-like one."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from slowfast_edu.config import LUMA
from slowfast_edu.exercises.exercise import Exercise, Mistake

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
                abs(np.cos(2 * np.pi * hertz / fps * np.arange(window)).mean())
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


def _diff_n(video: Tensor, size: int, lag: int) -> Tensor:
    coarse = _blur(_grey(video), size)
    still = coarse[:, :, :1].expand(-1, -1, lag, -1, -1)
    return torch.diff(coarse, n=lag, dim=2, prepend=still)


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
            answer=_diff_n,
            cause="you took torch.diff with n=lag, which is differences of differences; "
            "lag is how far apart two frames are",
        ),
        Mistake(
            answer=lambda video, size, lag: -_change(video, size, lag),
            cause="you took earlier minus later; what gets brighter shall be above 0",
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
