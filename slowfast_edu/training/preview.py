"""What a training run will take, from a few timed passes: ``train --dry-run``."""

import math
import re
import sys
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader

from slowfast_edu.data.batches import Problem, collate_clips
from slowfast_edu.training.batches import batches_a_step, clips_a_batch
from slowfast_edu.training.distributed import default_device
from slowfast_edu.training.recipe import Recipe, set_train_mode
from slowfast_edu.training.step import Execution, Stepper, prepare_model

TIMED_CLIPS = (2, 4)  # of a pass; a whole one may not fit where only a preview is wanted


class Preview(NamedTuple):
    """What one process will take.

    Attributes:
        steps: of an epoch.
        passes: forward and backward passes of a step, one after another.
        step_seconds: computing one step.
        load_seconds: reading or rendering the clips of one step, shared among workers.
        workers: processes that load while this one computes.
        memory_bytes: the most that is held at once, on the GPU or of the process.
    """

    steps: int
    passes: int
    step_seconds: float
    load_seconds: float
    workers: int
    memory_bytes: float

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch's training: with workers the slower of the two counts."""
        both = self.step_seconds, self.load_seconds
        return self.steps * (max(both) if self.workers else sum(both))


def peak_bytes(device: torch.device) -> float:
    """The most memory held so far: of a GPU, or of this process; NaN on Windows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return math.nan
    status = Path("/proc/self/status")  # Linux; there ru_maxrss is the parent's, if more
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return 1024 * int(found[1])
    import resource  # Unix only

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def preview(
    model: nn.Module, loader: DataLoader, recipe: Recipe, execution: Execution
) -> Preview:
    """Time passes of two and of four clips, and go on from there in a straight line.

    The model takes a few steps of learning rate 0 and is not to be used afterwards.

    Args:
        model: of this library.
        loader: of ``training_loader``.
        recipe: what would be done.
        execution: how.
    """
    device = torch.device(execution.device or default_device())
    clips = clips_a_batch(loader)
    prepare_model(model, recipe, execution)
    set_train_mode(recipe, model)
    counts = sorted({min(count, clips) for count in TIMED_CLIPS})
    started = time.perf_counter()
    samples = _readable(loader.dataset, counts[-1])
    load_seconds = (time.perf_counter() - started) / len(samples)
    stepper = Stepper(model, recipe, execution, passes=1)
    points = []
    for count in counts:
        batch = collate_clips(samples[:count])
        stepper([(batch, True)], step=0, rate=0.0)  # the first one also allocates
        started = time.perf_counter()
        stepper([(batch, True)], step=0, rate=0.0)
        points.append((count, time.perf_counter() - started, peak_bytes(device)))
    seconds, memory = (_line(points, column, clips) for column in (1, 2))
    passes = batches_a_step(loader, execution.accumulate)
    return Preview(
        steps=len(loader) // passes,
        passes=passes,
        step_seconds=seconds * passes,
        load_seconds=load_seconds * clips * passes / max(1, loader.num_workers),
        workers=loader.num_workers,
        memory_bytes=memory,
    )


def _readable(dataset, count: int) -> list:
    """The first samples that can be read, of four times as many."""
    tried = (dataset[index % len(dataset)] for index in range(4 * count))
    samples = list(islice((s for s in tried if not isinstance(s, Problem)), count))
    if len(samples) < count:
        raise ValueError(f"of the first {4 * count} clips fewer than {count} can be read")
    return samples


def _line(points: list[tuple], column: int, clips: int) -> float:
    """Where the line through the first and the last point is at ``clips``."""
    (few, *low), (many, *high) = points[0], points[-1]
    low, high = low[column - 1], high[column - 1]
    if many == few:
        return high
    return high + max(0.0, high - low) * (clips - many) / (many - few)
