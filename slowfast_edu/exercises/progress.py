"""What a learner has done, kept in one file on their machine and never sent."""

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


def progress_path() -> Path:
    """The file: in ``SLOWFAST_EDU_HOME``, or in a folder of the learner's home."""
    folder = os.environ.get(FOLDER_VARIABLE) or Path.home() / ".slowfast_edu"
    return Path(folder) / "progress.json"


def read_progress() -> dict[str, Record]:
    """{exercise: record} of every exercise that was tried; {} before the first.

    Raises:
        ValueError: the file is damaged; it is left as it is.
        OSError: it cannot be read.
    """
    path = progress_path()
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_bytes())
        return {
            name: Record(failures=int(done["failures"]), passed=done["passed"] is True)
            for name, done in kept.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged and nothing is kept in it now; rename or delete it to "
            "begin a new one"
        ) from error


def keep(name: str, right: bool) -> Record:
    """Note one attempt at an exercise. What was passed once stays passed.

    Returns:
        The exercise's record with this attempt in it.

    Raises:
        ValueError: the file is damaged; it is left as it is.
        OSError: it cannot be read or written.
    """
    progress = read_progress()
    before = progress.get(name, Record())
    failures = before.failures + (not right)
    progress[name] = Record(failures=failures, passed=before.passed or right)
    kept = {
        exercise: {"failures": record.failures, "passed": record.passed}
        for exercise, record in sorted(progress.items())
    }
    progress_path().parent.mkdir(parents=True, exist_ok=True)
    write_whole(progress_path(), json.dumps(kept, indent=1).encode())
    return progress[name]
