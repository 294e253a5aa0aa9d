"""One step of training: forward and backward passes, and what the optimiser does."""

import math
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.data.transforms import normalize
from slowfast_edu.models import example_clip
from slowfast_edu.training.batches import mix
from slowfast_edu.training.distributed import rank, world_size
from slowfast_edu.training.precision import PRECISIONS, autocast
from slowfast_edu.training.recipe import Recipe, parameter_groups


class TrainingStopped(FloatingPointError):
    """Training cannot go on; the message says at which step and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """How a recipe is computed: what changes time and memory, and rounding at most.

    Attributes:
        seed: of first weights, order and dropout.
        precision: "float32", or mixed with "bf16" or "fp16" (whose loss is scaled).
        channels_last: keep channels innermost in memory, which wide layers are faster with.
        compile: ``torch.compile`` the model: a minute or more before the first step.
        accumulate: batches of a loader of one's own that make one step of this process;
            ``training_loader`` knows by itself.
        save_every_steps: how often to save within an epoch; each epoch's end always is.
        evaluate_every_epochs: how often to look at the validation set.
        tensorboard: also log for TensorBoard (``pip install tensorboard``).
        progress: show a bar.

    Raises:
        ValueError: a value out of range.
    """

    seed: int = 0
    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False
    accumulate: int | None = None
    save_every_steps: int = 500
    evaluate_every_epochs: int = 1
    tensorboard: bool = False
    progress: bool = True

    def __post_init__(self):
        check_choice("precision", self.precision, PRECISIONS)
        check_count("seed", self.seed, 0)
        if self.accumulate is not None:
            check_count("accumulate", self.accumulate)
        check_count("save_every_steps", self.save_every_steps)
        check_count("evaluate_every_epochs", self.evaluate_every_epochs)


def loss_of(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of one label a clip; per-class sigmoid's of several."""
    if labels.is_floating_point():
        return F.binary_cross_entropy_with_logits(scores.float(), labels)
    return F.cross_entropy(scores.float(), labels)


def correct_of(scores: Tensor, labels: Tensor) -> int:
    """Clips whose highest score is a right one."""
    best = scores.argmax(dim=1)
    if labels.is_floating_point():
        return int(labels.gather(1, best[:, None]).sum())
    return int((best == labels).sum())


@contextmanager
def _without_running_statistics(model: nn.Module):
    """BN normalises with the batch as before, and keeps its running statistics."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm3d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


class Stepper:
    """One optimiser step on the clips of several passes and processes.

    BN's running statistics are those of the first pass of rank 0, whatever the number of
    passes and processes; in training they are not used. Dropout is drawn from (seed,
    step, pass). So a step on two processes and one that accumulates over the same two
    passes are equal bit for bit.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, execution: Execution, passes: int):
        self.model, self.recipe, self.execution = model, recipe, execution
        self.passes, self.device = passes, next(model.parameters()).device
        self.optimizer = torch.optim.SGD(
            parameter_groups(recipe, model),
            lr=recipe.schedule.warmup_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
        )
        scaled = execution.precision == "fp16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        network = torch.compile(model) if execution.compile else model
        self.network = network
        if world_size() > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.network = DistributedDataParallel(network, ids, broadcast_buffers=False)

    def __call__(self, batches: list, step: int, rate: float) -> list[tuple]:
        """Learn from one step's passes.

        Returns:
            (loss, correct clips, clips) of each pass of this process.

        Raises:
            TrainingStopped: a loss that is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        results = []
        for number, batch in enumerate(batches):
            torch.manual_seed(
                mix(self.execution.seed, step, rank() * self.passes + number, 1)
            )
            with self._context(number):
                loss, result = self._forward(batch)
                self.scaler.scale(loss / self.passes).backward()
            if not math.isfinite(result[0]):
                raise TrainingStopped(_why_not_finite(self.model, batch, step, rate))
            results.append(result)
        if self.recipe.clip_grad_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return results

    @contextmanager
    def _context(self, number: int):
        """Processes exchange gradients in the last pass only; BN counts the first."""
        several = isinstance(self.network, DistributedDataParallel)
        wait = several and number < self.passes - 1
        alone: AbstractContextManager = self.network.no_sync() if wait else nullcontext()
        keep = _without_running_statistics(self.model) if number else nullcontext()
        with alone, keep:
            yield

    def _forward(self, batch) -> tuple[Tensor, tuple]:
        if not len(batch[0]):
            return self._nothing()
        clips, labels = self.prepare(batch[0]), batch[1].to(self.device, non_blocking=True)
        with autocast(self.execution.precision, self.device):
            scores = self.network(clips)
        loss = loss_of(scores, labels)
        return loss, (float(loss.detach()), correct_of(scores, labels), len(clips))

    def prepare(self, clips: Tensor) -> Tensor:
        """Clips as the model takes them: on its device, normalised, in its layout."""
        clips = clips.to(self.device, non_blocking=True)
        if clips.dtype == torch.uint8:
            clips = normalize(clips)
        if self.execution.channels_last:
            clips = clips.contiguous(memory_format=torch.channels_last_3d)
        return clips

    def _nothing(self) -> tuple[Tensor, tuple]:
        """A pass whose files were all bad adds nothing; other processes wait for that."""
        clip = example_clip(self.model.config, self.recipe.augmentation.size, self.device)
        with _without_running_statistics(self.model):
            scores = self.network(torch.cat([clip, clip]))
        return 0 * scores.sum(), (0.0, 0, 0)


def _why_not_finite(model: nn.Module, batch, step: int, rate: float) -> str:
    """One line: at which step, and whether clips, weights or the step before did it."""
    where = f"the loss is not finite at step {step} (rate {rate:.3g})"
    for name, clip in zip(
        getattr(batch, "names", range(len(batch[0]))), batch[0], strict=True
    ):
        if clip.is_floating_point() and not clip.isfinite().all():
            return f"{where}: clip {name} holds numbers that are not finite"
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return (
                f"{where}: {name} is not finite since the step before; try a lower rate, a "
                "longer warm-up or clip_grad_norm"
            )
    return (
        f"{where}: clips and weights are finite, the scores overflow; try a lower rate, or "
        "precision='float32'"
    )
