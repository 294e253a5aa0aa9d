"""Grad-CAM and the laterals' share, held against their definitions."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from helpers import small_model
from torch import nn

from slowfast_edu.applications.explain import (
    LateralParts,
    ablate_laterals,
    grad_cam,
    lateral_contributions,
    laterals_of,
    without_laterals,
)
from slowfast_edu.checkpoints import About
from slowfast_edu.claims.shipped import load_shipped
from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import Actions, MovingFigures, tasks
from slowfast_edu.data.transforms import normalize
from slowfast_edu.data.video import read_clip
from slowfast_edu.models import Pathways, build_model, time_to_channel

STAGES = ["conv1", "pool1", "res2", "res3", "res4", "res5"]
LATERALS = ["pool1", "res2", "res3", "res4"]


def clips(count=1, frames=16, size=64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, frames, size, size, generator=generator)


def run(model, slow, fast, stages):
    """Stages of both pathways with the laterals between them."""
    for name in stages:
        slow, fast = getattr(model.slow, name)(slow), getattr(model.fast, name)(fast)
        if name in model.lateral and name != stages[-1]:
            slow = model.lateral[name](slow, fast)
    return slow, fast


def enlarged(cam, size):
    """Linear along one axis after the other, pixels' middles in place."""
    for axis, wanted in enumerate(size):
        given = cam.shape[axis]
        places = (np.arange(wanted) + 0.5) * given / wanted - 0.5
        cam = np.apply_along_axis(
            lambda line, at=places: np.interp(at, np.arange(len(line)), line), axis, cam
        )
    return cam


# Grad-CAM: the definition


