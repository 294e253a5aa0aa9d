"""Checkpoints: foreign names, formats and damage; loaded exactly or refused whole."""

import os
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import SMALL, meta_model, small_model

from slowfast_edu.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from slowfast_edu.config import BLOCKS, PRESETS, NonLocal
from slowfast_edu.models import build_model, split_pathways

EIGHT = replace(PRESETS["slowfast_8x8_r50"], width=8)
CONFIGS = {
    "slowfast_8x8_r50": EIGHT,
    "slow_8x8_r50": replace(PRESETS["slow_8x8_r50"], width=8),
    "fast_32x2_r50": replace(PRESETS["fast_32x2_r50"], width=8),
    "r101_nl": replace(PRESETS["slowfast_16x8_r101_nl"], width=8),
    "small": SMALL,
}

# From our names to others', written from how the peers name things and not from key_maps.

STAGE = {"conv1": 1, "pool1": 1, "res2": 2, "res3": 3, "res4": 4, "res5": 5}
CAFFE2_CONV = {"weight": "w", "bias": "b"}
CAFFE2_BN = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}


def pyslowfast_name(key, config):
    if key.startswith("head."):
        return key
    pathway, stage, *rest = key.split(".")
    number, leaf = STAGE[stage], rest[-1]
    if pathway == "lateral":
        part = {"conv": "conv_f2s", "bn": "bn"}[rest[1]]
        return f"s{number}_fuse.{part}.{leaf}"
    place = f"s{number}.pathway{int(pathway == 'fast' and config.pathways != 'fast')}"
    if stage == "conv1":
        return f"{place}_stem.{rest[0]}.{leaf}"
    block, part = rest[:2]
    if block.startswith("nonlocal"):
        return f"{place}_{block}.{'bn' if part == 'bn' else 'conv_' + part}.{leaf}"
    branch = (
        part.replace("shortcut", "branch1") if "shortcut" in part else f"branch2.{part}"
    )
    return f"{place}_{block.replace('block', 'res')}.{branch}.{leaf}"


def caffe2_name(key, config):
    pathway, stage, *rest = key.split(".")
    if key.endswith("num_batches_tracked"):
        return None
    norm = rest[-2].endswith("bn") if len(rest) > 1 else False
    leaf = "bn_" * norm + (CAFFE2_BN if norm else CAFFE2_CONV)[rest[-1]]
    if pathway == "head":
        return f"pred_{leaf}"
    if pathway == "lateral":
        last = BLOCKS[config.depth][STAGE[stage] - 2] - 1
        place = "pool1" if stage == "pool1" else f"{stage}_{last}_branch2c_bn"
        return f"t_{place}_subsample_{leaf}"
    prefix = "t_" if pathway == "fast" and config.pathways != "fast" else ""
    if stage == "conv1":
        return f"{prefix}{'res_conv1' if norm else 'conv1'}_{leaf}"
    if rest[0].startswith("nonlocal"):
        index, part = rest[0].removeprefix("nonlocal"), "" if norm else f"{rest[1]}_"
        return f"{prefix}nonlocal_conv{stage[-1]}_{index}_{part}{leaf}"
    part = rest[1].removesuffix("_bn")
    branch = "branch1" if part == "shortcut" else f"branch2{part}"
    return f"{prefix}{stage}_{rest[0].removeprefix('block')}_{branch}_{leaf}"


NAMING = {"pyslowfast": pyslowfast_name, "caffe2": caffe2_name}


def random_state(config, num_classes=5):
    """A state dict in which no two tensors have the same values."""
    torch.manual_seed(1)
    state = build_model(config, num_classes).state_dict()
    for values in state.values():
        if values.is_floating_point():
            values.normal_()
    return state


def renamed(state, kind, config):
    names = {key: NAMING[kind](key, config) for key in state}
    return {names[key]: values for key, values in state.items() if names[key]}


def assert_filled(model, state, but=("num_batches_tracked",)):
    for key, values in model.state_dict().items():
        if not key.endswith(but):
            assert values.equal(state[key]), key


def unchanged(model):
    """A check that the model still is what it is now."""
    before = {key: values.clone() for key, values in model.state_dict().items()}
    config = model.config

    def check():
        assert model.config == config
        assert all(v.equal(before[k]) for k, v in model.state_dict().items())

    return check


# Names


