"""What `assign` writes: solvable by its source, and nothing of that in the release."""

import contextlib
import io
import json
from fractions import Fraction

import nbformat
import numpy as np
import pytest
from nbgrader.api import Gradebook
from traitlets.utils.importstring import import_item

from slowfast_edu.exercises import EXERCISES, Exercise
from slowfast_edu.exercises.comparing import difference
from slowfast_edu.instructor import assignment as assigning
from slowfast_edu.instructor.assignment import assign
from slowfast_edu.instructor.cells import BEGIN, COMMON, END, HIDE, SHOW, cell_name
from slowfast_edu.instructor.course import Course
from slowfast_edu.instructor.harmless import markdown2html
from slowfast_edu.instructor.published import published

LONG = 20  # characters of a line that is looked for inside others too


def lines(text):
    return {line.strip() for line in text.splitlines()} - {""}


def cells(path):
    return {cell.id: cell for cell in nbformat.read(path, 4).cells}


def max_scores(course):
    """{assignment: points} of nbgrader's database."""
    with Gradebook(f"sqlite:///{course.gradebook}") as gradebook:
        return {each.name: each.max_score for each in gradebook.assignments}


# All exercises of the course


def test_the_release_holds_no_line_of_any_solution(everything):
    course, _ = everything
    raw = course.release("all").read_text(encoding="utf-8")
    released = lines(
        "\n".join(cell.source for cell in cells(course.release("all")).values())
    )
    texts = {name: published(name) for name in EXERCISES}
    given = set(COMMON)
    for text in texts.values():
        given |= lines("\n".join([text.prompt, text.stub, *text.needs]))
    assert len(given & released) > len(EXERCISES)  # we look at what students get
    for name, text in texts.items():
        for line in lines(text.solution) - given:
            assert line not in released, name
            assert len(line) < LONG or json.dumps(line)[1:-1] not in raw, name


def test_in_the_release_stubs_are_as_published(everything):
    released = cells(everything[0].release("all"))
    for name, exercise in EXERCISES.items():
        if isinstance(exercise, Exercise):
            lines = ("# YOUR CODE HERE", "raise NotImplementedError()")
            stub = published(name).stub.replace(lines[1][:-2], "\n    ".join(lines))
            assert released[cell_name(name)].source == stub


def test_the_release_holds_no_hidden_test_and_no_seed(everything):
    course, assigned = everything
    raw = course.release("all").read_text(encoding="utf-8")
    seeds = [test.seed for test in assigned.tests.values() if test.hidden]
    assert all(str(seed) not in raw for seed in (*seeds, assigned.seed))
    assert str(seeds[0]) in course.source("all").read_text(encoding="utf-8")
    for mark in (BEGIN, END, HIDE, SHOW):
        assert mark not in raw
    released = cells(course.release("all"))
    for name, test in assigned.tests.items():
        assert ("assert_right" in released[name].source) is not test.hidden
    answers = [released[name].source for name in assigned.written]
    assert set(answers) == {"YOUR ANSWER HERE"} and len(answers) == 10


def test_all_of_the_source_runs_from_top_to_bottom(everything):
    """As *Restart and Run All* and `nbgrader validate` run it."""
    space, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells(everything[0].source("all")).values():
            if cell.cell_type == "code":
                exec(cell.source, space)
    checked = [name for name, e in EXERCISES.items() if isinstance(e, Exercise)]
    told = [line.split(": ")[1] for line in printed.getvalue().splitlines()]
    assert told == [name for name in checked for _ in range(2)]


def test_points_are_halved_exactly_and_sum_up(everything):
    course, assigned = everything
    for name, exercise in EXERCISES.items():
        own = [t for t in assigned.tests.values() if t.exercise == name]
        if isinstance(exercise, Exercise):
            assert [t.hidden for t in own] == [False, True]
            assert [Fraction(t.points) for t in own] == [Fraction(exercise.points, 2)] * 2
        else:
            assert not own and assigned.written[cell_name(name)] == name
    in_cells = [
        cell.metadata.nbgrader.points
        for cell in cells(course.release("all")).values()
        if cell.metadata.nbgrader.grade
    ]
    points = sum(exercise.points for exercise in EXERCISES.values())
    assert sum(in_cells) == max_scores(course)["all"] == points


