"""``slowfast-edu train``: real clips and rendered ones, dry runs, wrong input."""

import csv
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import Dataset

from slowfast_edu import PRESETS, build_model, load_checkpoint, save_checkpoint
from slowfast_edu.analysis import closed_form_macs
from slowfast_edu.cli import main
from slowfast_edu.cli.train import FINAL, _recipe
from slowfast_edu.data.batches import Problem, Sample
from slowfast_edu.training import PAPER, PYSLOWFAST, Execution, Predictions, training_loader
from slowfast_edu.training.preview import Preview, _line, preview

SAMPLES = Path(__file__).parent.parent / "data_samples"
ROOT = ["--root", str(SAMPLES / "actions")]
LISTS = ["--data", str(SAMPLES / "train.csv"), "--val", str(SAMPLES / "val.csv"), *ROOT]
SMALL = ["--preset", "slowfast_tiny", "--size", "32", "--batch", "8", "--workers", "0"]
SHORT = ["--set", "precise_bn_batches=1", "dropout=0"]


def train(*arguments):
    return main(["train", *SMALL, *map(str, arguments)])


def parsed(*arguments):
    """The recipe that the command makes of its options."""
    import slowfast_edu.cli as cli

    options = cli._parser().parse_args(["train", *SMALL, "--data", "x", *arguments])
    return _recipe(options, PRESETS[options.preset])


def test_it_trains_on_a_list_of_videos_and_saves_what_it_predicts(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = [*LISTS, "--epochs", "2", "--views", "2x3", "--output", run, *SHORT]
    assert train(*arguments) == 0
    names = {path.name for path in run.iterdir()}
    assert names == {"last.pt", "log.csv", "predictions.npz", "best.safetensors", FINAL}
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["train_loss"]) > 0 and 0 <= float(rows[0]["val_top1"]) <= 1
    found = Predictions.load(run / "predictions.npz")
    assert len(found.names) == 10 and found.probabilities.shape == (10, 10)
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[2:])
    assert float(printed["top1"]) == pytest.approx(found.summary()["top1"], abs=1e-4)
    model = build_model("slowfast_tiny", num_classes=10)
    assert load_checkpoint(model, run / "best.safetensors").head == "loaded"
    assert train(*arguments) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"{run}: already finished, 2 epochs; nothing is trained"
    again = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert again == rows


def test_the_folder_of_other_data_or_other_weights_is_refused(tmp_path, capsys):
    """Both lists have ten videos of the same ten classes."""
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = build_model("slowfast_tiny", 10)
        model.train()(torch.randn(2, 3, 16, 32, 32))
        weights.append(save_checkpoint(model, tmp_path / f"{seed}.safetensors"))
    run = tmp_path / "run"
    settings = ["--epochs", 1, "--output", run, "--set", "precise_bn_batches=0"]
    first, other = (["--data", SAMPLES / f"{name}.csv", *ROOT] for name in ("train", "val"))
    assert train(*first, "--init", weights[0], *settings) == 0
    kept = {path.name: path.read_bytes() for path in run.iterdir()}
    capsys.readouterr()
    for given, said in (
        ([*other, "--init", weights[0]], "a run with other videos or labels;"),
        ([*first, "--init", weights[1]], "a run with another --init, or weights,"),
        (first, "a run with another --init, or weights,"),
    ):
        assert train(*given, *settings) == 1
        out, error = capsys.readouterr()
        assert out == "" and said in error.splitlines()[-1]
    assert kept == {path.name: path.read_bytes() for path in run.iterdir()}
    assert train(*first, "--init", weights[0], *settings) == 0
    assert "already finished" in capsys.readouterr().out


def test_unreadable_videos_are_counted(tmp_path, capsys):
    lines = (SAMPLES / "train.csv").read_text().splitlines()
    lines.append("box,missing,0,3,train")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    run = tmp_path / "run"
    settings = ["--set", "precise_bn_batches=0", "bn_clips=11", "dropout=0"]
    batch = ["--batch", "11", "--output", run]
    assert (
        train("--data", tmp_path / "list.csv", *ROOT, "--epochs", 1, *batch, *settings) == 0
    )
    assert "1 clips could not be read" in capsys.readouterr().out


