"""What is reported: a table with reasons, a summary, pages without hidden tests."""

import csv
import json
from dataclasses import asdict, replace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_output

from slowfast_edu.exercises import EXERCISES
from slowfast_edu.exercises.asking import ask, pack
from slowfast_edu.exercises.asserting import ANSWERS
from slowfast_edu.instructor import worker
from slowfast_edu.instructor.grading import enter_students, examine, read_papers
from slowfast_edu.instructor.judging import LimitedExecute
from slowfast_edu.instructor.report import (
    NOTHING,
    UNKNOWN,
    records,
    summarise,
    write_feedback,
    write_grades,
)
from slowfast_edu.instructor.running import Record

ROSTER = 'id,first_name,last_name,email\ns1,Ann,"Lee, ""Q""",a@x\ns2,Bo,Ñu,\ns3,Cy,Xu,\n'
CLIPPED = EXERCISES["02.nyquist"].mistakes[0]


def functions(nyquist):
    return {"02.frames": EXERCISES["02.frames"].answer, "02.nyquist": nyquist}


def graded(course, monkeypatch, student, answers, prose="It differs."):
    """Grade one student as `grade` does, but what the kernel would answer is put there."""

    class Answered(LimitedExecute):
        def preprocess(self, book, resources):
            for cell in book.cells:
                name = cell.metadata.get("nbgrader", {}).get("grade_id")
                if name in (tests := course.read_key("hw1").tests):
                    test = tests[name]
                    asked = ask(EXERCISES[test.exercise], answers[test.exercise], test.seed)
                    packed = {"exercise": test.exercise, "answers": [*map(pack, asked)]}
                    cell.outputs = [new_output("display_data", data={ANSWERS: packed})]
            return book, resources

    monkeypatch.setattr(worker, "LimitedExecute", Answered)
    folder = course.root.parent / "submissions" / student
    folder.mkdir(parents=True)
    book = nbformat.read(course.release("hw1"), 4)
    [cell] = [cell for cell in book.cells if cell.id == "02_why_tau"]
    cell.source = prose
    nbformat.write(book, folder / "hw1.ipynb")
    record, notebook = examine(read_papers(course, "hw1"), student, folder)
    path = course.submitted(student, "hw1")
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    assignment, limits = course.read_key("hw1"), worker.Limits()
    found = worker.grade_notebook(
        worker.Run(course, assignment, student, limits, None), lambda: None
    )
    keep(course, replace(record, reason=found.reason, tests=found.tests))


def keep(course, record):
    path = course.record(record.student, "hw1")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record)), encoding="utf-8")


@pytest.fixture
def reported(course, monkeypatch):
    """A course with two graded students, one without a grade, and one who is absent."""
    course.roster_file.write_text(ROSTER, encoding="utf-8")
    enter_students(course, "hw1")
    graded(course, monkeypatch, "s1", functions(EXERCISES["02.nyquist"].answer))
    graded(course, monkeypatch, "s9", functions(CLIPPED.answer))
    keep(course, Record(student="s2", reason="the file is empty", notes=["a", "b"]))
    return course


def rows_of(course):
    path = course.root / "hw1_grades.csv"
    returned = write_grades(course, "hw1", path)
    with path.open(encoding="utf-8", newline="") as file:
        read = {row["student_id"]: row for row in csv.DictReader(file)}
    assert {row["student_id"]: row for row in returned} == read
    assert not list(course.root.glob(".*.csv"))
    return read


