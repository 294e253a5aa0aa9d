"""Readers of annotation files: which video shows what.

Each returns ``Annotations``, so that one data set class serves all. To add a format write
a function that returns one; ``lines`` names file and line for it. No reader opens a
video: a missing or broken one is told by whoever reads it.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from slowfast_edu.data.lines import (
    AnnotationError,
    PathLike,
    csv_rows,
    name_below,
    refuse,
    text_lines,
    videos_below,
    videos_by_stem,
    whole_number,
)

KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
LABELS_COLUMNS = ("path", "labels")
BETWEEN_LABELS = ";"


class LabelledVideo(NamedTuple):
    """A video's path below the root, with forward slashes, and its class, or classes."""

    name: str
    label: int | tuple[int, ...]


class Annotations(NamedTuple):
    """A data set without its pictures.

    Attributes:
        root: folder below which the videos lie.
        classes: names; a label is a place in this list.
        videos: what there is to see, in the order of the file.
    """

    root: Path
    classes: tuple[str, ...]
    videos: tuple[LabelledVideo, ...]

    @property
    def several_labels(self) -> bool:
        """Whether a video may have several labels, or none: each is then a tuple."""
        return any(isinstance(video.label, tuple) for video in self.videos)


def folder_per_class(root: PathLike, classes: Sequence[str] | None = None) -> Annotations:
    """Videos in folders that are named after their class: ``root/clap/7.mp4``.

    Args:
        root: the folder of folders. Other files than videos are passed over, and so are
            folders without any.
        classes: the folders to read, in the order of their labels; all, sorted, by
            default. Give those of training for testing, lest labels shift.

    Raises:
        AnnotationError: no such folder, or none with a video in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise AnnotationError(f"{root}: no such folder; it must hold a folder a class")
    found = {}
    for name in videos_below(root):
        folder, *inner = name.split("/")
        if inner:
            found.setdefault(folder, []).append(name)
    classes = tuple(sorted(found) if classes is None else classes)
    for folder in classes:
        if folder not in found:
            raise AnnotationError(f"{root / folder}: holds no video, but is to be a class")
    if not classes:
        raise AnnotationError(
            f"{root}: none of its folders holds a video; put videos into a folder for each "
            "class, or pass a list"
        )
    videos = [LabelledVideo(n, i) for i, c in enumerate(classes) for n in found[c]]
    return Annotations(root, classes, tuple(videos))


def kinetics_csv(
    path: PathLike, root: PathLike, classes: Sequence[str] | None = None
) -> Annotations:
    """The official lists of Kinetics: label, youtube_id, time_start, time_end, split.

    A video is ``{youtube_id}_{time_start:06d}_{time_end:06d}`` with any video ending,
    anywhere below ``root``; of several the one in a folder of its label. One that is not
    there stays in the list, as ``.mp4``, so that it is missed aloud.

    Args:
        path: the CSV file. Other columns than these are passed over.
        root: where the videos are.
        classes: labels in order; sorted ones of the file by default. Give those of
            training for testing, lest labels shift.

    Raises:
        AnnotationError: a wrong line, a repeated one, or none.
    """
    wanted = []
    for line, (label, video, start, end) in _table(path, KINETICS_COLUMNS):
        first, last = (whole_number(path, line, "a time", text) for text in (start, end))
        if not video or "/" in video or "\\" in video or not label:
            refuse(path, line, f"youtube_id={video!r} and label={label!r} must be names")
        wanted.append((line, label, f"{video}_{first:06d}_{last:06d}"))
    classes = tuple(sorted({w[1] for w in wanted}) if classes is None else classes)
    number_of = {name: number for number, name in enumerate(classes)}
    stored = videos_by_stem(root)
    videos = [
        (line, _stored(stored, stem, label), _label(path, line, label, number_of))
        for line, label, stem in wanted
    ]
    return _annotations(path, root, classes, videos)


def labels_csv(
    path: PathLike, root: PathLike | None = None, classes: Sequence[str] | None = None
) -> Annotations:
    """Several labels a video: a header ``path,labels``, and ``party/1.mp4,clap;wave``.

    An empty cell means that the video shows none of the classes. The names of classes
    are what the file says, so that a slip of the pen makes a class: ``inspect`` shows it.

    Args:
        path: the CSV file. Other columns than these are passed over.
        root: the folder that the paths start from; the file's own by default.
        classes: names in order; sorted ones of the file by default. Give those of
            training for testing, lest labels shift.

    Raises:
        AnnotationError: a wrong line, a repeated one, a path out of ``root``, a class that
            training did not have, or no video at all.
    """
    root = Path(path).parent if root is None else Path(root)
    wanted = []
    for line, (name, cell) in _table(path, LABELS_COLUMNS):
        labels = [label.strip() for label in cell.split(BETWEEN_LABELS) if cell]
        if not name or "" in labels:
            refuse(
                path, line, f"path={name!r} and labels={cell!r} must be: 1.mp4,clap;wave"
            )
        wanted.append((line, name_below(path, line, root, name), labels))
    named = {label for *_, labels in wanted for label in labels}
    classes = tuple(sorted(named) if classes is None else classes)
    number_of = {name: number for number, name in enumerate(classes)}
    videos = [
        (line, name, tuple(sorted({_label(path, line, one, number_of) for one in labels})))
        for line, name, labels in wanted
    ]
    if videos and not named:
        raise AnnotationError(f"{path}: no video has a label; column 'labels': clap;wave")
    return _annotations(path, root, classes, videos)


def pyslowfast_csv(
    path: PathLike, root: PathLike | None = None, classes: Sequence[str] | None = None
) -> Annotations:
    """PySlowFast's lists: a path and a whole number in each line, no header.

    Between them stands a space or a comma; a path may hold spaces.

    Args:
        path: the file.
        root: the folder that the paths start from; the file's own by default. Whole
            paths (``/data/1.mp4``) are taken if they lie below it.
        classes: names of classes; "0", "1", ... by default.

    Raises:
        AnnotationError: a wrong line, a repeated one, a path out of ``root``, or none.
    """
    root = Path(path).parent if root is None else Path(root)
    videos = []
    for line, text in text_lines(path):
        match = re.fullmatch(r"(.+?)\s*[\s,]\s*([^\s,]+)", text)
        if not match:
            refuse(path, line, f"{text!r} must be a path and a label: clips/1.mp4 0")
        label = whole_number(path, line, "label", match[2])
        if classes is not None and label >= len(classes):
            refuse(path, line, f"label={label} names none of {len(classes)} classes")
        videos.append((line, name_below(path, line, root, match[1]), label))
    count = max((label for _, _, label in videos), default=-1) + 1
    names = map(str, range(count)) if classes is None else classes
    return _annotations(path, root, tuple(names), videos)


def ucf101_split(path: PathLike, class_index: PathLike, root: PathLike) -> Annotations:
    """UCF101's ``trainlist01.txt`` or ``testlist01.txt`` with its ``classInd.txt``.

    A training line is ``Class/v_x.avi 1``; a testing line lacks the number. Labels count
    from 0, the file's numbers from 1.

    Args:
        path: the split.
        class_index: lines of a number and a class.
        root: the folder that holds a folder a class.

    Raises:
        AnnotationError: a wrong line, a repeated one, an unknown class, or none.
    """
    classes = []
    for line, text in text_lines(class_index):
        number, _, name = text.partition(" ")
        if number != str(len(classes) + 1) or not name.strip():
            refuse(class_index, line, f"{text!r} must be '{len(classes) + 1} Class'")
        classes.append(name.strip())
    number_of = {name: number for number, name in enumerate(classes)}
    videos = []
    for line, text in text_lines(path):
        name, _, number = text.partition(" ")
        name = name_below(path, line, Path(root), name)
        label = _label(path, line, name.split("/")[0], number_of)
        if number and number.strip() != str(label + 1):
            rule = f"in {Path(class_index).name} {classes[label]} is {label + 1}"
            refuse(path, line, f"has the number {number.strip()!r}, but {rule}")
        videos.append((line, name, label))
    return _annotations(path, root, tuple(classes), videos)


def _table(path: PathLike, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, cells of these columns) of a CSV file with a header."""
    rows = list(csv_rows(path))
    header = rows[0][1] if rows else []
    for column in columns:
        if column not in header:
            refuse(path, 1, f"misses the column {column!r}; it has {', '.join(header)}")
    place = [header.index(column) for column in columns]
    for line, row in rows[1:]:
        if len(row) != len(header):
            refuse(path, line, f"has {len(row)} columns, but the header {len(header)}")
        yield line, [row[index] for index in place]


def _annotations(path, root, classes, videos: list) -> Annotations:
    """Of (line, name, label), refusing none at all and the same twice."""
    first_line = {}
    for line, name, _ in videos:
        if name in first_line:
            refuse(path, line, f"repeats {name!r} of line {first_line[name]}")
        first_line[name] = line
    if not first_line:
        raise AnnotationError(f"{path}: lists no video")
    listed = (LabelledVideo(name, label) for _, name, label in videos)
    return Annotations(Path(root), classes, tuple(listed))


def _label(path: PathLike, line: int, name: str, number_of: dict[str, int]) -> int:
    if name not in number_of:
        near = "".join(difflib.get_close_matches(name, number_of, n=1))
        hint = f"; the nearest is {near!r}" if near else ""
        refuse(path, line, f"{name!r} is none of the {len(number_of)} classes{hint}")
    return number_of[name]


def _stored(stored: dict[str, list[str]], stem: str, label: str) -> str:
    names = stored.get(stem, [f"{stem}.mp4"])
    folders = {label, label.replace(" ", "_")}
    return next((name for name in names if folders & set(name.split("/")[:-1])), names[0])