@pytest.mark.parametrize(
    ("kind", "ours", "theirs"),
    [
        ("pyslowfast", "slow.conv1.conv.weight", "s1.pathway0_stem.conv.weight"),
        ("pyslowfast", "fast.res2.block0.shortcut_bn.bias",
         "s2.pathway1_res0.branch1_bn.bias"),
        ("pyslowfast", "fast.res4.block5.a_bn.bias", "s4.pathway1_res5.branch2.a_bn.bias"),
        ("pyslowfast", "lateral.pool1.t_conv.conv.weight", "s1_fuse.conv_f2s.weight"),
        ("pyslowfast", "slow.res4.nonlocal6.theta.weight",
         "s4.pathway0_nonlocal6.conv_theta.weight"),
        ("caffe2", "fast.conv1.bn.running_var", "t_res_conv1_bn_riv"),
        ("caffe2", "slow.res4.block5.a.weight", "res4_5_branch2a_w"),
        ("caffe2", "fast.res4.block5.c_bn.running_var", "t_res4_5_branch2c_bn_riv"),
        ("caffe2", "slow.res2.block0.shortcut_bn.weight", "res2_0_branch1_bn_s"),
        ("caffe2", "lateral.pool1.t_conv.conv.weight", "t_pool1_subsample_w"),
        ("caffe2", "lateral.res2.t_conv.conv.weight", "t_res2_2_branch2c_bn_subsample_w"),
        ("caffe2", "slow.res4.nonlocal6.theta.weight", "nonlocal_conv4_6_theta_w"),
        ("caffe2", "head.projection.bias", "pred_b"),
    ],
)  # fmt: skip
def test_these_tests_use_the_names_of_the_peers(kind, ours, theirs):
    assert NAMING[kind](ours, EIGHT) == theirs


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", NAMING)
def test_every_tensor_of_a_foreign_checkpoint_arrives_at_its_place(kind, name):
    state = random_state(CONFIGS[name])
    foreign = renamed(state, kind, CONFIGS[name])
    model = build_model(CONFIGS[name], 5)
    report = load_checkpoint(model, foreign)
    assert_filled(model, state)
    assert (report.source, report.tensors, report.head) == (kind, len(foreign), "loaded")
    assert report.frame_rule == model.config.clip.frame_rule == "linspace"


def test_8x8_r50_has_the_662_entries_of_the_two_pytorch_models():
    assert len(meta_model("slowfast_8x8_r50").state_dict()) == 662


def test_caffe2_kernels_kept_flat_are_given_their_shape():
    config = CONFIGS["r101_nl"]
    state = random_state(config)
    foreign = renamed(state, "caffe2", config)
    for key, values in foreign.items():
        if key.startswith("nonlocal") and key.endswith("_w"):
            foreign[key] = values.flatten(1)
    model = build_model(config, 5)
    load_checkpoint(model, foreign)
    assert_filled(model, state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"model_state": s, "optimizer_state": {"state": {}}, "epoch": 3},
        lambda s: {"state_dict": s, "meta": {"epoch": 3}},
        lambda s: {"blobs": s},
        lambda s: {f"module.{key}": values for key, values in s.items()},
        lambda s: {"state_dict": {f"module.{key}": v for key, v in s.items()}},
        lambda s: {f"module._orig_mod.{key}": v for key, v in s.items()},
    ],
)
def test_wrapped_checkpoints_are_unwrapped(wrap):
    state = random_state(SMALL)
    model = build_model(SMALL, 5)
    load_checkpoint(model, wrap(renamed(state, "pyslowfast", SMALL)))
    assert_filled(model, state)


# Files


def python2_string(text):
    raw = text.encode() if isinstance(text, str) else text
    return b"T" + struct.pack("<I", len(raw)) + raw  # BINSTRING: Python 2's str