def test_it_trains_on_rendered_clips(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--data", "figures:actions-bright", "--clips", "16", "--epochs", "1"]
    assert train(*arguments, *SHORT, "--dry-run") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["data"] == "figures:actions-bright, 16 clips an epoch; validation: its own"
    assert train(*arguments, "--output", run, "--set", "bn_clips=3") == 1
    message = capsys.readouterr().err
    assert "batch=8 must be a multiple of 3" in message
    assert "the nearest: 6 and 9" in message
    assert not run.exists()


def test_a_dry_run_says_what_it_would_take_and_leaves_nothing(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert train(*LISTS, "--recipe", "paper", "--epochs", "98", "--dry-run") == 0
    out = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert list(lines) == ["model", "data", "recipe", "rate", "device", "memory", "time"]
    parameters = sum(p.numel() for p in build_model("slowfast_tiny", 10).parameters())
    assert f"slowfast_tiny, {parameters:,} parameters" in lines["model"]
    assert "16 frames of 32x32" in lines["model"]
    assert "98 epochs of 1 steps of 8 clips: 1 processes x 1 passes x 8" in lines["recipe"]
    assert lines["rate"].startswith("0.00125, after ")  # 0.16 * 8 / 1024
    assert re.fullmatch(r"about \d+\.\d GiB", lines["memory"])
    assert list(tmp_path.iterdir()) == []


def test_the_preview_goes_on_in_a_straight_line():
    assert _line([(2, 1.0, 10.0), (4, 2.0, 30.0)], 1, clips=8) == 4.0
    assert _line([(2, 1.0, 10.0), (4, 2.0, 30.0)], 2, clips=8) == 70.0
    assert _line([(2, 1.5, 10.0)], 1, clips=2) == 1.5  # measured as it is
    assert _line([(2, 3.0, 10.0), (4, 2.0, 30.0)], 1, clips=8) == 2.0  # noise, never less
    times = {"step_seconds": 3.0, "load_seconds": 5.0, "memory_bytes": 0}
    assert Preview(10, 2, workers=1, **times).epoch_seconds == 50.0  # waits for loading
    assert Preview(10, 2, workers=0, **times).epoch_seconds == 80.0  # one after the other


def test_the_preview_times_passes_and_learns_nothing():
    clips = [
        Sample(torch.zeros(3, 16, 32, 32), index % 5, str(index)) for index in range(40)
    ]
    model = build_model("slowfast_tiny", num_classes=5)
    before = [p.clone() for p in model.parameters()]
    loader = training_loader(clips, clips=4, batch=8)
    found = preview(model, loader, PAPER, Execution())
    assert (found.steps, found.passes) == (5, 2)
    assert found.step_seconds > 0 and found.memory_bytes > 1e8
    assert all(map(torch.equal, before, model.parameters()))  # a rate of zero


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], PYSLOWFAST.schedule.epochs),
        (["--recipe", "paper"], 256),  # T = 4 (appendix)
        (["--recipe", "paper", "--preset", "slowfast_8x8_r50"], 196),
        (["--epochs", "20"], 20),
    ],
)
def test_epochs_are_the_recipe_s_unless_given(options, expected):
    assert parsed(*options).schedule.epochs == expected


def test_warm_up_shrinks_with_fewer_epochs_only():
    assert parsed("--epochs", "49").schedule.warmup_epochs == 34 / 4
    for options in ([], ["--epochs", "256"], ["--epochs", "300"]):
        paper = parsed("--recipe", "paper", *options).schedule
        assert paper.warmup_epochs == pytest.approx(8000 * 1024 / 240_000)  # 8k iterations


def test_the_paper_s_r101_is_scaled_up_further():
    deep = parsed("--recipe", "paper", "--preset", "slowfast_8x8_r101").augmentation
    assert (deep.least, deep.most) == (37, 49)  # 256 and 340 of 224, at 32
    assert parsed("--recipe", "paper").augmentation.most == 46  # 320


def test_it_begins_from_given_weights(tmp_path, monkeypatch):
    weights = save_checkpoint(build_model("slowfast_tiny", 10), tmp_path / "w.safetensors")
    begun = []

    def look(model, *_arguments, **_settings):
        begun.append({name: value.clone() for name, value in model.state_dict().items()})
        raise ValueError("enough")

    monkeypatch.setattr("slowfast_edu.training.train_slowfast", look)
    assert train("--data", "figures:actions", "--init", weights, "--clips", 16) == 1
    expected = load_file(weights)
    assert all(torch.equal(begun[0][name], value) for name, value in expected.items())


