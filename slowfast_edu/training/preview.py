"""What a training run will take, from a few timed passes: ``train --dry-run``."""

import resource
import sys
import time
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader

from slowfast_edu.data.batches import collate_clips
from slowfast_edu.training.batches import clips_a_pass, passes_a_step
from slowfast_edu.training.distributed import default_device
from slowfast_edu.training.precision import guard_short_clips
from slowfast_edu.training.recipe import Recipe, apply_to_model
from slowfast_edu.training.step import Execution, Stepper

TIMED_CLIPS = (2, 4)  # of a pass; a whole one may not fit where only a preview is wanted


class Preview(NamedTuple):
    """What one process will take.

    Attributes:
        steps: of an epoch.
        passes: forward and backward passes of a step, one after another.
        step_seconds: computing one step.
        load_seconds: reading or rendering the clips of one step, shared among workers.
        memory_bytes: the most that is held at once, on the GPU or of the process.
    """

    steps: int
    passes: int
    step_seconds: float
    load_seconds: float
    memory_bytes: float

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch: loading overlaps with computing, so the slower one counts."""
        return self.steps * max(self.step_seconds, self.load_seconds)


def _peak_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
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
    device, clips = default_device(), clips_a_pass(loader)
    apply_to_model(recipe, model)
    layout = torch.channels_last_3d if execution.channels_last else torch.preserve_format
    model.to(device, memory_format=layout).train()
    if execution.precision == "bf16" and device.type == "cpu":
        guard_short_clips(model)
    counts = sorted({min(count, clips) for count in TIMED_CLIPS})
    started = time.perf_counter()
    samples = [loader.dataset[index % len(loader.dataset)] for index in range(counts[-1])]
    load_seconds = (time.perf_counter() - started) / len(samples)
    stepper = Stepper(model, recipe, execution, passes=1)
    points = []
    for count in counts:
        batch = collate_clips(samples[:count])
        stepper([batch], step=0, rate=0.0)  # the first one also allocates
        started = time.perf_counter()
        stepper([batch], step=0, rate=0.0)
        points.append((count, time.perf_counter() - started, _peak_bytes(device)))
    seconds, memory = (_line(points, column, clips) for column in (1, 2))
    passes = passes_a_step(loader, execution.accumulate)
    return Preview(
        steps=len(loader) // passes,
        passes=passes,
        step_seconds=seconds * passes,
        load_seconds=load_seconds * clips * passes / max(1, loader.num_workers),
        memory_bytes=memory,
    )


def _line(points: list[tuple], column: int, clips: int) -> float:
    """Where the line through the first and the last point is at ``clips``."""
    (few, *low), (many, *high) = points[0], points[-1]
    low, high = low[column - 1], high[column - 1]
    if many == few:
        return high
    return high + max(0.0, high - low) * (clips - many) / (many - few)
