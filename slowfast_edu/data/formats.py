"""Which reader an annotation file needs, told by its first line."""

from collections.abc import Sequence
from pathlib import Path

from slowfast_edu.checks import check_choice
from slowfast_edu.data.annotations import (
    LABELS_COLUMNS,
    Annotations,
    folder_per_class,
    kinetics_csv,
    labels_csv,
    pyslowfast_csv,
    ucf101_split,
)
from slowfast_edu.data.ava import KeyframeAnnotations, ava_csv
from slowfast_edu.data.lines import AnnotationError, PathLike, text_lines

FORMATS = ("folders", "kinetics", "pyslowfast", "ucf101", "ava", "labels")
CLASS_INDEX = "classInd.txt"  # UCF101's list of classes, beside its splits


def detect_format(path: PathLike) -> str:
    """One of ``FORMATS``, by what is at ``path``.

    A list of paths with numbers is UCF101's if ``classInd.txt`` lies beside it.

    Raises:
        AnnotationError: nothing there, or no format that is known.
    """
    path = Path(path)
    if path.is_dir():
        return "folders"
    _, first = next(text_lines(path), (0, ""))
    cells = [cell.strip() for cell in first.split(",")]
    if "youtube_id" in cells:
        return "kinetics"
    if cells[0] == "path" or set(LABELS_COLUMNS) <= set(cells):
        return "labels"
    if len(cells) in (2, 7, 8) and "/" not in first and "." not in cells[0]:
        return "ava"
    if "/" in first and (path.parent / CLASS_INDEX).is_file():
        return "ucf101"
    if first.replace(",", " ").split()[-1:] and first[-1].isdigit():
        return "pyslowfast"
    known = ", ".join(FORMATS)
    raise AnnotationError(f"{path}: its first line {first[:60]!r} fits none of {known}")


def read_annotations(
    path: PathLike,
    format: str | None = None,
    root: PathLike | None = None,
    first_second: float = 0,
    classes: Sequence[str] | None = None,
) -> Annotations | KeyframeAnnotations:
    """Read a folder or an annotation file of any known format.

    Args:
        path: the folder of folders, or the file.
        format: one of ``FORMATS``; None looks at the file.
        root: where a list's videos are; by default the folder of the file.
        first_second: of AVA, see ``ava_csv``.
        classes: in the order of their labels. Give those of training for testing.

    Raises:
        AnnotationError: see the readers.
        ValueError: an unknown format, or another root for a folder.
    """
    path = Path(path)
    format = detect_format(path) if format is None else format
    check_choice("format", format, FORMATS)
    if format == "folders":
        if root is not None and Path(root) != path:
            raise ValueError(
                f"root={str(root)!r} is for lists; the folder {path} is its own"
            )
        return folder_per_class(path, classes)
    root = path.parent if root is None else Path(root)
    if not root.is_dir():
        raise AnnotationError(f"{root}: no such folder; root must hold the videos")
    if format == "kinetics":
        return kinetics_csv(path, root, classes)
    if format == "labels":
        return labels_csv(path, root, classes)
    if format == "pyslowfast":
        return pyslowfast_csv(path, root, classes)
    if format == "ucf101":
        return ucf101_split(path, path.parent / CLASS_INDEX, root)
    return ava_csv(path, root, first_second=first_second)
