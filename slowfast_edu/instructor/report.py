"""What came of grading: a CSV for an LMS, a summary of exercises, feedback pages."""

import csv
import io
import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from nbgrader.api import MissingEntry
from nbgrader.apps.exportapp import CsvExportPlugin
from nbgrader.converters import GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearHiddenTests
from traitlets import List

from slowfast_edu.files import natural_order, write_whole
from slowfast_edu.instructor.course import Assignment, Course
from slowfast_edu.instructor.grading import read_record
from slowfast_edu.instructor.reading import readable
from slowfast_edu.instructor.running import Record

SCORES = ("raw_score", "late_submission_penalty", "score")  # empty without a grade
MORE = ("to_mark", "reason", "notes", "review")  # columns that nbgrader has not
NOTHING = "nothing was handed in"
UNKNOWN = "has not been graded; run slowfast-edu grade"
LOST = "its grade is not in the gradebook any more; run slowfast-edu grade"


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """How all students did in one exercise.

    Attributes:
        exercise: its name.
        graded: students who have a grade.
        tried: of them, those who wrote something.
        visible: students who passed the visible test.
        hidden: students who passed the hidden test too, and so the exercise.
        causes: (recognised wrong answer, students), the commonest first.
    """

    exercise: str
    graded: int
    tried: int
    visible: int
    hidden: int
    causes: list[tuple[str, int]]


def records(course: Course, name: str) -> dict[str, Record]:
    """{student: what is kept}: of the roster and of all who handed something in."""
    folder = course.record("any", name).parent
    students = [*course.roster(), *(path.stem for path in folder.glob("*.json"))]
    found = {}
    for student in sorted(set(students), key=natural_order):
        kept = read_record(course, name, student)
        handed_in = course.submitted(student, name).exists()
        reason = UNKNOWN if handed_in else NOTHING
        found[student] = kept or Record(student=student, reason=reason)
    return found


def write_grades(course: Course, name: str, path: Path) -> list[dict[str, str]]:
    """Write nbgrader's export of one assignment, with why a grade is missing.

    Args:
        course: its folder.
        name: of the assignment.
        path: of the CSV file.

    Returns:
        Its rows: nbgrader's columns, then ``to_mark`` (points of answers in prose that
        nobody has marked yet), ``reason`` (why there is no grade; then the scores are
        empty), ``notes`` and ``review``.
    """
    kept, roster = records(course, name), course.roster()
    columns, exported = _exported(course, name)
    to_mark = _to_mark(course, name)
    rows = {row["student_id"]: row for row in exported}
    done = []
    for student, record in kept.items():
        row = rows.get(student) or dict.fromkeys(columns, "")
        row |= {"student_id": readable(student), "assignment": name}
        row |= roster.get(student, {})  # names unshortened
        if not record.reason and student not in rows:
            record = replace(record, reason=LOST)
        if record.reason:
            row |= dict.fromkeys(SCORES, "")
        row["to_mark"] = "" if record.reason else f"{to_mark.get(student, 0):g}"
        row["reason"] = record.reason
        row["notes"], row["review"] = "; ".join(record.notes), "; ".join(record.review)
        done.append(row)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*columns, *MORE])
    writer.writeheader()
    writer.writerows(done)
    write_whole(path, text.getvalue().encode("utf-8"))
    return done


def _exported(course: Course, name: str) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and the rows of nbgrader's own export."""
    path = course.root / f".{name}.export.csv"
    try:
        with course.open_gradebook() as gradebook:
            plugin = CsvExportPlugin(assignment=[name])
            plugin.to, plugin.log = str(path), logging.getLogger("slowfast_edu.nbgrader")
            plugin.export(gradebook)
        with path.open(encoding="locale", newline="") as file:  # as nbgrader writes it
            rows = csv.DictReader(file)
            return list(rows.fieldnames), list(rows)
    finally:
        path.unlink(missing_ok=True)


def _to_mark(course: Course, name: str) -> dict[str, float]:
    """{student: points of their answers that wait to be marked by hand}."""
    with course.open_gradebook() as gradebook:
        try:
            submissions = gradebook.find_assignment(name).submissions
        except MissingEntry:
            return {}
        return {
            submission.student.id: sum(
                grade.max_score
                for book in submission.notebooks
                for grade in book.grades
                if grade.needs_manual_grade
            )
            for submission in submissions
        }


def summarise(assignment: Assignment, kept: dict[str, Record]) -> list[Summary]:
    """How many passed each exercise, and which wrong answers its tests recognised."""
    graded = [record for record in kept.values() if not record.reason]
    found = []
    for exercise in dict.fromkeys(test.exercise for test in assignment.tests.values()):
        cells = [c for c, test in assignment.tests.items() if test.exercise == exercise]
        outcomes = [[r.tests[c] for c in cells if c in r.tests] for r in graded]
        passed = [[0 < o["passed"] == o["total"] for o in both] for both in outcomes]
        causes = Counter(c for both in outcomes for c in {o["cause"] for o in both} if c)
        found.append(
            Summary(
                exercise=exercise,
                graded=len(graded),
                tried=sum(any(o["attempted"] for o in both) for both in outcomes),
                visible=sum(both[:1] == [True] for both in passed),
                hidden=sum(both == [True, True] for both in passed),
                causes=causes.most_common(),
            )
        )
    return found


class WithoutHiddenTests(ClearHiddenTests):
    """Takes the hidden tests out of what a student gets to see."""

    display_data_priority = List(config=True)  # the exporter sets it of all its steps


def write_feedback(course: Course, name: str, students: list[str]) -> list[Path]:
    """Write nbgrader's feedback page of each student, without the hidden tests.

    Returns:
        The pages.

    Raises:
        ValueError: one cannot be written; of whom, and why.
    """
    pages = []
    for student in students:
        config = course.config(name, student)
        converter = GenerateFeedback(
            coursedir=CourseDirectory(config=config),
            config=config,
            log=logging.getLogger("slowfast_edu.nbgrader"),
            force=True,
        )
        converter.preprocessors = [WithoutHiddenTests, *converter.preprocessors]
        try:
            converter.start()
        except NbGraderException as error:
            raise ValueError(
                f"no feedback page of {student}: "
                f"{course.autograded(student, name)} is missing or damaged; grade it "
                f"with --again {student}"
            ) from error
        pages.append(course.feedback(student, name))
    return pages
