"""Every exercise: the library passes, a stub is not attempted, known mistakes are known."""

import pytest

from slowfast_edu.exercises import EXERCISES, Exercise, Written, examine

CHECKED = [e for e in EXERCISES.values() if isinstance(e, Exercise)]
SEEDS = (0, 1, 7)
MINUTES = 45  # of exercises in a notebook

one_exercise = pytest.mark.parametrize("exercise", CHECKED, ids=lambda e: e.name)


def test_there_are_enough():
    assert len(CHECKED) >= 32
    assert sum(type(e) is Written for e in EXERCISES.values()) >= 8
    assert list(EXERCISES) == sorted(EXERCISES, key=lambda name: name[:2])


@pytest.mark.parametrize("notebook", [f"{number:02}" for number in range(10)])
def test_each_notebook_has_four_to_six_that_begin_easily(notebook):
    own = [e for e in EXERCISES.values() if e.notebook == notebook]
    assert len(own) <= 6 and (len(own) >= 4 or notebook in ("00", "09"))
    assert sum(e.minutes for e in own) <= MINUTES
    checked = [e.difficulty for e in own if isinstance(e, Exercise)]
    assert checked == sorted(checked) and checked[0] == 1


@one_exercise
def test_the_library_passes_and_a_stub_is_not_attempted(exercise):
    for seed in SEEDS:
        verdict = examine(exercise, exercise.answer, seed)
        assert verdict.right and verdict.total >= 1, verdict.told

    def stub(*arguments):
        raise NotImplementedError

    assert not examine(exercise, stub).attempted


@one_exercise
def test_each_known_mistake_fails_and_is_recognised(exercise):
    for seed in SEEDS:
        for mistake in exercise.mistakes:
            verdict = examine(exercise, mistake.answer, seed)
            assert verdict.attempted and not verdict.right
            assert verdict.cause == mistake.cause


@one_exercise
def test_nothing_at_all_and_an_error_of_another_kind_fail(exercise):
    def surprised(*arguments):
        raise ZeroDivisionError

    for wrong in (lambda *arguments: None, surprised):
        verdict = examine(exercise, wrong)
        assert not verdict.right and verdict.told


def test_hints_and_causes_are_sentences_of_their_own():
    told = [text for e in CHECKED for text in (*e.hints, *(m.cause for m in e.mistakes))]
    assert len(set(told)) == len(told)
    assert all(3 <= len(text.split()) <= 60 for text in told)
    assert len({e.title for e in EXERCISES.values()}) == len(EXERCISES)
