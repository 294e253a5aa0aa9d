"""The cells of an assignment's notebook, with nbgrader's marks and metadata."""

import ast
import textwrap

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from slowfast_edu.instructor.course import CELL_SECONDS, Assignment, Test
from slowfast_edu.instructor.published import FIRST_LINE, Published

COMMON = ("import math", "import numpy as np", "import torch", "from torch import nn")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HIDE, SHOW = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
IMPORT = "from slowfast_edu.exercises import assert_right"
WELCOME = """\
# {name}

Write each function where it says `YOUR CODE HERE`; for an answer in prose double-click
*YOUR ANSWER HERE* and write in its place. Behind a function stand two cells that test it.
The first shows what it asks, for half of the points. The second is empty here: when your
work is graded it asks other inputs, for the other half. You may add cells; leave those that
are there in place.

Before you hand in: *Kernel, Restart Kernel and Run All Cells*, look at the results, save.
The file keeps its name, `{name}.ipynb`. Graded is what your code does in a fresh kernel
without a network and with no files but this one, within {seconds} seconds a cell.
Write your own code: the library's answers are not yours, and using them is noticed.
"""


def source_notebook(
    assignment: Assignment, texts: dict, worth: dict
) -> nbformat.NotebookNode:
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


def cell_name(exercise: str) -> str:
    """The id of an exercise's cell: nbgrader allows no dot in it."""
    return exercise.replace(".", "_")


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
    metadata = _nbgrader(name, "code", **what)
    if what.get("grade"):  # or Run All would stop at the first wrong answer
        metadata["tags"] = ["raises-exception"]
    return new_code_cell(source, id=name, metadata=metadata)
