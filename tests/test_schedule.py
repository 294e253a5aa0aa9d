"""The learning rate at every iteration, against closed forms written for this test."""

import math
from dataclasses import replace

import pytest
from training_script import QUIET, RECIPE, one_thread, tiny_loader, tiny_model, train

from slowfast_edu.config import PRESETS
from slowfast_edu.training import PAPER, PYSLOWFAST, Schedule, loop
from slowfast_edu.training.recipe import recipe_for
from slowfast_edu.training.step import Stepper


def pyslowfast_rate(n, steps, epochs=196, warmup=34, base=0.1, start=0.01):
    """PySlowFast's rule at iteration n, in numbers of iterations."""
    last, warm = epochs * steps, warmup * steps

    def cosine(iteration):
        return base * (1 + math.cos(math.pi * iteration / last)) / 2

    if n < warm:
        return start + (cosine(warm) - start) * n / warm
    return cosine(n)


def test_pyslowfast_at_every_iteration_of_batch_64():
    steps, schedule = 375, PYSLOWFAST.schedule  # a tenth of Kinetics-400's 3,750
    for n in range(196 * steps):
        found, expected = schedule.rate(n / steps, batch=64), pyslowfast_rate(n, steps)
        assert math.isclose(found, expected, rel_tol=1e-9), n


def test_pyslowfast_at_the_figures_that_are_known():
    rate = PYSLOWFAST.schedule.rate
    assert rate(0, 64) == 0.01
    assert rate(34, 64) == pytest.approx(0.0928, abs=5e-5)
    assert rate(195, 64) == pytest.approx(6.42e-6, abs=5e-9)
    assert rate(17, 64) == pytest.approx((0.01 + rate(34, 64)) / 2)  # a straight line
    assert rate(196, 64) == 0


def test_paper_at_every_iteration_of_batch_1024():
    clips, batch = 240_000, 1024
    last = 196 * clips / batch
    at_8000 = 1.6 * 0.5 * (math.cos(math.pi * 8000 / last) + 1)
    for n in range(math.ceil(last)):
        expected = 1.6 * 0.5 * (math.cos(math.pi * n / last) + 1)
        if n < 8000:
            expected = 0.16 + (at_8000 - 0.16) * n / 8000
        found = PAPER.schedule.rate(n * batch / clips, batch)
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-15), n
    assert PAPER.schedule.warmup_epochs == pytest.approx(34.13, abs=0.01)


@pytest.mark.parametrize("batch", [1, 8, 64, 256, 1024])
def test_a_tenth_at_64_clips_is_1_6_at_1024(batch):
    few = Schedule(base_rate=0.1, base_batch=64, warmup_rate=0.01)
    many = Schedule(base_rate=1.6, base_batch=1024, warmup_rate=0.16)
    for epoch in (0, 0.3, 20, 34, 34.5, 100, 195.99):
        one, other = few.rate(epoch, batch), many.rate(epoch, batch)
        assert one == pytest.approx(other, rel=1e-12)
        assert one == pytest.approx(few.rate(epoch, 64) * batch / 64, rel=1e-12)


def test_more_epochs_keep_the_warmup():
    assert Schedule().lasting(392) == Schedule(epochs=392)


@pytest.mark.parametrize("epochs", [1, 2, 10, 98, 196])
def test_fewer_epochs_keep_the_share_of_warmup_and_the_curve(epochs):
    schedule = Schedule().lasting(epochs)
    assert schedule.epochs == epochs
    assert schedule.warmup_epochs == pytest.approx(epochs * 34 / 196)
    for share in (0, 0.05, 34 / 196, 0.2, 0.5, 0.99):
        expected = Schedule().rate(share * 196, 64)
        assert schedule.rate(share * epochs, 64) == pytest.approx(expected, rel=1e-9)


def test_no_warmup_begins_with_the_cosine():
    schedule = Schedule(warmup_epochs=0)
    assert schedule.rate(0, 64) == 0.1
    assert schedule.rate(98, 64) == pytest.approx(0.05)


