"""BN's statistics, made ready for evaluation."""

from collections.abc import Iterator

import torch
import torch.distributed as dist
from fvcore.nn.precise_bn import update_bn_stats
from torch.utils.data import DataLoader

from slowfast_edu.training.batches import epoch_of, first_passes
from slowfast_edu.training.distributed import rank, world_size
from slowfast_edu.training.precision import autocast
from slowfast_edu.training.step import Stepper


def share_statistics(stepper: Stepper, loader: DataLoader, epoch: int, steps: int) -> None:
    """Make BN's statistics precise if the recipe asks for it, and rank 0's for all.

    Precise are averages over passes with the weights as they are now (PySlowFast: 200
    passes), in place of those that ran along while the weights changed.

    Args:
        stepper: of the run.
        loader: of the training clips.
        epoch: whose clips are taken.
        steps: of an epoch; no more passes than that are taken.
    """
    passes = min(stepper.recipe.precise_bn_batches, steps)
    if passes and not rank() and not stepper.recipe.frozen_bn:
        with torch.no_grad(), autocast(stepper.execution.precision, stepper.device):
            update_bn_stats(stepper.model, _clips(stepper, loader, epoch, passes), passes)
    if world_size() > 1:
        for buffer in stepper.model.buffers():
            dist.broadcast(buffer, src=0)


def _clips(
    stepper: Stepper, loader: DataLoader, epoch: int, passes: int
) -> Iterator[torch.Tensor]:
    """The clips of the epoch's first passes, round and round."""
    chosen, found = first_passes(loader, epoch, passes), True
    while found:
        found = False
        for batch in epoch_of(chosen, stepper.execution.seed, epoch, 0):
            if len(batch[0]):
                found = True
                yield stepper.prepare(batch[0][: stepper.clips])
    raise ValueError("no pass with which a step begins has a clip that can be read")
