"""Two exercises of notebook 08: average precision, and which boxes are right."""

import numpy as np

from slowfast_edu.exercises.exercise import Exercise, Mistake
from slowfast_edu.training.detection_metrics import average_precision, box_iou
from slowfast_edu.training.metrics import mean_average_precision

# 08.precision


def _precision(scores: np.ndarray, occurs: np.ndarray) -> float:
    return mean_average_precision(scores[:, None], occurs[:, None])


def _at_ranks(scores: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    """Precision among the first 1, 2, ... clips."""
    return np.cumsum(occurs[np.argsort(-scores)]) / np.arange(1, len(scores) + 1)


def _or_refuse(precision):
    """An answer that is wrong only where there is something to find."""

    def answer(scores, occurs):
        if not occurs.any():
            raise ValueError("no clip has the class")
        return float(precision(scores, occurs))

    return answer


def _ranked(rng: np.random.Generator) -> list[tuple]:
    drawn = [
        (np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1])),
        (np.array([0.2, 0.6, 0.4]), np.array([0, 1, 0])),
        (np.array([0.3, 0.5]), np.array([0, 0])),
    ]
    for count in range(6, 15):
        scores = rng.permutation(count) / count + 0.01  # no two alike
        occurs = np.zeros(count, dtype=int)
        occurs[rng.permutation(count)[: int(rng.integers(2, count))]] = 1
        drawn.append((scores, occurs))
    return drawn


PRECISION = Exercise(
    name="08.precision",
    title="Do those that have it come first?",
    minutes=7,
    difficulty=2,
    points=3,
    answer=_precision,
    inputs=_ranked,
    mistakes=(
        Mistake(
            answer=_or_refuse(lambda scores, occurs: _precision(-scores, occurs)),
            cause="you sorted from the lowest score up; the surest clip comes first",
        ),
        Mistake(
            answer=_or_refuse(lambda scores, occurs: _at_ranks(scores, occurs).mean()),
            cause="you averaged over all ranks; only the ranks of clips that have the "
            "class count",
        ),
        Mistake(
            answer=_or_refuse(
                lambda scores, occurs: average_precision(scores, occurs == 1, occurs.sum())
            ),
            cause="you took the highest precision at this *or any later* rank: that is the "
            "measure of boxes (Pascal VOC, AVA); for clips each rank has its own",
        ),
        Mistake(
            answer=_or_refuse(
                lambda scores, occurs: _at_ranks(scores, occurs)[occurs.sum() - 1]
            ),
            cause="you took the precision at one rank; average precision is the mean over "
            "the ranks of all clips that have the class",
        ),
        Mistake(
            answer=lambda scores, occurs: (
                _precision(scores, occurs) if occurs.any() else 0.0
            ),
            cause="you gave 0 where no clip has the class: nothing was missed there. Raise "
            "a ValueError",
        ),
        Mistake(
            answer=lambda *given: _precision(*given) if given[1].any() else float("nan"),
            cause="you took the mean of nothing, NaN, where no clip has the class. Raise a "
            "ValueError",
        ),
        Mistake(
            answer=_or_refuse(
                lambda scores, occurs: _at_ranks(scores, occurs)[
                    occurs[np.argsort(-scores)]
                ].mean()
            ),
            cause="you indexed with zeros and ones, which takes ranks 0 and 1 again and "
            "again; occurs == 1 is a mask",
        ),
    ),
    hints=(
        "Sort the clips by score. At the rank of each clip that has the class: what share "
        "of those so far has it too?",
        "That share is hits so far / rank. Average it over the clips that have the class.",
        "hits = occurs[np.argsort(-scores)]; (np.cumsum(hits) / ranks)[hits == 1].mean()",
    ),
)

# 08.match


