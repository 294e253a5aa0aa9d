"""The exercises of notebook 02: frames, channels, seconds, cost, and aliasing."""

import numpy as np

from slowfast_edu.config import ClipConfig
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n02_channels import BUDGET, CHANNELS
from slowfast_edu.sampling import fast_indices, slow_indices

RATES = (15, 24, 25, 30, 60)


def _clips(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """T, tau and alpha of a dozen clips, the paper's among them."""
    drawn = [(4, 16, 8), (8, 8, 4)]
    while len(drawn) < 12:
        tau = int(rng.choice([4, 6, 8, 12, 16, 32]))
        alpha = int(rng.choice([d for d in range(2, tau) if tau % d == 0]))
        drawn.append((int(rng.integers(1, 12)), tau, alpha))
    return drawn


# 02.frames


def _frames(T: int, tau: int, alpha: int) -> tuple:
    clip = ClipConfig(T=T, tau=tau, alpha=alpha)
    return slow_indices(clip).tolist(), fast_indices(clip).tolist()


FRAMES = Exercise(
    name="02.frames",
    title="The frames of both pathways",
    minutes=6,
    difficulty=1,
    points=2,
    answer=_frames,
    inputs=_clips,
    mistakes=(
        Mistake(
            answer=lambda T, tau, alpha: (
                list(range(0, T * tau, tau)),
                list(range(0, T * tau, alpha)),
            ),
            cause="you took every alpha-th frame; alpha says how many *more* frames Fast "
            "has, so its stride is tau / alpha",
        ),
        Mistake(
            answer=lambda T, tau, alpha: (
                list(range(0, T * tau, tau)),
                [i * alpha for i in range(alpha * T)],
            ),
            cause="you put Fast's frames alpha apart; alpha of them fit into one step of "
            "Slow's, tau, so they lie tau / alpha apart",
        ),
        Mistake(
            answer=lambda T, tau, alpha: (list(range(T)), list(range(alpha * T))),
            cause="you took frames that follow each other; Slow's lie tau apart, Fast's "
            "tau / alpha",
        ),
        Mistake(
            answer=lambda T, tau, alpha: (
                list(range(0, T, tau)),
                list(range(0, T, tau // alpha)),
            ),
            cause="you took T for the length of the clip; T is the number of Slow's "
            "frames, and the clip is T * tau raw frames long",
        ),
        Mistake(
            answer=lambda T, tau, alpha: (
                np.linspace(0, T * tau - 1, T).astype(int).tolist(),
                np.linspace(0, T * tau - 1, alpha * T).astype(int).tolist(),
            ),
            cause="you spread the frames from the first to the very last (linspace), as "
            "some code does; the strides tau and tau / alpha are exact here",
        ),
    ),
    hints=(
        "T frames that are tau apart span T * tau raw frames.",
        "Fast has alpha * T frames in the same span. How far apart are they?",
        "range(0, T * tau, tau) is Slow's; Fast's goes in steps of tau // alpha.",
    ),
)


# 02.seconds


def _seconds(rng: np.random.Generator) -> list[tuple]:
    return [(*clip, float(rng.choice(RATES))) for clip in _clips(rng)]


SPAN = Exercise(
    name="02.seconds",
    title="Seconds of a clip, and Fast's rate",
    minutes=6,
    difficulty=1,
    points=2,
    answer=lambda T, tau, alpha, fps: (T * tau / fps, fps * alpha / tau),
    inputs=_seconds,
    mistakes=(
        Mistake(
            answer=lambda T, tau, alpha, fps: (T * tau / fps, fps / tau),
            cause="you gave the rate of Slow's frames; Fast's come alpha times as often",
        ),
        Mistake(
            answer=lambda T, tau, alpha, fps: ((T - 1) * tau / fps, fps * alpha / tau),
            cause="you measured from Slow's first frame to its last; the last one stands "
            "for tau raw frames too",
        ),
        Mistake(
            answer=lambda T, tau, alpha, fps: (T * tau / fps, alpha * T),
            cause="you gave how many frames Fast has, not how many it sees a second",
        ),
        Mistake(
            answer=lambda T, tau, alpha, fps: (T / fps, fps * alpha / tau),
            cause="you forgot tau in the span: the T frames of Slow lie tau apart",
        ),
        Mistake(
            answer=lambda T, tau, alpha, fps: (T * tau / fps, tau / alpha / fps),
            cause="you gave the seconds between two of Fast's frames; the rate is one over "
            "that",
        ),
        Mistake(
            answer=lambda T, tau, alpha, fps: (T * tau * fps, fps * alpha / tau),
            cause="you multiplied by the rate; frames divided by frames per second are "
            "seconds",
        ),
    ),
    hints=(
        "How many raw frames does the clip span, and how long does each of them last?",
        "Two of Fast's frames are tau / alpha raw frames apart.",
        "The span is T * tau / fps seconds; Fast sees one frame every tau / alpha / fps.",
    ),
)


# 02.nyquist


def _nyquist(fps: float, stride: int, cycles_per_second: float) -> float:
    rate = fps / stride
    return abs(cycles_per_second - rate * round(cycles_per_second / rate))


def _wheels(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(16):
        fps, stride = float(rng.choice(RATES)), int(rng.choice([1, 2, 4, 8, 16]))
        share = rng.uniform(0.05, 0.45) + rng.integers(0, 3) + rng.choice([0, 0.5])
        drawn.append((fps, stride, round(float(share * fps / stride), 3)))
    return drawn


NYQUIST = Exercise(
    name="02.nyquist",
    title="The rhythm that a pathway sees",
    minutes=10,
    difficulty=3,
    points=3,
    answer=_nyquist,
    inputs=_wheels,
    mistakes=(
        Mistake(
            answer=lambda fps, stride, cycles: min(cycles, fps / stride / 2),
            cause="you cut at half the rate; what is too quick does not stop there, it "
            "comes back as something slower",
        ),
        Mistake(
            answer=lambda fps, stride, cycles: (
                cycles if cycles <= fps / stride / 2 else 0.0
            ),
            cause="you let what is too quick vanish; it is seen, as something slower",
        ),
        Mistake(
            answer=lambda fps, stride, cycles: cycles % (fps / stride / 2),
            cause="you took the remainder by half the rate; what vanishes between two "
            "looks is a whole turn, which is the whole rate",
        ),
        Mistake(
            answer=lambda fps, stride, cycles: cycles % (fps / stride),
            cause="you took the remainder, which may still be above half the rate: a "
            "wheel that turns 0.9 of a round a look seems to turn back by 0.1",
        ),
        Mistake(
            answer=lambda fps, stride, cycles: _nyquist(fps, 1, cycles),
            cause="you forgot the stride: a pathway looks fps / stride times a second",
        ),
        Mistake(
            answer=lambda fps, stride, cycles: (
                cycles - fps / stride * round(cycles / (fps / stride))
            ),
            cause="you kept the sign, which tells the direction; the rhythm is its size",
        ),
    ),
    hints=(
        "A pathway looks r = fps / stride times a second. What does it see of something "
        "that turns exactly r times a second?",
        "Between two looks, whole turns cannot be seen: take away the *nearest* whole "
        "number of turns.",
        "abs(f - r * round(f / r)) with r = fps / stride.",
    ),
)

WHY_TAU = Written(
    name="02.why_tau",
    title="Why weights belong to a tau",
    minutes=8,
    difficulty=2,
    points=3,
)

EXERCISES = (FRAMES, SPAN, CHANNELS, BUDGET, NYQUIST, WHY_TAU)
