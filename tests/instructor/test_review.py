"""What a person is told to look at, and what must not be suspected."""

import ast
import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from slowfast_edu.exercises import EXERCISES, Exercise
from slowfast_edu.instructor.published import published
from slowfast_edu.instructor.review import review

CODE = [name for name, e in EXERCISES.items() if isinstance(e, Exercise)]
LONG = [
    "01.ceiling",
    "03.make_bottleneck",
    "03.table_rows",
    "04.tconv",
    "06.rate",
    "07.ece",
]


@pytest.fixture(scope="module")
def books(everything):
    """Release and source of all exercises."""
    course, _ = everything
    return [nbformat.read(path("all"), 4) for path in (course.release, course.source)]


def flags(books, *sources):
    """What is said of a submission with these cells of the student's."""
    release, source = books
    handed = copy.deepcopy(release)
    handed.cells = [*map(new_code_cell, sources), *handed.cells]
    return review(handed, release, source)


def solution(name):
    """A published solution as somebody would paste it."""
    return published(name).solution.split("\n\n\ncheck(")[0]


def renamed(source):
    """The same with other names for all that is bound in it."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    bound = {
        n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    bound -= {"forward", "__init__"}  # which torch and Python call
    for node in nodes:
        for field in ("id", "arg", "name"):
            if getattr(node, field, None) in bound and not isinstance(node, ast.keyword):
                setattr(node, field, f"my_{getattr(node, field)}")
    return ast.unparse(tree)


def test_of_what_was_handed_out_nothing_is_said(books):
    assert flags(books) == []


@pytest.mark.parametrize("name", CODE)
def test_a_right_answer_of_another_kind_is_not_suspected(books, name):
    """As long as published ones, and alike in nothing but what it is for."""
    word = name.split(".")[1]
    assert flags(books, f"def {word}(*given):\n    return given[0] + 1") == []


INDEPENDENT = [
    "def frames(T, tau, alpha):\n"
    "    s = list(range(0, T * tau, tau))\n"
    "    f = list(range(0, T * tau, tau // alpha))\n"
    "    return s, f",
    "def nyquist(fps, stride, cycles_per_second):\n"
    "    r = fps / stride\n"
    "    n = round(cycles_per_second / r)\n"
    "    return abs(cycles_per_second - r * n)",
    "def seconds(T, tau, alpha, fps):\n    return T * tau / fps, fps * alpha / tau",
    "def channels(slow, beta_inv):\n    return slow // beta_inv, 1 / beta_inv**2",
    "def decide(scores, least):\n    return scores.sigmoid() >= least",
    "net = nn.Sequential(nn.ReLU()).eval()\nfor part in net.modules(): print(part)",
    "signal, system, requests, gc = 1, 2, 3, 4\nprint(signal + system)",
    "import os, sys, itertools\nfrom collections import Counter\nprint(sys.version)",
    "!ls\n%matplotlib inline\nx = 1",
    "no python at all (",
    "",
    "\0",
    "x = " + "+".join("1" * 5000),
    *("def deep():\n    return " + "+".join("1" * n) for n in (300, 600, 900, 5000)),
    "def deep():\n    return " + "(" * 500 + ")" * 500,
    "def only():\n    '''About.'''",
]


@pytest.mark.parametrize("source", INDEPENDENT, ids=lambda s: s[:24])
def test_what_is_short_or_usual_or_no_python_is_not_suspected(books, source):
    assert flags(books, source) == []


@pytest.mark.parametrize("name", [*LONG, "02.nyquist", "02.frames"])
def test_a_pasted_solution_is_found(books, name):
    cell = name.replace(".", "_")
    assert flags(books, "pass", solution(name)) == [
        f"cell 2 has the published solution of {cell}"
    ]


@pytest.mark.parametrize("name", LONG)
def test_a_long_one_is_found_under_other_names_too(books, name):
    other = f'# mine\n"""Mine."""\n{renamed(solution(name))}'
    assert solution(name) not in other
    cell = name.replace(".", "_")
    assert flags(books, other) == [f"cell 1 has the published solution of {cell}"]


@pytest.mark.parametrize("name", LONG)
def test_another_answer_in_the_published_form_is_not_found(books, name):
    """One number is another: it is no copy."""
    tree = ast.parse(solution(name))
    numbers = [n for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    next(n for n in numbers if type(n.value) is int).value = 12_345
    assert flags(books, ast.unparse(tree)) == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import slowfast_edu", "uses slowfast_edu"),
        ("import slowfast_edu as s", "uses slowfast_edu"),
        ("import slowfast_edu.exercises as e", "uses slowfast_edu.exercises"),
        ("from slowfast_edu.sampling import x", "uses slowfast_edu.sampling.x"),
        ("from slowfast_edu.exercises import EXERCISES", "exercises.EXERCISES"),
        ("import sys\nsys.modules['a']", "reaches into loaded modules (sys.modules)"),
        ("from sys import modules", "reaches into loaded modules (sys.modules)"),
        ("import importlib.util", "imports by name (import importlib)"),
        ("__import__('a')", "imports by name (__import__)"),
        ("get_ipython().ast_transformers.clear()", "changes code before it runs"),
        ("eval('1')", "runs text as code (eval)"),
        ("exec('1')", "runs text as code (exec)"),
        ("import inspect", "looks into functions"),
        ("from signal import SIGINT", "changes signals"),
        ("from os import system", "starts programs (.system)"),
        ("import os\nos.fork()", "starts processes (.fork)"),
        ("import subprocess", "starts programs"),
        ("import socket", "uses the network"),
        ("from urllib.request import urlopen", "uses the network"),
    ],
)
def test_what_an_answer_does_not_need_is_told(books, source, told):
    found = flags(books, "x = 1", source)
    assert found and told in " ".join(found)
    assert all(each.startswith("cell 2 ") for each in found)


def test_what_the_release_itself_uses_students_may_use(books):
    assert flags(books, "from slowfast_edu.models.blocks import Bottleneck") == []
    assert flags(books, "from slowfast_edu.models.blocks import Stage") != []


def test_the_instructor_may_have_added_cells_to_the_source(books):
    release, source = books
    source = copy.deepcopy(source)
    source.cells += [new_code_cell(text) for text in ("", "1 +", "x = 1")]
    assert review(release, release, source) == []
