"""Run a learner's function beside the right one, and say what came of it."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast_edu.exercises.asking import Raised, ask
from slowfast_edu.exercises.comparing import difference
from slowfast_edu.exercises.exercise import Exercise

SEED = 0
LONGEST = 70  # characters of a value in a message
WIDTH = 78  # characters of a line


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What came of running one function on all inputs of an exercise.

    Attributes:
        attempted: it did not raise a bare NotImplementedError, as a stub does.
        passed: inputs that it answered rightly.
        total: inputs.
        told: of the first wrong answer: the call, expected and got; "" if there is none.
        cause: what the learner probably did, if a known mistake answers all inputs alike.
    """

    attempted: bool
    passed: int
    total: int
    told: str = ""
    cause: str = ""

    @property
    def right(self) -> bool:
        """Every input was answered rightly."""
        return self.passed == self.total

    def outcome(self, name: str) -> str:
        """How it went, in a line, and a likely cause: nothing about the inputs."""
        if not self.attempted:
            return f"not attempted: {name}"
        if self.right:
            return f"passed {self.passed}/{self.total}: {name}"
        first = f"failed: {name}, {self.passed} of {self.total} right"
        return f"{first}\n{told_line('likely', self.cause)}" if self.cause else first

    def message(self, name: str) -> str:
        """The same with the first wrong answer: asked, expected and got."""
        first, *rest = self.outcome(name).split("\n")
        return "\n".join([first, *([self.told] if self.told else []), *rest])


def told_line(word: str, text: str) -> str:
    """A word, and a text in lines that begin below each other."""
    return textwrap.fill(
        text, WIDTH, initial_indent=f"  {word:<10}", subsequent_indent=" " * 12
    )


def examine(exercise: Exercise, function: Callable, seed: int = SEED) -> Verdict:
    """Ask a function and the right one the same, and compare.

    Args:
        exercise: what is asked.
        function: the learner's. It gets copies of the arguments.
        seed: of the inputs.

    Returns:
        The verdict. Errors that the function raises are in it.
    """
    name = getattr(function, "__name__", "your function")
    return judge(exercise, ask(exercise, function, seed), seed, name)


def judge(exercise: Exercise, got: list, seed: int, name: str = "") -> Verdict:
    """Compare the answers that a function gave with the right ones.

    Args:
        exercise: what was asked.
        got: what ``ask`` gave with the same seed.
        seed: of the inputs.
        name: of the function, for what is told; the exercise's word by default.

    Returns:
        The verdict. Answers that are missing or too many are wrong ones.
    """
    inputs = exercise.inputs(np.random.default_rng(seed))
    if any(isinstance(answer, Raised) and answer.is_a_stubs for answer in got):
        return Verdict(attempted=False, passed=0, total=len(inputs))
    if len(got) != len(inputs):
        told = f"  {len(got)} answers came to {len(inputs)} questions"
        return Verdict(attempted=True, passed=0, total=len(inputs), told=told)
    expected = ask(exercise, exercise.answer, seed)
    wrong = [i for i in range(len(inputs)) if _unlike(expected[i], got[i])]
    passed = len(inputs) - len(wrong)
    if not wrong:
        return Verdict(attempted=True, passed=passed, total=len(inputs))
    name = name or exercise.name.split(".")[1]
    told = _told(name, inputs[wrong[0]], expected[wrong[0]], got[wrong[0]])
    cause = _cause(exercise, got, seed)
    return Verdict(attempted=True, passed=passed, total=len(inputs), told=told, cause=cause)


def _unlike(expected: Any, got: Any) -> str | None:
    """What differs; errors are alike if they are of one kind."""
    if isinstance(expected, Raised) or isinstance(got, Raised):
        if isinstance(expected, Raised) and isinstance(got, Raised):
            return None if expected.kind in got.classes else "another error"
        return "an error" if isinstance(got, Raised) else "no error"
    try:
        return difference(expected, got)
    except Exception as error:  # of a tensor without values, say
        return f"something that cannot be compared ({type(error).__name__})"


def _cause(exercise: Exercise, got: list, seed: int) -> str:
    """The cause of the first known mistake that gives the same answers everywhere."""
    for mistake in exercise.mistakes:
        theirs = ask(exercise, mistake.answer, seed)
        if not any(_unlike(a, b) for a, b in zip(theirs, got, strict=True)):
            return mistake.cause
    return ""


def _told(name: str, given: tuple, expected: Any, got: Any) -> str:
    """The call, what was expected and what came, a line each."""
    call = f"{name}({', '.join(map(_short, given))})"
    lines = [f"  asked     {call}"]
    must = f"raises {expected.kind}" if isinstance(expected, Raised) else ""
    lines.append(f"  expected  {must or _short(expected)}")
    what = f"raises {_clipped(str(got))}" if isinstance(got, Raised) else _short(got)
    lines.append(f"  got       {what}")
    unlike = _unlike(expected, got)
    if unlike and not isinstance(expected, Raised) and not isinstance(got, Raised):
        lines.append(f"  that is   {unlike}")
    return "\n".join(lines)


def _short(value: Any) -> str:
    """A value in one line: of something large, what kind of thing it is."""
    return _clipped(_text(value))


def _clipped(text: str) -> str:
    """The beginning of a text, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _text(value: Any) -> str:
    """A value as Python writes it, but of long arrays the shape."""
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape) and (len(shape) > 1 or shape[0] > 8):
        return f"{type(value).__name__} of shape {tuple(shape)}, {value.dtype}"
    if isinstance(value, np.ndarray):
        return repr(value.tolist())
    if isinstance(value, dict):
        parts = (f"{_text(key)}: {_text(part)}" for key, part in value.items())
        return f"{{{', '.join(parts)}}}"
    try:
        return repr(value)
    except Exception:
        return f"a {type(value).__name__} that cannot be printed"
