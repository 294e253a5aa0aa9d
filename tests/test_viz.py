"""Figures: their captions, and that they draw the data they were given."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from slowfast_edu import PRESETS, closed_form_macs
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.figures import ACTIONS, Actions, Binding, Crowd, Hue, Spin
from slowfast_edu.viz import (
    cost_accuracy,
    cost_bars,
    mosaic,
    sampling_explorer,
    sampling_figure,
    show,
    strips,
    style,
    task_strips,
)
from slowfast_edu.viz.charts import FAMILY_MARKERS, CostPoint
from slowfast_edu.viz.dials.sampling import ALPHAS, TAUS, explored


def test_show_displays_the_picture_with_its_caption_as_text_and_as_alt(monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", shown.append)
    show(Figure(figsize=(1, 1)), "A dot.")
    image, caption = shown
    assert image.data.startswith(b"\x89PNG")
    assert image.alt == "A dot." and "A dot." in caption.data


def test_show_refuses_a_figure_without_a_caption():
    with pytest.raises(ValueError, match="caption is empty"):
        show(Figure(), "  ")


def test_bars_end_where_the_costs_add_up_to():
    figure = cost_bars({"a": {"slow": 3.0, "fast": 1.0}, "b": {"slow": 2.0, "fast": 1.0}})
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches]
    assert ends == [3.0, 4.0, 2.0, 3.0]
    hatches = {bar.get_hatch() for bar in figure.axes[0].patches}
    assert len(hatches) == 2  # not told apart by colour alone


def test_cost_accuracy_fills_what_was_counted_and_numbers_everything():
    points = [
        CostPoint(1, "a", "SlowFast", 36.0, 75.6, True),
        CostPoint(7, "b", "other", 70.0, 78.0, False),
    ]
    axis = cost_accuracy(points, "cost").axes[0]
    marks = [c for c in axis.collections if len(c.get_offsets())]
    filled = {tuple(c.get_offsets()[0]): len(c.get_facecolor()) > 0 for c in marks}
    assert filled == {(36.0, 75.6): True, (70.0, 78.0): False}
    assert sorted(text.get_text() for text in axis.texts) == ["1", "7"]


def test_families_differ_in_marker_and_not_in_colour_alone():
    markers = [marker for marker, _ in FAMILY_MARKERS.values()]
    assert len(set(markers)) == len(markers)


# Strips of frames

SIDES = ("left", "right")


def numbered(count, size=6):
    """Frames whose every byte is their number."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (1, size, size, 3), dtype=np.uint8
    )


def test_a_mosaic_holds_each_frame_in_reading_order():
    picture = mosaic(numbered(5), columns=3, gap=2)
    assert picture.shape == (2 * 8, 3 * 8, 3)
    cells = picture.reshape(2, 8, 3, 8, 3).swapaxes(1, 2).reshape(6, 8, 8, 3)
    assert [int(cell[0, 0, 0]) for cell in cells] == [0, 1, 2, 3, 4, 255]
    assert (cells[3][:6, :6] == 3).all()
    assert (cells[3][6:] == 255).all()
    wide = mosaic(np.zeros((2, 4, 8, 3), dtype=np.uint8), columns=1, gap=1)
    assert wide.shape == (2 * 5, 9, 3)


def test_strips_name_rows_and_columns():
    axis = strips({"one": numbered(4), "two": numbered(4)}, [0, 8, 16, 24]).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "8", "16", "24"]
    places = axis.get_xticks()
    picture = axis.images[0].get_array()
    row = int(axis.get_yticks()[1])
    assert [int(picture[row, int(x), 0]) for x in places] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (Spin(), ["k=0", "k=1", "k=-1", "k=2"]),
        (Hue(), ["blue", "red", "yellow", "green"]),
        (
            Binding(),
            [f"{p}, {s} turns" for p in ("blue yellow", "yellow blue") for s in SIDES],
        ),
        (Crowd(), ["2 figures", "3 figures", "4 figures"]),
        (Actions(), sorted(ACTIONS)),
    ],
    ids=repr,
)
def test_a_task_s_strips_show_each_case_of_one_generator(task, names):
    clip = PRESETS["slowfast_4x16_r50"].clip
    axis = task_strips(task, clip, columns=3, seed=4, size=32).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == names
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "2", "4"]
    picture = axis.images[0].get_array()
    last = task.render(task.cases - 1, np.random.default_rng(4), [0, 2, 4], 32).frames
    assert np.array_equal(picture[-34:-2, 34:66], last[1])


def test_strips_of_a_clip_under_which_the_task_would_lie_are_refused():
    with pytest.raises(ValueError, match="look the same to Fast at alpha=2"):
        task_strips(Spin(), ClipConfig(T=4, tau=16, alpha=2))


