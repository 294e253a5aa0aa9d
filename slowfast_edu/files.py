"""Files that are written whole or not at all, and names in order."""

import os
import re
from pathlib import Path


def write_whole(path: str | Path, content: bytes, durable: bool = False) -> None:
    """Write a file under a passing name and give it its own when all of it is there.

    A reader, or this process killed at any moment, finds the old file or the new one.

    Args:
        path: where; an existing file is replaced.
        content: all of it.
        durable: also wait until the disk has it, so that a power cut loses nothing.

    Raises:
        OSError: the folder is missing, full or cannot be written to; an existing file
            stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def natural_order(name: str | Path) -> tuple[list, str]:
    """A key to sort by that takes the digits in a name for numbers, as a person would.

    >>> sorted(["clip 10", "clip 2"], key=natural_order)
    ['clip 2', 'clip 10']
    """
    parts = re.split("([0-9]+)", str(name))  # every other one is a number
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], str(name)
