"""The judge: what a graded test cell hands over, and what nbgrader gets to see of it."""

import json

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.utils import determine_grade

from slowfast_edu.exercises import EXERCISES, assert_right
from slowfast_edu.exercises.asking import ask, pack
from slowfast_edu.exercises.asserting import ANSWERS, GRADING, WrongAnswer
from slowfast_edu.instructor.course import Test
from slowfast_edu.instructor.judging import TAMPERED, Judge

NAME, SEED = "02.nyquist", 4711
EXERCISE = EXERCISES[NAME]
COUNT = 16  # inputs of the exercise
TESTS = {
    "seen": Test(exercise=NAME, seed=0, points=1.5, hidden=False),
    "unseen": Test(exercise=NAME, seed=SEED, points=1.5, hidden=True),
}


def stub(*arguments):
    raise NotImplementedError


def handed(function, seed, name=NAME):
    """The display in which a test cell hands over what a function answers."""
    answers = [pack(answer) for answer in ask(EXERCISE, function, seed)]
    packed = json.loads(json.dumps({"exercise": name, "answers": answers}))
    return new_output("display_data", data={ANSWERS: packed, "text/plain": ""})


def cell_of(name, outputs):
    own = {"grade_id": name, "grade": True, "points": 1.5, "solution": False}
    own |= {"locked": True, "schema_version": 3, "task": False, "cell_type": "code"}
    return new_code_cell("...", outputs=outputs, metadata={"nbgrader": own})


def judged(name, *outputs):
    """Points that nbgrader gives, the text a student sees, and what is kept."""
    judge = Judge(TESTS)
    cell, _ = judge.preprocess_cell(cell_of(name, list(outputs)), {}, 0)
    [output] = cell.outputs
    points, most = determine_grade(cell)
    assert most == 1.5
    return points, output.get("text", output.get("evalue")), judge.verdicts[name]


@pytest.mark.parametrize(("name", "seed"), [("seen", 0), ("unseen", SEED)])
def test_right_answers_earn_all_points(name, seed):
    points, told, kept = judged(name, handed(EXERCISE.answer, seed))
    assert (points, told) == (1.5, f"passed {COUNT}/{COUNT}: {NAME}\n")
    assert kept == {
        "passed": COUNT,
        "total": COUNT,
        "attempted": True,
        "cause": "",
        "told": "",
    }


@pytest.mark.parametrize("mistake", EXERCISE.mistakes, ids=lambda m: m.cause[:12])
def test_a_known_mistake_earns_nothing_and_is_named(mistake):
    for name, seed in (("seen", 0), ("unseen", SEED)):
        points, told, kept = judged(name, handed(mistake.answer, seed))
        assert points == 0 and kept["cause"] == mistake.cause and "likely" in told
        assert 0 <= kept["passed"] < COUNT


def test_of_the_hidden_test_no_input_and_no_answer_is_told():
    """Nor after wrong answers that carry what they were asked in what they are."""
    asked = [str(part) for given in inputs(SEED) for part in given if part > 100]

    def telling(*given):
        raise ValueError(f"asked {given}")

    for wrong in (telling, lambda *given: list(given), lambda *given: str(given)):
        _, told, kept = judged("unseen", handed(wrong, SEED))
        assert told == f"failed: {NAME}, 0 of {COUNT} right"
        assert not any(number in json.dumps(kept) for number in asked)
        assert "asked" in judged("seen", handed(wrong, 0))[1]


def inputs(seed):
    return EXERCISE.inputs(np.random.default_rng(seed))


def test_a_stub_is_not_attempted():
    points, told, kept = judged("unseen", handed(stub, SEED))
    assert (points, told, kept["attempted"]) == (0, f"not attempted: {NAME}", False)


def test_warnings_and_whatever_is_printed_cost_nothing():
    """nbgrader alone gives 0 for any line on stderr."""
    noise = [new_output("stream", name=name, text="!") for name in ("stdout", "stderr")]
    noise += [new_output("execute_result", data={"text/html": "<b>"}, execution_count=1)]
    noise += [new_output("error", ename=WrongAnswer.__name__, evalue="no", traceback=[])]
    assert determine_grade(cell_of("seen", [noise[1]]))[0] == 0
    assert judged("seen", *noise, handed(EXERCISE.answer, 0), *noise)[0] == 1.5


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [new_output("stream", name="stdout", text=f"passed 16/16: {NAME}\n")],
        [handed(EXERCISE.answer, SEED)] * 2,
        [handed(EXERCISE.answer, SEED, "02.frames")],
        [new_output("error", ename=WrongAnswer.__name__, evalue="asked", traceback=[])],
        [new_output("display_data", data={ANSWERS: "passed"})],
        [new_output("display_data", data={ANSWERS: []})],
        [new_output("display_data", data={ANSWERS: {}})],
        [new_output("display_data", data={ANSWERS: {"exercise": NAME}})],
        [new_output("display_data", data={ANSWERS: {"exercise": NAME, "answers": 5}})],
        [new_output("display_data", data={ANSWERS: {"exercise": NAME, "answers": [5]}})],
    ],
    ids=range(11),
)
def test_what_no_test_cell_hands_over_earns_nothing(outputs):
    points, told, kept = judged("unseen", *outputs)
    assert (points, told, kept["told"]) == (0, TAMPERED, TAMPERED)
    assert (kept["passed"], kept["total"]) == (0, 0)


def test_answers_to_the_visible_inputs_do_not_answer_the_hidden_ones():
    points, told, _ = judged("unseen", handed(EXERCISE.answer, 0))
    assert points == 0 and told.startswith(f"failed: {NAME}, ")


def test_what_kept_a_test_from_running_is_told():
    """A function that is not there, say, or time that ran out."""
    broken = new_output(
        "error", ename="NameError", evalue="\x1b[31mno nyquist", traceback=[]
    )
    points, told, _ = judged("seen", broken)
    assert points == 0
    assert told.startswith("the test could not run: NameError: no nyquist (the cell that")
    stopped = new_output("error", ename="KeyboardInterrupt", evalue="", traceback=[])
    assert judged("seen", stopped)[1] == "the test could not run: KeyboardInterrupt"


def test_other_cells_are_left_as_they_are():
    judge = Judge(TESTS)
    output = new_output("stream", name="stderr", text="mine")
    for cell in (
        new_code_cell("1", outputs=[output]),
        cell_of("another", [output]),
        new_markdown_cell("seen", metadata={"nbgrader": {"grade_id": "seen"}}),
    ):
        before = json.dumps(cell)
        assert json.dumps(judge.preprocess_cell(cell, {}, 0)[0]) == before
    assert judge.verdicts == {}


# What stands in the test cells


def test_a_test_cell_says_what_is_wrong(capsys):
    assert_right(NAME, EXERCISE.answer)
    assert capsys.readouterr().out == f"passed {COUNT}/{COUNT}: {NAME}\n"
    with pytest.raises(AssertionError, match=r"(?s)failed: 02\.nyquist.*expected.*likely"):
        assert_right(NAME, EXERCISE.mistakes[0].answer, SEED)
    with pytest.raises(AssertionError, match=r"^not attempted: 02\.nyquist$"):
        assert_right(NAME, stub)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("function", [EXERCISE.answer, EXERCISE.mistakes[0].answer])
def test_while_it_is_graded_it_also_hands_over_the_answers(monkeypatch, function):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    monkeypatch.setenv(*GRADING)
    right = function is EXERCISE.answer
    try:
        assert_right(NAME, function, SEED)
    except AssertionError:
        assert not right
    [data] = shown
    assert judged("unseen", new_output("display_data", data=data))[0] == 1.5 * right
