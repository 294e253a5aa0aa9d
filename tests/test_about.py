"""What a trained model knows of itself travels in its file; one that lies is refused."""

import json
import resource
import sys
from dataclasses import replace

import pytest
import torch
from helpers import FAMILY, SMALL, small_model
from safetensors.torch import save_file
from test_checkpoints import random_state, renamed
from training_script import QUIET, one_thread, tiny_loader, tiny_model, train

from slowfast_edu.applications.detection import load_detector
from slowfast_edu.checkpoints import (
    About,
    CheckpointError,
    about_of,
    as_metadata,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from slowfast_edu.checkpoints.about import about_from, config_from
from slowfast_edu.config import PRESETS, ClipConfig, NonLocal
from slowfast_edu.models import build_model

NAMES = ("bow", "Überschlag rückwärts", "hop", "march", "kick")  # as many as SMALL's
ABOUT = About(classes=NAMES, size=48, frames_per_second=29.97, several_labels=True)
TINY = PRESETS["slowfast_tiny"]
NARROW = {
    "two pathways": SMALL,
    "slow": replace(SMALL, pathways="slow", clip=replace(SMALL.clip, alpha=1)),
    "fast": replace(SMALL, pathways="fast"),
    "non-local": replace(SMALL, depth=26, non_local=NonLocal(blocks=(1,), pool=(1, 2, 2))),
    "added": replace(SMALL, fusion="ttoc_sum"),
    "grey": replace(SMALL, fast_input="gray", fusion_kernel=7, dropout=0.0),
    "linspace": replace(SMALL, clip=replace(SMALL.clip, frame_rule="linspace")),
}
REALS = [PRESETS[name] for name in PRESETS] + list(NARROW.values())


@pytest.fixture
def one_preset(monkeypatch):
    """Building all of them for a message takes two seconds."""
    presets = {"slowfast_tiny": TINY}
    monkeypatch.setattr("slowfast_edu.checkpoints.loading.PRESETS", presets)


@pytest.mark.parametrize("config", REALS, ids=[*PRESETS, *NARROW])
def test_every_configuration_comes_back_equal(config):
    told = as_metadata(config, ABOUT)
    assert all(type(text) is str for text in told.values())  # safetensors wants no other
    assert config_from(told) == config and about_from(told) == ABOUT
    assert hash(config_from(told)) == hash(config)  # no list is left in it


@pytest.mark.parametrize("about", [About(), About(size=224), ABOUT])
def test_what_nobody_said_stays_unsaid(about):
    assert about_from(as_metadata(SMALL, about)) == about
    assert config_from({}) is about_from({}) is None


@pytest.mark.parametrize("name", NARROW)
def test_a_file_gives_the_same_model_back(name, tmp_path):
    model = small_model() if name == "two pathways" else build_model(NARROW[name], 5)
    model.about = ABOUT
    found = load_model(save_checkpoint(model.eval(), tmp_path / "a.safetensors"))
    assert (found.config, found.about, found.training) == (model.config, ABOUT, False)
    for key, value in model.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key
    clip = torch.randn(1, 3, NARROW[name].clip.fast_frames, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(clip), model(clip))


def test_a_baseline_comes_back_too(tmp_path):
    model = build_model("i3d_inception", 2)
    found = load_model(save_checkpoint(model, tmp_path / "a.safetensors"))
    assert found.config == PRESETS["i3d_inception"] and about_of(found) == About()
    assert torch.equal(found.head.projection.weight, model.head.projection.weight)


def test_a_run_s_own_file_is_a_model_too(tmp_path):
    model = tiny_model()
    model.about = About(classes=("low", "middle", "high"), size=32)
    with one_thread():
        train(model, tiny_loader(4), 1, execution=QUIET, folder=tmp_path)
    found = load_model(tmp_path / "last.pt")
    assert (found.config, found.about) == (model.config, model.about)
    for key, value in model.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


def test_loading_weights_tells_of_classes_only_if_the_classifier_is_theirs(tmp_path):
    model = small_model()
    model.about = ABOUT
    path = save_checkpoint(model, tmp_path / "a.safetensors")
    same, other = small_model(), small_model(num_classes=3)
    load_checkpoint(same, path)
    with pytest.warns(UserWarning, match="classifier not loaded") as caught:
        load_checkpoint(other, path)
    assert caught[0].filename == __file__  # the line that asked for it
    assert same.about == ABOUT and about_of(other) == About()


# Files of others


def test_a_foreign_file_needs_a_preset_and_the_message_names_those_that_fit(
    tmp_path, one_preset
):
    state = random_state(TINY)
    torch.save({"model_state": renamed(state, "pyslowfast", TINY)}, tmp_path / "a.pyth")
    with pytest.raises(
        CheckpointError, match=r"name a preset; its weights fit slowfast_tiny$"
    ):
        load_model(tmp_path / "a.pyth")
    found = load_model(tmp_path / "a.pyth", "slowfast_tiny")
    assert torch.equal(found.head.projection.weight, state["head.projection.weight"])
    assert found.config.clip.frame_rule == "linspace" and about_of(found) == About()
    with pytest.raises(ValueError, match="no preset is called 'slowfast'; there are"):
        load_model(tmp_path / "a.pyth", "slowfast")


def test_published_weights_fit_the_presets_of_their_shape(tmp_path):
    config = replace(PRESETS["slow_8x8_r50"], width=64)
    with torch.device("meta"):
        shapes = build_model(config).state_dict()
    one = {key: torch.zeros(()).expand(value.shape) for key, value in shapes.items()}
    torch.save(one, tmp_path / "a.pth")  # as large as its names
    with pytest.raises(CheckpointError, match=r"fit slow_4x16_r50, slow_8x8_r50$"):
        load_model(tmp_path / "a.pth")


def test_a_preset_goes_before_what_the_file_says(tmp_path, one_preset):
    path = save_checkpoint(build_model(TINY, 5), tmp_path / "a.safetensors")
    longer = replace(TINY, clip=ClipConfig(T=8, tau=8, alpha=4))  # 16x8 begins with 8x8
    assert load_model(path, longer).config == longer
    with pytest.raises(CheckpointError, match=r"another model: .*; they fit slowfast_tiny"):
        load_model(path, replace(TINY, width=16))


# Files that lie

CLASSIFIER, DETECTOR = "head.projection.", "head.projection.boxes."
OPENED = {"classifier": (load_model, CLASSIFIER), "detector": (load_detector, DETECTOR)}
of_both = pytest.mark.parametrize("opened", OPENED)


def with_head_of(state, prefix):
    return {key.replace(CLASSIFIER, prefix): value for key, value in state.items()}


def peak_megabytes():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def told(**changes):
    """Metadata of SMALL with other entries: text as it is, all else as JSON."""
    entries = dict(as_metadata(SMALL, About()))
    for name, value in changes.items():
        entries[name] = value if isinstance(value, str) else json.dumps(value)
    return entries


def model_of(**fields):
    return {**json.loads(as_metadata(SMALL, About())["model"]), **fields}


def clip_of(**fields):
    return model_of(clip={"T": 4, "tau": 8, "alpha": 4, "frame_rule": "stride", **fields})


LIES = {
    "no JSON": (told(model="{T: 4"), "of its 'model' is no use: Expecting"),
    "a list": (told(model=[1, 2]), "it is a list, must be a dict"),
    "deep": (told(model="[" * 100_000), "of its 'model' is no use"),
    "nothing": (told(model={}), "type=None is not known; choose one of 'SlowFastConfig'"),
    "unknown type": (told(model={"type": "os.system"}), "type='os.system' is not known"),
    "odd type": (told(model={"type": {}}), "type={} is not known"),
    "no clip": (told(model={"type": "BaselineConfig"}), "of its 'model' is no use"),
    "more fields": (told(model=model_of(speed=2)), "unexpected keyword argument 'speed'"),
    "a word": (told(model=model_of(width="wide")), "width='wide' must be a whole number"),
    "another depth": (told(model=model_of(depth=34)), "depth=34 is not known"),
    "wide": (told(model=model_of(width=3000)), "weights for another model"),
    "wider": (told(model=model_of(width=10**5)), "weights for another model"),
    "too wide": (told(model=model_of(width=10**30)), "0000 is more than 100,000"),
    "kernel": (told(model=model_of(fusion_kernel=10**9 + 1)), "1000000001 is more than"),
    "long": (told(model=clip_of(T=10**4)), "raw_frames=80000, must be at most 9000"),
    "sparse": (told(model=clip_of(tau=10**4)), "raw_frames=40000, must be at most 9000"),
    "dense": (told(model=clip_of(T=1100)), "fast_frames=4400, must be at most 1000"),
    "text": (told(model=model_of(clip="4x8")), "clip='4x8' must be a ClipConfig"),
    "few names": (told(about={"classes": ["a"]}), "names 1 classes and has 5 scores"),
    "one word": (told(about={"classes": "abcde"}), "classes='abcde' must be a tuple"),
    "numbers": (told(about={"classes": [1, 2, 3, 4, 5]}), "classes[0]=1 must be a name"),
    "twice": (told(about={"classes": ["a", "b", "a"]}), "classes[2]='a' occurs twice"),
    "two lines": (told(about={"classes": ["a\nb"]}), "must be a name in one line"),
    "escapes": (told(about={"classes": ["\x1b[2J"]}), "must be a name in one line"),
    "blank": (told(about={"classes": [" "]}), "must be a name in one line"),
    "one long": (told(about={"classes": ["a" * 9999, 5]}), "of its 'about' is no use"),
    "many": (told(about={"classes": ["a"] * 10**6}), "characters are more than 1,000,000"),
    "no size": (told(about={"size": 0}), "size=0 must be a whole number of at least 1"),
    "large": (told(about={"size": 10**5}), "size=100000 must be at most 4096; try 256"),
    "no rate": (told(about={"frames_per_second": 0}), "frames_per_second=0 must be above"),
    "NaN": (told(about='{"frames_per_second": NaN}'), "frames_per_second=nan must be"),
    "inf": (told(about='{"frames_per_second": Infinity}'), "frames_per_second=inf must be"),
    "perhaps": (told(about={"several_labels": "no"}), "several_labels='no' is not known"),
    "odd": (told(about=[]), "of its 'about' is no use: it is a list"),
    "rule": (told(frame_rule="random"), "frame_rule='random'"),
}  # fmt: skip


@of_both
@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_refused_in_one_line_and_little_memory(
    lie, opened, tmp_path, one_preset
):
    (metadata, expected), (load, prefix) = LIES[lie], OPENED[opened]
    state = with_head_of(random_state(SMALL), prefix)
    save_file(state, tmp_path / "a.safetensors", metadata)
    before = peak_megabytes()
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "a.safetensors")
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "a.safetensors")) and expected in message
    assert "\n" not in message and len(message) < 600 + len(str(tmp_path))
    assert peak_megabytes() - before < 200  # the widest would be 2 GB, the longest more


