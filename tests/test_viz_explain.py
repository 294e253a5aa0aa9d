"""Figures of filters, maps and shares draw the numbers that they were given."""

import numpy as np
import pytest
import torch
from helpers import small_model
from matplotlib import colormaps

from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.models import build_model
from slowfast_edu.viz.explain import OPACITY, cam_strips, lateral_share, stem_filters

TINY = PRESETS["slowfast_tiny"].clip  # Slow sees every 4th of Fast's 16 frames


def picture(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def texts(figure):
    return {text.get_text(): text for text in figure.axes[0].texts}


# Stem filters


def test_a_filter_is_a_picture_for_each_frame_with_zero_as_grey():
    model = small_model()  # Fast: 2 filters of 5x7x7
    weight = model.fast.conv1.conv.weight.data.zero_()
    weight[0, 0, 1, 2, 3] = 0.5  # red, second frame, third row, fourth column
    weight[0, :, 4, 6, 6] = -0.25  # black on the last picture, half as strong
    weight[1, 2, 0, 0, 0] = -8.0  # a scale of its own; blue taken away leaves yellow
    sheet = picture(stem_filters(model, "fast"))
    one = sheet[:7]
    assert one[0, 1].tolist() == [128, 128, 128]  # zero: 127.5, rounded
    assert one[2, 8 + 3].tolist() == [255, 128, 128]
    assert one[6, 4 * 8 + 6].tolist() == [64, 64, 64]
    assert one[0, 5 * 8 + 3].tolist() == [128, 128, 0]  # 3 pixels between two filters
    assert (sheet[:7, 7] == 255).all()  # white between frames


def test_filters_are_numbered_and_the_title_says_their_size():
    figure = stem_filters(small_model(), "slow")
    assert set(texts(figure)) == set(map(str, range(8)))
    assert figure.axes[0].get_title(loc="left") == "slow: 8 filters of 1x7x7"
    places = [texts(figure)[str(i)].get_position() for i in (0, 1, 7)]
    assert places[0][1] == places[1][1] == places[2][1]
    fast = stem_filters(small_model(), "fast").axes[0].get_title(loc="left")
    assert fast == "fast: 2 filters of 5x7x7; left to right: frames -2 to +2"


def test_a_filter_of_zeros_and_a_grey_one_are_drawn():
    model = small_model(fast_input="gray")
    model.fast.conv1.conv.weight.data[0].zero_()
    sheet = picture(stem_filters(model, "fast"))
    assert (sheet[:7, :7] == 128).all()
    assert np.array_equal(sheet[..., 0], sheet[..., 2])


@pytest.mark.parametrize("name", ["r2plus1d_34", "i3d_inception"])
def test_the_filters_of_a_baseline_are_its_backbone_s(name):
    figure = stem_filters(build_model(name, num_classes=2), "backbone")
    figure.draw_without_rendering()
    assert figure.axes[0].get_title(loc="left").startswith("backbone: ")


def test_a_pathway_that_is_not_there_and_filters_of_flow_are_refused():
    with pytest.raises(
        ValueError, match="pathway='slow' is not known; choose one of 'fast'"
    ):
        stem_filters(small_model(pathways="fast"), "slow")
    with pytest.raises(ValueError, match="reads 2 channels, which are no colours"):
        stem_filters(small_model(fast_input="flow"), "fast")
    with pytest.raises(TypeError, match="no config"):
        stem_filters(torch.nn.Identity(), "slow")


# Grad-CAM on frames


def black(count, size=10):
    return np.zeros((count, size, size, 3), dtype=np.uint8)


def maps(size=10):
    """Slow's third frame and Fast's eleventh have one hot pixel; the scales differ."""
    slow, fast = np.zeros((4, size, size)), np.zeros((16, size, size))
    slow[2, 0, 0], fast[10, 1, 2], fast[3, 0, 0] = 5.0, 0.2, 0.1
    return {"slow": slow, "fast": fast}


def color(value):
    """Of a map's value over black."""
    rgb = 255 * np.array(colormaps["viridis"](value)[:3])
    return np.round(OPACITY * rgb).astype(int).tolist()


def test_slow_s_frames_stand_above_fast_s_of_the_same_moment():
    figure = cam_strips(black(16), maps(), TINY)
    sheet, tile = picture(figure), 12  # 10 pixels and a gap of 2; 8 frames a row
    assert sheet.shape == (4 * tile, 8 * tile, 3)
    assert sheet[0, 0].tolist() == color(0.0)  # Slow's first, all 0
    assert sheet[2 * tile, 0].tolist() == color(1.0)  # Slow's third: Fast's frame 8
    assert sheet[3 * tile + 1, 2 * tile + 2].tolist() == color(1.0)  # Fast's frame 10
    assert sheet[tile, 3 * tile].tolist() == color(0.5)  # frame 3: half of the largest
    assert (sheet[:10, tile : 2 * tile] == 255).all()  # Slow sees nothing here


def test_each_frame_carries_its_raw_number():
    figure = cam_strips(black(16), maps(), TINY)
    written = [(t.get_text(), t.get_color()) for t in figure.axes[0].texts]
    slow, fast = ("#0072B2", "#B34F00")
    assert [n for n, c in written if c == slow] == ["slow", "0", "16", "slow", "32", "48"]
    numbers = [n for n, c in written if c == fast and n != "fast"]
    assert numbers == [str(4 * i) for i in range(16)]


def test_the_rule_of_frames_is_followed():
    clip = ClipConfig(T=4, tau=16, alpha=8, frame_rule="linspace")
    cams = {"slow": np.ones((4, 10, 10)), "fast": np.ones((32, 10, 10))}
    figure = cam_strips(black(32), cams, clip)
    written = [(t.get_text(), t.get_color()) for t in figure.axes[0].texts]
    # 0, 10, 20 and 31 of 32, which are raw frames trunc(i * 63 / 31).
    numbers = [n for n, c in written if c == "#0072B2" and n != "slow"]
    assert numbers == ["0", "20", "40", "63"]
    assert picture(figure).shape[1] == 16 * 12  # more than 16 frames: 16 a row


def test_frames_are_grey_under_the_map():
    frames = black(16)
    frames[..., 0] = 200  # red: a luma of 59.8
    found = picture(cam_strips(frames, maps(), TINY))[2 * 12 + 5, 5]
    expected = 255 * OPACITY * np.array(colormaps["viridis"](0.0)[:3])
    np.testing.assert_allclose(found, expected + (1 - OPACITY) * 0.299 * 200, atol=1)


def test_one_map_a_small_one_and_one_of_zeros_are_drawn():
    figure = cam_strips(black(16), {"fast": np.zeros((16, 10, 10))}, TINY)
    assert "fast\nall 0" in texts(figure)
    small = np.zeros((16, 2, 2))
    small[0, 0, 1] = 1.0  # of half the size: the upper right quarter
    sheet = picture(cam_strips(black(16), {"fast": small}, TINY))
    assert sheet[4, 5].tolist() == color(1.0) and sheet[5, 5].tolist() == color(0.0)
    wide = np.zeros((16, 10, 20, 3), dtype=np.uint8)
    low = np.zeros((16, 1, 2))
    low[0, 0, 1] = 1.0
    sheet = picture(cam_strips(wide, {"fast": low}, TINY))
    assert sheet[9, 10].tolist() == color(1.0) and sheet[9, 9].tolist() == color(0.0)
    clip = ClipConfig(T=8, tau=8, alpha=1)
    backbone = cam_strips(black(8), {"backbone": np.ones((8, 10, 10))}, clip)
    assert next(iter(texts(backbone))) == "backbone"


@pytest.mark.parametrize(
    ("frames", "cams", "words"),
    [
        (black(15), maps(), "15 frames and 2 maps; give alpha"),
        (black(16), {}, "16 frames and 0 maps"),
        (black(16), {"slow": np.ones((16, 10, 10))}, r"must be \(4, H, W\)"),
        (black(16), {"fast": np.ones((16, 10))}, r"must be \(16, H, W\)"),
        (black(16), {"both": np.ones((16, 10, 10))}, "pathway='both' is not known"),
        (np.zeros((16, 10, 10, 3)), maps(), "frames are float64"),
    ],
)
def test_maps_that_do_not_fit_are_refused(frames, cams, words):
    with pytest.raises(ValueError, match=words):
        cam_strips(frames, cams, TINY)


# Laterals


def test_shares_are_bars_from_the_largest_down():
    figure = lateral_share({"pool1": np.array([0.1, 0.9, 0.5]), "res2": np.array([0.25])})
    first, second = figure.axes
    assert [bar.get_height() for bar in first.patches] == [0.9, 0.5, 0.1]
    assert [bar.get_height() for bar in second.patches] == [0.25]
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["after pool1: mean 0.50", "after res2: mean 0.25"]
    assert first.get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({}, "shares is empty"),
        ({"res2": np.ones((3, 2))}, r"shares\['res2'\] has shape \(3, 2\)"),
        ({"res2": []}, r"has shape \(0,\)"),
        ({"res2": [0.5, 1.5]}, "must be .* of 0 to 1"),
        ({"res2": [-0.5]}, "must be .* of 0 to 1"),
    ],
)
def test_what_is_no_share_is_refused(shares, words):
    with pytest.raises(ValueError, match=words):
        lateral_share(shares)
