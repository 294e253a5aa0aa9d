"""What this machine does in a second: ``slowfast-edu bench``."""

import csv
import os
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import torch

from slowfast_edu.data.figures import Actions, Binding, Crowd, Hue, Spin
from slowfast_edu.models import build_model
from slowfast_edu.training import PYSLOWFAST, Execution
from slowfast_edu.training.machine import machine
from slowfast_edu.training.step import Stepper

RAW_FRAMES = 64  # of a clip: T * tau of 4x16 and 8x8
TO_BEAT = {64: 100, 112: 40}  # clips a second on one core, at this many pixels
TRAINED_CLIPS = 16
TASKS = (Actions(), Actions(style="point_light"), Spin(), Hue(), Binding(), Crowd())


class Rate(NamedTuple):
    """How fast a task is rendered: the median, the least and the most of some runs."""

    task: str
    size: int
    median: float
    least: float
    most: float


def rendering_rates(runs: int = 5, clips: int = 20) -> Iterator[Rate]:
    """Render clips of 64 raw frames in one process; one ``Rate`` a task and size.

    Args:
        runs: of which the median is taken.
        clips: rendered in each run.
    """
    times = np.arange(RAW_FRAMES)
    for size in TO_BEAT:
        for task in TASKS:
            rates = []
            for _ in range(runs):
                start = time.perf_counter()
                for number in range(clips):
                    rng = np.random.default_rng(number)
                    task.render(number % task.cases, rng, times, size)
                rates.append(clips / (time.perf_counter() - start))
            yield Rate(repr(task), size, statistics.median(rates), min(rates), max(rates))


def rendering_table(rates: list[Rate]) -> str:
    """The rates as text, beside what is to be beaten, and on which machine they are."""
    lines = [
        f"{'task, 64 raw frames':<52}{'pixels':>7}{'clips/s':>9}{'range':>12}{'aim':>6}"
    ]
    for name, size, median, least, most in rates:
        extent = f"{least:.0f}-{most:.0f}"
        lines.append(f"{name:<52}{size:>7}{median:>9.0f}{extent:>12}{TO_BEAT[size]:>6}")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    lines.append(f"One process on {machine}, {versions}.")
    return "\n".join(lines)


class TrainingRate(NamedTuple):
    """Clips trained on per second of CPU time: the median, least and most of some runs."""

    median: float
    least: float
    most: float


def training_rate(runs: int = 5, steps: int = 4) -> TrainingRate:
    """Train ``slowfast_tiny`` on random clips: 16 a step, 16 frames of 64 pixels, float32.

    Args:
        runs: of which the median is taken, after one that is not counted.
        steps: of each run.
    """
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = build_model("slowfast_tiny", num_classes=10).train()
    recipe = replace(PYSLOWFAST, bn_clips=TRAINED_CLIPS)
    stepper = Stepper(model, recipe, Execution(device="cpu"))
    clips = torch.randn(TRAINED_CLIPS, 3, 16, 64, 64)
    batch = clips, torch.arange(TRAINED_CLIPS) % 10
    rates = []
    for _ in range(runs + 1):
        start = time.process_time()
        for step in range(steps):
            stepper([(batch, True)], step, rate=0.01)
        rates.append(steps * TRAINED_CLIPS / (time.process_time() - start))
    torch.set_num_threads(threads)
    rates = rates[1:]
    return TrainingRate(statistics.median(rates), min(rates), max(rates))


def training_table(rate: TrainingRate) -> str:
    """The rate as text, beside those that are kept of earlier versions."""
    lines = [f"{'slowfast_tiny, clips a CPU second':<36}{'median':>8}  range"]
    kept = (files("slowfast_edu.results") / "bench_train.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(kept.splitlines()):
        lines.append(
            f"{row['version']:<36}{row['median']:>8}  {row['range']}, on {row['machine']}"
        )
    lines.append(
        f"{'now':<36}{rate.median:>8.1f}  {rate.least:.1f}-{rate.most:.1f}, on {machine()}"
    )
    return "\n".join(lines)
