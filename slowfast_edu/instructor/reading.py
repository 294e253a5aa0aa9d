"""Read what a student handed in, mend what can be mended, and say what was wrong."""

import copy
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nbformat
from nbformat.validator import normalize

from slowfast_edu.instructor.harmless import pictures

MOST_BYTES = 100 * 2**20
MOST_PARTS = 2_000_000  # lists and dictionaries: each takes many times its two characters
BELOW = "(Nothing was written here; the answer may be what stands below.)"
LONGEST = 120  # characters of a reason
MAC_ZIP = "__MACOSX"  # the folder of file attributes in a Mac's archives


class CannotGrade(Exception):
    """Why a submission gets no grade, in words for its student."""


@dataclass(frozen=True, slots=True)
class Read:
    """A submission that can be graded.

    Attributes:
        notebook: mended; no outputs, and of the metadata only nbgrader's.
        notes: what was found and mended, in words for its student.
    """

    notebook: nbformat.NotebookNode
    notes: list[str]


def readable(text: str) -> str:
    """A text of a student's for a terminal or a table: what cannot be shown is a "?"."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def find_notebook(folder: Path, name: str) -> tuple[Path, list[str]]:
    """The notebook of an assignment in one student's folder.

    Args:
        folder: the student's.
        name: of the assignment.

    Returns:
        The file, and notes about its name. Links are not followed: they could lead to
        what the student must not see.

    Raises:
        CannotGrade: there is none, or several and none of the right name.
    """
    real = [p for p in sorted(folder.rglob("*.ipynb")) if _is_own(p, folder)]
    named = [p for p in real if p.name == f"{name}.ipynb"]
    if named:
        path = min(named, key=lambda p: (len(p.parts), p))
        others = len(named) - 1
        return path, [f"{others + 1} files {path.name}; took the uppermost"] * bool(others)
    if not real:
        raise CannotGrade(f"no notebook was handed in; {name}.ipynb is expected")
    if len(real) > 1:
        names = ", ".join(sorted(p.name for p in real)[:4])
        raise CannotGrade(f"{len(real)} notebooks ({names}), none called {name}.ipynb")
    return real[0], [f"was called {real[0].name}, not {name}.ipynb"]


def _is_own(path: Path, folder: Path) -> bool:
    """A file, and neither it nor a folder above it a link or hidden, like spare copies."""
    inner = [path, *path.parents][: len(path.relative_to(folder).parts)]
    links = any(part.is_symlink() for part in inner)
    spare = any(part.name.startswith(".") or part.name == MAC_ZIP for part in inner)
    return path.is_file() and not links and not spare


def read_submission(path: Path, release: nbformat.NotebookNode) -> Read:
    """Read one submission and mend it.

    Args:
        path: of the notebook.
        release: the notebook that was handed out.

    Raises:
        CannotGrade: it is no notebook, or has no cell of the assignment.
    """
    notebook, notes = _parsed(path)
    kernel = notebook.metadata.get("kernelspec", {})
    language = kernel.get("language", "python") if isinstance(kernel, dict) else "none"
    if language != "python":
        notes.append(f"was made for a kernel of {str(language)[:20]}; graded with Python")
    notebook.metadata = release.metadata
    _, notebook = normalize(notebook)  # missing or repeated ids
    notes += _mended(notebook, release)
    try:
        nbformat.validate(notebook)
    except Exception as error:  # of nbformat, on what may be anything
        raise CannotGrade(f"not a valid notebook: {_short(error)}") from error
    return Read(notebook, notes)


def _parsed(path: Path) -> tuple[nbformat.NotebookNode, list[str]]:
    """The notebook in a file, in today's format."""
    size = path.stat().st_size
    if size == 0:
        raise CannotGrade("the file is empty")
    if size > MOST_BYTES:
        raise CannotGrade(
            f"the file has {size / 2**20:.0f} MiB, at most {MOST_BYTES // 2**20} are read; "
            "clear its outputs"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CannotGrade(f"the file is not UTF-8 (at byte {error.start})") from error
    if text.count("[") + text.count("{") > MOST_PARTS:
        raise CannotGrade(f"the file has more than {MOST_PARTS} parts; clear its outputs")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotGrade(f"the file is not JSON: {_short(error)}") from error
    if not isinstance(content, dict) or "cells" not in content:
        raise CannotGrade("the file is JSON, but no notebook: it has no cells")
    try:
        cells = [_bare(cell) for cell in content["cells"]]
        kernel = content["metadata"].get("kernelspec", {})
        content = {"metadata": {"kernelspec": kernel}, "cells": cells} | {
            "nbformat": content["nbformat"],
            "nbformat_minor": max(5, content["nbformat_minor"]),
        }
        json.dumps(content, ensure_ascii=False).encode()  # not so of half a character
        notebook = nbformat.reads(json.dumps(content), 4)
    except Exception as error:  # of nbformat, on what may be anything
        raise CannotGrade(f"not a valid notebook: {_short(error)}") from error
    large = [f"had {size / 2**20:.0f} MiB, of outputs mostly"] if size > 2**24 else []
    return notebook, large


def _bare(cell: dict) -> dict:
    """A cell without all that is made anew, or has no part in grading."""
    kept = {key: cell[key] for key in ("id", "cell_type", "source") if key in cell}
    own = {k: v for k, v in cell["metadata"].items() if k == "nbgrader"}
    if cell["cell_type"] == "code":
        return kept | {"metadata": own, "outputs": [], "execution_count": None}
    return kept | {"metadata": own, "attachments": pictures(cell.get("attachments"))}


def _short(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _mended(notebook: nbformat.NotebookNode, release: nbformat.NotebookNode) -> list[str]:
    """Give each released cell nbgrader's metadata as released; say what had changed."""
    original = {cell.id: cell.metadata.nbgrader for cell in release.cells}
    present = {cell.id for cell in notebook.cells}
    notes, seen = [], present & set(original)
    for cell in notebook.cells:
        had = cell.metadata.pop("nbgrader", None)
        name = had.get("grade_id") if isinstance(had, dict) else None
        if cell.id in original:
            cell.metadata["nbgrader"] = original[cell.id]
            if _settings(had) != _settings(original[cell.id]):
                what = "edited" if name == cell.id else "renamed" if name else "missing"
                notes.append(f"metadata of {cell.id} {what}: put back")
        elif name in original and name not in seen:  # pasted anew, or an old format
            seen.add(name)
            cell.metadata["nbgrader"] = original[name]
        elif name in original:
            notes.append(f"cell {name} twice: the copy counts as the student's own")
        if cell.metadata.get("nbgrader", {}).get("cell_type") == "code":
            cell.pop("attachments", None)  # it may have been made Markdown
    graded = [name for name, own in original.items() if own["grade"] or own["solution"]]
    if not set(graded) & seen:
        raise CannotGrade(
            "none of the assignment's cells is in it: is it another notebook?"
        )
    missing = [name for name in graded if name not in seen]
    notes += [f"cell {name} was deleted" for name in missing]
    notes += _answered_below(notebook, release)
    _put_back(notebook, release)
    return notes


def _settings(metadata: object) -> list:
    """What of a cell's metadata says how it is graded."""
    known = metadata if isinstance(metadata, dict) else {}
    return [known.get(key) for key in ("grade_id", "grade", "solution", "points")]


def _answered_below(notebook: nbformat.NotebookNode, release: nbformat.NotebookNode):
    """Prose that stands below the cell for it would earn nothing, and be seen by nobody."""
    empty = {c.id: c.source for c in release.cells if c.metadata.nbgrader.grade}
    notes = []
    for cell, below in pairwise(notebook.cells):
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        own = below.cell_type == "markdown" and not below.metadata and below.source.strip()
        if cell.cell_type == "markdown" and own and cell.source == empty.get(name):
            cell.source = BELOW
            notes.append(f"cell {name} was left as it was, with prose below it")
    return notes


def _put_back(notebook: nbformat.NotebookNode, release: nbformat.NotebookNode) -> None:
    """Insert graded cells that were deleted, each behind what it stood behind.

    nbgrader would do it too, but fails where the cell before is gone as well.
    """
    place = 0
    for cell in release.cells:
        names = [c.metadata.get("nbgrader", {}).get("grade_id") for c in notebook.cells]
        if cell.id in names:
            place = max(place, names.index(cell.id) + 1)
        elif cell.metadata.nbgrader.grade:
            notebook.cells.insert(place, copy.deepcopy(cell))
            place += 1
