"""Boxes are drawn where they are, numbered as their names are."""

import numpy as np
import pytest

from slowfast_edu.viz import boxes_on_frames

FRAMES = np.zeros((2, 40, 80, 3), dtype=np.uint8)
BOXES = [[(0.25, 0.5, 0.75, 1.0)], [(0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)]]
NAMES = [["walk"], ["run", "clap"]]


def test_boxes_lie_where_their_shares_say():
    first, second = boxes_on_frames(FRAMES, BOXES, NAMES).axes
    (box,) = first.patches
    # Pixel centres are whole numbers, so the picture begins at -0.5.
    assert box.get_xy() == (19.5, 19.5)
    assert (box.get_width(), box.get_height()) == (40, 20)
    assert len(second.patches) == 2
    looks = {(b.get_edgecolor(), b.get_linestyle()) for b in second.patches}
    assert len(looks) == 2 and len({style for _, style in looks}) == 2


def test_names_have_the_numbers_of_their_boxes():
    _, second = boxes_on_frames(FRAMES, BOXES, NAMES).axes
    assert second.get_title(loc="left") == "1: run\n2: clap"
    marks = {text.get_text(): text.get_position() for text in second.texts}
    assert marks == {"1": (-0.5, -0.5), "2": (39.5, 19.5)}


def test_a_frame_without_boxes_is_just_shown():
    (axis,) = boxes_on_frames(FRAMES[:1], [np.zeros((0, 4))], [[]]).axes
    assert not axis.patches and axis.images


@pytest.mark.parametrize(
    ("boxes", "names"),
    [(BOXES[:1], NAMES), (BOXES, NAMES[:1]), (BOXES, [["walk"], ["run"]])],
)
def test_lists_that_do_not_belong_together_are_refused(boxes, names):
    with pytest.raises(ValueError, match="give each frame as many names as boxes"):
        boxes_on_frames(FRAMES, boxes, names)
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(T, H, W, 3\)"):
        boxes_on_frames(FRAMES / 2, BOXES, NAMES)