def test_every_ingredient_can_be_set():
    recipe = parsed("--set", "base_rate=0.2", "nesterov=False", "decays=all", "bn_clips=4")
    assert recipe.schedule.base_rate == 0.2
    assert (recipe.nesterov, recipe.decays, recipe.bn_clips) == (False, "all", 4)
    words = parsed("--set", "nesterov=false", "--set", "clip_grad_norm=none", "dropout=0.1")
    assert (words.nesterov, words.clip_grad_norm, words.dropout) == (False, None, 0.1)
    cropped = parsed("--size", "112").augmentation
    assert (cropped.size, cropped.least, cropped.most) == (112, 128, 160)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "figures:dance"], ["figures:", "'dance'", "'spin'"]),
        (["--data", "nowhere.csv"], ["nowhere.csv"]),
        ([*LISTS, "--recipe", "pytorch"], ["recipe='pytorch'", "'paper'"]),
        ([*LISTS, "--set", "speed=2"], ["--set='speed'", "'base_rate'"]),
        ([*LISTS, "--set", "dropout=1.5"], ["dropout=1.5", "[0, 1)"]),
        ([*LISTS, "--set", "dropout=abc"], ["dropout='abc'", "[0, 1)"]),
        ([*LISTS, "--set", "dropout"], ["dropout=''", "[0, 1)"]),
        ([*LISTS, "--set", "nesterov=no"], ["nesterov='no'", "True, False"]),
        ([*LISTS, "--epochs", "0"], ["epochs=0", "at least 1"]),
        ([*LISTS, "--init", "gone.pt"], ["gone.pt"]),
        ([*LISTS, "--views", "ten"], ["--views ten", "10x3"]),
        ([*LISTS, "--views", "100000x1"], ["--views 100000x1", "more than 1000 views"]),
        ([*LISTS, "--size", "0"], ["--size=0", "the nearest is 32"]),
        ([*LISTS, "--fps", "0"], ["frames_per_second=0.0", "positive"]),
        (["--data", "figures:spin", "--fps", "0"], ["frames_per_second=0.0"]),
        ([*LISTS, "--precision", "int8"], ["precision='int8'", "'bf16'"]),
        ([*LISTS, "--preset", "slowfast"], ["preset='slowfast'", "'slowfast_8x8_r50'"]),
        ([*LISTS, "--batch", "9"], ["batch=9", "the nearest: 8 and 16"]),
        ([*LISTS, "--batch", "12"], ["--batch 12", "the 10 clips", "try --batch 8"]),
        (["--data", "figures:spin", "--views", "2x3"], ["one crop"]),
    ],
)
def test_wrong_input_gets_one_line(arguments, words, capsys):
    assert train(*arguments) == 1
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1 and message.startswith("slowfast-edu train: ")
    assert [word for word in words if word not in message] == []


def test_boxes_are_not_labels(tmp_path, capsys):
    (tmp_path / "ava.csv").write_text("walk,0902,0.1,0.1,0.9,0.9,12,0\n")
    assert train("--data", tmp_path / "ava.csv", "--root", tmp_path) == 1
    assert "boxes" in capsys.readouterr().err


def handed(monkeypatch, *arguments):
    """What the command gives to the training, and the clips that it tests on afterwards."""
    kept = SimpleNamespace()

    def keep(model, loader, epochs, **given):
        vars(kept).update(given, model=model, loader=loader, epochs=epochs)
        return []

    def stop(model, loader, **given):
        kept.test = loader.dataset
        raise ValueError("enough")

    monkeypatch.setattr("slowfast_edu.training.train_slowfast", keep)
    monkeypatch.setattr("slowfast_edu.training.evaluate", stop)
    assert train(*arguments) == 1
    return kept


def test_every_option_reaches_the_training(monkeypatch, tmp_path):
    options = ["--seed", 7, "--precision", "bf16", "--channels-last", "--compile"]
    options += ["--tensorboard", "--save-every", 11, "--evaluate-every", 3]
    options += ["--workers", 1, "--epochs", 5, "--output", tmp_path]
    found = handed(monkeypatch, "--data", "figures:spin", "--clips", 16, *options)
    assert found.execution == Execution(
        seed=7,
        precision="bf16",
        channels_last=True,
        compile=True,
        tensorboard=True,
        save_every_steps=11,
        evaluate_every_epochs=3,
    )
    assert (found.epochs, found.folder) == (5, tmp_path)
    sampler = found.loader.batch_sampler
    assert (sampler.seed, sampler.batch, found.loader.num_workers) == (7, 8, 1)


