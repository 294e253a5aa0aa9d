"""Metrics against scikit-learn, against Guo et al.'s and Wilson's formulas, by hand."""

import math

import numpy as np
import pytest
from helpers import rng
from sklearn import metrics as reference

from slowfast_edu.training.metrics import (
    calibration,
    confusion_matrix,
    mean_average_precision,
    mean_class_accuracy,
    top_k_accuracy,
    wilson_interval,
)

SINGLE = [
    lambda scores, labels: top_k_accuracy(scores, labels, 1),
    confusion_matrix,
    mean_class_accuracy,
    calibration,
]


def some_predictions(seed, clips=200, classes=7):
    """Softmax of noise, a little better than chance, with no two scores alike."""
    random = rng(seed)
    labels = random.integers(0, classes, clips)
    logits = random.normal(size=(clips, classes)) + np.eye(classes)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_accuracies_are_scikit_learn_s(seed, kind):
    scores, labels = some_predictions(seed)
    scores, guesses, classes = scores.astype(kind), scores.argmax(axis=1), range(7)
    for k in range(1, 7):
        expected = reference.top_k_accuracy_score(labels, scores, k=k, labels=classes)
        assert top_k_accuracy(scores, labels, k) == expected
    matrix = confusion_matrix(scores, labels)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(
        matrix, reference.confusion_matrix(labels, guesses, labels=classes)
    )
    expected = reference.balanced_accuracy_score(labels, guesses)
    assert mean_class_accuracy(scores, labels) == pytest.approx(expected, abs=1e-12)


def test_rows_are_the_truth_and_columns_the_prediction():
    matrix = confusion_matrix([[0.1, 0.7, 0.2], [0.2, 0.7, 0.1], [0, 0, 1]], [0, 0, 2])
    assert matrix.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.filterwarnings("error")
def test_classes_that_do_not_occur_have_no_accuracy():
    scores = np.eye(4)[[0, 0, 0, 1, 3]]
    labels = [0, 0, 0, 1, 1]  # 3 of 3, 1 of 2; neither 2 nor 3 occurs
    assert mean_class_accuracy(scores, labels) == 0.75
    assert top_k_accuracy(scores, labels, 1) == 0.8


@pytest.mark.parametrize("classes,k", [(1, 1), (3, 3), (3, 5), (4, 5)])
def test_with_k_classes_or_fewer_every_clip_is_right(classes, k):
    for label in range(classes):
        assert top_k_accuracy(np.eye(classes)[:1], [label], k) == 1


@pytest.mark.parametrize("k,expected", [(1, 0), (2, 0), (4, 0), (5, 1)])
def test_constant_scores_win_nothing(k, expected):
    scores, labels = np.full((5, 5), 0.2), np.arange(5)
    assert top_k_accuracy(scores, labels, k) == expected
    assert confusion_matrix(scores, labels).trace() == 0
    assert mean_class_accuracy(scores, labels) == 0
    assert calibration(scores, labels).error == pytest.approx(0.2)


def test_a_tie_is_broken_against_the_model():
    scores = [[0.4, 0.4, 0.2]] * 3
    assert confusion_matrix(scores, [0, 1, 2]).tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0]]
    # A clip of class 0 has two as high: it is among the two highest, not the first.
    assert top_k_accuracy(scores, [0, 0, 0], 2) == 1
    assert top_k_accuracy([[0.3, 0.3, 0.3, 0.1]], [1], 2) == 0


@pytest.mark.parametrize("seed", range(5))
def test_all_metrics_agree_on_which_clips_are_right_among_ties(seed):
    random = rng(seed)
    scores, labels = random.integers(0, 3, (100, 4)) / 3, random.integers(0, 4, 100)
    matrix = confusion_matrix(scores, labels)
    right = [
        all(row[label] > other for c, other in enumerate(row) if c != label)
        for row, label in zip(scores, labels, strict=True)
    ]
    assert top_k_accuracy(scores, labels, 1) == matrix.trace() / 100 == sum(right) / 100
    found = calibration(scores, labels)
    assert np.nansum(found.accuracy * found.count) == pytest.approx(sum(right))


@pytest.mark.filterwarnings("error")
def test_calibration_by_hand():
    sure = np.array([0.55, 0.65, 0.95, 0.95, 1.0, 0.6])
    scores = np.stack([sure, 1 - sure], axis=1)
    labels = [0, 1, 0, 0, 1, 0]  # right, wrong, right, right, wrong, right
    found = calibration(scores, labels, bins=5)  # (.4, .6], (.6, .8], (.8, 1]
    assert found.count.tolist() == [0, 0, 2, 1, 3]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.575, 0.65, 2.9 / 3])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 1, 0, 2 / 3])
    expected = (2 * 0.425 + 1 * 0.65 + 3 * 0.3) / 6
    assert found.error == pytest.approx(expected)


