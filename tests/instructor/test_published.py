"""Exercises out of the published notebooks, and the code that they need."""

import ast
import shutil

import nbformat
import pytest

from slowfast_edu.exercises import EXERCISES, Exercise, assert_right
from slowfast_edu.instructor.cells import COMMON, solved
from slowfast_edu.instructor.published import NOTEBOOKS, needed, published

CODE = [name for name, e in EXERCISES.items() if isinstance(e, Exercise)]
OTHER_SEED = 77


def function(source, name):
    [found] = [
        n
        for n in ast.parse(source).body
        if isinstance(n, ast.FunctionDef) and n.name == name
    ]
    return found


@pytest.mark.parametrize("name", EXERCISES)
def test_each_exercise_is_found_whole(name):
    found = published(name)
    assert found.prompt.startswith(f"### {name}: {EXERCISES[name].title}")
    assert found.title.startswith(name[:2]) and found.solution
    assert bool(found.stub) == (name in CODE)


@pytest.mark.parametrize("name", CODE)
def test_what_it_needs_is_enough_and_its_solution_fits_under_its_stub(name):
    """In a namespace of its own: nothing else that a notebook has defined is there."""
    found, word = published(name), name.split(".")[1]
    stub, solution = (
        function(found.stub, word),
        function(found.solution, f"{word}_solution"),
    )
    assert ast.unparse(stub.args) == ast.unparse(solution.args)
    space = {}
    exec("\n".join([*COMMON, *found.needs, solved(found, word)]), space)
    assert_right(name, space[word])
    assert_right(name, space[word], OTHER_SEED)


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (["a = 1", "b = 2"], ["a = 1"]),
        (["a, b = 1, 2"], ["a, b = 1, 2"]),
        (["a: int = 1"], ["a: int = 1"]),
        (["import numpy as a"], ["import numpy as a"]),
        (["import a.b"], ["import a.b"]),
        (["from x import y as a, z"], ["from x import y as a, z"]),
        (["b = 2", "def a(): return b"], ["b = 2", "def a(): return b"]),
        (["c = b = 2", "class a(c): x = b"], ["c = b = 2", "class a(c): x = b"]),
        (["b = 2", "a = [b for b in c]", "c = 1"], ["a = [b for b in c]"]),
        (["a = 1", "a = 2"], ["a = 2"]),
        (["a = 1", "a = a + 1"], ["a = 1", "a = a + 1"]),
        (["a = 1; print(a)"], ["a = 1"]),
        (["a = max(1, 2)"], ["a = max(1, 2)"]),
        (["%time\na = 1", "a = 2"], ["a = 2"]),
        (
            ["import f\n@f.x(1)\ndef a():\n    pass"],
            ["import f", "@f.x(1)\ndef a():\n    pass"],
        ),
        ([], []),
    ],
)
def test_what_code_needs(before, kept):
    assert needed(["print(a)", "check('x', a)"], before) == kept


def test_what_a_function_binds_itself_it_does_not_need():
    code = "def f(a, b=1, *rest, **more):\n    c = a\n    return [d for d in rest] + c"
    assert needed([code, "f(1)"], ["a = b = c = d = rest = more = f = 0"]) == []
    assert needed(["def f():\n    global g\n    return g"], ["g = 1"]) == ["g = 1"]


def with_cells(tmp_path, change):
    """A folder with notebook 02, its cells changed."""
    [path] = NOTEBOOKS.glob("02_*.ipynb")
    book = nbformat.read(path, 4)
    for cell in book.cells:
        change(cell, cell.metadata.get("slowfast_edu", {}))
    nbformat.write(book, tmp_path / path.name)
    return tmp_path


@pytest.mark.parametrize(
    ("role", "written"),
    [
        ("stub", "def nyquist(fps, stride, cycles_per_second):\n    return 1"),
        ("stub", "def nyquist(f):\n    x = 1\n    raise NotImplementedError"),
        ("stub", "def nyquist(f):\n    '''d'''\n    raise ValueError"),
        ("stub", "def nyquist(:"),
        ("stub", ""),
        ("prompt", ""),
        ("solution", ""),
    ],
)
def test_a_notebook_that_somebody_has_worked_in_is_refused(tmp_path, role, written):
    """Or their solution would stand in the students' version."""

    def work(cell, own):
        if own.get("exercise") == "02.nyquist" and own["role"] == role:
            cell.source = written

    folder = with_cells(tmp_path, work)
    with pytest.raises(ValueError, match=r"cells of 02\.nyquist.*course\.py reset 02"):
        published("02.nyquist", folder)
    assert published("02.frames", folder).stub


def test_cells_that_somebody_added_do_no_harm(tmp_path):
    def work(cell, own):
        if own.get("role") == "check":
            cell.source, cell.metadata = "%timeit frames(1, 2, 3)\n!ls", {}

    folder = with_cells(tmp_path, work)
    assert published("02.nyquist", folder) == published("02.nyquist")


def test_another_folder_is_said_to_have_no_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no notebook of exercise 02\.frames"):
        published("02.frames", tmp_path)
    shutil.copy(next(NOTEBOOKS.glob("02_*.ipynb")), tmp_path)
    assert published("02.frames", tmp_path) == published("02.frames")


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ValueError, match=r"exercise='02\.nyquits' is not known"):
        published("02.nyquits")
