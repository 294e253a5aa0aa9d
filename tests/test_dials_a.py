"""Widgets of notebooks 01, 03, 04 and 05: what they draw and say is true."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.collections import PathCollection
from torch.utils.flop_counter import FlopCounterMode

from slowfast_edu.config import LUMA, PRESETS, ClipConfig
from slowfast_edu.models import LateralConnection, build_model
from slowfast_edu.viz.charts import CostPoint
from slowfast_edu.viz.dials import cells as cells
from slowfast_edu.viz.dials import costs as costs
from slowfast_edu.viz.dials import laterals as laterals
from slowfast_edu.viz.dials import pathways as pathways

FOUR = PRESETS["slowfast_4x16_r50"]


def dials_of(explorer):
    return list(explorer.children[0].children)


def told(explorer):
    return explorer.children[1].value


def noise(size=20):
    return np.random.default_rng(0).integers(0, 256, (64, size, size, 3), dtype=np.uint8)


def all_positive(model):
    """With these weights no ReLU is off: a gradient is zero only where nothing leads."""
    for parameter in model.parameters():
        parameter.data.abs_().add_(0.01)
    return model.eval()


def frames_read(function, frames, size=32):
    """Of each output frame, the input frames with a gradient: (T, frames)."""
    x = torch.rand(1, 3, frames, size, size).requires_grad_()
    outputs = function(x).sum(dim=(0, 1, 3, 4))
    slopes = [torch.autograd.grad(y, x, retain_graph=True)[0] for y in outputs]
    return np.array([slope.abs().sum(dim=(0, 1, 3, 4)) > 0 for slope in slopes])


# Notebook 01


@pytest.mark.parametrize("window", [1, 2, 16])
def test_p_like_averages_as_a_pooling_layer_does(window):
    video = torch.from_numpy(noise()).permute(3, 0, 1, 2)[None].double()
    before = video[:, :, :1].expand(-1, -1, window - 1, -1, -1)
    pooled = F.avg_pool3d(torch.cat([before, video], 2), (window, 1, 1), stride=1)
    ours = cells.averaged(noise(), window)
    np.testing.assert_allclose(ours, pooled[0].permute(1, 2, 3, 0), atol=1e-3)


@pytest.mark.parametrize("blur", [1, 3, 9])
def test_m_like_blurs_and_takes_differences_as_layers_do(blur):
    grey = torch.from_numpy(noise() @ np.array(LUMA))[None, None]
    coarse = F.avg_pool3d(grey, (1, blur, blur), 1, padding=(0, blur // 2, blur // 2))[0, 0]
    wanted = coarse.diff(dim=0, prepend=coarse[:1])
    np.testing.assert_allclose(cells.coarse_change(noise(), blur), wanted, atol=1e-9)


@pytest.mark.parametrize("points", [1, 2, 9, 16])
def test_what_an_average_keeps_of_a_wave_is_what_averaging_it_leaves(points):
    cycles = np.array([0, 0.02, 1 / 16, 0.11, 0.25, 0.37])
    places = np.arange(4000)[:, None]
    wave = np.exp(2j * np.pi * cycles * places)
    summed = sum(wave[start : 3000 + start] for start in range(points)) / points
    kept = np.abs(summed).mean(axis=0)
    np.testing.assert_allclose(cells.kept_by_average(cycles, points), kept, atol=1e-6)


def test_the_strips_are_the_video_its_average_and_its_change():
    frames = noise(20)
    film, time, space = cells.eye_cells_figure(frames, window=4, blur=1).axes
    tiles = np.asarray(film.images[0].get_array()).reshape(3, 22, 11, 22, 3)
    last = tiles[:, :20, -1, :20]
    np.testing.assert_array_equal(last[0], frames[61])
    np.testing.assert_array_equal(last[1], frames[58:62].mean(axis=0).round())
    change = (frames[61].astype(float) - frames[60]) @ np.array(LUMA)
    wanted = (127.5 + cells.CONTRAST * change).clip(0, 255).round()
    assert np.abs(last[2] - wanted[..., None]).max() <= 1
    assert [text.get_text() for text in film.get_xticklabels()][-1] == "61"
    for axis in (time, space):
        assert [line.get_linestyle() for line in axis.lines] == ["-", "--"]
    p_like = time.lines[0]
    at_first_loss = np.interp(30 / 4, p_like.get_xdata(), p_like.get_ydata())
    assert at_first_loss == pytest.approx(0, abs=0.02)


def test_the_cells_dials_say_what_is_lost_and_what_is_left_to_pass_on():
    explorer = cells.eye_cells_explorer(noise())
    window, blur = dials_of(explorer)
    window.value, blur.value = 8, 3
    assert "flicker of 3.8 cycles a second is lost" in told(explorer)  # 30 / 8
    assert "One frame in 8 is 12.5% of" in told(explorer)
    assert "stripes of 3 pixels are lost" in told(explorer)
    assert "One number a square and frame is 3.7%." in told(explorer)  # 1 / 27
    blur.value = 1
    assert "it is all change of luma, 33.3%" in told(explorer)
    window.value = 1
    assert "it is the video" in told(explorer)


def test_cells_refuse_another_number_of_frames_and_an_even_blur():
    with pytest.raises(ValueError, match="frames has 10 frames, must have 64"):
        cells.eye_cells_figure(noise()[:10])
    with pytest.raises(ValueError, match="blur=4 must be odd"):
        cells.eye_cells_figure(noise(), blur=4)


# Notebook 03


def halve(model, names, halved):
    """Give a running model the strides over time that the figure supposes."""
    frames = {"slow": model.config.clip.T, "fast": model.config.clip.fast_frames}
    for stage in ("pool1", *pathways.STAGES):
        for name in names:
            if stage in halved:
                block = getattr(getattr(model, name), stage).block0
                block.a.stride = (2, 1, 1)
                block.shortcut.stride = (2, *block.shortcut.stride[1:])
                frames[name] //= 2
        if stage in model.lateral:
            lateral = model.lateral[stage]
            lateral.alpha = frames["fast"] // frames["slow"]
            lateral.t_conv.conv.stride = (lateral.alpha, 1, 1)
    return model


@pytest.mark.parametrize("halved", [(), ("res3", "res5"), ("res2", "res3")])
@pytest.mark.parametrize("name", ["slow", "fast"])
def test_levels_are_what_gradients_find_in_the_running_pathway(name, halved):
    config = replace(FOUR, clip=ClipConfig(T=16, tau=8, alpha=4), width=8, fusion="none")
    model = all_positive(build_model(config, num_classes=2))
    pathway = getattr(halve(model, [name], halved), name)
    frames, stride = (16, 8) if name == "slow" else (64, 2)
    clip = features = torch.rand(1, 3, frames, 32, 32).requires_grad_()
    levels = pathways.time_levels(config, name, halved)
    # Slow has kernels over time from res4 on: what it halves away before is never read.
    last = levels[2].places[-1] if name == "slow" else (frames - 1) * stride
    for level in levels:
        features = getattr(pathway, level.stage)(features)
        count = features.shape[2]
        assert np.diff(level.places).tolist() == [level.spacing] * (count - 1)
        middle = features[:, :, count // 2].sum()
        slope = torch.autograd.grad(middle, clip, retain_graph=True)[0]
        reads = stride * slope.abs().sum(dim=(0, 1, 3, 4)).nonzero().ravel().numpy()
        place, far = level.places[count // 2], (level.reach - 1) // 2
        assert reads[0] == max(0, place - far)
        assert reads[-1] == min(last, place + far)
        if level.stage == "conv1":
            features = pathway.pool1(features)


@pytest.mark.parametrize(
    ("preset", "names", "halved"),
    [
        ("slowfast_4x16_r50", ["fast"], ("res3", "res4", "res5")),
        ("slowfast_4x16_r50", ["slow"], ("res4", "res5")),
        ("slowfast_8x8_r50", ["slow", "fast"], ("res3", "res4", "res5")),
    ],
)
def test_what_halving_saves_is_what_a_halved_model_counts(preset, names, halved):
    config = replace(PRESETS[preset], depth=26, width=8)
    model = halve(build_model(config).eval(), names, halved)
    clip = torch.zeros(1, 3, config.clip.fast_frames, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(clip)
    counted = counter.get_total_flops() // 2  # it counts two operations a multiply-add
    assert pathways.halved_macs(config, names, halved, crop=32) == counted


def test_the_pathways_figure_is_table_1_with_each_frame_at_its_moment():
    slow, fast = pathways.pathways_figure(FOUR).axes
    for axis, channels, frames in (
        (slow, (64, 256, 512, 1024, 2048), 4),
        (fast, (8, 32, 64, 128, 256), 32),
    ):
        labels = [label.get_text().split("   ") for label in axis.get_yticklabels()]
        sides = (112, 56, 28, 14, 7)
        names = ("conv1", "res2", "res3", "res4", "res5")
        assert labels == [
            [n, f"{c} x {frames} x {s}²"]
            for n, c, s in zip(names, channels, sides, strict=True)
        ]
        rows = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) > 1]
        assert [list(row) for row in rows] == [list(range(0, 64, 64 // frames))] * 5
    assert [text.get_text() for text in slow.texts][:4] == ["spans 1 frame"] * 3 + [
        "spans 6.43 s (all)"  # 12 gaps of 16 and itself, in thirtieths
    ]
    assert fast.texts[0].get_text() == "spans 0.30 s"  # 4 gaps of 2 and itself


def test_the_pathways_dials_count_what_is_left_and_saved():
    explorer = pathways.pathways_explorer()
    model, who, stages = dials_of(explorer)
    assert "Fast halves time in res5: behind res5 Slow has 4 frames" in told(explorer)
    stages.value = "no stage"
    assert "Slow has 4 frames, 0.53 s apart, Fast 32 frames, 0.07 s apart" in told(explorer)
    stages.value = "res3 to res5"
    # 1.0066 / 2 + 1.4261 * 3 / 4 + 0.7969 * 7 / 8 of 36.099 GMACs
    assert "Fast 4 frames, 0.53 s apart. That saves 6.3% of" in told(explorer)
    before = explorer.children[2].value
    who.value = "both"
    assert "Slow has 4 frames, which cannot be halved 3 times; the most is 2" in told(
        explorer
    )
    assert explorer.children[2].value == before
    model.value = "8x8 R50"
    assert "both pathways halve time in res3 to res5: behind res5 Slow has 1 frame" in told(
        explorer
    )
    assert explorer.children[2].value != before


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="halved='pool1' is not known; choose one of"):
        pathways.time_levels(FOUR, "fast", ["pool1"])


# Notebook 04


@pytest.mark.parametrize("kind", laterals.KINDS.values())
def test_links_are_what_gradients_find_in_the_running_lateral(kind):
    for kernel, alpha in product((1, 5, 7, 13), laterals.ALPHAS):
        config = replace(
            laterals.joined("t_conv", kernel, alpha), fusion=kind, beta=1 / alpha
        )
        lateral = all_positive(LateralConnection(3, alpha, kind, kernel))
        reads = frames_read(lateral.to_slow_frames, 32, size=1)
        np.testing.assert_array_equal(laterals.lateral_links(config), reads)


@pytest.mark.parametrize(
    ("kind", "kernel", "alpha"), [("t_conv", 3, 8), ("t_sample", 5, 16)]
)
def test_input_frames_that_reach_slow_are_what_gradients_find(kind, kernel, alpha):
    config = laterals.joined(kind, kernel, alpha)
    model = all_positive(build_model(replace(config, width=8), num_classes=2))
    _, pool1, res2 = laterals.reads_behind(config).values()
    fast, lateral = model.fast, model.lateral
    stem = torch.nn.Sequential(fast.conv1, fast.pool1)

    def through_pool1(x):
        return lateral["pool1"].to_slow_frames(stem(x))

    def through_res2(x):
        return lateral["res2"].to_slow_frames(fast.res2(stem(x)))

    np.testing.assert_array_equal(pool1, frames_read(through_pool1, 32))
    np.testing.assert_array_equal(res2, frames_read(through_res2, 32))


@pytest.mark.parametrize(("kernel", "alpha"), [(5, 8), (7, 4)])
def test_weights_are_those_of_the_built_laterals(kernel, alpha):
    config = laterals.joined("t_conv", kernel, alpha)
    with torch.device("meta"):
        built = build_model(config).lateral
    weights = sum(lateral.t_conv.conv.weight.numel() for lateral in built.values())
    assert laterals.lateral_weights(config) == weights


def test_the_lateral_dials_say_what_is_read_and_what_it_costs():
    explorer = laterals.lateral_explorer()
    kind, kernel, alpha = dials_of(explorer)
    # Reads by hand (3 + 5 + 5 + 5); costs from the recount of Table 5a: 36.10 - 34.16.
    assert "reads 18 of 32 feature frames; of the input 29 reach" in told(explorer)
    assert "Adds 1.94 to 34.16 GMACs: 0.51 in the lateral, 1.43 in" in told(explorer)
    for dial, value in ((kind, "T-sample"), (kind, "T-conv"), (kernel, 1), (alpha, 16)):
        before = explorer.children[2].value
        dial.value = value
        assert explorer.children[2].value != before
    assert "T-conv with kernel 1, every 16 frames: reads 2 of 32" in told(explorer)


def test_a_sum_of_channels_that_do_not_agree_keeps_the_picture():
    explorer = laterals.lateral_explorer()
    kind, _, alpha = dials_of(explorer)
    kind.value = "TtoC, concat"  # 39.86 - 34.16 in Table 5a's recount
    assert "every 8 frames: reads 32 of 32" in told(explorer)
    assert "0 weights. Adds 5.70 to 34.16 GMACs: 0.00 in" in told(explorer)
    kind.value = "TtoC, sum"
    before = explorer.children[2].value
    alpha.value = 4
    assert "beta must be 1/alpha = 1/4" in told(explorer)
    assert explorer.children[2].value == before


def test_without_a_lateral_there_are_no_links():
    with pytest.raises(ValueError, match="fusion='none' reads nothing"):
        laterals.lateral_links(replace(FOUR, fusion="none"))


# Notebook 05

A, B, C = (
    costs.Tested(CostPoint(1, "A", "SlowFast", 100.0, 78.0, True), 30),
    costs.Tested(CostPoint(2, "B", "R(2+1)D", 60.0, 75.0, True), 115),
    costs.Tested(CostPoint(3, "C", "other", 150.0, 80.0, False), 5),
)


def spots(figure, hollow):
    found = []
    for marks in figure.axes[0].collections:
        if isinstance(marks, PathCollection):
            white = bool((marks.get_facecolor() == 1).all())
            if white == hollow:
                found += [tuple(spot) for spot in marks.get_offsets().tolist()]
    return sorted(found)


def test_filled_marks_stay_and_hollow_ones_move_with_the_views():
    tested = [(0.75, 80.0), (3.0, 78.0), (6.9, 75.0)]  # 5 x 150, 30 x 100, 115 x 60
    for clips, crops, hollow in (
        (1, 1, [(0.06, 75.0), (0.1, 78.0), (0.15, 80.0)]),
        (10, 3, [(1.8, 75.0), (4.5, 80.0)]),  # A was tested so
    ):
        figure = costs.recosted_figure([A, B, C], clips, crops)
        np.testing.assert_allclose(spots(figure, hollow=False), tested)
        np.testing.assert_allclose(spots(figure, hollow=True), hollow)
        title = figure.axes[0].get_title(loc="left")
        assert f"cost with {clips} x {crops} views, accuracy unknown" in title
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["1", "2", "3"]


def test_pairs_that_change_their_order_of_cost():
    # As tested C 0.75, A 3, B 6.9; with equal views B 60, A 100, C 150: all three pairs.
    assert costs.order_changes([A, B, C]) == 3
    assert costs.order_changes([A, A._replace(views=20)]) == 0


def test_the_views_dials_multiply():
    explorer = costs.recosted_explorer([A, B, C])
    clips, crops = dials_of(explorer)
    assert told(explorer).startswith(
        "10 x 3 = 30 views, as 1 of 3 models have: 1.8 to 4.5 x"
    )
    before = explorer.children[2].value
    crops.value = 1
    assert explorer.children[2].value != before
    clips.value = 5
    assert told(explorer).startswith(
        "5 x 1 = 5 views, as 1 of 3 models have: 0.3 to 0.75 x"
    )
    assert "3 of 3 pairs of models stand in another order" in told(explorer)


@pytest.mark.parametrize("views", [0, "N/A"])
def test_views_that_are_no_number_are_refused(views):
    with pytest.raises(ValueError, match=r"views of 'A'=.* must be a whole number"):
        costs.recosted_explorer([A._replace(views=views)])


def test_no_model_and_an_unknown_family_are_refused():
    with pytest.raises(ValueError, match="tested is empty"):
        costs.recosted_figure([], 10, 3)
    unknown = A._replace(point=A.point._replace(family="X3D"))
    with pytest.raises(ValueError, match="family='X3D' is not known"):
        costs.recosted_figure([A, unknown], 10, 3)


# All of them


@pytest.mark.parametrize(
    "make",
    [
        lambda: cells.eye_cells_explorer(noise()),
        pathways.pathways_explorer,
        laterals.lateral_explorer,
        lambda: costs.recosted_explorer([A, B, C]),
    ],
    ids=["cells", "pathways", "laterals", "costs"],
)
def test_where_no_kernel_runs_a_widget_is_a_sentence(make):
    text = make()._repr_mimebundle_()["text/plain"]
    assert text.startswith("Run this cell: dials for ")
    assert text.endswith(", and a picture that follows.")