def python2_array(values, shape=None, dtype="f4"):
    """The opcodes with which Python 2's cPickle wrote a numpy array at protocol 2."""
    sizes = b"".join(b"J" + struct.pack("<i", n) for n in shape or values.shape)
    none = b"J\xff\xff\xff\xff"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(" + sizes + b"tcnumpy\ndtype\n(" + python2_string(dtype) + b"K\x00K\x01tR"
        b"(K\x03U\x01<NNN" + none + none + b"K\x00tb"
        b"\x89" + python2_string(values.tobytes()) + b"tb"
    )  # fmt: skip


def python2_pickle(arrays, extra=b""):
    """{"blobs": arrays} as Caffe2's tools wrote it; ``extra`` is one more entry."""
    items = [python2_string(key) + python2_array(a) for key, a in arrays.items()]
    return (
        b"\x80\x02}(" + python2_string("blobs") + b"}(" + b"".join(items) + extra + b"uu."
    )


def arrays_of(state):
    return {key: np.ascontiguousarray(v.numpy()) for key, v in state.items()}


def optimiser_blobs(foreign):
    blobs = {f"{key}_momentum": np.zeros(3, "f4") for key in foreign}
    return blobs | {"lr": np.ones(1, "f4"), "model_iter": np.ones(1, "f4")}


WRITERS = {
    "torch zip": lambda state, path: torch.save(state, path),
    "torch legacy": lambda state, path: torch.save(
        state, path, _use_new_zipfile_serialization=False
    ),
    "caffe2 of Python 2": lambda state, path: path.write_bytes(
        python2_pickle(arrays_of(state) | optimiser_blobs(state))
    ),
    "caffe2 of Python 3": lambda state, path: path.write_bytes(
        pickle.dumps({"blobs": arrays_of(state) | optimiser_blobs(state)}, protocol=2)
    ),
}
FOREIGN = renamed(random_state(SMALL), "caffe2", SMALL)


def write(kind, path):
    """A whole checkpoint of the small model, in the named format."""
    if kind == "safetensors":
        return save_checkpoint(build_model(SMALL, 5), path.with_suffix(".safetensors"))
    WRITERS[kind](FOREIGN, path)
    return path


def test_the_python_2_pickle_is_one_that_numpy_reads():
    array = np.arange(6, dtype="f4").reshape(2, 3)
    blobs = pickle.loads(python2_pickle({"a_w": array}), encoding="latin1")["blobs"]
    np.testing.assert_array_equal(blobs["a_w"], array)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_is_read_by_its_content(kind, tmp_path):
    model = build_model(SMALL, 5)
    report = load_checkpoint(model, write(kind, tmp_path / "weights.bin"))
    assert_filled(model, random_state(SMALL))
    assert (report.source, report.tensors) == ("caffe2", len(FOREIGN))


# Classifiers


def test_a_classifier_of_another_size_is_reported_and_left_fresh():
    state = random_state(SMALL, num_classes=7)
    model = build_model(SMALL, 5)
    fresh = model.head.projection.weight.clone()
    with pytest.warns(UserWarning, match=r"classifier not loaded.*\(7, .*\(5, "):
        report = load_checkpoint(model, state)
    assert "(7, " in report.head
    assert model.head.projection.weight.equal(fresh)
    assert_filled(model, state, but=("num_batches_tracked", "weight", "bias"))
    assert model.slow.conv1.conv.weight.equal(state["slow.conv1.conv.weight"])


@pytest.mark.parametrize("side", ["checkpoint", "model"])
def test_a_missing_classifier_is_reported(side):
    state = random_state(SMALL)
    without = {key: v for key, v in state.items() if not key.startswith("head")}
    features = replace(SMALL, head="features")
    model = build_model(features if side == "model" else SMALL, 5)
    with pytest.warns(UserWarning, match=f"the {side} .*no classifier"):
        report = load_checkpoint(model, state if side == "model" else without)
    assert report.tensors == len(without)
    assert model.fast.res5.block0.c.weight.equal(state["fast.res5.block0.c.weight"])


# Wrong models


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("slowfast_8x8_r50", "they fit slowfast_8x8_r50"),
        ("slow_4x16_r50", "they fit slow_4x16_r50 and slow_8x8_r50"),
        ("i3d_inception", "they fit i3d_inception"),
    ],
)
def test_weights_for_another_model_change_nothing_and_name_their_presets(name, fits):
    model = small_model()
    check = unchanged(model)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(model, meta_model(name).state_dict())
    assert str(error.value).endswith(fits)
    check()


@pytest.fixture
def one_preset(monkeypatch):
    """Building all of them for a message takes two seconds."""
    monkeypatch.setattr(
        "slowfast_edu.checkpoints.loading.PRESETS", {"slowfast_tiny": SMALL}
    )


