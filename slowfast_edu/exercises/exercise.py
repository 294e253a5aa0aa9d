"""What an exercise is: a right answer, inputs to ask it with, and known wrong answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slowfast_edu.checks import check_choice, check_count

LEAST_MISTAKES = 3
HINTS = 3


def as_it_is(result: Any, *arguments: Any) -> Any:
    """The result itself: what is compared of most answers."""
    return result


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A wrong answer that learners give, as a function, and what it comes from.

    Attributes:
        answer: gives what this mistake gives, for the same arguments.
        cause: tells the learner, in a sentence, what they probably did.
    """

    answer: Callable
    cause: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """One exercise that is answered in prose and marked by hand.

    Attributes:
        name: notebook and word, such as "02.why_tau".
        title: what is to be done, in a few words.
        minutes: that it takes a learner.
        difficulty: 1 to 3.
        points: that it is worth when graded.

    Raises:
        ValueError: another difficulty, or not a whole number of minutes or points.
    """

    name: str
    title: str
    minutes: int
    difficulty: int
    points: int

    def __post_init__(self):
        check_choice("difficulty", self.difficulty, (1, 2, 3))
        check_count("minutes", self.minutes)
        check_count("points", self.points)

    @property
    def notebook(self) -> str:
        """The number of its notebook: "02"."""
        return self.name.split(".")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exercise(Written):
    """One exercise that is checked by running the learner's function.

    Attributes:
        answer: the right function, made of the library's.
        inputs: from a random generator to the tuples of arguments to ask with.
        mistakes: at least three.
        hints: three, each telling more than the one before.
        view: what of a result is compared, from the result and its arguments: of a
            network its shapes and numbers, say.

    Raises:
        ValueError: as ``Written``; or fewer than three mistakes, or not three hints.
    """

    answer: Callable
    inputs: Callable[[np.random.Generator], Sequence[tuple]]
    mistakes: Sequence[Mistake]
    hints: Sequence[str]
    view: Callable = as_it_is

    def __post_init__(self):
        Written.__post_init__(self)
        check_count("mistakes", len(self.mistakes), LEAST_MISTAKES)
        if len(self.hints) != HINTS:
            raise ValueError(f"{self.name} has {len(self.hints)} hints, must have {HINTS}")
