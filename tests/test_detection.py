"""RoIAlign against its definition, detectors against a peer, AVA from end to end."""

import csv
import math
import sys
from dataclasses import replace
from functools import partial
from itertools import product
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers import SMALL, randomize, small_model
from torch import nn
from torch.utils.data import DataLoader
from video_files import decode_all

from slowfast_edu.applications.detection import (
    ava_rows,
    detect,
    load_detector,
    write_ava_csv,
)
from slowfast_edu.checkpoints import (
    About,
    CheckpointError,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from slowfast_edu.claims import RUNS, Data, KeyframeRun
from slowfast_edu.claims.running import execute
from slowfast_edu.cli import main
from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.data.ava import ava_csv
from slowfast_edu.data.batches import KeyframeBatch, KeyframeSample, collate_keyframes
from slowfast_edu.data.datasets import KeyframeClips
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import Crowd, FigureKeyframes, MovingFigures, Spin
from slowfast_edu.models import Detector, build_model, split_pathways
from slowfast_edu.models.detection import roi_align
from slowfast_edu.training import Execution, Recipe, Schedule, train_slowfast
from slowfast_edu.training.batches import in_passes, training_loader
from slowfast_edu.training.detection import detect_keyframes
from slowfast_edu.training.detection_metrics import frame_map
from slowfast_edu.training.step import Stepper

# PyTorchVideo imports this at module level; what it does is the reference's here.
if "torchvision" not in sys.modules:
    torchvision, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    torchvision.ops, ops.RoIAlign = ops, object
    sys.modules |= {"torchvision": torchvision, "torchvision.ops": ops}

BOXES = torch.tensor([[0, 0.1, 0.2, 0.5, 0.9], [1, 0.5, 0.0, 1.0, 0.7], [0, 0.4, 0, 1, 1]])


def at(one_map, y, x):
    """A bilinear sample as Detectron2 defines it: (C,) of (C, H, W)."""
    height, width = one_map.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return torch.zeros(len(one_map), dtype=one_map.dtype)
    parts = []
    for place, cells in ((y, height), (x, width)):
        place = max(place, 0.0)
        low = int(place)
        if low >= cells - 1:
            parts.append(((cells - 1, 1.0),))
        else:
            parts.append(((low, 1 - (place - low)), (low + 1, place - low)))
    return sum(one_map[:, i, j] * a * b for (i, a), (j, b) in product(*parts))


def reference(maps, boxes, stride, bins=7, samples=2):
    """RoIAlign, one sample after the other."""
    result = torch.zeros(len(boxes), maps.shape[1], bins, bins, dtype=maps.dtype)
    for number, (index, *corners) in enumerate(boxes.tolist()):
        x1, y1, x2, y2 = (corner / stride - 0.5 for corner in corners)
        for p, q, i, j in product(range(bins), range(bins), range(samples), range(samples)):
            y = y1 + (p + (i + 0.5) / samples) * (y2 - y1) / bins
            x = x1 + (q + (j + 0.5) / samples) * (x2 - x1) / bins
            result[number, :, p, q] += at(maps[int(index)], y, x) / samples**2
    return result


def test_roi_align_is_its_definition_sample_by_sample():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 5, 8, dtype=torch.float64)  # of 80 x 128 pixels
    corners = torch.rand(8, 4, dtype=torch.float64) * torch.tensor([64, 40, 64, 40])
    corners[:, 2:] += corners[:, :2]
    corners = torch.cat(
        [
            corners,
            torch.tensor([[0, 0, 128, 80], [-60, -60, 200, 160], [70, 30, 70, 30]]),
            torch.tensor([[-70, -9, -50, -1], [129, 81, 140, 90]]),  # around an edge
        ]
    )
    boxes = torch.cat([torch.arange(13)[:, None] % 2, corners], dim=1)
    for bins, samples in ((7, 2), (3, 1), (2, 3)):
        expected = reference(maps, boxes, 16, bins, samples)
        found = roi_align(maps, boxes, 16, bins, samples)
        assert found.shape == (13, 3, bins, bins)
        assert torch.allclose(found, expected, atol=1e-12)