def test_first_weights_are_of_the_seed_alone(monkeypatch, tmp_path):
    weights = []
    for seed, before in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(before)
        given = ["--data", "figures:spin", "--seed", seed, "--output", tmp_path]
        found = handed(monkeypatch, *given, "--clips", 16)
        weights.append(found.model.head.projection.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_figures_are_validated_and_tested_on_splits_of_their_own(monkeypatch, tmp_path):
    given = ["--data", "figures:spin", "--clips", 16, "--output", tmp_path]
    found = handed(monkeypatch, *given, "--views", "3x1")
    sets = found.loader.dataset, found.val_loader.dataset, found.test
    assert [len(one) for one in sets] == [16, 500, 2000]
    assert [one[0].name.split("/")[0] for one in sets] == ["train", "val", "test"]
    shapes = [tuple(one[0].clip.shape) for one in sets]
    assert shapes == [(3, 16, 32, 32)] * 2 + [(3, 3, 16, 32, 32)]
    views = handed(monkeypatch, *given).test[0].clip
    assert len(views) == 4


def test_videos_are_tested_on_larger_crops_and_more_of_them(monkeypatch, tmp_path):
    """Trained at 32 of a side of 37, as 224 are of 256 in the paper; a seed a crop."""
    given = [*LISTS, "--output", tmp_path, "--batch", 8]
    found = handed(monkeypatch, *given, "--views", "2x3")
    assert found.loader.dataset[0].clip.shape == (3, 16, 32, 32)
    assert found.val_loader.dataset[0].clip.shape[-4:] == (3, 16, 37, 37)
    assert found.test[0].clip.shape == (6, 3, 16, 37, 37)
    assert len(found.test) == len(found.val_loader.dataset) == 10
    assert handed(monkeypatch, *given).test[0].clip.shape[0] == 30
    again, other = (
        handed(monkeypatch, *given, "--seed", seed).loader.dataset[0].clip
        for seed in (0, 1)
    )
    assert torch.equal(again, found.loader.dataset[0].clip)
    assert not torch.equal(again, other)


def test_the_dry_run_s_figures_follow_from_what_was_timed(monkeypatch, capsys):
    """Ten steps of 3 + 5 seconds an epoch, 196 epochs: 4.36 hours."""
    times = {"step_seconds": 3.0, "load_seconds": 5.0, "memory_bytes": 1.5 * 2**30}
    timed = Preview(steps=10, passes=1, workers=0, **times)
    monkeypatch.setattr("slowfast_edu.cli.dry_run.preview", lambda *_: timed)
    assert train("--data", "figures:spin", "--clips", 80, "--dry-run") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    gmacs = closed_form_macs(PRESETS["slowfast_tiny"], crop=32) / 1e9
    assert f" {gmacs:.3g} GMACs a clip of 16 frames of 32x32" in lines["model"]
    start, top, last = (
        0.1 * 8 / 64 * (1 + math.cos(math.pi * epoch / 196)) / 2
        for epoch in (0, 34, 196 - 1 / 10)
    )
    told = f"{start / 10:.4g}, after 34 epochs of warm-up {top:.4g}"
    assert lines["rate"] == f"{told}, in the last step {last:.3g}"
    assert lines["memory"] == "about 1.5 GiB"
    assert lines["time"].startswith("a step 3 s (its clips are loaded in 5 s by 1 at a ")
    assert "an epoch 80 s, all 4.36 h" in lines["time"]


class Clock:
    """Time that only reading a clip (2 s) and the model move: 5 s, and 3 s a clip.

    The first pass of each size takes 100 s more, which is not to count.
    """

    def __init__(self):
        self.now, self.known = 0.0, set()

    def perf_counter(self):
        return self.now

    def compute(self, module, given):
        clips = len(given[0])
        self.now += 5 + 3 * clips + (0 if clips in self.known else 100)
        self.known.add(clips)


class Slow(Dataset):
    def __init__(self, clock, bad=()):
        self.clock, self.bad = clock, bad

    def __len__(self):
        return 40

    def __getitem__(self, index):
        self.clock.now += 2
        if index in self.bad:
            return Problem(str(index), "bad")
        return Sample(torch.zeros(3, 16, 32, 32), index % 5, str(index))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_preview_s_seconds_are_of_whole_steps(monkeypatch, workers):
    """Two passes of eight clips: 2 * (5 + 8 * 3) s, and 16 * 2 s of reading."""
    clock = Clock()
    monkeypatch.setattr("slowfast_edu.training.preview.time", clock)
    model = build_model("slowfast_tiny", num_classes=5)
    model.register_forward_pre_hook(clock.compute)
    loader = training_loader(Slow(clock), clips=8, batch=16, workers=workers)
    found = preview(model, loader, PAPER, Execution())
    assert (found.steps, found.passes, found.workers) == (2, 2, workers)
    assert found.step_seconds == 58
    assert found.load_seconds == 32 / max(1, workers)


def test_the_preview_needs_some_clips_that_can_be_read():
    model = build_model("slowfast_tiny", num_classes=5)
    some = training_loader(Slow(Clock(), bad=range(12)), clips=8, batch=8)
    assert preview(model, some, PAPER, Execution()).steps == 5
    none = training_loader(Slow(Clock(), bad=range(13)), clips=8, batch=8)
    with pytest.raises(ValueError, match="of the first 16 clips fewer than 4 can be read"):
        preview(model, none, PAPER, Execution())
