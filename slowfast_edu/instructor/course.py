"""A course's folder, laid out as nbgrader lays it out, and what we add to it."""

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nbgrader.api import Gradebook
from sqlalchemy.exc import SQLAlchemyError
from traitlets.config import Config

from slowfast_edu.files import write_whole
from slowfast_edu.instructor.harmless import FILTERS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # of assignments: nbgrader's, no "+"
GRADEBOOK_SECONDS = 60  # to wait while another process writes to it
CELL_SECONDS = 60  # that one cell of a submission may run
ROSTER_COLUMNS = ("id", "first_name", "last_name", "email")  # as nbgrader's db import


@dataclass(frozen=True, kw_only=True, slots=True)
class Test:
    """One test cell: which exercise it asks, with inputs of which seed."""

    exercise: str
    seed: int
    points: float
    hidden: bool

    __test__ = False  # pytest takes every class of this name for its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What was assigned: the key to a released notebook. It tells the hidden seeds.

    Attributes:
        name: such as "hw1".
        seed: of the hidden inputs.
        exercises: in their order, such as "02.nyquist".
        tests: {id of a test cell: what it asks}.
        written: {id of a cell to be marked by hand: its exercise}.
    """

    name: str
    seed: int
    exercises: tuple[str, ...]
    tests: dict[str, Test]
    written: dict[str, str]


@dataclass(frozen=True, slots=True)
class Course:
    """The folder of a course; ``nbgrader`` commands run in it."""

    root: Path

    def source(self, name: str) -> Path:
        """The instructor's version of an assignment, with solutions and hidden tests."""
        return self.root / "source" / name / f"{name}.ipynb"

    def release(self, name: str) -> Path:
        """The version that students get."""
        return self.root / "release" / name / f"{name}.ipynb"

    def submitted(self, student: str, name: str) -> Path:
        """A student's version as nbgrader grades it."""
        return self.root / "submitted" / student / name / f"{name}.ipynb"

    def autograded(self, student: str, name: str) -> Path:
        """A student's version with the outputs of grading."""
        return self.root / "autograded" / student / name / f"{name}.ipynb"

    def feedback(self, student: str, name: str) -> Path:
        """What a student gets back."""
        return self.root / "feedback" / student / name / f"{name}.html"

    def record(self, student: str, name: str) -> Path:
        """What came of grading one student."""
        return self.root / "grading" / name / f"{student}.json"

    def key(self, name: str) -> Path:
        """The file that tells an assignment's tests."""
        return self.root / "assignments" / f"{name}.json"

    def rubric(self, name: str) -> Path:
        """What earns which points, for who marks."""
        return self.root / "rubrics" / f"{name}.md"

    @property
    def gradebook(self) -> Path:
        """Nbgrader's database."""
        return self.root / "gradebook.db"

    @property
    def roster_file(self) -> Path:
        """The list of students, if there is one."""
        return self.root / "roster.csv"

    def config(self, name: str, student: str = "") -> Config:
        """Nbgrader's configuration for one assignment, and of one student."""
        config = Config()
        config.CourseDirectory.root = str(self.root.resolve())
        config.CourseDirectory.course_id = self.root.resolve().name
        config.CourseDirectory.assignment_id = name
        if student:
            config.CourseDirectory.student_id = student
        path = self.gradebook.resolve()
        config.CourseDirectory.db_url = f"sqlite:///{path}?timeout={GRADEBOOK_SECONDS}"
        config.OverwriteCells.add_missing_cells = True
        config.HTMLExporter.filters = FILTERS
        return config

    @contextmanager
    def open_gradebook(self) -> Iterator[Gradebook]:
        """Nbgrader's database, opened.

        Raises:
            ValueError: it is damaged, or cannot be written.
        """
        try:
            settings = self.config("").CourseDirectory
            with Gradebook(settings.db_url, settings.course_id) as gradebook:
                yield gradebook
        except SQLAlchemyError as error:
            why = str(error).splitlines()[0]
            raise ValueError(f"{self.gradebook} cannot be used: {why}") from error

    def write_key(self, assignment: Assignment) -> None:
        """Keep what was assigned."""
        path = self.key(assignment.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(assignment), indent=1).encode())

    def read_key(self, name: str) -> Assignment:
        """What was assigned under a name.

        Raises:
            FileNotFoundError: nothing was, in this folder; says what was.
            ValueError: the file is damaged.
        """
        path = self.key(name)
        if not path.is_file():
            names = sorted(p.stem for p in path.parent.glob("*.json"))
            there = f"there are {', '.join(names)}" if names else "nothing was assigned yet"
            raise FileNotFoundError(
                f"{self.root} has no assignment {name}: {there} (--course names another "
                "folder)"
            )
        try:
            kept = json.loads(path.read_bytes())
            kept["tests"] = {cell: Test(**test) for cell, test in kept["tests"].items()}
            kept["exercises"] = tuple(kept["exercises"])
            return Assignment(**kept)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} is damaged; put back the file that `assign` wrote"
            ) from error

    def roster(self) -> dict[str, dict[str, str]]:
        """{student: names} of roster.csv, in its order; {} if there is no such file.

        Raises:
            ValueError: it is not text, has no column "id", or names a student twice.
        """
        if not self.roster_file.is_file():
            return {}
        try:
            text = self.roster_file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.roster_file} is not UTF-8; save it as that") from error
        rows = csv.DictReader(
            io.StringIO(text, newline=""), skipinitialspace=True, strict=True
        )
        try:
            return self._students(rows)
        except csv.Error as error:
            line = f"{self.roster_file}, line {rows.reader.line_num}"
            raise ValueError(f"{line}: {error}; write a quote in a name twice") from error

    def _students(self, rows: csv.DictReader) -> dict[str, dict[str, str]]:
        """{student: names} of a roster's rows."""
        if "id" not in (rows.fieldnames or ()):
            raise ValueError(
                f"{self.roster_file} has no column id; its first line must be "
                f"{','.join(ROSTER_COLUMNS)} (all but id may be missing), with commas"
            )
        students: dict[str, dict[str, str]] = {}
        for row in rows:
            if not any(str(value or "").strip() for value in row.values()):
                continue  # an empty line
            line = f"{self.roster_file}, line {rows.reader.line_num}"
            student = (row["id"] or "").strip()
            check_student(student, line)
            if student in students:
                raise ValueError(f"{line}: {student} again")
            names = {c: (row.get(c) or "") for c in ROSTER_COLUMNS[1:]}
            students[student] = {c: " ".join(name.split()) for c, name in names.items()}
        return students


def check_student(student: str, where: str) -> None:
    """Refuse a name that cannot be a folder's, or that nbgrader reads otherwise.

    Raises:
        ValueError: see above.
    """
    if not re.fullmatch(r"[A-Za-z0-9_@][A-Za-z0-9_@.\-]*", student):
        raise ValueError(
            f"{where}: {student!r} cannot be a student's id; it has letters, digits and "
            "any of _ - . @"
        )