def test_on_a_plane_a_bin_is_the_plane_at_its_centre():
    rows, columns = torch.meshgrid(
        torch.arange(8.0), torch.arange(8.0), indexing="ij"
    )  # cell i has its centre at pixel 16 * (i + 1/2)
    plane = (3 * rows - 2 * columns)[None, None]
    box = torch.tensor([[0, 20.0, 30.0, 90.0, 100.0]])
    centres = (torch.arange(7) + 0.5) * 10  # bins of 10 x 10 pixels
    y, x = (30 + centres) / 16 - 0.5, (20 + centres) / 16 - 0.5
    expected = 3 * y[:, None] - 2 * x[None]
    assert torch.allclose(roi_align(plane, box, 16)[0, 0], expected, atol=1e-5)


def test_gradients_of_roi_align():
    torch.manual_seed(0)
    maps = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    corners = [[0, 3.0, 5.0, 40.0, 41.0], [1, 0.0, 0.0, 64.0, 48.0]]
    boxes = torch.tensor(corners, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda m: roi_align(m, boxes, 16, 3), maps)


def test_time_may_be_averaged_before_or_after():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 5, 8, dtype=torch.float64)  # (B, C, T, H, W)
    boxes = BOXES.double() * torch.tensor([1, 128, 80, 128, 80])
    after = torch.stack([roi_align(maps[:, :, t], boxes, 16) for t in range(4)]).mean(dim=0)
    assert torch.allclose(roi_align(maps.mean(dim=2), boxes, 16), after, atol=1e-12)


@pytest.mark.parametrize("name", PRESETS)
def test_any_preset_is_a_trunk_of_stride_16(name):
    with torch.device("meta"):
        detector, classifier = Detector(name, 60), build_model(name, 60)
    seen = []
    detector.head.register_forward_pre_hook(lambda _, given: seen.append(given))
    clip = torch.zeros(2, 3, PRESETS[name].clip.fast_frames, 128, 96, device="meta")
    assert detector.eval()(clip, BOXES.to("meta")).shape == (3, 60)
    maps, _, sizes = seen[0]
    assert {tuple(m.shape[3:]) for m in maps} == {(8, 6)} and set(sizes) == {(128, 96)}
    assert sum(m.shape[1] for m in maps) == classifier.head.projection.in_features
    shapes = {k: v.shape for k, v in classifier.state_dict().items()}
    renamed = {
        k.replace("projection.boxes.", "projection."): v.shape
        for k, v in detector.state_dict().items()
    }
    assert renamed == shapes


def test_res5_s_kernels_reach_twice_as_far_and_nothing_else_changes():
    detector = Detector(SMALL, 5)
    for path in (detector.slow, detector.fast):
        assert (
            path.res5.block0.b.dilation == (1, 2, 2) and path.res5.block0.b.stride[1] == 1
        )
        assert path.res5.block0.shortcut.stride == (1, 1, 1)
        assert (
            path.res4.block0.b.dilation == (1, 1, 1) and path.res4.block0.b.stride[1] == 2
        )
        assert path.res5.block0.a.dilation == (1, 1, 1)
    # A dilated block sees on each second cell what the plain one sees on those alone.
    two = replace(SMALL, depth=26)
    dense, plain = randomize(Detector(two, 5)), build_model(two, 5).eval()
    block, undilated = dense.slow.res5.block1, plain.slow.res5.block1
    undilated.load_state_dict(block.state_dict())
    x = torch.randn(1, block.a.in_channels, 2, 9, 8)
    with torch.no_grad():
        found, expected = block(x)[..., ::2, ::2], undilated(x[..., ::2, ::2])
    assert torch.allclose(found, expected, atol=1e-5)


class ReferenceRoI(nn.Module):
    """The reference in the place of torchvision's layer."""

    def __init__(self, output_size, spatial_scale, sampling_ratio):
        super().__init__()
        assert tuple(output_size) == (7, 7) and spatial_scale == 1 / 16

    def forward(self, maps, boxes):
        return reference(maps, boxes, 16)


