"""Notebook 08's exercises against real models, scikit-learn, frame_map and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from slowfast_edu import build_model
from slowfast_edu.applications.explain import grad_cam
from slowfast_edu.applications.fine_tuning import new_classes
from slowfast_edu.checkpoints import About
from slowfast_edu.exercises import EXERCISES, examine
from slowfast_edu.exercises.n08_beyond_classification import SHAPES
from slowfast_edu.training.detection_metrics import (
    FrameBoxes,
    average_precision,
    frame_map,
)


def answer(word, *given):
    return EXERCISES[f"08.{word}"].answer(*given)


def verdict(word, function):
    return examine(EXERCISES[f"08.{word}"], function)


def test_two_at_once_and_nobody():
    scores = torch.tensor([[2.0, 2.0, -1.0], [-1.0, -2.0, -3.0], [0.0, -9.0, -9.0]])
    found = answer("decide", scores, 0.5)
    expected = [[True, True, False], [False] * 3, [True, False, False]]
    assert found.tolist() == expected
    assert not (scores[0].softmax(0) >= 0.5).any()  # which is why a softmax will not do


def test_decisions_may_be_made_on_logits_and_are_bools():
    def on_logits(scores, least):
        return scores >= np.log(least / (1 - least))

    assert verdict("decide", on_logits).right
    as_ints = verdict("decide", lambda *given: on_logits(*given).int())
    assert "torch.int32 where torch.bool" in as_ints.told
    names = verdict("decide", lambda *given: on_logits(*given).nonzero())
    assert "shape" in names.told
    halved = verdict("decide", lambda scores, least: scores.tanh() >= least)
    assert not halved.right


CLASSES = ("walk", "run", "clap")


@pytest.mark.parametrize(
    "wanted", [CLASSES, ("run", "walk", "clap"), ("moonwalk", "run", "clap"), ("walk",)]
)
def test_what_moves_is_what_new_classes_keeps(wanted):
    torch.manual_seed(0)
    trained = build_model("slowfast_tiny", 3)
    trained.about = About(classes=CLASSES)
    for statistics in trained.buffers():
        statistics.add_(1)  # as if it had seen clips
    old = {name: w.clone() for name, w in trained.state_dict().items()}
    new_classes(trained, About(classes=wanted))
    fresh = build_model("slowfast_tiny", len(wanted)).state_dict()
    moved = answer("transplant", old, fresh, list(CLASSES), list(wanted))
    for name, weights in trained.state_dict().items():
        if name.startswith("head.") and wanted != CLASSES:
            assert moved[name] is fresh[name]
        else:
            assert torch.equal(moved[name], weights)
    assert SHAPES.keys() < old.keys()


def test_weights_may_be_sorted_otherwise_and_none_is_left_out():
    def sorted_out(old, fresh, before, after):
        trunk = {n: w for n, w in old.items() if n.split(".")[0] != "head"}
        return (fresh if tuple(before) != tuple(after) else old) | trunk

    def trunk_alone(*given):
        moved = sorted_out(*given)
        return {n: w for n, w in moved.items() if not n.startswith("head")}

    assert verdict("transplant", sorted_out).right
    assert "keys" in verdict("transplant", trunk_alone).told
    assert not verdict("transplant", lambda old, *_: old).right


@pytest.mark.parametrize("seed", range(4))
def test_precision_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    scores, occurs = rng.random(12), rng.integers(0, 2, 12)
    occurs[0] = 1
    theirs = average_precision_score(occurs, scores)
    assert answer("precision", scores, occurs) == pytest.approx(theirs)


def test_precision_by_hand():
    scores = np.array([0.9, 0.8, 0.7])
    assert answer("precision", scores, np.array([1, 0, 1])) == pytest.approx(5 / 6)
    assert answer("precision", scores, np.array([0, 0, 1])) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="at least one"):
        answer("precision", scores, np.zeros(3, dtype=int))


def test_precision_may_be_summed_over_pairs_and_is_not_the_area_under_roc():
    def over_pairs(scores, occurs):
        if not any(occurs):
            raise ValueError
        shares = [occurs[scores >= s].mean() for s in scores[occurs == 1]]
        return np.mean(shares)

    def roc(scores, occurs):
        if not any(occurs):
            raise ValueError
        first, second = scores[occurs == 1, None], scores[None, occurs == 0]
        return float((first > second).mean()) if occurs.any() and not occurs.all() else 1.0

    assert verdict("precision", over_pairs).right
    assert not verdict("precision", roc).right
    silent = verdict("precision", lambda s, o: over_pairs(s, o) if any(o) else float("nan"))
    assert "raises ValueError" in silent.told


def test_a_map_by_hand():
    features = torch.tensor([[1.0, 2.0], [3.0, 0.0]]).view(2, 2, 1, 1)
    gradients = torch.tensor([[1.0, 3.0], [0.0, -2.0]]).view(2, 2, 1, 1)
    # Weights 2 and -1: 2 * 1 - 3 is cut, 2 * 2 - 0 is left.
    assert answer("cam", features, gradients).flatten().tolist() == [0.0, 4.0]


def test_the_map_is_what_grad_cam_scales_up():
    torch.manual_seed(0)
    model = build_model("slowfast_tiny", 4).eval()
    clip, kept = torch.randn(1, 3, 16, 32, 32), {}

    def keep(module, inputs, output):
        kept["features"] = output
        output.retain_grad()

    hook = model.slow.res4.register_forward_hook(keep)
    model(clip)[0, 2].backward()
    hook.remove()
    features = kept["features"]
    cam = answer("cam", features[0].detach(), features.grad[0])
    grown = torch.nn.functional.interpolate(
        cam[None, None], size=(4, 32, 32), mode="trilinear", align_corners=False
    )
    theirs = torch.from_numpy(grad_cam(model, clip, label=2, stage="res4").slow)
    assert theirs.any()
    torch.testing.assert_close(grown[0, 0], theirs)


def test_a_map_may_be_a_product_of_matrices_and_is_not_scaled():
    def product(features, gradients):
        weights = gradients.flatten(1).mean(1)
        return torch.relu(weights @ features.flatten(1)).view(features.shape[1:])

    assert verdict("cam", product).right
    scaled = verdict("cam", lambda *given: product(*given) / product(*given).max())
    assert "is expected" in scaled.told
    kept = verdict("cam", lambda *given: product(*given)[None])
    assert "shape (1, 4, 2, 2) where (4, 2, 2)" in kept.told
    assert not verdict("cam", lambda *given: product(*given).abs() + 1).right


BOXES = np.array([[0.0, 0, 10, 10], [0, 1, 10, 11], [0, 3, 10, 13], [50, 50, 60, 60]])


def test_boxes_by_hand():
    # The second overlaps the first true box by 9/11 and the other by 8/12.
    truths = BOXES[[0, 2]]
    scores = np.array([0.9, 0.8, 0.7, 0.95])
    assert answer("match", BOXES, scores, truths) == [True, False, True, False]
    scores = np.array([0.8, 0.9, 0.7, 0.95])
    assert answer("match", BOXES, scores, truths) == [False, True, True, False]
    assert answer("match", BOXES, scores, truths[:0]) == [False] * 4
    assert answer("match", BOXES[:0], scores[:0], truths) == []
    poor = np.array([[0.0, 0, 4, 10], [0, 0, 10, 10]])  # IoU 0.4 takes nothing away
    assert answer("match", poor, np.array([0.9, 0.8]), truths) == [False, True]


@pytest.mark.parametrize("seed", range(3))
def test_right_boxes_give_frame_maps_precision(seed):
    for boxes, scores, truths in EXERCISES["08.match"].inputs(np.random.default_rng(seed)):
        if not len(truths):
            continue
        right = np.array(answer("match", boxes, scores, truths), dtype=bool)
        found = FrameBoxes("one", boxes, scores[:, None])
        true = FrameBoxes("one", truths, np.ones((len(truths), 1)))
        mine = average_precision(scores, right, len(truths))
        assert mine == pytest.approx(frame_map([found], [true]).mean)


def test_boxes_may_be_matched_with_masks_and_stay_in_their_order():
    def iou(a, b):
        low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
        common = np.prod(np.clip(high - low, 0, None))
        return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)

    def with_masks(boxes, scores, truths):
        nearest = [
            max(range(len(truths)), key=lambda t: iou(b, truths[t]), default=None)
            for b in boxes
        ]
        meets = [
            t is not None and iou(b, truths[t]) >= 0.5
            for b, t in zip(boxes, nearest, strict=True)
        ]
        return np.array(
            [
                m
                and not any(
                    meets[j] and nearest[j] == nearest[i] and scores[j] > scores[i]
                    for j in range(len(boxes))
                )
                for i, m in enumerate(meets)
            ],
            dtype=bool,
        )

    def by_score(boxes, scores, truths):
        return with_masks(boxes, scores, truths)[np.argsort(-scores)]

    assert verdict("match", with_masks).right
    assert not verdict("match", by_score).right
    numbers = verdict("match", lambda *given: with_masks(*given).astype(int))
    assert "an int where a bool" in numbers.told
