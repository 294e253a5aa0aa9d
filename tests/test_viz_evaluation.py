"""Figures of an evaluation draw the numbers that they are given."""

import numpy as np
import pytest

from slowfast_edu.config import ClipConfig
from slowfast_edu.training.metrics import calibration, confusion_matrix
from slowfast_edu.viz import (
    accuracy_against_cost,
    clips_over_video,
    confusion_chart,
    reliability_chart,
    time_bars,
)


def test_accuracies_are_drawn_with_their_intervals():
    rows = [(1, 0.5, 0.4, 0.7), (10, 0.75, 0.7, 0.8)]
    (axis,) = accuracy_against_cost({"a": rows, "b": [(5, 0.9, 0.8, 0.95)]}).axes
    line, other = (container.lines[0] for container in axis.containers)
    assert list(line.get_xdata()) == [1, 10] and list(line.get_ydata()) == [0.5, 0.75]
    segments = axis.containers[0].lines[2][0].get_segments()
    assert [np.round(s[:, 1], 9).tolist() for s in segments] == [[0.4, 0.7], [0.7, 0.8]]
    assert axis.get_xscale() == "log"
    assert line.get_linestyle() != other.get_linestyle()
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]


def test_a_confusion_chart_has_true_classes_as_rows_and_counts_as_text():
    scores = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    labels = [0, 0, 0, 1, 1, 2]
    (axis,) = confusion_chart(confusion_matrix(scores, labels), ["a", "b", "c"]).axes
    told = {(t.get_position(), t.get_text()) for t in axis.texts}
    assert told == {((0, 0), "2"), ((1, 0), "1"), ((1, 1), "2"), ((2, 2), "1")}
    shares = axis.images[0].get_array()
    assert shares[0].tolist() == [2 / 3, 1 / 3, 0] and shares[1].tolist() == [0, 1, 0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["a", "b", "c"]
    assert "true" in axis.get_ylabel() and "taken" in axis.get_xlabel()


def test_a_class_that_does_not_occur_is_an_empty_row():
    (axis,) = confusion_chart([[2, 0], [0, 0]], ["a", "b"]).axes
    assert axis.images[0].get_array()[1].tolist() == [0, 0]
    assert len(axis.texts) == 1


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.zeros((3, 3)), np.zeros(2)])
def test_a_matrix_that_does_not_fit_its_names_is_refused(matrix):
    with pytest.raises(ValueError, match=r"must be \(2, 2\): a row and a column"):
        confusion_chart(matrix, ["a", "b"])


def test_reliability_leaves_out_empty_bins():
    sure = np.array([0.95, 0.95, 0.55, 0.55])
    scores = np.stack([sure, 1 - sure], axis=1)
    found = calibration(scores, [0, 0, 0, 1], bins=10)
    (axis,) = reliability_chart({"model": found}).axes
    line = axis.lines[1]
    assert np.allclose(line.get_xdata(), [0.55, 0.95])
    assert np.allclose(line.get_ydata(), [0.5, 1.0])
    assert axis.lines[0].get_xdata() == pytest.approx((0, 1))


def test_clips_lie_where_they_are_sampled():
    clip = ClipConfig(T=4, tau=16)  # 64 raw frames
    (axis,) = clips_over_video(clip, 300, (1, 2)).axes
    found = [
        sorted((path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in paths)
        for paths in (collection.get_paths() for collection in axis.collections)
    ]
    assert found == [[(118, 182)], [(0, 64), (236, 300)]]
    labels = [text.get_text() for text in axis.get_yticklabels()]
    assert labels == ["1 clip", "2 clips"]


def test_times_lie_end_to_end():
    times = {"1 clip": {"reading": 0.2, "network": 0.5}, "10": {"reading": 1, "network": 3}}
    (axis,) = time_bars(times).axes
    found = [(bar.get_x(), bar.get_width()) for bar in axis.patches]
    assert np.allclose(found, [(0, 0.2), (0, 1), (0.2, 0.5), (1, 3)])
    told = [text.get_text() for text in axis.get_legend().get_texts()]
    assert told == ["reading", "network"]
    hatches = {bar.get_hatch() for bar in axis.patches}
    assert len(hatches) == 2  # told apart without colour
    (axis,) = time_bars({"1 clip": {"a": 1.0, "b": 2.0, "c": 4.0}}).axes
    assert [bar.get_x() for bar in axis.patches] == [0, 1, 3]
