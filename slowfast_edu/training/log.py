"""What a run says of itself: one row an epoch, in a CSV file and in TensorBoard."""

import csv
import io
from pathlib import Path

from slowfast_edu.files import write_whole
from slowfast_edu.training.saving import LOG, writing


def write_log(folder: Path, history: list[dict], tensorboard: bool = False) -> None:
    """Write ``log.csv`` anew, and the last epoch's figures for TensorBoard.

    Args:
        folder: of the run.
        history: one dict an epoch; the first key is "epoch".
        tensorboard: also write ``folder/tensorboard``.

    Raises:
        OSError: it could not be written.
    """
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    with writing(folder / LOG):
        write_whole(folder / LOG, text.getvalue().encode())
    if tensorboard:
        _write_events(folder / "tensorboard", history[-1])


def _write_events(folder: Path, row: dict) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(name.replace("_", "/", 1), value, row["epoch"])


def check_tensorboard(folder: Path | None) -> None:
    """Refuse at once, rather than after the first epoch, where TensorBoard is missing.

    Raises:
        ValueError: it is not installed, or there is no folder to write to.
    """
    if folder is None:
        raise ValueError("tensorboard=True needs a folder to write to; give folder=...")
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "tensorboard=True needs a package that is not there: pip install tensorboard"
        ) from error
