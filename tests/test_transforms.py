"""Transforms: closed forms, PyTorchVideo's functions, and draws that follow the recipe."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast_edu.data.transforms import (
    EvalTransform,
    TrainTransform,
    as_clip,
    center_crop,
    normalize,
    random_crop,
    random_flip,
    random_short_side,
    resize_short_side,
    three_crop,
    uniform_crop,
)


@pytest.fixture(scope="module")
def peer():
    """PyTorchVideo's functions, without the package's own imports (torchvision)."""
    package = importlib.util.find_spec("pytorchvideo")
    if package is None:
        pytest.skip("pytorchvideo is not installed")
    path = Path(package.origin).parent / "transforms" / "functional.py"
    spec = importlib.util.spec_from_file_location("peer_functional", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rng(seed=0):
    return np.random.default_rng(seed)


def places(batch, height, width):
    """Clips whose every pixel says where it is: channel 0 its row, channel 1 its column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    picture = torch.stack([rows, columns, torch.zeros_like(rows)]).to(torch.uint8)
    return picture[None, :, None].repeat(batch, 1, 2, 1, 1)


def noise(*shape):
    return torch.from_numpy(rng(7).integers(0, 256, shape, dtype=np.uint8))


def test_normalize_is_the_zoo_s():
    frames = np.full((2, 4, 5, 3), 255, dtype=np.uint8)
    frames[1] = 0
    clip = normalize(frames)
    assert clip.shape == (1, 3, 2, 4, 5)
    assert clip[0, :, 0].unique().item() == pytest.approx((1 - 0.45) / 0.225)
    assert clip[0, :, 1].unique().item() == pytest.approx(-2.0)


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 5, 3), np.float32), np.zeros((2, 3, 4, 5), np.uint8)]
)
def test_normalize_refuses_other_layouts(frames):
    with pytest.raises(ValueError, match=r"uint8 of shape \(T, H, W, 3\)"):
        normalize(frames)


def test_normalize_of_a_batch_is_that_of_its_frames():
    frames = noise(2, 4, 5, 3).numpy()
    batch = torch.cat([as_clip(frames), as_clip(frames[::-1])])
    assert torch.equal(normalize(batch)[:1], normalize(frames))
    assert torch.equal(normalize(batch)[1:], normalize(frames).flip(2))


def test_normalize_refuses_to_do_it_twice():
    with pytest.raises(ValueError, match=r"torch\.float32, must be torch\.uint8"):
        normalize(normalize(noise(2, 4, 5, 3).numpy()))


@pytest.mark.parametrize("height,width", [(60, 90), (90, 60), (33, 47), (48, 48)])
def test_center_crop_gives_the_middle_square(height, width):
    ramp = torch.linspace(-1, 1, width).expand(1, 3, 2, height, width)
    cropped = center_crop(ramp, 32)
    assert cropped.shape == (1, 3, 2, 32, 32)
    assert cropped.mean().abs() < 0.05  # the middle of a ramp from -1 to 1


@pytest.mark.parametrize("shape,crop", [((3, 2, 8, 8), 4), ((1, 3, 2, 8, 8), 0)])
def test_center_crop_refuses_other_ranks_and_no_pixels(shape, crop):
    with pytest.raises(ValueError, match=r"\(B, C, T, H, W\) and at least 1 pixel"):
        center_crop(torch.zeros(shape), crop)


@pytest.mark.parametrize("height,width", [(24, 36), (36, 24), (30, 30), (25, 43)])
def test_a_clip_grows_as_pytorchvideo_s(peer, height, width):
    clip = noise(2, 3, 4, height, width).float()
    grown = resize_short_side(clip, 40)
    for ours, one in zip(grown, clip, strict=True):
        torch.testing.assert_close(ours, peer.short_side_scale(one, 40), atol=2e-3, rtol=0)


def test_bytes_are_scaled_as_floats_within_one_level():
    clip = noise(1, 3, 2, 50, 70)
    for size in (30, 64):
        scaled = resize_short_side(clip, size)
        assert scaled.dtype == torch.uint8
        error = scaled.float() - resize_short_side(clip.float(), size)
        assert error.abs().max() <= 1.01


def test_shrinking_does_not_alias():
    """Stripes one pixel wide become grey; plain bilinear takes every third as it is."""
    stripes = torch.arange(63).remainder(2).float().expand(1, 3, 1, 63, 63)
    shrunk = resize_short_side(stripes, 21)
    assert (shrunk[..., 2:-2] - 0.5).abs().max() < 0.2


