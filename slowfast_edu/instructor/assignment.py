"""Build an assignment for nbgrader out of the course's exercises."""

import contextlib
import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory

from slowfast_edu.checks import check_choice
from slowfast_edu.exercises import EXERCISES
from slowfast_edu.files import write_whole
from slowfast_edu.instructor.cells import cell_name, source_notebook
from slowfast_edu.instructor.course import NAME, Assignment, Course, Test
from slowfast_edu.instructor.harmless import FILTERS
from slowfast_edu.instructor.published import (
    NOTEBOOKS,
    published,
)
from slowfast_edu.instructor.rubric import rubric

SETTINGS = """\
# nbgrader's settings for this folder, which `slowfast-edu assign` made. Grade with
# `slowfast-edu grade`: `nbgrader autograde` runs students' code without a sandbox.
c = get_config()
c.CourseDirectory.course_id = {course!r}
c.OverwriteCells.add_missing_cells = True
c.HTMLExporter.filters = {filters!r}  # no scripts of students' in your browser
"""


def assign(
    course: Course,
    name: str,
    exercises: Sequence[str],
    seed: int,
    points: Mapping[str, float] = {},
    notebooks: Path = NOTEBOOKS,
) -> Assignment:
    """Write an assignment's source, release, rubric and key, and enter it in the gradebook.

    Args:
        course: its folder; made if it is not there.
        name: of the assignment, such as "hw1".
        exercises: names such as "02.nyquist", in the order they are to stand in.
        seed: of the hidden tests' inputs; another one each term.
        points: {exercise: points} where they are to differ from the course's.
        notebooks: the folder of the published notebooks.

    Returns:
        What was assigned.

    Raises:
        ValueError: a bad name, an unknown or repeated exercise, points below one or for
            an exercise that is not assigned.
        FileExistsError: there is an assignment of this name, or files of one.
        FileNotFoundError: the notebooks are not there.
    """
    _check(course, name, exercises, points)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed} must be from 0 to {2**32 - 1}; try {seed % 2**32}")
    texts = {exercise: published(exercise, notebooks) for exercise in exercises}
    worth = {e: points.get(e, EXERCISES[e].points) for e in exercises}
    tests = {
        cell: test
        for e in exercises
        if texts[e].stub
        for cell, test in _tests(e, worth[e], seed).items()
    }
    written = {cell_name(e): e for e in exercises if not texts[e].stub}
    assignment = Assignment(
        name=name, seed=seed, exercises=tuple(exercises), tests=tests, written=written
    )
    _write(course, assignment, texts, worth)
    return assignment


def _check(course: Course, name: str, exercises: Sequence[str], points: Mapping) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(
            f"name={name!r} must begin with a letter or digit and have those, _ and - only"
        )
    for exercise in exercises:
        check_choice("exercises", exercise, EXERCISES)
    twice = {e for e in exercises if list(exercises).count(e) > 1}
    if twice or not exercises:
        raise ValueError(
            f"exercises name {', '.join(sorted(twice)) or 'none'}"
            f"{' more than once' if twice else '; name one at least'}"
        )
    for exercise, worth in points.items():
        check_choice("points", exercise, list(exercises))
        if not 1 <= worth <= 1000:
            raise ValueError(f"points of {exercise}, {worth:g}, must be from 1 to 1000")
    if any(path.exists() for path in _places(course, name)):
        raise FileExistsError(
            f"{course.root} has an assignment {name} already; choose another name: "
            "students may have it"
        )


def _places(course: Course, name: str) -> list[Path]:
    """All that is written for an assignment: two folders and two files."""
    folders = [course.source(name).parent, course.release(name).parent]
    return [*folders, course.rubric(name), course.key(name)]


def _tests(exercise: str, points: float, seed: int) -> dict[str, Test]:
    """Both test cells of an exercise. The hidden one's seed is the exercise's own."""
    digest = hashlib.sha256(f"{seed} {exercise}".encode()).digest()
    own = 1 + int.from_bytes(digest[:4]) % (2**32 - 1)  # 0 is the visible one's
    one = {"exercise": exercise, "points": points / 2}
    return {
        f"{cell_name(exercise)}_visible": Test(**one, seed=0, hidden=False),
        f"{cell_name(exercise)}_hidden": Test(**one, seed=own, hidden=True),
    }


def _write(course: Course, assignment: Assignment, texts: dict, worth: dict) -> None:
    """All files; if anything fails, none of this assignment's."""
    name = assignment.name
    course.root.mkdir(parents=True, exist_ok=True)
    settings = course.root / "nbgrader_config.py"
    if not settings.exists():
        text = SETTINGS.format(course=course.root.resolve().name, filters=FILTERS)
        write_whole(settings, text.encode())
    try:
        for path in (course.source(name), course.rubric(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        book = nbformat.writes(source_notebook(assignment, texts, worth)) + "\n"
        write_whole(course.source(name), book.encode())
        write_whole(course.rubric(name), rubric(assignment, texts, worth).encode())
        course.write_key(assignment)
        generate_release(course, name)
    except BaseException:
        for path in _places(course, name):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
        raise


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """Have programs of a folder found, as if the environment were activated."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = folder + os.pathsep + before
    try:
        yield
    finally:
        os.environ["PATH"] = before


def generate_release(course: Course, name: str) -> None:
    """Have nbgrader make the students' version and enter the assignment.

    Raises:
        ValueError: it could not; it prints why itself.
    """
    config = course.config(name)
    converter = GenerateAssignment(
        coursedir=CourseDirectory(config=config),
        config=config,
        log=logging.getLogger("slowfast_edu.nbgrader"),
    )
    bin_folder = str(Path(sys.executable).parent)  # nbgrader calls a program there
    try:
        with _on_path(bin_folder):
            converter.start()
    except NbGraderException as error:
        raise ValueError(
            f"nbgrader could not write {course.release(name)} or {course.gradebook}; what "
            "it says stands above"
        ) from error
