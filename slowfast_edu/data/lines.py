"""Lines of annotation files, read so that every error names the file and the line."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

VIDEO_ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".ts")
PathLike = str | os.PathLike


class AnnotationError(ValueError):
    """A wrong line of an annotation file; names file, line, rule and value."""


def refuse(path: PathLike, line: int, problem: str) -> NoReturn:
    """Give up on a file because of one of its lines, counted from 1.

    Raises:
        AnnotationError: always.
    """
    raise AnnotationError(f"{path}, line {line}: {problem}")


def _text(path: PathLike) -> str:
    """A whole file; UTF-8, with or without the mark that some editors put first."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: is not UTF-8 text (byte {error.start}); of a video pass its folder"
        ) from error


def text_lines(path: PathLike) -> Iterator[tuple[int, str]]:
    """(number, text) of every line that is not blank.

    Raises:
        AnnotationError: a file that cannot be read.
    """
    for line, text in enumerate(_text(path).split("\n"), 1):
        if text.strip():
            yield line, text.strip()


def csv_rows(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """(line, cells without the blanks around them) of every row that is not blank.

    Raises:
        AnnotationError: a file that cannot be read, or is no CSV.
    """
    reader = csv.reader(_text(path).split("\n"), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        refuse(path, reader.line_num, f"is no CSV: {error}")


def whole_number(path: PathLike, line: int, field: str, text: str) -> int:
    """A number made of digits alone.

    Raises:
        AnnotationError: anything else.
    """
    if not re.fullmatch(r"[0-9]+", text):
        refuse(path, line, f"{field}={text!r} must be a whole number from 0")
    return int(text)


def name_below(path: PathLike, line: int, root: PathLike, text: str) -> str:
    """A video's path as a name below ``root``, with forward slashes.

    Raises:
        AnnotationError: a path that leads out of ``root``.
    """
    name = os.path.relpath(os.path.join(root, text), root).replace(os.sep, "/")
    if name.split("/")[0] in ("..", "."):
        refuse(path, line, f"{text!r} does not lie below the root {root}")
    return name


def videos_below(root: PathLike) -> list[str]:
    """Names of all videos in a folder and its folders, sorted; hidden files are not."""
    found = []
    for folder, _, files in os.walk(root, followlinks=True):
        inner = os.path.relpath(folder, root)
        found += [
            os.path.normpath(os.path.join(inner, file)).replace(os.sep, "/")
            for file in files
            if file.lower().endswith(VIDEO_ENDINGS) and not file.startswith(".")
        ]
    return sorted(found)


def videos_by_stem(root: PathLike) -> dict[str, list[str]]:
    """The same names, under what is left of each without folder and ending."""
    stored = {}
    for name in videos_below(root):
        stored.setdefault(name.rsplit("/", 1)[-1].rsplit(".", 1)[0], []).append(name)
    return stored