def test_at_res5_the_weights_are_the_classifier_s_by_closed_form():
    """A linear layer after global pooling: d score / d feature = weight / (T H W)."""
    model, clip, label = small_model(), clips(), 3
    cams = grad_cam(model, clip, label)
    with torch.no_grad():
        features = run(model, clip[:, :, ::4], clip, STAGES)
    weight = model.head.projection.weight[label].detach().numpy()
    split = np.split(weight, [features[0].shape[1]])
    for cam, own, x in zip((cams.slow, cams.fast), split, features, strict=True):
        x = x[0].numpy()
        small = np.maximum(0, np.tensordot(own, x, axes=1)) / x[0].size
        assert small.max() > 0
        expected = enlarged(small, (len(small), 64, 64))
        np.testing.assert_allclose(cam, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("stage", ["pool1", "res3", "res4"])
def test_at_another_stage_it_is_the_definition(stage):
    model, clip, label = small_model(), clips(), 1
    cams = grad_cam(model, clip, label, stage)
    done = STAGES.index(stage) + 1
    leaves = run(model, clip[:, :, ::4], clip, STAGES[:done])
    slow, fast = [x.detach().requires_grad_() for x in leaves]
    joined = model.lateral[stage](slow, fast)  # Fast also acts through the lateral
    score = model.head(*run(model, joined, fast, STAGES[done:]))[0, label]
    for cam, x in ((cams.slow, slow), (cams.fast, fast)):
        (gradient,) = torch.autograd.grad(score, x, retain_graph=True)
        weights = gradient[0].mean(dim=(1, 2, 3)).numpy()
        small = np.maximum(0, np.tensordot(weights, x[0].detach().numpy(), axes=1))
        expected = enlarged(small, cam.shape)
        np.testing.assert_allclose(cam, expected, rtol=1e-4, atol=1e-6 * cam.max())
    assert cams.fast.max() > 0


def test_a_weight_is_what_a_little_more_of_the_channel_would_change():
    """Central differences, no autograd: one channel of Fast's res3 is raised everywhere."""
    model, clip, label = small_model().double(), clips(size=32).double(), 2
    channels = model.fast.res3[-1].c.out_channels
    raised = torch.zeros(1, channels, 1, 1, 1, dtype=torch.float64)
    seen = []

    def add(_module, _inputs, output):
        seen.append(output)
        return output + raised

    handle = model.fast.res3.register_forward_hook(add)
    weights = []
    with torch.no_grad():
        for channel in range(channels):
            sides = []
            for step in (1e-5, -1e-5):
                raised.zero_()
                raised[0, channel] = step
                sides.append(float(model(clip)[0, label]))
            weights.append((sides[0] - sides[1]) / 2e-5 / seen[0][0, 0].numel())
    handle.remove()
    small = np.maximum(0, np.tensordot(weights, seen[0][0].numpy(), axes=1))
    found = grad_cam(model, clip, label, "fast.res3")
    assert found.slow is None and list(found.maps) == ["fast"]
    np.testing.assert_allclose(found.fast, enlarged(small, (16, 32, 32)), rtol=1e-4)


class OneMoment(nn.Module):
    """Features that are zero but in one channel, frame and corner."""

    def forward(self, x):
        y = torch.zeros(1, 64, 16, 2, 2)
        y[0, 0, 5, 0, 1] = 1
        return y


def test_a_moment_in_fast_s_features_is_that_moment_in_the_map():
    model = small_model()
    model.fast.res5 = OneMoment()
    model.head.projection.weight.data[:, -64] = 1.0
    cam = grad_cam(model, clips(), label=0).fast
    assert np.flatnonzero(cam.max(axis=(1, 2))).tolist() == [5]
    assert np.unravel_index(cam[5].argmax(), (64, 64))[0] < 16  # above
    assert np.unravel_index(cam[5].argmax(), (64, 64))[1] > 47  # right


# Grad-CAM: what it gives


def test_each_pathway_has_a_map_of_its_own_frames():
    cams = grad_cam(small_model(), clips(size=48))
    assert cams.slow.shape == (4, 48, 48) and cams.fast.shape == (16, 48, 48)
    assert list(cams.maps) == ["slow", "fast"] and cams.backbone is None
    assert all(cam.dtype == np.float32 and cam.min() >= 0 for cam in cams.maps.values())
    pathways = Pathways(clips()[:, :, ::4], clips())
    for one, other in zip(
        grad_cam(small_model(), pathways).maps.values(),
        grad_cam(small_model(), clips()).maps.values(),
        strict=True,
    ):
        assert np.array_equal(one, other)


def test_one_pathway_gives_one_map():
    fast = grad_cam(small_model(pathways="fast"), clips())
    assert fast.slow is None and fast.fast.shape == (16, 64, 64)
    single = ClipConfig(T=4, tau=8, alpha=1)
    slow = grad_cam(small_model(pathways="slow", clip=single), clips(frames=4))
    assert list(slow.maps) == ["slow"] and slow.slow.shape == (4, 64, 64)
    half = grad_cam(small_model(fast_input="half"), clips())
    assert half.slow.shape == (4, 64, 64) and half.fast.shape == (16, 32, 32)


def test_a_baseline_gives_the_map_of_its_backbone():
    torch.manual_seed(0)
    model = build_model("c2d_8x8_r50", num_classes=3).eval()
    cams = grad_cam(model, clips(frames=8, size=32), stage="res4")
    assert list(cams.maps) == ["backbone"]  # its features have half the frames
    assert cams.backbone.shape == (8, 32, 32)


def test_the_likeliest_class_is_explained_unless_one_is_asked_for():
    model = small_model()
    with torch.no_grad():
        scores = model(clips())[0]
    usual = grad_cam(model, clips())
    assert usual.label == int(scores.argmax())
    assert usual.probability == pytest.approx(float(scores.softmax(0).max()))
    asked = grad_cam(model, clips(), label=np.int64(4))
    assert asked.label == 4 and type(asked.label) is int
    assert asked.probability == pytest.approx(float(scores.softmax(0)[4]))
    model.about = About(several_labels=True)
    several = grad_cam(model, clips(), label=4)
    assert several.probability == pytest.approx(float(scores[4].sigmoid()))


def state(model):
    return (
        [module.training for module in model.modules()],
        sum(len(module._forward_hooks) for module in model.modules()),
        [
            (p.requires_grad, None if p.grad is None else p.grad.sum())
            for p in model.parameters()
        ],
        [buffer.clone().tolist() for buffer in model.buffers()],
    )


@pytest.mark.parametrize("around", [nullcontext, torch.no_grad, torch.inference_mode])
def test_the_model_stays_as_it_was_after_an_error_too(around):
    model, clip = small_model(), clips()
    expected = grad_cam(model, clip)
    model.train()
    model.slow.res2.eval()
    for parameter in model.slow.parameters():
        parameter.requires_grad_(False)
    for parameter in model.fast.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = state(model)
    with around():
        found = grad_cam(model, clip)
        assert np.array_equal(found.fast, expected.fast)  # no dropout, running statistics
        assert state(model) == before
        with pytest.raises(ValueError, match="label=5"):
            grad_cam(model, clip, label=5)
    assert state(model) == before


# Grad-CAM: mistakes


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"batch of 4, must be one clip: clip\[:1\]"):
        grad_cam(small_model(), clips(4))
    with pytest.raises(ValueError, match=r"add the batch dimension: clip\[None\]"):
        grad_cam(small_model(), clips()[0])


@pytest.mark.parametrize("label", [-1, 5, 1.0, "run"])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match=f"label={label!r} must be a class: 0 to 4"):
        grad_cam(small_model(), clips(), label)


@pytest.mark.parametrize(
    ("pathways", "stage"), [("slowfast", "res1"), ("fast", "slow.res5")]
)
def test_a_stage_or_pathway_that_is_not_there_is_refused(pathways, stage):
    with pytest.raises(ValueError, match=f"stage='{stage}' is not one of .*fast.res5"):
        grad_cam(small_model(pathways=pathways), clips(), stage=stage)


