"""Fine-tuning: a new classifier on trained weights, what learns how fast, own videos."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import SMALL, randomize, small_model
from safetensors.torch import load_file
from test_checkpoints import renamed
from torch import nn
from training_script import (
    QUIET,
    RECIPE,
    Noise,
    one_thread,
    second_pass,
    tiny_loader,
    tiny_model,
    train,
)

from slowfast_edu.applications.fine_tuning import new_classes
from slowfast_edu.checkpoints import About, about_of, load_model, save_checkpoint
from slowfast_edu.claims.shipped import WEIGHTS, load_shipped
from slowfast_edu.cli import main
from slowfast_edu.config import PRESETS
from slowfast_edu.data.annotations import folder_per_class
from slowfast_edu.data.batches import Preloaded, collate_clips
from slowfast_edu.data.datasets import VideoViews
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.figures import ACTIONS, Actions, MovingFigures, scene
from slowfast_edu.data.figures.actions import ARM_DOWN, LEG_DOWN, Action
from slowfast_edu.data.figures.body import Limb, Pose
from slowfast_edu.data.transforms import EvalTransform
from slowfast_edu.models import Detector, build_model
from slowfast_edu.training import Schedule, evaluate, evaluation_loader, training_loader
from slowfast_edu.training.recipe import apply_to_model, set_train_mode
from slowfast_edu.training.step import Stepper

CLASSES = About(classes=("low", "middle", "high"), size=32)


@pytest.fixture(autouse=True)
def alone():
    with one_thread():
        yield


def trained_model():
    """Of three classes, with BN that has seen clips."""
    return randomize(tiny_model())


def recipe_of(share=1.0, **changes):
    schedule = replace(RECIPE.schedule, backbone_share=share)
    return replace(RECIPE, schedule=schedule, dropout=0.0, **changes)


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(model, before):
    return {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}


HEAD = {"head.projection.weight", "head.projection.bias"}

# The classifier


@pytest.mark.parametrize(
    ("before", "names", "kept", "words"),
    [
        (("a", "b", "c"), ("a", "b", "c"), True, "kept: it is one for the same classes"),
        (
            ("a", "b", "c"),
            ("a", "b", "d"),
            False,
            "(a, b, d); .* had 3 (a, b, c)",
        ),
        (("a", "b", "c"), ("b", "a", "c"), False, "3 classes (b, a, c)"),
        (("a", "b", "c"), ("a", "b"), False, "2 classes (a, b); the one before had 3"),
        (
            (),
            ("a", "b", "c"),
            True,
            "names no classes and has as many, 3; .* a, b, c",
        ),
        ((), tuple("abcdefg"), False, "7 classes (a, b, c, d, e, ...); .* had 3 without"),
    ],
)
def test_a_classifier_stays_only_for_the_same_classes(before, names, kept, words):
    model = trained_model()
    model.about = About(classes=before)
    state = copy_of(model)
    said = new_classes(model, About(classes=names, size=48))
    for word in words.split(" .* "):
        assert word in said
    assert "\n" not in said and model.about == About(classes=names, size=48)
    assert model.head.projection.out_features == len(names)
    backbone = {name for name in state if name not in HEAD}
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in backbone)
    same = len(names) == 3 and not changed(model, state)
    assert same == kept


def test_a_new_classifier_begins_as_a_fresh_model_s():
    torch.manual_seed(0)
    model = small_model(num_classes=5, width=32)
    new_classes(model, About(classes=tuple(map(str, range(200)))))
    weight, bias = model.head.projection.weight, model.head.projection.bias
    assert weight.std().item() == pytest.approx(0.01, rel=0.05) and not bias.any()
    assert model(torch.randn(1, 3, 16, 32, 32)).shape == (1, 200)


def test_what_cannot_learn_classes_is_refused():
    with pytest.raises(ValueError, match="has no classifier; build it with head='linear'"):
        new_classes(small_model(head="features"), CLASSES)
    with pytest.raises(ValueError, match=r"is a Detector, .* load_checkpoint\(Detector"):
        new_classes(Detector(SMALL, 5), CLASSES)
    with pytest.raises(ValueError, match=r"about\.classes is empty"):
        new_classes(small_model(), About(size=48))
    with pytest.raises(TypeError, match=r"model\.module"):
        new_classes(nn.DataParallel(small_model()), CLASSES)


# What learns, and how fast


def plain_step(share, rate=0.5):
    """(model, weights before, gradients by autograd) of one step of plain SGD."""
    recipe = recipe_of(share, momentum=0.0, nesterov=False, weight_decay=0.0)
    model = trained_model().train()
    apply_to_model(recipe, model)
    batch = collate_clips([Noise()[index] for index in (0, 1)])
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    state = copy_of(model)
    loss = F.cross_entropy(model(batch.clips), batch.labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    model.load_state_dict(state)
    Stepper(model, recipe, QUIET)([(batch, True)], step=0, rate=rate)
    return model, before, dict(zip(before, gradients, strict=True))


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_backbone_takes_its_share_of_the_classifier_s_step(share):
    model, before, gradients = plain_step(share)
    moved = 0
    for name, weight in model.named_parameters():
        rate = 0.5 if name in HEAD else 0.5 * share
        expected = before[name] - rate * gradients[name]
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-6, atol=1e-7)
        moved += not torch.equal(weight, before[name])
    assert moved == len(before)


def test_shares_hold_with_momentum_decay_and_rates_that_change(monkeypatch):
    """The rate of each group at each step is its share of the schedule's."""
    seen = []
    step = torch.optim.SGD.step

    def spy(self, *arguments, **named):
        groups = self.param_groups
        seen.append([(g["rate_share"], g["lr"], len(g["params"])) for g in groups])
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.SGD, "step", spy)
    recipe = recipe_of(0.1, precise_bn_batches=0)
    train(trained_model(), tiny_loader(8), 2, recipe)
    assert len(seen) == 4  # two epochs of two steps of four clips
    for number, groups in enumerate(seen):
        rate = recipe.schedule.lasting(2).rate(number / 2, batch=4)
        assert {share for share, *_ in groups} == {0.1, 1}
        assert [lr for _, lr, _ in groups] == pytest.approx([s * rate for s, *_ in groups])
        assert sum(count for share, _, count in groups if share == 1) == 2  # the classifier


