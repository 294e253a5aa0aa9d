"""Submissions of every kind that a grader fears, each with what has to come of it.

A kind is a function that writes one student's folder. Its expected grade is the tests that
it passes, each for the points that the assignment gives it: never what our grader said.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from slowfast_edu.exercises import EXERCISES
from slowfast_edu.exercises.asking import ask
from slowfast_edu.instructor.course import Course
from slowfast_edu.instructor.grading import grade
from slowfast_edu.instructor.running import Record
from slowfast_edu.instructor.worker import Limits

ASSIGNED = ("02.nyquist", "02.frames", "02.why_tau")
NAME = "hw1"
SEED = 20
LIMITS = Limits(cell_seconds=5, student_seconds=90, memory_bytes=2 * 2**30)
MOST_BYTES = 8 * 2**20  # of a graded notebook, whatever it puts out
NYQUIST = frozenset({"02_nyquist_visible", "02_nyquist_hidden"})
FRAMES = frozenset({"02_frames_visible", "02_frames_hidden"})
NOTHING = frozenset()
LINUX = sys.platform.startswith("linux")

# Right answers, in other words than the published ones.
RIGHT_NYQUIST = """\
rate = fps / stride
rest = cycles_per_second % rate
return min(rest, rate - rest)"""
RIGHT_FRAMES = """\
slow = [tau * i for i in range(T)]
return slow, [tau // alpha * i for i in range(alpha * T)]"""
PROSE = "Half the time, half the motion per frame; I would keep tau."


@dataclass(frozen=True)
class Desk:
    """Where a student writes, and what of the world around is to be kept from there."""

    course: Course
    folder: Path
    port: int  # of a listener on 127.0.0.1
    socket: str  # an abstract one that listens

    def released(self):
        return nbformat.read(self.course.release(NAME), 4)

    def book(self, nyquist=RIGHT_NYQUIST, frames=RIGHT_FRAMES, first="", last=""):
        """The release with answers; ``first`` and ``last`` are cells of the student's."""
        book = self.released()
        answer(cell_of(book, "02_nyquist"), nyquist)
        answer(cell_of(book, "02_frames"), frames)
        cell_of(book, "02_why_tau").source = PROSE
        if first:
            book.cells.insert(2, new_code_cell(first, id="own_first"))
        if last:
            book.cells.append(new_code_cell(last, id="own_last"))
        return book

    def save(self, book, name=f"{NAME}.ipynb"):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(json.dumps(book), encoding="utf-8")

    def hand_in(self, **parts):
        self.save(self.book(**parts))

    def put(self, content, name=f"{NAME}.ipynb"):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)


def cell_of(book, name):
    [cell] = [cell for cell in book.cells if cell.get("id") == name]
    return cell


def answer(cell, body):
    """Write a function's body where the stub asks for it."""
    head, marker, _ = cell.source.partition("    # YOUR CODE HERE")
    assert marker, cell.source
    cell.source = head + "".join(f"    {line}\n" for line in body.splitlines())


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What has to come of one kind of submission.

    Attributes:
        write: writes it.
        earns: the tests that it passes, if it gets a grade.
        reason: a piece of why it gets none; "" if it gets one.
        or_reason: a piece of why it may get none after all, if it is slow or large.
        notes: a piece of each note, in their order: of what was found and mended.
        review: a piece of something that a person is told to look at.
        prints: a piece of what its own cells print.
        told: {test: a piece of its cause or of what else is told}.
    """

    write: Callable[[Desk], None]
    earns: frozenset[str] = NYQUIST | FRAMES
    reason: str = ""
    or_reason: str = ""
    notes: tuple[str, ...] = ()
    review: str = ""
    prints: str = ""
    told: tuple[tuple[str, str], ...] = ()


KINDS: dict[str, Kind] = {}


def kind(**expected):
    """Enter a function as a kind; its name becomes the student's."""

    def enter(write):
        KINDS[write.__name__] = Kind(write=write, **expected)
        return write

    return enter


