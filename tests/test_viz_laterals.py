"""The figure of what a lateral reads draws each link, and no other."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from slowfast_edu.viz import lateral_reads


def links(kernel: int, stride: int, frames: int) -> np.ndarray:
    """By arithmetic: output t of a padded convolution sees |f - t * stride| <= k // 2."""
    t, f = np.indices((frames // stride, frames))
    return abs(f - t * stride) <= kernel // 2


def marks(figure: Figure, height: float) -> dict[str, list[int]]:
    """{"read" or "unread": Fast frames in the row at this height}."""
    found = {}
    for dots in figure.axes[0].collections:
        spots = dots.get_offsets()
        if len(spots) and np.allclose(spots[:, 1], height):
            crossed = len(dots.get_paths()[0].vertices) == 4  # two strokes, no square
            found["unread" if crossed else "read"] = sorted(map(int, spots[:, 0]))
    return found


def test_read_frames_are_squares_and_the_others_crosses():
    figure = lateral_reads({"k=5": links(5, 8, 32)})
    never = [3, 4, 5, 11, 12, 13, 19, 20, 21, 27, 28, 29, 30, 31]
    assert marks(figure, 0)["unread"] == never
    assert marks(figure, 0)["read"] == sorted(set(range(32)) - set(never))
    assert "reads 18 of 32" in [text.get_text() for text in figure.axes[0].texts]


def test_a_line_for_each_link_from_the_moment_of_the_slow_frame():
    reads = links(3, 4, 8)
    parts = lateral_reads({"k=3": reads}).axes[0].collections
    [lines] = (part for part in parts if isinstance(part, LineCollection))
    drawn = [tuple(map(int, segment[:, 0])) for segment in lines.get_segments()]
    assert sorted(drawn) == [(0, 0), (0, 1), (4, 3), (4, 4), (4, 5)]
    assert len(drawn) == reads.sum()


def test_each_entry_has_a_row_of_its_own():
    figure = lateral_reads({"a": links(1, 4, 8), "b": np.ones((2, 8)), "c": links(1, 2, 8)})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["a", "reads 2 of 8", "b", "reads 8 of 8", "c", "reads 4 of 8"]
    dots = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    rows = {float(y) for spots in dots for _, y in spots.get_offsets()}
    assert len(rows) == 6  # Slow's and Fast's, three times


@pytest.mark.parametrize("wrong", [[True, False], np.zeros((0, 8)), np.ones((3, 8))])
def test_what_is_not_slow_frames_by_fast_frames_is_refused(wrong):
    with pytest.raises(ValueError, match=r"reads\['x'\] has shape .* \(T, alpha \* T\)"):
        lateral_reads({"x": wrong})


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="reads is empty"):
        lateral_reads({})
