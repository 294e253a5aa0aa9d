"""Run students' notebooks, each in a process of its own that is watched from here."""

import multiprocessing
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from slowfast_edu.instructor.course import Assignment, Course
from slowfast_edu.instructor.sandbox import (
    CHANNEL_ENTRIES,
    FIRST_USER,
    SCRATCH,
    SCRATCH_BYTES,
    channel_of,
)
from slowfast_edu.instructor.worker import Graded, Limits, Run, run_student

TICK_SECONDS = 0.1
MOST_PROCESSES = 16  # of a run, four of them its own: more would slow down its neighbour
MOST_FILES = 10_000  # in each folder of a sandbox
MOST_CHANNEL_BYTES = 2**16
GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is kept of one student.

    Attributes:
        student: whose.
        reason: why there is no grade; "" if there is one.
        notes: what was found in the file, and mended.
        review: what a person should look at.
        tests: {test cell: its outcome}; of those that ran.
        grader_failed: it is not the student's doing, and to be tried again.
        seconds: that the run took.
        digest: of the submission and the assignment; another one is graded anew.
    """

    student: str
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    review: list[str] = field(default_factory=list)
    tests: dict[str, dict] = field(default_factory=dict)
    grader_failed: bool = False
    seconds: float = 0
    digest: str = ""


@dataclass(slots=True)
class _Watched:
    """A run that is under way."""

    record: Record
    process: multiprocessing.Process
    results: multiprocessing.connection.Connection
    folder: tempfile.TemporaryDirectory
    began: float
    graded: Graded | None = None


def run_all(
    course: Course,
    assignment: Assignment,
    waiting: list[Record],
    limits: Limits,
    jobs: int,
    sandboxed: bool,
) -> Iterator[Record]:
    """Run what waits, ``jobs`` at a time.

    Args:
        course: its folder; the notebooks lie in ``submitted/``.
        assignment: what was assigned.
        waiting: a record of each, as far as it is known.
        limits: of each run.
        jobs: runs at the same time.
        sandboxed: whether students' code runs in a sandbox.

    Yields:
        Each record, completed. When the caller stops, so do the runs.
    """
    context = _context()
    running: dict[int, _Watched] = {}  # by place, of which there are ``jobs``
    waiting = waiting[::-1]
    try:
        while waiting or running:
            for place in set(range(jobs)) - set(running):
                if waiting:
                    user = FIRST_USER + place if sandboxed else None
                    run = Run(course, assignment, waiting[-1].student, limits, user)
                    running[place] = _start(context, run, waiting.pop())
            time.sleep(TICK_SECONDS)
            for place, watched in list(running.items()):
                if done := _looked_at(watched, limits):
                    del running[place]
                    yield done
    finally:
        for watched in running.values():
            _end(watched)


def _context() -> multiprocessing.context.BaseContext:
    """How processes are started: where it can be, with what they all import imported."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([run_student.__module__])
    return context


def _start(context, run: Run, record: Record) -> _Watched:
    """Start one student's run."""
    results, theirs = context.Pipe(duplex=False)
    run.log.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory(prefix="sfe", ignore_cleanup_errors=True)
    arguments = (run, Path(folder.name), theirs)
    process = context.Process(target=run_student, args=arguments)
    process.start()
    theirs.close()
    return _Watched(record, process, results, folder, time.monotonic())


def _looked_at(watched: _Watched, limits: Limits) -> Record | None:
    """The record of a run that is over, or that has to be."""
    seconds = time.monotonic() - watched.began
    over = not watched.process.is_alive()  # before its last word is looked for
    if watched.graded is None and watched.results.poll():
        try:
            watched.graded = watched.results.recv()
        except EOFError:  # it ended without a word
            watched.graded = Graded("its grader ended without a word", {}, True)
    reason = "" if over else _too_much(watched, limits, seconds)
    if not over and not reason:
        return None
    _end(watched)
    graded = Graded(reason, {}) if reason else watched.graded
    if over and watched.process.exitcode:
        status = watched.process.exitcode
        graded = Graded(f"its grader ended with exit status {status}", {}, True)
    seconds = round(seconds, 1)
    return replace(watched.record, **asdict(graded), seconds=seconds)


def _too_much(watched: _Watched, limits: Limits, seconds: float) -> str:
    """What of its limits a run has overstepped; "" if none."""
    if seconds > limits.student_seconds:
        return f"ran for more than {limits.student_seconds} s, the limit for all cells"
    tree = _tree(watched.process.pid)
    if len(tree) > MOST_PROCESSES:
        return f"had {len(tree)} processes, at most {MOST_PROCESSES} are given"
    if any(map(_has_too_many_files, tree)):
        return f"made more than {MOST_FILES} files"
    taken, most = memory_taken(watched.process.pid), limits.memory_bytes
    if taken > most:
        return f"took {taken / GIB:.1f} GiB of memory, at most {most / GIB:.1f} are given"
    channel = channel_of(Path(watched.folder.name))
    if channel.is_dir() and not _is_as_opened(channel):
        return "wrote among the sockets that lead to its grader"
    return ""


def _is_as_opened(channel: Path) -> bool:
    """Whether there is nothing in a channel but what a kernel puts there."""
    with os.scandir(channel) as entries:
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    files = [name for name, entry in found.items() if not stat.S_ISSOCK(entry.st_mode)]
    size = sum(entry.st_size for entry in found.values())
    return len(found) <= CHANNEL_ENTRIES and len(files) <= 1 and size < MOST_CHANNEL_BYTES


def _has_too_many_files(process: psutil.Process) -> bool:
    """Whether a folder of its sandbox has; names take memory that is no process's."""
    for folder in SCRATCH:
        with suppress(OSError):  # it has ended, or has no sandbox
            inner = os.statvfs(f"/proc/{process.pid}/root{folder}")
            own = inner.f_blocks * inner.f_frsize == SCRATCH_BYTES
            if own and inner.f_files - inner.f_ffree > MOST_FILES:
                return True
    return False


def memory_taken(pid: int) -> int:
    """Bytes of memory that a process and all below it take together; shared ones once.

    Files that they hold open and that have no name any more count too: they lie in memory,
    or fill a disk where nobody sees them.
    """
    tree = _tree(pid)
    taken = _nameless(tree)
    for process in tree:
        try:
            taken += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        except (psutil.AccessDenied, AttributeError):  # hidden; no PSS on this system
            taken += process.memory_info().rss
    return taken


def _nameless(tree: list[psutil.Process]) -> int:
    """Bytes of open files without a name; none where the system does not tell."""
    held = {}
    for process in tree:
        with suppress(OSError), os.scandir(f"/proc/{process.pid}/fd") as files:
            for file in files:
                with suppress(OSError):  # it has been closed
                    found = file.stat()
                    if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                        held[found.st_dev, found.st_ino] = 512 * found.st_blocks
    return sum(held.values())


def _tree(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end(watched: _Watched) -> None:
    """End a run and all that it has started; with a sandbox's first process, all in it."""
    if watched.process.is_alive():
        for each in _tree(watched.process.pid):
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
    watched.process.join()
    watched.folder.cleanup()
