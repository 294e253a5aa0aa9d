"""A few of the submissions that a grader fears; ``pytest tests/grading/`` has them all."""

import psutil
from instructor import hostile
from instructor.submissions import deviations, grade_kinds

FEW = (
    "calls_home",
    "daemon",
    "endless_cell",
    "hard_coded",
    "malformed_json",
    "patches_the_checks",
    "reaches_for_the_gradebook",
    "wrong",
)


def test_each_gets_what_it_earns_and_reaches_nothing(course):
    records, heard = grade_kinds(course, FEW)
    assert sorted(records) == sorted(FEW)
    assert [
        what for record in records.values() for what in deviations(course, record)
    ] == []
    assert heard == 0
    assert not left_over()


def left_over():
    """Processes of daemons that sleep on."""
    name = str(hostile.DAEMON_SECONDS)
    return [
        p for p in psutil.process_iter(["cmdline"]) if name in (p.info["cmdline"] or ())
    ]
