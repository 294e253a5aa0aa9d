"""Everything a run needs to go on, in one file that is there whole or not at all."""

import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from slowfast_edu.checkpoints import CheckpointError, read_checkpoint
from slowfast_edu.files import write_whole

LAST, BEST, LOG = "last.pt", "best.safetensors", "log.csv"
OTHER = {  # of what a run is told by a digest
    "data": "other videos or labels",
    "first weights": "another --init, or weights, to begin with",
}


@dataclass(slots=True)
class Progress:
    """Where a run is: epochs and steps done, and what was counted.

    Attributes:
        epoch: epochs done.
        step: steps done of the one that runs.
        passes: (loss, correct, clips) of each pass of that epoch.
        history: one dict an epoch.
        best: highest score on the validation set.
        problems: clips of that epoch that could not be read.
    """

    epoch: int = 0
    step: int = 0
    passes: list[tuple] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    best: float = -math.inf
    problems: int = 0


def means_of(passes: list[tuple]) -> tuple[float, float]:
    """(loss, top-1) over the clips of passes, the same in whatever order they come."""
    clips = sum(count for _, _, count in passes)
    loss = math.fsum(loss * count for loss, _, count in passes)
    return loss / max(1, clips), sum(correct for _, correct, _ in passes) / max(1, clips)


def check_folder(folder: Path) -> None:
    """Make a run's folder, and find out before any work whether it can be written to.

    What a killed run had half written is removed.

    Raises:
        OSError: it cannot be made or written to; the message says where and why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        write_whole(probe, b"")
        probe.unlink(missing_ok=True)  # another process may have tried it too
        for name in (LAST, BEST):
            for half in folder.glob(f".{name}.*.part"):
                half.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{folder} cannot be written to ({reason}); choose another folder for the run"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what a write that fails leaves behind, and what to do.

    Raises:
        OSError: in one line.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"{path} could not be written ({reason}); what was saved last is still there. "
            "Make room and run the same command again"
        ) from error


def save_state(folder: Path, state: dict) -> None:
    """Write ``last.pt`` in place of the one before.

    Raises:
        OSError: it could not be written; the one before is still there.
    """
    content = io.BytesIO()
    torch.save(state, content)
    with writing(folder / LAST):
        write_whole(folder / LAST, content.getvalue(), durable=True)


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
    try:
        state, _ = read_checkpoint(path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is damaged, so that the run cannot go on; delete it to begin anew"
        ) from error
    if not isinstance(state, Mapping) or not isinstance(state.get("told"), dict):
        raise CheckpointError(
            f"{path} holds no run to go on with; choose another folder, or delete the file"
        )
    before = state["told"]
    for name in sorted(before.keys() | told.keys()):
        if before.get(name) != told.get(name):
            both = f"{name}={before.get(name)}, and this one has {told.get(name)}"
            raise ValueError(
                f"{path} is of a run with {OTHER.get(name, both)}; choose another folder, "
                "or delete the file to begin anew"
            )
    return state