def head(rows=5, features=None):
    state = random_state(SMALL)
    features = features or state["head.projection.weight"].shape[1]
    return {"weight": torch.zeros(rows, features), "bias": torch.zeros(rows)}


NONE = {
    "classifier": "it has no classifier, so that it predicts nothing",
    "detector": "it holds no detector; to train one from a classifier's weights",
}
HEADS = {
    "no row": (head(rows=0), NONE),
    "flat": (head() | {"weight": torch.zeros(5)}, NONE),
    "one number": (head() | {"weight": torch.zeros(())}, NONE),
    "nothing": ({}, NONE),
    "narrow": (head(features=3), "its classifier does not fit: the checkpoint's is (5, 3)"),
    "no bias": ({"weight": head()["weight"]}, "its classifier does not fit"),
    "short bias": (
        head() | {"bias": torch.zeros(4)},
        "its classifier does not fit: the checkpoint's bias has shape (4,), the model's (5",
    ),
    "one for all": (
        {"weight": head(1)["weight"].expand(10**9, -1), "bias": torch.zeros(5)},
        "claims shape (1000000000, ",
    ),
}


@of_both
@pytest.mark.parametrize("kind", HEADS)
def test_a_classifier_that_cannot_be_is_refused(kind, opened, tmp_path, one_preset):
    (given, expected), (load, prefix) = HEADS[kind], OPENED[opened]
    expected = NONE[opened] if expected is NONE else expected
    state = {k: v for k, v in random_state(SMALL).items() if not k.startswith("head.")}
    state |= {f"{prefix}{name}": value for name, value in given.items()}
    content = {"model": state, "metadata": as_metadata(SMALL, About())}
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path / "last.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'last.pt'}: ")
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_a_trunk_without_scores_cannot_be_a_detector_s(tmp_path):
    features = as_metadata(replace(SMALL, head="features"), About())
    state = with_head_of(random_state(SMALL), DETECTOR)
    save_file(state, tmp_path / "a.safetensors", features)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: head='features' gives no"):
        load_detector(tmp_path / "a.safetensors")


