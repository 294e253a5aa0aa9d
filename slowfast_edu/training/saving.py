"""Everything a run needs to go on, in one file that is there whole or not at all."""

import io
from pathlib import Path

import torch

from slowfast_edu.checkpoints import CheckpointError, read_checkpoint
from slowfast_edu.files import write_whole

LAST, BEST, LOG = "last.pt", "best.safetensors", "log.csv"


def check_folder(folder: Path) -> None:
    """Make a run's folder, and find out before any work whether it can be written to.

    Raises:
        OSError: it cannot be made or written to; the message says where and why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        write_whole(probe, b"")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{folder} cannot be written to ({reason}); choose another folder for the run"
        ) from error


def save_state(folder: Path, state: dict) -> None:
    """Write ``last.pt`` in place of the one before.

    Raises:
        OSError: it could not be written; the one before is still there.
    """
    content = io.BytesIO()
    torch.save(state, content)
    try:
        write_whole(folder / LAST, content.getvalue(), durable=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{folder / LAST} could not be written ({reason}); what was saved last is "
            "still there. Make room and run the same command again"
        ) from error


def load_state(folder: Path, told: dict[str, str]) -> dict | None:
    """What ``last.pt`` holds, or None where there is none.

    Args:
        folder: of the run.
        told: what this run was asked for, by name; must equal what the file was made with.

    Raises:
        CheckpointError: unreadable, or no state of a run.
        ValueError: it was made by another command; names what differs.
    """
    path = folder / LAST
    if not path.exists():
        return None
    state, _ = read_checkpoint(path)
    if not isinstance(state.get("told"), dict) or "optimizer" not in state:
        raise CheckpointError(f"{path}: holds weights, but no run to go on with")
    before = state["told"]
    for name in sorted(before.keys() | told.keys()):
        if before.get(name) != told.get(name):
            raise ValueError(
                f"{path} is of a run with {name}={before.get(name)}, and this one has "
                f"{told.get(name)}; choose another folder, or delete the file to begin anew"
            )
    return state