def test_scores_equal_pytorchvideo_s_detector(monkeypatch):
    from pytorchvideo.models import slowfast as theirs
    from pytorchvideo.models.head import create_res_roi_pooling_head

    head = partial(create_res_roi_pooling_head, roi=ReferenceRoI)
    monkeypatch.setattr(theirs, "create_res_roi_pooling_head", head)
    torch.manual_seed(0)
    peer = theirs.create_slowfast_with_roi_head(
        slowfast_fusion_conv_kernel_size=(5, 1, 1),
        slowfast_fusion_conv_stride=(8, 1, 1),
        head_pool_kernel_sizes=((4, 1, 1), (32, 1, 1)),
        model_num_class=80,
    )
    randomize(peer)
    model = Detector("slowfast_4x16_r50").eval()
    with pytest.warns(UserWarning, match="no classifier"):
        load_checkpoint(model, peer.model.state_dict())
    model.head.projection.boxes.load_state_dict(peer.detection_head.proj.state_dict())
    clips = torch.randn(2, 3, 32, 64, 96)
    pixels = BOXES * torch.tensor([1, 96, 64, 96, 64])
    with torch.no_grad():
        scores = model(clips, BOXES)
        expected = peer(list(split_pathways(clips, model.config)), pixels)
    assert torch.allclose(scores.sigmoid(), expected, atol=1e-5)
    assert expected.std() > 0.01


def small_detector(num_classes=5, **changes):
    torch.manual_seed(0)
    return randomize(Detector(replace(SMALL, **changes), num_classes))


@pytest.mark.parametrize("changes", [{}, {"fast_input": "half"}, {"pathways": "fast"}])
def test_a_box_is_looked_at_in_its_own_clip_alone(changes):
    model, clips = small_detector(**changes), torch.randn(2, 3, 16, 64, 96)
    with torch.no_grad():
        scores = model(clips, BOXES)
        for box, expected in zip(BOXES, scores, strict=True):
            alone = torch.cat([torch.zeros(1), box[1:]])[None]
            own = clips[int(box[0])][None]
            assert torch.allclose(model(own, alone)[0], expected, atol=1e-4)
        assert not torch.allclose(scores[0], scores[2], atol=1e-3)  # boxes matter
        whole = torch.tensor([[0.0, 0, 0, 1, 1], [1, 0, 0, 1, 1]])
        assert torch.equal(model(clips), model(clips, whole))
        assert model(clips, torch.zeros(0, 5)).shape == (0, 5)


def test_half_the_pixels_of_fast_are_still_the_same_place():
    model = small_detector(fast_input="half")
    sizes = []
    model.head.register_forward_pre_hook(lambda _, given: sizes.extend(given[2]))
    model(torch.randn(1, 3, 16, 64, 96), torch.tensor([[0.0, 0, 0, 0.5, 0.5]]))
    assert sizes == [(64, 96), (32, 48)]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 12, 30, 60, 90]], r"\(12.0, 30.0, 60.0, 90.0\), must lie in .0, 1.: divide"),
        ([[0, 0, 0, 1, 1], [2, 0, 0, 1, 1]], r"boxes\[1\] names clip 2 of 2; .* 0 to 1"),
        ([[-1, 0, 0, 1, 1]], "names clip -1 of 2"),
        ([[0.5, 0, 0, 1, 1]], "names clip 0.5 of 2"),
        ([[0, 0.6, 0, 0.4, 1]], r"boxes\[0\] is \(0.6, .* x1 <= x2"),
        ([[0, 0, math.nan, 1, 1]], "must lie in"),
        ([[0, 0, 1, 1]], r"shape \(1, 4\), must be floats of shape \(N, 5\)"),
    ],
)
def test_boxes_that_lie_nowhere_are_refused(boxes, message):
    with pytest.raises(ValueError, match=message):
        small_detector()(torch.zeros(2, 3, 16, 32, 32), torch.tensor(boxes).float())