# The explorer


@pytest.fixture(scope="module")
def explorer():
    return sampling_explorer(np.zeros((64, 16, 16, 3), dtype=np.uint8))


def dials_of(explorer):
    return {dial.description: dial for dial in explorer.children[0].children}


def test_a_dial_redraws_the_picture(explorer):
    note, picture = explorer.children[1:]
    for name, value in (("tau", 32), ("alpha", 4), ("beta", 1 / 16)):
        before = bytes(picture.value)
        dials_of(explorer)[name].value = value
        assert bytes(picture.value).startswith(b"\x89PNG")
        assert bytes(picture.value) != before
    macs = closed_form_macs(explored(32, 4, 1 / 16)) / 1e9
    assert note.value == f"Slow sees 2 frames, Fast 8: {macs:.1f} GMACs a view."


def test_dials_that_contradict_each_other_keep_the_picture_and_say_why(explorer):
    note, picture = explorer.children[1:]
    dials_of(explorer)["tau"].value = 8
    before = picture.value
    dials_of(explorer)["alpha"].value = 16
    assert "alpha=16 does not divide tau=8" in note.value
    assert picture.value == before
    dials_of(explorer)["alpha"].value = 8
    assert note.value.startswith("Slow sees 8 frames, Fast 64")


def test_every_pair_of_dials_is_drawn_or_refused():
    for tau in TAUS:
        for alpha in ALPHAS:
            if tau % alpha == 0:
                figure = sampling_figure(numbered(64), explored(tau, alpha, 1 / 8))
                figure.draw_without_rendering()
            else:
                with pytest.raises(ValueError, match="does not divide"):
                    explored(tau, alpha, 1 / 8)


def test_a_clip_of_one_slow_frame_is_drawn():
    clip = ClipConfig(T=1, tau=16, alpha=8)
    config = replace(PRESETS["slowfast_4x16_r50"], clip=clip)
    titles = [a.get_title(loc="left") for a in sampling_figure(numbered(16), config).axes]
    assert titles[1:3] == ["slow: 1 frames, 1 in 16", "fast: 8 frames, 1 in 2"]


@pytest.mark.parametrize(("tau", "alpha", "slow", "fast"), [(16, 8, 4, 32), (32, 1, 2, 2)])
def test_the_sampling_figure_shows_the_frames_and_the_cost(tau, alpha, slow, fast):
    config = explored(tau, alpha, 1 / 8)
    when, *panels, cost = sampling_figure(numbered(64), config).axes
    assert len(sampling_figure(numbered(64), config, with_cost=False).axes) == 3
    marks = [line.get_xdata().tolist() for line in when.lines]
    assert marks == [list(range(0, 64, 64 // slow)), list(range(0, 64, 64 // fast))]
    titles = [axis.get_title(loc="left") for axis in (*panels, cost)]
    assert titles[0] == f"slow: {slow} frames, 1 in {64 // slow}"
    assert titles[1] == f"fast: {fast} frames, 1 in {64 // fast}"
    for panel, numbers in zip(panels, marks, strict=True):
        tiles = panel.images[0].get_array()[::8, ::8, 0]  # 16 a row, 6 pixels and a gap
        assert tiles.ravel()[: len(numbers)].tolist() == numbers
    heights = panels[0].get_subplotspec().get_gridspec().get_height_ratios()
    assert heights[2] / heights[1] == -(-fast // 16) / -(-slow // 16)
    assert titles[2].startswith(f"{closed_form_macs(config) / 1e9:.1f} GMACs")
    if (tau, alpha) == (16, 8):  # of the recount: 28.685, 6.900, 0.514 of 36.099
        assert titles[2].endswith("slow 28.7 (79%), fast 6.9 (19%), lateral 0.5 (1%)")
    ends = [bar.get_x() + bar.get_width() for bar in cost.patches]
    assert ends[-1] == pytest.approx(closed_form_macs(config) / 1e9)
    assert len({bar.get_hatch() for bar in cost.patches}) == len(ends)
    labels = [label.get_text() for label in when.get_yticklabels()]
    heights = [line.get_ydata()[0] for line in when.lines]
    assert (labels, heights) == (["slow", "fast"], when.get_yticks().tolist())


def test_where_no_kernel_runs_the_explorer_is_a_sentence(explorer):
    plain = explorer._repr_mimebundle_()["text/plain"]
    assert (
        plain == "Run this cell: dials for tau, alpha and beta, and a picture that follows."
    )


def test_the_explorer_refuses_another_number_of_frames():
    for draw in (sampling_explorer, lambda f: sampling_figure(f, explored(16, 8, 1 / 8))):
        with pytest.raises(ValueError, match=r"has 10 frames, must have T \* tau = 64"):
            draw(numbered(10))