def test_without_class_scores_there_is_nothing_to_explain():
    for ask in (grad_cam, ablate_laterals):
        with pytest.raises(ValueError, match="head='features' gives no class scores"):
            ask(small_model(head="features"), clips())


# Grad-CAM: does it mean anything? Of the trained model, on 40 unseen clips.


@pytest.fixture(scope="module")
def unseen():
    """[(clip, label, (T, 4) box of the figure in pixels)] of the ``actions`` at 48."""
    boxes, paint = [], tasks.paint_performer

    def kept(*arguments, **settings):
        boxes.append(paint(*arguments, **settings))
        return boxes[-1]

    clip = PRESETS["slowfast_tiny"].clip
    figures = MovingFigures(Actions(), 40, clip, size=48, split="test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "paint_performer", kept)
        samples = [figures[i] for i in range(40)]
    return [
        (normalize(sample.clip[None]), sample.label, box)
        for sample, box in zip(samples, boxes, strict=True)
    ]


def inside(cam, boxes):
    """Share of a map's mass in the boxes, and the boxes' share of the picture."""
    y, x = np.indices(cam.shape[1:]) + 0.5
    boxes = boxes[:: len(boxes) // len(cam)]
    masks = np.stack([(x > a) & (x < c) & (y > b) & (y < d) for a, b, c, d in boxes])
    return float(cam[masks].sum() / cam.sum()), float(masks.mean())


def shares(model, unseen, stage, pathway):
    """(mass, area), each (40,), of maps that are not all 0."""
    found = []
    for clip, label, boxes in unseen:
        cam = grad_cam(model, clip, label, stage).maps[pathway]
        if cam.any():
            found.append(inside(cam, boxes))
    return np.array(found).T


def test_slow_s_early_maps_lie_on_the_figure_and_late_ones_hardly(unseen):
    """res2 has 12x12 places, res5 at 48 pixels 2x2: too few to lie anywhere."""
    model = load_shipped()
    mass, area = shares(model, unseen, "res2", "slow")
    assert len(mass) >= 36
    assert mass.mean() > 2 * area.mean()  # 0.58 against 0.25
    mass, area = shares(model, unseen, "res5", "slow")
    gain = mass - area
    assert gain.mean() > 2 * gain.std() / len(gain) ** 0.5  # more than chance...
    assert gain.mean() < 0.1  # ...but 0.28 against 0.25 is no finding of the figure


def rank_correlation(one, other):
    ranks = [np.argsort(np.argsort(x.ravel())) for x in (one, other)]
    return np.corrcoef(ranks)[0, 1]


def test_random_weights_change_the_map(unseen):
    """The sanity check of Adebayo et al. (2018): a map must depend on what was learnt."""
    model = load_shipped()
    torch.manual_seed(0)
    fresh = build_model(model.config, num_classes=10).eval()
    alike = {"slow": [], "fast": []}
    for clip, label, _ in unseen[:20]:
        learnt, drawn = (grad_cam(m, clip, label).maps for m in (model, fresh))
        for pathway, found in alike.items():
            if learnt[pathway].any() and drawn[pathway].any():
                found.append(rank_correlation(learnt[pathway], drawn[pathway]))
    for found in alike.values():
        assert len(found) >= 15
        assert np.mean(found) < 0.5  # 0.2 and 0.0


def test_a_video_that_was_encoded_and_decoded_is_explained(tmp_path):
    model = load_shipped()
    task = Actions()
    label = task.classes.index("jumping_jack")
    figures = MovingFigures(task, 10, model.config.clip, size=48, split="test")
    frames = figures.render(label, np.arange(64)).frames
    write_video(frames, tmp_path / "jack.mp4")
    decoded = normalize(read_clip(tmp_path / "jack.mp4", model.config.clip))
    cams = grad_cam(model, decoded, stage="res4")
    assert cams.label == label and cams.probability > 0.9
    rendered = grad_cam(model, normalize(frames[::4]), stage="res4")
    for name, cam in rendered.maps.items():
        assert rank_correlation(cam, cams.maps[name]) > 0.9


# Laterals


def sum_model(**changes):
    return small_model(beta=1 / 4, **changes)  # 1 / alpha, as "ttoc_sum" needs


@pytest.mark.parametrize("reader", ["a", "shortcut"])
@pytest.mark.parametrize("fusion", ["t_conv", "t_sample", "ttoc_concat", "ttoc_sum"])
def test_own_part_and_lateral_part_are_the_response(fusion, reader):
    model, seen = sum_model(fusion=fusion), {}
    following = dict(zip(LATERALS, STAGES[2:], strict=True))

    def note(module, inputs, output):
        seen[module] = inputs[0], output

    for stage in following.values():
        getattr(model.slow, stage).block0.get_submodule(reader).register_forward_hook(note)
    with torch.no_grad():
        model(clips(2))
    noted = dict(seen)
    parts = lateral_contributions(model, clips(2), reader)
    assert list(parts) == LATERALS
    for name, stage in following.items():
        convolution = getattr(model.slow, stage).block0.get_submodule(reader)
        x, response = noted[convolution]
        own, lateral = (torch.from_numpy(part) for part in parts[name])
        torch.testing.assert_close(own + lateral, response, rtol=1e-4, atol=1e-4)
        if fusion == "ttoc_sum":
            continue
        width = model.slow.conv1.conv.out_channels if name == "pool1" else None
        width = width or getattr(model.slow, name)[-1].c.out_channels
        with torch.no_grad():  # Slow's own channels come first
            alone = nn.functional.conv3d(
                x[:, :width],
                convolution.weight[:, :width],
                stride=convolution.stride,
                padding=convolution.padding,
            )
        torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-4)


def test_the_lateral_part_of_a_sum_is_what_was_added():
    model = sum_model(fusion="ttoc_sum")
    slow, fast = run(model, clips()[:, :, ::4], clips(), STAGES[:2])
    with torch.no_grad():
        expected = model.slow.res2.block0.a(time_to_channel(fast, 4))
        own = model.slow.res2.block0.a(slow)
    parts = lateral_contributions(model, clips())["pool1"]
    np.testing.assert_allclose(parts.lateral, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(parts.own, own, rtol=1e-3, atol=1e-5)


def test_a_share_is_of_what_changes():
    values = np.random.default_rng(0).normal(size=(2, 4, 3, 5, 5))
    other = values.copy()
    other[:, 1] = 3 * values[:, 1] + 100  # a constant does not count
    other[:, 2] = 7.0
    values[:, 3] = other[:, 3] = 2.0
    share = LateralParts(values, other).share
    np.testing.assert_allclose(share, [0.5, 0.75, 0.0, 0.0], atol=1e-12)


def silenced(model, names):
    """A copy whose laterals' BN gives 0, and ReLU of it 0."""
    model = copy.deepcopy(model)
    for name in names:
        nn.init.zeros_(model.lateral[name].t_conv.bn.weight)
        nn.init.zeros_(model.lateral[name].t_conv.bn.bias)
    return model


def test_left_out_laterals_are_laterals_that_give_zero():
    model = small_model()
    found = ablate_laterals(model, clips(3))
    assert list(found) == ["none", *LATERALS, "all"]
    expected = {"none": [], **{name: [name] for name in LATERALS}, "all": LATERALS}
    with torch.no_grad():
        for left_out, names in expected.items():
            scores = silenced(model, names)(clips(3))
            torch.testing.assert_close(found[left_out], scores)
            if names:
                with without_laterals(model, names):
                    torch.testing.assert_close(model(clips(3)), scores)
                assert not torch.allclose(scores, found["none"])
        with without_laterals(model):
            torch.testing.assert_close(model(clips(3)), found["all"])


def test_a_sum_left_out_is_no_fusion():
    model, none = sum_model(fusion="ttoc_sum"), sum_model(fusion="none")
    none.load_state_dict(model.state_dict())
    with torch.no_grad(), without_laterals(model):
        assert torch.equal(model(clips()), none(clips()))


def test_laterals_come_back_after_an_error():
    model = small_model().train()
    before = state(model)
    with pytest.raises(RuntimeError, match="oh"), without_laterals(model, "res2"):
        assert state(model) != before
        raise RuntimeError("oh")
    for look in (ablate_laterals, lateral_contributions):
        with pytest.raises(ValueError, match="T=6 frames"):
            look(model, clips(frames=6))
        look(model, clips())
    assert state(model) == before


@pytest.mark.parametrize("changes", [{"fusion": "none"}, {"pathways": "slow"}])
def test_a_model_without_laterals_is_refused(changes):
    model = small_model(**changes)
    for look in (lateral_contributions, ablate_laterals):
        with pytest.raises(ValueError, match="the model has no laterals"):
            look(model, clips())
    with pytest.raises(ValueError, match="no laterals"), without_laterals(model):
        pass


def test_names_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match=r"lateral='res5' is not known; .*'pool1', 'res2'"):
        laterals_of(small_model(), ["res2", "res5"])
    with pytest.raises(ValueError, match="reader='b' is not known; choose one of 'a'"):
        lateral_contributions(small_model(), clips(), "b")
    with torch.device("meta"):
        baseline = build_model("i3d_8x8_r50")
    with pytest.raises(ValueError, match="the model has no laterals"):
        laterals_of(baseline)
