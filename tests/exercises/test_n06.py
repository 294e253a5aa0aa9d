"""Notebook 06's exercises against closed forms, SciPy, fvcore and a loader's order."""

import math

import numpy as np
import pytest
import torch
from fvcore.common.param_scheduler import CosineParamScheduler
from scipy import stats

from slowfast_edu.exercises import EXERCISES, examine
from slowfast_edu.exercises.n06_training_recipe import BAR
from slowfast_edu.training.batches import mix, training_loader


def answer(word, *given):
    return EXERCISES[f"06.{word}"].answer(*given)


def verdict(word, function):
    return examine(EXERCISES[f"06.{word}"], function)


def test_the_papers_rate_is_pyslowfasts():
    # 128 GPUs of 8 clips at 1.6, or 8 of 8 at 0.1: one rate a clip.
    assert answer("scale", 1.6, 1024, 128, 8, 1) == (1024, 1.6, 8)
    assert answer("scale", 0.1, 64, 8, 8, 1) == (64, 0.1, 8)
    assert answer("scale", 0.1, 64, 1, 8, 2) == (16, 0.025, 8)


def test_a_rate_may_be_taken_a_clip_and_a_batch_is_whole():
    def a_clip(rate, at_batch, gpus, clips, passes):
        return [gpus * clips * passes, rate / at_batch * gpus * clips * passes, clips]

    def floats(*given):
        return tuple(float(number) for number in a_clip(*given))

    def by_gpus(rate, at_batch, gpus, clips, passes):
        return gpus * clips * passes, rate * gpus, clips

    assert verdict("scale", a_clip).right
    assert "a float where an int" in verdict("scale", floats).told
    assert not verdict("scale", by_gpus).right


@pytest.mark.parametrize("epoch, rate", [(0, 0.01), (17, 0.0513786), (34, 0.0927571)])
def test_rates_of_pyslowfasts_schedule_by_hand(epoch, rate):
    # cos(pi 34 / 196) = 0.8551428; half of 1.8551428 tenths is 0.0927571; epoch 17 is
    # half way up from 0.01.
    assert answer("rate", 3750 * epoch, 3750, 196, 34, 0.1, 0.01) == pytest.approx(rate)


def test_a_rate_without_warm_up_is_fvcores_cosine():
    theirs = CosineParamScheduler(0.4, 0.0)
    for iteration in range(5 * 7):
        mine = answer("rate", iteration, 7, 5, 0, 0.4, 0.1)
        assert mine == pytest.approx(theirs(iteration / (5 * 7)))


def test_a_rate_may_be_counted_in_iterations_and_in_cos_squared():
    def halved(iteration, steps, epochs, warmup, full, first):
        def height(at):
            return full * math.cos(math.pi * at / steps / epochs / 2) ** 2

        end = warmup * steps
        if iteration < end:
            return np.interp(iteration, [0, end], [first, height(end)])
        return height(iteration)

    def from_zero(iteration, steps, epochs, warmup, full, first):
        return halved(iteration, steps, epochs, warmup, full, 0)

    assert verdict("rate", halved).right
    assert not verdict("rate", from_zero).right


def test_luck_is_students():
    # Equal variances: the bar of 2.8 doubts is t's 5% at four degrees of freedom.
    assert pytest.approx(stats.t.ppf(0.975, df=4), abs=0.03) == BAR
    runs, others = [92.0, 94.0, 96.0], [88.0, 90.0, 92.0]  # 2.4 doubts
    difference, doubt, beyond = answer("luck", runs, others)
    assert (difference, beyond) == (4.0, False)
    assert doubt == pytest.approx(math.sqrt(8 / 3))
    theirs = stats.ttest_ind(runs, others, equal_var=False)
    assert difference / doubt == pytest.approx(theirs.statistic)
    assert answer("luck", [90.0, 91.0, 92.0], [94.0, 95.0, 96.0])[2] is True


def test_luck_may_be_counted_in_numpy_and_is_no_number():
    def in_numpy(runs, others):
        difference = np.mean(runs) - np.mean(others)
        doubt = np.sqrt((np.var(runs, ddof=1) + np.var(others, ddof=1)) / 3)
        return difference, doubt, np.abs(difference) > 2.8 * doubt

    def added(runs, others):
        doubt = (np.std(runs, ddof=1) + np.std(others, ddof=1)) / np.sqrt(3)
        difference = np.mean(runs) - np.mean(others)
        return difference, doubt, abs(difference) > 2.8 * doubt

    assert verdict("luck", in_numpy).right
    as_int = verdict("luck", lambda *given: (*in_numpy(*given)[:2], 1))
    assert "[2]: an int where a bool" in as_int.told
    assert not verdict("luck", added).right


def test_resume_is_what_a_loader_still_gives():
    clips = torch.utils.data.TensorDataset(torch.arange(9))
    loader = training_loader(
        clips, 2, 2, seed=7, collate_fn=lambda rows: [int(row[0]) for row in rows]
    )
    given = []
    for epoch in range(3):
        loader.batch_sampler.set_epoch(epoch)
        given.append(list(loader))
    for done in range(12):  # 4 steps an epoch, one clip left out
        assert answer("resume", 7, 9, 2, done) == (done // 4, given[done // 4][done % 4 :])
    assert len({clip for step in given[0] for clip in step}) == 8


def test_resume_may_go_through_all_and_stop_and_does_not_repeat_a_step():
    def through(seed, clips, batch, done, again=0):
        epoch = 0
        while True:
            generator = torch.Generator().manual_seed(mix(seed, epoch))
            steps = list(torch.randperm(clips, generator=generator).split(batch))
            steps = [step for step in steps if len(step) == batch]
            if done < len(steps):
                return [epoch, [step.numpy() for step in steps[max(0, done - again) :]]]
            done -= len(steps)
            epoch += 1

    assert verdict("resume", through).right
    assert not verdict("resume", lambda *given: through(*given, again=1)).right
    flat = verdict("resume", lambda *given: (through(*given)[0], sum(given)))
    assert "[1]: an int where a list" in flat.told
