"""``slowfast-edu bench``: it measures each task at each size, and says on what."""

from types import SimpleNamespace

import pytest

from slowfast_edu import bench
from slowfast_edu.bench import Rate, rendering_rates, rendering_table
from slowfast_edu.cli import main


class Timed:
    """A task of two cases on a clock of its own: its clips take these seconds."""

    cases = 2
    seconds = (0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 0.125, 0.125, 0.25)

    def __init__(self):
        self.now, self.asked = 0.0, []

    def render(self, case, rng, times, size):
        self.now += self.seconds[len(self.asked) % 12]
        self.asked.append((case, rng.random(), list(times) == list(range(64)), size))

    def __repr__(self):
        return "Timed()"


def test_rates_are_clips_a_second(monkeypatch):
    task = Timed()
    monkeypatch.setattr(bench, "TASKS", (task,))
    clock = SimpleNamespace(perf_counter=lambda: task.now)
    monkeypatch.setattr(bench, "time", clock)
    rates = list(rendering_rates(runs=4, clips=3))  # in 1, 1.5, 3 and 0.5 seconds
    assert rates == [Rate("Timed()", size, 2.5, 1.0, 6.0) for size in (64, 112)]
    assert [case for case, *_ in task.asked] == [0, 1, 0] * 8
    assert len({drawn for _, drawn, *_ in task.asked}) == 3  # other clips in a run
    assert all(whole for *_, whole, _ in task.asked)
    assert [size for *_, size in task.asked] == [64] * 12 + [112] * 12


def test_every_task_is_measured():
    told = {repr(task).split("(")[0] for task in bench.TASKS}
    assert told == {"Actions", "Spin", "Hue", "Binding", "Crowd"}


def test_a_rate_is_printed_with_its_range_and_its_aim():
    table = rendering_table([Rate("Spin()", 112, 50.4, 39.6, 60.3)])
    assert table.splitlines()[1].split() == ["Spin()", "112", "50", "40-60", "40"]


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


def test_training_is_measured_in_clips_a_cpu_second(monkeypatch):
    ticks = iter(range(100))
    clock = SimpleNamespace(process_time=lambda: 2.0 * next(ticks))  # 2 s between two looks
    monkeypatch.setattr(bench, "time", clock)
    steps = []
    monkeypatch.setattr(bench.Stepper, "__call__", lambda *args, **_: steps.append(args[1]))
    rate = bench.training_rate(runs=3, steps=2)
    assert rate == (16.0, 16.0, 16.0)  # 2 steps of 16 clips in 2 s
    assert len(steps) == (1 + 3) * 2  # the first run is not counted
    ((batch, last),) = steps[0]
    assert last and batch[0].shape == (16, 3, 16, 64, 64)


def test_the_rate_stands_beside_the_first_version_s(capsys, monkeypatch):
    monkeypatch.setattr(bench, "training_rate", lambda: bench.TrainingRate(12.34, 11, 13))
    assert main(["bench", "train"]) == 0
    header, *kept, now = capsys.readouterr().out.splitlines()
    assert "clips a CPU second" in header
    assert kept and kept[0].startswith("0.1.0, first version")
    assert now.startswith("now") and "12.3" in now and "11.0-13.0" in now


def test_training_really_trains():
    rate = bench.training_rate(runs=1, steps=1)
    assert 1 < rate.median < 10_000
