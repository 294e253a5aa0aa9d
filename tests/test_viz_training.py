"""Curves and ledger charts draw what they are given, and tell it without colour too."""

import pytest

from slowfast_edu.viz import (
    LiveCurves,
    learning_curves,
    ledger_chart,
    rate_curves,
    training,
)


def history(*values):
    return [{"epoch": i + 1, "val_top1": value} for i, value in enumerate(values)]


def test_rates_are_drawn_an_epoch_a_point():
    figure = rate_curves({"a": [0.1, 0.2, 0.05], "b": [0.3, 0.3, 0.3]})
    (axis,) = figure.axes
    assert [list(line.get_ydata()) for line in axis.lines] == [[0.1, 0.2, 0.05], [0.3] * 3]
    assert list(axis.lines[0].get_xdata()) == [0, 1, 2]
    assert len({line.get_linestyle() for line in axis.lines}) == 2
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]


def test_a_model_has_one_colour_and_dash_and_a_seed_a_line():
    runs = {"fast": [history(0.2, 0.5), history(0.3, 0.9)], "slow": [history(0.25, 0.25)]}
    (axis,) = learning_curves(runs, chance=0.25).axes
    seeds, slow, chance = axis.lines[:2], axis.lines[2], axis.lines[3]
    assert [list(line.get_ydata()) for line in seeds] == [[0.2, 0.5], [0.3, 0.9]]
    assert len({(line.get_color(), line.get_linestyle()) for line in seeds}) == 1
    assert slow.get_color() != seeds[0].get_color()
    assert slow.get_linestyle() != seeds[0].get_linestyle()
    assert set(chance.get_ydata()) == {0.25}
    told = [text.get_text() for text in axis.get_legend().get_texts()]
    assert told == ["fast", "slow", "chance"]
    assert axis.get_ylim()[0] == 0 and axis.get_ylim()[1] >= 1


def test_epochs_without_the_metric_are_left_out():
    rows = [{"epoch": 1}, {"epoch": 2, "val_top1": 0.5}]
    (axis,) = learning_curves({"slow": [rows]}, chance=0.1).axes
    assert list(axis.lines[0].get_xdata()) == [2]


def test_live_curves_are_a_picture_that_changes_with_each_epoch():
    live = LiveCurves(chance=0.1)
    empty = bytes(live.picture.value)
    rows = [{"epoch": 1, "train_top1": 0.2, "val_top1": 0.3}]
    live(rows)
    first = bytes(live.picture.value)
    live([*rows, {"epoch": 2, "train_top1": 0.4}])  # no validation in this epoch
    assert all(picture.startswith(b"\x89PNG") for picture in (empty, first))
    assert len({empty, first, bytes(live.picture.value)}) == 3


def test_live_curves_are_of_training_and_of_validation(monkeypatch):
    drawn, draw = [], training.learning_curves

    def keep(*given):
        drawn.append(draw(*given))
        return drawn[-1]

    monkeypatch.setattr(training, "learning_curves", keep)
    live = LiveCurves(chance=0.1)
    rows = [{"train_top1": 0.2, "val_top1": 0.3}, {"train_top1": 0.4}, {"train_top1": 0.5}]
    live([{"epoch": i + 1} | row for i, row in enumerate(rows)])
    ours, held_out, chance = drawn[-1].axes[0].lines
    assert list(ours.get_xydata().ravel()) == [1, 0.2, 2, 0.4, 3, 0.5]
    assert list(held_out.get_xydata().ravel()) == [1, 0.3]
    assert [line.get_label() for line in (ours, held_out)] == ["training", "validation"]
    assert set(chance.get_ydata()) == {0.1}


@pytest.mark.parametrize("std,metric", [("1.50", "top1"), ("", "frame_map")])
def test_the_ledger_s_bars_are_means_and_its_dots_are_seeds(std, metric):
    rows = [
        {"model": "slow", "ours_mean": "40.00", "ours_std": std, "paper": "72.6"},
        {"model": "fast", "ours_mean": "90.00", "ours_std": "0.00", "paper": ""},
    ]
    rows = [row | {"metric": metric} for row in rows]
    singles = {"slow": [38.5, 40.0, 41.5], "fast": [90.0]}
    (axis,) = ledger_chart(rows, singles).axes
    assert [bar.get_width() for bar in axis.patches] == [40.0, 90.0]
    assert [list(line.get_xdata()) for line in axis.lines] == [[38.5, 40.0, 41.5], [90.0]]
    middles = [bar.get_y() + bar.get_height() / 2 for bar in axis.patches]
    assert middles == pytest.approx([0, 1])
    assert [set(line.get_ydata()) for line in axis.lines] == [{0}, {1}]
    assert axis.get_xlim() == (0, 100)
    assert axis.get_xlabel().startswith({"top1": "top-1", "frame_map": "mAP"}[metric])
    told = [text.get_text() for text in axis.texts]
    assert "paper 72.6" in told[0] and "paper" not in told[1]
    assert ("± 1.5" in told[0]) == bool(std)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["slow", "fast"]
    assert axis.yaxis_inverted()  # the first row is on top