class Listeners:
    """A listener on 127.0.0.1 and one with an abstract address; none must hear anything."""

    def __init__(self):
        self.name = f"slowfast-edu-test-{os.getpid()}"
        self.lines = [socket.socket(), socket.socket(socket.AF_UNIX)]
        self.lines[0].bind(("127.0.0.1", 0))
        self.lines[1].bind(f"\0{self.name}")
        for line in self.lines:
            line.listen()
            line.setblocking(False)
        self.port = self.lines[0].getsockname()[1]

    def heard(self) -> int:
        """Calls that came."""
        calls = 0
        for line in self.lines:
            with contextlib.suppress(BlockingIOError):
                line.accept()[0].close()
                calls += 1
        return calls

    def close(self):
        for line in self.lines:
            line.close()


def grade_kinds(course: Course, names) -> tuple[dict[str, Record], int]:
    """Have these kinds written and graded; records, and how many calls were heard."""
    if not LINUX:
        pytest.skip("bubblewrap runs on Linux only")
    submissions, listeners = course.root.parent / "submissions", Listeners()
    for name in names:
        desk = Desk(course, submissions / name, listeners.port, listeners.name)
        KINDS[name].write(desk)
    try:
        records = {r.student: r for r in grade(course, NAME, submissions, LIMITS)}
        return records, listeners.heard()
    except ValueError as error:
        return skip_without_sandbox(error)
    finally:
        listeners.close()


def skip_without_sandbox(error):
    """Where there can be none; on Linux, CI has to have one."""
    if not str(error).startswith("no sandbox") or (LINUX and "CI" in os.environ):
        raise error
    pytest.skip(str(error))


def scores(course: Course, student: str) -> dict[str, float] | None:
    """{test: points} as the gradebook has them; None if it has no grade."""
    with Gradebook(course.config(NAME).CourseDirectory.db_url) as gradebook:
        try:
            [book] = gradebook.find_submission(NAME, student).notebooks
        except Exception:
            return None
        tests = course.read_key(NAME).tests
        return {grade.name: grade.score for grade in book.grades if grade.name in tests}


def deviations(course: Course, record: Record) -> list[str]:
    """What of a record and the gradebook is not as its kind has to have it."""
    want, found = KINDS[record.student], []
    reason = want.or_reason if record.reason and want.or_reason else want.reason
    if bool(record.reason) != bool(reason) or reason not in record.reason:
        found.append(f"reason {record.reason!r}, not {want.reason!r}")
    if not reason and not record.reason:
        tests = course.read_key(NAME).tests
        due = {t: test.points if t in want.earns else 0 for t, test in tests.items()}
        if (got := scores(course, record.student)) != due:
            found.append(f"scores {got}, not {due}: {record.tests}")
    if len(record.notes) != len(want.notes) or not all(
        piece in note for piece, note in zip(want.notes, record.notes, strict=False)
    ):
        found.append(f"notes {record.notes}, not {want.notes}")
    if want.review not in " ".join(record.review) or bool(record.review) > bool(
        want.review
    ):
        found.append(f"review {record.review}, not {want.review!r}")
    for test, piece in want.told:
        outcome = record.tests.get(test, {})
        if piece not in " ".join([outcome.get("cause", ""), outcome.get("told", "")]):
            found.append(f"{test} tells {outcome}, not {piece!r}")
    if want.prints and want.prints not in (out := printed(course, record.student)):
        found.append(f"printed {out[:500]!r}, not {want.prints!r}")
    graded = course.autograded(record.student, NAME)
    if graded.exists() and (size := graded.stat().st_size) > MOST_BYTES:
        found.append(f"{size} bytes are kept of it")
    return [f"{record.student}: {what}" for what in found]


def printed(course: Course, student: str) -> str:
    """What a student's own cells put out when they were graded."""
    path = course.autograded(student, NAME)
    book = nbformat.read(path, 4) if path.exists() else nbformat.v4.new_notebook()
    own = [cell for cell in book.cells if cell.get("id", "").startswith("own_")]
    return "".join(
        output.get("text", "") + output.get("evalue", "")
        for cell in own
        for output in cell.outputs
    )


# --- Answers ------------------------------------------------------------------------


@kind()
def right(desk):
    desk.hand_in()


@kind(earns=FRAMES, told=(("02_nyquist_hidden", "you forgot the stride"),))
def wrong(desk):
    desk.hand_in(
        nyquist="return abs(cycles_per_second - fps * round(cycles_per_second / fps))"
    )


