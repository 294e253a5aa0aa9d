"""Build an assignment for nbgrader out of the course's exercises."""

import ast
import hashlib
import logging
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory

from slowfast_edu.checks import check_choice
from slowfast_edu.exercises import EXERCISES
from slowfast_edu.files import write_whole
from slowfast_edu.instructor.course import NAME, Assignment, Course, Test
from slowfast_edu.instructor.published import (
    FIRST_LINE,
    NOTEBOOKS,
    Published,
    published,
)
from slowfast_edu.instructor.rubric import rubric

COMMON = ("import math", "import numpy as np", "import torch", "from torch import nn")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HIDE, SHOW = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
IMPORT = "from slowfast_edu.exercises import assert_right"
SETTINGS = """\
# nbgrader's settings for this folder, which `slowfast-edu assign` made. Grade with
# `slowfast-edu grade`: `nbgrader autograde` runs students' code without a sandbox.
c = get_config()
c.CourseDirectory.course_id = "{course}"
c.OverwriteCells.add_missing_cells = True
"""
WELCOME = """\
# {name}

Write each function where it says `YOUR CODE HERE`, and each answer in prose where it says
*YOUR ANSWER HERE*. Behind a function stand two cells that test it. The first shows what it
asks, for half of the points. The second is empty here: when your work is graded it asks
other inputs, for the other half. You may add cells; leave those that are there in place.

Before you hand in: *Kernel, Restart Kernel and Run All Cells*, look at the results, save.
The file keeps its name, `{name}.ipynb`. Graded is what your code does in a fresh kernel
without a network and with no files but this one, within {seconds} seconds a cell.
Write your own code: the library's answers are not yours, and using them is noticed.
"""
CELL_SECONDS = 60  # that one cell of a submission may run


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
        FileExistsError: there is an assignment of this name.
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
    if course.key(name).exists() or course.source(name).exists():
        raise FileExistsError(
            f"{course.root} has an assignment {name} already; choose another name: "
            "students may have it"
        )


