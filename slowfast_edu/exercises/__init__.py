"""The exercises of the course: ``check`` runs a learner's function beside the right one."""

from collections.abc import Callable
from importlib import import_module

from slowfast_edu.checks import check_choice
from slowfast_edu.exercises.asserting import assert_right
from slowfast_edu.exercises.checking import Verdict, examine, told_line
from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.progress import keep, progress_folder, read_progress

__all__ = [
    "EXERCISES",
    "Exercise",
    "Mistake",
    "Verdict",
    "Written",
    "assert_right",
    "check",
    "examine",
    "progress_folder",
    "read_progress",
]

MODULES = (
    "n00_start_here",
    "n01_biological_motivation",
    "n02_frame_and_channel_sampling",
    "n03_two_pathways",
    "n04_lateral_connections",
    "n05_flops_and_accuracy",
    "n06_training_recipe",
    "n07_inference_and_evaluation",
    "n08_beyond_classification",
    "n09_capstone",
)
SOLUTION = "_solution"  # how the name of a solution's function ends


def _all_exercises() -> dict[str, Exercise | Written]:
    modules = (import_module(f"{__name__}.{module}") for module in MODULES)
    return {exercise.name: exercise for m in modules for exercise in m.EXERCISES}


EXERCISES = _all_exercises()  # {"02.nyquist": ...}, in the order of the course


def check(name: str, function: Callable) -> None:
    """Ask a function what the exercise asks, and print what came of it.

    Prints *not attempted*, *passed n/n*, or the first wrong answer with its likely cause
    and the next of three hints. Nothing that the function does wrong makes it raise. The
    result is kept as progress on this machine, but for functions named ``..._solution``.

    Args:
        name: of an exercise, such as "02.nyquist".
        function: the one that the exercise asks for.

    Raises:
        ValueError: there is no such exercise, or it is one to be answered in prose.
    """
    checked = [n for n, e in EXERCISES.items() if isinstance(e, Exercise)]
    check_choice("name", name, checked)
    verdict = examine(EXERCISES[name], function)
    counts = not getattr(function, "__name__", "").endswith(SOLUTION)
    if not verdict.attempted:
        print(verdict.message(name))
        return
    failures = _keep(name, verdict.right) if counts else 1
    print(verdict.message(name))
    if not verdict.right:
        hints = EXERCISES[name].hints
        place = min(failures, len(hints))
        print(told_line(f"hint {place}/{len(hints)}", hints[place - 1]))


def _keep(name: str, right: bool) -> int:
    """Note an attempt; how many failed so far. A full disk must not stop a learner."""
    try:
        return keep(name, right).failures
    except (OSError, ValueError) as error:
        print(f"(progress is not kept: {error})")
        return 1
