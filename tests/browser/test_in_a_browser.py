"""Every notebook in JupyterLab, in Chromium: run, turned, solved, wrongly and rightly."""

import ast
from statistics import median

import pytest

pytestmark = pytest.mark.timeout(600)  # seconds; the first of each notebook runs it

LABS_OWN = ()  # parts of console errors that JupyterLab itself makes: 4.6 makes none
WRONG = "return None"
SLOWEST = 3  # seconds a step in the middle, for busy machines; 0.35 is the aim


def test_all_cells_run_without_an_error(notebook):
    assert notebook.errors() == []


def test_each_dial_moves_the_picture_or_the_sentence_with_keys_and_mouse(notebook):
    numbers = [n for n in notebook.cells_with_widgets() if notebook.dials(n)]
    assert numbers, "no widget with a dial"
    for number in numbers:
        dials = notebook.dials(number)
        notebook.shoot(f"widget_{number}")
        assert notebook.cut_labels(number) == []
        assert notebook.reached_with_tab(number) == len(dials)
        for place, dial in enumerate(dials):
            notebook.key(number, dial)
            if dial.get_attribute("role") == "slider":
                notebook.drag(number, dial, f"widget_{number}_dial_{place + 1}")
    assert median(notebook.steps) <= SLOWEST


def test_a_solution_is_folded_and_opens_with_a_click(notebook):
    for exercise in notebook.exercises():
        text = notebook.open_solution(exercise.solution)
        notebook.shoot(f"solution_{exercise.name}")
        assert text.startswith("# Solution (click to open)"), exercise.name
        assert notebook.said(exercise.solution).startswith("passed"), exercise.name
    for name, number in notebook.written().items():
        assert len(notebook.unfold(number).split()) > 20, name
        notebook.shoot(f"solution_{name}")


def test_a_wrong_answer_fails_and_the_solution_passes(notebook):
    for name, stub, check, solution in notebook.exercises():
        assert notebook.said(check).startswith("not attempted"), name
        notebook.type_over(stub, "raise NotImplementedError", WRONG)
        notebook.run_cell(stub)
        notebook.run_cell(check)
        notebook.shoot(f"exercise_{name}_wrong")
        assert notebook.said(check).startswith("failed"), name
        cells = notebook.cells()
        right = as_a_learner_would(cells[stub]["source"], cells[solution]["source"])
        notebook.paste(stub, right)
        assert notebook.cells()[stub]["source"] == right, "it was typed otherwise"
        notebook.run_cell(stub)
        notebook.run_cell(check)
        notebook.shoot(f"exercise_{name}_right")
        assert notebook.said(check).startswith("passed"), name
    assert notebook.errors() == []


def test_the_console_has_no_error(notebook):
    assert [e for e in notebook.logged if not any(own in e for own in LABS_OWN)] == []


def as_a_learner_would(stub: str, solution: str) -> str:
    """The stub's imports, and the solution under the stub's name."""
    functions = [n.name for n in ast.parse(stub).body if isinstance(n, ast.FunctionDef)]
    kept = [n for n in ast.parse(stub).body if not isinstance(n, ast.FunctionDef)]
    kept += [n for n in ast.parse(solution).body if not calls_check(n)]
    text = "\n".join(ast.unparse(node) for node in kept)
    for name in functions:
        text = text.replace(f"{name}_solution", name)
    return text


def calls_check(node: ast.stmt) -> bool:
    """Whether a statement is a call of ``check``."""
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check"