def test_hidden_tests_ask_other_inputs_and_each_its_own(everything):
    _, assigned = everything
    seeds = [test.seed for test in assigned.tests.values() if test.hidden]
    assert len(set(seeds) | {0}) == len(seeds) + 1
    for test in assigned.tests.values():
        inputs = EXERCISES[test.exercise].inputs
        visible = inputs(np.random.default_rng(0))
        asked = inputs(np.random.default_rng(test.seed))
        same = [not differ(a, b) for a, b in zip(visible, asked, strict=True)]
        assert all(same) is not test.hidden, test.exercise


def differ(one, other):
    """Whether two tuples of arguments are told apart, however deep."""
    try:
        return difference(list(one), list(other)) is not None
    except Exception:  # of functions and networks, say
        return repr(one) != repr(other)


def test_the_rubric_tells_points_known_mistakes_and_good_answers(everything):
    course, _ = everything
    text = course.rubric("all").read_text(encoding="utf-8")
    for name, exercise in EXERCISES.items():
        assert f"## {name}: {exercise.title} ({exercise.points} points)" in text
        for mistake in getattr(exercise, "mistakes", ()):
            assert f"- {mistake.cause}" in text
    assert "The clip now spans 32 raw frames, not 64" in text  # of 02.why_tau's answer
    assert f"{sum(e.points for e in EXERCISES.values())} points in all" in text


def test_cells_are_locked_but_for_answers(everything):
    course, assigned = everything
    for name, cell in cells(course.release("all")).items():
        own = cell.metadata.nbgrader
        assert own.grade_id == name == cell.id
        answer = name.replace("_", ".", 1) in EXERCISES
        assert own.solution is answer and own.locked is not answer
        assert cell.metadata.deletable is False
        assert cell.metadata.get("editable", True) is answer
        assert own.grade is (name in assigned.tests or name in assigned.written)


# Seeds, points, several assignments


def test_the_seed_changes_hidden_inputs_and_nothing_else(new_course, tmp_path):
    courses = [new_course(tmp_path / f"{i}") for i in range(3)]
    keys = [
        assign(course, "hw1", ["02.frames", "02.why_tau"], seed)
        for course, seed in zip(courses, (5, 5, 6), strict=True)
    ]
    assert keys[0] == keys[1] != keys[2]
    first, other = (key.tests for key in keys[1:])
    assert first["02_frames_visible"] == other["02_frames_visible"]
    assert first["02_frames_hidden"].seed != other["02_frames_hidden"].seed
    raw = [course.release("hw1").read_bytes() for course in courses]
    parsed = [[cell["source"] for cell in json.loads(each)["cells"]] for each in raw]
    assert parsed[0] == parsed[1] == parsed[2]


def test_points_can_be_others_and_assignments_several(course):
    before = course.read_key("hw1")
    made = assign(
        course,
        "hw2",
        ["02.why_tau", "02.seconds", "02.budget"],
        1,
        {"02.why_tau": 2.5, "02.seconds": 7},
    )
    worth = {name: test.points for name, test in made.tests.items()}
    budget = EXERCISES["02.budget"].points / 2
    assert worth == {
        "02_seconds_visible": 3.5,
        "02_seconds_hidden": 3.5,
        "02_budget_visible": budget,
        "02_budget_hidden": budget,
    }
    assert cells(course.release("hw2"))["02_why_tau"].metadata.nbgrader.points == 2.5
    assert "7 points" in cells(course.release("hw2"))["02_seconds_prompt"].source
    assert max_scores(course) == {"hw1": 8, "hw2": 9.5 + 2 * budget}
    assert course.read_key("hw1") == before and course.read_key("hw2") == made


