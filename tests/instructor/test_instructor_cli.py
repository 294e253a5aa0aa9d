"""The instructor's commands: what they print, and one line for what is wrong."""

import sys

import nbformat
import pytest

from slowfast_edu.cli import main
from slowfast_edu.exercises import EXERCISES
from slowfast_edu.instructor import grading
from slowfast_edu.instructor.published import NOTEBOOKS


@pytest.fixture
def submissions(course, release, tmp_path):
    """Two students' folders: one can be graded, one cannot."""
    folder = tmp_path / "submissions"
    for student in ("s1", "s2"):
        (folder / student).mkdir(parents=True)
        nbformat.write(release, folder / student / "hw1.ipynb")
    (folder / "s2" / "hw1.ipynb").write_text("{")
    return folder


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(course, submissions, capsys):
    """Runs a command that must fail in one line and change nothing; gives the line."""

    def run(*words):
        places = {"COURSE": course.root, "SUBMISSIONS": submissions}
        before = files(course.root.parent)
        capsys.readouterr()
        assert main([str(places.get(word, word)) for word in words]) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        assert printed.err.startswith(f"slowfast-edu {words[0]}: ")
        assert files(course.root.parent) == before
        return printed.err

    return run


def assigned(*words, exercise="02.seconds", name="hw2"):
    return ["assign", "--exercises", exercise, "--name", name, "--course", "COURSE", *words]


def about(command, *words, name="hw1", submissions="SUBMISSIONS"):
    return [command, submissions, "--name", name, "--course", "COURSE", *words]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            assigned(exercise="02.second"),
            "exercises='02.second' is not known; choose one of",
        ),
        (assigned(name="a b"), "name='a b' must begin with a letter or digit"),
        (assigned(name="hw1"), "has an assignment hw1 already; choose another name"),
        (
            assigned("--points", "02.seconds"),
            "--points 02.seconds: write 02.seconds=4, say",
        ),
        (assigned("--points", "02.seconds=x"), "--points 02.seconds=x: write 02.seconds=4"),
        (
            assigned("--points", "02.seconds=nan"),
            "points of 02.seconds, nan, must be from 1",
        ),
        (
            assigned("--points", "02.frames=4"),
            "points='02.frames' is not known; choose one",
        ),
        (assigned("--seed", "-1"), "seed=-1 must be from 0 to 4294967295; try 4294967295"),
        (assigned("--notebooks", "COURSE"), "has no notebook of exercise 02.seconds"),
        (about("preflight", name="hw9"), "has no assignment hw9: there are hw1"),
        (about("preflight", submissions="no such"), "no such is no folder; it should have"),
        (about("grade", name="hw9"), "has no assignment hw9: there are hw1"),
        (about("grade", submissions="no such"), "no such is no folder"),
        (about("grade", "--jobs", "0"), "--jobs=0 must be a whole number of at least 1"),
        (about("grade", "--seconds", "-5"), "--seconds=-5 must be a whole number of at le"),
        (about("grade", "--cell-seconds", "0"), "--cell-seconds=0 must be"),
        (
            about("grade", "--gib", "0.5"),
            "--gib 0.5 must be from 1, which Python needs, to",
        ),
        (about("grade", "--gib", "nan"), "--gib nan must be from 1"),
        (about("grade", "--gib", "inf"), "--gib inf must be from 1"),
        (about("grade", "--again", "s7"), "--again: "),
        (["report", "--name", "hw9", "--course", "COURSE"], "has no assignment hw9: there"),
        (
            ["report", "--name", "hw1", "--course", "no such"],
            "no such has no assignment hw1: nothing was assigned yet (--course names",
        ),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_changes_nothing(refused, words, told):
    assert told in refused(*words)


@pytest.mark.parametrize("command", ["assign", "preflight", "grade", "report"])
def test_without_nbgrader_the_extra_is_named(refused, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    words = {"assign": assigned(), "report": ["report", "--name", "hw1"]}
    told = refused(*words.get(command, about(command)))
    assert "pip install 'slowfast-edu[instructor]'" in told


@pytest.mark.parametrize("content", ["", "[]", '{"name": "hw1"}', '{"tests": {"a": 5}}'])
def test_a_damaged_key_is_named(refused, course, content):
    course.key("hw1").write_text(content)
    assert "hw1.json is damaged; put back the file that `assign` wrote" in refused(
        *about("preflight")
    )


@pytest.mark.parametrize("kept", ["source", "release"])
def test_files_of_the_assignment_that_are_gone_are_named(refused, course, kept):
    path = getattr(course, kept)("hw1")
    path.unlink()
    assert str(path) in refused(*about("preflight"))


def test_a_damaged_roster_is_named(refused, course):
    course.roster_file.write_text("student\ns1\n")
    for command in ("preflight", "grade"):
        assert "roster.csv has no column id" in refused(*about(command))


def test_without_a_sandbox_nothing_runs_unless_it_is_asked_for(
    course, submissions, capsys, monkeypatch
):
    why = "bubblewrap runs on Linux only"
    monkeypatch.setattr(grading, "why_no_sandbox", lambda memory: why)
    words = ["grade", str(submissions), "--name", "hw1", "--course", str(course.root)]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert f"no sandbox: {why}. Without a sandbox a student's code runs as you" in told
    assert "add --trust-submissions" in told
    assert not course.record("s1", "hw1").exists()


def test_preflight_prints_a_line_a_student_and_writes_nothing(course, submissions, capsys):
    course.roster_file.write_text("id\ns1\ns3\n")
    (submissions / "an id").mkdir()
    before = files(course.root)
    words = [str(submissions), "--name", "hw1", "--course", str(course.root)]
    assert main(["preflight", *words]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line[:9].rstrip() for line in printed if line[0] != " "][:-1] == [
        "no  an id",
        "ok  s1",
        "no  s2",
        "no  s3",
    ]
    told = "\n".join(printed)
    assert "cannot be a student's id" in told and "the file is not JSON" in told
    assert "not in the roster" in told and "nothing was handed in" in told
    assert printed[-1] == "1 can be graded, 2 cannot, 1 absent"
    assert files(course.root) == before


def test_assign_says_where_everything_is(course, capsys):
    words = ["assign", "--exercises", "02.seconds", "02.budget", "--name", "hw2"]
    words += ["--points", "02.seconds=7", "--seed", "9", "--course", str(course.root)]
    assert main([*words, "--notebooks", str(NOTEBOOKS)]) == 0
    printed = capsys.readouterr().out
    points = 7 + EXERCISES["02.budget"].points
    assert f"points         {points} by tests, 0 by hand" in printed
    for path in (course.release, course.source, course.rubric, course.key):
        assert str(path("hw2")) in printed and path("hw2").is_file()
    assert course.read_key("hw2").seed == 9
    assert main([*words[:5], "hw3", "--course", str(course.root)]) == 0
    assert main([*words[:5], "hw4", "--course", str(course.root)]) == 0
    assert course.read_key("hw3").seed != course.read_key("hw4").seed  # drawn
