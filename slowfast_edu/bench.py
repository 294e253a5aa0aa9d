"""What this machine does in a second: ``slowfast-edu bench``."""

import os
import platform
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from slowfast_edu.data.figures import Actions, Binding, Crowd, Hue, Spin

RAW_FRAMES = 64  # of a clip: T * tau of 4x16 and 8x8
TO_BEAT = {64: 100, 112: 40}  # clips a second on one core, at this many pixels
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
