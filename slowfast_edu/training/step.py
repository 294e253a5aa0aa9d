"""One step of training: forward and backward passes, and what the optimiser does."""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.data.batches import KeyframeBatch
from slowfast_edu.data.transforms import normalize
from slowfast_edu.models import Detector, example_clip
from slowfast_edu.training.batches import labels_of, mix
from slowfast_edu.training.distributed import default_device, rank, world_size
from slowfast_edu.training.precision import PRECISIONS, autocast, guard_short_clips
from slowfast_edu.training.recipe import Recipe, apply_to_model, parameter_groups

LESS = "try a lower rate, a longer warm-up or clip_grad_norm"


class TrainingStopped(FloatingPointError):
    """Training cannot go on; the message says at which step and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """How a recipe is computed: what changes time and memory, and rounding at most.

    Attributes:
        device: where to compute; a GPU if there is one by default.
        seed: of dropout, of the order of a plain shuffling loader, and of first weights
            that the recipe draws (initialization="torch").
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

    device: str | None = None
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
    """Mean cross-entropy of one label each; per-class sigmoid's of several, as of boxes."""
    if labels.is_floating_point():
        return F.binary_cross_entropy_with_logits(scores.float(), labels)
    return F.cross_entropy(scores.float(), labels)


def correct_of(scores: Tensor, labels: Tensor) -> Tensor:
    """How many clips or boxes have a right label as their highest score: a number, ()."""
    best = scores.argmax(dim=1)
    if labels.is_floating_point():
        return labels.gather(1, best[:, None]).sum()
    return (best == labels).sum()


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


def prepare_model(model: nn.Module, recipe: Recipe, execution: Execution) -> None:
    """What a model needs before its first step: dropout, first weights, place, layout."""
    device = torch.device(execution.device or default_device())
    apply_to_model(recipe, model)
    layout = torch.channels_last_3d if execution.channels_last else torch.preserve_format
    model.to(device, memory_format=layout)
    if execution.precision == "bf16" and device.type == "cpu":
        guard_short_clips(model)


