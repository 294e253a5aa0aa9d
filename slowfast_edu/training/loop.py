"""The training run: epochs of steps, each epoch measured, logged and saved."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.distributed as dist
from fvcore.nn.precise_bn import update_bn_stats
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from slowfast_edu.checkpoints import save_checkpoint
from slowfast_edu.checks import check_count, check_model
from slowfast_edu.training.batches import clips_a_pass, epoch_of, passes_a_step
from slowfast_edu.training.distributed import (
    default_device,
    gather,
    process_group,
    rank,
    world_size,
)
from slowfast_edu.training.evaluation import evaluate
from slowfast_edu.training.log import check_tensorboard, write_log
from slowfast_edu.training.precision import PRECISIONS, autocast, guard_short_clips
from slowfast_edu.training.recipe import PYSLOWFAST, Recipe, apply_to_model
from slowfast_edu.training.saving import BEST, check_folder, load_state, save_state
from slowfast_edu.training.step import Execution, Stepper


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


class _Run:
    """A model in training: what ``train_slowfast`` sets up and goes through."""

    def __init__(self, model, loader, recipe, execution, folder):
        self.model, self.loader, self.recipe = model, loader, recipe
        self.execution, self.folder = execution, folder
        self.passes = passes_a_step(loader, execution.accumulate)
        self.steps = len(loader) // self.passes  # of one epoch
        self.batch = clips_a_pass(loader) * self.passes * world_size()
        if not self.steps:
            raise ValueError(
                f"the loader gives {len(loader)} batches an epoch, and one step takes "
                f"{self.passes}; give more clips or accumulate less"
            )
        self.stepper = Stepper(model, recipe, execution, self.passes)
        self.progress = Progress()
        if execution.tensorboard:
            check_tensorboard()
        if folder is not None:
            check_folder(folder)
            self._resume()

    def _told(self) -> dict[str, str]:
        """What decides the weights; a run goes on only with the same."""
        told = {name: getattr(self.recipe, name) for name in self.recipe.__slots__}
        told |= {"model": self.model.config, "batch": self.batch}
        told |= {"clips": len(self.loader.dataset), "seed": self.execution.seed}
        return {name: repr(value) for name, value in told.items()}

    def _resume(self) -> None:
        state = load_state(self.folder, self._told())
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.stepper.optimizer.load_state_dict(state["optimizer"])
        self.stepper.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        if rank():  # rank 0 goes on with what all ranks had counted
            self.progress.passes, self.progress.problems = [], 0

    def save(self) -> None:
        """Write all that is needed to go on; on rank 0, with what all ranks counted."""
        passes, unread = self._counted()
        if self.folder is None or rank():
            return
        place = {name: getattr(self.progress, name) for name in self.progress.__slots__}
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.stepper.optimizer.state_dict(),
            "scaler": self.stepper.scaler.state_dict(),
            "progress": place | {"passes": passes, "problems": unread},
            "told": self._told(),
        }
        save_state(self.folder, state)

    def train_epoch(self, bar) -> dict[str, float]:
        """All steps of an epoch that are not done yet; returns the epoch's row."""
        here, model = self.progress, self.model
        model.train()
        batches = epoch_of(
            self.loader, self.execution.seed, here.epoch, here.step * self.passes
        )
        seconds = {"data_seconds": 0.0, "compute_seconds": 0.0}
        first = here.step
        while here.step < self.steps:
            started = time.perf_counter()
            taken = [next(batches) for _ in range(self.passes)]
            loaded = time.perf_counter()
            rate = self.rate()
            number = here.epoch * self.steps + here.step
            here.passes += self.stepper(taken, number, rate)
            here.step += 1
            here.problems += sum(len(getattr(batch, "problems", ())) for batch in taken)
            seconds["data_seconds"] += loaded - started
            seconds["compute_seconds"] += time.perf_counter() - loaded
            clips_a_second = (here.step - first) * self.batch / sum(seconds.values())
            waiting = seconds["data_seconds"] / sum(seconds.values())
            loss, correct = _means(here.passes[-50 * self.passes :])
            bar.set_postfix_str(
                f"loss {loss:.3f}, top-1 {correct:.1%}, rate {rate:.3g}, "
                f"{clips_a_second:.1f} clips/s, {waiting:.0%} waiting for data",
                refresh=False,
            )
            bar.update()
            if here.step % self.execution.save_every_steps == 0 and here.step < self.steps:
                self.save()
        passes, unread = self._counted()
        loss, correct = _means(passes)
        row = {"rate": rate, "train_loss": loss, "train_top1": correct, "unread": unread}
        return row | {"clips_per_second": clips_a_second} | seconds

    def _counted(self) -> tuple[list, int]:
        """(passes of all ranks in this epoch, clips that none could read)."""
        shares = gather((self.progress.passes, self.progress.problems))
        passes = [one for own, _ in shares for one in own]
        return passes, sum(unread for _, unread in shares)

    def rate(self) -> float:
        """The learning rate of the step that comes."""
        epoch = self.progress.epoch + self.progress.step / self.steps
        return self.recipe.schedule.rate(epoch, self.batch)

    def share_statistics(self) -> None:
        """BN's statistics for evaluation: precise if asked for, and rank 0's for all."""
        passes = min(self.recipe.precise_bn_batches, len(self.loader))
        if passes:
            precision, device = self.execution.precision, self.stepper.device
            with torch.no_grad(), autocast(precision, device):
                update_bn_stats(self.model, self._clips_again(), passes)
        if world_size() > 1:
            for buffer in self.model.buffers():
                dist.broadcast(buffer, src=0)

    def _clips_again(self) -> Iterator[torch.Tensor]:
        """The epoch's clips from its beginning, round and round."""
        while True:
            here = self.progress
            for batch in epoch_of(self.loader, self.execution.seed, here.epoch, 0):
                if len(batch[0]):
                    yield self.stepper.prepare(batch[0])

    def finish_epoch(self, row: dict[str, float], val_loader: DataLoader | None) -> None:
        """Evaluate if it is time, keep the best weights, save, log."""
        here, folder = self.progress, self.folder
        last = here.epoch + 1 == self.recipe.schedule.epochs
        due = last or (here.epoch + 1) % self.execution.evaluate_every_epochs == 0
        if due:
            self.share_statistics()
        if due and val_loader is not None:
            dtype = PRECISIONS[self.execution.precision]
            found = evaluate(self.model, val_loader, autocast_dtype=dtype).summary()
            row |= {f"val_{name}": value for name, value in found.items()}
            score = next(iter(found.values()))  # top-1, or mAP
            if score > here.best:
                here.best = score
                if folder is not None and not rank():
                    save_checkpoint(self.model, folder / BEST)
        here.history.append({"epoch": here.epoch + 1} | row)
        here.epoch, here.step, here.passes, here.problems = here.epoch + 1, 0, [], 0
        self.save()
        if folder is not None and not rank():
            write_log(folder, here.history, self.execution.tensorboard)


