"""What models cost: an independent recount, closed form, fvcore and torch compared.

The recount was made on running models of PyTorchVideo and PySlowFast, not on ours.
"""

import time
from dataclasses import replace
from functools import cache

import pytest
import torch
from helpers import FAMILY, PAPER_CROP, SMALL, meta_model, small_model
from torch.utils.flop_counter import FlopCounterMode

from slowfast_edu.analysis import (
    closed_form_macs,
    closed_form_pathways,
    closed_form_stages,
    count_flops,
    reported_costs,
    summarize,
)
from slowfast_edu.config import FUSIONS, PRESETS, ClipConfig, NonLocal
from slowfast_edu.models import build_model, example_clip

# The recount: conv+fc GMACs at 224 and at 256, fvcore's total at 256, as printed.
PRESET_RECOUNT = {
    "slowfast_4x16_r50": ("27.639", "36.099", "36.336"),
    "slowfast_8x8_r50": ("50.309", "65.709", "66.066"),
    "slowfast_8x8_r101": ("81.548", "106.511", "107.028"),
    "slowfast_8x8_r101_all_temporal": ("96.397", "125.906", "126.423"),
    "slowfast_16x8_r101": ("163.095", "213.021", "214.056"),
    "slowfast_16x8_r101_nl": ("182.98", "242.01", "243.07"),
    "slow_4x16_r50": ("20.871", "27.260", "27.376"),
    "slow_8x8_r50": ("41.741", "54.518", "54.751"),
    "fast_32x2_r50": (None, "6.90", None),
    "i3d_8x8_r50": ("28.408", "37.104", "37.274"),
    "c2d_8x8_r50": ("19.493", "25.460", "25.631"),
    "r2plus1d_16x4_r50": ("57.534", "75.146", "75.667"),
}
# The recount of the family: clip, layers, pathways -> conv+fc and fvcore's total.
RECOUNT = {
    ((2, 32, 16), 50, "slow"): (13_630_210_048, 13_688_274_944),
    ((2, 32, 16), 50, "slowfast"): (21_499_875_328, 21_676_167_168),
    ((4, 16, 8), 50, "slow"): (27_259_600_896, 27_375_730_688),
    ((4, 16, 8), 50, "slowfast"): (36_099_198_976, 36_335_652_864),
    ((4, 16, 8), 101, "slow"): (46_654_062_592, 46_823_669_760),
    ((4, 16, 8), 101, "slowfast"): (57_917_968_384, 58_261_377_024),
    ((8, 8, 4), 50, "slow"): (54_518_382_592, 54_750_642_176),
    ((8, 8, 4), 50, "slowfast"): (65_708_888_064, 66_065_666_048),
    ((8, 8, 4), 101, "slow"): (93_307_305_984, 93_646_520_320),
    ((8, 8, 4), 101, "slowfast"): (106_511_077_376, 107_028_287_488),
    ((16, 8, 4), 101, "slow"): (186_613_792_768, 187_292_221_440),
    ((16, 8, 4), 101, "slowfast"): (213_021_233_152, 214_055_653_376),
}
# fvcore needs real numbers: two or three seconds for these, twelve for 16x8 R101+NL.
COUNTED_AT_256 = (
    "slowfast_4x16_r50",
    "slowfast_8x8_r50",
    "slow_4x16_r50",
    "c2d_8x8_r50",
)
VARIANTS = {
    **{f"fusion {kind}": dict(fusion=kind) for kind in FUSIONS},
    **{f"fast {kind}": dict(fast_input=kind) for kind in
       ("gray", "time_difference", "half", "flow")},
    "only slow": dict(pathways="slow"),
    "only fast": dict(pathways="fast"),
    "beta 1/6": dict(beta=1 / 6),
    "kernel 7": dict(fusion_kernel=7),
    "two res4": dict(depth=26, res4_temporal_blocks=1),
    "non-local": dict(depth=26, non_local=NonLocal(blocks=(0, 1))),
    "non-local pool": dict(non_local=NonLocal(blocks=(0,), pool=(2, 2, 3))),
    "features": dict(head="features"),
}  # fmt: skip


def assert_printed(gmacs, printed):
    """``gmacs`` rounds to what the recount prints, which is closer than its 0.1%."""
    assert f"{gmacs:.{len(printed.partition('.')[2])}f}" == printed