def test_a_detector_without_scores_is_refused():
    with pytest.raises(ValueError, match="head='features'"):
        Detector(replace(SMALL, head="features"), 5)
    with pytest.raises(ValueError, match="no preset is called 'ava'"):
        Detector("ava")


def test_a_classifier_s_file_fills_all_but_the_head(tmp_path):
    classifier = small_model(num_classes=5)
    path = save_checkpoint(classifier, tmp_path / "classifier.safetensors")
    model = Detector(SMALL, 5)
    before = model.head.projection.boxes.weight.clone()
    with pytest.warns(UserWarning, match="classifier not loaded"):
        report = load_checkpoint(model, path)
    state = {k: v for k, v in classifier.state_dict().items() if "head" not in k}
    assert report.tensors == len(state)
    found = model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert torch.equal(model.head.projection.boxes.weight, before)
    with pytest.raises(CheckpointError, match="for another model"):
        load_checkpoint(Detector(replace(SMALL, width=4), 5), path)
    with pytest.raises(CheckpointError, match=r"holds no detector; .*Detector\(preset"):
        load_detector(path)


def test_a_detector_s_file_is_whole_and_for_detectors_only(tmp_path):
    model = small_detector(clip=ClipConfig(T=2, tau=8, alpha=4, frame_rule="linspace"))
    model.about = About(classes=("a", "b", "c", "d", "e"), size=64, several_labels=True)
    path = save_checkpoint(model, tmp_path / "detector.safetensors")
    again = load_detector(path)
    assert (again.config, again.about) == (model.config, model.about)
    assert not again.training
    clips = torch.randn(2, 3, 8, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(clips, BOXES), model(clips, BOXES))
    with pytest.raises(CheckpointError, match=r"detector's, .*open it with load_detector"):
        load_model(path)


@pytest.mark.parametrize("command", ["predict", "features", "train"])
def test_commands_for_classifiers_say_that_a_file_is_a_detector_s(
    command, tmp_path, capsys
):
    path = str(save_checkpoint(small_detector(), tmp_path / "detector.safetensors"))
    rest = {
        "predict": ["a.mp4", "--checkpoint", path],
        "features": ["a.mp4", "--checkpoint", path, "--output", f"{tmp_path}/a.npz"],
        "train": ["--data", "figures:spin", "--init", path],
    }
    assert main([command, *rest[command]]) != 0
    told = capsys.readouterr().err.strip()
    assert path in told and "it is a detector's" in told and "load_detector" in told
    assert "\n" not in told


def test_a_detector_begins_from_one_with_other_classes(tmp_path):
    ten = small_detector(num_classes=10)
    ten.about = About(classes=Crowd().classes)
    path = save_checkpoint(ten, tmp_path / "ten.safetensors")
    five = Detector(SMALL, 5)
    fresh = five.head.projection.boxes.weight.clone()
    with pytest.warns(UserWarning, match=r"not loaded: .*\(10, .*classes.*\(5, ") as caught:
        report = load_checkpoint(five, path)
    assert caught[0].filename == __file__ and "(10, " in report.head
    found, given = five.state_dict(), ten.state_dict()
    trunk = [name for name in given if not name.startswith("head.")]
    assert trunk and all(torch.equal(found[name], given[name]) for name in trunk)
    assert torch.equal(five.head.projection.boxes.weight, fresh)
    assert not hasattr(five, "about")  # those names are not its


def test_a_detector_s_file_with_too_few_names_is_refused(tmp_path):
    model = small_detector(num_classes=5)
    model.about = About(classes=("one",))
    path = save_checkpoint(model, tmp_path / "a.safetensors")
    for load in (load_detector, partial(load_checkpoint, Detector(SMALL, 5))):
        with pytest.raises(CheckpointError, match="names 1 classes and has 5 scores"):
            load(path)


# Training -------------------------------------------------------------------------------

CLIP = ClipConfig(T=2, tau=4, alpha=2)
TINY = replace(SMALL, clip=CLIP, width=4, dropout=0.0)