@kind(earns=NOTHING)
def blank(desk):
    desk.save(desk.released())


@kind(earns=NYQUIST)
def one_of_two(desk):
    book = desk.book()
    cell_of(book, "02_frames").source = cell_of(desk.released(), "02_frames").source
    desk.save(book)


@kind(earns=FRAMES | {"02_nyquist_visible"})
def hard_coded(desk):
    """The answers to what the visible test asks, learned by heart."""
    exercise = EXERCISES["02.nyquist"]
    asked = exercise.inputs(np.random.default_rng(0))
    known = dict(zip(asked, ask(exercise, exercise.answer, 0), strict=True))
    desk.hand_in(nyquist=f"return {known!r}.get((fps, stride, cycles_per_second), 0.0)")


@kind(earns=FRAMES, told=(("02_nyquist_visible", "'nyquist' is not defined"),))
def syntax_error(desk):
    desk.hand_in(nyquist="return (((")


@kind(earns=FRAMES)
def raises(desk):
    desk.hand_in(nyquist="raise KeyError(fps)")


@kind()
def warns(desk):
    """A warning on stderr costs nothing, wherever it comes from."""
    desk.hand_in(
        first="import warnings\nwarnings.warn('at the top')",
        nyquist="import warnings\nwarnings.warn(f'inside {fps}')\n" + RIGHT_NYQUIST,
    )


@kind()
def prints_to_stderr(desk):
    desk.hand_in(nyquist="import sys\nprint('look', file=sys.stderr)\n" + RIGHT_NYQUIST)


@kind(earns=FRAMES)
def asks_for_input(desk):
    desk.hand_in(nyquist="return float(input('what is it? '))")


@kind(earns=FRAMES)
def list_that_holds_itself(desk):
    desk.hand_in(nyquist="own = []\nown.append(own)\nreturn own")


@kind(earns=FRAMES)
def gigantic_number(desk):
    desk.hand_in(nyquist="return 10**1_000_000")


@kind(earns=FRAMES)
def gigantic_text(desk):
    desk.hand_in(nyquist="return 'x' * 50_000_000")


@kind(earns=FRAMES)
def hostile_object(desk):
    """It is equal to everything, and looping wherever Python asks it something else."""
    desk.hand_in(
        first="""
class Hostile(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    __hash__ = float.__hash__
    def __abs__(self): return 0.0
    def __repr__(self):
        while True: pass
    def __reduce__(self): return print, ("here",)
    def __float__(self): return float('nan')
""",
        nyquist="return Hostile(1)",
    )


@kind(earns=FRAMES)
def redefines_builtins(desk):
    """So that comparisons in its own kernel come out well."""
    lines = ["import builtins", "builtins.all = lambda *_: True"]
    lines += ["builtins.any = lambda *_: False", "builtins.abs = lambda _: 0.0"]
    desk.hand_in(nyquist="\n".join([*lines, "return 0.0"]))


# --- Files --------------------------------------------------------------------------


