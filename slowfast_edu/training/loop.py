"""The training run: epochs of steps, each epoch measured, logged and saved."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from slowfast_edu.checkpoints import about_of, as_metadata, save_checkpoint
from slowfast_edu.checks import check_model
from slowfast_edu.training.batches import (
    batches_a_step,
    check_loader,
    clips_a_batch,
    epoch_of,
    in_passes,
)
from slowfast_edu.training.begun import begun_with
from slowfast_edu.training.detection import check_validation
from slowfast_edu.training.distributed import (
    gather,
    process_group,
    rank,
    world_size,
)
from slowfast_edu.training.evaluation import evaluate
from slowfast_edu.training.log import check_tensorboard, write_log
from slowfast_edu.training.pace import Pace
from slowfast_edu.training.precision import PRECISIONS
from slowfast_edu.training.recipe import PYSLOWFAST, Recipe, learning_kept, set_train_mode
from slowfast_edu.training.saving import (
    BEST,
    Progress,
    check_folder,
    load_state,
    means_of,
    save_state,
    writing,
)
from slowfast_edu.training.statistics import share_statistics
from slowfast_edu.training.step import Execution, Stepper, check_finite, prepare_model


class _Run:
    """A model in training: what ``train_slowfast`` sets up and goes through."""

    def __init__(self, model, loader, recipe, execution, folder):
        self.model, self.loader, self.recipe = model, loader, recipe
        self.execution = execution
        self.folder = None if folder is None else Path(folder)
        check_loader(loader, recipe.bn_clips)
        self.batches = batches_a_step(loader, execution.accumulate)
        self.steps = len(loader) // self.batches  # of one epoch
        if not self.steps:
            raise ValueError(
                f"the loader gives {len(loader)} batches an epoch, and one step takes "
                f"{self.batches}; give more clips or accumulate less"
            )
        each = clips_a_batch(loader)
        self.batch = each * self.batches * world_size()
        self.clips = min(each, recipe.bn_clips)
        passes = self.batches * each // self.clips
        self.stepper = Stepper(model, recipe, execution, passes, self.clips)
        self.progress = Progress()
        if execution.tensorboard:
            check_tensorboard(self.folder)
        if folder is not None:
            check_folder(self.folder)
            self._resume()

    def _told(self) -> dict[str, str]:
        """What a run goes on with only if it is the same: what else decides the weights.

        Precision and machine may change on the way; the clips' transform is the caller's.
        """
        told = {name: getattr(self.recipe, name) for name in self.recipe.__slots__}
        told |= {"model": self.model.config, "batch": self.batch}
        told |= {"clips": len(self.loader.dataset), "seed": self.execution.seed}
        told["clips of a pass"] = self.clips
        told["seed of the loader"] = getattr(self.loader.batch_sampler, "seed", None)
        told["about"] = about_of(self.model)
        told["weights"] = sum(weight.numel() for weight in self.model.parameters())
        return {name: repr(value) for name, value in told.items()} | self.begun

    def _resume(self) -> None:
        if not rank():
            self.begun = begun_with(self.model, self.loader.dataset, self.folder)
        state = [None if rank() else load_state(self.folder, self._told())]
        if world_size() > 1:  # rank 0 alone may see the disk
            dist.broadcast_object_list(state)
        (state,) = state
        if state is None:
            self.save()  # so that a rerun begins with the same weights
            return
        self.model.load_state_dict(state["model"])
        self.stepper.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty if it was saved in another precision
            self.stepper.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        if rank():  # rank 0 goes on with what all ranks had counted
            self.progress.passes, self.progress.problems = [], 0
        elif self.progress.history:  # it may have been stopped just before it wrote these
            write_log(self.folder, self.progress.history)

    def save(self) -> None:
        """Write all that is needed to go on; on rank 0, with what all ranks counted."""
        self.check_finite()
        passes, unread = self._counted()
        if self.folder is None or rank():
            return
        state = {
            "model": self.model.state_dict(),
            "metadata": as_metadata(self.model.config, about_of(self.model)),
            "optimizer": self.stepper.optimizer.state_dict(),
            "scaler": self.stepper.scaler.state_dict(),
            "progress": asdict(self.progress) | {"passes": passes, "problems": unread},
            "told": self._told(),
        }
        save_state(self.folder, state)

    def check_finite(self) -> None:
        """Stop if the last step, or the statistics since, spoilt the model."""
        check_finite(self.model, self.progress.epoch * self.steps + self.progress.step - 1)

    def train_epoch(self, bar) -> dict[str, float]:
        """All steps of an epoch that are not done yet; returns the epoch's row."""
        here = self.progress
        set_train_mode(self.recipe, self.model)
        batches = epoch_of(
            self.loader, self.execution.seed, here.epoch, here.step * self.batches
        )
        pace = Pace(self.batch)
        while here.step < self.steps:
            rate, number = self.rate(), here.epoch * self.steps + here.step
            with pace.step():
                here.passes += self.stepper(self._passes(batches, pace), number, rate)
            here.step += 1
            loss, correct = means_of(here.passes[-50 * self.stepper.passes :])
            bar.set_postfix_str(
                f"loss {loss:.3f}, top-1 {correct:.1%}, rate {rate:.3g}, {pace}",
                refresh=False,
            )
            bar.update()
            if here.step % self.execution.save_every_steps == 0 and here.step < self.steps:
                self.save()
        passes, unread = self._counted()
        if not any(clips for _, _, clips in passes):
            raise ValueError(
                f"none of {unread} clips could be read; load with bad='raise', or run "
                "slowfast-edu inspect, to see why"
            )
        loss, correct = means_of(passes)
        rate = self.rate(step=self.steps - 1)
        row = {"rate": rate, "train_loss": loss, "train_top1": correct, "unread": unread}
        return row | pace.row()

    def _passes(self, batches: Iterator, pace: Pace) -> Iterator[tuple[tuple, bool]]:
        """One step's passes, each with whether it is the last; read one by one."""
        for number in range(self.batches):
            with pace.waiting():
                batch = next(batches)
            self.progress.problems += len(getattr(batch, "problems", ()))
            passes = in_passes(batch, self.clips)
            for place, one in enumerate(passes):
                yield one, number == self.batches - 1 and place == len(passes) - 1

    def _counted(self) -> tuple[list, int]:
        """(passes of all ranks in this epoch, clips that none could read)."""
        shares = gather((self.progress.passes, self.progress.problems))
        passes = [one for own, _ in shares for one in own]
        return passes, sum(unread for _, unread in shares)

    def rate(self, step: int | None = None) -> float:
        """The learning rate of a step of this epoch, by default the one that comes."""
        step = self.progress.step if step is None else step
        epoch = self.progress.epoch + step / self.steps
        return self.recipe.schedule.rate(epoch, self.batch)

    def finish_epoch(self, row: dict[str, float], val_loader: DataLoader | None) -> None:
        """Evaluate if it is time, keep the best weights, save, log."""
        here, folder = self.progress, self.folder
        last = here.epoch + 1 == self.recipe.schedule.epochs
        due = (here.epoch + 1) % self.execution.evaluate_every_epochs == 0
        due = last or (due and val_loader is not None)
        if due:
            self.save()  # what follows may take long, or fail
            share_statistics(self.stepper, self.loader, here.epoch, self.steps)
            self.check_finite()
        if due and val_loader is not None:
            dtype = PRECISIONS[self.execution.precision]
            found = evaluate(
                self.model, val_loader, device=self.stepper.device, autocast_dtype=dtype
            ).summary()
            row |= {f"val_{name}": value for name, value in found.items()}
            score = next(iter(found.values()))  # top-1, or mAP
            if score > here.best:
                here.best = score
                if folder is not None and not rank():
                    with writing(folder / BEST):
                        save_checkpoint(self.model, folder / BEST)
        here.history.append({"epoch": here.epoch + 1} | row)
        here.epoch, here.step, here.passes, here.problems = here.epoch + 1, 0, [], 0
        self.save()
        if folder is not None and not rank():
            write_log(folder, here.history, self.execution.tensorboard)


def train_slowfast(
    model: nn.Module,
    train_loader: DataLoader,
    epochs: int | None = None,
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
        epochs: the recipe's by default, 196. Fewer shorten its warm-up in proportion
            (34 / 196).
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
    check_validation(model, val_loader)
    if epochs is not None:
        recipe = replace(recipe, schedule=recipe.schedule.lasting(epochs))
    with process_group(), learning_kept(model):
        torch.manual_seed(execution.seed)
        prepare_model(model, recipe, execution)
        # The run has no name here, so that it is gone, and DDP with it, before the group.
        return _go_through(
            _Run(model, train_loader, recipe, execution, folder), val_loader, on_epoch
        )


def _go_through(
    run: _Run, val_loader: DataLoader | None, on_epoch: Callable | None
) -> list[dict]:
    """All epochs that are not done yet, with a bar over all steps; returns the history."""
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
    return here.history