@pytest.mark.parametrize("damage", ["missing", "extra", "shape"])
def test_one_wrong_tensor_refuses_the_whole(damage, one_preset):
    state = random_state(SMALL)
    key = "slow.res5.block0.c.weight"
    if damage == "missing":
        del state[key]
    elif damage == "shape":
        state[key] = state[key][:1]
    else:
        key = "slow.res5.block9.c.weight"
        state[key] = torch.zeros(1)
    model = small_model()
    check = unchanged(model)
    with pytest.raises(CheckpointError, match=key):
        load_checkpoint(model, state)
    check()


def test_state_dicts_of_other_networks_are_refused():
    with pytest.raises(CheckpointError, match=r"known kind.*0\.weight"):
        load_checkpoint(
            small_model(), torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict()
        )


# Frame rules


@pytest.mark.parametrize("rule", ["stride", "linspace"])
def test_our_files_keep_their_frame_rule(rule, tmp_path):
    clip = replace(SMALL.clip, frame_rule=rule)
    path = save_checkpoint(small_model(clip=clip), tmp_path / "own.safetensors")
    model = small_model()
    assert load_checkpoint(model, path).frame_rule == rule
    assert model.config.clip.frame_rule == rule


def test_converted_weights_change_which_frames_slow_sees():
    model = build_model(SMALL, 5)
    clip = torch.arange(16.0).view(1, 1, 16, 1, 1).expand(1, 3, 16, 32, 32)
    load_checkpoint(model, FOREIGN)
    seen = split_pathways(clip, model.config).slow[0, 0, :, 0, 0].tolist()
    assert seen == [0, 5, 10, 15]


def test_a_state_dict_of_ours_leaves_the_model_its_rule():
    model = small_model(clip=replace(SMALL.clip, frame_rule="linspace"))
    assert load_checkpoint(model, model.state_dict()).frame_rule == "linspace"


def test_a_classifier_without_its_bias_is_named():
    model = small_model()
    state = model.state_dict()
    del state["head.projection.bias"]
    with pytest.warns(UserWarning, match=r"it has \['head.projection.weight'\]"):
        load_checkpoint(model, state)


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, lambda _: torch.nn.Linear(2, 2)])
def test_a_model_that_is_not_ours_is_a_type_error_with_the_way_out(wrap, tmp_path):
    model = wrap(small_model())
    with pytest.raises(TypeError, match=r"model\.module"):
        load_checkpoint(model, {})
    with pytest.raises(TypeError, match=r"model\.module"):
        save_checkpoint(model, tmp_path / "x.safetensors")


def test_the_frame_rule_can_be_overridden():
    model = build_model(SMALL, 5)
    assert load_checkpoint(model, FOREIGN, frame_rule="stride").frame_rule == "stride"
    assert model.config.clip.frame_rule == "stride"
    with pytest.raises(ValueError, match="frame_rule='random'"):
        load_checkpoint(model, FOREIGN, frame_rule="random")