@pytest.mark.parametrize("frozen_bn", [False, True])
def test_a_share_of_0_leaves_the_backbone_bit_for_bit(frozen_bn):
    model = trained_model()
    before = copy_of(model)
    train(model, tiny_loader(8), 2, recipe_of(0, frozen_bn=frozen_bn))
    different = changed(model, before)
    assert different >= HEAD
    statistics = {n for n in before if "running" in n or "num_batches" in n}
    assert (different - HEAD) <= (set() if frozen_bn else statistics)
    assert frozen_bn or different >= {n for n in statistics if "running" in n}
    assert all(weight.requires_grad for weight in model.parameters())  # as it came


def test_what_a_caller_froze_stays_frozen_and_the_next_recipe_thaws_its_own():
    model = trained_model()
    model.fast.requires_grad_(False)
    train(model, tiny_loader(4), 1, recipe_of(0, frozen_bn=True))
    before = copy_of(model)
    train(model, tiny_loader(4), 1, recipe_of(0.1, frozen_bn=True))
    names = {name for name, _ in model.named_parameters()}
    assert changed(model, before) == {n for n in names if not n.startswith("fast.")}
    assert not any(weight.requires_grad for weight in model.fast.parameters())


# Frozen BN


def test_frozen_bn_keeps_its_statistics_also_where_they_would_be_made_precise():
    model = trained_model()
    before = copy_of(model)
    train(model, tiny_loader(8), 2, recipe_of(frozen_bn=True, precise_bn_batches=3))
    weights = {name for name, _ in model.named_parameters()}
    assert changed(model, before) == weights  # BN's own weights learn


def copied(module, given, out):
    """ReLU writes into its input."""
    return module, given[0].detach().clone(), out.detach().clone()


