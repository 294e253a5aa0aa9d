"""What a learner has done, kept in files on their machine and never sent."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from slowfast_edu.files import write_whole

FOLDER_VARIABLE = "SLOWFAST_EDU_HOME"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Of one exercise: how often its check said no, and whether it ever said yes."""

    failures: int = 0
    passed: bool = False


def progress_folder() -> Path:
    """Where the files are, one an exercise, so that two notebooks never share one.

    In the folder that ``SLOWFAST_EDU_HOME`` names, or in one of the learner's home.

    Raises:
        OSError: there is no home folder.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    try:
        folder = Path(chosen).expanduser() if chosen else Path.home() / ".slowfast_edu"
    except RuntimeError as error:
        raise OSError(
            f"no home folder; let {FOLDER_VARIABLE} name one to keep progress in"
        ) from error
    return folder / "progress"


def read_progress() -> dict[str, Record]:
    """{exercise: record} of every exercise that was tried; {} before the first.

    Raises:
        ValueError: a file is damaged; it is left as it is.
        OSError: one cannot be read.
    """
    return {path.stem: _read(path) for path in sorted(progress_folder().glob("*.json"))}


def _read(path: Path) -> Record:
    try:
        kept = json.loads(path.read_bytes())
        failures, passed = kept["failures"], kept["passed"]
        if type(failures) is not int or failures < 0 or type(passed) is not bool:
            raise ValueError
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is damaged; delete it to begin that exercise anew"
        ) from error
    return Record(failures=failures, passed=passed)


def keep(name: str, right: bool) -> Record:
    """Note one attempt at an exercise. What was passed once stays passed.

    Returns:
        The exercise's record with this attempt in it.

    Raises:
        ValueError: its file is damaged; it is left as it is.
        OSError: it cannot be read or written.
    """
    path = progress_folder() / f"{name}.json"
    before = _read(path) if path.exists() else Record()
    failures = before.failures + (not right)
    record = Record(failures=failures, passed=before.passed or right)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"failures": record.failures, "passed": record.passed})
    write_whole(path, text.encode())
    return record
