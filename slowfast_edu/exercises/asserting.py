"""What stands in the test cells of an assignment."""

import os
from collections.abc import Callable

from slowfast_edu.exercises.asking import ask, pack
from slowfast_edu.exercises.checking import SEED, judge

ANSWERS = "application/vnd.slowfast-edu.answers+json"  # MIME type of what is handed over
GRADING = ("NBGRADER_EXECUTION", "autograde")  # set by nbgrader while it grades


class WrongAnswer(AssertionError):
    """A test that failed. Jupyter shows what it says, without where it was raised."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def assert_right(name: str, function: Callable, seed: int = SEED) -> None:
    """Ask a function what the exercise asks, and raise an error if it is not right.

    Unlike ``check`` it keeps no progress and gives no hints. While nbgrader grades, it
    also hands over the answers, so that they are judged where no student's code runs.

    Args:
        name: of an exercise, such as "02.nyquist".
        function: the one that the exercise asks for.
        seed: of the inputs.

    Raises:
        WrongAnswer: the first wrong answer and its likely cause, or *not attempted*.
    """
    from slowfast_edu.exercises import EXERCISES

    answers = ask(EXERCISES[name], function, seed)
    variable, value = GRADING
    if os.environ.get(variable) == value:
        from IPython.display import display

        packed = {"exercise": name, "answers": [pack(answer) for answer in answers]}
        display({ANSWERS: packed, "text/plain": ""}, raw=True)
    verdict = judge(EXERCISES[name], answers, seed, getattr(function, "__name__", ""))
    if not verdict.right:
        raise WrongAnswer(verdict.message(name))
    print(verdict.message(name))