def cell_name(exercise: str) -> str:
    """The id of an exercise's cell: nbgrader allows no dot in it."""
    return exercise.replace(".", "_")


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
        text = SETTINGS.format(course=course.root.resolve().name)
        write_whole(settings, text.encode())
    try:
        for path in (course.source(name), course.rubric(name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        book = nbformat.writes(_notebook(assignment, texts, worth)) + "\n"
        write_whole(course.source(name), book.encode())
        write_whole(course.rubric(name), rubric(assignment, texts, worth).encode())
        generate_release(course, name)
        course.write_key(assignment)
    except BaseException:
        for path in (course.source(name), course.release(name)):
            shutil.rmtree(path.parent, ignore_errors=True)
        course.rubric(name).unlink(missing_ok=True)
        raise


def generate_release(course: Course, name: str) -> None:
    """Have nbgrader make the students' version and enter the assignment."""
    config = course.config(name)
    converter = GenerateAssignment(
        coursedir=CourseDirectory(config=config),
        config=config,
        log=logging.getLogger("slowfast_edu.nbgrader"),
    )
    converter.start()


def _notebook(assignment: Assignment, texts: dict, worth: dict) -> nbformat.NotebookNode:
    """The source notebook: the welcome, the imports, then each exercise."""
    needs = [*COMMON, *(line for text in texts.values() for line in text.needs)]
    imports = list(dict.fromkeys(line for line in needs if _is_import(line)))
    welcome = WELCOME.format(name=assignment.name, seconds=CELL_SECONDS)
    cells = [
        _markdown(welcome, "welcome"),
        _code("\n".join(imports), "imports", grade=False, locked=True),
    ]
    for exercise in assignment.exercises:
        cells += _exercise(exercise, texts[exercise], worth[exercise], assignment)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return new_notebook(cells=cells, metadata=metadata)


def _is_import(statement: str) -> bool:
    return isinstance(ast.parse(statement).body[0], ast.Import | ast.ImportFrom)


def _exercise(name: str, text: Published, points: float, assignment: Assignment) -> list:
    """The cells of one exercise."""
    cell = cell_name(name)
    cells = [_markdown(_prompt(name, text, points), f"{cell}_prompt")]
    if cell in assignment.written:
        return [*cells, _answer(text.solution, cell, points)]
    if defined := [s for s in text.needs if not _is_import(s)]:
        cells.append(_code("\n\n".join(defined), f"{cell}_given", grade=False, locked=True))
    word = name.split(".")[1]
    cells.append(_code(solved(text, word), cell, grade=False, solution=True))
    for test_cell, test in assignment.tests.items():
        if test.exercise == name:
            source = _test_source(test, word)
            cells.append(_code(source, test_cell, grade=True, points=test.points))
    return cells


def _prompt(name: str, text: Published, points: float) -> str:
    """The published prompt, with the points that it has here."""
    heading, about, *rest = [p for p in text.prompt.split("\n\n") if p.strip()]
    about = f"{about.strip('*').rsplit(',', 1)[0]}, {points_text(points)}."
    where = f"Sections are those of notebook {text.title}."
    heading = heading.replace("### ", "## ")
    return "\n\n".join([heading, f"*{about} {where}*", *rest])


def points_text(points: float) -> str:
    """A number of points in words."""
    return "1 point" if points == 1 else f"{points:g} points"


def solved(text: Published, word: str) -> str:
    """A stub with the published solution in it, between nbgrader's marks.

    What stands before the solution's function comes inside, as the marks can only be there.
    """
    stub, solution = ast.parse(text.stub).body[-1], ast.parse(text.solution)
    head = text.stub.splitlines()[: stub.body[-1].lineno - 1]
    [function] = [
        node
        for node in solution.body
        if isinstance(node, ast.FunctionDef) and node.name == f"{word}_solution"
    ]
    lines = text.solution.splitlines()
    before = [line for line in lines[: function.lineno - 1] if line != FIRST_LINE]
    before = textwrap.indent("\n".join(before).strip(), "    ").splitlines()
    body = lines[function.body[0].lineno - 1 : function.end_lineno]
    body = [*before, *([""] if before else []), *body]
    return "\n".join([*head, f"    {BEGIN}", *body, f"    {END}"])


def _test_source(test: Test, word: str) -> str:
    ask = f'{IMPORT}\n\nassert_right("{test.exercise}", {word}'
    worth = points_text(test.points)
    if not test.hidden:
        return f"# Visible test, {worth}: it asks what `check` asks in the course.\n{ask})"
    first = f"# Hidden test, {worth}: when this is graded, it asks other inputs."
    return f"{first}\n{HIDE}\n{ask}, seed={test.seed})\n{SHOW}"


def _nbgrader(name: str, kind: str, **what) -> dict:
    """A cell's metadata as nbgrader wants them."""
    own = {"grade": False, "grade_id": name, "locked": False, "schema_version": 3}
    own |= {"solution": False, "task": False, "cell_type": kind, **what}
    return {"nbgrader": own}


def _markdown(source: str, name: str) -> nbformat.NotebookNode:
    metadata = _nbgrader(name, "markdown", locked=True)
    return new_markdown_cell(source, id=name, metadata=metadata)


def _answer(model: str, name: str, points: float) -> nbformat.NotebookNode:
    """The cell of a written exercise; nbgrader takes what a good answer says out of it."""
    what = {"grade": True, "solution": True, "points": points}
    metadata = _nbgrader(name, "markdown", **what)
    return new_markdown_cell(model, id=name, metadata=metadata)


def _code(source: str, name: str, **what) -> nbformat.NotebookNode:
    what = {"locked": bool(what.get("grade")), **what}
    return new_code_cell(source, id=name, metadata=_nbgrader(name, "code", **what))
