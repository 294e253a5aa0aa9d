"""nbgrader's grading of one student, with a kernel of ours and judged by us.

A student's code runs in the same kernel as the tests, so nothing that a test cell does or
says there can be believed. It only hands over what the student's function answered; the
answers are compared here, and nbgrader is given a test cell with the outcome.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nbconvert.preprocessors import Preprocessor
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute

from slowfast_edu.exercises import EXERCISES
from slowfast_edu.exercises.asking import unpack
from slowfast_edu.exercises.asserting import ANSWERS, WrongAnswer
from slowfast_edu.exercises.checking import Verdict, judge
from slowfast_edu.instructor.course import Test
from slowfast_edu.instructor.sandbox import PlainKernelManager

OUTPUT_BYTES = 2**20  # of one cell, and as much again for the answers it hands over
OUTPUTS = ("stream", "display_data", "execute_result", "error")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
IDLE_SECONDS = 15  # until an interrupted cell must have ended
TAMPERED = "the test cell did not run as it is written"


class LimitedExecute(Execute):
    """nbgrader's execution, in a kernel of our choice and with bounded outputs."""

    def __init__(self, new_kernel: Callable[[], PlainKernelManager], **settings):
        self.new_kernel = new_kernel
        self.sizes: dict[int, list[int]] = {}
        super().__init__(**settings)
        self.iopub_timeout, self.store_widget_state = IDLE_SECONDS, False
        self.shutdown_kernel = "immediate"

    def create_kernel_manager(self) -> PlainKernelManager:
        """The kernel that grading is done in, whatever the notebook asks for."""
        self.km = self.new_kernel()
        return self.km

    def process_message(self, msg: dict, cell: NotebookNode, cell_index: int):
        """Take a message, unless it is none of a cell's or the cell has had enough."""
        try:
            if self._is_wanted(msg["msg_type"], msg["content"], cell_index):
                return super().process_message(msg, cell, cell_index)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # a message that no kernel sends by itself
        return None

    def _is_wanted(self, kind: str, content: dict, cell_index: int) -> bool:
        if kind not in OUTPUTS:
            return kind in ("status", "execute_input", "clear_output")
        content.pop("transient", None)  # one update could fill all that a cell displayed
        answers = ANSWERS in content.get("data", {})
        sizes = self.sizes.setdefault(cell_index, [0, 0])
        sizes[answers] += len(json.dumps(content))
        return sizes[answers] <= OUTPUT_BYTES


class Judge(Preprocessor):
    """Puts the outcome of each test in the place of what its cell put out.

    Attributes:
        verdicts: {cell: its outcome, as it is kept in a record}.
    """

    def __init__(self, tests: dict[str, Test], **settings):
        super().__init__(enabled=True, **settings)
        self.tests = tests
        self.verdicts: dict[str, dict] = {}

    def preprocess_cell(self, cell: NotebookNode, resources: dict, index: int) -> tuple:
        """Judge one cell, if it is a test."""
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in self.tests and cell.cell_type == "code":
            test = self.tests[name]
            verdict, told = _verdict(cell, test)
            cell.outputs = [_output(verdict is not None and verdict.right, told)]
            self.verdicts[name] = {
                "passed": verdict.passed if verdict else 0,
                "total": verdict.total if verdict else 0,
                "attempted": verdict.attempted if verdict else True,
                "cause": verdict.cause if verdict else "",
                "told": "" if verdict else told,
            }
        return cell, resources


def _verdict(cell: NotebookNode, test: Test) -> tuple[Verdict | None, str]:
    """What a test cell's answers are worth, and what the student is told."""
    data = [output.data for output in cell.outputs if "data" in output]
    handed = [each[ANSWERS] for each in data if ANSWERS in each]
    try:
        [one] = handed
        if one["exercise"] != test.exercise:
            raise ValueError(TAMPERED)
        answers = [unpack(answer) for answer in one["answers"]]
    except (ValueError, TypeError, KeyError):
        return None, _error_told(cell)
    verdict = judge(EXERCISES[test.exercise], answers, test.seed)
    if test.hidden:
        return verdict, verdict.outcome(test.exercise)
    return verdict, verdict.message(test.exercise)


def _error_told(cell: NotebookNode) -> str:
    """Why a test cell handed over nothing."""
    for output in cell.outputs:
        if output.output_type == "error" and output.ename != WrongAnswer.__name__:
            text = ANSI.sub("", f"{output.ename}: {output.evalue}").strip(": \n")
            if output.ename == "NameError":
                text += " (the cell that should define it has an error, or did not run)"
            return f"the test could not run: {text[:200]}"
    return TAMPERED


def _output(right: bool, told: str) -> NotebookNode:
    """An output from which nbgrader reads all of the points, or none."""
    if right:
        return new_output("stream", name="stdout", text=told + "\n")
    return new_output("error", ename="Failed", evalue=told, traceback=[told])


class StudentAutograde(Autograde):
    """nbgrader's grading that remembers why it failed."""

    failure: Exception | None = None

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        """Prepare a student's folder and place in the gradebook."""
        with self._remembering():
            super().init_assignment(assignment_id, student_id)

    def convert_single_notebook(self, notebook_filename: str) -> None:
        """Grade one notebook."""
        with self._remembering():
            super().convert_single_notebook(notebook_filename)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failure = error
            raise