def squares(count, size=64):
    """A dark and a bright square in each clip, in noise: the class is the brightness."""
    rng, samples = np.random.default_rng(0), []
    for number in range(count):
        clip = rng.integers(100, 150, size=(3, 4, size, size)).astype(np.uint8)
        boxes, dark = [], rng.integers(2)
        for x, level in ((4, 20 + 200 * dark), (36, 220 - 200 * dark)):
            y = int(rng.integers(8, 32))
            clip[:, :, y : y + 24, x : x + 24] = level
            boxes.append([x / size, y / size, (x + 24) / size, (y + 24) / size])
        labels = torch.tensor([[dark, 1 - dark], [1 - dark, dark]]).float()
        boxes = torch.tensor(boxes)
        samples.append(KeyframeSample(torch.from_numpy(clip), boxes, labels, f"{number}"))
    return samples


def recipe(epochs=1, **changes):
    schedule = Schedule(
        epochs=epochs, warmup_epochs=0, base_rate=0.2, base_batch=8, warmup_rate=0.2
    )
    return Recipe(
        schedule=schedule, dropout=0, zero_last_bn=False, precise_bn_batches=2, **changes
    )


def test_a_detector_learns_who_is_which():
    samples = squares(48)
    torch.manual_seed(0)
    model = Detector(replace(TINY, pathways="slow"), 2)
    loader = training_loader(samples[:32], 8, 8, collate_fn=collate_keyframes)
    quiet = Execution(device="cpu", progress=False)
    history = train_slowfast(model, loader, recipe=recipe(8), execution=quiet)
    assert history[-1]["train_top1"] > 0.95  # of boxes: the whole clips look alike
    asked = DataLoader(samples[32:], 5, collate_fn=collate_keyframes)
    found = detect_keyframes(model, asked, device="cpu")
    assert [frame.name for frame in found.detections] == [str(i) for i in range(32, 48)]
    assert frame_map(found.detections, found.truths).mean > 0.95
    swapped = detect_keyframes(
        model, asked, device="cpu", proposals=lambda boxes: boxes.clone().fill_(0)
    )
    assert frame_map(swapped.detections, swapped.truths).mean == 0
    for asked_about, frame in zip(swapped.detections, swapped.truths, strict=True):
        assert not asked_about.boxes.any() and frame.boxes.any()  # the truth stays


