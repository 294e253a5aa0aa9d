"""Notebook 05's exercises against runs, fvcore, printed figures and brute force."""

import numpy as np
import pytest
import torch
from torch import nn

from slowfast_edu import PRESETS, build_model, count_flops
from slowfast_edu.analysis import Cost, accuracy_points
from slowfast_edu.exercises import EXERCISES, examine
from slowfast_edu.exercises.n05_tables import ELEMENTS
from slowfast_edu.models import example_clip
from slowfast_edu.models.blocks import Bottleneck


def answer(word, *arguments):
    return EXERCISES[f"05.{word}"].answer(*arguments)


def verdict(word, function):
    return examine(EXERCISES[f"05.{word}"], function)


# 05.conv_macs


@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv_macs_is_positions_of_a_run_times_weights(stride, groups):
    kernel, size = (3, 5, 1), (5, 7, 4)
    padding = tuple(k // 2 for k in kernel)
    conv = nn.Conv3d(4, 8, kernel, stride, padding, groups=groups, bias=False)
    positions = conv(torch.zeros(1, 4, *size))[0, 0].numel()
    macs = answer("conv_macs", 4, 8, kernel, stride, size, groups)
    assert macs == positions * conv.weight.numel()


def test_conv_macs_of_fasts_conv1_is_fvcores():
    given = 3, 8, (5, 7, 7), (1, 2, 2), (32, 256, 256), 1
    assert answer("conv_macs", *given) == 3_082_813_440


def test_conv_macs_by_a_formula_of_numpy_passes_and_as_weights_or_floats_fails():
    def by_numpy(c_in, c_out, kernel, stride, size, groups):
        padded = np.array(size) + 2 * (np.array(kernel) // 2)
        positions = (padded - np.array(kernel)) // np.array(stride) + 1
        return positions.prod() * np.prod(kernel) * c_out * (c_in // groups)

    def weights(c_in, c_out, kernel, stride, size, groups):
        return int(np.prod(kernel)) * c_out * c_in // groups

    assert verdict("conv_macs", by_numpy).right
    floats = verdict("conv_macs", lambda *given: float(by_numpy(*given)))
    assert "a float where an int" in floats.told
    assert not verdict("conv_macs", weights).right


# 05.by_pathway


def test_by_pathway_of_what_fvcore_counts_is_the_librarys_share():
    count = count_flops(build_model("slowfast_tiny", num_classes=5), crop=32)
    shares = answer("by_pathway", count.by_stage)
    assert sum(shares.values()) == pytest.approx(100)
    expected = {p: 100 * c.macs / count.macs for p, c in count.by_pathway.items()}
    assert shares == pytest.approx(expected)


def test_by_pathway_of_4x16_is_a_fifth_for_fast():
    gmacs = {"slow.res2": 28.685, "fast.res2": 6.900, "lateral.pool1": 0.514}  # by fvcore
    stages = {name: Cost(int(1e9 * n), 0) for name, n in gmacs.items()}
    shares = answer("by_pathway", stages)
    assert {p: round(s, 1) for p, s in shares.items()} == {
        "slow": 79.5,
        "fast": 19.1,
        "lateral": 1.4,
    }


def test_by_pathway_as_numpy_passes_and_rounded_or_as_a_list_fails():
    right = EXERCISES["05.by_pathway"].answer
    numpy = {np.float32: True, round: False, lambda share: round(share, 1): False}
    for change, passes in numpy.items():
        made = verdict(
            "by_pathway", lambda s, f=change: {p: f(v) for p, v in right(s).items()}
        )
        assert made.right == passes
    listed = verdict("by_pathway", lambda stages: list(right(stages).values()))
    assert "a list where a dict" in listed.told


# 05.flops_unit


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_are_those_that_batch_normalisation_handles_in_a_run(name):
    with torch.device("meta"):
        model = build_model(name)
    model, handled = model.to_empty(device="cpu").eval(), 0

    def add(_bn, _inputs, output):
        nonlocal handled
        handled += output.numel()

    for part in model.modules():
        if isinstance(part, nn.BatchNorm3d):
            part.register_forward_hook(add)
    with torch.no_grad():
        model(example_clip(PRESETS[name], 32))
    assert ELEMENTS[name] == handled * (256 // 32) ** 2


@pytest.mark.parametrize(
    ("printed", "gmacs", "elements", "ways"),
    [
        ("36.1", 36.099, 0.1182, ["MACs"]),  # the paper's 4x16
        ("36.3", 36.099, 0.1182, ["BN at 2"]),  # MMAction2's
        ("106", 106.511, 0.2586, ["MACs"]),  # the paper's R101, cut off
        ("127.2", 106.511, 0.2586, []),  # another network
        ("127.2", 125.906, 0.2586, ["BN at 5"]),  # PyTorchVideo's
        ("126", 125.906, 0.2586, ["MACs", "BN at 2"]),  # MMAction2's: not to be decided
        ("6.4", 6.9, 0.0581, []),  # a slip of the paper's
        ("72", 36.099, 0.1182, ["2 x MACs"]),
    ],
)
def test_flops_unit_of_figures_that_were_printed(printed, gmacs, elements, ways):
    assert answer("flops_unit", printed, gmacs, elements) == ways


def test_flops_unit_with_a_tuple_passes_and_one_word_or_another_order_fails():
    right = EXERCISES["05.flops_unit"].answer
    assert verdict("flops_unit", lambda *given: tuple(right(*given))).right
    word = verdict("flops_unit", lambda *given: "".join(right(*given)[:1]))
    assert "a str where a list" in word.told
    assert not verdict("flops_unit", lambda *given: right(*given)[::-1]).right


# 05.settle


def test_settle_leads_from_the_papers_r101_to_the_zoos():
    assert 106_511_077_376 + answer("settle", 6, 23, 256) == 125_905_539_072


def test_settle_is_the_weights_that_a_block_has_more_at_each_position():
    def weights(channels, inner):
        three, one = (Bottleneck(channels, inner, k, (1, 1)) for k in (3, 1))
        return sum(p.numel() for p in three.parameters()) - sum(
            p.numel() for p in one.parameters()
        )

    block = (8 * weights(1024, 256) + 32 * weights(128, 32)) * 14 * 14
    assert answer("settle", 5, 8, 224) == 3 * block == -answer("settle", 8, 5, 224)


def test_settle_as_a_ratio_passes_if_it_is_exact_and_in_billions_fails():
    def by_shares(before, after, crop):
        return (after - before) * (1_140_850_688 * crop**2 // 256**2)

    assert verdict("settle", by_shares).right
    assert "a float where an int" in verdict("settle", lambda *g: by_shares(*g) / 1e9).told
    assert not verdict("settle", lambda b, a, crop: by_shares(b, a, 256)).right


# 05.pareto


def by_sorting(models):
    """Cheapest first, of equal costs the best: keep what is better than all before."""
    known = [(v * n, -top1, name) for name, (v, n, top1) in models.items() if n]
    front, best, last = set(), -1.0, None
    for cost, negative, name in sorted(known):
        if -negative > best or (cost, negative) == last:
            front.add(name)
            best, last = -negative, (cost, negative)
    return [name for name in models if name in front]


def test_pareto_by_sorting_passes_and_by_name_or_best_of_each_cost_fails():
    assert verdict("pareto", by_sorting).right
    assert verdict("pareto", lambda models: np.array(by_sorting(models))).right
    assert not verdict("pareto", lambda models: by_sorting(models)[::-1]).right
    best = verdict("pareto", lambda models: by_sorting(models)[-1:])
    assert not best.right and "1 entry where" in best.told


def test_pareto_of_the_reported_table_changes_with_the_views():
    models = {}
    for row in accuracy_points():
        views = None if row["views"] == "N/A" else int(row["views"])
        name = f"{row['model']} {row['backbone']} {row['frames_x_stride']}"
        models[name] = float(row["gflops_per_view"]), views, float(row["top1"])
    videos = answer("pareto", models)
    views = answer("pareto", {n: (g, 1, top1) for n, (g, v, top1) in models.items() if v})
    assert videos == [
        "X3D XS 4x12",
        "X3D S 13x6",
        "X3D M 16x5",
        "MViT B 16x4",
        "MViT B 32x3",
    ]
    assert set(views) == {*videos, "X3D L 16x5"}