CHANGES = {
    "epochs": 100,
    "warmup_epochs": 10,
    "base_rate": 0.2,
    "base_batch": 32,
    "warmup_rate": 0.02,
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_field_changes_the_rate(name):
    changed = replace(Schedule(), **{name: CHANGES[name]})
    assert changed.rate(5, 64) != Schedule().rate(5, 64)
    assert set(Schedule.__slots__) == {*CHANGES, "backbone_share"}  # see test_finetune.py


@pytest.mark.parametrize(
    "change,message",
    [
        ({"epochs": 0}, "epochs=0 must be a whole number of at least 1"),
        ({"epochs": 1.5}, "epochs=1.5 must be a whole number"),
        ({"base_batch": 0}, "base_batch=0 must be"),
        ({"base_rate": 0}, "base_rate=0 must be a number above 0"),
        ({"base_rate": math.nan}, "base_rate=nan must be a number above 0"),
        ({"base_rate": math.inf}, "base_rate=inf must be"),
        ({"warmup_rate": -0.1}, "warmup_rate=-0.1 must be"),
        ({"warmup_rate": True}, "warmup_rate=True must be"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1 must lie in 0 to epochs=196"),
        ({"warmup_epochs": "a"}, "warmup_epochs='a' must lie"),
        ({"backbone_share": -0.1}, r"backbone_share=-0.1 must lie in \[0, 1\]; try 0.1"),
        ({"backbone_share": 1.1}, "backbone_share=1.1 must lie"),
        ({"backbone_share": math.nan}, "backbone_share=nan must lie"),
        ({"backbone_share": "all"}, "backbone_share='all' must lie"),
        ({"epochs": 20}, r"warmup_epochs=34 .* epochs=20; the usual .*: 3.46939"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        Schedule(**change)
    assert "\n" not in str(caught.value)


def test_long_clips_train_196_epochs_and_short_ones_256():
    frames = {name: config.clip.T for name, config in PRESETS.items()}
    for name, config in PRESETS.items():
        expected = 256 if frames[name] <= 4 else 196
        schedule = recipe_for("paper", config).schedule
        assert schedule.epochs == expected, name
        assert schedule.warmup_epochs == pytest.approx(8000 * 1024 / 240_000)
        assert recipe_for("pyslowfast", config) is PYSLOWFAST
    assert frames["slowfast_4x16_r50"] == 4 and frames["slowfast_8x8_r50"] == 8
    deep = recipe_for("paper", PRESETS["slowfast_8x8_r101"]).augmentation
    assert (deep.least, deep.most, deep.size) == (256, 340, 224)
    assert recipe_for("paper", PRESETS["slowfast_8x8_r50"]).augmentation.most == 320


@pytest.mark.parametrize("epochs", [1, 3])
def test_training_sets_these_rates_at_every_step(monkeypatch, epochs):
    rates = []

    class Spy(Stepper):
        def __init__(self, *args):
            super().__init__(*args)
            step = self.optimizer.step

            def spy(*args, **kwargs):
                rates.append([group["lr"] for group in self.optimizer.param_groups])
                return step(*args, **kwargs)

            self.optimizer.step = spy

    monkeypatch.setattr(loop, "Stepper", Spy)
    recipe = replace(RECIPE, schedule=Schedule(), precise_bn_batches=0)
    with one_thread():
        history = train(tiny_model(), tiny_loader(12), epochs, recipe, QUIET)
    assert len(rates) == 3 * epochs  # three steps of four clips
    for n, both in enumerate(rates):
        expected = pyslowfast_rate(n, 3, epochs, epochs * 34 / 196) * 4 / 64
        assert both == pytest.approx([expected, expected], rel=1e-12), n
    for row, last in zip(history, rates[2::3], strict=True):
        assert row["rate"] == last[0]


def test_warm_up_may_last_as_long_as_training():
    """It then leads to the cosine's end, 0: half way there is half of the first rate."""
    schedule = Schedule(epochs=10, warmup_epochs=10)
    assert schedule.rate(5, 64) == pytest.approx(0.005)
    assert schedule.rate(10, 64) == 0
