"""Costs counted by fvcore on a running model, per pathway and per stage."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from slowfast_edu.checks import check_model
from slowfast_edu.models.inputs import example_clip

# fvcore's names of the operators that the paper's "FLOPs" are made of.
MAC_OPERATORS = ("conv", "linear", "matmul", "bmm")
PATHWAY_ORDER = ("slow", "fast", "lateral", "backbone", "head")


class Cost(NamedTuple):
    """One part's cost for one clip.

    ``macs`` counts multiply-adds of convolutions, linear layers and matrix products;
    ``total`` is fvcore's, which also has batch normalisation at 2 per element.
    """

    macs: int
    total: int

    @property
    def gmacs(self) -> float:
        return self.macs / 1e9

    @property
    def gtotal(self) -> float:
        return self.total / 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class FlopCount:
    """What ``count_flops`` found, for one clip of one crop.

    Attributes:
        model: cost of everything.
        by_pathway: "slow", "fast", "lateral" and "head", or "backbone" and "head".
        by_stage: "slow.conv1", "slow.res2", "lateral.pool1", ..., "head".
        unsupported: operators that fvcore does not count, and how often they occur.
    """

    model: Cost
    by_pathway: dict[str, Cost]
    by_stage: dict[str, Cost]
    unsupported: dict[str, int] = field(default_factory=dict)

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions, linear layers and matrix products."""
        return self.model.macs

    @property
    def gmacs(self) -> float:
        """``macs`` in units of 1e9: what the paper calls GFLOPs."""
        return self.model.gmacs

    @property
    def total(self) -> int:
        """Fvcore's total; 0.4 to 0.7% above ``macs`` for these models."""
        return self.model.total


def _cost(operators: Counter) -> Cost:
    macs = sum(operators.get(name, 0) for name in MAC_OPERATORS)
    return Cost(int(macs), int(sum(operators.values())))


def _stage_names(model: nn.Module) -> list[str]:
    """Two levels deep under the pathways, one for the head."""
    names = []
    for pathway, module in model.named_children():
        if pathway == "head":
            names.append("head")
        else:
            names += [f"{pathway}.{name}" for name, _ in module.named_children()]
    return names


def count_flops(model: nn.Module, crop: int = 256) -> FlopCount:
    """Run fvcore's counter on the model and sort the cost by pathway and stage.

    The clip has as many frames as ``model.config`` says. Nothing of the model changes:
    it is counted in eval mode under ``no_grad``, and put back.

    Args:
        model: a model of this library.
        crop: height and width in pixels; the paper's figures are at 256.

    Returns:
        Multiply-adds (``.gmacs``, the paper's unit) and fvcore's total, in all and per
        part.

    Raises:
        TypeError: the model is not one of this library's (it has no ``config``).
        ValueError: a crop below 32.
    """
    from fvcore.nn import FlopCountAnalysis  # slow to import

    check_model(model)
    device = next(model.parameters()).device
    clip = example_clip(model.config, crop, device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            analysis = FlopCountAnalysis(model, (clip,))
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            analysis.tracer_warnings("none")
            counts = analysis.by_module_and_operator()
            unsupported = dict(analysis.unsupported_ops())
    finally:
        model.train(was_training)
    pathways = [name for name in PATHWAY_ORDER if hasattr(model, name)]
    present = [name for name in pathways if counts.get(name)]
    return FlopCount(
        model=_cost(counts[""]),
        by_pathway={name: _cost(counts[name]) for name in present},
        by_stage={n: _cost(counts[n]) for n in _stage_names(model) if counts.get(n)},
        unsupported=unsupported,
    )
