"""The exercises as they stand in the notebooks: four cells each, marked, and true."""

import ast
import re
from itertools import groupby
from pathlib import Path

import nbformat
import pytest

from slowfast_edu.exercises import EXERCISES, Written

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
CHECKED = ["prompt", "stub", "check", "solution"]
PROSE = ["prompt", "written", "solution"]
MINUTES = 45  # of reading


@pytest.fixture(scope="module", params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def number(notebook) -> str:
    return notebook.cells[0].source.split()[1]


def expected(notebook) -> dict:
    return {n: e for n, e in EXERCISES.items() if e.notebook == number(notebook)}


def exercise_cells(notebook) -> dict[str, list]:
    """{exercise: its cells}, which must stand together."""
    marked = [c for c in notebook.cells if "exercise" in c.metadata.get("slowfast_edu", {})]
    groups = [
        (name, list(cells))
        for name, cells in groupby(marked, lambda c: c.metadata.slowfast_edu.exercise)
    ]
    assert len(dict(groups)) == len(groups), "an exercise stands in two places"
    return dict(groups)


def printed(cell) -> str:
    return "".join(o.text for o in cell.outputs if o.output_type == "stream")


def test_every_exercise_has_its_cells_in_order_and_no_other_is_there(notebook):
    found = exercise_cells(notebook)
    assert list(found) == list(expected(notebook))
    for name, cells in found.items():
        roles = PROSE if type(EXERCISES[name]) is Written else CHECKED
        assert [cell.metadata.slowfast_edu.role for cell in cells] == roles
        first = notebook.cells.index(cells[0])
        assert notebook.cells[first : first + len(cells)] == cells


def test_cells_are_marked_with_what_the_library_says(notebook):
    for name, cells in exercise_cells(notebook).items():
        exercise = EXERCISES[name]
        for cell in cells:
            assert cell.metadata.tags == [cell.metadata.slowfast_edu.role]
            for field in ("points", "minutes", "difficulty"):
                assert cell.metadata.slowfast_edu[field] == getattr(exercise, field)
        told = cells[0].source
        assert told.startswith(f"### {name}: {exercise.title}\n")
        assert f"({exercise.difficulty} of 3), about {exercise.minutes} minutes, " in told
        assert f"{exercise.points} point" in told


def test_stubs_are_empty_and_checks_find_them_so(notebook):
    for name, cells in exercise_cells(notebook).items():
        if len(cells) == len(CHECKED):
            _, stub, check, _ = cells
            word = name.split(".")[1]
            body = ast.parse(stub.source).body
            defined = body[-1]
            assert all(isinstance(n, ast.Import | ast.ImportFrom) for n in body[:-1])
            assert isinstance(defined, ast.FunctionDef) and defined.name == word
            assert ast.get_docstring(defined).startswith("Return")
            assert ast.unparse(defined.body[1:]) == "raise NotImplementedError"
            assert check.source == f'check("{name}", {word})'
            assert printed(check) == f"not attempted: {name}\n"


def test_solutions_are_folded_pass_and_overwrite_nothing(notebook):
    for name, cells in exercise_cells(notebook).items():
        solution = cells[-1]
        if len(cells) == len(CHECKED):
            word = f"{name.split('.')[1]}_solution"
            assert solution.metadata.jupyter.source_hidden is True
            assert solution.source.startswith("# Solution (click to open)\n")
            assert solution.source.endswith(f'\ncheck("{name}", {word})')
            names = {
                n.name
                for n in ast.parse(solution.source).body
                if isinstance(n, ast.FunctionDef | ast.ClassDef)
            }
            assert word in names and name.split(".")[1] not in names
            assert re.fullmatch(rf"passed (\d+)/\1: {re.escape(name)}\n", printed(solution))
        else:
            assert solution.source.startswith("<details><summary>")
            assert solution.source.endswith("</details>")


def objectives(notebook) -> dict[str, list[str]]:
    """{objective: its exercises}, of the table at the beginning."""
    text = notebook.cells[0].source
    table = re.search(
        r"\| After this notebook you can \| Section \| Exercise \|\n.*?\n(?=\n|\Z)",
        text + "\n",
        re.DOTALL,
    )
    rows = [line.strip("| ").split(" | ") for line in table[0].splitlines()[2:]]
    return {row[0]: row[2].split(", ") for row in rows}


def test_each_objective_has_an_exercise_and_each_exercise_serves_one(notebook):
    covered = objectives(notebook)
    assert len(covered) >= 2
    assert all(exercises for exercises in covered.values())
    served = [name for exercises in covered.values() for name in exercises]
    assert sorted(served) == sorted(expected(notebook))


def test_the_minutes_stated_are_those_of_the_exercises(notebook):
    told = re.search(
        r"\*\*Time\*\* about (\d+) minutes, and (\d+) more for the exercises",
        notebook.cells[0].source,
    )
    assert int(told[1]) <= MINUTES
    assert int(told[2]) == sum(e.minutes for e in expected(notebook).values())


def test_the_sections_named_beside_objectives_exist(notebook):
    headings = {
        m
        for c in notebook.cells
        if c.cell_type == "markdown"
        for m in re.findall(r"^## (\d+)\. ", c.source, re.MULTILINE)
    }
    rows = re.findall(r"^\| .*? \| ([\d, ]+) \|", notebook.cells[0].source, re.MULTILINE)
    assert len(rows) == len(objectives(notebook)), "a row whose sections are no numbers"
    named = {section for row in rows for section in row.split(", ")}
    assert named and named <= headings
