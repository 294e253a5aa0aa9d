"""``slowfast-edu predict`` and what it is made of: classes, views, films, wrong input."""

import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import small_model
from matplotlib.colors import to_rgb
from video_files import encode, flip_bits, frame_numbers, numbered_frames

from slowfast_edu import PRESETS, save_checkpoint
from slowfast_edu.applications import predict as predict_module
from slowfast_edu.applications.predict import (
    Prediction,
    class_names,
    combine,
    middle_clip,
    predict_video,
)
from slowfast_edu.checkpoints import About, download
from slowfast_edu.claims.shipped import load_shipped
from slowfast_edu.cli import main
from slowfast_edu.config import LUMA, ClipConfig
from slowfast_edu.data.annotations import Annotations, LabelledVideo
from slowfast_edu.data.datasets import VideoViews
from slowfast_edu.data.transforms import EvalTransform
from slowfast_edu.data.video import read_views
from slowfast_edu.training import evaluate, evaluation_loader
from slowfast_edu.training.preview import peak_bytes
from slowfast_edu.viz.filmstrip import filmstrip
from slowfast_edu.viz.style import PATHWAY_COLORS

SAMPLES = Path(__file__).parent.parent / "data_samples"
NAMES = ("walk", "jumping_jack")
ACTIONS = load_shipped().about.classes


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """100 frames of 64x96 pixels at 30 fps."""
    return encode(numbered_frames(100), tmp_path_factory.mktemp("predict") / "n.mp4")


def mine(*arguments, classes=("clap", "wave", "sit", "stand", "fall"), **about):
    """A small model with names, at 32 pixels."""
    model = small_model(*arguments)
    model.about = About(classes=classes, **({"size": 32} | about))
    return model


@pytest.mark.parametrize(("clips", "crops"), [(4, 3), (1, 1), (3, 1)])
@pytest.mark.parametrize("rate", [None, 12])
def test_a_prediction_is_what_evaluation_says_of_the_same_views(
    numbered, clips, crops, rate
):
    model = mine()
    found = predict_video(model, numbered, clips=clips, crops=crops, frames_per_second=rate)
    listed = Annotations(numbered.parent, ("x",), (LabelledVideo(numbered.name, 0),))
    views = VideoViews(
        listed,
        model.config.clip,
        clips=clips,
        transform=EvalTransform(size=32, crops=crops),
        frames_per_second=rate,
    )
    expected = evaluate(model, evaluation_loader(views, 1), device="cpu")
    assert np.allclose(found.probabilities, expected.probabilities[0], atol=1e-6)
    assert found.path == numbered and found.classes == model.about.classes
    assert found.seconds_reading > 0 and found.seconds_computing > 0
    assert not found.memory_bytes < 50e6  # Python and torch alone; NaN on Windows


