"""What a model says of every clip of a data set, on one process or many."""

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm.auto import tqdm

from slowfast_edu.data.batches import Batch, Problem, collate_clips
from slowfast_edu.data.transforms import normalize
from slowfast_edu.files import natural_order, write_whole
from slowfast_edu.training import metrics
from slowfast_edu.training.distributed import default_device, gather, rank, world_size

VIEWS_AT_ONCE = 10  # 250 MB of 32 frames at 256 pixels


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model says of each clip, beside what is true.

    Attributes:
        names: of N clips, sorted as a person would: "clip 2" before "clip 10".
        labels: int64 (N,); of several labels a clip float32 (N, classes), 0 or 1.
        probabilities: float32 (N, classes).
        problems: of the clips that could not be read, which no metric counts.
    """

    names: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    problems: list[Problem]

    def summary(self) -> dict[str, float]:
        """Metrics by name: see ``slowfast_edu.training.metrics``.

        Returns:
            top1, top5, mean_class and calibration_error, or mean_average_precision if
            clips have several labels.

        Raises:
            ValueError: a label that is none of the model's classes.
        """
        given = self.probabilities, self.labels
        if self.labels.ndim > 1:
            return {"mean_average_precision": metrics.mean_average_precision(*given)}
        return {
            "top1": metrics.top_k_accuracy(*given, k=1),
            "top5": metrics.top_k_accuracy(*given, k=5),
            "mean_class": metrics.mean_class_accuracy(*given),
            "calibration_error": metrics.calibration(*given).error,
        }

    def save(self, path: str | Path) -> Path:
        """Write all of it as one .npz file, whole or not at all.

        Raises:
            ValueError: another ending.
            OSError: the folder is missing or cannot be written to; an existing file stays.
        """
        path, file = Path(path), io.BytesIO()
        if path.suffix != ".npz":
            raise ValueError(f"{path} must end in .npz: {path.stem}.npz")
        np.savez(
            file,
            names=np.array(self.names, dtype=str),
            labels=self.labels,
            probabilities=self.probabilities,
            problems=np.array(self.problems, dtype=str).reshape(-1, 2),
        )
        write_whole(path, file.getvalue())
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Predictions":
        """Read what ``save`` wrote.

        Raises:
            ValueError: damaged, or another kind of file.
            OSError: it cannot be read.
        """
        content = Path(path).read_bytes()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                names, labels = file["names"].tolist(), file["labels"]
                probabilities, problems = file["probabilities"], file["problems"]
            if not len(names) == len(labels) == len(probabilities):
                raise ValueError("its arrays are of different lengths")
            problems = [Problem(*problem) for problem in problems.tolist()]
            return cls(names, labels, probabilities, problems)
        except Exception as error:  # damaged bytes may raise anything
            raise ValueError(
                f"{path}: damaged, or not saved by Predictions.save ({error})"
            ) from error


def evaluation_loader(dataset: Dataset, batch_size: int, workers: int = 0) -> DataLoader:
    """Load the clips of which this process is in charge: all, or every n-th of n processes.

    Shares differ by a clip at most, and may be empty. ``DistributedSampler`` would repeat
    clips to make them equal, and the accuracy would count those twice.

    Args:
        dataset: of ``Sample`` or ``Problem``.
        batch_size: clips at once; 1 if they differ in size.
        workers: processes that decode or render.
    """
    return DataLoader(
        Subset(dataset, range(rank(), len(dataset), world_size())),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collate_clips,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # or workers' seeds are drawn from the global one
    )


def evaluate(
    model: nn.Module,
    loader: Iterable,
    *,
    device: str | torch.device | None = None,
    autocast_dtype: torch.dtype | None = None,
    progress: bool = False,
) -> Predictions:
    """Ask a model about every clip, averaging softmax over views (section 4, "Inference").

    Of several labels a clip each sigmoid's maximum over all views counts (as on Charades),
    for an action may be seen in one of them alone.
    Under ``torchrun`` each process asks about its share, and all return the whole.

    Args:
        model: moved to ``device``, asked in eval mode; its modules get their modes back.
        loader: of ``Batch`` (``evaluation_loader``), or of (clips, labels), whose clips
            are named "0", "1", ... Bytes are normalised.
        device: a GPU if there is one by default.
        autocast_dtype: ``torch.bfloat16`` or ``torch.float16``; None: float32.
        progress: show a bar.

    Raises:
        ValueError: no clip at all, what is no batch, or an output that is not finite.
    """
    device = torch.device(device or default_device())
    if isinstance(model, DistributedDataParallel):
        model = model.module  # its wrapper would wait for the others in every pass
    model.to(device)
    rows, problems = [], []
    silent = not progress or rank() > 0
    with eval_mode(model):
        for batch in tqdm(loader, unit="batch", disable=silent, file=sys.stderr):
            seen = len(rows) + len(problems)
            batch = _as_batch(batch, seen)
            problems += batch.problems
            if batch.names:
                chances = _probabilities(model, batch, device, autocast_dtype)
                places = range(seen, seen + len(chances))
                rows += zip(batch.names, places, batch.labels.numpy(), chances, strict=True)
    return _merged(gather((rows, problems)))


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """For a while, all of a model is in eval mode; then each module is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _as_batch(batch: object, seen: int) -> Batch:
    """Checked, with labels of one type; ``seen`` clips of this process came before."""
    if not isinstance(batch, Batch):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise ValueError(
                f"the loader gives a {type(batch).__name__}, must give a Batch or (clips, "
                "labels); load with collate_fn=collate_clips"
            )
        clips, labels = batch
        # As evaluation_loader shares out: every world_size-th clip is this process's.
        numbers = [rank() + world_size() * (seen + i) for i in range(len(clips))]
        batch = Batch(clips, labels, [str(number) for number in numbers], [])
    labels, count = torch.as_tensor(batch.labels).cpu(), len(batch.names)
    several = labels.is_floating_point()
    if len(batch.clips) != count or len(labels) != count or labels.ndim != 1 + several:
        raise ValueError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)} for "
            f"{len(batch.clips)} clips; must be whole numbers (B,), or floats (B, classes)"
        )
    return batch._replace(labels=labels.float() if several else labels.long())


