"""Pooled features: what each stage gives, of tensors and of encoded videos."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import small_model
from video_files import decode_all

from slowfast_edu.applications.features import (
    pathways_of,
    pooled_features,
    save_features,
    stages_of,
    video_features,
)
from slowfast_edu.checkpoints import About, save_checkpoint
from slowfast_edu.cli import main
from slowfast_edu.config import PRESETS
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import Actions, MovingFigures
from slowfast_edu.models import build_model

STAGES = ["conv1", "pool1", "res2", "res3", "res4", "res5"]


def clips(count=2, frames=16, size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, frames, size, size, generator=generator)


def by_hand(model, clip):
    """Every stage's output, pooled, by walking through a model of two pathways."""
    slow, fast = clip[:, :, :: model.config.clip.alpha], clip
    found = {}
    for name in STAGES:
        slow, fast = getattr(model.slow, name)(slow), getattr(model.fast, name)(fast)
        for pathway, x in (("slow", slow), ("fast", fast)):
            found[f"{pathway}.{name}"] = x.flatten(2).mean(dim=2)
        if name in model.lateral:
            slow = model.lateral[name](slow, fast)
    return found


# Tensors


def test_those_of_res5_are_what_the_head_gets():
    model, headless = small_model(), small_model(head="features")
    headless.load_state_dict(model.state_dict(), strict=False)
    found = pooled_features(model, clips())
    assert list(found) == ["slow.res5", "fast.res5"]
    with torch.no_grad():
        assert torch.equal(torch.cat(list(found.values()), dim=1), headless(clips()))
        scores = model.head.projection(torch.cat(list(found.values()), dim=1))
        assert torch.equal(scores, model(clips()))


def test_every_stage_of_both_pathways_is_the_mean_over_time_and_space():
    model = small_model()
    found = pooled_features(model, clips(), STAGES)
    with torch.no_grad():
        expected = by_hand(model, clips())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_stages_come_in_the_order_asked_for_and_once():
    found = pooled_features(small_model(), clips(), ["fast.res4", "res2", "slow.res2"])
    assert [(n, v.shape) for n, v in found.items()] == [
        ("fast.res4", (2, 32)),
        ("slow.res2", (2, 32)),
        ("fast.res2", (2, 8)),
    ]
    assert list(stages_of(small_model())) == [
        f"{pathway}.{stage}" for pathway in ("slow", "fast") for stage in STAGES
    ]
    assert list(pooled_features(small_model(), clips(1), "slow.res3")) == ["slow.res3"]


def test_one_pathway_or_a_backbone_has_stages_of_its_own():
    assert list(pathways_of(small_model(pathways="fast"))) == ["fast"]
    assert list(pooled_features(small_model(pathways="slow"), clips())) == ["slow.res5"]
    with torch.device("meta"):
        inception = build_model("i3d_inception")
    assert list(stages_of(inception, ["mixed_5c"])) == ["backbone.mixed_5c"]
    torch.manual_seed(0)
    c2d = build_model("c2d_8x8_r50", num_classes=3).eval()
    found = pooled_features(c2d, clips(1, frames=8), ["pool2", "res5"])
    assert found["backbone.pool2"].shape == (1, 256)
    with torch.no_grad():
        scores = c2d.head.projection(found["backbone.res5"])
        torch.testing.assert_close(scores, c2d(clips(1, frames=8)))


def state(model):
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    return (
        [m.training for m in model.modules()],
        hooks,
        [p.grad for p in model.parameters()],
    )


def test_the_model_stays_as_it_was_after_an_error_too():
    model = small_model()
    expected = pooled_features(model, clips())
    model.train()
    model.slow.res3.eval()  # frozen in part
    before = state(model)
    running = model.fast.conv1.bn.running_mean.clone()
    found = pooled_features(model, clips())
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert state(model) == before
    with pytest.raises(ValueError, match="T=6 frames"):
        pooled_features(model, clips(frames=6))
    assert state(model) == before
    assert torch.equal(model.fast.conv1.bn.running_mean, running)