def _means(passes: list[tuple]) -> tuple[float, float]:
    """(loss, top-1) over the clips of passes, the same in whatever order they come."""
    clips = sum(count for _, _, count in passes)
    loss = math.fsum(loss * count for loss, _, count in passes)
    return loss / max(1, clips), sum(correct for _, correct, _ in passes) / max(1, clips)


def train_slowfast(
    model: nn.Module,
    train_loader: DataLoader,
    epochs: int = 196,
    *,
    recipe: Recipe = PYSLOWFAST,
    execution: Execution = Execution(),
    val_loader: DataLoader | None = None,
    folder: str | Path | None = None,
    on_epoch: Callable[[list[dict]], object] | None = None,
) -> list[dict]:
    """Train a model by a recipe on the device that is there, or under ``torchrun`` on many.

    Args:
        model: of this library; ends in eval mode, with the last step's weights.
        train_loader: gives ``Batch`` or (clips, labels); clips (B, 3, alpha * T, H, W),
            bytes or normalised. ``training_loader`` makes one for any number of processes.
        epochs: fewer than the recipe's shorten its warm-up in proportion (34 / 196).
        recipe: what is done.
        execution: how it is computed.
        val_loader: see ``evaluation_loader``; the best weights are those best on it.
        folder: where ``last.pt``, ``best.safetensors`` and ``log.csv`` go. The same call
            again goes on where it was stopped, to the same weights bit for bit.
        on_epoch: called with the history after each epoch.

    Returns:
        One dict an epoch: rate, losses, accuracies, clips and seconds.

    Raises:
        ValueError: settings that do not go together, or another run's folder.
        OSError: the folder cannot be written to; what was saved stays.
        TrainingStopped: the loss is not finite; says at which step and why.
    """
    check_model(model)
    check_count("epochs", epochs)
    recipe = replace(recipe, schedule=recipe.schedule.lasting(epochs))
    with process_group():
        device = default_device()
        torch.manual_seed(execution.seed)
        apply_to_model(recipe, model)
        layout = torch.channels_last_3d if execution.channels_last else None
        model.to(device, memory_format=layout or torch.preserve_format)
        if execution.precision == "bf16" and device.type == "cpu":
            guard_short_clips(model)
        run = _Run(model, train_loader, recipe, execution, folder and Path(folder))
        _go_through(run, val_loader, on_epoch)
        return run.progress.history


def _go_through(
    run: _Run, val_loader: DataLoader | None, on_epoch: Callable | None
) -> None:
    """All epochs that are not done yet, with a bar over all steps."""
    here, epochs = run.progress, run.recipe.schedule.epochs
    done = here.epoch * run.steps + here.step
    hidden = bool(rank()) or not run.execution.progress
    with tqdm(total=epochs * run.steps, initial=done, unit="step", disable=hidden) as bar:
        while here.epoch < epochs:
            bar.set_description(f"epoch {here.epoch + 1}/{epochs}")
            row = run.train_epoch(bar)
            run.finish_epoch(row, val_loader)
            if on_epoch is not None:
                on_epoch(here.history)
    run.model.eval()
