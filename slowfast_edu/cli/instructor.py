"""``slowfast-edu assign``, ``preflight``, ``grade`` and ``report``: for instructors."""

import argparse
import secrets
import sys
from pathlib import Path

NEEDED = "this needs the instructor extra: pip install 'slowfast-edu[instructor]'"
MOST_GIB = 1024


def add_instructor(commands) -> None:
    """Add the commands to those of ``slowfast-edu``."""
    _add_assign(commands)
    for add in (_add_preflight, _add_grade, _add_report):
        parser = add(commands)
        parser.add_argument("--name", required=True, help="of the assignment, such as hw1")
        _add_course(parser)


def _add_course(parser) -> None:
    parser.add_argument(
        "--course",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="of the course (default: this one)",
    )


def _add_assign(commands) -> None:
    parser = commands.add_parser(
        "assign", help="build an assignment for nbgrader out of the course's exercises"
    )
    add = parser.add_argument
    add("--exercises", nargs="+", required=True, metavar="NAME", help="such as 02.nyquist")
    add("--name", required=True, help="of the assignment, such as hw1")
    add(
        "--points",
        nargs="+",
        default=[],
        metavar="NAME=POINTS",
        help="where they are to differ from the course's: 02.nyquist=4",
    )
    add(
        "--seed",
        type=int,
        help="of the hidden tests' inputs (default: drawn, another each time)",
    )
    add("--notebooks", type=Path, metavar="FOLDER", help="of the published notebooks")
    _add_course(parser)
    parser.set_defaults(run=_assign)


def _add_preflight(commands):
    parser = commands.add_parser(
        "preflight", help="look through submissions: what can be graded, what was mended"
    )
    _add_submissions(parser)
    parser.set_defaults(run=_preflight)
    return parser


def _add_grade(commands):
    parser = commands.add_parser(
        "grade", help="grade submissions, each in a sandbox; goes on where it was stopped"
    )
    _add_submissions(parser)
    add = parser.add_argument
    add("--jobs", type=int, default=2, help="students at a time (default: %(default)s)")
    add("--cell-seconds", type=int, default=60, help="of a cell (default: %(default)s)")
    add("--seconds", type=int, default=600, help="of a student (default: %(default)s)")
    add("--gib", type=float, default=3, help="of memory, a student (default: %(default)s)")
    add("--again", nargs="+", default=[], metavar="STUDENT", help="grade these anew")
    add(
        "--trust-submissions",
        action="store_true",
        help="run them without a sandbox, as you, with your files",
    )
    parser.set_defaults(run=_grade)
    return parser


def _add_report(commands):
    parser = commands.add_parser(
        "report", help="write grades, reasons for missing ones, and feedback pages"
    )
    parser.set_defaults(run=_report)
    return parser


def _add_submissions(parser) -> None:
    parser.add_argument(
        "submissions", type=Path, metavar="SUBMISSIONS", help="a folder with one a student"
    )


def _need_nbgrader() -> None:
    try:
        import nbgrader  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(f"{NEEDED} ({error})") from error


def _points(words: list[str]) -> dict[str, float]:
    """{exercise: points} of words such as 02.nyquist=4."""
    points = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            points[name] = float(value)
        except ValueError as error:
            raise ValueError(f"--points {word}: write {name}=4, say") from error
    return points


def _assign(arguments: argparse.Namespace) -> None:
    _need_nbgrader()
    from slowfast_edu.exercises import EXERCISES
    from slowfast_edu.instructor.assignment import assign
    from slowfast_edu.instructor.course import Course
    from slowfast_edu.instructor.published import NOTEBOOKS

    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    course, name = Course(arguments.course), arguments.name
    points = _points(arguments.points)
    made = assign(
        course,
        name,
        arguments.exercises,
        seed,
        points,
        arguments.notebooks or NOTEBOOKS,
    )
    by_tests = sum(test.points for test in made.tests.values())
    by_hand = sum(points.get(e, EXERCISES[e].points) for e in made.written.values())
    print(f"{name}: {len(made.exercises)} exercises")
    print(f"  points         {by_tests:g} by tests, {by_hand:g} by hand")
    print(f"  to hand out    {course.release(name)}")
    print(f"  with solutions {course.source(name)}")
    print(f"  to mark by     {course.rubric(name)}")
    print(f"  hidden seed    {seed}, kept in {course.key(name)}")


