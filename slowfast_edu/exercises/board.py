"""What is done and what is next, as text and as a widget."""

from collections.abc import Mapping
from html import escape

import ipywidgets as widgets

from slowfast_edu.exercises.exercise import Exercise, Written
from slowfast_edu.exercises.progress import Record, progress_folder, read_progress

BAR = 20  # characters of a full bar


def _state(record: Record | None) -> str:
    if record is None:
        return "open"
    if record.passed:
        return "passed"
    return f"tried {record.failures} time{'s' * (record.failures != 1)}"


def progress_table(
    exercises: Mapping[str, Exercise | Written], progress: Mapping[str, Record]
) -> str:
    """A line for each notebook with its bar, and the next exercise to try.

    Args:
        exercises: {name: exercise}, in the order of the course.
        progress: {name: record}, as ``read_progress`` gives it.

    Returns:
        The text. Exercises that are answered in prose are counted apart: nobody can check
        those but a person.
    """
    lines = []
    for notebook in dict.fromkeys(e.notebook for e in exercises.values()):
        own = [e for e in exercises.values() if e.notebook == notebook]
        checked = [e for e in own if isinstance(e, Exercise)]
        done = sum(_passed(e, progress) for e in checked)
        filled = BAR * done // max(1, len(checked))
        bar = "#" * filled + "." * (BAR - filled)
        prose = f", {len(own) - len(checked)} in prose" if len(own) > len(checked) else ""
        lines.append(f"{notebook}  [{bar}]  {done} of {len(checked)}{prose}")
    checked = [e for e in exercises.values() if isinstance(e, Exercise)]
    left = [e for e in checked if not _passed(e, progress)]
    lines.append(f"{len(checked) - len(left)} of {len(checked)} exercises passed")
    if left:
        following = f"next: {left[0].name}, {left[0].title} ({left[0].minutes} minutes"
        lines.append(f"{following}, {_state(progress.get(left[0].name))})")
    return "\n".join(lines)


def _passed(exercise: Exercise, progress: Mapping[str, Record]) -> bool:
    record = progress.get(exercise.name)
    return record is not None and record.passed


class ProgressBoard(widgets.VBox):
    """The table, and a button that reads it anew.

    Args:
        exercises: {name: exercise}, in the order of the course.
    """

    def __init__(self, exercises: Mapping[str, Exercise | Written]):
        self._exercises = exercises
        self._text = widgets.HTML()
        button = widgets.Button(description="Read again", icon="refresh")
        button.on_click(lambda _button: self.read())
        super().__init__([self._text, button])
        self.read()

    def read(self) -> None:
        """Show what the files say now."""
        try:
            table = progress_table(self._exercises, read_progress())
            where = f"kept in {progress_folder()}, on this machine only"
        except (OSError, ValueError) as error:
            table, where = "", str(error)
        self._text.value = f"<pre>{escape(table)}</pre><p>{escape(where)}</p>"

    def __repr__(self) -> str:
        return "Run this cell: your progress, notebook by notebook."