@pytest.mark.parametrize(
    ("pathways", "stage", "words"),
    [
        ("slowfast", "res6", "stage='res6' is not one of .* has slow.conv1, slow.pool1"),
        ("slowfast", "slow", "stage='slow' is not one of"),
        ("slowfast", "es5", "stage='es5' is not one of"),
        ("fast", "slow.res5", "stage='slow.res5' is not one of .* has fast.conv1"),
    ],
)
def test_a_stage_that_is_not_there_is_refused_with_those_that_are(pathways, stage, words):
    with pytest.raises(ValueError, match=words):
        pooled_features(small_model(pathways=pathways), clips(), [stage])


def test_a_wrapped_model_is_refused():
    with pytest.raises(TypeError, match="no config"):
        pooled_features(torch.nn.Sequential(small_model()), clips())


# Videos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two rendered videos, and one cut short."""
    root = tmp_path_factory.mktemp("videos")
    figures = MovingFigures(Actions(), 4, PRESETS["slowfast_tiny"].clip, size=40)
    for index, name in enumerate(("one", "two")):
        write_video(figures.render(index, np.arange(50)).frames, root / f"{name}.mp4")
    (root / "cut.mp4").write_bytes((root / "one.mp4").read_bytes()[:900])
    return root


@pytest.fixture(scope="module")
def model():
    model = small_model()
    model.about = About(size=32)
    return model


def expected_rows(model, path, starts, steps=range(0, 32, 2)):
    """Features of the clips at ``starts``, of all frames decoded from the beginning."""
    frames = decode_all(path)
    rows = []
    for start in starts:
        images = torch.from_numpy(frames[[start + step for step in steps]])
        images = images.permute(0, 3, 1, 2)  # 40 pixels to 32: bytes, as everywhere
        images = torch.nn.functional.interpolate(
            images, size=(32, 32), mode="bilinear", antialias=True
        )
        clip = (images.float() / 255 - 0.45) / 0.225
        rows.append(pooled_features(model, clip.transpose(0, 1)[None], ["slow.res5"]))
    return torch.cat([row["slow.res5"] for row in rows]).numpy()


def test_those_of_an_encoded_video_are_of_its_own_frames(model, folder):
    found = video_features(model, folder / "one.mp4", ["slow.res5"], clips=3)
    # 50 frames, 32 a clip: it fits from 0 to 18.
    expected = expected_rows(model, folder / "one.mp4", [0, 9, 18])
    assert found["slow.res5"].dtype == np.float32
    np.testing.assert_allclose(found["slow.res5"], expected, rtol=1e-4, atol=1e-5)


