"""Who does what where in a video: a detector asked about boxes, and AVA's lists out.

Boxes come from elsewhere: an annotation, a tracker, a detector of people.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from slowfast_edu.applications.features import clip_rate, clip_size
from slowfast_edu.checkpoints import about_of
from slowfast_edu.checkpoints.whole import BOXES, load_built
from slowfast_edu.checks import check_count
from slowfast_edu.data.ava import Keyframe, KeyframeAnnotations, Person
from slowfast_edu.data.batches import collate_keyframes
from slowfast_edu.data.datasets import KeyframeClips
from slowfast_edu.files import write_whole
from slowfast_edu.models import Detector
from slowfast_edu.models.detection import check_boxes
from slowfast_edu.training.detection import check_detector, detect_keyframes
from slowfast_edu.training.detection_metrics import FrameBoxes

__all__ = [
    "AvaRow",
    "Detected",
    "ava_rows",
    "detect",
    "detect_keyframes",
    "load_detector",
    "write_ava_csv",
]

KEYFRAME_NAME = re.compile(r"(.+) at ([0-9.e+-]+) s")  # as KeyframeClips names them


class Detected(NamedTuple):
    """What the people of one moment do.

    Attributes:
        path: of the video.
        seconds: of the moment.
        boxes: (N, 4): x1, y1, x2, y2 in shares of the picture.
        classes: names of the actions.
        probabilities: float32 (N, classes); each stands alone, they do not sum to 1.
    """

    path: Path
    seconds: float
    boxes: np.ndarray
    classes: tuple[str, ...]
    probabilities: np.ndarray

    def top(self, k: int = 3) -> list[list[tuple[str, float]]]:
        """The k surest actions of each box, with their probabilities.

        Raises:
            ValueError: k is not a whole number from 1 up.
        """
        check_count("k", k)
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            [(self.classes[place], float(chances[place])) for place in places]
            for places, chances in zip(order, self.probabilities, strict=True)
        ]


def load_detector(checkpoint: str | Path, preset: str | None = None) -> Detector:
    """The trained detector in a file that ``save_checkpoint`` or a run wrote, in eval mode.

    Args:
        checkpoint: a file of a detector.
        preset: which model its trunk is of; such a file says so itself.

    Raises:
        CheckpointError: unreadable, for another model, or not a detector's: says how to
            begin one with the weights of a classifier.
    """
    return load_built(checkpoint, Detector, BOXES, preset)


def detect(
    model: Detector,
    path: str | Path,
    seconds: float,
    boxes: Sequence[Sequence[float]],
    *,
    size: int | None = None,
    frames_per_second: float | None = None,
) -> Detected:
    """Ask what the people in given boxes do at a moment of a video.

    Args:
        model: of ``load_detector``, or just trained.
        path: any video file that PyAV opens.
        seconds: of the moment; the clip lies around it.
        boxes: of x1, y1, x2, y2, in shares of the picture's width and height.
        size: pixels of the shorter side; by default what the model says, or 256.
        frames_per_second: at which the model sees; by default what it says, or the file's.

    Raises:
        ValueError: boxes in pixels or with wrong corners, a wrong moment, size or rate; no
            ``Detector``.
        VideoError: the file cannot be read, or ends before.
    """
    check_detector(model)
    path, about = Path(path), about_of(model)
    corners = torch.as_tensor(np.asarray(boxes, dtype=np.float32))
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError(
            f"boxes have shape {tuple(corners.shape)}, must be (N, 4): x1, y1, x2, y2 each"
        )
    check_boxes(torch.cat([torch.zeros(len(corners), 1), corners], dim=1), clips=1)
    people = tuple(Person(tuple(box), ()) for box in corners.tolist())
    classes = _names(about.classes, model.head.projection.boxes.out_features)
    moment = KeyframeAnnotations(
        path.parent, classes, (Keyframe(path.name, seconds, people),)
    )
    size, rate = clip_size(model, size), clip_rate(model, frames_per_second)
    clips = KeyframeClips(moment, model.config.clip, size=size, frames_per_second=rate)
    device = next(model.parameters()).device
    found = detect_keyframes(model, [collate_keyframes([clips[0]])], device=device)
    frame = found.detections[0]
    return Detected(path, seconds, frame.boxes, classes, frame.scores)


def _names(known: tuple[str, ...], count: int) -> tuple[str, ...]:
    return known if len(known) == count else tuple(f"class {i}" for i in range(count))


class AvaRow(NamedTuple):
    """A line of AVA's lists of detections; action 1 is class 0."""

    video_id: str
    timestamp: float
    x1: float
    y1: float
    x2: float
    y2: float
    action_id: int
    score: float


def ava_rows(
    detections: Iterable[FrameBoxes], first_second: float = 0, least: float = 0
) -> Iterator[AvaRow]:
    """AVA's lines of what ``detect_keyframes`` found: one for each box and action.

    Args:
        detections: of keyframes that ``KeyframeClips`` named.
        first_second: of the movie at which the files begin, as of ``ava_csv``.
        least: score below which a line is left out.

    Raises:
        ValueError: a name that tells no video and moment.
    """
    for name, boxes, scores in detections:
        match = KEYFRAME_NAME.fullmatch(name)
        if not match:
            raise ValueError(f"keyframe {name!r} must be named like 'a.mp4 at 902 s'")
        video, seconds = Path(match[1]).stem, float(match[2]) + first_second
        for box, of_box in zip(boxes.tolist(), scores.tolist(), strict=True):
            for place, score in enumerate(of_box):
                if score >= least:
                    yield AvaRow(video, seconds, *box, place + 1, score)


def write_ava_csv(path: str | Path, rows: Iterable[AvaRow]) -> None:
    """Write detections as AVA's evaluation reads them, without a header, in one step.

    Args:
        path: of the file; one that is there is replaced.
        rows: eight values each; see ``AvaRow``.

    Raises:
        ValueError: a box that is no share of the picture, an action below 1, a score that
            is not finite; names the line.
        OSError: the folder is missing or cannot be written to.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for line, row in enumerate(rows, start=1):
        row = AvaRow(*row)
        if not 0 <= row.x1 <= row.x2 <= 1 or not 0 <= row.y1 <= row.y2 <= 1:
            raise ValueError(
                f"line {line}: the box is {row[2:6]}; x1 <= x2 and y1 <= y2 must be shares "
                "of the picture, in [0, 1]"
            )
        if row.action_id < 1 or not math.isfinite(row.score):
            raise ValueError(
                f"line {line}: action_id={row.action_id} must be 1 or more and "
                f"score={row.score} finite"
            )
        numbers = [f"{number:.6g}" for number in (*row[2:6], row.score)]
        writer.writerow(
            [row.video_id, _moment(row.timestamp), *numbers[:4], row.action_id, numbers[4]]
        )
    write_whole(path, text.getvalue().encode())


def _moment(seconds: float) -> str:
    """As in AVA's lists: whole seconds in four digits."""
    return f"{int(seconds):04d}" if seconds == int(seconds) else f"{seconds:g}"
