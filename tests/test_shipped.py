"""The trained model that comes along: as good as is told, small, made by its command."""

from importlib.resources import files

import pytest

from slowfast_edu.claims.shipped import (
    COMMAND,
    SIZE,
    STYLES,
    VIEWS,
    WEIGHTS,
    kept_measures,
    load_shipped,
    measure,
)
from slowfast_edu.cli import _parser
from slowfast_edu.data.figures import Actions
from slowfast_edu.training.metrics import wilson_interval

KEPT = {(row.style, row.views): row for row in kept_measures()}


def test_it_reaches_what_is_asked_on_two_thousand_unseen_clips():
    assert set(KEPT) == {(style, views) for style in STYLES for views in VIEWS}
    for views in VIEWS:
        assert KEPT["clothed", views].clips == 2000
        assert KEPT["clothed", views].top1 >= 97


def test_intervals_are_those_of_the_counts():
    for row in KEPT.values():
        low, high = wilson_interval(round(row.top1 / 100 * row.clips), row.clips)
        assert (row.low, row.high) == (round(100 * low, 2), round(100 * high, 2))


@pytest.mark.parametrize("style", ["clothed", "negative"])
def test_the_kept_accuracy_is_the_model_s(style):
    """On the first 200 of the clips: within what 200 can tell (three standard errors)."""
    found, kept = measure(load_shipped(), style, views=1, clips=200), KEPT[style, 1]
    share = kept.top1 / 100
    error = 100 * (share * (1 - share) / 200) ** 0.5
    assert abs(found.top1 - kept.top1) <= 3 * error + 0.5


def test_the_file_is_small_and_the_model_is_the_preset():
    path = files("slowfast_edu.results") / WEIGHTS
    assert len(path.read_bytes()) < 4e6
    model = load_shipped()
    assert not model.training and model.head.projection.out_features == 10


def test_its_command_is_one_that_the_command_line_takes():
    program, *arguments = COMMAND.split()
    options = _parser().parse_args(arguments)
    assert program == "slowfast-edu"
    assert (options.preset, options.data) == ("slowfast_tiny", "figures:actions")
    assert options.size == SIZE


def test_the_file_says_what_the_model_is_for():
    about = load_shipped().about
    assert about.classes == Actions().classes
    assert (about.size, about.frames_per_second, about.several_labels) == (SIZE, 30, False)
