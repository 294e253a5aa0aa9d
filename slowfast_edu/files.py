"""Files that are written whole or not at all."""

import os
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
