"""A whole course of submissions, right, broken and hostile: ``pytest tests/grading/``.

It takes six minutes on two cores.
"""

import shutil
import signal
import subprocess
import sys
import time
from statistics import median

import psutil
import pytest
from instructor import hostile
from instructor.submissions import (
    ASSIGNED,
    KINDS,
    LIMITS,
    NAME,
    SEED,
    Desk,
    deviations,
    grade_kinds,
    skip_without_sandbox,
)

from slowfast_edu.instructor.assignment import assign
from slowfast_edu.instructor.course import Course
from slowfast_edu.instructor.grading import check_sandbox, grade, read_record
from slowfast_edu.instructor.sandbox import FIRST_USER

OVERHEAD_SECONDS = 6  # a student, two at a time on two cores


@pytest.fixture(scope="module")
def assigned(tmp_path_factory):
    course = Course(tmp_path_factory.mktemp("assigned") / "course")
    assign(course, NAME, ASSIGNED, SEED)
    return course


@pytest.fixture(scope="module")
def graded(assigned, tmp_path_factory):
    """The course after grading all kinds, their records, and calls that were heard."""
    root = tmp_path_factory.mktemp("whole") / "course"
    course = Course(shutil.copytree(assigned.root, root))
    return course, *grade_kinds(course, KINDS)


@pytest.mark.timeout(1800)
def test_every_student_has_a_record(graded):
    course, records, _ = graded
    assert sorted(records) == sorted(KINDS)
    assert all(read_record(course, NAME, student) == records[student] for student in KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_gets_what_it_earns(graded, name):
    course, records, _ = graded
    assert deviations(course, records[name]) == []


def test_nobody_was_called_and_nothing_is_left_running(graded):
    _, _, heard = graded
    assert heard == 0
    assert of_students() == []


def of_students():
    """Processes of a sandbox, and the daemon."""
    found = []
    for process in psutil.process_iter(["cmdline", "uids"]):
        user = process.info["uids"].real if process.info["uids"] else 0
        words = process.info["cmdline"] or []
        if FIRST_USER <= user < FIRST_USER + 8 or str(hostile.DAEMON_SECONDS) in words:
            found.append(words)
    return found


@pytest.fixture
def alike(assigned, tmp_path):
    """Five students with right answers, and one with a wrong one."""
    course = Course(shutil.copytree(assigned.root, tmp_path / "course"))
    for number in range(5):
        KINDS["right"].write(Desk(course, tmp_path / "in" / f"right{number}", 0, ""))
    KINDS["wrong"].write(Desk(course, tmp_path / "in" / "wrong", 0, ""))
    try:
        check_sandbox(course, tmp_path / "in", LIMITS)
    except ValueError as error:
        skip_without_sandbox(error)
    return course


def as_kinds(course, records):
    """What deviates, taking right0 for one of the kind right."""
    found = []
    for record in records:
        student = record.student
        KINDS[student] = KINDS[student.rstrip("0123456789")]
        found += deviations(course, record)
    return found


@pytest.mark.timeout(300)
def test_killed_half_way_and_started_again_nothing_is_lost(alike, tmp_path):
    endless = "ignores_sigint"  # is still under way when another one is done
    KINDS[endless].write(Desk(alike, tmp_path / "in" / endless, 0, ""))
    command = [sys.executable, "-m", "slowfast_edu", "grade", str(tmp_path / "in")]
    command += ["--name", NAME, "--course", str(alike.root)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (kept := sorted(alike.record("x", NAME).parent.glob("*.json"))):
        assert first.poll() is None
        time.sleep(0.05)
    time.sleep(1.5)  # the next kernels are starting
    family = psutil.Process(first.pid).children(recursive=True)
    assert len(family) > 4
    first.send_signal(signal.SIGKILL)
    first.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    before = {path: path.stat().st_mtime_ns for path in kept}

    records = list(grade(alike, NAME, tmp_path / "in", LIMITS))
    assert sorted(record.student for record in records) == [
        endless,
        *(f"right{number}" for number in range(5)),
        "wrong",
    ]
    assert as_kinds(alike, records) == []
    assert {path: path.stat().st_mtime_ns for path in kept} == before


@pytest.mark.timeout(300)
def test_a_student_costs_six_seconds_at_most(alike, tmp_path):
    """The answers take no time worth mentioning: what is measured is the overhead."""
    records = list(grade(alike, NAME, tmp_path / "in", LIMITS, jobs=2))
    seconds = median(record.seconds for record in records)
    print(f"{seconds:.1f} s of overhead a student, two at a time")
    assert seconds <= OVERHEAD_SECONDS


@pytest.mark.timeout(300)
def test_trusted_submissions_are_judged_alike(alike, tmp_path):
    trusted = grade(alike, NAME, tmp_path / "in", LIMITS, trust_submissions=True)
    assert as_kinds(alike, list(trusted)) == []
