"""The architecture figure: what it draws is in the ratio of Table 1."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from slowfast_edu import PRESETS, build_model
from slowfast_edu.analysis import stage_shapes
from slowfast_edu.config import ClipConfig
from slowfast_edu.viz.architecture import architecture_shapes, draw_architecture

FOUR = PRESETS["slowfast_4x16_r50"]
EVEN = ClipConfig(T=16, tau=4, alpha=1)
CONFIGS = {
    **{name: config for name, config in PRESETS.items() if name.startswith("slowfast")},
    "none": replace(FOUR, fusion="none"),
    "t_sample": replace(FOUR, fusion="t_sample"),
    "ttoc_concat": replace(FOUR, fusion="ttoc_concat"),
    "ttoc_sum": replace(FOUR, fusion="ttoc_sum"),
    "narrow": replace(FOUR, beta=1 / 32),
    "alpha and beta 1": replace(FOUR, clip=EVEN, beta=1.0),
    "half": replace(FOUR, fast_input="half"),
}
SIDES = {"data": 1, "conv1": 2, "pool1": 4, "res2": 4, "res3": 8, "res4": 16, "res5": 32}
LATERALS = ("pool1", "res2", "res3", "res4")
# The paper's Table 1: 4 frames of Slow, 32 of Fast, at 224 x 224.
TABLE_1 = {
    "slow": (3, 64, 64, 256, 512, 1024, 2048),
    "fast": (3, 8, 8, 32, 64, 128, 256),
}


@cache
def drawn(name: str):
    """The figure, its faces, its arrows (texts without one) and its texts."""
    figure = draw_architecture(CONFIGS[name])
    axis = figure.axes[0]
    boxes = {patch.get_gid(): patch.get_xy() for patch in axis.patches}
    arrows = {t.get_gid(): t for t in axis.texts if t.get_gid() and not t.get_text()}
    texts = {t.get_gid(): t.get_text() for t in axis.texts if t.get_text()}
    return figure, boxes, arrows, texts


def measured(boxes, name: str) -> tuple[float, float, float]:
    """Width, depth and height on paper, read off the faces of a box."""
    left, bottom = boxes[f"{name}.front"].min(axis=0)
    right, top = boxes[f"{name}.front"].max(axis=0)
    side = boxes[f"{name}.side"]  # front below, back below, back above, front above
    depth = ((side[1] - side[0]) ** 2).sum() ** 0.5
    return right - left, depth, top - bottom


def expected(config) -> dict[str, tuple[int, int, int]]:
    """(C, T, H) of each box by section 3.3 and Table 1, without the library's plan."""
    clip, half = config.clip, 2 if config.fast_input == "half" else 1
    found = {}
    for number, (stage, stride) in enumerate(SIDES.items()):
        widths = {"slow": config.width, "fast": round(config.beta * config.width)}
        frames = {"slow": clip.T, "fast": clip.alpha * clip.T}
        for pathway, width in widths.items():
            channels = 3 if number == 0 else width * (1, 1, 4, 8, 16, 32)[number - 1]
            # 7 of 14 pixels, 4 of 7: a stride of 2 rounds up
            size = -(-224 // (stride * (half if pathway == "fast" else 1)))
            found[f"{pathway}.{stage}"] = (channels, frames[pathway], size)
    added = {"t_conv": 2, "t_sample": 1, "ttoc_concat": clip.alpha, "ttoc_sum": clip.alpha}
    for stage in LATERALS if config.fusion != "none" else ():
        channels = added[config.fusion] * found[f"fast.{stage}"][0]
        found[f"lateral.{stage}"] = (channels, *found[f"slow.{stage}"][1:])
    return found


def test_expected_shapes_are_those_that_the_paper_prints():
    shapes = expected(FOUR)
    for pathway, channels in TABLE_1.items():
        assert tuple(shapes[f"{pathway}.{stage}"][0] for stage in SIDES) == channels
    assert shapes["slow.res5"] == (2048, 4, 7) and shapes["fast.res5"] == (256, 32, 7)
    assert [shapes[f"lateral.{stage}"][0] for stage in LATERALS] == [16, 64, 128, 256]


@pytest.mark.parametrize("name", CONFIGS)
def test_boxes_are_as_wide_deep_and_high_as_channels_frames_and_pixels_are_many(name):
    boxes, shapes = drawn(name)[1], expected(CONFIGS[name])
    joins = CONFIGS[name].fusion != "ttoc_sum"
    names = [box for box in shapes if joins or not box.startswith("lateral")]
    assert {gid.rsplit(".", 1)[0] for gid in boxes} == {*names, "slow.head", "fast.head"}
    of_res5 = measured(boxes, "fast.res5")
    units = [d / n for d, n in zip(of_res5, shapes["fast.res5"], strict=True)]
    for box in names:
        wanted = [unit * n for unit, n in zip(units, shapes[box], strict=True)]
        assert measured(boxes, box) == pytest.approx(wanted, rel=1e-6), box


@pytest.mark.parametrize("name", CONFIGS)
def test_the_pooled_features_are_as_wide_as_res5_of_both_pathways(name):
    boxes, texts = drawn(name)[1], drawn(name)[3]
    shapes = expected(CONFIGS[name])
    for pathway in ("slow", "fast"):
        width = measured(boxes, f"{pathway}.head")[0]
        assert width == pytest.approx(measured(boxes, f"{pathway}.res5")[0])
    total = shapes["slow.res5"][0] + shapes["fast.res5"][0]
    assert texts["head"].endswith(f"= {total}")
    if name.endswith("r50"):
        assert "2048 + 256 = 2304" in texts["head"]


@pytest.mark.parametrize("name", CONFIGS)
def test_each_shape_that_is_printed_is_that_of_the_paper_s_rules(name):
    texts = drawn(name)[3]
    for place, (channels, frames, size) in expected(CONFIGS[name]).items():
        assert texts[place] == str((channels, frames, size, size))


@pytest.mark.parametrize("name", ["slowfast_8x8_r50", "slowfast_tiny", "half", "t_sample"])
def test_each_shape_that_is_printed_is_that_of_a_model_that_ran(name):
    texts, config = drawn(name)[3], CONFIGS[name]
    with torch.device("meta"):
        shapes = stage_shapes(build_model(config))
    for stage in list(SIDES)[1:]:
        for pathway in ("slow", "fast"):
            place = f"{pathway}.{stage}"
            assert texts[place] == str(shapes[place][1:])
        if f"lateral.{stage}" in shapes and config.fusion != "ttoc_sum":
            after = shapes[f"lateral.{stage}"][1]
            assert texts[f"lateral.{stage}.joined"].endswith(f"= {after}")


@pytest.mark.parametrize("name", CONFIGS)
def test_laterals_go_from_fast_up_to_what_they_add_to_slow(name):
    _, boxes, arrows, _ = drawn(name)
    config = CONFIGS[name]
    wanted = [f"lateral.{stage}" for stage in LATERALS if config.fusion != "none"]
    assert sorted(arrows) == sorted([*wanted, "slow.average", "fast.average"])
    for lateral in wanted:
        (x, y), (end_x, end_y) = arrows[lateral].get_position(), arrows[lateral].xy
        stage = lateral.split(".")[1]
        roof = boxes[f"fast.{stage}.top"]
        assert [x, y] == pytest.approx(roof[:4].mean(axis=0))
        target = f"slow.{stage}" if config.fusion == "ttoc_sum" else lateral
        front = boxes[f"{target}.front"]
        assert x == end_x == pytest.approx(front[:4, 0].mean())
        assert front[:, 1].min() - 5 < end_y < front[:, 1].min()


@pytest.mark.parametrize("name", ["slowfast_4x16_r50", "ttoc_concat"])
def test_what_a_lateral_adds_stands_flush_beside_slow(name):
    boxes = drawn(name)[1]
    for stage in LATERALS:
        slow, added = (boxes[f"{p}.{stage}.front"] for p in ("slow", "lateral"))
        assert added[:, 0].min() == pytest.approx(slow[:, 0].max())
        assert added[:, 1].min() == slow[:, 1].min()


@pytest.mark.parametrize("name", CONFIGS)
def test_no_text_covers_another_or_leaves_the_picture(name):
    figure = drawn(name)[0]
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    spans = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    for text, span in zip(texts, spans, strict=True):
        assert figure.bbox.containsx(span.x0) and figure.bbox.containsx(span.x1)
        assert figure.bbox.containsy(span.y0) and figure.bbox.containsy(span.y1), text
    pairs = combinations(range(len(texts)), 2)
    clashes = [(i, j) for i, j in pairs if spans[i].overlaps(spans[j])]
    assert [(texts[i].get_text(), texts[j].get_text()) for i, j in clashes] == []


def test_pathways_differ_in_hatch_and_not_in_colour_alone():
    axis = drawn("slowfast_4x16_r50")[0].axes[0]
    looks = {p.get_gid().split(".")[0]: p.get_hatch() for p in axis.patches}
    assert len(set(looks.values())) == len(looks) == 3


def test_the_bars_of_the_scale_are_to_scale():
    figure, boxes, _, _ = drawn("slowfast_4x16_r50")
    wide, deep, high = measured(boxes, "slow.res5")
    units = {"channels": wide / 2048, "frames": deep / 4, "rows": high / 7}
    bars = {line.get_gid(): line.get_xydata() for line in figure.axes[0].lines}
    assert len(bars) == 3
    for told, (start, end) in bars.items():
        count, unit = told.split()[:2]
        length = ((end - start) ** 2).sum() ** 0.5
        assert length == pytest.approx(int(count) * units[unit])


def test_another_crop_changes_rows_alone():
    at_256 = architecture_shapes(FOUR, crop=256)
    assert at_256["slow.res4"] == (1024, 4, 16, 16)
    assert architecture_shapes(FOUR)["slow.res4"] == (1024, 4, 14, 14)


def test_what_has_no_laterals_is_refused():
    with pytest.raises(ValueError, match=r"pathways='slow' has no laterals.*'slowfast'"):
        draw_architecture(PRESETS["slow_8x8_r50"])
    with pytest.raises(ValueError, match="must be a SlowFastConfig"):
        draw_architecture(PRESETS["i3d_8x8_r50"])
    with pytest.raises(ValueError, match=r"crop=16.*32"):
        draw_architecture(FOUR, crop=16)