def test_weights_of_a_detector_alone_need_a_preset(tmp_path, one_preset):
    torch.save(with_head_of(random_state(TINY), DETECTOR), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"name a preset; .* fit slowfast_tiny$"):
        load_detector(tmp_path / "a.pth")
    found = load_detector(tmp_path / "a.pth", "slowfast_tiny")
    assert found.config == TINY and not found.training


def test_metadata_of_another_kind_than_text_is_passed_over(tmp_path, one_preset):
    for odd in ([1], "text", {"model": 3, 5: "x"}):
        torch.save({"model": random_state(SMALL), "metadata": odd}, tmp_path / "last.pt")
        with pytest.raises(CheckpointError, match="does not say which model"):
            load_model(tmp_path / "last.pt")


@pytest.mark.parametrize(
    "change,message",
    [
        ({"classes": ["a"]}, r"classes=\['a'\] must be a tuple"),
        ({"classes": ("a", "a")}, r"classes\[1\]='a' occurs twice"),
        ({"classes": ("",)}, r"classes\[0\]='' must be a name"),
        ({"size": 48.0}, "size=48.0 must be a whole number"),
        ({"frames_per_second": True}, "frames_per_second=True must be above 0"),
        ({"frames_per_second": 1001}, "must be above 0 and at most 1000; try 30"),
        ({"several_labels": None}, "several_labels=None is not known"),
    ],
)
def test_what_nobody_can_mean_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        About(**change)


def test_the_paper_s_longest_clip_is_far_below_what_a_file_may_ask_for():
    longest = max(PRESETS[name].clip.raw_frames for name in FAMILY)
    assert longest == 128  # 16x8
    assert config_from(told(model=clip_of(T=250))).clip.T == 250
