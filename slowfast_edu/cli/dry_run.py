"""What ``slowfast-edu train --dry-run`` prints."""

import argparse
import math

import torch
from torch import nn
from torch.utils.data import DataLoader

from slowfast_edu.analysis import closed_form_macs
from slowfast_edu.cli.clips import FIGURES
from slowfast_edu.cli.train import name_of
from slowfast_edu.training import Execution, Recipe
from slowfast_edu.training.batches import clips_a_batch
from slowfast_edu.training.distributed import default_device, world_size
from slowfast_edu.training.preview import preview


def _duration(seconds: float) -> str:
    """A time as one would say it.

    >>> _duration(90), _duration(90 * 60), _duration(90 * 3600)
    ('90 s', '90 min', '3.75 days')
    """
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.3g} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 86400:.3g} days"


def told(
    arguments: argparse.Namespace,
    model: nn.Module,
    loader: DataLoader,
    recipe: Recipe,
    execution: Execution,
) -> str:
    """Model, cost, schedule, expected memory and time, from a few timed passes."""
    found = preview(model, loader, recipe, execution)
    config, schedule, size = model.config, recipe.schedule, arguments.size
    parameters = sum(p.numel() for p in model.parameters())
    gmacs = closed_form_macs(config, crop=size) / 1e9
    clips, device = arguments.batch, default_device()
    own = arguments.data.startswith(FIGURES)
    held_out = "its own" if own else arguments.val or "none"
    warm = schedule.warmup_epochs
    last = schedule.epochs - 1 / found.steps
    rates = [schedule.rate(epoch, clips) for epoch in (0, warm, last)]
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    total = found.epoch_seconds * schedule.epochs
    rows = {
        "model": f"{name_of(arguments, config)}, {parameters:,} parameters, {gmacs:.3g} "
        f"GMACs a clip of {config.clip.fast_frames} frames of {size}x{size}",
        "data": f"{arguments.data}, {len(loader.dataset):,} clips an epoch; validation: "
        f"{held_out}",
        "recipe": f"{arguments.recipe}, {schedule.epochs} epochs of {found.steps:,} steps "
        f"of {clips} clips: {world_size()} processes x {found.passes} passes x "
        f"{clips_a_batch(loader)} clips",
        "rate": f"{rates[0]:.4g}, after {warm:.4g} epochs of warm-up {rates[1]:.4g}, in "
        f"the last step {rates[2]:.3g}",
        "device": f"{device}{threads}, {execution.precision}",
        "memory": "not known on this system"
        if math.isnan(found.memory_bytes)
        else f"about {found.memory_bytes / 2**30:.1f} GiB",
        "time": f"a step {_duration(found.step_seconds)} (its clips are loaded in "
        f"{_duration(found.load_seconds)} by {max(1, loader.num_workers)} at a time), an "
        f"epoch {_duration(found.epoch_seconds)}, all {_duration(total)}, without tests",
    }
    return "\n".join(f"{name:<8}{text}" for name, text in rows.items())
