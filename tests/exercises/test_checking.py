"""What a check sees, what it prints, and what it keeps."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from slowfast_edu import exercises
from slowfast_edu.cli import main
from slowfast_edu.exercises import Exercise, Mistake, Written, check, examine
from slowfast_edu.exercises.board import ProgressBoard, progress_table
from slowfast_edu.exercises.comparing import difference
from slowfast_edu.exercises.networks import behaviour, fill
from slowfast_edu.exercises.progress import Record, keep, progress_folder, read_progress

HALF = Exercise(
    name="99.half",
    title="Half of a number",
    minutes=2,
    difficulty=1,
    points=1,
    answer=lambda whole: whole / 2 if whole >= 0 else _refuse(whole),
    inputs=lambda rng: [(0,), (3,), (-1,), *((int(n),) for n in rng.integers(4, 99, 5))],
    mistakes=(
        Mistake(answer=lambda whole: whole // 2, cause="you rounded"),
        Mistake(answer=lambda whole: whole / 2, cause="you took a negative number"),
        Mistake(answer=lambda whole: whole * 2.0, cause="you doubled"),
    ),
    hints=("first", "second", "third"),
)
PROSE = Written(name="99.why", title="Why half", minutes=2, difficulty=1, points=1)


def _refuse(whole):
    raise ValueError(whole)


@pytest.fixture(autouse=True)
def half(monkeypatch, tmp_path):
    """The exercise above in the course, and a home with nothing in it."""
    monkeypatch.setenv("SLOWFAST_EDU_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(exercises.EXERCISES, HALF.name, HALF)
    monkeypatch.setitem(exercises.EXERCISES, PROSE.name, PROSE)


# Comparing


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (2, np.int64(2)),
        (2, torch.tensor(2)),
        (0.1 + 0.2, 0.3),
        (float("nan"), float("nan")),
        (True, np.bool_(True)),
        ([0, 8], (0, 8)),
        ((0, 8), np.array([0, 8])),
        (([0], 1.5), [np.array([0]), np.float32(1.5)]),
        (np.array([0.5, 1]), [0.5, 1.0]),
        (np.arange(3), range(3)),
        ({"a": [1]}, {"a": (1,)}),
        (torch.ones(2), torch.ones(2) + 1e-7),
        ("slow", "slow"),
        (None, None),
    ],
)
def test_the_same_answer_in_another_dress_is_right(expected, got):
    assert difference(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "told"),
    [
        (2, 2.0, "a float where an int is expected"),
        (2, 3, "another number"),
        (1, True, "a bool where an int is expected"),
        (0.5, "0.5", "a str where a float is expected"),
        (0.5, None, "None where a float is expected"),
        (0.5, float("nan"), "another number"),
        (0.5, 0.51, "another number"),
        ([0, 8], [0], "1 entry where 2 are expected"),
        ([0, 8], [0, 9], "[1]: another number"),
        ([0, 8], 8, "an int where a list is expected"),
        ("slow", "fast", "another value"),
        (([0], [1, 2]), ([0], [1, 3]), "[1][1]: another number"),
        (np.ones((2, 3)), np.ones((3, 2)), "shape (3, 2) where (2, 3) is expected"),
        (np.array([1, 2]), np.array([1.0, 2.0]), "floats where whole numbers are expected"),
        (np.ones(2), np.array([1.0, 0]), "0 at [1], where 1 is expected"),
        (np.ones(2), [[1], [1, 2]], "a list that is no array, where an array is expected"),
        (torch.ones(2), np.ones(2), "an array where a tensor is expected"),
        (torch.ones(2), torch.ones(2, 1), "shape (2, 1) where (2,) is expected"),
        (
            torch.ones(2),
            torch.ones(2).double(),
            "dtype torch.float64 where torch.float32 is expected",
        ),
        (torch.ones(1, 2), -torch.ones(1, 2), "-1 at [0, 0], where 1 is expected"),
        (torch.tensor([True]), torch.tensor([False]), "0 at [0], where 1 is expected"),
        (True, False, "another value"),
        ({"a": 1}, {"b": 1}, "keys ['b'] where ['a'] are expected"),
        ({"a": 1}, {"a": 2}, "a: another number"),
        ({"a": 1}, [1], "a list where a dict is expected"),
    ],
)
def test_what_differs_is_named(expected, got, told):
    assert difference(expected, got) == told


def test_small_numbers_beside_large_ones_are_compared_by_the_large_ones():
    large = torch.tensor([1000.0, 0.0])
    assert difference(large, large + torch.tensor([0.0, 0.01])) is None
    assert difference(large, large + torch.tensor([0.0, 1.0])) == (
        "1 at [1], where 0 is expected"
    )


# Examining


def test_errors_are_answers():
    def right(whole):
        if whole < 0:
            raise ValueError("no")
        return whole / 2

    def another_error(whole):
        if whole < 0:
            raise KeyError(whole)
        return whole / 2

    assert examine(HALF, right).right
    verdict = examine(HALF, another_error)
    assert (verdict.passed, verdict.total) == (7, 8)
    assert "expected  raises ValueError" in verdict.told
    assert "got       raises KeyError: -1" in verdict.told


def test_a_cause_is_named_only_if_the_mistake_explains_every_answer():
    def rounded_and_shifted(whole):
        return whole // 2 + (whole > 50)

    assert examine(HALF, half_rounded).cause == "you rounded"
    assert examine(HALF, rounded_and_shifted).cause == ""


def test_leaving_the_program_is_an_answer_and_ctrl_c_is_none():
    def leaving(whole):
        raise SystemExit(1)

    def interrupted(whole):
        raise KeyboardInterrupt

    assert "SystemExit" in examine(HALF, leaving).told
    with pytest.raises(KeyboardInterrupt):
        examine(HALF, interrupted)


def test_a_network_without_forward_is_an_attempt():
    class Misspelt(nn.Module):
        def foward(self, x):
            return x

    network = Exercise(
        name="99.network",
        title="A network",
        minutes=1,
        difficulty=1,
        points=1,
        answer=nn.ReLU,
        inputs=lambda rng: [()],
        mistakes=HALF.mistakes,
        hints=HALF.hints,
        view=lambda made: behaviour(made, (1, 3, 2, 4, 4)),
    )
    verdict = examine(network, Misspelt)
    assert verdict.attempted and "NotImplementedError: Module [Misspelt]" in verdict.told


class Unprintable:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "given",
    [Unprintable(), torch.zeros(2, device="meta"), torch.eye(2).to_sparse(), np.array({})],
)
def test_results_that_cannot_be_compared_or_printed_fail(given):
    for expected in (0.5, [0.5], np.ones(2), torch.ones(2), {"a": 1}):
        asked = replace(HALF, answer=lambda whole, expected=expected: expected)
        assert examine(asked, asked.answer).right
        verdict = examine(asked, lambda whole: given)
        assert verdict.told and not verdict.passed


def test_a_function_that_changes_its_arguments_spoils_nothing():
    given = [[1, 2]]
    summing = Exercise(
        name="99.sum",
        title="Sum",
        minutes=1,
        difficulty=1,
        points=1,
        answer=sum,
        inputs=lambda rng: [(given[0],), (given[0],)],
        mistakes=HALF.mistakes,
        hints=HALF.hints,
    )

    def emptying(numbers):
        total = sum(numbers)
        numbers.clear()
        return total

    assert examine(summing, emptying).right
    assert given == [[1, 2]]


def test_another_seed_asks_something_else():
    asked = []

    def noting(whole):
        asked.append(whole)
        return whole

    for seed in (0, 0, 1):
        examine(HALF, noting, seed)
    first, again, other = (asked[i : i + 8] for i in (0, 8, 16))
    assert first == again != other


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"mistakes": HALF.mistakes[:2]},
            "mistakes=2 must be a whole number of at least 3",
        ),
        ({"hints": ("one",)}, "99.half has 1 hints, must have 3"),
        ({"difficulty": 4}, "difficulty=4 is not known"),
        ({"minutes": 0}, "minutes=0 must be"),
        ({"points": -1}, "points=-1 must be"),
    ],
)
def test_a_bad_exercise_is_refused(change, told):
    fields = {name: getattr(HALF, name) for name in HALF.__dataclass_fields__}
    with pytest.raises(ValueError, match=told):
        Exercise(**(fields | change))


# Networks


def layers(*parts):
    return nn.Sequential(*parts)


def test_names_and_order_of_parts_do_not_matter_and_layers_do():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.BatchNorm3d(4)
            self.first = nn.Conv3d(3, 4, 1)

        def forward(self, x):
            return self.last(self.first(x))

    shape = (1, 3, 2, 4, 4)
    plain = behaviour(layers(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)), shape)
    assert difference(plain, behaviour(Named().train(), shape)) is None
    for other in (
        layers(nn.Conv3d(3, 4, 1, bias=False), nn.BatchNorm3d(4)),
        layers(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU()),
        layers(nn.BatchNorm3d(3), nn.Conv3d(3, 4, 1)),
        layers(nn.Conv3d(3, 4, 1)),
    ):
        assert difference(plain, behaviour(other, shape)) is not None


def test_a_layer_that_is_never_called_is_counted():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 4, 1)

        def forward(self, x):
            return self.used(x)

    shape = (1, 3, 2, 4, 4)
    plain, spare = behaviour(layers(nn.Conv3d(3, 4, 1)), shape), behaviour(Spare(), shape)
    assert (plain["parameters"], spare["parameters"]) == (16, 32)
    assert difference(plain, spare) == "parameters: another number"


def test_normalisation_is_filled_so_that_leaving_it_out_shows():
    bn = nn.BatchNorm3d(4)
    fill(bn)
    assert not bn.training
    values = torch.stack([bn.weight, bn.bias, bn.running_mean, bn.running_var]).detach()
    assert len(torch.unique(values, dim=0)) == 4 and (bn.running_var > 0).all()


def test_what_is_no_network_is_refused_by_name():
    with pytest.raises(TypeError, match=r"Tensor is no nn\.Module"):
        behaviour(torch.zeros(1), (1, 3, 2, 4, 4))


# What a learner reads


def half_rounded(whole):
    return whole // 2


def half_right(whole):
    return HALF.answer(whole)


def half_solution(whole):
    return HALF.answer(whole)


def test_a_stub_is_not_attempted_and_leaves_no_trace(capsys):
    def stub(whole):
        raise NotImplementedError

    check("99.half", stub)
    assert capsys.readouterr().out == "not attempted: 99.half\n"
    assert not progress_folder().exists()


def test_a_wrong_answer_is_shown_with_its_cause_and_one_hint_more_each_time(capsys):
    for hint in ("1/3  first", "2/3  second", "3/3  third", "3/3  third"):
        check("99.half", half_rounded)
        told = capsys.readouterr().out.splitlines()
        assert told[0] == "failed: 99.half, 0 of 8 right"
        assert told[1:5] == [
            "  asked     half_rounded(0)",
            "  expected  0.0",
            "  got       0",
            "  that is   an int where a float is expected",
        ]
        assert told[5:] == ["  likely    you rounded", f"  hint {hint}"]
    assert read_progress() == {"99.half": Record(failures=4, passed=False)}


def test_a_right_answer_counts_for_good(capsys):
    check("99.half", half_right)
    assert capsys.readouterr().out == "passed 8/8: 99.half\n"
    check("99.half", half_rounded)
    assert read_progress() == {"99.half": Record(failures=1, passed=True)}


def test_a_solution_does_not_count(capsys):
    check("99.half", half_solution)
    assert capsys.readouterr().out == "passed 8/8: 99.half\n"
    assert not progress_folder().exists()


@pytest.mark.parametrize("name", ["99.hlaf", "99.why"])
def test_what_is_not_checked_by_running_is_refused(name):
    with pytest.raises(ValueError, match="is not known"):
        check(name, half_right)


@pytest.mark.parametrize("wrong", [None, "text", lambda: 1, lambda *a, **k: object()])
def test_nothing_that_is_handed_over_makes_it_raise(wrong, capsys):
    check("99.half", wrong)
    assert capsys.readouterr().out.startswith("failed: 99.half, 0 of 8 right")


def test_long_lines_are_folded(capsys, monkeypatch):
    monkeypatch.setitem(exercises.EXERCISES, "99.half", HALF)
    check("99.half", lambda whole: np.arange(500) * whole)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 90


# Progress


DAMAGED = [
    *(b"{", b"[]", b"3", b"\xff", b"{}", b'{"failures": -3, "passed": true}'),
    *(b'{"failures": 1e400, "passed": true}', b'{"failures": 0, "passed": "no"}'),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_named_and_kept(content, capsys):
    file = progress_folder() / "99.half.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"99\.half\.json is damaged; delete it"):
        keep("99.half", True)
    check("99.half", half_right)
    told = capsys.readouterr().out
    assert "progress is not kept" in told and "passed 8/8" in told
    assert file.read_bytes() == content
    assert main(["progress"]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert "is damaged" in ProgressBoard(exercises.EXERCISES).children[0].value
    keep("99.other", True)  # the others go on


def test_two_kernels_keep_what_both_did():
    code = (
        "from slowfast_edu.exercises.progress import keep\n"
        "for i in range(30): keep(f'99.{i * 2 + %d}', True)"
    )
    kernels = [subprocess.Popen([sys.executable, "-c", code % i]) for i in range(2)]
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    assert len(read_progress()) == 60


def test_a_tilde_is_the_home_folder_and_without_one_a_learner_goes_on(monkeypatch, capsys):
    monkeypatch.setenv("SLOWFAST_EDU_HOME", "~/course")
    assert progress_folder() == Path.home() / "course" / "progress"
    monkeypatch.delenv("SLOWFAST_EDU_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("none")))
    check("99.half", half_right)
    told = capsys.readouterr().out
    assert "no home folder; let SLOWFAST_EDU_HOME name one" in told and "passed" in told
    assert "no home folder" in ProgressBoard(exercises.EXERCISES).children[0].value


def test_a_home_that_cannot_be_written_to_does_not_stop_a_learner(capsys, monkeypatch):
    monkeypatch.setenv("SLOWFAST_EDU_HOME", os.devnull)
    check("99.half", half_right)
    told = capsys.readouterr().out
    assert "progress is not kept" in told and "passed 8/8" in told


def test_the_table_counts_what_is_passed_and_names_what_is_next():
    course = {"99.half": HALF, "99.why": PROSE}
    assert progress_table(course, {}).splitlines() == [
        "99  [....................]  0 of 1, 1 in prose",
        "0 of 1 exercises passed",
        "next: 99.half, Half of a number (2 minutes, open)",
    ]
    tried = {"99.half": Record(failures=2)}
    assert progress_table(course, tried).endswith("(2 minutes, tried 2 times)")
    done = {"99.half": Record(passed=True)}
    assert progress_table(course, done).splitlines() == [
        "99  [####################]  1 of 1, 1 in prose",
        "1 of 1 exercises passed",
    ]


def test_the_command_and_the_board_show_the_same(capsys):
    board = ProgressBoard({"99.half": HALF})
    assert "0 of 1" in board.children[0].value
    keep("99.half", True)
    board.children[1].click()
    assert "1 of 1 exercises passed" in board.children[0].value
    assert str(progress_folder()) in board.children[0].value
    assert main(["progress"]) == 0
    told = capsys.readouterr().out
    assert "99  [####################]  1 of 1" in told and str(progress_folder()) in told


def test_the_file_says_in_words_what_is_kept():
    keep("99.half", False)
    kept = json.loads((progress_folder() / "99.half.json").read_text())
    assert kept == {"failures": 1, "passed": False}
