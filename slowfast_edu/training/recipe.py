"""What a training run does, as data: the two named recipes and all their ingredients."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Real
from types import MappingProxyType

from torch import nn

from slowfast_edu.checks import check_choice, check_count, check_kind
from slowfast_edu.config import ModelConfig
from slowfast_edu.data.transforms import TrainTransform
from slowfast_edu.training.schedule import Schedule, check_positive

HEAD = "head."  # how the names of the classifier's parameters begin
KINETICS_SCHEDULE, KINETICS_CROPS = Schedule(), TrainTransform()
DECAYS = ("all", "not_bn", "weights")
INITIALIZATIONS = ("he", "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides what is learnt; defaults are PySlowFast's for 8x8 R50.

    Attributes:
        schedule: epochs and learning rates.
        momentum: of SGD.
        nesterov: Nesterov's form of it. PySlowFast's default; the paper does not say.
        weight_decay: added to the gradients, times the weights.
        decays: which weights: "all", "not_bn" (all but BN's), or "weights" (neither BN's
            nor biases).
        initialization: "he" (the models' own) or "torch" (PyTorch's default).
        zero_last_bn: BN behind each block's last convolution starts at weight 0, so that
            a block begins as its shortcut.
        dropout: rate before the classifier.
        bn_clips: clips over which BN takes its statistics, and so of one forward pass.
        precise_bn_batches: passes over which BN's statistics are averaged anew before each
            evaluation; 0 takes the running ones.
        frozen_bn: BN normalises with the statistics it came with, in training too: for
            fine-tuning on few clips. Its weights still learn.
        clip_grad_norm: largest norm of all gradients together, or None.
        augmentation: size jitter, crop and flip: the ``transform`` of the data set.

    Raises:
        ValueError: a value out of range.
    """

    schedule: Schedule = KINETICS_SCHEDULE
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    decays: str = "not_bn"
    initialization: str = "he"
    zero_last_bn: bool = True
    dropout: float = 0.5
    bn_clips: int = 8
    precise_bn_batches: int = 200
    frozen_bn: bool = False
    clip_grad_norm: float | None = None
    augmentation: TrainTransform = KINETICS_CROPS

    def __post_init__(self):
        check_kind("schedule", self.schedule, Schedule)
        check_kind("augmentation", self.augmentation, TrainTransform)
        check_choice("decays", self.decays, DECAYS)
        check_choice("initialization", self.initialization, INITIALIZATIONS)
        check_count("bn_clips", self.bn_clips)
        check_count("precise_bn_batches", self.precise_bn_batches, 0)
        if self.clip_grad_norm is not None:
            check_positive("clip_grad_norm", self.clip_grad_norm)
        for name in ("nesterov", "zero_last_bn", "frozen_bn"):
            check_choice(name, getattr(self, name), (True, False))
        for name in ("momentum", "weight_decay", "dropout"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= value < 1:
                raise ValueError(f"{name}={value!r} must be a number in [0, 1)")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0, such as 0.9")


PYSLOWFAST = Recipe()
# 8k iterations of 1024 clips are 34.1 epochs of Kinetics-400's 240k; the paper does not say
# with which rate they begin: a tenth, as in PySlowFast.
PAPER = Recipe(
    schedule=Schedule(
        epochs=196,
        warmup_epochs=8000 * 1024 / 240_000,
        base_rate=1.6,
        base_batch=1024,
        warmup_rate=0.16,
    ),
    nesterov=False,
    decays="all",
    zero_last_bn=False,
    precise_bn_batches=0,
)

RECIPES = MappingProxyType({"paper": PAPER, "pyslowfast": PYSLOWFAST})
"""By name. The paper is silent on which weights decay: "all" is SGD's plain form."""


def recipe_for(name: str, config: ModelConfig) -> Recipe:
    """A named recipe as it is stated for a model.

    The paper trains for 256 epochs where T <= 4, and scales R101's clips up to 340 pixels
    (appendix). It begins 16x8 with the weights of 8x8, and for half the epochs, which is
    left to the caller. Which frames a clip has is the model's ``frame_rule``, not the
    recipe's.

    Raises:
        ValueError: an unknown name.
    """
    check_choice("recipe", name, RECIPES)
    recipe = RECIPES[name]
    if name == "paper" and config.clip.T <= 4:
        recipe = replace(recipe, schedule=recipe.schedule.lasting(256))
    if name == "paper" and getattr(config, "depth", 50) == 101:
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, most=340))
    return recipe


def is_fresh(model: nn.Module) -> bool:
    """Whether no BN layer has seen a clip: weights that were trained are not drawn anew."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm3d)]
    return all(not m.running_mean.any() and bool((m.running_var == 1).all()) for m in norms)


def apply_to_model(recipe: Recipe, model: nn.Module) -> None:
    """Set dropout, what is frozen, and if the model is fresh its first weights.

    Raises:
        ValueError: what is to be frozen was never trained.
    """
    share, fresh = recipe.schedule.backbone_share, is_fresh(model)
    if fresh and (not share or recipe.frozen_bn):
        what = "frozen_bn=True" if share else f"backbone_share={share}"
        raise ValueError(
            f"{what} freezes what nothing has trained; load weights first (--init), or "
            "leave it out"
        )
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    if not share:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(HEAD))
    if not fresh:
        return
    for name, module in model.named_modules():
        if recipe.initialization == "torch" and isinstance(module, nn.Conv3d | nn.Linear):
            module.reset_parameters()
        if recipe.zero_last_bn and name.endswith(".c_bn"):
            nn.init.zeros_(module.weight)


@contextmanager
def learning_kept(model: nn.Module) -> Iterator[None]:
    """Afterwards each parameter learns, or not, as before: a recipe freezes for a run."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, learns in before:
            parameter.requires_grad_(learns)


def set_train_mode(recipe: Recipe, model: nn.Module) -> None:
    """``model.train()``, but for BN that is frozen."""
    model.train()
    if recipe.frozen_bn:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def parameter_groups(recipe: Recipe, model: nn.Module) -> list[dict]:
    """The model's parameters for SGD, by whether they decay and how fast they learn.

    Returns:
        One dict a group, with ``rate_share``: of the schedule's rate.
    """
    groups: dict[tuple, list] = {}
    for prefix, module in model.named_modules():
        is_bn = isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name, parameter in module.named_parameters(recurse=False):
            is_head = f"{prefix}.{name}".startswith(HEAD)
            share = 1.0 if is_head else recipe.schedule.backbone_share
            spared = is_bn and recipe.decays != "all"
            spared |= name == "bias" and recipe.decays == "weights"
            if parameter.requires_grad:
                groups.setdefault((spared, share), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": 0.0 if spared else recipe.weight_decay,
            "rate_share": share,
        }
        for (spared, share), parameters in sorted(groups.items(), key=lambda g: g[0])
    ]