def test_a_clip_of_the_right_size_is_left_alone():
    clip = noise(1, 3, 2, 20, 31)
    assert resize_short_side(clip, 20) is clip


def test_jitter_draws_every_size_from_least_to_most():
    clip = torch.zeros(1, 1, 1, 4, 8)
    draws = [random_short_side(clip, rng(s), 5, 8).shape[3:] for s in range(200)]
    assert {tuple(shape) for shape in draws} == {(5, 10), (6, 12), (7, 14), (8, 16)}
    assert 30 < draws.count((6, 12)) < 70  # 50 expected, standard deviation 6


def test_jitter_is_the_paper_s_by_default():
    clip = torch.zeros(1, 1, 1, 8, 8)
    sizes = {random_short_side(clip, rng(seed)).shape[3] for seed in range(600)}
    assert (min(sizes), max(sizes)) == (256, 320)


@pytest.mark.parametrize("least,most,field", [(0, 4, "least"), (8, 7, "most")])
def test_jitter_refuses_bounds_out_of_order(least, most, field):
    with pytest.raises(ValueError, match=field):
        random_short_side(torch.zeros(1, 1, 1, 8, 8), rng(), least, most)


def test_random_crop_takes_each_clip_s_own_place_and_reaches_all():
    cropped = random_crop(places(600, 6, 5), 4, rng())
    assert cropped.shape == (600, 3, 2, 4, 4)
    corners = cropped[:, :2, 0, 0, 0]
    assert {tuple(c) for c in corners.tolist()} == {
        (y, x) for y in range(3) for x in (0, 1)
    }
    offsets = cropped[:, :2, 0] - corners[:, :, None, None]
    assert torch.equal(offsets, places(1, 4, 4)[:, :2, 0].expand(600, 2, 4, 4))
    assert torch.equal(cropped[:, :, 0], cropped[:, :, 1])  # one place for all frames


def test_a_crop_of_the_whole_is_the_whole():
    clip = noise(2, 3, 2, 8, 8)
    assert torch.equal(random_crop(clip, 8, rng()), clip)
    assert torch.equal(three_crop(clip, 8), clip.expand(3, 2, 3, 2, 8, 8))


@pytest.mark.parametrize(
    "height,width,corners",
    [
        (8, 14, [(0, 0), (0, 3), (0, 6)]),
        (14, 8, [(0, 0), (3, 0), (6, 0)]),
        (8, 13, [(0, 0), (0, 3), (0, 5)]),  # the middle of 0 to 5 rounds up
        (10, 14, [(1, 0), (1, 3), (1, 6)]),  # the shorter side is cut in the middle
    ],
)
def test_three_crop_spreads_along_the_longer_side(peer, height, width, corners):
    clip = places(2, height, width)
    crops = three_crop(clip, 8)
    assert crops.shape == (3, 2, 3, 2, 8, 8)
    assert crops[:, 1, :2, 1, 0, 0].tolist() == [list(corner) for corner in corners]
    for index in range(3):
        assert torch.equal(crops[index, 0], peer.uniform_crop(clip[0], 8, index))
        assert torch.equal(crops[index], uniform_crop(clip, 8, index))


def test_uniform_crop_refuses_a_fourth():
    with pytest.raises(ValueError, match="crop=3"):
        uniform_crop(torch.zeros(1, 3, 2, 8, 9), 8, 3)


@pytest.mark.parametrize(
    "crop", [lambda c: random_crop(c, 9, rng()), lambda c: three_crop(c, 9)]
)
def test_a_square_that_does_not_fit_is_refused_with_the_way_out(crop):
    with pytest.raises(ValueError, match=r"the most is 8, or call resize_short_side"):
        crop(torch.zeros(1, 3, 2, 8, 12))


def flips(flipped_labels, count=400):
    """Whether each of many clips was flipped, with the labels before and after."""
    labels = torch.arange(count) % 4
    clip, after = random_flip(places(count, 2, 3), labels, rng(), flipped_labels)
    columns = clip[:, 1, :, 0]
    flipped = columns[:, 0, 0] == 2
    expected = torch.where(flipped[:, None], torch.tensor([2, 1, 0]), torch.arange(3))
    assert torch.equal(columns, expected.to(torch.uint8)[:, None].expand(count, 2, 3))
    return flipped, labels, after


def test_flip_is_a_fair_coin_for_each_clip():
    flipped, labels, after = flips(None)
    assert 160 < flipped.sum() < 240  # 200 expected, standard deviation 10
    assert torch.equal(labels, after)