def test_a_detector_is_not_validated_in_training():
    loader = DataLoader(squares(4), 2, collate_fn=collate_keyframes)
    model, quiet = Detector(TINY, 2), Execution(device="cpu", progress=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {"recipe": recipe(), "execution": quiet, "val_loader": loader}
    with pytest.raises(ValueError, match=r"val_loader .* detect_keyframes, then frame_map"):
        train_slowfast(model, loader, **given)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_passes_of_keyframes_have_their_own_boxes():
    batch = collate_keyframes(squares(5))
    few = batch.boxes[:, 0] != 1  # a clip without people
    batch = batch._replace(boxes=batch.boxes[few], labels=batch.labels[few])
    first, second, third = in_passes(batch, 2)
    assert first.boxes[:, 0].tolist() == [0, 0] and third.boxes[:, 0].tolist() == [0, 0]
    assert second.boxes[:, 0].tolist() == [0, 0, 1, 1] and second.names == ["2", "3"]
    assert torch.equal(second.clips, batch.clips[2:4])
    assert torch.equal(second.labels, batch.labels[2:6])
    assert torch.equal(second.boxes[:, 1:], batch.boxes[2:6, 1:])
    assert batch.boxes[2, 0] == 2  # the batch itself is as it was
    assert in_passes(batch, 5) == [batch]


def one_step(batch, **changes):
    torch.manual_seed(0)
    model = Detector(TINY, 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stepper = Stepper(model, recipe(**changes), Execution(device="cpu"), clips=4)
    return model.train(), before, stepper([(batch, True)], 0, 0.1)


def test_the_loss_is_a_sigmoid_s_over_boxes_and_classes():
    batch = collate_keyframes(squares(4))
    model, before, [(loss, correct, count)] = one_step(batch)
    assert any(not torch.equal(before[k], v) for k, v in model.named_parameters())
    model.load_state_dict(before)
    clips = (batch.clips / 255 - 0.45) / 0.225
    chances = model(clips, batch.boxes).sigmoid().double()
    right = torch.where(batch.labels == 1, chances, 1 - chances)
    assert count == 8 and loss == pytest.approx(-right.log().mean().item(), rel=1e-5)
    best = chances.argmax(dim=1)
    assert correct == sum(batch.labels[i, c] == 1 for i, c in enumerate(best))


def test_a_pass_without_people_teaches_nothing():
    clips = collate_keyframes(squares(4)).clips
    batch = KeyframeBatch(clips, torch.zeros(0, 5), torch.zeros(0, 2), list("abcd"), [])
    model, before, results = one_step(batch, weight_decay=0.0)
    assert results == [(0, 0, 0)]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_what_does_not_fit_is_refused_in_training():
    batch = collate_keyframes(squares(4))
    wrong = batch._replace(labels=batch.labels[:, :1])
    with pytest.raises(ValueError, match=r"shape \(8, 1\) for 8 boxes and 2 classes"):
        one_step(wrong)
    classifier = build_model(TINY, 2)
    stepper = Stepper(classifier, recipe(), Execution(device="cpu"), clips=4)
    with pytest.raises(
        TypeError, match="gives boxes, and SlowFast takes none; train a Det"
    ):
        stepper([(batch, True)], 0, 0.1)
    with pytest.raises(ValueError, match="gives a list, must give a KeyframeBatch"):
        detect_keyframes(Detector(TINY, 2), [[1, 2]], device="cpu")
    with pytest.raises(ValueError, match="must be a Detector"):
        detect_keyframes(nn.Identity(), [batch], device="cpu")


def test_a_crowd_s_boxes_are_those_of_the_middle_frame():
    crowd = MovingFigures(Crowd(), 6, CLIP, size=48, split="val")
    for index, count in ((0, 2), (1, 3), (5, 4)):
        sample, scene = FigureKeyframes(crowd)[index], crowd.scene(index)
        assert torch.equal(sample.clip, crowd[index].clip)
        assert np.array_equal(sample.boxes, scene.boxes[2])  # of 4; raw frame 4 of 8
        assert sample.labels.argmax(dim=1).tolist() == scene.actions.tolist()
        assert sample.labels.sum(dim=1).tolist() == [1] * count
        assert sample.name == f"val/{index} at 0.133333 s"
    with pytest.raises(ValueError, match=r"task=Spin\(.* has no boxes"):
        FigureKeyframes(MovingFigures(Spin(), 6, PRESETS["slowfast_tiny"].clip, size=48))[0]


def test_a_claim_s_run_of_a_detector():
    run = RUNS["crowd", "slowfast"]
    assert isinstance(run, KeyframeRun)
    slow = RUNS["crowd", "slow"]
    assert (slow.data, slow.recipe) == (run.data, run.recipe)
    assert slow.model == replace(run.model, pathways="slow")
    schedule = replace(run.recipe.schedule.lasting(2), warmup_epochs=1)
    tiny = replace(
        slow,
        data=Data(task=Crowd(), size=32, train=32, test=20),
        model=replace(slow.model, width=4),
        recipe=replace(run.recipe, schedule=schedule, precise_bn_batches=1),
    )
    first, again = (execute(tiny, seed=1) for _ in range(2))
    assert 0 < first["map_shifted"] < 1 and 0 < first["frame_map"] < 1
    assert first["map_shifted"] != first["frame_map"]
    assert [row["epoch"] for row in first["curve"]] == [1, 2]
    assert (first["task"], first["model"], first["data"]) == (
        "crowd",
        "slow",
        repr(tiny.data),
    )
    del first["cpu_seconds"], again["cpu_seconds"]
    assert first == again


# Videos ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A crowd on 3 seconds of real video, with AVA's list of its first two seconds."""
    folder = tmp_path_factory.mktemp("ava")
    figures = MovingFigures(Crowd(), 3, CLIP, size=64)
    scene = figures.render(1, np.arange(90))
    write_video(scene.frames, folder / "crowd.mp4")
    lines = []
    for second in (1, 2):
        boxes = scene.boxes[30 * second]
        for person, (box, action) in enumerate(zip(boxes, scene.actions, strict=True)):
            corners = ",".join(f"{share:.6f}" for share in box)
            lines.append(f"crowd,{900 + second:04d},{corners},{action + 1},{person}\n")
    (folder / "ava.csv").write_text("".join(lines))
    read = ava_csv(folder / "ava.csv", folder, figures.classes, first_second=900)
    return folder, scene, read


def trained_in_name_only():
    model = small_detector(num_classes=10, clip=CLIP)
    model.head.projection.boxes.weight.data *= 10  # surer than fresh weights are
    model.about = About(classes=Crowd().classes, size=64, several_labels=True)
    return model


def test_a_real_video_from_its_list_to_the_map(filmed, tmp_path):
    folder, scene, read = filmed
    model = trained_in_name_only()
    clips = KeyframeClips(read, CLIP, size=64)
    found = detect_keyframes(
        model, DataLoader(clips, 2, collate_fn=collate_keyframes), device="cpu"
    )
    assert [frame.name for frame in found.truths] == [
        "crowd.mp4 at 1 s",
        "crowd.mp4 at 2 s",
    ]
    for frame, second in zip(found.truths, (1, 2), strict=True):
        assert frame.boxes == pytest.approx(scene.boxes[30 * second], abs=1e-6)
        assert frame.scores.argmax(axis=1).tolist() == scene.actions.tolist()
    # The clip around the keyframe, decoded from the beginning and asked about by hand.
    frames = decode_all(folder / "crowd.mp4")[56:64:2]  # 60 - 8/2 on
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None]
    boxes = torch.cat([torch.zeros(3, 1), torch.from_numpy(scene.boxes[60])], dim=1)
    with torch.no_grad():
        expected = model((clip / 255 - 0.45) / 0.225, boxes).sigmoid().numpy()
    assert found.detections[1].scores == pytest.approx(expected, abs=1e-4)
    assert expected.std(axis=0).max() > 0.1  # people differ
    score = frame_map(found.detections, found.truths)
    assert 0 < score.mean <= 1 and score.true_boxes.sum() == 6
    assert np.isnan(score.of_class).sum() == 10 - len(set(scene.actions.tolist()))
    told = [
        t._replace(name=d.name) for t, d in zip(found.truths, found.detections, strict=True)
    ]
    assert frame_map(told, found.truths).mean == 1

    rows = list(ava_rows(found.detections, first_second=900))
    write_ava_csv(tmp_path / "found.csv", rows)
    lines = list(csv.reader((tmp_path / "found.csv").open()))
    assert len(lines) == 2 * 3 * 10 and {len(line) for line in lines} == {8}
    assert lines[0][:2] == ["crowd", "0901"] and lines[-1][:2] == ["crowd", "0902"]
    assert [line[6] for line in lines[:10]] == [str(i) for i in range(1, 11)]
    assert float(lines[-1][7]) == pytest.approx(found.detections[1].scores[2, 9], rel=1e-5)
    assert [float(x) for x in lines[-1][2:6]] == pytest.approx(scene.boxes[60, 2], abs=1e-5)
    sure = list(ava_rows(found.detections, least=0.5))
    assert 0 < len(sure) < 60 and min(row.score for row in sure) >= 0.5


def test_one_moment_of_one_video(filmed):
    folder, _, read = filmed
    model = trained_in_name_only()
    loader = DataLoader(KeyframeClips(read, CLIP, size=64), 2, collate_fn=collate_keyframes)
    expected = detect_keyframes(model, loader, device="cpu").detections[1].scores
    people = [person.box for person in read.keyframes[1].people]
    found = detect(model, folder / "crowd.mp4", 2.0, people)
    assert found.probabilities == pytest.approx(expected, abs=1e-5)
    assert found.boxes == pytest.approx(np.array(people)) and found.seconds == 2
    assert found.classes == Crowd().classes
    best = found.top(2)
    assert [len(box) for box in best] == [2, 2, 2]
    name, chance = best[0][0]
    assert chance == found.probabilities[0].max()
    assert name == found.classes[found.probabilities[0].argmax()]
    model.about = About()
    unnamed = detect(model, folder / "crowd.mp4", 2.0, people, size=64)
    assert unnamed.classes[3] == "class 3"
    assert unnamed.probabilities == pytest.approx(expected, abs=1e-5)


def test_what_a_video_cannot_be_asked_is_refused(filmed):
    folder, _, _ = filmed
    path, model = folder / "crowd.mp4", trained_in_name_only()
    with pytest.raises(ValueError, match="divide x by the picture's width"):
        detect(model, path, 1.0, [(10, 12, 30, 60)])
    with pytest.raises(ValueError, match="x1 <= x2"):
        detect(model, path, 1.0, [(0.5, 0.1, 0.2, 0.9)])
    with pytest.raises(ValueError, match=r"shape \(4,\), must be \(N, 4\)"):
        detect(model, path, 1.0, (0.1, 0.1, 0.2, 0.9))
    with pytest.raises(ValueError, match="at 9 s is after the end"):
        detect(model, path, 9.0, [(0.1, 0.1, 0.2, 0.9)])
    with pytest.raises(ValueError, match=r"SlowFast.* must be a Det.*load_detector") as one:
        detect(small_model(), path, 1.0, [(0.1, 0.1, 0.2, 0.9)])
    assert "\n" not in str(one.value) and len(str(one.value)) < 120


@pytest.mark.parametrize(
    ("seconds", "given", "message"),
    [
        (-5, {}, r"crowd\.mp4: seconds=-5 must be a number from 0 up"),
        (math.nan, {}, "seconds=nan must be a number"),
        (math.inf, {}, "seconds=inf must be a number"),
        ("2", {}, "seconds='2' must be a number"),
        (1.0, {"size": 0}, "size=0 must be a whole number of at least 1"),
        (1.0, {"frames_per_second": 0}, "frames_per_second=0 must be"),
    ],
)
def test_a_moment_that_cannot_be_is_refused(seconds, given, message, filmed):
    path, model = filmed[0] / "crowd.mp4", trained_in_name_only()
    with pytest.raises(ValueError, match=message):
        detect(model, path, seconds, [(0.1, 0.1, 0.2, 0.9)], **given)


def test_the_first_moment_and_numpy_s_numbers_are_fine(filmed):
    path, model = filmed[0] / "crowd.mp4", trained_in_name_only()
    boxes = [(0.1, 0.1, 0.2, 0.9)]
    asked = [detect(model, path, zero, boxes) for zero in (0, np.float32(0))]
    assert np.array_equal(*(found.probabilities for found in asked))
    for k in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"k={k} must be a whole number of at least 1"):
            asked[0].top(k)


def test_rows_that_ava_could_not_read_are_refused(tmp_path):
    path, good = tmp_path / "x.csv", ("a", 902, 0.1, 0.2, 0.3, 0.4, 1, 0.5)
    write_ava_csv(path, [good, ("a", 902.5, 0, 0, 1, 1, 80, 1e-7)])
    text = "a,0902,0.1,0.2,0.3,0.4,1,0.5\na,902.5,0,0,1,1,80,1e-07\n"
    assert path.read_text() == text
    for place, value, message in (
        (2, 0.35, r"line 2: the box is \(0.35, 0.2, 0.3, 0.4\)"),
        (5, 40, "must be shares"),
        (6, 0, "action_id=0 must be 1 or more"),
        (7, math.nan, "score=nan finite"),
    ):
        bad = (*good[:place], value, *good[place + 1 :])
        with pytest.raises(ValueError, match=message):
            write_ava_csv(path, [good, bad])
    assert path.read_text() == text  # as it was
    frame = detect_keyframes(
        Detector(TINY, 2), [collate_keyframes(squares(1))], device="cpu"
    )
    with pytest.raises(ValueError, match="keyframe '0' must be named like"):
        list(ava_rows(frame.detections))