@pytest.mark.skipif(sys.platform == "win32", reason="memory is not known there")
def test_memory_is_this_process_s_own_and_not_its_parent_s():
    """Linux hands ``ru_maxrss`` on to whatever a large process starts."""
    held = bytearray(600_000_000)
    code = (
        "from __future__ import annotations\n"  # for torch, which takes long, stays out
        "import math, re, sys\n"
        "from pathlib import Path\nfrom types import SimpleNamespace\n"
        f"{inspect.getsource(peak_bytes)}"
        "held = bytearray(50_000_000)\n"
        "print(peak_bytes(SimpleNamespace(type='cpu')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert 50e6 < float(told.stdout) < 100e6 < 600e6 <= peak_bytes(torch.device("cpu"))
    assert len(held) == 600_000_000


def test_of_several_labels_each_class_takes_its_best_view(numbered):
    model = mine(several_labels=True)
    clip = model.config.clip
    views = [
        EvalTransform(size=32, crops=1)(v) for v in read_views(numbered, clip, clips=4)
    ]
    with torch.no_grad():
        best = torch.stack([model(view)[0].sigmoid() for view in views]).amax(dim=0)
    found = predict_video(model, numbered, clips=4, crops=1)
    assert np.allclose(found.probabilities, best.numpy(), atol=1e-6)


def test_views_are_combined_by_mean_of_softmax_or_maximum_of_sigmoid():
    scores = torch.tensor([[0.0, np.log(3)], [np.log(7), 0.0]])
    assert np.allclose(combine(scores), [(1 / 4 + 7 / 8) / 2, (3 / 4 + 1 / 8) / 2])
    assert np.allclose(combine(scores, several_labels=True), [7 / 8, 3 / 4])


def test_size_and_rate_are_the_model_s_unless_others_are_asked_for(numbered, monkeypatch):
    seen = []

    def noting(self, clip, clips, size, short="clamp"):
        seen.append((self.info.frames_per_second, size))
        return original(self, clip, clips, size, short)

    original = predict_module.VideoStream.read_small_views
    monkeypatch.setattr(predict_module.VideoStream, "read_small_views", noting)
    for about in ({}, {"frames_per_second": 15.0}, {"size": None}):
        predict_video(mine(**about), numbered, clips=1, crops=1)
    predict_video(mine(), numbered, clips=1, crops=1, frames_per_second=10, size=40)
    assert seen == [(30.0, 32), (15.0, 32), (30.0, 256), (10.0, 40)]


def test_asking_leaves_a_model_as_it_was(numbered):
    model = mine().train()
    model.slow.eval()  # as a frozen part would be
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    predict_video(model, numbered, clips=2, crops=1)
    assert [module.training for module in model.modules()] == modes
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_top_is_sorted_and_ties_keep_their_order():
    chances = np.array([0.1, 0.3, 0.3, 0.25, 0.05], dtype=np.float32)
    found = Prediction(Path("x"), tuple("abcde"), chances, 0, 0, 0)
    assert [name for name, _ in found.top(3)] == ["b", "c", "d"]
    assert found.top(1) == [("b", pytest.approx(0.3))]
    assert len(found.top(99)) == 5
    with pytest.raises(ValueError, match="k=0 must be a whole number"):
        found.top(0)


def test_a_class_without_a_name_is_a_number():
    model = SimpleNamespace(about=About())
    assert class_names(model, 18)[17] == "class 17"
    model.about = About(classes=("run", "sit", "walk"))
    assert class_names(model, 3) == ("run", "sit", "walk")
    with pytest.raises(ValueError, match="has 3 names, but the model gives 4 scores"):
        class_names(model, 4)


def test_what_cannot_predict_is_refused(numbered):
    with pytest.raises(ValueError, match="head='features' gives no scores"):
        predict_video(small_model(head="features"), numbered)
    with pytest.raises(TypeError, match="Linear has no config"):
        predict_video(torch.nn.Linear(2, 2), numbered)
    broken = mine()
    broken.head.projection.bias.data[2] = np.nan
    with pytest.raises(ValueError, match="output is not finite; look for NaN"):
        predict_video(broken, numbered, clips=1, crops=1)
    for settings, said in (
        ({"clips": 0}, "clips=0"),
        ({"crops": 2}, "crops=2"),
        ({"size": 0}, "size=0"),
        ({"frames_per_second": 0}, "frames_per_second=0"),
    ):
        with pytest.raises(ValueError, match=said):
            predict_video(mine(), numbered, **settings)


@pytest.mark.parametrize("rate", [None, 10])
def test_the_middle_clip_is_that_of_one_view(numbered, rate):
    clip = ClipConfig(T=2, tau=4, alpha=2)
    model = SimpleNamespace(config=SimpleNamespace(clip=clip), about=About(size=64))
    seen, numbers, shown_at = middle_clip(model, numbered, frames_per_second=rate)
    frames = 100 if rate is None else 33
    start = (frames - 8) // 2  # as much before it as after it
    assert numbers == [start, start + 2, start + 4, start + 6]
    assert shown_at == (rate or 30)
    assert seen.shape == (1, 3, 4, 64, 64)
    whole = read_views(numbered, clip, 1, frames_per_second=rate)[0]
    assert frame_numbers(whole) == [number * 30 // shown_at for number in numbers]
    expected = torch.from_numpy(whole[:, :, 16:80]).permute(3, 0, 1, 2)
    assert torch.equal(seen[0], expected)  # 96 wide: the middle 64


def told_beneath(figure):
    """The texts under the frames, in the order of drawing."""
    return [text.get_text() for text in figure.axes[0].texts if " s" in text.get_text()]


def test_a_film_has_slow_above_fast_with_numbers_and_seconds():
    config = PRESETS["slowfast_tiny"]
    clip = torch.zeros(1, 3, 16, 48, 48, dtype=torch.uint8)
    numbers = [100 + 4 * i for i in range(16)]
    figure = filmstrip(clip, config, numbers, 25, title="x.mp4")
    axis = figure.axes[0]
    assert len(axis.images) == len(axis.patches) == 4 + 16
    slow, fast = axis.patches[:4], axis.patches[4:]
    for patches, pathway, line in ((slow, "slow", "-"), (fast, "fast", "--")):
        color = to_rgb(PATHWAY_COLORS[pathway])
        assert {patch.get_edgecolor()[:3] for patch in patches} == {color}
        assert {patch.get_linestyle() for patch in patches} == {line}
    assert [p.get_x() for p in slow] == [p.get_x() for p in fast[::4]]
    assert max(p.get_y() for p in slow) < min(p.get_y() for p in fast)
    beneath = told_beneath(figure)
    assert beneath[:4] == ["100\n4.00 s", "116\n4.64 s", "132\n5.28 s", "148\n5.92 s"]
    assert beneath[4:] == [f"{n}\n{n / 25:.2f} s" for n in numbers]
    assert axis.get_title(loc="left") == "x.mp4"


def test_a_film_shows_what_each_pathway_gets():
    rng = np.random.default_rng(0)
    clip = torch.from_numpy(rng.integers(0, 256, (1, 3, 16, 32, 32), dtype=np.uint8))
    frames = clip[0].permute(1, 2, 3, 0).numpy()
    tiny = PRESETS["slowfast_tiny"]
    linspace = replace(tiny, clip=replace(tiny.clip, frame_rule="linspace"))
    figure = filmstrip(clip, linspace, range(16), 30)
    shown, patches = images(figure), figure.axes[0].patches
    above = [patches[4 + place].get_x() for place in (0, 5, 10, 15)]
    assert [patch.get_x() for patch in patches[:4]] == above
    for picture, place in zip(shown, [0, 5, 10, 15, *range(16)], strict=True):
        assert np.array_equal(picture, frames[place])
    grey = images(filmstrip(clip, replace(tiny, fast_input="gray"), range(16), 30))[4]
    assert np.abs(grey - (frames[0] @ np.array(LUMA))[..., None]).max() <= 0.51
    changes = replace(tiny, fast_input="time_difference")
    first, second = images(filmstrip(clip, changes, range(16), 30))[4:6]
    assert (first == 128).all()  # nothing came before
    luma = frames[:2] @ np.array(LUMA)
    assert np.abs(second[..., 0] - (255 + luma[1] - luma[0]) / 2).max() <= 0.51


def images(figure):
    return [image.get_array() for image in figure.axes[0].images]


@pytest.mark.parametrize(
    ("preset", "rows"),
    [("slow_8x8_r50", 8), ("fast_32x2_r50", 32), ("c2d_8x8_r50", 8)],
)
def test_a_film_of_one_pathway_has_one_row_that_goes_on_below(preset, rows):
    clip = torch.zeros(1, 3, rows, 32, 32, dtype=torch.uint8)
    figure = filmstrip(clip, PRESETS[preset], range(rows), 30)
    patches = figure.axes[0].patches
    assert len(patches) == rows
    assert len({patch.get_y() for patch in patches}) == -(-rows // 16)


# The command.


def predict(*arguments):
    return main(["predict", *map(str, arguments)])


def test_the_model_that_comes_along_names_the_samples(capsys):
    assert predict(*(SAMPLES / f"{name}.mp4" for name in NAMES)) == 0
    out, error = capsys.readouterr()
    assert error.count("\n") == 1 and ", ".join(ACTIONS) in error
    for name, printed in zip(NAMES, out.split("\n\n"), strict=True):
        first, *classes, last = printed.splitlines()
        assert first == str(SAMPLES / f"{name}.mp4")
        assert len(classes) == 5
        assert classes[0].split()[0] == name and classes[0].endswith("#" * 20)
        assert "10 x 3 views; reading " in last and "peak memory" in last


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two samples, numbered so that text order would be another, a broken one, a note."""
    folder = tmp_path_factory.mktemp("folder")
    for number, name in zip((10, 2), NAMES, strict=True):
        path = folder / f"clip {number}.mp4"
        path.write_bytes((SAMPLES / f"{name}.mp4").read_bytes())
    (folder / "clip 3.mp4").write_bytes(b"no video at all\n" * 99)
    (folder / "notes.txt").write_text("not a video, and not named as one")
    return folder


def test_a_broken_file_is_told_and_the_rest_done(folder, capsys):
    assert predict(folder, "--views", "1x1", "--top", "1") == 1
    out, error = capsys.readouterr()
    files = [line for line in out.splitlines() if line.startswith(str(folder))]
    assert files == [str(folder / "clip 2.mp4"), str(folder / "clip 10.mp4")]
    (told,) = [line for line in error.splitlines() if "clip" in line]
    assert told.startswith(f"slowfast-edu predict: {folder / 'clip 3.mp4'}: cannot be")


def test_an_empty_folder_is_told_and_the_rest_done(tmp_path, capsys):
    arguments = [tmp_path, SAMPLES / "walk.mp4", "--views", "1x1", "--top", "1"]
    assert predict(*arguments) == 1
    out, error = capsys.readouterr()
    assert out.splitlines()[0] == str(SAMPLES / "walk.mp4")
    told = [line for line in error.splitlines() if "the model that" not in line]
    assert len(told) == 1
    assert told[0].startswith(f"slowfast-edu predict: {tmp_path}: no file in this folder")


def test_json_has_a_line_for_each_video_and_nothing_else(folder, capsys):
    assert predict(folder, "--views", "2x1", "--json", "--top", "3") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["video"]).name for line in lines] == [
        "clip 2.mp4",
        "clip 3.mp4",
        "clip 10.mp4",
    ]
    assert set(lines[1]) == {"video", "error"}
    for line, name in zip(lines[::2], reversed(NAMES), strict=True):
        assert line["classes"][0] == name and len(line["classes"]) == 3
        assert line["probabilities"] == sorted(line["probabilities"], reverse=True)
        assert line["probabilities"][0] > 0.9
        times = {"seconds_reading", "seconds_computing", "memory_bytes"}
        assert times < set(line)


def test_a_damaged_video_is_told_with_its_frame(tmp_path, capsys):
    whole = encode(numbered_frames(60), tmp_path / "whole.mp4", key_frame_every=20)
    path = flip_bits(whole, tmp_path / "bad.mp4", packet=20)
    assert predict(path, whole, "--json", "--window", "2.2") == 1
    bad, good = map(json.loads, capsys.readouterr().out.splitlines())
    assert "bad.mp4: frame 20 is damaged" in bad["error"]
    assert good["segments"][0]["start_seconds"] == 0


def test_classes_size_and_rate_travel_in_the_checkpoint(tmp_path, numbered, capsys):
    model = mine(frames_per_second=15.0)
    path = save_checkpoint(model, tmp_path / "mine.safetensors")
    arguments = [numbered, "--checkpoint", path, "--views", "2x3", "--json"]
    assert predict(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    expected = predict_video(model, numbered, clips=2).top()
    assert found["classes"] == [name for name, _ in expected]
    assert found["probabilities"] == pytest.approx([p for _, p in expected], abs=1e-6)
    assert predict(*arguments, "--fps", "10") == 0
    slower = json.loads(capsys.readouterr().out)["probabilities"]
    expected = predict_video(model, numbered, clips=2, frames_per_second=10).top()
    assert slower == pytest.approx([p for _, p in expected], abs=1e-6)


def test_a_preset_alone_means_weights_that_were_fetched(
    tmp_path, numbered, capsys, monkeypatch
):
    monkeypatch.setattr(download, "PUBLISHED", {"slowfast_tiny": "TINY.pyth"})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    arguments = ["--preset", "slowfast_tiny", "--views", "1x1", "--top", "1", "--json"]
    assert predict(numbered, *arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "slowfast-edu fetch-weights slowfast_tiny" in error
    kept = tmp_path / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    torch.save({"model_state": load_shipped().state_dict()}, kept / "TINY.pyth")
    assert predict(numbered, *arguments) == 0
    (name,) = json.loads(capsys.readouterr().out)["classes"]
    assert name in [f"class {number}" for number in range(10)]


def test_a_film_is_written_for_each_video(tmp_path, capsys):
    same = tmp_path / "other" / "walk.mp4"
    same.parent.mkdir()
    same.write_bytes((SAMPLES / "walk.mp4").read_bytes())
    films = tmp_path / "a" / "films"
    arguments = ["--views", "1x1", "--film", films]
    assert predict(*(SAMPLES / f"{name}.mp4" for name in NAMES), same, *arguments) == 0
    names = sorted(path.name for path in films.iterdir())
    assert names == ["jumping_jack.png", "walk-1.png", "walk-2.png"]
    out = capsys.readouterr().out
    assert all(f"  film: {films / name}\n" in out for name in names)
    for name in names:
        assert (films / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_no_film_takes_the_place_of_another(tmp_path, capsys):
    videos = [tmp_path / name for name in ("a-1.mp4", "a.mp4", "d/a.mp4")]
    videos[2].parent.mkdir()
    for video in videos:
        video.write_bytes((SAMPLES / "walk.mp4").read_bytes())
    films = tmp_path / "films"
    assert predict(*videos, "--views", "1x1", "--film", films) == 0
    names = sorted(path.name for path in films.iterdir())
    assert names == ["a-1.png", "a-2.png", "a-3.png"]
    out = capsys.readouterr().out
    assert all(f"  film: {films / name}\n" in out for name in names)


def test_a_video_shorter_than_the_window_is_one_and_says_so(capsys):
    assert predict(SAMPLES / "walk.mp4", "--window", "9") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "  1 window of 6 s, for the video is shorter than 9 s; " in last
    assert predict(SAMPLES / "walk.mp4", "--window", "6") == 0
    assert "  1 window of 6 s; " in capsys.readouterr().out.splitlines()[-1]


def test_a_window_prints_when_what_happens(capsys):
    assert predict(SAMPLES / "walk.mp4", "--window", "2.2") == 0
    first, head, *rows, last = capsys.readouterr().out.splitlines()
    assert first == str(SAMPLES / "walk.mp4")
    assert head.split() == ["start", "end", "action", "confidence"]
    assert [row.split()[:3] for row in rows] == [["0:00.0", "0:06.0", "walk"]]
    assert "windows of 2.2 s" in last and "peak memory" in last


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody.mp4"], "nobody.mp4: no such file"),
        (
            [SAMPLES / "walk.mp4", "--preset", "slowfast"],
            "--preset='slowfast' is not known",
        ),
        (
            [SAMPLES / "walk.mp4", "--checkpoint", "no.pt"],
            "no.pt: no such file",
        ),
        (
            [SAMPLES / "walk.mp4", "--views", "30"],
            "--views 30 must be clips x crops, such as 10x3",
        ),
        ([SAMPLES / "walk.mp4", "--views", "4x2"], "crops=2 is not known"),
        (
            [SAMPLES / "walk.mp4", "--views", "100000x1"],
            "--views 100000x1 are more than 1000 views of each video",
        ),
        ([SAMPLES / "walk.mp4", "--top", "0"], "--top=0 must be a whole number"),
        ([SAMPLES / "walk.mp4", "--window", "1"], "the nearest is 2.14"),
        (
            [SAMPLES / "walk.mp4", "--window", "3", "--views", "1x1"],
            "--views and --top are for whole videos; leave them out with --window",
        ),
        ([Path(__file__).parent], "no file in this folder ends in .mp4"),
        ([SAMPLES / "walk.mp4", "--fps", "0"], "frames_per_second=0.0 must be a positive"),
    ],
)
def test_mistakes_are_one_line(arguments, said, capsys):
    assert predict(*arguments) == 1
    out, error = capsys.readouterr()
    told = [line for line in error.splitlines() if not line.startswith("the model that")]
    assert len(told) == 1 and said in told[0]
    assert told[0].startswith("slowfast-edu predict: ") and out == ""


def test_a_checkpoint_of_an_unknown_model_is_one_line(tmp_path, numbered, capsys):
    foreign = tmp_path / "resnet.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, foreign)
    for preset in ([], ["--preset", "slowfast_4x16_r50"]):
        assert predict(numbered, "--checkpoint", foreign, *preset) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and str(foreign) in error


def test_several_labels_have_no_timeline(tmp_path, numbered, capsys):
    path = save_checkpoint(mine(several_labels=True), tmp_path / "several.safetensors")
    assert predict(numbered, "--checkpoint", path, "--window", "3") == 1
    assert "--window names one action at a time" in capsys.readouterr().err


def test_views_are_not_all_held_as_floats(numbered, monkeypatch):
    """One clip's crops at a time go through the model."""
    seen = []
    original = predict_module.view_scores

    def noting(model, views):
        seen.append(tuple(views.shape))
        return original(model, views)

    monkeypatch.setattr(predict_module, "view_scores", noting)
    model = mine()
    predict_video(model, numbered, clips=10)
    assert seen == [(3, 3, model.config.clip.fast_frames, 32, 32)] * 10
