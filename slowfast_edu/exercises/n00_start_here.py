"""The exercises of notebook 00: from decoded frames to a clip, from scores to a guess."""

import numpy as np
import torch
from torch import Tensor

from slowfast_edu.data.transforms import MEAN, STD, normalize
from slowfast_edu.exercises.exercise import Exercise, Mistake

# 00.to_clip


def _in_order(frames: np.ndarray) -> Tensor:
    """Floats from 0 to 255 in the network's order."""
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float()


def _frames(rng: np.random.Generator) -> list[tuple]:
    shapes = [(4, 6, 8, 3), (1, 5, 5, 3), (3, 3, 3, 3), (2, 1, 7, 3)]
    shapes += [(*(int(n) for n in rng.integers(1, 9, 3)), 3) for _ in range(4)]
    drawn = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    return [(frames,) for frames in (*drawn, np.zeros((2, 2, 2, 3), np.uint8))]


TO_CLIP = Exercise(
    name="00.to_clip",
    title="From decoded frames to a clip",
    minutes=6,
    difficulty=1,
    points=2,
    answer=normalize,
    inputs=_frames,
    mistakes=(
        Mistake(
            answer=lambda frames: (
                (
                    torch.from_numpy(frames).reshape(1, 3, *frames.shape[:3]).float() / 255
                    - MEAN
                )
                / STD
            ),
            cause="you used reshape, which cuts the same row of numbers anew and mixes "
            "colours with pixels; permute moves the axes",
        ),
        Mistake(
            answer=lambda frames: normalize(frames).transpose(1, 2),
            cause="you put time before colour; the network's order is (B, C, T, H, W)",
        ),
        Mistake(
            answer=lambda frames: normalize(frames)[0],
            cause="you left out the first axis, B: one clip is a batch of one",
        ),
        Mistake(
            answer=lambda frames: (_in_order(frames) - MEAN) / STD,
            cause="you did not divide by 255; 0.45 and 0.225 are meant for colours from 0 "
            "to 1",
        ),
        Mistake(
            answer=lambda frames: _in_order(frames) / 255,
            cause="you stopped at colours from 0 to 1; the mean and the deviation follow",
        ),
        Mistake(
            answer=lambda frames: normalize(frames).double(),
            cause="you gave float64, as NumPy does when it divides; networks take float32",
        ),
    ),
    hints=(
        "Three steps: move the axes, add the one for the batch, change the numbers.",
        "torch.from_numpy(frames).permute(...) moves axes: name for each new place the old "
        "one. C is the last axis of frames, number 3.",
        "permute(3, 0, 1, 2)[None].float() / 255, then subtract 0.45 and divide by 0.225.",
    ),
)


# 00.best_guess


def _best(scores: Tensor, names: list[str], probabilities=None) -> list[tuple]:
    """For each clip the name of its highest score, and that of the probabilities."""
    probabilities = scores.softmax(dim=1) if probabilities is None else probabilities
    best = scores.argmax(dim=1).tolist()
    return [(names[i], float(row[i])) for i, row in zip(best, probabilities, strict=True)]


def _scores(rng: np.random.Generator) -> list[tuple]:
    words = ["walk", "run", "wave", "clap", "squat", "bow"]
    asked = []
    for clips in (3, 1, 2, 5, 4, 0, 2, 3):
        names = [str(name) for name in rng.permutation(words)[: rng.integers(3, 7)]]
        scores = rng.normal(0, 2, (clips, len(names))).astype(np.float32)
        asked.append((torch.from_numpy(scores), names))
    return [*asked, (torch.tensor([[200.0, 100.0, -3.0]]), ["walk", "run", "wave"])]


BEST_GUESS = Exercise(
    name="00.best_guess",
    title="What a network says, and how sure it is",
    minutes=6,
    difficulty=1,
    points=2,
    answer=_best,
    inputs=_scores,
    mistakes=(
        Mistake(
            answer=lambda scores, names: _best(scores, names, scores),
            cause="you gave the score; softmax makes probabilities of a row of scores",
        ),
        Mistake(
            answer=lambda scores, names: _best(scores, names, scores.softmax(dim=0)),
            cause="you took the softmax over the clips (dim=0); the probabilities of one "
            "clip's classes sum to 1",
        ),
        Mistake(
            answer=lambda scores, names: _best(scores, names, scores.sigmoid()),
            cause="you took the sigmoid, which asks of each class alone; here classes "
            "exclude each other, so softmax",
        ),
        Mistake(
            answer=lambda scores, names: _best(scores, sorted(names)),
            cause="you sorted the names; column i belongs to names[i]",
        ),
        Mistake(
            answer=lambda scores, names: _best(scores, names)[:1],
            cause="you answered for the first clip only; each row of scores is a clip",
        ),
    ),
    hints=(
        "Scores become probabilities as in section 4. Along which axis?",
        "scores.softmax(dim=1) has the shape of scores, and each row sums to 1. Its "
        ".max(dim=1) gives the largest of each row, and where it stands.",
        "[(names[i], float(p)) for p, i in zip(*probabilities.max(dim=1))].",
    ),
)

EXERCISES = (TO_CLIP, BEST_GUESS)
