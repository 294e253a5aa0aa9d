"""Run a learner's function beside the right one, and say what came of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast_edu.exercises.comparing import difference
from slowfast_edu.exercises.exercise import Exercise

SEED = 0
LONGEST = 70  # characters of a value in a message


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


@dataclass(frozen=True, slots=True)
class _Raised:
    """An error in place of a result."""

    error: BaseException

    def __str__(self) -> str:
        text = _clipped(str(self.error))
        return f"{_kind(self.error)}: {text}" if text else _kind(self.error)


def _is_a_stub_s(error: BaseException) -> bool:
    """Torch raises the same error with a message, of a network without forward, say."""
    return type(error) is NotImplementedError and not error.args


def _kind(error: BaseException) -> str:
    return type(error).__name__


def examine(exercise: Exercise, function: Callable, seed: int = SEED) -> Verdict:
    """Ask a function and the right one the same, and compare.

    Args:
        exercise: what is asked.
        function: the learner's. It gets copies of the arguments.
        seed: of the inputs.

    Returns:
        The verdict. Errors that the function raises are in it.
    """
    inputs = exercise.inputs(np.random.default_rng(seed))
    expected = [_outcome(exercise, exercise.answer, given) for given in inputs]
    got = []
    for given in inputs:
        got.append(_outcome(exercise, function, given))
        if isinstance(got[-1], _Raised) and _is_a_stub_s(got[-1].error):
            return Verdict(attempted=False, passed=0, total=len(inputs))
    wrong = [i for i in range(len(inputs)) if _unlike(expected[i], got[i])]
    passed = len(inputs) - len(wrong)
    if not wrong:
        return Verdict(attempted=True, passed=passed, total=len(inputs))
    told = _told(function, inputs[wrong[0]], expected[wrong[0]], got[wrong[0]])
    cause = _cause(exercise, inputs, got)
    return Verdict(attempted=True, passed=passed, total=len(inputs), told=told, cause=cause)


def _outcome(exercise: Exercise, function: Callable, given: tuple) -> Any:
    """What is compared of a function's result, or what it raised."""
    try:
        result = function(*copy.deepcopy(given))
        return exercise.view(result, *copy.deepcopy(given))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a learner, so any
        return _Raised(error)


def _unlike(expected: Any, got: Any) -> str | None:
    """What differs; errors are alike if they are of one kind."""
    if isinstance(expected, _Raised) or isinstance(got, _Raised):
        if isinstance(expected, _Raised) and isinstance(got, _Raised):
            return None if isinstance(got.error, type(expected.error)) else "another error"
        return "an error" if isinstance(got, _Raised) else "no error"
    try:
        return difference(expected, got)
    except Exception as error:  # of a tensor without values, say
        return f"something that cannot be compared ({_kind(error)})"


def _cause(exercise: Exercise, inputs: list[tuple], got: list) -> str:
    """The cause of the first known mistake that gives the same answers everywhere."""
    for mistake in exercise.mistakes:
        theirs = (_outcome(exercise, mistake.answer, given) for given in inputs)
        if not any(_unlike(a, b) for a, b in zip(theirs, got, strict=True)):
            return mistake.cause
    return ""


def _told(function: Callable, given: tuple, expected: Any, got: Any) -> str:
    """The call, what was expected and what came, a line each."""
    name = getattr(function, "__name__", "your function")
    call = f"{name}({', '.join(map(_short, given))})"
    lines = [f"  asked     {call}"]
    must = f"raises {_kind(expected.error)}" if isinstance(expected, _Raised) else ""
    lines.append(f"  expected  {must or _short(expected)}")
    what = f"raises {got}" if isinstance(got, _Raised) else _short(got)
    lines.append(f"  got       {what}")
    unlike = _unlike(expected, got)
    if unlike and not isinstance(expected, _Raised) and not isinstance(got, _Raised):
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