@torch.inference_mode()
def _probabilities(
    model: nn.Module, batch: Batch, device: torch.device, dtype: torch.dtype | None
) -> np.ndarray:
    """Of a batch with at least one clip: float32 (B, classes)."""
    has_views = batch.clips.ndim == 6
    clips = batch.clips.flatten(0, 1) if has_views else batch.clips
    scores = []
    for part in clips.split(VIEWS_AT_ONCE) if has_views else [clips]:
        part = part.to(device, non_blocking=True)
        part = normalize(part) if part.dtype == torch.uint8 else part
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            scores.append(model(part).float())
    scores = torch.cat(scores)
    shape, columns = tuple(scores.shape), batch.labels.shape[1:]
    if scores.ndim != 2 or len(scores) != len(clips):
        raise ValueError(f"the model gives {shape}, must give (clips, classes)")
    if columns and columns != scores.shape[1:]:
        raise ValueError(
            f"the model has {shape[1]} classes, labels of {batch.names[0]} {columns[0]}"
        )
    scores = scores.unflatten(0, (len(batch.names), -1))  # (B, V, classes)
    _check_finite(scores, batch.names)
    if columns:
        return scores.sigmoid().amax(dim=1).cpu().numpy()
    return scores.softmax(dim=2).mean(dim=1).cpu().numpy()


def _check_finite(scores: Tensor, names: list[str]) -> None:
    bad = (~scores.isfinite()).flatten(1).any(dim=1).tolist()
    if any(bad):
        raise ValueError(
            f"{names[bad.index(True)]}: the model's output is not finite; look for NaN in "
            "its weights and BN buffers, or in the clip"
        )


def _merged(shares: list[tuple[list, list]]) -> Predictions:
    """Of all processes, in an order that does not depend on how many they were."""
    problems = [problem for _, found in shares for problem in found]
    problems.sort(key=lambda problem: natural_order(problem.name))
    rows = [row for found, _ in shares for row in found]
    if not rows:
        all_are = "; all {} are problems, the first {}: {}"
        why = all_are.format(len(problems), *problems[0]) if problems else ""
        raise ValueError(f"the loader gives no clip{why}")
    rows.sort(key=lambda row: (natural_order(row[0]), row[1]))
    names, _, labels, probabilities = zip(*rows, strict=True)
    return Predictions(list(names), np.stack(labels), np.stack(probabilities), problems)