@cache
def conv_and_norm(config, crop):
    """Independent count on shapes alone: torch's counter / 2, and BN at 2 an element."""
    model, elements = meta_model(config), []
    hooks = [
        module.register_forward_hook(lambda *a: elements.append(a[2].numel()))
        for module in model.modules()
        if isinstance(module, torch.nn.BatchNorm3d)
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(example_clip(config, crop, "meta"))
    for hook in hooks:
        hook.remove()
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2, 2 * sum(elements)


def assert_all_counts_agree(count, config, crop):
    closed = closed_form_stages(config, crop, num_classes=400)
    counted = {name: cost.macs for name, cost in count.by_stage.items() if cost.macs}
    assert counted == closed
    pathways = {name: cost.macs for name, cost in count.by_pathway.items() if cost.macs}
    assert pathways == closed_form_pathways(config, crop)
    assert count.macs == sum(closed.values()) == closed_form_macs(config, crop)
    assert (count.macs, count.total - count.macs) == conv_and_norm(config, crop)


# Against the recount


@pytest.mark.parametrize("crop", [224, 256])
@pytest.mark.parametrize("name", PRESET_RECOUNT)
def test_gmacs_are_those_of_the_recount(name, crop):
    printed = PRESET_RECOUNT[name][0 if crop == 224 else 1]
    if printed is not None:
        assert_printed(closed_form_macs(PRESETS[name], crop) / 1e9, printed)


@pytest.mark.parametrize(
    ("name", "printed"), [("i3d_inception", "111.15"), ("r2plus1d_34", "152.36")]
)
def test_gmacs_of_the_quoted_baselines_at_their_own_crop(name, printed):
    assert_printed(closed_form_macs(PRESETS[name], PAPER_CROP[name]) / 1e9, printed)


@pytest.mark.parametrize(
    "name", [name for name in PRESET_RECOUNT if PRESET_RECOUNT[name][2]]
)
def test_batch_normalisation_at_2_per_element_makes_the_recounts_total(name):
    assert_printed(sum(conv_and_norm(PRESETS[name], 256)) / 1e9, PRESET_RECOUNT[name][2])


@pytest.mark.parametrize("name", COUNTED_AT_256)
def test_fvcore_counts_the_recounts_total_and_the_closed_form_at_256(name):
    with torch.no_grad():
        count = count_flops(build_model(name), crop=256)
    assert_printed(count.total / 1e9, PRESET_RECOUNT[name][2])
    assert_printed(count.gmacs, PRESET_RECOUNT[name][1])
    assert_all_counts_agree(count, PRESETS[name], 256)


@pytest.mark.parametrize("setting", RECOUNT, ids=str)
def test_recount_to_the_last_unit(setting):
    (T, tau, alpha), depth, pathways = setting
    config = replace(
        PRESETS["slowfast_4x16_r50"],
        clip=ClipConfig(T=T, tau=tau, alpha=alpha),
        depth=depth,
        pathways=pathways,
        fusion_kernel=7 if (T, depth) == (8, 50) else 5,
    )
    macs, norm = conv_and_norm(config, 256)
    assert (macs, macs + norm) == RECOUNT[setting]
    assert closed_form_macs(config, 256) == macs


@pytest.mark.parametrize(
    ("name", "slow", "fast", "lateral"),
    [
        ("slowfast_4x16_r50", "28.685", "6.900", "0.514"),
        ("slowfast_8x8_r50", "57.370", "6.900", "1.439"),
    ],
)
def test_shares_of_the_pathways(name, slow, fast, lateral):
    stages = closed_form_stages(PRESETS[name], 256)
    for pathway, printed in (("slow", slow), ("fast", fast), ("lateral", lateral)):
        macs = sum(cost for stage, cost in stages.items() if stage.startswith(pathway))
        assert_printed(macs / 1e9, printed)


def test_pooling_2x2x2_would_give_the_papers_234():
    config = replace(PRESETS["slowfast_16x8_r101_nl"], non_local=NonLocal(pool=(2, 2, 2)))
    assert_printed(closed_form_macs(config, 256) / 1e9, "233.96")


@pytest.mark.parametrize(
    ("name", "kernel", "gmacs"),
    [("slowfast_8x8_r50", 5, 65.30), ("slowfast_4x16_r50", 7, 36.31)],
)
def test_the_other_kernel_of_the_t_conv_misses_the_papers_figure(name, kernel, gmacs):
    config = replace(PRESETS[name], fusion_kernel=kernel)
    assert closed_form_macs(config, 256) / 1e9 == pytest.approx(gmacs, abs=0.01)


# The counts against each other


@pytest.mark.parametrize("name", PRESETS)
def test_closed_form_torch_and_fvcore_agree_at_odd_sizes(name):
    config = replace(PRESETS[name], clip=replace(PRESETS[name].clip, T=3))
    assert_all_counts_agree(count_flops(build_model(config), 97), config, 97)


@pytest.mark.parametrize("name", [n for n in PRESETS if "r101" not in n])
def test_closed_form_torch_and_fvcore_agree_with_all_frames(name):
    config = PRESETS[name]
    assert_all_counts_agree(count_flops(build_model(name), 48), config, 48)


@pytest.mark.parametrize("crop", [32, 61, 112])
@pytest.mark.parametrize("variant", VARIANTS)
def test_closed_form_torch_and_fvcore_agree_for_each_variant(variant, crop):
    config = replace(SMALL, **VARIANTS[variant])
    count = count_flops(build_model(config), crop)
    assert_all_counts_agree(count, config, crop)


@pytest.mark.parametrize("crop", [224, 256])
@pytest.mark.parametrize("name", PRESETS)
def test_torchs_counter_gives_the_closed_form(name, crop):
    assert conv_and_norm(PRESETS[name], crop)[0] == closed_form_macs(PRESETS[name], crop)


@pytest.mark.parametrize("changes", [dict(), dict(non_local=NonLocal(blocks=(0,)))])
def test_parts_sum_to_the_whole(changes):
    count = count_flops(small_model(**changes), 64)
    for parts in (count.by_pathway, count.by_stage):
        assert sum(cost.macs for cost in parts.values()) == count.macs
    assert sum(cost.total for cost in count.by_pathway.values()) == count.total
    assert set(count.by_pathway) == {"slow", "fast", "lateral", "head"}
    for pathway, cost in count.by_pathway.items():
        stages = [c for name, c in count.by_stage.items() if name.startswith(pathway)]
        assert sum(c.total for c in stages) == cost.total
    assert (count.gmacs, count.model.gtotal) == (count.macs / 1e9, count.total / 1e9)


def test_operators_that_fvcore_leaves_out_are_listed():
    unsupported = count_flops(small_model(), 64).unsupported
    assert unsupported["aten::mean"] == 2  # the head's pooling
    assert unsupported["aten::add"] == 8  # one shortcut a block


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_the_mode_as_it_was(training):
    model = small_model().train(training)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    count_flops(model, 32)
    assert all(m.training is training for m in model.modules())
    assert all(v.equal(before[k]) for k, v in model.state_dict().items())


def test_counting_is_for_this_librarys_models():
    with pytest.raises(TypeError, match="Conv3d has no config"):
        count_flops(torch.nn.Conv3d(3, 3, 1))


@pytest.mark.parametrize("crop", [31, 64.0, "64"])
def test_impossible_crops_are_refused(crop):
    with pytest.raises(ValueError, match=r"crop=.*whole number of at least 32"):
        closed_form_macs(SMALL, crop)


def test_all_presets_take_less_than_a_second_in_closed_form():
    start = time.process_time()
    for config in PRESETS.values():
        closed_form_macs(config, 256)
    assert time.process_time() - start < 1


# What others report


def test_every_preset_but_our_own_has_a_reported_cost():
    assert {cost.preset for cost in reported_costs()} == set(PRESETS) - {"slowfast_tiny"}


@pytest.mark.parametrize("cost", reported_costs(), ids=lambda c: f"{c.preset} {c.gflops}")
def test_figures_agree_to_the_last_printed_digit_or_say_why_not(cost):
    decimals = len(cost.gflops.partition(".")[2])
    near = abs(cost.gmacs - float(cost.gflops)) < 10**-decimals
    assert cost.agrees == near == (cost.why == "")
    assert cost.source
    assert cost.gmacs == closed_form_macs(PRESETS[cost.preset], cost.crop) / 1e9


def test_only_what_is_open_or_a_slip_differs_from_a_paper():
    papers = [c for c in reported_costs() if c.source.startswith("arXiv")]
    differ = {c.preset: c.why.partition(":")[0] for c in papers if c.why}
    assert differ == {
        "slowfast_16x8_r101_nl": "open",
        "fast_32x2_r50": "a slip",
        "i3d_inception": "open",
    }


ZOO = [c for c in reported_costs() if "5 per element" in c.why]


@pytest.mark.parametrize("cost", ZOO, ids=lambda c: c.preset)
def test_the_zoo_counts_batch_normalisation_at_5_per_element(cost):
    macs, norm = conv_and_norm(PRESETS[cost.preset], cost.crop)
    added = norm * 5 / 2 / 1e9
    assert f"{added:.2f}" in cost.why
    decimals = len(cost.gflops.partition(".")[2])
    assert round(macs / 1e9 + added, decimals) == float(cost.gflops)


def test_five_per_element_also_explains_other_figures_of_the_zoo():
    printed = {"slow_4x16_r50": "27.55", "slowfast_4x16_r50": "36.69",
               "slowfast_16x8_r101": "215.61"}  # fmt: skip
    for name, figure in printed.items():
        macs, norm = conv_and_norm(PRESETS[name], 256)
        assert_printed((macs + norm * 5 / 2) / 1e9, figure)


# torchinfo


@pytest.mark.parametrize("changes", [dict(), dict(fast_input="flow")])
def test_torchinfo_names_the_stages(changes):
    text = str(summarize(small_model(**changes), crop=64))
    for name in ("slow", "fast", "lateral", "head", "conv1", "res2", "res5", "pool1"):
        assert f"({name})" in text or f" {name}" in text, name


def test_torchinfo_counts_our_parameters():
    model = small_model()
    expected = sum(p.numel() for p in model.parameters())
    assert summarize(model, crop=64).total_params == expected


@pytest.mark.parametrize("name", FAMILY)
def test_the_stages_of_the_closed_form_are_table_1s(name):
    stages = closed_form_stages(PRESETS[name], 64)
    pathways = {"slowfast": ("slow", "fast", "lateral")}.get(
        PRESETS[name].pathways, (PRESETS[name].pathways,)
    )
    layers = {"lateral": ("pool1", "res2", "res3", "res4")}
    default = ("conv1", "res2", "res3", "res4", "res5")
    expected = {f"{p}.{x}" for p in pathways for x in layers.get(p, default)}
    assert set(stages) == expected | {"head"}
