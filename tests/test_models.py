"""The models against Table 1, the peers' counts and closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from helpers import FAMILY, SMALL, TWO_PATHWAYS, meta_model, small_model
from hypothesis import given, settings
from hypothesis import strategies as st

import slowfast_edu
from slowfast_edu.analysis import count_parameters, stage_shapes
from slowfast_edu.config import FUSIONS, PRESETS, ClipConfig, NonLocal, SlowFastConfig
from slowfast_edu.models import (
    FastPathway,
    LateralConnection,
    Pathways,
    SlowFast,
    SlowPathway,
    build_model,
    example_clip,
    slowfast_4x16_r50,
    slowfast_8x8_r101,
    split_pathways,
    time_to_channel,
)
from slowfast_edu.models.baselines import SamePadConv, SamePadMaxPool
from slowfast_edu.models.blocks import init_weights
from slowfast_edu.models.inputs import check_clip
from slowfast_edu.models.non_local import NonLocalBlock

# Counted on the peers' running models: every digit, 400 classes.
PARAMETERS = {
    "slowfast_4x16_r50": 34_480_216,
    "slowfast_8x8_r50": 34_566_488,
    "slowfast_8x8_r101": 53_774_808,
    "slowfast_8x8_r101_all_temporal": 62_826_968,
    "slowfast_16x8_r101": 53_774_808,
    "slow_4x16_r50": 32_454_096,
    "slow_8x8_r50": 32_454_096,
    "i3d_8x8_r50": 28_043_472,
    "c2d_8x8_r50": 24_327_632,
    "r2plus1d_16x4_r50": 28_107_600,
    "i3d_inception": 12_697_264,
    "r2plus1d_34": 63_697_175,
}
SIDE = {"conv1": 112, "pool1": 56, "res2": 56, "res3": 28, "res4": 14, "res5": 7}
SLOW_WIDTH = dict(zip(SIDE, (64, 64, 256, 512, 1024, 2048), strict=True))
FAST_WIDTH = dict(zip(SIDE, (8, 8, 32, 64, 128, 256), strict=True))
JOINED_WIDTH = {"pool1": 80, "res2": 320, "res3": 640, "res4": 1280}


def clip_of(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


# Parameters and Table 1


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_exact(name):
    assert count_parameters(meta_model(name)) == PARAMETERS[name]


def test_parameter_counts_that_are_known_rounded():
    assert round(count_parameters(meta_model("slowfast_16x8_r101_nl")) / 1e6, 2) == 60.08
    fast = meta_model(replace(PRESETS["fast_32x2_r50"], head="features"))
    assert round(count_parameters(fast) / 1e6, 3) == 0.514
    assert count_parameters(meta_model("slowfast_tiny")) < 1_000_000


@pytest.mark.parametrize("name", [n for n in FAMILY if n != "slowfast_tiny"])
def test_stages_have_the_shapes_of_table_1(name):
    config = PRESETS[name]
    shapes, expected = stage_shapes(meta_model(name)), {"head": (1, 400)}
    for stage, side in SIDE.items():
        if config.pathways != "fast":
            frames = config.clip.T
            expected[f"slow.{stage}"] = (1, SLOW_WIDTH[stage], frames, side, side)
        if config.pathways != "slow":
            frames = config.clip.alpha * config.clip.T
            expected[f"fast.{stage}"] = (1, FAST_WIDTH[stage], frames, side, side)
        if config.pathways == "slowfast" and stage in JOINED_WIDTH:
            joined = (1, JOINED_WIDTH[stage], config.clip.T, side, side)
            expected[f"lateral.{stage}"] = joined
    assert shapes == expected


@pytest.mark.parametrize("name", FAMILY)
def test_nothing_strides_in_time_but_the_lateral(name):
    config = PRESETS[name]
    for path, module in meta_model(name).named_modules():
        stride = getattr(module, "stride", None)
        if isinstance(stride, tuple):
            in_time = config.clip.alpha if path.startswith("lateral") else 1
            assert stride[0] == in_time, path


@pytest.mark.parametrize(
    ("name", "temporal"),
    [("slowfast_8x8_r101", 6), ("slowfast_8x8_r101_all_temporal", 23)],
)
def test_r101_is_temporal_in_the_first_blocks_of_res4_of_both_pathways(name, temporal):
    model = meta_model(name)
    expected = [3] * temporal + [1] * (23 - temporal)
    for pathway in (model.slow, model.fast):
        blocks = [getattr(pathway.res4, f"block{i}") for i in range(23)]
        assert [block.a.kernel_size[0] for block in blocks] == expected


@pytest.mark.parametrize("name", PRESETS)
def test_convolutions_have_no_bias_but_in_non_local_blocks(name):
    for path, module in meta_model(name).named_modules():
        if isinstance(module, torch.nn.Conv3d):
            assert (module.bias is not None) == ("nonlocal" in path), path


# What runs and what is refused


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 224), (47, 61)])
@pytest.mark.parametrize("groups", [1, 3, 8])
def test_any_size_from_32_and_any_multiple_of_alpha_runs(name, height, width, groups):
    model = meta_model(name)
    frames = groups * model.config.clip.alpha
    clip = torch.zeros(2, 3, frames, height, width, device="meta")
    assert model(clip).shape == (2, 400)


@settings(max_examples=15)
@given(st.integers(32, 80), st.integers(32, 80), st.integers(1, 5), st.integers(1, 2))
def test_small_model_gives_finite_logits_at_any_size(height, width, groups, batch):
    clip = clip_of(batch, 3, 4 * groups, height, width)
    with torch.no_grad():
        logits = small_model()(clip)
    assert logits.shape == (batch, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("pathways", ["slowfast", "slow", "fast"])
@pytest.mark.parametrize("fast_input", ["rgb", "gray", "time_difference", "half"])
def test_one_tensor_and_its_pathways_give_the_same_logits(pathways, fast_input):
    model = small_model(pathways=pathways, fast_input=fast_input)
    clip = clip_of(1, 3, 16, 48, 40)
    with torch.no_grad():
        expected = model(clip)
        torch.testing.assert_close(model(split_pathways(clip, model.config)), expected)


def test_non_local_small_model_runs():
    model = small_model(non_local=NonLocal(blocks=(0,), pool=(2, 2, 2)))
    with torch.no_grad():
        assert model(clip_of(1, 3, 4, 32, 32)).isfinite().all()


def test_the_frame_rule_chooses_slows_frames():
    frames = torch.arange(16.0).view(1, 1, 16, 1, 1).expand(1, 3, 16, 32, 32)
    for rule, expected in (("stride", [0, 4, 8, 12]), ("linspace", [0, 5, 10, 15])):
        config = replace(SMALL, clip=replace(SMALL.clip, frame_rule=rule))
        slow = split_pathways(frames, config).slow
        assert slow[0, 0, :, 0, 0].tolist() == expected


BAD_CLIPS = [
    ((1, 2, 16, 32, 32), ValueError, ["C=2", "C=3"]),
    ((0, 3, 16, 32, 32), ValueError, ["B=0", "at least 1"]),
    ((3, 16, 32, 32), ValueError, ["(3, 16, 32, 32)", "(B, C, T, H, W)", "clip[None]"]),
    ((1, 3, 14, 32, 32), ValueError, ["T=14", "alpha=4", "12 and 16"]),
    ((1, 3, 3, 32, 32), ValueError, ["T=3", "alpha=4", "nearest: 4"]),
    ((1, 3, 0, 32, 32), ValueError, ["T=0", "alpha=4", "nearest: 4"]),
    ((1, 3, 16, 31, 40), ValueError, ["31x40", "at least 32", "32x40"]),
]


@pytest.mark.parametrize(("shape", "kind", "parts"), BAD_CLIPS)
def test_refused_clips_are_told_the_rule_and_the_nearest(shape, kind, parts):
    with pytest.raises(kind) as error:
        meta_model(SMALL)(torch.zeros(*shape, device="meta"))
    assert [part for part in parts if part not in str(error.value)] == []


@pytest.mark.parametrize("clip", [torch.zeros(1, 3, 16, 32, 32, dtype=torch.uint8), None])
def test_clips_that_are_no_floating_point_tensor_are_refused(clip):
    with pytest.raises(TypeError, match="floating-point"):
        check_clip(clip, channels=3)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_refuses_wrong_channels(name):
    with pytest.raises(ValueError, match=r"C=4.*C=3"):
        meta_model(name)(torch.zeros(1, 4, 16, 32, 32, device="meta"))


SLOW = (1, 3, 4, 32, 32)
BAD_PATHWAYS = [
    ("rgb", SLOW, (1, 3, 12, 32, 32), "12 frames.*alpha=4.*16"),
    ("rgb", SLOW, (2, 3, 16, 32, 32), "Pathways.*(batch|B=)"),
    ("rgb", SLOW, (1, 3, 16, 64, 64), "Pathways.*64x64.*32x32|Pathways.*32x32.*64x64"),
    ("rgb", SLOW, (1, 1, 16, 32, 32), "Pathways.fast.*C=1.*C=3"),
    ("flow", SLOW, (1, 3, 16, 32, 32), "Pathways.fast.*C=3.*C=2"),
    ("half", SLOW, (3, 16, 16, 16), "Pathways.fast.*B, C, T, H, W"),
]


@pytest.mark.parametrize(("fast_input", "slow", "fast", "message"), BAD_PATHWAYS)
def test_pathways_that_do_not_go_together_are_refused(fast_input, slow, fast, message):
    model = meta_model(replace(SMALL, fast_input=fast_input))
    with pytest.raises(ValueError, match=message):
        model(Pathways(*(torch.zeros(*s, device="meta") for s in (slow, fast))))


@pytest.mark.parametrize("fast_input", ["rgb", "half"])
def test_a_missing_pathway_is_refused_by_name(fast_input):
    model = meta_model(replace(SMALL, fast_input=fast_input))
    with pytest.raises(TypeError, match=r"Pathways\.fast"):
        model(Pathways(torch.zeros(*SLOW, device="meta"), None))


# What Fast sees (Table 5c)


def fast_of(clip, fast_input):
    return split_pathways(clip, replace(SMALL, fast_input=fast_input)).fast


def test_gray_is_bt601_luma():
    clip = clip_of(2, 3, 4, 32, 32)
    r, g, b = clip.unbind(dim=1)
    expected = (0.299 * r + 0.587 * g + 0.114 * b)[:, None]
    torch.testing.assert_close(fast_of(clip, "gray"), expected)


def test_time_difference_is_gray_minus_the_frame_before_and_zero_first():
    clip = clip_of(1, 3, 4, 32, 32)
    gray, difference = fast_of(clip, "gray"), fast_of(clip, "time_difference")
    assert difference.shape == (1, 1, 4, 32, 32)
    assert (difference[:, :, 0] == 0).all()
    torch.testing.assert_close(difference[:, :, 3], gray[:, :, 3] - gray[:, :, 2])


def test_half_averages_two_by_two_pixels():
    clip = clip_of(1, 3, 4, 34, 32)
    corners = [clip[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(fast_of(clip, "half"), sum(corners) / 4)


def test_flow_is_given_and_never_computed():
    model = small_model(fast_input="flow")
    with pytest.raises(ValueError, match=r"flow.*Pathways"):
        model(clip_of(1, 3, 16, 32, 32))
    clip = Pathways(clip_of(1, 3, 4, 32, 32), clip_of(1, 2, 16, 32, 32))
    with torch.no_grad():
        assert model(clip).shape == (1, 5)


# Lateral connections (section 3.3)


@pytest.mark.parametrize("alpha", [1, 3, 8])
@pytest.mark.parametrize(
    ("kind", "times"),
    [("t_conv", 2), ("t_sample", 1), ("ttoc_concat", None), ("ttoc_sum", 0), ("none", 0)],
)
def test_laterals_add_their_channels_at_slows_frames(kind, times, alpha):
    slow, fast = clip_of(2, 8 * alpha, 4, 7, 7), clip_of(2, 8, 4 * alpha, 7, 7)
    added = 8 * (alpha if times is None else times)
    joined = LateralConnection(8, alpha, kind)(slow, fast)
    assert joined.shape == (2, 8 * alpha + added, 4, 7, 7)


def test_the_kinds_of_lateral_are_all_tested():
    assert set(FUSIONS) == {"t_conv", "t_sample", "ttoc_concat", "ttoc_sum", "none"}


def test_t_sample_takes_every_alpha_th_frame():
    slow, fast = clip_of(1, 5, 3, 2, 2), clip_of(1, 2, 12, 2, 2)
    joined = LateralConnection(2, 4, "t_sample")(slow, fast)
    assert joined[:, :5].equal(slow)
    for t in range(3):
        assert joined[:, 5:, t].equal(fast[:, :, 4 * t])


def test_time_to_channel_packs_each_frame_and_loses_nothing():
    fast = clip_of(2, 3, 12, 2, 2)
    packed = time_to_channel(fast, alpha=4)
    for t in range(3):
        for f in range(4):
            for c in range(3):
                assert packed[:, f * 3 + c, t].equal(fast[:, c, 4 * t + f])


def test_ttoc_sum_adds_ttoc_concat_appends_and_none_ignores_fast():
    slow, fast = clip_of(1, 8, 3, 2, 2), clip_of(1, 2, 12, 2, 2)
    packed = time_to_channel(fast, 4)
    assert LateralConnection(2, 4, "ttoc_sum")(slow, fast).equal(slow + packed)
    joined = LateralConnection(2, 4, "ttoc_concat")(slow, fast)
    assert joined.equal(torch.cat([slow, packed], dim=1))
    assert LateralConnection(2, 4, "none")(slow, fast) is slow


def frames_read(kernel, alpha):
    lateral = LateralConnection(2, alpha, kernel=kernel)
    fast = torch.rand(1, 2, 32, 2, 2, requires_grad=True)
    lateral.t_conv.conv(fast).square().sum().backward()
    return {t for t in range(32) if fast.grad[:, :, t].abs().sum() > 0}


def test_t_conv_of_stride_8_never_reads_14_of_32_frames():
    unread = {*range(3, 6), *range(11, 14), *range(19, 22), *range(27, 32)}
    assert frames_read(kernel=5, alpha=8) == set(range(32)) - unread
    assert len(unread) == 14


def test_t_conv_of_8x8_reads_every_frame():
    assert frames_read(kernel=7, alpha=4) == set(range(32))


@pytest.mark.parametrize(("kind", "kernel"), [("sum", 5), ("t_conv", 4)])
def test_laterals_refuse_unknown_kinds_and_even_kernels(kind, kernel):
    with pytest.raises(ValueError, match=r"is not known|odd.*3 and 5"):
        LateralConnection(8, kind=kind, kernel=kernel)


@pytest.mark.parametrize(
    "shape", [(1, 2, 15, 4, 4), (1, 2, 8, 4, 4), (1, 2, 16, 2, 2), (1, 2, 16, 4, 3)]
)
@pytest.mark.parametrize("kind", ["t_conv", "t_sample", "ttoc_concat"])
def test_laterals_refuse_features_that_do_not_go_together(kind, shape):
    with pytest.raises(ValueError, match=r"alpha=4 times as many, 16, of the same size"):
        LateralConnection(2, 4, kind)(clip_of(1, 8, 4, 4, 4), torch.zeros(shape))


def test_laterals_of_a_half_size_fast_pathway_repeat_each_pixel():
    slow, fast = clip_of(1, 8, 3, 4, 4), clip_of(1, 2, 12, 2, 2)
    joined = LateralConnection(2, 4, "t_sample", enlarge=True)(slow, fast)
    repeated = fast[:, :, ::4].repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    assert joined[:, 8:].equal(repeated)


@pytest.mark.parametrize("wrong", [None, 5, ClipConfig()])
def test_build_model_refuses_what_is_neither_name_nor_configuration(wrong):
    with pytest.raises(TypeError, match="neither a preset's name nor a configuration"):
        slowfast_edu.build_model(wrong)


@pytest.mark.parametrize("num_classes", [0, None, "10", 2.5, True])
def test_the_number_of_classes_is_a_whole_number(num_classes):
    with pytest.raises(ValueError, match=r"num_classes=.* must be a whole number"):
        slowfast_edu.build_model("slowfast_tiny", num_classes)


def test_a_clip_with_its_channels_last_is_told_how_to_turn():
    with pytest.raises(ValueError, match=r"clip\.permute\(0, 4, 1, 2, 3\)"):
        check_clip(torch.zeros(1, 16, 32, 32, 3), channels=3)


def test_lecture_arguments_name_the_nearest_frame_counts():
    with pytest.raises(ValueError, match=r"num_frames=30.*24 and 32"):
        slowfast_edu.SlowFast(num_frames=30)


# Non-local block


def brute_force_non_local(block, x):
    """Dot products between all positions, one by one (Wang et al. 2018, eq. 1 and 4)."""
    t, h, w = block.pool
    pooled = torch.nn.functional.max_pool3d(x, (t, h, w))
    theta, phi, g = block.theta(x), block.phi(pooled), block.g(pooled)
    y = torch.zeros_like(theta)
    places = [(i, j, k) for i in range(phi.shape[2])
              for j in range(phi.shape[3]) for k in range(phi.shape[4])]  # fmt: skip
    for i, j, k in places:
        pair = (theta * phi[:, :, i, j, k, None, None, None]).sum(1, keepdim=True)
        y += pair * g[:, :, i, j, k, None, None, None] / len(places)
    return x + block.bn(block.out(y))


@pytest.mark.parametrize("pool", [(1, 2, 2), (2, 2, 2)])
def test_non_local_block_is_the_sum_over_all_pairs(pool):
    torch.manual_seed(0)
    block = NonLocalBlock(6, pool).double().eval()
    torch.nn.init.normal_(block.bn.weight)
    x = torch.randn(2, 6, 2, 4, 5).double()
    torch.testing.assert_close(block(x), brute_force_non_local(block, x))


def test_non_local_block_begins_as_the_identity():
    model = build_model(replace(SMALL, non_local=NonLocal(blocks=(0,))))
    block, x = model.slow.res4.nonlocal0, clip_of(1, 128, 2, 4, 4)
    assert block(x).equal(x)


@pytest.mark.parametrize("blocks", [(6, 13, 20), (0,)])
def test_non_local_blocks_follow_the_named_blocks_of_res4(blocks):
    model = meta_model(SlowFastConfig(depth=101, non_local=NonLocal(blocks=blocks)))
    names = [name for name, _ in model.slow.res4.named_children()]
    for index in blocks:
        assert names[names.index(f"block{index}") + 1] == f"nonlocal{index}"
    assert sum("nonlocal" in path for path, _ in model.named_modules()) == 6 * len(blocks)


# Names of lecture notes, head, initialisation, padding


def test_lecture_names_build_the_papers_models():
    with torch.device("meta"):
        given = SlowFast(
            num_classes=400, alpha=8, beta=1 / 8, slow_channels=64, num_frames=32
        )
        models = [given, SlowFast(), slowfast_4x16_r50()]
        r101 = slowfast_8x8_r101()
    assert {count_parameters(m) for m in models} == {34_480_216}
    assert count_parameters(r101) == 53_774_808
    assert given.config == PRESETS["slowfast_4x16_r50"]


def test_lecture_arguments_are_checked():
    with pytest.raises(ValueError, match=r"num_frames=30.*alpha=8"):
        SlowFast(num_frames=30)
    with pytest.raises(ValueError, match="config"):
        SlowFast(config=SMALL, alpha=4)


def test_lecture_arguments_change_the_model():
    with torch.device("meta"):
        model = SlowFast(
            num_classes=7, alpha=4, beta=1 / 4, slow_channels=32, num_frames=16
        )
    assert model(torch.zeros(1, 3, 16, 32, 32, device="meta")).shape == (1, 7)
    assert model.config.clip == ClipConfig(T=4, tau=8, alpha=4)
    assert (model.config.width, model.config.beta) == (32, 1 / 4)


def test_pathways_run_alone():
    with torch.device("meta"):
        slow, fast = SlowPathway(), FastPathway()
    assert slow(torch.zeros(1, 3, 4, 64, 64, device="meta")).shape == (1, 2048, 4, 2, 2)
    assert fast(torch.zeros(1, 3, 32, 64, 64, device="meta")).shape == (1, 256, 32, 2, 2)


@pytest.mark.parametrize("name", TWO_PATHWAYS)
def test_head_features_gives_the_pooled_vector(name):
    config = replace(PRESETS[name], head="features")
    features = 2304 if config.width == 64 else 12 * 32 + 3 * 32
    clip = torch.zeros(2, 3, config.clip.fast_frames, 32, 32, device="meta")
    assert meta_model(config)(clip).shape == (2, features)


def test_the_head_averages_each_pathway_over_all_positions():
    head = small_model(head="features").head
    slow, fast = clip_of(2, 6, 4, 3, 2), clip_of(2, 3, 16, 3, 2)
    expected = torch.cat([x.flatten(2).mean(2) for x in (slow, fast)], dim=1)
    torch.testing.assert_close(head(slow, fast), expected)


def test_dropout_acts_in_training_and_not_in_evaluation():
    head = small_model(head="features", dropout=0.25).head
    ones = torch.ones(1, 100_000, 1, 1, 1)
    dropped = (head.train()(ones) == 0).float().mean().item()
    assert dropped == pytest.approx(0.25, abs=0.01)
    assert head.eval()(ones).equal(torch.ones(1, 100_000))


def test_weights_begin_as_he_initialisation_says():
    torch.manual_seed(0)
    model = build_model(replace(SMALL, width=32))
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Conv3d) and module.weight.numel() > 5_000:
            fan_out = module.out_channels * math.prod(module.kernel_size)
            expected = math.sqrt(2 / fan_out)
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05), path
            assert abs(module.weight.mean().item()) < 0.05 * expected, path
        if isinstance(module, torch.nn.BatchNorm3d):
            assert (module.eps, module.momentum) == (1e-5, 0.1)
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()
    assert model.head.projection.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.head.projection.bias.eq(0).all()


def test_init_weights_zeroes_the_bias_of_non_local_convolutions():
    block = NonLocalBlock(4)
    init_weights(torch.nn.Sequential(block))
    assert block.theta.bias.eq(0).all()
    assert block.bn.weight.eq(0).all()


@pytest.mark.parametrize("layer", ["conv", "pool"])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (3, 2), (2, 2), (1, 2)])
def test_same_padding_is_tensorflows(layer, kernel, stride):
    """Output ceil(n / s), the odd padded pixel last: out[i] reads from i * s - before."""
    for n in range(1, 12):
        x = torch.arange(1.0, n + 1).view(1, 1, 1, 1, n)
        shape, steps = (1, 1, kernel), (1, 1, stride)
        if layer == "conv":
            module = SamePadConv(1, 1, shape, steps).eval()
            torch.nn.init.ones_(module.conv.weight)
        else:
            module = SamePadMaxPool(shape, steps)
        outputs = math.ceil(n / stride)
        before = max(0, (outputs - 1) * stride + kernel - n) // 2
        starts = [i * stride - before for i in range(outputs)]
        windows = [range(max(0, s), min(n, s + kernel)) for s in starts]
        reduce = sum if layer == "conv" else max
        expected = torch.tensor([float(reduce(i + 1 for i in w)) for w in windows])
        torch.testing.assert_close(module(x).flatten(), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_example_clip_is_what_a_preset_takes(name):
    clip = example_clip(PRESETS[name], crop=64, device="meta")
    assert clip.shape == (1, 3, PRESETS[name].clip.fast_frames, 64, 64)
    assert meta_model(name)(clip).shape == (1, 400)


def test_build_model_names_what_it_knows():
    with pytest.raises(ValueError, match=r"slowfast_9x9.*slowfast_4x16_r50"):
        slowfast_edu.build_model("slowfast_9x9")
    with pytest.raises(ValueError, match="num_classes=0"):
        slowfast_edu.build_model("slowfast_tiny", num_classes=0)