def test_flip_changes_the_labels_that_it_changes():
    flipped, labels, after = flips([1, 0, 2, None])  # left, right, clap, clockwise
    mirror = torch.tensor([1, 0, 2, 3])
    assert torch.equal(after, torch.where(flipped, mirror[labels], labels))
    assert not flipped[labels == 3].any()
    for label in range(3):
        assert 30 < flipped[labels == label].sum() < 70  # 50 expected, deviation 5


def test_none_and_minus_one_are_the_same():
    assert torch.equal(flips([1, 0, 2, None])[0], flips([1, 0, 2, -1])[0])


@pytest.mark.parametrize(
    "mirror", [[1, 2, 0, 3], [4, 1, 2, 3], [1, -1, 2, 3], [-2, 1, 2, 3]]
)
def test_a_mirror_that_is_none_is_refused(mirror):
    with pytest.raises(ValueError, match=r"flipped_labels\[0\]"):
        flips(mirror)
    with pytest.raises(ValueError, match=r"flipped_labels\[0\]"):
        TrainTransform(flipped_labels=tuple(mirror))


def test_several_labels_a_clip_stay_as_they_are():
    several = torch.eye(2)
    shown, labels = random_flip(places(2, 2, 2), several, rng())
    assert torch.equal(labels, several)
    assert shown.shape == places(2, 2, 2).shape
    with pytest.raises(ValueError, match="give one a clip"):
        random_flip(places(2, 2, 2), several, rng(), flipped_labels=[1, 0])


def test_flip_wants_a_label_for_each_clip():
    with pytest.raises(ValueError, match=r"\(1,\) for 2 clips"):
        random_flip(places(2, 2, 2), torch.zeros(1, dtype=torch.int64), rng())


def test_all_frames_of_a_batch_are_scaled_in_one_call(monkeypatch):
    shapes, interpolate = [], torch.nn.functional.interpolate

    def count(images, **settings):
        shapes.append(tuple(images.shape))
        return interpolate(images, **settings)

    monkeypatch.setattr(torch.nn.functional, "interpolate", count)
    resize_short_side(noise(2, 3, 6, 40, 60), 32)
    assert shapes == [(12, 3, 40, 60)]


def test_all_frames_of_a_clip_get_the_same_scale_place_and_flip():
    still = noise(1, 3, 1, 40, 60).repeat(1, 1, 6, 1, 1)
    clip = random_crop(random_short_side(still, rng(), 32, 40), 24, rng())
    clip, _ = random_flip(clip, torch.tensor([0]), rng())
    assert torch.equal(clip, clip[:, :, :1].expand_as(clip))


def test_train_transform_is_the_recipe():
    frames = noise(4, 30, 40, 3).numpy()
    recipe = TrainTransform(size=24, least=26, most=28, flipped_labels=(1, 0))
    seen = set()
    for seed in range(40):
        clip, label = recipe(frames, 0, rng(seed))
        assert clip.shape == (3, 4, 24, 24)
        assert clip.dtype == torch.float32
        again, _ = recipe(frames, 0, rng(seed))
        assert torch.equal(clip, again)
        seen.add(label)
    assert seen == {0, 1}
    assert TrainTransform() == TrainTransform(size=224, least=256, most=320)


def test_train_transform_scales_between_its_own_bounds():
    frames = noise(2, 30, 30, 3).numpy()
    clip, _ = TrainTransform(size=24, least=24, most=24)(frames, 0, rng())
    whole = normalize(resize_short_side(as_clip(frames), 24))[0]
    assert torch.equal(clip, whole) or torch.equal(clip, whole.flip(-1))


def test_train_transform_refuses_a_square_larger_than_the_least_side():
    with pytest.raises(ValueError, match="size=257 must fit into least=256"):
        TrainTransform(size=257)


@pytest.mark.parametrize("crops", [1, 3])
def test_eval_transform_is_the_recipe(crops):
    frames = noise(4, 30, 40, 3).numpy()
    views = EvalTransform(size=24, crops=crops)(frames)
    scaled = resize_short_side(as_clip(frames), 24)
    wanted = (0, 1, 2) if crops == 3 else (1,)
    expected = torch.cat([normalize(uniform_crop(scaled, 24, c)) for c in wanted])
    assert torch.equal(views, expected)
    assert EvalTransform() == EvalTransform(size=256, crops=3)


@pytest.mark.parametrize("field,value", [("size", 0), ("crops", 2)])
def test_eval_transform_refuses(field, value):
    with pytest.raises(ValueError, match=f"{field}={value}"):
        EvalTransform(**{field: value})