def test_a_file_with_an_unknown_frame_rule_is_refused_whole(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "odd.safetensors"
    save_file(random_state(SMALL), path, {"frame_rule": "random"})
    model = small_model()
    check = unchanged(model)
    with pytest.raises(CheckpointError, match=r"odd\.safetensors.*random"):
        load_checkpoint(model, path)
    check()


# Saving


def test_saved_files_are_safetensors_and_give_the_same_logits(tmp_path):
    from safetensors.torch import load_file

    model = small_model()
    path = save_checkpoint(model, str(tmp_path / "own.safetensors"))
    loaded, state = load_file(path), model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(loaded[key].equal(state[key]) for key in state)
    again = build_model(SMALL, 5).eval()
    load_checkpoint(again, path)
    clip = torch.randn(1, 3, 16, 32, 32)
    with torch.no_grad():
        assert again(clip).equal(model(clip))


@pytest.mark.parametrize("step", ["os.replace", "pathlib.Path.open"])
def test_a_failing_save_leaves_the_old_file_and_nothing_else(step, tmp_path, monkeypatch):
    path = save_checkpoint(small_model(), tmp_path / "own.safetensors")
    before = path.read_bytes()

    def fail(target, *_):
        with open(target, "wb") as file:  # half of it came out
            file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(small_model(dropout=0.1), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"own\.pth must end in \.safetensors"):
        save_checkpoint(small_model(), tmp_path / "own.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_checkpoint(small_model(), tmp_path / "no" / "own.safetensors")


# Files that nobody vouches for


class Reduces:
    """Pickles as a call of ``function`` on ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# Each makes something that would create the file ``marker`` if it were run.
ATTACKS = {
    "os.system": lambda marker: Reduces(os.system, f'echo > "{marker}"'),
    "eval": lambda marker: Reduces(eval, f"open({str(marker)!r}, 'w').close()"),
    "object array": lambda marker: np.array(
        [Reduces(os.system, f'echo > "{marker}"')], dtype=object
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("form", ["torch zip", "torch legacy", "caffe2"])
def test_malicious_files_are_refused_and_not_run(form, attack, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    content = {"model_state": FOREIGN, "evil": ATTACKS[attack](marker)}
    if form == "caffe2":
        content["model_state"] = arrays_of(FOREIGN)
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        zipped = form == "torch zip"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_refused(path, "read safely")
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path):
    for attack in ATTACKS:
        marker = tmp_path / attack
        pickle.loads(pickle.dumps(ATTACKS[attack](marker), protocol=2))
        assert marker.exists(), attack


def call(module, name, *arguments):
    """Opcodes of a call by name."""
    texts = b"".join(b"X" + struct.pack("<I", len(a)) + a for a in arguments)
    return f"c{module}\n{name}\n".encode() + b"(" + texts + b"tR"


EVIL_ENTRIES = {
    "getattr": call("builtins", "getattr", b"abc", b"__class__"),
    "another codec": call("_codecs", "encode", b"abc", b"rot13"),
    "dotted name": call("numpy", "ndarray.tofile", b"abc", b"abc"),
    "import": call("importlib", "import_module", b"this"),
    "huge shape": python2_array(np.zeros(1, "f4"), shape=(2**31 - 1, 2**31 - 1)),
}


@pytest.mark.parametrize("entry", EVIL_ENTRIES)
def test_caffe2_pickles_hold_arrays_and_nothing_else(entry, tmp_path):
    path = tmp_path / "evil.pkl"
    extra = python2_string("x") + EVIL_ENTRIES[entry]
    path.write_bytes(python2_pickle(arrays_of(FOREIGN), extra))
    assert_refused(path, "read safely")


@pytest.mark.parametrize("dtype", ["O8", "S4", "V4", "c8", "M8"])
def test_caffe2_arrays_hold_real_numbers_and_nothing_else(dtype, tmp_path):
    path = tmp_path / "evil.pkl"
    extra = python2_string("x") + python2_array(np.zeros(2, "f4"), (1,), dtype)
    path.write_bytes(python2_pickle(arrays_of(FOREIGN), extra))
    assert_refused(path, f"type '{dtype}'")


def assert_refused(path, why=""):
    """One message that names the file and does not advise to trust it; no change."""
    model = small_model()
    check = unchanged(model)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(model, path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert why in message
    assert "\n" not in message
    assert len(message) < 500 + len(str(path))
    assert "weights_only" not in message
    assert "can still be loaded" not in message
    check()


@pytest.mark.parametrize("kept", [1, 9, 40, 0.25, 0.5, 0.75, 0.95, -1])
@pytest.mark.parametrize("kind", [*WRITERS, "safetensors"])
def test_truncated_files_are_refused(kind, kept, tmp_path):
    path = write(kind, tmp_path / "weights.bin")
    content = path.read_bytes()
    size = int(kept * len(content)) if isinstance(kept, float) else kept
    path.write_bytes(content[:size])
    assert_refused(path)


FOREIGN_FILES = {
    "empty": b"",
    "text": b"hello, this is a text\n" * 50,
    "json": b'{"blobs": {"conv1_w": [1, 2, 3]}}',
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(100),
    "zeros": bytes(1000),
    "random": np.random.default_rng(0).bytes(5000),
    "other zip": b"PK\x03\x04" + bytes(200),
    "pickled list": pickle.dumps([1, 2, 3], protocol=2),
    "pickled text": pickle.dumps({"blobs": {"conv1_w": "text"}}, protocol=2),
}


@pytest.mark.parametrize("kind", FOREIGN_FILES)
def test_foreign_files_are_refused(kind, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(FOREIGN_FILES[kind])
    assert_refused(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert_refused(tmp_path / "nowhere.pth")
    assert_refused(tmp_path)


def test_non_local_positions_must_match(one_preset):
    config = replace(SMALL, depth=26, non_local=NonLocal(blocks=(0,)))
    state = random_state(config)
    model = build_model(replace(config, non_local=NonLocal(blocks=(1,))), 5)
    with pytest.raises(CheckpointError, match="nonlocal1"):
        load_checkpoint(model, state)
