"""The exercises of notebook 07: views, joining them, and confusion."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from slowfast_edu.applications.predict import combine
from slowfast_edu.config import ClipConfig
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n07_chance import COIN, ECE
from slowfast_edu.sampling import evaluation_views
from slowfast_edu.training import metrics

# 07.spread


def _spread(frames: int, raw_frames: int, clips: int, crops: int) -> list[tuple[int, int]]:
    clip = ClipConfig(T=raw_frames // 16, tau=16, alpha=8)
    return [tuple(view) for view in evaluation_views(clip, frames, clips, crops)]


def _videos(rng: np.random.Generator) -> list[tuple]:
    drawn = [(230, 64, 4, 1), (300, 64, 10, 3), (300, 64, 1, 3), (250, 64, 1, 1)]
    drawn.append((40, 64, 3, 1))
    while len(drawn) < 13:
        frames, raw_frames = int(rng.integers(130, 900)), int(rng.choice([32, 64, 128]))
        drawn.append((frames, raw_frames, int(rng.choice([2, 3, 5, 10])), 3))
    return drawn


def _views(start: Callable[[int, int, int, int], int]) -> Callable:
    """An answer with a rule of its own for where clip i of n begins."""

    def answer(frames, raw_frames, clips, crops):
        starts = [start(i, clips, frames, raw_frames) for i in range(clips)]
        return [(begin, crop) for begin in starts for crop in range(crops)]

    return answer


SPREAD = Exercise(
    name="07.spread",
    title="The views of a test",
    minutes=6,
    difficulty=1,
    points=2,
    answer=_spread,
    inputs=_videos,
    mistakes=(
        Mistake(
            answer=_views(lambda i, n, frames, raw: i * max(0, frames - raw) // n),
            cause="you divided by the number of clips, as PySlowFast does; n clips have "
            "n - 1 gaps, and the last clip is to end with the video",
        ),
        Mistake(
            answer=_views(
                lambda i, n, frames, raw: (
                    i * (frames - 1) // (n - 1) if n > 1 else (frames - 1) // 2
                )
            ),
            cause="you spread the starts over the whole video; a clip that begins at its "
            "end has no frames left",
        ),
        Mistake(
            answer=_views(
                lambda i, n, frames, raw: i * max(0, frames - raw) // max(1, n - 1)
            ),
            cause="you began a single clip at frame 0; it is to be taken from the middle",
        ),
        Mistake(
            answer=_views(
                lambda i, n, frames, raw: (
                    i * (frames - raw) // (n - 1) if n > 1 else (frames - raw) // 2
                )
            ),
            cause="you let clips of a short video begin before it does; there they all "
            "begin at 0",
        ),
        Mistake(
            answer=_views(
                lambda i, n, frames, raw: (
                    round(i * max(0, frames - raw) / (n - 1))
                    if n > 1
                    else max(0, frames - raw) // 2
                )
            ),
            cause="you rounded to the nearest frame; round down",
        ),
        Mistake(
            answer=_views(
                lambda i, n, frames, raw: (
                    i * (max(0, frames - raw) // (n - 1))
                    if n > 1
                    else max(0, frames - raw) // 2
                )
            ),
            cause="you rounded the step, and so the last clip ends before the video does; "
            "round i * d / (n - 1)",
        ),
        Mistake(
            answer=lambda *given: sorted(_spread(*given), key=lambda view: view[1]),
            cause="you went through the crops first; all crops of one clip stand together",
        ),
    ),
    hints=(
        "Where may the last clip begin, so that all of it still lies in the video?",
        "At d = max(0, frames - raw_frames). Clip i of n begins at i * d // (n - 1).",
        "One clip alone begins at d // 2. Then, for each start, all crops.",
    ),
)

# 07.join


def _join(scores: Tensor, several: bool) -> Tensor:
    return torch.stack([torch.from_numpy(combine(video, several)) for video in scores])


def _scores(rng: np.random.Generator) -> list[tuple]:
    sizes = [(2, 1, 3), (3, 30, 4)] + [tuple(rng.integers(2, 6, 3)) for _ in range(6)]
    drawn = [torch.from_numpy(rng.normal(0, 3, size)).float() for size in sizes]
    return [(scores, several) for scores in drawn for several in (False, True)]


JOIN = Exercise(
    name="07.join",
    title="One answer out of many views",
    minutes=7,
    difficulty=2,
    points=2,
    answer=_join,
    inputs=_scores,
    mistakes=(
        Mistake(
            answer=lambda scores, several: (
                _join(scores, True) if several else scores.mean(dim=1).softmax(dim=1)
            ),
            cause="you averaged the scores and took the softmax of that; each view is to "
            "have its own softmax first (section 4)",
        ),
        Mistake(
            answer=lambda scores, several: (
                scores.softmax(dim=1).mean(dim=1) if not several else _join(scores, True)
            ),
            cause="you took the softmax over the views; it goes over the classes, the last "
            "dimension",
        ),
        Mistake(
            answer=lambda scores, several: (
                scores.sigmoid().mean(dim=1) if several else _join(scores, False)
            ),
            cause="you averaged where there are several labels; a mean buries an action "
            "that fills one view of ten",
        ),
        Mistake(
            answer=lambda scores, several: (
                scores.mean(dim=1).sigmoid() if several else _join(scores, False)
            ),
            cause="you averaged the scores of several labels and took the sigmoid of that; "
            "take the highest view, whose one second may be all there is",
        ),
        Mistake(
            answer=lambda scores, several: (
                _join(scores, True) if several else scores.softmax(dim=2).amax(dim=1)
            ),
            cause="you took the maximum where there is one label; on Kinetics the paper "
            "averages, and what you return does not add up to 1",
        ),
        Mistake(
            answer=lambda scores, several: (
                scores.softmax(dim=2).amax(dim=1) if several else _join(scores, False)
            ),
            cause="you took a softmax for several labels; it hands out one whole, so two "
            "actions at once would have to share it",
        ),
    ),
    hints=(
        "Two questions: what turns scores into probabilities, and what joins the views?",
        "One label: softmax over classes, mean over views. Several: sigmoid, maximum.",
        "scores.softmax(dim=2).mean(dim=1), and scores.sigmoid().amax(dim=1).",
    ),
)

# 07.confusion


def _shares(right: np.ndarray, of: np.ndarray, none: float = np.nan) -> np.ndarray:
    return np.where(of > 0, right / np.maximum(of, 1), none)


def _confusion(answers: np.ndarray, labels: np.ndarray, classes: int) -> tuple:
    matrix = metrics.confusion_matrix(np.eye(classes)[answers], labels)
    return matrix, _shares(matrix.diagonal(), matrix.sum(axis=1))


def _once(answers: np.ndarray, labels: np.ndarray, classes: int) -> tuple:
    matrix = np.zeros((classes, classes), dtype=int)
    matrix[labels, answers] += 1
    return matrix, _shares(matrix.diagonal(), matrix.sum(axis=1))


def _answered(rng: np.random.Generator) -> list[tuple]:
    drawn = [(np.array([0, 1, 1, 1, 0]), np.array([0, 1, 0, 0, 1]), 3)]
    for count in range(12, 20):
        classes = int(rng.integers(3, 6))
        labels = rng.integers(0, classes - 1, count)  # the last class never occurs
        lucky = rng.random(count) < 0.6
        drawn.append((np.where(lucky, labels, rng.integers(0, classes, count)), labels))
        drawn[-1] += (classes,)
    return drawn


CONFUSION = Exercise(
    name="07.confusion",
    title="Who is taken for whom",
    minutes=7,
    difficulty=2,
    points=2,
    answer=_confusion,
    inputs=_answered,
    mistakes=(
        Mistake(
            answer=lambda answers, labels, n: _confusion(labels, answers, n),
            cause="you put the answers into the rows; a row is a true class, a column what "
            "it was taken for",
        ),
        Mistake(
            answer=lambda *given: (
                _confusion(*given)[0],
                _shares(_confusion(*given)[0].diagonal(), _confusion(*given)[0].sum(0)),
            ),
            cause="you divided by the columns: that is how often an *answer* is right, "
            "not how often a class is recognised",
        ),
        Mistake(
            answer=_once,
            cause="you wrote matrix[labels, answers] += 1, which counts a pair once, "
            "however often it occurs; np.add.at or a loop counts all",
        ),
        Mistake(
            answer=lambda *given: (
                _confusion(*given)[0],
                np.nan_to_num(_confusion(*given)[1]),
            ),
            cause="you gave 0 to a class without a video; nothing is known of it: NaN",
        ),
    ),
    hints=(
        "Which of the two, the true class or the answer, has a row?",
        "Begin with zeros (classes, classes) and add 1 at [label, answer] for each video.",
        "The diagonal divided by the sum of its row; np.nan where that sum is 0.",
    ),
)

PLAN = Written(
    name="07.plan",
    title="An hour of swimming",
    minutes=9,
    difficulty=2,
    points=4,
)

EXERCISES = (SPREAD, JOIN, CONFUSION, COIN, ECE, PLAN)
