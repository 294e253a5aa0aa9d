"""Settings for all tests."""

import os

import pytest
import torch
from hypothesis import settings

from slowfast_edu.data import decode
from slowfast_edu.data.figures import scene, tasks, wheels

if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core already
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start

# The same examples on each run and no time limit an example: a slow machine is no bug.
settings.register_profile("course", deadline=None, derandomize=True, database=None)
settings.load_profile("course")


@pytest.fixture
def brushes(monkeypatch):
    """What is handed to the brush, in order."""
    found = []
    for module in (scene, wheels):
        monkeypatch.setattr(module, "paint", lambda _, parts: found.extend(parts))
    return found


@pytest.fixture
def decoded(monkeypatch):
    """Numbers of frames that the decoder gives, in order."""
    seen, original = [], decode._numbered

    def counting(*arguments):
        for found in original(*arguments):
            seen.append(found[0])
            yield found

    monkeypatch.setattr(decode, "_numbered", counting)
    return seen


@pytest.fixture
def painted_figures(monkeypatch):
    """Who was painted, in order, with the box that each got."""
    seen, paint = [], tasks.paint_performer

    def paint_and_tell(video, who, camera, times, **style):
        box = paint(video, who, camera, times, **style)
        seen.append((who, box))
        return box

    monkeypatch.setattr(tasks, "paint_performer", paint_and_tell)
    return seen
