"""Configurations: what each field does, what is refused, and the paper's ablations."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest
from helpers import meta_model

from slowfast_edu.analysis import ablations, closed_form_macs, count_parameters
from slowfast_edu.config import (
    PRESETS,
    BaselineConfig,
    ClipConfig,
    NonLocal,
    SlowFastConfig,
)
from slowfast_edu.sampling import fast_indices, slow_indices

FOUR = PRESETS["slowfast_4x16_r50"]
ONE_RATE = ClipConfig(T=8, tau=8, alpha=1)
C2D = BaselineConfig(kind="c2d", clip=ONE_RATE)
CLASSES = (ClipConfig, NonLocal, SlowFastConfig, BaselineConfig)

# The paper (section 3, Table 1) and the peers: T, tau, alpha, layers, kernel of the T-conv.
FAMILY_FIELDS = {
    "slowfast_4x16_r50": (4, 16, 8, 50, 5),
    "slowfast_8x8_r50": (8, 8, 4, 50, 7),
    "slowfast_8x8_r101": (8, 8, 4, 101, 5),
    "slowfast_16x8_r101": (16, 8, 4, 101, 5),
    "slowfast_16x8_r101_nl": (16, 8, 4, 101, 5),
    "slowfast_8x8_r101_all_temporal": (8, 8, 4, 101, 5),
    "slow_4x16_r50": (4, 16, 1, 50, None),
    "slow_8x8_r50": (8, 8, 1, 50, None),
    "fast_32x2_r50": (4, 16, 8, 50, None),
}
# Frames and stride in the name, or the clip that the tables give.
BASELINE_FRAMES = {
    "c2d_8x8_r50": (8, 8),
    "i3d_8x8_r50": (8, 8),
    "r2plus1d_16x4_r50": (16, 4),
    "i3d_inception": (64, None),
    "r2plus1d_34": (32, None),
}


def test_the_presets_are_those_of_the_course():
    assert set(PRESETS) == {*FAMILY_FIELDS, *BASELINE_FRAMES, "slowfast_tiny"}


@pytest.mark.parametrize("name", FAMILY_FIELDS)
def test_family_presets_have_the_papers_fields(name):
    config, (T, tau, alpha, depth, kernel) = PRESETS[name], FAMILY_FIELDS[name]
    clip = config.clip
    assert (clip.T, clip.tau, clip.alpha, clip.frame_rule) == (T, tau, alpha, "stride")
    assert (config.depth, config.width, config.beta) == (depth, 64, 1 / 8)
    assert config.dropout == 0.5
    if kernel is not None:
        assert (config.fusion, config.fusion_kernel) == ("t_conv", kernel)


@pytest.mark.parametrize("name", BASELINE_FRAMES)
def test_baseline_presets_see_their_frames(name):
    clip, (frames, stride) = PRESETS[name].clip, BASELINE_FRAMES[name]
    assert (clip.T, clip.fast_frames, clip.alpha) == (frames, frames, 1)
    assert stride is None or clip.tau == stride


def test_4x16_spans_64_raw_frames_and_fast_strides_by_2():
    clip = PRESETS["fast_32x2_r50"].clip
    assert (clip.raw_frames, clip.fast_frames, clip.fast_stride) == (64, 32, 2)


def test_only_these_presets_leave_the_paper():
    assert PRESETS["slowfast_8x8_r101_all_temporal"].res4_temporal_blocks == 23
    assert PRESETS["slowfast_8x8_r101"].res4_temporal_blocks == 6
    non_local = PRESETS["slowfast_16x8_r101_nl"].non_local
    assert (non_local.blocks, non_local.pool) == ((6, 13, 20), (1, 2, 2))
    assert all(c.non_local is None for n, c in PRESETS.items() if n in FAMILY_FIELDS
               and not n.endswith("_nl"))  # fmt: skip


def _observed(config):
    """Everything that a learner could see of a configuration."""
    if isinstance(config, ClipConfig):
        return fast_indices(config).tolist(), slow_indices(config).tolist()
    if isinstance(config, NonLocal):
        config = SlowFastConfig(depth=101, non_local=config)
    model = meta_model(config)
    return (
        closed_form_macs(config, 64),
        count_parameters(model),
        model.head.dropout.p,
    )


CHANGES = {
    ClipConfig: (ClipConfig(), dict(T=2, tau=32, alpha=4, frame_rule="linspace")),
    NonLocal: (NonLocal(), dict(blocks=(6,), pool=(2, 2, 2))),
    BaselineConfig: (C2D, dict(kind="i3d", clip=replace(ONE_RATE, T=4), dropout=0.1)),
    SlowFastConfig: (
        FOUR,
        dict(
            clip=replace(FOUR.clip, T=2),
            pathways="slow",
            depth=26,
            width=32,
            beta=1 / 4,
            fusion="t_sample",
            fusion_kernel=7,
            res4_temporal_blocks=2,
            non_local=NonLocal(blocks=(1,)),
            fast_input="gray",
            dropout=0.2,
            head="features",
        ),
    ),
}


@pytest.mark.parametrize(
    ("cls", "field"), [(cls, f.name) for cls in CLASSES for f in fields(cls)]
)
def test_changing_a_field_changes_something(cls, field):
    config, changes = CHANGES[cls]
    changed = replace(config, **{field: changes[field]})
    assert _observed(changed) != _observed(config)


@pytest.mark.parametrize("cls", CLASSES)
def test_configurations_are_frozen_small_and_by_keyword(cls):
    config = CHANGES[cls][0]
    name = fields(cls)[0].name
    assert len(fields(cls)) <= 12
    with pytest.raises(FrozenInstanceError):
        setattr(config, name, getattr(config, name))
    with pytest.raises(TypeError, match="positional"):
        cls(getattr(config, name))


# What is asked for, and what the message must hold: field, value, rule, nearest fix.
REFUSED = [
    (ClipConfig, dict(T=0), ["T=0", "at least 1", "nearest is 1"]),
    (ClipConfig, dict(T=2.5), ["T=2.5", "whole number", "nearest is 2"]),
    (ClipConfig, dict(T="8"), ["T='8'", "whole number"]),
    (NonLocal, dict(blocks=6), ["blocks=6", "tuple", "(6, 13, 20)"]),
    (NonLocal, dict(blocks=(6, 6)), ["blocks=(6, 6)", "different"]),
    (NonLocal, dict(pool=2), ["pool=2", "3 sizes"]),
    (SlowFastConfig, dict(clip=None), ["clip=None", "ClipConfig"]),
    (SlowFastConfig, dict(non_local=(6,)), ["non_local=(6,)", "NonLocal"]),
    (SlowFastConfig, dict(beta="x"), ["beta='x'", "(0, 1]", "1/8"]),
    (SlowFastConfig, dict(depth=[50]), ["depth=[50]", "50, 101"]),
    (ClipConfig, dict(tau=-1), ["tau=-1", "at least 1", "nearest is 1"]),
    (ClipConfig, dict(alpha=True), ["alpha=True", "whole number"]),
    (ClipConfig, dict(alpha=3, tau=16), ["alpha=3", "divide tau=16", "2 and 4"]),
    (ClipConfig, dict(alpha=32, tau=16), ["alpha=32", "divide tau=16", "16"]),
    (ClipConfig, dict(frame_rule="random"), ["frame_rule='random'", "'linspace'"]),
    (NonLocal, dict(blocks=(-1,)), ["blocks=-1", "at least 0", "nearest is 0"]),
    (NonLocal, dict(pool=(2, 2)), ["pool=(2, 2)", "3 sizes", "(1, 2, 2)"]),
    (NonLocal, dict(pool=(1, 0, 2)), ["pool=0", "at least 1", "nearest is 1"]),
    (SlowFastConfig, dict(pathways="both"), ["pathways='both'", "'slowfast'"]),
    (SlowFastConfig, dict(depth=18), ["depth=18", "14, 26, 50, 101, 152"]),
    (SlowFastConfig, dict(fusion="sum"), ["fusion='sum'", "'ttoc_sum'"]),
    (SlowFastConfig, dict(fast_input="grey"), ["fast_input='grey'", "'gray'"]),
    (SlowFastConfig, dict(head="softmax"), ["head='softmax'", "'linear'"]),
    (SlowFastConfig, dict(width=0), ["width=0", "at least 1", "nearest is 1"]),
    (SlowFastConfig, dict(beta=0), ["beta=0", "(0, 1]", "1/8"]),
    (SlowFastConfig, dict(beta=2), ["beta=2", "(0, 1]", "1/8"]),
    (SlowFastConfig, dict(dropout=1), ["dropout=1", "[0, 1)", "0.5"]),
    (SlowFastConfig, dict(fusion_kernel=4), ["fusion_kernel=4", "odd", "3 and 5"]),
    (SlowFastConfig, dict(fusion_kernel=0), ["fusion_kernel=0", "at least 1"]),
    (SlowFastConfig, dict(res4_temporal_blocks=-1), ["=-1", "nearest is 0"]),
    (
        SlowFastConfig,
        dict(fusion="ttoc_sum", beta=1 / 4),
        ["fusion='ttoc_sum'", "128", "64", "1/8", "0.25"],
    ),
    (SlowFastConfig, dict(fusion="ttoc_sum", beta=0.13), ["ttoc_sum", "1/8", "0.13"]),
    (SlowFastConfig, dict(non_local=NonLocal()), ["(6, 13, 20)", "R50", "last is 5"]),
    (
        SlowFastConfig,
        dict(pathways="fast", depth=101, non_local=NonLocal()),
        ["non_local", "pathways='fast'", "None"],
    ),
    (BaselineConfig, dict(kind="c3d", clip=ONE_RATE), ["kind='c3d'", "'i3d'"]),
    (BaselineConfig, dict(kind="c2d", clip=ClipConfig()), ["alpha=8", "must be 1"]),
    (BaselineConfig, dict(kind="c2d", clip=ONE_RATE, dropout=-0.1), ["dropout=-0.1"]),
]


@pytest.mark.parametrize(("cls", "values", "parts"), REFUSED)
def test_refusals_name_field_value_rule_and_nearest_fix(cls, values, parts):
    with pytest.raises(ValueError) as error:
        cls(**values)
    assert [part for part in parts if part not in str(error.value)] == []


# One replace of 4x16 R50 a row of the paper's Table 5, by (variant, setting).
ABLATIONS = {
    ("Slow-only", "-"): dict(pathways="slow"),
    ("Fast-only", "-"): dict(pathways="fast"),
    ("SlowFast", "no lateral"): dict(fusion="none"),
    ("SlowFast", "TtoC, sum"): dict(fusion="ttoc_sum"),
    ("SlowFast", "TtoC, concat"): dict(fusion="ttoc_concat"),
    ("SlowFast", "T-sample"): dict(fusion="t_sample"),
    ("SlowFast", "T-conv (default)"): dict(fusion="t_conv"),
    **{("SlowFast", f"beta=1/{n}"): dict(beta=1 / n) for n in (4, 6, 8, 12, 16, 32)},
    ("Fast input: RGB", "-"): dict(fast_input="rgb"),
    ("Fast input: RGB beta=1/4", "half"): dict(fast_input="half", beta=1 / 4),
    ("Fast input: gray-scale", "-"): dict(fast_input="gray"),
    ("Fast input: time diff", "-"): dict(fast_input="time_difference"),
    ("Fast input: optical flow", "-"): dict(fast_input="flow"),
}
# Table 6 and section 4.1 vary training and pretraining, not the architecture.
TABLE_5 = [row for row in ablations() if row["table"] in ("5a", "5b", "5c")]


def test_the_other_ablations_are_of_training_alone():
    others = {row["table"] for row in ablations() if row not in TABLE_5}
    assert others == {"6", "Sec 4.1"}


@pytest.mark.parametrize("row", TABLE_5, ids=lambda r: f"{r['variant']} {r['setting']}")
def test_each_ablation_is_one_replace_and_costs_the_recount(row):
    config = replace(FOUR, **ABLATIONS[row["variant"], row["setting"]])
    recount = float(row["gmacs_recount_256"])
    if row["variant"] == "Fast input: time diff":
        recount = 34.04  # one channel, as the row's note says; 36.10 is for three
    assert closed_form_macs(config, 256) / 1e9 == pytest.approx(recount, abs=0.0051)


def test_the_table_has_all_its_rows():
    assert len(TABLE_5) == 19
