"""``slowfast-edu bench``: it measures each task at each size, and says on what."""

import numpy as np
import pytest

from slowfast_edu import bench
from slowfast_edu.cli import main
from slowfast_edu.data.figures import Scene


class Slow:
    """A task that takes a hundredth of a second a clip."""

    cases = 1

    def render(self, case, rng, times, size):
        bench.time.sleep(0.01)
        assert len(times) == 64
        return Scene(np.zeros((64, size, size, 3), dtype=np.uint8), 0)

    def __repr__(self):
        return "Slow()"


def test_rates_are_clips_a_second(monkeypatch):
    monkeypatch.setattr(bench, "TASKS", (Slow(),))
    rates = list(bench.rendering_rates(runs=3, clips=2))
    assert [(rate.task, rate.size) for rate in rates] == [("Slow()", 64), ("Slow()", 112)]
    for rate in rates:
        assert rate.least <= rate.median <= rate.most
        assert 10 < rate.median <= 100  # one in 10 ms, or slower on a busy machine


def test_the_command_prints_every_task_beside_its_aim(monkeypatch, capsys):
    monkeypatch.setattr(bench, "TASKS", bench.TASKS[-2:])
    monkeypatch.setattr(bench.rendering_rates, "__defaults__", (1, 1))
    assert main(["bench", "data"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:5]] == ["100", "100", "40", "40"]
    assert "Crowd()" in lines[2]
    assert "cores" in lines[-1]


def test_what_is_not_measured_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "speed"])
    assert "data" in capsys.readouterr().err
