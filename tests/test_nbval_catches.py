"""Three ways to break a notebook, each on a copy of real cells, and each is caught."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from test_notebooks import FOLDER, check_executed

REPO = FOLDER.parent
SOURCE = FOLDER / "02_frame_and_channel_sampling.ipynb"
EXERCISE = "02.nyquist"
WRONG_REFERENCE = f"""
from dataclasses import replace
from slowfast_edu.exercises import EXERCISES
EXERCISES["{EXERCISE}"] = replace(EXERCISES["{EXERCISE}"], answer=lambda *given: -1)
"""
FIRST, IMPORT, STUB, CHECK, SOLUTION = range(5)  # the short notebook's cells


def wanted(cell) -> bool:
    """A cell that needs no other, or one of the exercise."""
    about = cell.metadata.get("slowfast_edu", {})
    known = "T, tau, alpha =", "from slowfast_edu.exercises import check"
    return about.get("exercise") == EXERCISE or cell.source.startswith(known)


def short_notebook():
    """Five code cells of a real notebook, with their outputs, numbered anew."""
    notebook = nbformat.read(SOURCE, as_version=4)
    found = [c for c in notebook.cells if c.cell_type == "code" and wanted(c)]
    assert len(found) == SOLUTION + 1
    for number, cell in enumerate(found, start=1):
        cell.execution_count = number
    notebook.cells = found
    return notebook


def changed_output(cells):
    text = cells[FIRST].outputs[0].text
    cells[FIRST].outputs[0].text = text.replace("16", "17", 1)


def broken_check(cells):
    cells[IMPORT].source += WRONG_REFERENCE


def not_run(cells):
    cells[FIRST].outputs, cells[FIRST].execution_count = [], None


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """{copy: numbers of the cells that ``pytest --nbval`` says have failed}."""
    folder = tmp_path_factory.mktemp("copies")
    copies = {name: short_notebook() for name in ("untouched", "broken", "unexecuted")}
    changed_output(copies["broken"].cells)
    broken_check(copies["broken"].cells)
    not_run(copies["unexecuted"].cells)
    for name, notebook in copies.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    shutil.copy(REPO / "conftest.py", folder)
    command = [sys.executable, "-m", "pytest", "--nbval", "-rA", "-p", "no:cacheprovider"]
    command += ["-c", str(REPO / "pyproject.toml"), "--rootdir", str(folder), str(folder)]
    env = os.environ | {"SLOWFAST_EDU_HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    found = re.findall(
        r"^(PASSED|FAILED|ERROR) (?:\S*/)?(\w+)\.ipynb::Cell (\d+)",
        done.stdout,
        re.MULTILINE,
    )
    assert len(found) == len(copies) * (SOLUTION + 1), done.stdout + done.stderr
    cells = {name: [] for name in copies}
    for verdict, name, cell in found:
        if verdict != "PASSED":
            cells[name].append(int(cell))
    return cells


def test_an_untouched_copy_passes(failed):
    assert failed["untouched"] == []
    check_executed(short_notebook())


def test_a_corrupted_output_fails(failed):
    assert FIRST in failed["broken"]


def test_a_check_whose_reference_is_wrong_fails(failed):
    assert SOLUTION in failed["broken"]


def test_nothing_else_fails(failed):
    assert set(failed["broken"]) == {FIRST, SOLUTION}


def test_an_unexecuted_cell_fails(failed):
    assert failed["unexecuted"] == [FIRST]
    notebook = short_notebook()
    not_run(notebook.cells)
    with pytest.raises(AssertionError):
        check_executed(notebook)