def test_the_model_says_size_and_rate_unless_they_are_given(model, folder):
    path = folder / "two.mp4"
    slower = small_model()
    slower.about = About(size=32, frames_per_second=60)  # each frame twice: step 1
    found = video_features(slower, path, ["slow.res5"], clips=1)
    expected = expected_rows(model, path, [(100 - 32) // 2 // 2], range(16))
    np.testing.assert_allclose(found["slow.res5"], expected, rtol=1e-4, atol=1e-5)
    given = video_features(slower, path, ["slow.res5"], clips=1, frames_per_second=30)
    usual = video_features(model, path, ["slow.res5"], clips=1)
    assert np.array_equal(given["slow.res5"], usual["slow.res5"])
    untold = video_features(small_model(), path, ["slow.res5"], clips=1, size=32)
    assert np.array_equal(untold["slow.res5"], usual["slow.res5"])


def test_a_wrong_stage_is_told_before_a_video_is_read(model, folder):
    with pytest.raises(ValueError, match="stage='res9'"):
        video_features(model, folder / "cut.mp4", ["res9"])


def test_the_command_writes_what_can_be_read_and_tells_the_rest(model, folder, capsys):
    weights, output = folder / "model.safetensors", folder / "features.npz"
    save_checkpoint(model, weights)
    videos = [str(folder / f"{name}.mp4") for name in ("one", "cut", "two")]
    options = ["--checkpoint", str(weights), "--clips", "2", "--output", str(output)]
    options += ["--stages", "slow.res5", "fast.res4"]
    assert main(["features", *videos, *options]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and str(folder / "cut.mp4") in printed.err
    assert "2 videos x 2 clips" in printed.out
    with np.load(output, allow_pickle=False) as kept:
        assert sorted(kept.files) == ["fast.res4", "names", "slow.res5"]
        assert kept["names"].tolist() == [videos[0], videos[2]]
        assert kept["fast.res4"].shape == (2, 2, 32)
        for row, video in zip(kept["slow.res5"], (videos[0], videos[2]), strict=True):
            own = video_features(model, video, ["slow.res5"], clips=2)
            assert np.array_equal(row, own["slow.res5"])
    assert main(["features", videos[0], *options]) == 0
    before = output.read_bytes()
    assert main(["features", videos[1], *options]) == 1
    assert "there is no video" in capsys.readouterr().err
    assert output.read_bytes() == before
    assert not list(folder.glob(".*"))


def test_an_empty_folder_and_a_video_given_twice_are_told(model, folder, tmp_path, capsys):
    weights = save_checkpoint(model, tmp_path / "model.safetensors")
    (tmp_path / "empty").mkdir()
    videos = [
        tmp_path / "empty",
        folder / "one.mp4",
        folder / "two.mp4",
        folder / "one.mp4",
    ]
    options = ["--checkpoint", weights, "--clips", 1, "--output", tmp_path / "f.npz"]
    assert main(["features", *map(str, [*videos, *options])]) == 1
    empty, twice = capsys.readouterr().err.splitlines()
    assert empty.startswith(f"slowfast-edu features: {tmp_path / 'empty'}: no file in this")
    assert twice.endswith(f"given more than once, and written once: {folder / 'one.mp4'}")
    names = np.load(tmp_path / "f.npz")["names"].tolist()
    assert names == [str(folder / "one.mp4"), str(folder / "two.mp4")]
    assert main(["features", *map(str, [*videos[1:], *options])]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stages", "res9"], "stage='res9' is not one of this model's"),
        (["--output", "x.csv"], "output='x.csv' must end in .npz; try x.npz"),
        (["--output", "nowhere/x.npz"], "there is no folder nowhere"),
        (["--preset", "slowfast"], "--preset='slowfast' is not known"),
        (["--preset", "slowfast_tiny"], "no weights are published for slowfast_tiny"),
        (["--preset", "slow_8x8_r50"], "slowfast-edu fetch-weights slow_8x8_r50"),
        (["--checkpoint", "gone.safetensors"], "gone.safetensors"),
        (["--clips", "0"], "--clips=0 must be a whole number of at least 1"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["features", "a.mp4", "--output", "f.npz", *options]) == 1
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if not line.startswith("the model that comes along")]
    assert len(told) == 1 and words in told[0]
    assert not list(tmp_path.iterdir())


def test_who_reads_the_old_file_meanwhile_reads_all_of_it(tmp_path):
    path = tmp_path / "f.npz"
    save_features(path, {"a": {"slow.res5": np.zeros((2, 3))}})
    before = path.read_bytes()
    with path.open("rb") as reader:
        save_features(path, {"b": {"slow.res5": np.ones((2, 3))}})
        assert reader.read() == before
    assert np.load(path)["names"].tolist() == ["b"]


def test_nothing_is_written_of_no_video(tmp_path):
    with pytest.raises(ValueError, match="there is no video to write of"):
        save_features(tmp_path / "f.npz", {})


def test_frames_are_taken_by_the_model_s_rule(folder):
    """PySlowFast's, for Fast: from the first to the last of 32, truncated."""
    changed = replace(small_model().config.clip, frame_rule="linspace")
    model = small_model(clip=changed)
    found = video_features(model, folder / "one.mp4", ["slow.res5"], clips=1, size=32)
    steps = np.linspace(0, 31, 16).astype(int).tolist()
    expected = expected_rows(model, folder / "one.mp4", [9], steps)
    np.testing.assert_allclose(found["slow.res5"], expected, rtol=1e-4, atol=1e-5)