def test_frozen_bn_normalises_with_them_in_training():
    model, seen = trained_model(), []
    norms = {m: n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm3d)}
    for norm in norms:
        norm.register_forward_hook(lambda m, given, out: seen.append(copied(m, given, out)))
    recipe = recipe_of(frozen_bn=True)
    apply_to_model(recipe, model)
    set_train_mode(recipe, model)
    assert model.training and model.head.dropout.training
    batch = collate_clips([Noise()[index] for index in (0, 1)])
    Stepper(model, recipe, QUIET)([(batch, True)], step=0, rate=0.0)
    assert {norms[m] for m, _, _ in seen} == set(norms.values())
    for m, x, out in seen:
        mean, variance = (v.view(-1, 1, 1, 1) for v in (m.running_mean, m.running_var))
        scale, shift = (v.view(-1, 1, 1, 1) for v in (m.weight, m.bias))
        expected = (x - mean) / (variance + 1e-5).sqrt() * scale + shift
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "recipe,words",
    [
        (recipe_of(0), "backbone_share=0 freezes what nothing has trained"),
        (recipe_of(frozen_bn=True), "frozen_bn=True freezes what nothing has trained"),
    ],
)
def test_what_nothing_has_trained_is_not_frozen(recipe, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        train(tiny_model(), tiny_loader(4), 1, recipe, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# Two processes


# As torchrun starts them, but out of one process that has imported everything.
TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from slowfast_edu.training.distributed import process_group, rank, world_size
from test_finetune import CASES, fine_tuned

def work(folder):
    with process_group():
        assert world_size() == 2
        for name in CASES:
            torch.save(fine_tuned(name), Path(folder) / f"{name}{rank()}.pt")

torch.set_num_threads(1)
two = {"min_nodes": 1, "max_nodes": 1, "nproc_per_node": 2, "start_method": "fork"}
place = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": "two"}
elastic_launch(LaunchConfig(**two, **place), work)(sys.argv[1])
"""
CASES = {
    "frozen": (recipe_of(0, frozen_bn=True), ()),
    "slower": (recipe_of(0.1), ()),
    "no clip": (recipe_of(0), second_pass()),  # a pass of bad files, beside a frozen trunk
}


def fine_tuned(name):
    recipe, bad = CASES[name]
    model = trained_model()
    train(model, tiny_loader(4, bad=bad), 1, recipe)
    return model.state_dict()


@pytest.mark.timeout(120)
def test_two_processes_fine_tune_as_one_does_bit_for_bit(tmp_path):
    (tmp_path / "two.py").write_text(TWO_PROCESSES)
    command = [sys.executable, str(tmp_path / "two.py"), str(tmp_path)]
    folders = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    settings = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    run = subprocess.run(
        command, env=os.environ | settings, timeout=100, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    for name in CASES:
        alone = fine_tuned(name)
        for rank in (0, 1):
            found = torch.load(tmp_path / f"{name}{rank}.pt")
            for key, value in alone.items():
                assert torch.equal(found[key], value), (name, rank, key)


# Own videos: five moves that none of the ten actions is


def _up_and_down(phase):
    return 0.5 - 0.5 * np.cos(2 * np.pi * phase)


def bow(phase):
    arm = Limb(0.1, 0.15, 0.1, 0.1)
    return Pose(arm, arm, LEG_DOWN, LEG_DOWN, lean=1.3 * _up_and_down(phase))


def flap(phase):
    spread = 0.3 + 1.2 * _up_and_down(phase)
    arm = Limb(0.0, spread, 0.0, spread)
    return Pose(arm, arm, LEG_DOWN, LEG_DOWN)


def kick(phase):
    pitch = 1.5 * np.maximum(0, np.sin(2 * np.pi * phase))
    return Pose(ARM_DOWN, ARM_DOWN, LEG_DOWN, Limb(pitch, 0.06, pitch, 0.04))


def march(phase):
    lifts = [np.maximum(0, np.sin(2 * np.pi * (phase + half))) for half in (0, 0.5)]
    legs = [Limb(1.5 * lift, 0.06, -0.2 * lift, 0.04) for lift in lifts]
    return Pose(ARM_DOWN, ARM_DOWN, *legs)


def reach(phase):
    pitch = 1.5 + 1.5 * _up_and_down(phase)
    arm = Limb(pitch, 0.1, pitch, 0.1)
    return Pose(arm, arm, LEG_DOWN, LEG_DOWN)


MOVES = {
    "bow": Action(bow, 1.5, 1.0),
    "flap": Action(flap, 0.9, 0.0),
    "kick": Action(kick, 1.0, 1.2),
    "march": Action(march, 1.0, 1.0),
    "reach": Action(reach, 1.2, 0.9),
}
CLIP = PRESETS["slowfast_tiny"].clip
SIZE = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves(Actions):
    """The same figures, dressed and filmed alike, doing something else."""

    classes: ClassVar[tuple[str, ...]] = tuple(MOVES)


@pytest.fixture(scope="module")
def own_videos(tmp_path_factory):
    """root/train and root/test, each with a folder of MP4 files for each move."""
    assert not set(MOVES) & set(ACTIONS)
    root = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene, "ACTIONS", {**ACTIONS, **MOVES})
        for split, count in (("train", 40), ("test", 60)):
            figures = MovingFigures(Moves(), count, CLIP, size=SIZE, split=split)
            for index in range(count):
                folder = root / split / Moves.classes[index % len(MOVES)]
                folder.mkdir(parents=True, exist_ok=True)
                frames = figures.render(index, np.arange(CLIP.raw_frames)).frames
                write_video(frames, folder / f"{index}.mp4")
    return root


def clips_of(root, split):
    """Decoded once, and kept: one clip (C, T, H, W) a video."""
    whole = EvalTransform(size=SIZE, crops=1)
    views = VideoViews(folder_per_class(root / split), CLIP, clips=1, transform=whole)
    kept = Preloaded(views)
    kept.samples = [sample._replace(clip=sample.clip[0]) for sample in kept.samples]
    return kept


def accuracy(model, clips, unseen, seed, epochs):
    """Top-1 on unseen videos after epochs of five steps: the same recipe for all."""
    schedule = Schedule(epochs=epochs, warmup_epochs=1, base_rate=0.02, base_batch=8)
    steps = replace(schedule, warmup_rate=0.002)
    recipe = replace(RECIPE, schedule=steps, bn_clips=8, dropout=0.0, zero_last_bn=False)
    train(model, training_loader(clips, 8, 8, seed=seed), epochs, recipe)
    return evaluate(model, evaluation_loader(unseen, 25), device="cpu").summary()["top1"]


@pytest.mark.timeout(120)
def test_on_own_videos_the_trained_model_learns_what_a_fresh_one_cannot(own_videos):
    """40 videos of five new classes, 15 steps, and 20 for the fresh: chance is 20%."""
    clips, unseen = clips_of(own_videos, "train"), clips_of(own_videos, "test")
    for seed in (0, 1):
        torch.manual_seed(seed)
        tuned, fresh = load_shipped(), build_model("slowfast_tiny", len(MOVES))
        new_classes(tuned, About(classes=Moves.classes))
        reached = accuracy(tuned, clips, unseen, seed, epochs=3)
        without = accuracy(fresh, clips, unseen, seed, epochs=4)
        print(f"seed {seed}: fine-tuned {reached:.0%}, from scratch {without:.0%}")
        assert reached > 0.7 and reached > without + 0.3


SHIPPED = str(files("slowfast_edu.results") / WEIGHTS)


@pytest.fixture
def two_moves(own_videos, tmp_path):
    """Four videos of each of two moves."""
    for name in ("kick", "march"):
        (tmp_path / "two" / name).mkdir(parents=True)
        for video in sorted((own_videos / "train" / name).iterdir())[:4]:
            (tmp_path / "two" / name / video.name).symlink_to(video)
    return tmp_path / "two"


SHORT = ["--epochs", "1", "--batch", "4", "--workers", "0", "--views", "1x1"]
FEW = ["--set", "bn_clips=4", "precise_bn_batches=0", "base_rate=0.5", "warmup_rate=0.5"]


def tune(*arguments):
    return main(["train", *map(str, arguments)])


def test_the_command_fine_tunes_on_a_folder_and_goes_on_from_its_own_file(
    two_moves, tmp_path, capsys
):
    data = ["--data", two_moves, "--val", two_moves, *SHORT]
    frozen = [*FEW, "backbone_share=0", "frozen_bn=True"]
    assert tune(*data, "--init", SHIPPED, "--output", tmp_path / "run", *frozen) == 0
    out, err = capsys.readouterr()
    assert (
        f"{SHIPPED}: new classifier: 2 classes (kick, march); the one before had 10" in err
    )
    found = load_model(tmp_path / "run" / "final.safetensors")
    assert found.about == About(
        classes=("kick", "march"), size=48, frames_per_second=30
    )  # as shipped's
    assert found.config == PRESETS["slowfast_tiny"]
    for name, value in load_file(SHIPPED).items():
        assert name in HEAD or torch.equal(found.state_dict()[name], value), name
    one = EvalTransform(size=48, crops=1)
    views = VideoViews(folder_per_class(two_moves), CLIP, clips=1, transform=one)
    tested = evaluate(found, evaluation_loader(views, 1), device="cpu").summary()
    printed = dict(line.split() for line in out.splitlines()[2:])
    assert {k: f"{v:.4f}" for k, v in tested.items()} == printed
    assert load_model(tmp_path / "run" / "best.safetensors").about == found.about
    assert load_model(tmp_path / "run" / "last.pt").about == found.about

    again = ["--init", tmp_path / "run" / "last.pt", "--output", tmp_path / "more", *FEW]
    assert tune("--data", two_moves, *SHORT, *again) == 0
    assert "last.pt: classifier kept: it is one for the same classes" in (
        capsys.readouterr().err
    )
    more = load_model(tmp_path / "more" / "final.safetensors")
    assert changed(more, copy_of(found)) > HEAD
    assert tune("--data", two_moves, *SHORT, *again, "--dry-run") == 0
    assert "slowfast_tiny, " in capsys.readouterr().out.splitlines()[0]


def test_a_published_file_is_fine_tuned_by_its_preset(two_moves, tmp_path, capsys):
    torch.manual_seed(0)
    config = PRESETS["slowfast_tiny"]
    state = randomize(build_model(config, 5)).state_dict()
    torch.save({"model_state": renamed(state, "pyslowfast", config)}, tmp_path / "a.pyth")
    data = ["--data", two_moves, *SHORT, *FEW, "--size", 32, "--init", tmp_path / "a.pyth"]
    assert tune(*data) == 1
    assert "name a preset; its weights fit slowfast_tiny" in capsys.readouterr().err
    run = ["--preset", "slowfast_tiny", "--output", tmp_path / "run"]
    assert tune(*data, *run, "--fps", 30) == 0
    assert "new classifier: 2 classes" in capsys.readouterr().err
    found = load_model(tmp_path / "run" / "final.safetensors")
    about = About(classes=("kick", "march"), size=37, frames_per_second=30.0)
    assert about_of(found) == about  # 32 * 256 / 224 pixels in testing
    assert found.config.clip.frame_rule == "linspace"  # the publisher's


def test_the_rate_of_the_trained_model_is_the_default(two_moves, tmp_path, capsys):
    model = load_shipped()
    model.about = replace(model.about, frames_per_second=15.0, size=37)
    path = save_checkpoint(model, tmp_path / "a.safetensors")
    run = ["--init", path, "--output", tmp_path / "run"]
    assert tune("--data", two_moves, *SHORT, *run, *FEW) == 0
    about = load_model(tmp_path / "run" / "final.safetensors").about
    assert (about.frames_per_second, about.size) == (15.0, 37)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--preset", "--init", "a checkpoint to fine-tune"]),
        (["--init", "gone.safetensors"], ["gone.safetensors: no such file"]),
        (
            ["--init", SHIPPED, "--preset", "slowfast_8x8_r50"],
            ["weights for another model", "they fit slowfast_tiny"],
        ),
        (
            ["--preset", "slowfast_tiny", *FEW, "backbone_share=0"],
            ["backbone_share=0 freezes what nothing has trained", "--init"],
        ),
        (["--init", SHIPPED, *FEW, "backbone_share=2"], ["backbone_share=2", "[0, 1]"]),
        (["--init", SHIPPED, "--set", "backbone=0"], ["'backbone_share'", "'frozen_bn'"]),
        (["--init", SHIPPED, "--batch", "64"], ["the 8 clips there are; try --batch 8"]),
        (
            ["--init", SHIPPED, "--batch", "64", "--set", "bn_clips=16"],
            ["the 8 clips there are; try --batch 8 --set bn_clips=8"],
        ),
    ],
)
def test_likely_mistakes_get_one_line(
    arguments, words, two_moves, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert tune("--data", two_moves, *SHORT, *arguments) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("slowfast-edu train: ")
    assert [word for word in words if word not in message] == []
    assert not (tmp_path / "runs").exists()


def test_one_folder_is_not_enough(two_moves, capsys):
    (two_moves / "march").rename(two_moves.parent / "march")
    assert tune("--data", two_moves, *SHORT, "--init", SHIPPED) == 1
    message = capsys.readouterr().err
    assert "has one class, 'kick'; there must be two" in message
    assert len(message.splitlines()) == 1