@kind(reason="not JSON")
def malformed_json(desk):
    text = json.dumps(desk.book())
    desk.put(text[: len(text) // 2].encode())


@kind(reason="empty")
def empty_file(desk):
    desk.put(b"")


@kind(reason="not a valid notebook")
def half_a_character(desk):
    """JSON can spell half of a pair, which no text can hold."""
    text = json.dumps(desk.book(first="# half: here")).replace("half: here", "\\ud800")
    desk.put(text.encode())


@kind(notes=("was called my\\x1b work.ipynb".replace("\\x1b", "?"),))
def unprintable_name(desk):
    desk.save(desk.book(), "my\x1b work.ipynb")


@kind(notes=("was called mine.ipynb",))
def from_a_mac(desk):
    """Its archives hold a second file for each, which is no notebook."""
    desk.save(desk.book(), "mine.ipynb")
    (desk.folder / "__MACOSX").mkdir()
    (desk.folder / "__MACOSX" / "._mine.ipynb").write_bytes(b"attributes")


@kind(reason="not UTF-8")
def not_utf8(desk):
    desk.put(json.dumps(desk.book(first="# é"), ensure_ascii=False).encode("latin-1"))


@kind(reason="no notebook")
def a_list(desk):
    desk.put(b"[1, 2, 3]")


@kind(reason="not")
def deep_json(desk):
    desk.put(b"[" * 200_000 + b"]" * 200_000)


@kind()
def deep_metadata(desk):
    """All metadata but nbgrader's are dropped, and this with them."""
    deep = b'{"a": ' * 700 + b"1" + b"}" * 700
    text = json.dumps(desk.book()).encode()
    desk.put(
        text.replace(
            b'"metadata": {"kernelspec"', b'"metadata": {"x": %b, "kernelspec"' % deep
        )
    )


@kind(reason="parts; clear its outputs")
def many_parts(desk):
    """Small in the file, and gigabytes once it is read."""
    desk.put(b'{"cells": [], "x": [' + b"[]," * 10_000_000 + b"[]]}")


@kind(reason="it has no cells")
def format_3(desk):
    desk.put(b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}')


@kind()
def format_4_4(desk):
    """An old editor: no ids, but nbgrader's metadata."""
    book = desk.book()
    for cell in book.cells:
        del cell["id"]
    desk.save({**book, "nbformat_minor": 4})


@kind(notes=("was called my work.ipynb",))
def wrong_name(desk):
    desk.save(desk.book(), "my work.ipynb")


@kind(reason="2 notebooks")
def two_of_other_names(desk):
    desk.save(desk.book(), "a.ipynb")
    desk.save(desk.book(), "b.ipynb")


@kind()
def one_of_two_is_named(desk):
    desk.save(desk.book(nyquist="return 0"), "draft.ipynb")
    desk.save(desk.book())


@kind(reason="no notebook was handed in")
def no_notebook(desk):
    desk.put(b"my homework", "hw1.txt")


@kind(reason="no notebook was handed in")
def link_to_the_source(desk):
    desk.folder.mkdir(parents=True)
    (desk.folder / f"{NAME}.ipynb").symlink_to(desk.course.source(NAME))


@kind(reason="no notebook was handed in")
def link_to_another(desk):
    desk.folder.mkdir(parents=True)
    (desk.folder / f"{NAME}.ipynb").symlink_to(f"../right/{NAME}.ipynb")


@kind(reason="no notebook was handed in")
def linked_folder(desk):
    desk.folder.mkdir(parents=True)
    (desk.folder / "inner").symlink_to(desk.course.source(NAME).parent)


@kind(reason="no notebook was handed in")
def fifo(desk):
    desk.folder.mkdir(parents=True)
    os.mkfifo(desk.folder / f"{NAME}.ipynb")


@kind(notes=("had 50 MiB",))
def huge_outputs(desk):
    book = desk.book()
    cell = cell_of(book, "02_nyquist")
    cell.outputs = [{"output_type": "stream", "name": "stdout", "text": "x" * (50 << 20)}]
    desk.save(book)


@kind(notes=("made for a kernel of R",))
def kernel_of_r(desk):
    book = desk.book()
    book.metadata.kernelspec = {"name": "ir", "display_name": "R", "language": "R"}
    book.metadata.language_info = {"name": "R"}
    desk.save(book)


@kind()
def kernel_of_no_name(desk):
    book = desk.book()
    book.metadata.kernelspec = {"name": "conda-env-mine-py", "display_name": "mine"}
    desk.save(book)


# --- Cells --------------------------------------------------------------------------


def without(book, *names):
    book.cells = [cell for cell in book.cells if cell.id not in names]
    return book


@kind(notes=("cell 02_nyquist_hidden was deleted",))
def deleted_test(desk):
    desk.save(without(desk.book(), "02_nyquist_hidden"))


@kind(earns=FRAMES, notes=("cell 02_nyquist_visible was deleted",))
def deleted_test_of_a_wrong_answer(desk):
    desk.save(without(desk.book(nyquist="return 0"), "02_nyquist_visible"))


@kind(earns=FRAMES, notes=("cell 02_nyquist was deleted",))
def deleted_stub(desk):
    desk.save(without(desk.book(), "02_nyquist"))


@kind(
    earns=FRAMES,
    notes=tuple(f"02_nyquist{end} was deleted" for end in ("", "_visible", "_hidden")),
)
def deleted_exercise(desk):
    names = [f"02_nyquist{end}" for end in ("_prompt", "", "_visible", "_hidden")]
    desk.save(without(desk.book(), *names))


@kind(notes=("cell 02_why_tau was deleted",))
def deleted_prose(desk):
    desk.save(without(desk.book(), "02_why_tau"))


@kind(notes=("left as it was, with prose below it",))
def prose_below(desk):
    book = desk.book()
    cell_of(book, "02_why_tau").source = "YOUR ANSWER HERE"
    book.cells.append(nbformat.v4.new_markdown_cell(PROSE, id="own_prose"))
    desk.save(book)


@kind()
def pasted_picture(desk):
    book = desk.book()
    cell = cell_of(book, "02_why_tau")
    cell.source = f"{PROSE} ![](attachment:sketch.png) ![](attachment:gone.png)"
    cell.attachments = {"sketch.png": {"image/png": "aGVsbG8="}}
    desk.save(book)


@kind(notes=("cell 02_nyquist was deleted",))
def answered_elsewhere(desk):
    """The function is written in a cell of the student's own; the stub is gone."""
    book = desk.book()
    source = cell_of(book, "02_nyquist").source
    book = without(book, "02_nyquist")
    book.cells.insert(2, new_code_cell(source, id="own_first"))
    desk.save(book)


def with_copy(book, name, metadata=True, **changes):
    """A cell is pasted once more: below itself, with a new id."""
    place = [cell.id for cell in book.cells].index(name)
    copy = {**book.cells[place], "id": "own_copy", **changes}
    if not metadata:
        copy["metadata"] = {}
    book.cells.insert(place + 1, nbformat.from_dict(copy))
    return book


@kind(notes=("cell 02_nyquist twice",))
def stub_copied(desk):
    """The stub stays as it is; its copy has the answer."""
    book = desk.book()
    right = cell_of(book, "02_nyquist").source
    cell_of(book, "02_nyquist").source = cell_of(desk.released(), "02_nyquist").source
    desk.save(with_copy(book, "02_nyquist", source=right))


@kind(earns=FRAMES, notes=("cell 02_nyquist_hidden twice",))
def test_copied(desk):
    """One that says that all is well, in the place of the hidden test."""
    book = desk.book(nyquist="return 0")
    desk.save(with_copy(book, "02_nyquist_hidden", source="print('passed 16/16')"))


@kind(notes=("cell 02_frames_hidden twice",))
def test_copied_with_its_id(desk):
    book = desk.book()
    place = [cell.id for cell in book.cells].index("02_frames_hidden")
    book.cells.append(nbformat.from_dict(dict(book.cells[place])))
    desk.save(book)


@kind(
    earns=FRAMES,
    notes=(
        "metadata of 02_nyquist_visible edited",
        "metadata of 02_nyquist_hidden edited",
    ),
)
def tests_and_points_edited(desk):
    book = desk.book(nyquist="return 0")
    for name in NYQUIST:
        cell_of(book, name).source = "print('passed 16/16')"
        cell_of(book, name).metadata.nbgrader.points = 100
    desk.save(book)


@kind(earns=FRAMES)
def tests_skipped(desk):
    book = desk.book(nyquist="return 0")
    for cell in book.cells:
        cell.metadata.tags = ["skip-execution", "raises-exception"]
    desk.save(book)


@kind()
def tests_turned_to_markdown(desk):
    book = desk.book()
    for name in NYQUIST:
        cell = cell_of(book, name)
        cell.cell_type = "markdown"
        del cell["outputs"], cell["execution_count"]
        cell.attachments = {"a.png": {"image/png": "aGVsbG8="}}
    desk.save(book)


@kind(notes=tuple("missing: put back" for _ in range(12)))
def metadata_stripped(desk):
    book = desk.book()
    for cell in book.cells:
        cell.metadata = {}
    desk.save(book)


@kind(reason="none of the assignment's cells")
def ids_and_metadata_stripped(desk):
    book = desk.book()
    for number, cell in enumerate(book.cells):
        cell.metadata, cell.id = {}, f"c{number}"
    desk.save(book)


@kind(notes=("renamed",), earns=NYQUIST | FRAMES)
def names_swapped(desk):
    """The hidden test's metadata say that it is the visible one."""
    book = desk.book()
    cell_of(book, "02_nyquist_hidden").metadata.nbgrader.grade_id = "02_nyquist_visible"
    desk.save(book)
