"""mAP of boxes: against cases worked out by hand, and a loop that follows the protocol."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from slowfast_edu.training.detection import shift_sides
from slowfast_edu.training.detection_metrics import (
    FrameBoxes,
    average_precision,
    box_iou,
    frame_map,
)

LEFT, RIGHT, TOP = (0.0, 0.0, 0.4, 0.8), (0.6, 0.0, 1.0, 0.8), (0.0, 0.0, 0.4, 0.4)


def frame(name, boxes, scores):
    scores = np.asarray(scores, dtype=float)
    scores = scores[:, None] if scores.ndim == 1 else scores
    return FrameBoxes(name, np.asarray(boxes, dtype=float).reshape(-1, 4), scores)


def one_class(*scored, truths=(LEFT,), **settings):
    """AP of (box, score) pairs on one keyframe with one class."""
    boxes, scores = [box for box, _ in scored], [score for _, score in scored]
    true = frame("a", truths, np.ones(len(truths)))
    found = [frame("a", boxes, scores)] if boxes else []
    return frame_map(found, [true], **settings).mean


def test_overlaps_by_hand():
    boxes = np.array([LEFT, RIGHT, (0.2, 0.0, 0.6, 0.8), (0.3, 0.3, 0.3, 0.3)])
    expected = [1, 0, 0.2 / 0.6, 0]  # the last has no area
    assert box_iou(np.array([LEFT]), boxes)[0] == pytest.approx(expected)
    assert box_iou(boxes[3:], boxes[3:]).tolist() == [[0]]
    assert box_iou(boxes, np.zeros((0, 4))).shape == (4, 0)


def test_one_right_detection_is_all_there_is_to_find():
    assert one_class((LEFT, 0.3)) == 1


def test_a_box_that_just_meets_a_half_counts_and_one_below_does_not():
    assert one_class((TOP, 0.3)) == 1  # half of LEFT, exactly
    shorter = (0.0, 0.0, 0.4, 0.4 - 1e-9)
    assert one_class((shorter, 0.3)) == 0
    assert one_class((shorter, 0.3), iou=0.49) == 1


def test_no_detection_finds_nothing():
    assert one_class() == 0
    assert (
        frame_map([frame("a", [], np.zeros((0, 1)))], [frame("a", [LEFT], [1])]).mean == 0
    )


def test_the_second_detection_of_a_box_is_wrong():
    # In order of scores: right, wrong (found already), right: precision 1, 1/2, 2/3.
    scored = (LEFT, 0.9), (LEFT, 0.8), (RIGHT, 0.7)
    assert one_class(*scored, truths=(LEFT, RIGHT)) == pytest.approx((1 + 2 / 3) / 2)
    # Of the two the higher score is the right one, though the lower overlaps better.
    worse = (0.0, 0.1, 0.4, 0.8)
    assert one_class((worse, 0.9), (RIGHT, 0.8), (LEFT, 0.7)) == 1


def test_a_detection_goes_to_the_box_that_it_overlaps_most_even_if_that_is_found():
    # Both meet 0.5 with ``near`` and ``LEFT``; both overlap LEFT most; near stays unfound.
    near = (0.0, 0.1, 0.4, 0.8)
    assert one_class((LEFT, 0.9), (LEFT, 0.8), truths=(LEFT, near)) == 0.5


def test_precision_is_the_best_of_this_and_any_higher_recall():
    # wrong, right, right: precision 0, 1/2, 2/3; below recall 1/2 it counts as 2/3 too.
    far = (0.45, 0.0, 0.55, 0.1)
    scored = (far, 0.9), (LEFT, 0.8), (RIGHT, 0.7)
    assert one_class(*scored, truths=(LEFT, RIGHT)) == pytest.approx(2 / 3)


def test_equal_scores_come_in_together_whatever_their_order():
    far = (0.45, 0.0, 0.55, 0.1)
    for scored in ([(far, 0.5), (LEFT, 0.5)], [(LEFT, 0.5), (far, 0.5)]):
        assert one_class(*scored) == 0.5
    assert one_class((LEFT, 0.5), (LEFT, 0.5)) == 0.5


def test_scores_are_sorted_over_all_keyframes():
    truths = [frame("a", [LEFT], [1]), frame("b", [LEFT], [1])]
    found = [frame("b", [LEFT, RIGHT], [0.2, 0.9]), frame("a", [LEFT], [0.5])]
    # wrong (0.9), right (0.5), right (0.2): as above.
    assert frame_map(found, truths).mean == pytest.approx(2 / 3)


def test_a_keyframe_without_truths_only_has_wrong_detections():
    truths = [frame("a", [LEFT], [1])]
    found = [frame("a", [LEFT], [0.5]), frame("elsewhere", [LEFT], [0.9])]
    assert frame_map(found, truths).mean == 0.5
    empty = [*truths, frame("elsewhere", [], np.zeros((0, 1)))]
    assert frame_map(found, empty).mean == 0.5


def test_excluded_keyframes_and_classes_are_left_out():
    truths = [
        frame("a", [LEFT, RIGHT], [[1, 0, 0], [0, 1, 0]]),
        frame("b", [LEFT], [[1, 1, 0]]),
    ]
    found = [frame("a", [LEFT, RIGHT], [[0.9, 0, 0], [0, 0.9, 0.9]])]
    whole = frame_map(found, truths)
    # Class 0: one of two found. Then a wrong box of score 0, which changes nothing.
    assert whole.of_class[:2].tolist() == [0.5, 0.5]
    assert math.isnan(whole.of_class[2]) and whole.mean == 0.5  # no true box: not counted
    assert whole.true_boxes.tolist() == [2, 2, 0]
    assert frame_map(found, truths, excluded=["b"]).mean == 1
    first = frame_map([frame("a", [LEFT], [[0.9, 0, 0]])], truths, classes=[0, 2])
    assert first.mean == 0.5 and math.isnan(first.of_class[1])


def test_several_actions_of_a_box_are_asked_one_by_one():
    truths = [frame("a", [LEFT], [[1, 1]])]
    found = [frame("a", [LEFT, RIGHT], [[0.9, 0.1], [0.1, 0.9]])]
    assert frame_map(found, truths).of_class.tolist() == [1, 0.5]


def by_the_protocol(detections, truths, place, iou=0.5):
    """AP of a class, one detection after the other, with different scores everywhere."""
    scored = [
        (frame.scores[i, place], frame.name, i)
        for frame in detections
        for i in range(len(frame.boxes))
    ]
    true = {frame.name: frame.boxes[frame.scores[:, place] == 1] for frame in truths}
    found, points, right = set(), [(0.0, 0.0)], 0
    boxes = {frame.name: frame.boxes for frame in detections}
    for number, (_, name, i) in enumerate(sorted(scored, reverse=True), start=1):
        overlaps = [overlap(boxes[name][i], other) for other in true[name]]
        best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= iou and (name, best) not in found:
            found.add((name, best))
            right += 1
        points.append((right / sum(map(len, true.values())), right / number))
    area = 0.0
    for (before, _), (recall, _) in pairwise(points):
        reached = max(p for r, p in points if r >= recall)
        area += (recall - before) * reached
    return area


def overlap(a, b):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return width * height / (sum(areas) - width * height)


def test_random_boxes_give_what_the_protocol_gives_step_by_step():
    rng = np.random.default_rng(0)
    truths, detections = [], []
    for name in map(str, range(12)):
        corners = rng.uniform(0, 0.5, size=(4, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(0.2, 0.5, (4, 2))], axis=1)
        truths.append(frame(name, boxes, rng.integers(2, size=(4, 3))))
        off = np.repeat(boxes, 2, axis=0) + rng.normal(0, 0.05, (8, 4))
        detections.append(frame(name, off, rng.random((8, 3))))
    found = frame_map(detections, truths)
    expected = [by_the_protocol(detections, truths, place) for place in range(3)]
    assert found.of_class == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert 0.05 < found.mean < 0.95


def test_average_precision_of_numbers():
    scores, right = np.array([0.1, 0.9, 0.5]), np.array([True, True, False])
    assert average_precision(scores, right, 3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detections": [frame("b", [LEFT], [0.5])]}, "begin with 'b', truths with 'a'"),
        ({"detections": [frame("a", [LEFT], [[0.5, 0.5]])]}, "have 2 classes, must have 1"),
        ({"detections": [frame("a", [LEFT], [math.nan])]}, "not finite"),
        ({"detections": 2 * [frame("a", [LEFT], [0.5])]}, "hold 'a' twice"),
        (
            {"detections": [FrameBoxes("a", np.zeros((2, 4)), np.zeros(2))]},
            "be .N, 4.",
        ),
        ({"truths": [frame("a", [LEFT], [0.5])]}, "change places"),
        ({"truths": []}, "hold no keyframe"),
        ({"truths": [frame("a", [LEFT], [0])]}, "at least one"),
        ({"classes": [1]}, "classes hold 1, must be 0 to 0"),
        ({"excluded": ["a"]}, "hold no keyframe"),
        ({"iou": 7}, "iou=7 must be above 0 and at most 1"),
        ({"iou": 0}, "iou=0 must be"),
        ({"iou": math.nan}, "iou=nan must be"),
    ],
)
def test_what_does_not_go_together_is_refused(change, message):
    given = {"detections": [], "truths": [frame("a", [LEFT], [1])]} | change
    with pytest.raises(ValueError, match=message):
        frame_map(**given)


def test_shifted_boxes_overlap_the_true_ones_as_a_detector_s_would():
    boxes = torch.tensor([[3.0, 0.3, 0.3, 0.5, 0.7]]).repeat(4000, 1)
    shifted = shift_sides(boxes, 0.1, np.random.default_rng(0))
    assert torch.equal(shifted[:, 0], boxes[:, 0])
    moved = (shifted - boxes)[:, 1:] / torch.tensor([0.2, 0.4, 0.2, 0.4])
    assert moved.std(dim=0).numpy() == pytest.approx([0.1] * 4, rel=0.05)
    assert moved.mean(dim=0).numpy() == pytest.approx([0] * 4, abs=0.01)
    overlaps = box_iou(shifted[:, 1:], boxes[:1, 1:])
    assert 0.70 < overlaps.mean() < 0.80
    wild = shift_sides(boxes, 2, np.random.default_rng(0))[:, 1:]
    assert wild.min() == 0 and wild.max() == 1 and (wild[:, :2] <= wild[:, 2:]).all()
