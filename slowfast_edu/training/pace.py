"""How fast a run goes, and what it waits for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Pace:
    """Seconds of an epoch: waiting for data, and all else.

    On a GPU the step's only look at its results is what waits for it, so that the share
    is right to within one step.

    >>> pace = Pace(batch=64)
    >>> with pace.step(), pace.waiting():
    ...     time.sleep(0.01)
    >>> pace.row()["data_seconds"] > 0.009
    True
    """

    def __init__(self, batch: int):
        """Begin at zero.

        Args:
            batch: clips of a step, over all processes.
        """
        self.batch, self.steps = batch, 0
        self.seconds = self.data_seconds = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a whole step."""
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started
        self.steps += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what waits for data, within a step."""
        started = time.perf_counter()
        yield
        self.data_seconds += time.perf_counter() - started

    def __str__(self) -> str:
        row = self.row()
        waiting = self.data_seconds / (self.seconds or 1)
        return f"{row['clips_per_second']:.1f} clips/s, {waiting:.0%} waiting for data"

    def row(self) -> dict[str, float]:
        """For the log: clips a second, and seconds of data and of computing."""
        return {
            "clips_per_second": self.steps * self.batch / (self.seconds or 1),
            "data_seconds": self.data_seconds,
            "compute_seconds": self.seconds - self.data_seconds,
        }
