"""The trained ``slowfast_tiny`` that comes with the library, and where it breaks."""

import csv
import io
from importlib.resources import as_file, files
from typing import NamedTuple

from torch import nn

from slowfast_edu.checkpoints import load_model
from slowfast_edu.data.figures import Actions, FigureViews, MovingFigures
from slowfast_edu.training import evaluate, evaluation_loader
from slowfast_edu.training.metrics import wilson_interval

WEIGHTS, TABLE = "slowfast_tiny_actions.safetensors", "slowfast_tiny_actions.csv"
SIZE = 48  # pixels, as in training
COMMAND = (
    "slowfast-edu train --preset slowfast_tiny --data figures:actions --size 48 "
    "--clips 6000 --epochs 10 --batch 16 --seed 0 --workers 1 --views 1x1 --set "
    "base_rate=0.2 warmup_rate=0.02 bn_clips=16 precise_bn_batches=20 dropout=0 "
    "zero_last_bn=False"
)
# What it was trained on first; then what it never saw.
STYLES = ("clothed", "bright", "negative", "point_light")
VIEWS = (1, 4)


class Measured(NamedTuple):
    """Top-1 on unseen clips of one style, in percent, with its 95% interval (Wilson)."""

    style: str
    views: int
    clips: int
    top1: float
    low: float
    high: float


def load_shipped() -> nn.Module:
    """The trained model, in eval mode: ten actions, clips of 16 frames at 48 pixels.

    ``model.about`` names its classes; ``COMMAND`` made it on one thread.

    Shape: (B, 3, 16, 48, 48), normalised -> (B, 10).

    >>> load_shipped().about.size
    48
    """
    with as_file(files("slowfast_edu.results") / WEIGHTS) as path:
        return load_model(path)


def measure(model: nn.Module, style: str, views: int, clips: int = 2000) -> Measured:
    """Accuracy on unseen clips of a style, averaged over views of each video.

    Args:
        model: of ``load_shipped``.
        style: of ``Actions``.
        views: clips of each video whose softmax is averaged; 1 takes its first.
        clips: how many videos.
    """
    task = Actions(style=style)
    figures = MovingFigures(task, clips, model.config.clip, size=SIZE, split="test")
    unseen = FigureViews(figures, views) if views > 1 else figures
    found = evaluate(model, evaluation_loader(unseen, max(1, 50 // views)), device="cpu")
    top1 = found.summary()["top1"]
    low, high = wilson_interval(round(top1 * clips), clips)
    return Measured(style, views, clips, *(round(100 * x, 2) for x in (top1, low, high)))


def shipped_table() -> str:
    """All styles and views, measured now, as the text of ``results/`` + ``TABLE``."""
    model, text = load_shipped(), io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*Measured._fields, "command"])
    for style in STYLES:
        for views in VIEWS:
            writer.writerow([*measure(model, style, views), COMMAND])
    return text.getvalue()


def kept_measures() -> list[Measured]:
    """What is kept of ``shipped_table``."""
    text = (files("slowfast_edu.results") / TABLE).read_text(encoding="utf-8")
    rows = [list(row.values()) for row in csv.DictReader(text.splitlines())]
    return [
        Measured(style, int(views), int(clips), *map(float, figures))
        for style, views, clips, *figures, _ in rows
    ]
