"""Notebook 07's exercises against scikit-learn, SciPy, the paper's views and by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn import metrics as reference

from slowfast_edu.exercises import EXERCISES, examine


def answer(word, *given):
    return EXERCISES[f"07.{word}"].answer(*given)


def verdict(word, function):
    return examine(EXERCISES[f"07.{word}"], function)


def test_thirty_views_of_a_kinetics_video():
    views = answer("spread", 300, 64, 10, 3)
    assert len(views) == len(set(views)) == 30
    # 236 frames in nine gaps: 26.2 each, rounded down from the beginning.
    starts = [0, 26, 52, 78, 104, 131, 157, 183, 209, 236]
    assert views == [(start, crop) for start in starts for crop in (0, 1, 2)]
    assert answer("spread", 250, 64, 1, 1) == [(93, 0)]
    assert answer("spread", 40, 64, 2, 1) == [(0, 0), (0, 0)]


def test_views_may_be_an_array_and_are_whole():
    def as_array(frames, raw_frames, clips, crops):
        last = max(0, frames - raw_frames)
        starts = np.arange(clips) * last // max(1, clips - 1) if clips > 1 else [last // 2]
        return np.stack([np.repeat(starts, crops), np.tile(range(crops), clips)], axis=1)

    def rounded(frames, raw_frames, clips, crops):
        last = max(0, frames - raw_frames)
        starts = [round(i * last / (clips - 1)) for i in range(clips)] if clips > 1 else []
        return [(s, crop) for s in starts or [last // 2] for crop in range(crops)]

    assert verdict("spread", as_array).right
    assert "a float" in verdict("spread", lambda *given: as_array(*given) / 1).told
    assert not verdict("spread", rounded).right
    starts_alone = verdict("spread", lambda *given: as_array(*given)[::3, 0])
    assert "2 entries where 4" in starts_alone.told


def test_two_views_by_hand():
    # exp(ln 3) : 1 is 3 : 1, and 1 : 1; a sigmoid of ln 3 is 3 / 4.
    scores = torch.tensor([[[3.0, 1.0], [3.0, 3.0]]]).log()
    joined = answer("join", scores, False)
    torch.testing.assert_close(joined, torch.tensor([[0.625, 0.375]]))
    joined = answer("join", scores, True)
    torch.testing.assert_close(joined, torch.tensor([[0.75, 0.75]]))


def test_views_may_be_joined_one_by_one_and_stay_tensors():
    def one_by_one(scores, several):
        if several:
            return 1 / (1 + torch.exp(-scores.max(dim=1).values))
        chances = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
        return sum(chances.unbind(1)) / scores.shape[1]

    def summed(scores, several):
        return one_by_one(scores, several) * (1 if several else scores.shape[1])

    assert verdict("join", one_by_one).right
    assert not verdict("join", summed).right
    assert "tensor" in verdict("join", lambda *given: one_by_one(*given).numpy()).told
    doubled = verdict("join", lambda *given: one_by_one(*given).double())
    assert "torch.float64 where torch.float32" in doubled.told
    lost = verdict("join", lambda *given: one_by_one(*given).mean(dim=0))
    assert "shape (3,) where (2, 3)" in lost.told


@pytest.mark.parametrize("seed", range(3))
def test_confusion_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels, answers = rng.integers(0, 4, 30), rng.integers(0, 5, 30)
    matrix, share = answer("confusion", answers, labels, 5)
    theirs = reference.confusion_matrix(labels, answers, labels=range(5))
    np.testing.assert_array_equal(matrix, theirs)
    recall = reference.recall_score(
        labels, answers, labels=range(5), average=None, zero_division=np.nan
    )
    np.testing.assert_allclose(share, recall)
    assert np.isnan(share[4])


def test_confusion_may_be_counted_otherwise_and_holds_counts():
    def counted(answers, labels, classes, share=False):
        pairs = np.bincount(labels * classes + answers, minlength=classes**2)
        matrix = pairs.reshape(classes, classes)
        right = [
            float(np.mean(answers[labels == c] == c)) if c in labels else np.nan
            for c in range(classes)
        ]
        return matrix / len(labels) if share else matrix, right

    assert verdict("confusion", counted).right
    shares = verdict("confusion", lambda *given: counted(*given, share=True))
    assert "[0]: floats where whole numbers" in shares.told


@pytest.mark.parametrize("one, other", [(2, 8), (0, 10), (5, 5), (0, 0), (3, 1)])
def test_coin_is_scipys_binomial_test(one, other):
    right = np.array([True] * one + [False] * other + [True, True, False])
    theirs = np.array([False] * one + [True] * other + [True, True, False])
    total = one + other
    expected = binomtest(one, total).pvalue if total else 1.0
    assert answer("coin", right, theirs) == pytest.approx(expected)
    if (one, other) == (2, 8):  # the notebook's
        assert expected == pytest.approx((1 + 10 + 45) * 2 / 1024)


def test_coin_may_be_scipys_or_an_int_and_counts_disagreements():
    def theirs(one, other):
        total = int((one != other).sum())
        return binomtest(int((one & ~other).sum()), total).pvalue if total else 1

    def gap(one, other):
        return abs(one.mean() - other.mean())

    assert verdict("coin", theirs).right
    assert not verdict("coin", gap).right
    assert verdict("coin", lambda *given: str(theirs(*given)) + "%").told


def test_calibration_by_hand():
    # Two bins: below a half one clip, wrong; above it three, 0.8 sure, all of them right.
    chances = np.array([[0.4, 0.3, 0.3], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.9, 0.1, 0.0]])
    error = answer("ece", chances, np.array([1, 0, 0, 0]), 2)
    assert error == pytest.approx(1 / 4 * 0.4 + 3 / 4 * 0.2)
    both_sure = np.array([[1.0, 0.0], [0.95, 0.05]])  # one bin, half of it right
    assert answer("ece", both_sure, np.array([1, 0]), 10) == pytest.approx(0.475)
    assert answer("ece", np.eye(3), np.arange(3), 10) == 0
    assert answer("ece", np.eye(3), np.array([0, 2, 1]), 10) == pytest.approx(2 / 3)


def test_calibration_may_be_summed_otherwise_and_asks_the_highest():
    def summed(chances, labels, bins, sure=None):
        sure = chances.max(axis=1) if sure is None else sure
        place = np.ceil(sure * bins).astype(int) - 1
        gap = sure - (chances.argmax(axis=1) == labels)
        sums = np.zeros(bins)
        np.add.at(sums, place, gap)
        return np.abs(sums).sum() / len(labels)

    def of_the_true_class(chances, labels, bins):
        sure = np.maximum(chances[np.arange(len(labels)), labels], 1e-9)
        return summed(chances, labels, bins, sure)

    assert verdict("ece", summed).right
    assert not verdict("ece", of_the_true_class).right
    assert not verdict("ece", lambda *given: 100 * summed(*given)).right
