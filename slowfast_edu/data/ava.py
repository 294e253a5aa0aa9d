"""AVA: who does what where, at keyframes one second apart."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from slowfast_edu.data.lines import (
    AnnotationError,
    PathLike,
    csv_rows,
    refuse,
    videos_by_stem,
    whole_number,
)

AVA_CLASSES = tuple(str(action) for action in range(1, 81))
AVA_FIELDS = "video_id, timestamp, x1, y1, x2, y2, action_id, person_id"


class Person(NamedTuple):
    """A box (x1, y1, x2, y2, shares of width and height) and the labels of its actions."""

    box: tuple[float, float, float, float]
    labels: tuple[int, ...]


class Keyframe(NamedTuple):
    """A moment of a video, in seconds from its beginning, and the people in it."""

    name: str
    seconds: float
    people: tuple[Person, ...]


class KeyframeAnnotations(NamedTuple):
    """A data set of keyframes: folder, names of actions, keyframes."""

    root: Path
    classes: tuple[str, ...]
    keyframes: tuple[Keyframe, ...]


def ava_csv(
    path: PathLike,
    root: PathLike,
    classes: Sequence[str] = AVA_CLASSES,
    first_second: float = 0,
) -> KeyframeAnnotations:
    """AVA's lists: one line for each action of each person at each keyframe, no header.

    A line without an action keeps its box, and one without a box its keyframe (AVA-Kinetics
    has such). Version 1.0 lacks person_id. Repeated lines count once.

    Args:
        path: the CSV file.
        root: where the videos ``{video_id}.*`` are; one that is not there stays, as
            ``.mp4``, so that it is missed aloud.
        classes: names of the actions 1, 2, ...; label 0 is action 1.
        first_second: of the movie at which the files begin: 900 where only the annotated
            quarter of an hour was kept.

    Raises:
        AnnotationError: a wrong line, or none.
        ValueError: a first_second that is no number.
    """
    if not math.isfinite(first_second):
        raise ValueError(f"first_second={first_second} must be a number; try 900")
    stored = videos_by_stem(root)
    moments: dict[tuple[str, float], dict] = {}
    for line, row in csv_rows(path):
        if len(row) not in (2, 7, 8):
            refuse(path, line, f"has {len(row)} columns, must have 8: {AVA_FIELDS}")
        row += [""] * (8 - len(row))
        seconds = _seconds(path, line, row[1]) - first_second
        if seconds < 0:
            refuse(path, line, f"timestamp={row[1]} is before first_second={first_second}")
        people = moments.setdefault((row[0], seconds), {})
        if not any(row[2:]):
            continue
        labels = people.setdefault((_box(path, line, row[2:6]), row[7]), [])
        if row[7]:
            whole_number(path, line, "person_id", row[7])
        if row[6]:
            action = whole_number(path, line, "action_id", row[6])
            if not 1 <= action <= len(classes):
                refuse(path, line, f"action_id={action} must be 1 to {len(classes)}")
            labels.append(action - 1)
    if not moments:
        raise AnnotationError(f"{path}: lists no keyframe")
    keyframes = tuple(
        Keyframe(stored.get(video, [f"{video}.mp4"])[0], seconds, _people(people))
        for (video, seconds), people in moments.items()
    )
    return KeyframeAnnotations(Path(root), tuple(classes), keyframes)


def _people(people: dict) -> tuple[Person, ...]:
    return tuple(Person(box, tuple(sorted(set(ls)))) for (box, _), ls in people.items())


def _number(path: PathLike, line: int, field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        refuse(path, line, f"{field}={text!r} must be a number")


def _seconds(path: PathLike, line: int, text: str) -> float:
    seconds = _number(path, line, "timestamp", text)
    if not 0 <= seconds < float("inf"):
        refuse(path, line, f"timestamp={text} must be seconds from 0")
    return seconds


def _box(path: PathLike, line: int, texts: list[str]) -> tuple[float, ...]:
    names = ("x1", "y1", "x2", "y2")
    x1, y1, x2, y2 = box = tuple(
        _number(path, line, name, text) for name, text in zip(names, texts, strict=True)
    )
    for name, share in zip(names, box, strict=True):
        if not 0 <= share <= 1:
            refuse(path, line, f"{name}={share:g} must lie in [0, 1]: a share of a side")
    if x2 < x1 or y2 < y1:
        refuse(path, line, f"x1 <= x2 and y1 <= y2 must hold; the box is {box}")
    return box
