"""Grade one student, in a process of its own."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute
from traitlets.config import Config

from slowfast_edu.instructor.course import CELL_SECONDS, Assignment, Course
from slowfast_edu.instructor.harmless import Harmless
from slowfast_edu.instructor.judging import Judge, LimitedExecute, StudentAutograde
from slowfast_edu.instructor.sandbox import (
    PlainKernelManager,
    SandboxedKernelManager,
    open_channel,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one student's run may take.

    Attributes:
        cell_seconds: of one cell; then it is interrupted, and the next one runs.
        student_seconds: of the whole run; then it is ended without a grade.
        memory_bytes: of all processes of the run together; then it is ended too. One
            process that asks for more than this gets a MemoryError.
    """

    cell_seconds: int = CELL_SECONDS
    student_seconds: int = 600
    memory_bytes: int = 3 * 2**30


@dataclass(frozen=True, slots=True)
class Graded:
    """What came of one run.

    Attributes:
        reason: why there is no grade; "" if there is one.
        tests: {test cell: its outcome}.
        grader_failed: it is not the student's doing, and to be tried again.
    """

    reason: str
    tests: dict[str, dict]
    grader_failed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One student's run.

    Attributes:
        course: its folder.
        assignment: what was assigned.
        student: whose.
        limits: of which the cells' are kept here, and the others by who starts it.
        sandbox_user: the user to become in the sandbox if it is root who starts it; None
            to run the student's code without a sandbox.
    """

    course: Course
    assignment: Assignment
    student: str
    limits: Limits
    sandbox_user: int | None

    @property
    def log(self) -> Path:
        """The file for what nbgrader says."""
        return self.course.record(self.student, self.assignment.name).with_suffix(".log")


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that does."""
    sentinel = parent_process().sentinel

    def wait() -> None:
        connection.wait([sentinel])
        os._exit(1)  # the sandbox ends with this process, and with it all that is inside

    threading.Thread(target=wait, daemon=True).start()


def run_student(run: Run, folder: Path, results: connection.Connection) -> None:
    """Grade one student's notebook in ``submitted/`` and send a ``Graded``.

    Args:
        run: whose, of what and how.
        folder: an empty one with a short path, for the kernel's connection.
        results: where to send.
    """
    end_with_parent()
    with run.log.open("wb") as file:  # warnings of nbgrader's libraries too
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.INFO, force=True)
    os.chmod(folder, 0o711)
    results.send(grade_notebook(run, _kernel(folder, run)))


def _kernel(folder: Path, run: Run) -> Callable[[], PlainKernelManager]:
    """What makes the kernel's manager."""
    if run.sandbox_user is None:
        file = str(folder / "kernel.json")
        return lambda: PlainKernelManager(connection_file=file)
    file = str(open_channel(folder, run.sandbox_user) / "kernel.json")
    settings = {"memory_bytes": run.limits.memory_bytes, "user": run.sandbox_user}
    return lambda: SandboxedKernelManager(connection_file=file, **settings)


def grade_notebook(run: Run, new_kernel: Callable[[], PlainKernelManager]) -> Graded:
    """Have nbgrader grade one student, with our execution and our judge."""
    config: Config = run.course.config(run.assignment.name, run.student)
    logger = logging.getLogger("slowfast_edu.nbgrader")
    converter = StudentAutograde(
        coursedir=CourseDirectory(config=config), config=config, log=logger, force=True
    )
    execute = LimitedExecute(new_kernel, timeout=run.limits.cell_seconds, log=logger)
    judge = Judge(run.assignment.tests)
    converter.autograde_preprocessors = [
        step
        for each in Autograde().autograde_preprocessors
        for step in ([execute, judge, Harmless()] if each is Execute else [each])
    ]
    try:
        converter.start()
    except Exception as error:
        error = converter.failure or error
        ours = not isinstance(error, DeadKernelError | CellTimeoutError)
        return Graded(_reason(error, execute), judge.verdicts, ours)
    return Graded("", judge.verdicts)


def _reason(error: Exception, execute: LimitedExecute) -> str:
    """Why a run has no grade, in words for its student."""
    where = f"in code cell {execute.code_cells_executed}"
    if isinstance(error, DeadKernelError):
        return f"Python ended {where} (os._exit, or a crash)"
    if isinstance(error, CellTimeoutError):
        return f"code went on {where} after it was told to stop (SIGINT ignored)"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"nbgrader could not grade it: {text[:200]}"