def test_each_student_has_a_score_or_a_reason(reported):
    rows = rows_of(reported)
    assert list(rows) == ["s1", "s2", "s3", "s9"]
    frames, nyquist = (EXERCISES[f"02.{word}"].points for word in ("frames", "nyquist"))
    assert float(rows["s1"]["score"]) == frames + nyquist
    assert float(rows["s9"]["score"]) == float(rows["s9"]["raw_score"]) == frames
    prose = EXERCISES["02.why_tau"].points
    assert rows["s1"]["to_mark"] == rows["s9"]["to_mark"] == f"{prose}"
    assert float(rows["s1"]["max_score"]) == frames + nyquist + prose
    for student, reason in (("s2", "the file is empty"), ("s3", NOTHING)):
        row = rows[student]
        assert row["reason"] == reason
        assert [row[c] for c in ("raw_score", "score", "to_mark")] == ["", "", ""]
    assert rows["s1"]["reason"] == rows["s9"]["reason"] == ""
    assert rows["s2"]["notes"] == "a; b"
    assert rows["s1"]["last_name"] == 'Lee, "Q"' and rows["s2"]["last_name"] == "Ñu"
    assert {row["assignment"] for row in rows.values()} == {"hw1"}


def test_marks_given_by_hand_count_and_wait_no_more(reported):
    with reported.open_gradebook() as gradebook:
        [book] = gradebook.find_submission("hw1", "s9").notebooks
        [grade] = [grade for grade in book.grades if grade.name == "02_why_tau"]
        grade.manual_score, grade.needs_manual_grade = 2, False
        gradebook.db.commit()
    row = rows_of(reported)["s9"]
    assert (float(row["score"]), row["to_mark"]) == (EXERCISES["02.frames"].points + 2, "0")


@pytest.mark.parametrize("roster", [ROSTER, None])
def test_there_is_a_table_before_anything_was_graded(course, roster):
    if roster:
        course.roster_file.write_text(roster, encoding="utf-8")
    keep(course, Record(student="s8", reason="the file is empty"))
    handed_in = course.submitted("s1", "hw1")
    handed_in.parent.mkdir(parents=True)
    handed_in.touch()
    reasons = {name: row["reason"] for name, row in rows_of(course).items()}
    absent = {"s1": UNKNOWN, "s2": NOTHING, "s3": NOTHING} if roster else {}
    assert reasons == absent | {"s8": "the file is empty"}


def test_a_damaged_gradebook_is_one_error(reported):
    reported.gradebook.write_bytes(b"no database " * 999)
    with pytest.raises(ValueError, match=r"gradebook\.db cannot be used: .*not a database"):
        rows_of(reported)


def test_the_summary_counts_who_passed_and_names_mistakes(reported):
    assignment = reported.read_key("hw1")
    lines = summarise(assignment, records(reported, "hw1"))
    found = [(s.exercise, s.graded, s.tried, s.visible, s.hidden, s.causes) for s in lines]
    assert found == [
        ("02.frames", 2, 2, 2, 2, []),
        ("02.nyquist", 2, 2, 1, 1, [(CLIPPED.cause, 1)]),
    ]


def test_pages_tell_the_outcome_and_nothing_of_the_hidden_test(reported):
    assignment = reported.read_key("hw1")
    pages = write_feedback(reported, "hw1", ["s1", "s9"])
    right, wrong = (page.read_text(encoding="utf-8") for page in pages)
    assert "passed 16/16: 02.nyquist" in right and "failed" not in right
    assert "passed 12/12: 02.frames" in wrong
    assert wrong.count("failed: 02.nyquist") >= 2  # the visible test and the hidden one
    for test in assignment.tests.values():
        if test.hidden:
            numbers = EXERCISES[test.exercise].inputs(np.random.default_rng(test.seed))
            hidden = {str(n) for given in numbers for n in given if n > 99}
            shown = EXERCISES[test.exercise].inputs(np.random.default_rng(0))
            hidden -= {str(n) for given in shown for n in given}
            for page in (right, wrong):
                assert str(test.seed) not in page and "seed=" not in page
                told = page.split("</style>")[-1]
                assert not [n for n in hidden if f"({n}, " in told]
    for page in (right, wrong):
        assert "HIDDEN TESTS" not in page
        assert "It differs." in page


def test_a_record_that_cannot_be_read_is_as_none(reported):
    reported.record("s1", "hw1").write_text("{", encoding="utf-8")
    assert records(reported, "hw1")["s1"].reason == UNKNOWN
    assert rows_of(reported)["s1"]["score"] == ""