def test_the_settings_of_any_folder_are_python(new_course, tmp_path):
    course = new_course(tmp_path / 'of "all" \\n')
    assign(course, "hw1", ["02.why_tau"], 1)
    settings = course.root / "nbgrader_config.py"

    class Section:
        pass

    parts = ("CourseDirectory", "OverwriteCells", "HTMLExporter")
    config = type("Config", (), {part: Section() for part in parts})
    exec(settings.read_text(encoding="utf-8"), {"get_config": config})
    assert config.CourseDirectory.course_id == 'of "all" \\n'
    assert import_item(config.HTMLExporter.filters["markdown2html"]) is markdown2html
    settings.write_text("mine", encoding="utf-8")
    assign(course, "hw2", ["02.why_tau"], 1)
    assert settings.read_text(encoding="utf-8") == "mine"


# What is refused


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "hw 1"}, "name='hw 1' must begin with a letter or digit"),
        ({"name": "../hw2"}, "name='../hw2' must begin"),
        ({"name": ""}, "name='' must begin"),
        ({"exercises": ["02.nyquits"]}, "exercises='02.nyquits' is not known; choose"),
        ({"exercises": []}, "name one at least"),
        ({"exercises": ["02.frames"] * 2}, "exercises name 02.frames more than once"),
        ({"seed": -1}, f"seed=-1 must be from 0 to {2**32 - 1}"),
        ({"seed": 2**32}, "must be from 0 to"),
        (
            {"points": {"02.budget": 1}},
            "points='02.budget' is not known; choose one of '02",
        ),
        ({"points": {"02.frames": 0}}, "points of 02.frames, 0, must be from 1 to 1000"),
        ({"points": {"02.frames": float("nan")}}, "points of 02.frames, nan, must be"),
        ({"points": {"02.frames": float("inf")}}, "points of 02.frames, inf, must be"),
    ],
)
def test_what_cannot_be_assigned_is_refused_and_nothing_written(tmp_path, wrong, told):
    settings = {"name": "hw1", "exercises": ["02.frames"], "seed": 1, "points": {}} | wrong
    with pytest.raises(ValueError) as refused:
        assign(Course(tmp_path / "course"), **settings)
    assert told in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "course").exists()


@pytest.mark.parametrize("kept", ["key", "source", "release", "rubric"])
def test_what_students_may_have_is_not_written_over(course, kept):
    other = Course(course.root.parent / "other")
    path = getattr(other, kept)("hw1")
    path.parent.mkdir(parents=True)
    path.write_bytes(getattr(course, kept)("hw1").read_bytes())
    with pytest.raises(FileExistsError, match="has an assignment hw1 already"):
        assign(other, "hw1", ["02.frames"], 1)
    assert [p for p in other.root.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("step", ["rubric", "generate_release", "write_key"])
def test_what_fails_half_way_leaves_nothing_and_can_be_done_again(
    course, monkeypatch, step
):
    before = sorted(course.root.rglob("*"))

    def full(*arguments):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Course if step == "write_key" else assigning, step, full)
        with pytest.raises(OSError, match="no space left"):
            assign(course, "hw2", ["02.seconds"], 1)
    assert sorted(course.root.rglob("*")) == before
    assert max_scores(course) == {"hw1": 8}
    assign(course, "hw2", ["02.seconds"], 1)
    assert max_scores(course) == {"hw1": 8, "hw2": 2}


def test_what_nbgrader_cannot_write_is_one_error_and_leaves_nothing(tmp_path):
    course = Course(tmp_path)
    course.gradebook.write_text("no database " * 99)
    with pytest.raises(ValueError, match=r"nbgrader could not write .*gradebook\.db"):
        assign(course, "hw1", ["02.why_tau"], 1)
    assert not course.source("hw1").exists() and not course.key("hw1").exists()