def _match(
    boxes,
    scores,
    truths,
    *,
    overlap=box_iou,
    again=False,
    next_best=False,
    poor=False,
    least=0.5,
) -> list[bool]:
    """Which detections are right; with other settings what is often taken for it."""
    right, taken = [False] * len(boxes), set()
    overlaps = overlap(boxes, truths)
    for place in np.argsort(-scores) if len(truths) else ():
        own = overlaps[place].copy()
        if next_best:
            own[list(taken)] = -1
        best = int(own.argmax())
        right[place] = bool(own[best] >= least and (again or best not in taken))
        taken |= {best} if right[place] or poor else set()
    return right


def _covered(boxes: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """The share of each true box that lies in each box."""
    low = np.maximum(boxes[:, None, :2], truths[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], truths[None, :, 2:])
    return (high - low).clip(0).prod(axis=2) / (truths[:, 2:] - truths[:, :2]).prod(axis=1)


def _frame(rng: np.random.Generator) -> tuple:
    """Three true boxes, and six that lie near one of them."""
    truths = np.array([[0, 0, 10, 10], [0, 3, 10, 13], [20, 0, 26, 12]], dtype=float)
    boxes = truths[rng.integers(0, 3, 6)] + rng.normal(0, 1.2, (6, 4))
    return boxes, (rng.permutation(6) + 1) / 8, truths


def _frames(rng: np.random.Generator) -> list[tuple]:
    two = np.array([[0.0, 0, 10, 10], [0, 3, 10, 13]])
    shifted = np.array([[0.0, 0, 10, 10], [0, 1, 10, 11]])
    return [
        (two[:1], np.array([0.9]), two[:1]),
        (np.array([[0.0, 0, 5, 10]]), np.array([0.9]), two[:1]),  # IoU exactly a half
        (shifted, np.array([0.9, 0.8]), two),  # the second is nearest to what is taken
        (shifted, np.array([0.3, 0.8]), two[:1]),
        (np.array([[0.0, 0, 4, 10], [0, 0, 10, 10]]), np.array([0.9, 0.8]), two[:1]),
        (np.array([[-5.0, -5, 15, 15]]), np.array([0.9]), two[:1]),  # holds all of it
        (two, np.array([0.9, 0.8]), two[:0]),
        (two[:0], np.zeros(0), two),
        *(_frame(rng) for _ in range(6)),
    ]


MATCH = Exercise(
    name="08.match",
    title="Which boxes are right",
    minutes=10,
    difficulty=3,
    points=4,
    answer=_match,
    inputs=_frames,
    mistakes=(
        Mistake(
            answer=lambda *frame: _match(*frame, again=True),
            cause="you counted two boxes around one person; the second is wrong",
        ),
        Mistake(
            answer=lambda *frame: _match(*frame, next_best=True),
            cause="you gave a box whose best true box is taken to the next best (as COCO "
            "does); in AVA's protocol it is wrong",
        ),
        Mistake(
            answer=lambda boxes, scores, truths: _match(
                boxes, -np.arange(len(boxes)), truths
            ),
            cause="you went through the boxes as they stand; the surest one chooses first",
        ),
        Mistake(
            answer=lambda *frame: _match(*frame, overlap=_covered),
            cause="you asked how much of the true box is covered; a box around the whole "
            "picture covers all. IoU divides by the union",
        ),
        Mistake(
            answer=lambda *frame: _match(*frame, least=0.5 + 1e-9),
            cause="you left out an IoU of exactly 0.5; 'at least half' includes it",
        ),
        Mistake(
            answer=lambda *frame: _match(*frame, poor=True),
            cause="you let a box below 0.5 take the true box away; only a box that is "
            "right takes it",
        ),
        Mistake(
            answer=lambda boxes, scores, truths: [
                _match(boxes, scores, truths)[place] for place in np.argsort(-scores)
            ],
            cause="you gave the answers in the order of the scores; give them in the "
            "order of the boxes",
        ),
    ),
    hints=(
        "Two boxes around one person: which of them may count?",
        "Go from the highest score down. Each box goes to the true box that it overlaps "
        "most; it is right if that is at least 0.5 and not taken yet.",
        "for d in np.argsort(-scores): best = overlaps[d].argmax(); keep a set of taken "
        "ones. Without a true box there is no argmax.",
    ),
)
