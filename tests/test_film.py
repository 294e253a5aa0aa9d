"""The film of one clip: what its pictures show, and the file that is kept of it."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from slowfast_edu import PRESETS, build_model
from slowfast_edu.claims.shipped import load_shipped
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.transforms import as_clip, center_crop, normalize
from slowfast_edu.data.video import read_clip
from slowfast_edu.viz.film import film, save_film
from slowfast_edu.viz.film_page import BAR_LENGTH, FilmPage
from slowfast_edu.viz.style import GREY

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "notebooks" / "images" / "one_clip.gif"
TINY = PRESETS["slowfast_tiny"]
LAYERS = ("conv1", "pool1", "res2", "res3", "res4", "res5")
CAPTION = 31  # rows at the top, written anew for each step
# An opening, 16 frames, 6 layers, 4 laterals and the classes; seconds of each.
PICTURES = 1 + 16 + 6 + 4 + 1
SECONDS = [2.0, *[0.35] * 16, *[0.9] * 10, 3.0]


@pytest.fixture(scope="module")
def model():
    return load_shipped()


@pytest.fixture(scope="module")
def frames(model):
    decoded = read_clip(ROOT / "data_samples" / "jumping_jack.mp4", model.config.clip)
    return center_crop(as_clip(decoded), 48)[0].permute(1, 2, 3, 0).numpy()


@pytest.fixture(scope="module")
def made(model, frames):
    return film(model, frames, model.about.classes)


@pytest.fixture(scope="module")
def features(model, frames):
    """{module: its output}, by hooks, in a pass of the whole model."""
    seen, hooks = {}, []
    for name, module in model.named_modules():
        hook = module.register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: output})
        )
        hooks.append(hook)
    with torch.no_grad():
        seen["scores"] = model(normalize(frames))
    for hook in hooks:
        hook.remove()
    return seen


def tile(picture, pathway, row, column, page=None) -> np.ndarray:
    page = page or FilmPage(4, 16, laterals=True)
    x, y = page.place(pathway, row, column)
    return np.asarray(picture)[y : y + page.tile, x : x + page.tile]


def squares(image: np.ndarray, count: int) -> np.ndarray:
    """The colour in the middle of each of count x count squares."""
    middles = ((np.arange(count) + 0.5) * len(image) / count).astype(int)
    return image[middles][:, middles]


def heat(maps: torch.Tensor) -> np.ndarray:
    """Means over channels (C, T, H, W) -> colours of viridis, by numpy alone."""
    means = maps.double().numpy().mean(axis=0)
    scaled = (means - means.min()) / (means.max() - means.min())
    return 255 * colormaps["viridis"](scaled)[..., :3]


# The file


def test_the_kept_film_is_small_plays_once_and_is_not_hasty():
    assert KEPT.stat().st_size < 480_000
    with Image.open(KEPT) as kept:
        assert "loop" not in kept.info
        assert kept.n_frames == PICTURES and kept.width == 900
        seconds = []
        for number in range(kept.n_frames):
            kept.seek(number)
            seconds.append(kept.info["duration"] / 1000)
    assert seconds == pytest.approx(SECONDS)
    assert 10 <= sum(seconds) <= 20
    assert min(seconds) > 1 / 3  # nothing changes more than three times a second


def test_made_anew_the_film_is_that_which_is_kept(made, tmp_path):
    save_film(made, tmp_path / "anew.gif")
    with Image.open(KEPT) as kept, Image.open(tmp_path / "anew.gif") as anew:
        assert (kept.size, kept.n_frames) == (anew.size, anew.n_frames)
        for number in (0, 9, 20, PICTURES - 1):
            kept.seek(number)
            anew.seek(number)
            pair = [np.asarray(f.convert("RGB"), dtype=float) for f in (kept, anew)]
            assert np.abs(pair[0] - pair[1]).mean() < 2  # other fonts, other rounding
    assert made.seconds == SECONDS


def test_the_file_shows_the_pictures_it_was_given(made, tmp_path):
    path = tmp_path / "film.gif"
    save_film(made, path)
    with Image.open(path) as stored:
        assert "loop" not in stored.info  # nothing asks for repetition
        for number in (0, 5, 17, 22, PICTURES - 1):
            stored.seek(number)
            off = np.asarray(stored.convert("RGB"), float) - made.pictures[number]
            assert np.abs(off).mean() < 1 and np.abs(off).max() < 20  # 255 colours


def test_a_place_that_cannot_be_is_refused(made, tmp_path):
    with pytest.raises(ValueError, match=r"must end in .gif; try film.gif"):
        save_film(made, tmp_path / "film.mp4")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save_film(made, tmp_path / "none" / "film.gif")


# What it shows


def test_frames_come_one_by_one_into_fast_and_every_fourth_into_slow(made, frames):
    for number in range(16):
        before, after = made.pictures[number], made.pictures[number + 1]
        inner = tile(before, "fast", 0, number)[1:-1, 1:-1]
        assert (inner == 255).all()
        shown = tile(after, "fast", 0, number).astype(float)
        assert shown.mean(axis=(0, 1)) == pytest.approx(
            frames[number].mean(axis=(0, 1)), abs=1
        )
        slow = np.asarray(made.pictures[number + 1])
        come = [(tile(slow, "slow", 0, i)[1:-1, 1:-1] < 255).any() for i in range(4)]
        assert come == [number >= 4 * i for i in range(4)]
    for i in range(4):
        twice = (
            tile(made.pictures[-1], p, 0, c) for p, c in (("slow", i), ("fast", 4 * i))
        )
        assert np.array_equal(*twice)


@pytest.mark.parametrize("pathway", ["slow", "fast", "lateral"])
def test_maps_are_means_over_channels_by_time(made, features, pathway):
    for row, layer in enumerate(LAYERS, start=1):
        name = f"{pathway}.{layer}" + (".t_conv" if pathway == "lateral" else "")
        if pathway == "lateral" and layer in ("conv1", "res5"):
            assert name not in features
            continue
        wanted = heat(features[name][0])
        for column, colours in enumerate(wanted):
            shown = tile(made.pictures[-1], pathway, row, column)
            off = squares(shown, len(colours)) - colours
            assert np.abs(off).max() < 2, (layer, column)


def test_a_layer_shows_nothing_before_its_turn(made):
    turns = {"conv1": 17, "pool1": 18, "res2": 20, "res3": 22, "res4": 24, "res5": 26}
    for row, (_, turn) in enumerate(turns.items(), start=1):
        for pathway, column in (("slow", 3), ("fast", 15)):
            inner = [
                tile(made.pictures[turn + step], pathway, row, column)[1:-1, 1:-1]
                for step in (-1, 0)
            ]
            assert (inner[0] == 255).all() and (inner[1] != 255).any()


def test_bars_are_as_long_as_probabilities(frames):
    torch.manual_seed(0)
    fresh = build_model(TINY, num_classes=6).eval()
    with torch.no_grad():
        fresh.head.projection.weight.mul_(0)
        fresh.head.projection.bias.copy_(torch.tensor([0.4, 0.1, 0.2, 0.2, 0.1, 0]).log())
    last = film(fresh, frames, tuple("abcdef")).pictures[-1]
    page = FilmPage(4, 16, laterals=True)
    rows = np.asarray(last)[page.place("slow", 7, 0)[1] :]
    grey = (rows == [int(GREY[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=2)
    lengths = [line.sum() for line in grey if line.sum() > 20]
    runs = [lengths[0], *(b for a, b in pairwise(lengths) if a != b)]
    expected = [BAR_LENGTH * share + 1 for share in (0.4, 0.2, 0.1)]
    assert runs == pytest.approx(expected, abs=1)


def test_below_the_caption_every_pixel_changes_once(made):
    """So nothing flashes: a tile is empty and then is filled."""
    pictures = [np.asarray(p)[CAPTION:] for p in made.pictures]
    changes = sum((a != b).any(axis=2).astype(int) for a, b in pairwise(pictures))
    assert changes.max() == 1


# Other models


@pytest.mark.parametrize("fusion", ["none", "t_sample", "ttoc_concat", "ttoc_sum"])
def test_every_fusion_can_be_shown(frames, fusion):
    other = build_model(replace(TINY, fusion=fusion), num_classes=2).train()
    laterals = 0 if fusion == "none" else 4
    shown = film(other, frames, ("a", "b"))
    assert len(shown.pictures) == 1 + 16 + 6 + laterals + 1
    assert {picture.width for picture in shown.pictures} == {900}
    assert other.training  # left as it was


def test_more_frames_get_smaller_tiles(frames):
    clip = ClipConfig(T=4, tau=16, alpha=8)
    other = build_model(replace(TINY, clip=clip), num_classes=2).eval()
    shown = film(other, np.concatenate([frames, frames]), ("a", "b"))
    assert len(shown.pictures) == 1 + 32 + 6 + 4 + 1
    page = FilmPage(4, 32, laterals=True)
    assert page.place("fast", 0, 31)[0] + page.tile <= 900
    filled = tile(shown.pictures[32], "fast", 0, 31, page)
    assert (filled < 255).any(axis=2).all()


def test_what_cannot_be_shown_is_refused(model, frames):
    names = model.about.classes
    with pytest.raises(ValueError, match="15 frames, must be alpha"):
        film(model, frames[:15], names)
    with pytest.raises(ValueError, match="2 classes for 10 scores"):
        film(model, frames, names[:2])
    with pytest.raises(ValueError, match="must be uint8"):
        film(model, frames / 255, names)
    alone = build_model(replace(TINY, pathways="slow"), num_classes=2)
    with pytest.raises(ValueError, match="pathways='slow'"):
        film(alone, frames, ("a", "b"))
    grey = build_model(replace(TINY, fast_input="gray"), num_classes=2)
    with pytest.raises(ValueError, match="fast_input='gray'"):
        film(grey, frames, ("a", "b"))
    with pytest.raises(TypeError, match="no config"):
        film(torch.nn.Identity(), frames, names)