def _preflight(arguments: argparse.Namespace) -> None:
    _need_nbgrader()
    from slowfast_edu.instructor.course import Course
    from slowfast_edu.instructor.grading import examine, folders, read_papers
    from slowfast_edu.instructor.reading import readable
    from slowfast_edu.instructor.report import NOTHING

    course, name = Course(arguments.course), arguments.name
    papers = read_papers(course, name)
    found, roster = folders(arguments.submissions), course.roster()
    ready = 0
    for student, folder in found.items():
        record, _ = examine(papers, student, folder)
        ready += not record.reason
        notes = [record.reason] * bool(record.reason) + record.notes
        notes += ["not in the roster"] * bool(roster and student not in roster)
        notes += [f"review: {what}" for what in record.review]
        _print_student(readable(student), not record.reason, notes)
    absent = [student for student in roster if student not in found]
    for student in absent:
        _print_student(student, False, [NOTHING])
    print(f"{ready} can be graded, {len(found) - ready} cannot, {len(absent)} absent")


def _print_student(student: str, ready: bool, notes: list[str]) -> None:
    print(f"{'ok ' if ready else 'no '} {student:<20} {notes[0] if notes else ''}".rstrip())
    for note in notes[1:]:
        print(f"{'':25}{note}")


def _grade(arguments: argparse.Namespace) -> None:
    _need_nbgrader()
    from tqdm import tqdm

    from slowfast_edu.checks import check_count
    from slowfast_edu.instructor.course import Course
    from slowfast_edu.instructor.grading import NOT_ISOLATED, folders, grade
    from slowfast_edu.instructor.reading import readable
    from slowfast_edu.instructor.worker import Limits

    for field in ("jobs", "cell_seconds", "seconds"):
        check_count(f"--{field.replace('_', '-')}", getattr(arguments, field))
    if not 1 <= arguments.gib <= MOST_GIB:
        raise ValueError(
            f"--gib {arguments.gib:g} must be from 1, which Python needs, to {MOST_GIB}"
        )
    limits = Limits(
        cell_seconds=arguments.cell_seconds,
        student_seconds=arguments.seconds,
        memory_bytes=int(arguments.gib * 2**30),
    )
    if arguments.trust_submissions:
        print(f"{NOT_ISOLATED}.", file=sys.stderr)
    graded = grade(
        Course(arguments.course),
        arguments.name,
        arguments.submissions,
        limits,
        arguments.jobs,
        arguments.trust_submissions,
        arguments.again,
    )
    reasons = []
    total = len(folders(arguments.submissions))
    with tqdm(graded, total=total, unit="student") as bar:
        for record in bar:
            if record.reason:
                student = readable(record.student)
                reasons.append(f"no grade: {student}: {record.reason}")
                bar.write(reasons[-1], file=sys.stderr)
    print(f"{total - len(reasons)} graded, {len(reasons)} without a grade")


def _report(arguments: argparse.Namespace) -> int:
    _need_nbgrader()
    from tqdm import tqdm

    from slowfast_edu.instructor.course import Course
    from slowfast_edu.instructor.report import (
        records,
        summarise,
        write_feedback,
        write_grades,
    )

    course, name = Course(arguments.course), arguments.name
    assignment = course.read_key(name)
    path = course.root / f"{name}_grades.csv"
    rows = write_grades(course, name, path)
    print(f"{'exercise':<20}{'graded':>8}{'tried':>8}{'visible':>9}{'both':>6} passed")
    for line in summarise(assignment, records(course, name)):
        counts = f"{line.graded:>8}{line.tried:>8}{line.visible:>9}{line.hidden:>6}"
        print(f"{line.exercise:<20}{counts}")
        for cause, students in line.causes:
            print(f"  {students} x {cause}")
    have = [row["student_id"] for row in rows if not row["reason"]]
    failed = []
    for student in tqdm(have, unit="page", desc="feedback"):
        try:
            write_feedback(course, name, [student])
        except ValueError as error:
            failed.append(student)
            tqdm.write(str(error), file=sys.stderr)
    if waiting := [row["student_id"] for row in rows if row["to_mark"] not in ("", "0")]:
        print(f"{len(waiting)} to be marked by hand: {', '.join(waiting)}")
    print(f"{path}: {len(have)} graded, {len(rows) - len(have)} without a grade")
    print(f"{course.root / 'feedback'}: {len(have) - len(failed)} pages")
    return int(bool(failed))
