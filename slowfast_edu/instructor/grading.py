"""Grade a folder of submissions: each student in a process of its own, two at a time."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import nbformat
from nbgrader.api import MissingEntry

from slowfast_edu.files import natural_order, write_whole
from slowfast_edu.instructor.course import Course, check_student
from slowfast_edu.instructor.reading import (
    CannotGrade,
    find_notebook,
    read_submission,
    readable,
)
from slowfast_edu.instructor.review import review
from slowfast_edu.instructor.running import Record, run_all
from slowfast_edu.instructor.sandbox import is_visible, why_no_sandbox
from slowfast_edu.instructor.worker import Limits

NOT_ISOLATED = (
    "Without a sandbox a student's code runs as you: it can read and change your files, "
    "the gradebook and other submissions, use the network and leave programs running"
)


def folders(submissions: Path) -> dict[str, Path]:
    """{student: folder} of a folder with a folder a student.

    Raises:
        NotADirectoryError: it is no folder.
        ValueError: it has no folders.
    """
    if not submissions.is_dir():
        raise NotADirectoryError(
            f"{submissions} is no folder; it should have one a student"
        )
    found = {
        path.name: path
        for path in sorted(submissions.iterdir(), key=natural_order)
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    }
    if not found:
        raise ValueError(f"{submissions} has no folders; it should have one a student")
    return found


@dataclass(frozen=True, slots=True)
class Papers:
    """What submissions of an assignment are compared with.

    Attributes:
        release: the notebook that was handed out.
        source: the instructor's.
        key: the bytes of the assignment's key.
    """

    name: str
    release: nbformat.NotebookNode
    source: nbformat.NotebookNode
    key: bytes


def read_papers(course: Course, name: str) -> Papers:
    """Read what ``assign`` wrote.

    Raises:
        ValueError, OSError: a file is missing or damaged.
    """
    course.read_key(name)
    books = []
    for path in (course.release(name), course.source(name)):
        try:
            books.append(nbformat.read(path, 4))
            nbformat.validate(books[-1])
        except OSError:
            raise
        except Exception as error:  # of nbformat, on what may be anything
            raise ValueError(
                f"{path} is no notebook any more; put back what `assign` wrote"
            ) from error
    return Papers(name, *books, course.key(name).read_bytes())


def examine(papers: Papers, student: str, folder: Path):
    """Read one student's submission as grading would, and say what there is to say.

    Returns:
        The record so far, and the mended notebook: None if it cannot be graded.
    """
    notes: list[str] = []
    digest = hashlib.sha256(papers.key)
    try:
        check_student(student, "the folder's name")
        path, notes = find_notebook(folder, papers.name)
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        read = read_submission(path, papers.release)
    except (CannotGrade, OSError, ValueError) as error:
        record = Record(student=student, reason=readable(str(error)))
        record = replace(record, notes=[readable(note) for note in notes])
        return replace(record, digest=digest.hexdigest()), None
    record = Record(
        student=student,
        notes=[readable(note) for note in notes + read.notes],
        review=review(read.notebook, papers.release, papers.source),
        digest=digest.hexdigest(),
    )
    return record, read.notebook


def read_record(course: Course, name: str, student: str) -> Record | None:
    """What is kept of a student; None if nothing is, or it cannot be read."""
    try:
        record = Record(**json.loads(course.record(student, name).read_bytes()))
        for test in record.tests.values():  # what the report reads is there
            test["passed"] <= test["total"], test["attempted"], test["cause"] + ""
        "".join([record.reason, *record.notes, *record.review])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record


def _keep(course: Course, name: str, record: Record) -> None:
    path = course.record(record.student, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(record), indent=1).encode())


def enter_students(course: Course, name: str) -> set[str]:
    """Enter the roster in the gradebook, without what nbgrader's export does not quote.

    Returns:
        The students of whom the gradebook has a submission.

    Raises:
        ValueError: the gradebook is damaged, or does not know the assignment.
    """
    with course.open_gradebook() as gradebook:
        for student, names in course.roster().items():
            safe = {key: re.sub('[,"]', " ", value) for key, value in names.items()}
            gradebook.update_or_create_student(student, **safe)
        try:
            submissions = gradebook.find_assignment(name).submissions
        except MissingEntry as error:
            raise ValueError(
                f"{course.gradebook} has no assignment {name}; put the file back, or in "
                f"that folder run: nbgrader generate_assignment {name} --force"
            ) from error
        return {submission.student.id for submission in submissions}


def grade(
    course: Course,
    name: str,
    submissions: Path,
    limits: Limits = Limits(),
    jobs: int = 2,
    trust_submissions: bool = False,
    again: Collection[str] = (),
) -> Iterator[Record]:
    """Grade all submissions that have not been graded yet.

    Args:
        course: its folder.
        name: of the assignment.
        submissions: a folder with a folder a student.
        limits: of one student's run.
        jobs: runs at the same time.
        trust_submissions: run them without a sandbox.
        again: students to grade anew though nothing changed.

    Returns:
        A record for each student as it is done, those done earlier too. All is kept as it
        comes: killed half-way and called again, it goes on where it was.

    Raises:
        ValueError, OSError: something is wrong with the course, the folder or the
            sandbox; no submission makes it raise.
    """
    assignment, papers = course.read_key(name), read_papers(course, name)
    students = folders(submissions)
    if unknown := set(again) - set(students):
        raise ValueError(f"--again: {submissions} has no {', '.join(sorted(unknown))}")
    sandboxed = not trust_submissions
    entered = enter_students(course, name)
    done: list[Record] = []
    waiting: list[Record] = []
    unchanged: set[str] = set()
    for student, folder in students.items():
        record, notebook = examine(papers, student, folder)
        kept = read_record(course, name, student)
        there = student in entered and course.autograded(student, name).is_file()
        same = kept is not None and kept.digest == record.digest
        lost = same and (kept.grader_failed or not (kept.reason or there))
        if same and not lost and student not in again:
            done.append(kept)
        elif notebook is None:
            _keep(course, name, record)
            done.append(record)
        else:
            target = course.submitted(student, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, nbformat.writes(notebook).encode())
            waiting.append(record)
            if same:
                unchanged.add(student)
    if waiting and sandboxed:
        check_sandbox(course, submissions, limits)
    runs = run_all(course, assignment, waiting, limits, jobs, sandboxed)
    return chain(done, _kept(course, name, runs, unchanged))


def _kept(
    course: Course, name: str, runs: Iterator[Record], unchanged: set[str]
) -> Iterator[Record]:
    """Keep each record as it comes. When the caller stops, so do the runs."""
    with closing(runs):
        for record in runs:
            if record.student in unchanged and not record.reason:
                _let_marks_stand(course, name, record.student)
            _keep(course, name, record)
            yield record


def _let_marks_stand(course: Course, name: str, student: str) -> None:
    """What was marked by hand, and is handed in unchanged, need not be marked again."""
    with course.open_gradebook() as gradebook:
        for book in gradebook.find_submission(name, student).notebooks:
            for grade in book.grades:
                if grade.manual_score is not None:
                    grade.needs_manual_grade = False
        gradebook.db.commit()


def check_sandbox(course: Course, submissions: Path, limits: Limits) -> None:
    """Refuse to grade where the sandbox does not work or would show what it must not.

    Raises:
        ValueError: see above.
    """
    why = why_no_sandbox(limits.memory_bytes)
    for folder in (course.root, submissions):
        if is_visible(folder):
            why = why or f"{folder} lies where Python or its packages are; move it"
    if why:
        raise ValueError(
            f"no sandbox: {why}. {NOT_ISOLATED}; if you trust all of them, "
            "add --trust-submissions"
        )
