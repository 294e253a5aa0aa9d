"""Figures: their captions, and that they draw the data they were given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from slowfast_edu import PRESETS
from slowfast_edu.viz import (
    cost_accuracy,
    cost_bars,
    draw_architecture,
    filmstrip,
    show,
    style,
)
from slowfast_edu.viz.charts import FAMILY_MARKERS, CostPoint


def relative_luminance(color: str) -> float:
    """Of WCAG 2, from #RRGGBB."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


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


@pytest.mark.parametrize("name", sorted(style.PATHWAY_COLORS))
def test_colours_stand_out_from_white(name):
    contrast = 1.05 / (relative_luminance(style.PATHWAY_COLORS[name]) + 0.05)
    assert contrast >= 2.8  # Okabe-Ito's on white; none carries text smaller than bold


def test_filmstrip_places_each_frame_at_its_number():
    frames = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    axis = filmstrip({"slow": (frames, [0, 16, 32])}, columns=48).axes[0]
    assert [image.get_extent()[0] for image in axis.images] == [0, 16, 32]


@pytest.mark.parametrize(
    "name", ["slowfast_4x16_r50", "slowfast_16x8_r101", "slowfast_tiny"]
)
def test_the_architecture_has_a_slab_for_each_frame_and_an_arrow_for_each_lateral(name):
    config = PRESETS[name]
    patches = draw_architecture(config).axes[0].patches
    kinds = [type(patch).__name__ for patch in patches]
    assert kinds.count("Rectangle") == 5 * (config.clip.T + config.clip.fast_frames)
    assert kinds.count("FancyArrowPatch") == 4


def test_the_architecture_of_one_pathway_is_refused():
    with pytest.raises(ValueError, match="pathways='slow'"):
        draw_architecture(PRESETS["slow_8x8_r50"])