class Stepper:
    """One optimiser step on the clips of several passes and processes.

    Every clip counts alike: a pass that is short of clips counts for less. Of keyframes
    every box of a pass counts alike, and a pass by its clips.

    BN's running statistics are those of the first pass of rank 0, whatever the number of
    passes and processes; in training they are not used. Dropout is drawn from (seed,
    step, pass). So a step on two processes and one that accumulates over the same two
    passes are equal bit for bit.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        execution: Execution,
        passes: int = 1,
        clips: int | None = None,
    ):
        """Set up the optimiser, and what exchanges gradients.

        Args:
            model: of this library, on its device.
            recipe: what is done.
            execution: how.
            passes: of a step on this process.
            clips: of a whole pass; the recipe's ``bn_clips`` by default.
        """
        self.model, self.recipe, self.execution = model, recipe, execution
        self.clips = clips or recipe.bn_clips
        self.passes, self.device = passes, next(model.parameters()).device
        self.optimizer = torch.optim.SGD(
            parameter_groups(recipe, model),
            lr=recipe.schedule.warmup_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
        )
        scaled = execution.precision == "fp16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.exchange = None
        if world_size() > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.exchange = DistributedDataParallel(model, ids, forward_sync_buffers=False)
        network = model if self.exchange is None else self.exchange
        self.network = torch.compile(network) if execution.compile else network

    def __call__(
        self, passes: Iterable[tuple[tuple, bool]], step: int, rate: float
    ) -> list[tuple]:
        """Learn from one step's passes.

        Args:
            passes: (a batch, whether it is the step's last) of each pass.
            step: its number, which dropout is drawn from.
            rate: the learning rate.

        Returns:
            (loss, correct, how many) of each pass of this process: clips, or boxes of
            keyframes.

        Raises:
            TrainingStopped: a loss that is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate_share"]
        self.optimizer.zero_grad(set_to_none=True)
        results, finite = [], []
        for number, (batch, last) in enumerate(passes):
            place = rank() * self.passes + number
            torch.manual_seed(mix(self.execution.seed, step, place, 1))
            with self._context(number, last):
                loss, correct = self._forward(batch)
                share = len(batch[0]) / self.clips / self.passes
                self.scaler.scale(share * loss).backward()
            results.append((loss.detach(), correct, len(labels_of(batch))))
            finite.append(_finite_clips(batch))
        # One look at the device a step: each would wait for all that it has to do.
        results = [(float(loss), int(correct), count) for loss, correct, count in results]
        if not all(math.isfinite(loss) for loss, _, _ in results):
            raise TrainingStopped(_why_not_finite(self.model, finite, step, rate))
        if self.recipe.clip_grad_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return results

    @contextmanager
    def _context(self, number: int, last: bool):
        """Processes exchange gradients in the last pass only; BN counts the first."""
        wait = self.exchange is not None and not last
        alone: AbstractContextManager = self.exchange.no_sync() if wait else nullcontext()
        keep = _without_running_statistics(self.model) if number else nullcontext()
        with alone, keep:
            yield

    def _forward(self, batch) -> tuple[Tensor, Tensor]:
        """(loss, how many clips or boxes are right) of a pass."""
        labels, boxes = labels_of(batch), getattr(batch, "boxes", None)
        if boxes is not None and not isinstance(self.model, Detector):
            raise TypeError(
                f"the loader gives boxes, and {type(self.model).__name__} takes none; "
                "train a Detector"
            )
        if not len(batch[0]) or not len(labels):
            return self._nothing()
        labels = labels.to(self.device, non_blocking=True)
        inputs = [self.prepare(batch[0])]
        if boxes is not None:
            inputs.append(boxes.to(self.device, non_blocking=True))
        with autocast(self.execution.precision, self.device):
            scores = self.network(*inputs)
        _check_labels(batch, *scores.shape)
        labels = labels if labels.is_floating_point() else labels.long()
        return loss_of(scores, labels), correct_of(scores.detach(), labels)

    def prepare(self, clips: Tensor) -> Tensor:
        """Clips as the model takes them: on its device, normalised, in its layout."""
        clips = clips.to(self.device, non_blocking=True)
        if clips.dtype == torch.uint8:
            clips = normalize(clips)
        if self.execution.channels_last:
            clips = clips.contiguous(memory_format=torch.channels_last_3d)
        return clips

    def _nothing(self) -> tuple[Tensor, Tensor]:
        """A pass without a clip or a box adds nothing; other processes wait for that."""
        clip = example_clip(self.model.config, self.recipe.augmentation.size, self.device)
        with _without_running_statistics(self.model):
            scores = self.network(torch.cat([clip, clip]))
        return 0 * scores.sum(), torch.zeros(())


def _check_labels(batch, count: int, classes: int) -> None:
    """Refuse labels that the model has no scores for; a GPU would only abort."""
    labels = labels_of(batch)
    wanted = (count, classes) if labels.is_floating_point() else (count,)
    if tuple(labels.shape) != wanted:
        what = "boxes" if isinstance(batch, KeyframeBatch) else "clips"
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} for {count} {what} and {classes} "
            f"classes; must be {wanted}"
        )
    if labels.is_floating_point() or (labels.min() >= 0 and labels.max() < classes):
        return
    raise ValueError(
        f"labels {int(labels.min())} to {int(labels.max())} were given, and the model has "
        f"{classes} classes: 0 to {classes - 1}"
    )


def check_finite(model: nn.Module, step: int) -> None:
    """Refuse to measure or save a model that a step has spoilt.

    Raises:
        TrainingStopped: a weight or a statistic of BN that is not finite; names it.
    """
    for name, values in model.state_dict().items():
        if not values.isfinite().all():
            raise TrainingStopped(f"{name} is not finite after step {step}; {LESS}")


def _finite_clips(batch) -> dict[str, bool]:
    """{name: whether the clip is finite}, of clips that are not bytes."""
    if not batch[0].is_floating_point():
        return {}
    names = getattr(batch, "names", range(len(batch[0])))
    finite = batch[0].flatten(1).isfinite().all(dim=1).tolist()
    return dict(zip(names, finite, strict=True))


def _why_not_finite(model: nn.Module, finite: list[dict], step: int, rate: float) -> str:
    """One line: at which step, and whether clips, weights or the step before did it."""
    where = f"the loss is not finite at step {step} (rate {rate:.3g})"
    for name, is_finite in (clip for clips in finite for clip in clips.items()):
        if not is_finite:
            return f"{where}: clip {name} holds numbers that are not finite"
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return f"{where}: {name} is not finite since the step before; {LESS}"
    return (
        f"{where}: clips and weights are finite, the scores overflow; try a lower rate, or "
        "precision='float32'"
    )