def test_calibration_follows_its_definition():
    scores, labels = some_predictions(1, clips=500)
    sure, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    error = 0
    for m in range(1, 16):
        inside = ((m - 1) / 15 < sure) & (sure <= m / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    found = calibration(scores, labels)
    assert found.error == pytest.approx(error)
    assert len(found.count) == 15 and found.count.sum() == 500


@pytest.mark.parametrize("right", [5, 6, 8])
def test_a_model_as_right_as_it_is_sure_has_no_error(right):
    scores = [[right / 8, 1 - right / 8]] * 8
    assert calibration(scores, [0] * right + [1] * (8 - right)).error == 0


def test_a_rounded_one_is_still_a_probability_and_a_logit_is_none():
    assert calibration([[np.nextafter(np.float32(1), 2), 0]], [0]).count[-1] == 1
    for scores in ([[2.5, 0.1]], [[-0.5, 0.1]]):
        with pytest.raises(ValueError, match="take the softmax"):
            calibration(scores, [0])


@pytest.mark.parametrize("levels", [3, 20, 10**6])  # many ties, some, none
@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_scikit_learn_s(levels, seed):
    random = rng(seed)
    scores = random.integers(0, levels, (60, 6)) / levels
    targets = (random.random((60, 6)) < 0.3).astype(np.float32)
    expected = reference.average_precision_score(targets, scores, average="macro")
    found = mean_average_precision(scores.astype(np.float32), targets)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_average_precision_leaves_out_classes_without_a_positive():
    scores = [[0.9, 0.1], [0.8, 0.9], [0.7, 0.5]]
    assert mean_average_precision(scores, [[0, 0], [1, 0], [1, 0]]) == (1 / 2 + 2 / 3) / 2


def test_constant_scores_have_the_share_of_positives_as_precision():
    assert mean_average_precision(np.full((8, 1), 0.5), [[1]] * 2 + [[0]] * 6) == 0.25


@pytest.mark.parametrize("correct,total", [(0, 10), (3, 10), (50, 100), (1960, 2000)])
@pytest.mark.parametrize("z", [1, 1.96])
def test_wilson_s_ends_solve_his_equation(correct, total, z):
    """Both are the p for which |p - accuracy| is z standard errors of p itself."""
    low, high = wilson_interval(correct, total, z)
    assert 0 <= low < correct / total + 1e-12 < high <= 1
    for p in (low, high):
        error = math.sqrt(p * (1 - p) / total)
        assert abs(p - correct / total) == pytest.approx(z * error, abs=1e-12)


def test_wilson_at_the_ends_and_half_way():
    z2 = 1.96**2
    assert wilson_interval(0, 10) == (0, pytest.approx(z2 / (10 + z2)))
    assert wilson_interval(10, 10) == (pytest.approx(10 / (10 + z2)), 1)
    half = 0.5 * math.sqrt(z2 / (100 + z2))
    assert wilson_interval(50, 100) == pytest.approx((0.5 - half, 0.5 + half))


@pytest.mark.parametrize("z", [0.7, 1.96, 2.3, 3.3])
def test_wilson_s_ends_are_exactly_0_and_1_where_they_touch(z):
    for total in range(1, 60):
        assert wilson_interval(0, total, z)[0] == 0
        assert wilson_interval(total, total, z)[1] == 1


@pytest.mark.parametrize(
    "correct,total,expected",
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_s_interval_is_that_of_newcombe_1998_table_1(correct, total, expected):
    assert wilson_interval(correct, total) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(
    "settings,message",
    [
        ((1, 0), "total=0 must be a whole number of at least 1"),
        ((-1, 5), "correct=-1 must be a whole number of at least 0"),
        ((6, 5), "correct=6 must be at most total=5"),
        ((1, 5, 0), "z=0 must be above 0"),
        ((1, 5, math.nan), "z=nan must be above 0"),
    ],
)
def test_wilson_refuses_what_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        wilson_interval(*settings)


GOOD = np.full((2, 3), 1 / 3)
BAD = [
    (np.ones(3), [0, 1], r"probabilities have shape \(3,\), must be \(N, classes\)"),
    (np.ones((0, 3)), [], r"probabilities have shape \(0, 3\)"),
    (np.ones((2, 0)), [0, 0], r"probabilities have shape \(2, 0\)"),
    ([[0, np.nan, 0], [0, 0, 0]], [0, 1], r"probabilities\[0, 1\]=nan must be a finite"),
    ([[0, 0, 0], [0, 0, np.inf]], [0, 1], r"probabilities\[1, 2\]=inf must be a finite"),
    (GOOD, [0], r"labels are int64 of shape \(1,\), must be whole numbers of shape \(2,\)"),
    (GOOD, [[0], [1]], r"labels are int64 of shape \(2, 1\)"),
    (GOOD, [0.0, 1.0], "labels are float64"),
    (GOOD, [0, 3], r"labels\[1\]=3 names none of 3 classes; it must be 0 to 2"),
    (GOOD, [-1, 0], r"labels\[0\]=-1 names none of 3 classes"),
]


@pytest.mark.parametrize("metric", SINGLE)
@pytest.mark.parametrize("scores,labels,message", BAD)
def test_bad_input_is_refused_in_one_line(metric, scores, labels, message):
    with pytest.raises(ValueError, match=message) as caught:
        metric(scores, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "scores,targets,message",
    [
        (np.ones(3), np.ones(3), r"probabilities have shape \(3,\)"),
        (np.ones((0, 3)), np.ones((0, 3)), r"probabilities have shape \(0, 3\)"),
        ([[np.nan, 0]], [[0, 1]], r"probabilities\[0, 0\]=nan"),
        (GOOD, [0, 1], r"targets have shape \(2,\), must have that of the .*: \(2, 3\)"),
        (GOOD, [[0, 1, 0], [0, 2, 0]], r"targets\[1, 1\]=2 must be 0 or 1"),
        (GOOD, [[0, 1, 0], [0, np.nan, 0]], r"targets\[1, 1\]=nan must be 0 or 1"),
        (GOOD, np.zeros((2, 3)), "targets are all 0"),
    ],
)
def test_bad_targets_are_refused(scores, targets, message):
    with pytest.raises(ValueError, match=message):
        mean_average_precision(scores, targets)


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_counts_are_checked(count):
    with pytest.raises(ValueError, match=f"k={count} must be"):
        top_k_accuracy(GOOD, [0, 1], count)
    with pytest.raises(ValueError, match=f"bins={count} must be"):
        calibration(GOOD, [0, 1], bins=count)
