"""A whole run: what a step learns from, when it stops, what it logs, keeps and shows."""

import copy
import csv
import math
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training_script import (
    CLASSES,
    QUIET,
    RECIPE,
    SCHEDULE,
    Noise,
    one_thread,
    tiny_loader,
    tiny_model,
    train,
    whole_passes,
    wide_model,
)

from slowfast_edu.checkpoints import load_checkpoint
from slowfast_edu.data.batches import Sample, collate_clips
from slowfast_edu.data.transforms import normalize
from slowfast_edu.training import (
    Execution,
    TrainingStopped,
    evaluation_loader,
    loop,
    pace,
    statistics,
    step,
    train_slowfast,
    training_loader,
)
from slowfast_edu.training.recipe import apply_to_model
from slowfast_edu.training.step import Stepper

pytestmark = pytest.mark.timeout(60)  # nothing here may hang
RUNNING = replace(RECIPE, precise_bn_batches=0)  # which costs forward passes
STILL = replace(
    RUNNING,
    dropout=0.0,
    weight_decay=0.0,
    momentum=0.0,
    nesterov=False,
    zero_last_bn=False,
)


@pytest.fixture(autouse=True)
def alone():
    with one_thread():
        yield


def weights_of(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def state_of(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def rows_of(folder):
    return list(csv.DictReader((folder / "log.csv").open()))


@contextmanager
def scores_of(model):
    """What the model says in training mode, pass by pass."""
    seen = []

    def keep(module, given, scores):
        if module.training and torch.is_grad_enabled():
            seen.append(scores.detach())

    hook = model.register_forward_hook(keep)
    yield seen
    hook.remove()


# When it stops


class Spoilt(Noise):
    """One clip holds a number that is none, in one epoch."""

    def __init__(self, count, index, value=math.nan, epoch=0):
        super().__init__(count)
        self.index, self.value, self.epoch, self.now = index, value, epoch, 0

    def set_epoch(self, epoch):
        self.now = epoch

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        if (index, self.now) == (self.index, self.epoch):
            sample.clip[1, 2, 3, 4] = self.value
        return sample


@pytest.mark.parametrize(
    "place,value", [(0, math.nan), (2, math.nan), (5, math.inf), (7, -math.inf)]
)
def test_a_clip_that_is_not_finite_is_named_with_its_step(place, value):
    """Place 2 is in the second pass of step 0, places 5 and 7 in both of step 1."""
    index = [i for clips in whole_passes(8) for i in clips][place]
    loader = training_loader(Spoilt(8, index, value), 2, 4)
    model = tiny_model()
    with pytest.raises(TrainingStopped) as caught:
        train(model, loader, recipe=RUNNING)
    risen = 0.02 * (math.cos(math.pi / 4) + 1) / 2  # after one of four epochs: two steps
    rate = ("0.002", f"{(0.002 + risen) / 2:.3g}")[place // 4]
    assert str(caught.value) == (
        f"the loss is not finite at step {place // 4} (rate {rate}): "
        f"clip clip {index} holds numbers that are not finite"
    )
    assert isinstance(caught.value, FloatingPointError)
    assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("batch", [2, 4])
def test_clips_without_names_are_counted_within_their_batch(batch):
    clips = torch.stack([Noise()[i].clip for i in range(4)])
    clips[3, 0, 0, 0, 0] = math.nan
    loader = DataLoader(TensorDataset(clips, torch.arange(4) % 3), batch)
    with pytest.raises(
        TrainingStopped, match=rf"at step {4 // batch - 1} .* clip {batch - 1} h"
    ):
        train(tiny_model(), loader, 1, RUNNING)


def test_what_was_saved_before_the_nan_is_whole_and_goes_on(tmp_path):
    saved = []
    loader = training_loader(Spoilt(8, 3, epoch=1), 2, 4)
    val = evaluation_loader(Noise(3, seed=1), 3)
    given = {"folder": tmp_path, "val_loader": val}
    with pytest.raises(TrainingStopped, match=r"at step [23] .* clip clip 3 holds"):
        train(
            tiny_model(),
            loader,
            2,
            on_epoch=lambda _: saved.extend(
                f.read_bytes() for f in sorted(tmp_path.iterdir())
            ),
            **given,
        )
    assert len(saved) == 3  # best.safetensors, last.pt, log.csv
    assert [f.read_bytes() for f in sorted(tmp_path.iterdir())] == saved
    for name in ("last.pt", "best.safetensors"):
        model = tiny_model(seed=1)
        load_checkpoint(model, tmp_path / name)
        assert all(value.isfinite().all() for value in model.state_dict().values())
    assert state_of(tmp_path)["progress"]["epoch"] == 1
    history = train(tiny_model(), tiny_loader(8), 2, **given)
    assert [row["epoch"] for row in history] == [1, 2]


def at_rate(rate):
    schedule = replace(SCHEDULE, epochs=1, warmup_epochs=0, base_rate=rate)
    return replace(RUNNING, schedule=schedule)


@pytest.mark.parametrize(
    "rate,clips,message",
    [
        (1e38, 4, r"^\w+\.[\w.]+ is not finite after step 0; try a lower rate, a longer"),
        (1e38, 8, r"at step 1 \(rate 5e\+37\): \w+\.[\w.]+ is not finite since the step"),
        (1e20, 8, r"at step 1 \(rate 5e\+19\): clips and weights are finite, the scores"),
    ],
)
def test_a_rate_that_explodes_stops_with_what_to_try(tmp_path, rate, clips, message):
    """On the way out of its only step, after a step, or in the scores of the next one."""
    with pytest.raises(TrainingStopped, match=message) as caught:
        train(tiny_model(), tiny_loader(clips), None, at_rate(rate), folder=tmp_path)
    assert "try a lower rate" in str(caught.value) and "\n" not in str(caught.value)
    model = tiny_model()  # as it began
    apply_to_model(RUNNING, model)
    assert_same(state_of(tmp_path)["model"], model.state_dict())


def test_nothing_that_is_not_finite_is_saved_within_an_epoch(tmp_path):
    execution = replace(QUIET, save_every_steps=1)
    recipe = at_rate(1e38)
    with pytest.raises(TrainingStopped, match="is not finite after step 0"):
        train(tiny_model(), tiny_loader(8), None, recipe, execution, folder=tmp_path)
    assert state_of(tmp_path)["progress"]["step"] == 0


class Labelled(Noise):
    """The label of each clip is told."""

    def __init__(self, labels):
        super().__init__(len(labels))
        self.labels = labels

    def __getitem__(self, index):
        return super().__getitem__(index)._replace(label=self.labels[index])


@pytest.mark.parametrize("labels,told", [([0, 3], "0 to 3"), ([-1, 2], "-1 to 2")])
def test_labels_that_the_model_has_no_score_for_are_refused(labels, told):
    message = f"^labels {told} were given, and the model has 3 classes: 0 to 2$"
    with pytest.raises(ValueError, match=message):
        train(tiny_model(), training_loader(Labelled(labels), 2, 2), 1)


def test_a_run_whose_clips_are_all_bad_says_so():
    message = "none of 4 clips .*; load with bad='raise', or run slowfast-edu inspect, to"
    with pytest.raises(ValueError, match=message):
        train(tiny_model(), tiny_loader(4, bad=range(4)), 1)


def test_steps_that_begin_with_bad_clips_only_leave_nothing_for_precise_bn():
    first = [i for clips in whole_passes(8)[::2] for i in clips]
    with pytest.raises(ValueError, match="no pass with which a step begins has a clip"):
        train(tiny_model(), tiny_loader(8, bad=first), 1)


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.DataParallel(tiny_model())])
def test_what_is_no_model_of_this_library_is_refused(model):
    with pytest.raises(TypeError, match=f"^{type(model).__name__} has no config"):
        train(model, tiny_loader(4), 1)


def test_loaders_that_fill_no_step_or_no_pass_are_refused_before_any_work(tmp_path):
    folder = tmp_path / "run"
    accumulating = replace(QUIET, accumulate=3)
    for size, execution, message in (
        (6, QUIET, "batch_size=6 .* of bn_clips=4; the nearest are 4 and 8"),
        (4, accumulating, "gives 2 batches an epoch, and one step takes 3; give more"),
    ):
        loader = DataLoader(Noise(8), size, collate_fn=collate_clips)
        with pytest.raises(ValueError, match=message):
            recipe = replace(RECIPE, bn_clips=4)
            train(tiny_model(), loader, 1, recipe, execution, folder=folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "field,value",
    [
        ("precision", "float16"),
        ("seed", -1),
        ("accumulate", 0),
        ("save_every_steps", 0),
        ("evaluate_every_epochs", 0.5),
    ],
)
def test_executions_that_cannot_be_are_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field}={value!r} "):
        Execution(**{field: value})


# What a step learns from


def normalise_groups(clips):
    """Batch normalisation of each so many clips on their own, by its definition."""

    def forward(norm, x):
        groups = x.unflatten(0, (-1, clips))
        mean = groups.mean(dim=(1, 3, 4, 5), keepdim=True)
        variance = (groups - mean).square().mean(dim=(1, 3, 4, 5), keepdim=True)
        x = ((groups - mean) / (variance + norm.eps).sqrt()).flatten(0, 1)
        return x * norm.weight.view(-1, 1, 1, 1) + norm.bias.view(-1, 1, 1, 1)

    return forward


def flat(gradients):
    return torch.cat([grad.flatten() for grad in gradients])


def batch_of(indices, bad=()):
    return collate_clips([Noise(bad=bad)[index] for index in indices])


def still_model():
    model = wide_model().train()
    apply_to_model(STILL, model)
    return model


def gradient_of_step(*passes, clips):
    """Of our step, at a rate that changes nothing."""
    model = still_model()
    stepper = Stepper(model, STILL, QUIET, len(passes), clips)
    results = stepper([(one, one is passes[-1]) for one in passes], 0, 0.0)
    return flat(weight.grad for weight in model.parameters()), results


def test_a_batch_and_its_two_halves_are_normalised_in_one_group_and_in_two(monkeypatch):
    whole, _ = gradient_of_step(batch_of(range(4)), clips=4)
    halves, _ = gradient_of_step(batch_of((0, 1)), batch_of((2, 3)), clips=2)
    batch, expected = batch_of(range(4)), []
    for clips in (4, 2):
        model = still_model()
        monkeypatch.setattr(nn.BatchNorm3d, "forward", normalise_groups(clips))
        F.cross_entropy(model(batch.clips), batch.labels).backward()
        expected.append(flat(weight.grad for weight in model.parameters()))
        monkeypatch.undo()
    torch.testing.assert_close(whole, expected[0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(halves, expected[1], rtol=1e-3, atol=1e-5)
    assert (expected[0] - expected[1]).norm() > 0.1 * expected[0].norm()


@pytest.mark.parametrize("bad", [(2,), (1, 2)])
def test_each_clip_counts_for_a_quarter_in_short_passes_too(bad):
    passes = [batch_of(clips, bad) for clips in ((0, 1), (2, 3))]
    found, results = gradient_of_step(*passes, clips=2)
    model, total = still_model(), 0
    for batch in passes:
        scores = model(batch.clips)
        losses = scores.logsumexp(1) - scores.gather(1, batch.labels[:, None])[:, 0]
        total = total + losses.sum() / 4
    total.backward()
    expected = flat(weight.grad for weight in model.parameters())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert [clips for _, _, clips in results] == [len(b.names) for b in passes]
    assert sum(loss * clips / 4 for loss, _, clips in results) == pytest.approx(
        total.item()
    )


def in_order(batch, order, **given):
    """A plain loader of clips in an order."""
    return DataLoader(Noise(), batch, sampler=order, collate_fn=collate_clips, **given)


def test_a_plain_loader_s_batch_is_shared_out_in_the_same_passes():
    """Also those over which precise BN averages: with which the steps begin."""
    order = [i for clips in whole_passes(16) for i in clips]
    found = []
    for loader in (training_loader(Noise(), 2, 8), in_order(8, order)):
        model = tiny_model()
        history = train(model, loader, 1)
        found.append((weights_of(model), history[0]["train_loss"]))
    assert_same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_weights_that_the_recipe_draws_are_of_the_seed_alone():
    found = []
    for seed, before in ((0, 1), (0, 2), (1, 1)):
        model, begun = tiny_model(), []
        keep = model.register_forward_pre_hook(
            lambda module, given, kept=begun: kept.append(weights_of(module))
        )
        torch.manual_seed(before)
        recipe = replace(RUNNING, initialization="torch")
        train(model, tiny_loader(4), 1, recipe, replace(QUIET, seed=seed))
        keep.remove()
        found.append(begun[0])
    assert_same(found[1], found[0])
    conv = "slow.conv1.conv.weight"
    assert not torch.equal(found[2][conv], found[0][conv])


def test_a_plain_loader_accumulates_as_asked():
    found = []
    for batch, accumulate in ((8, None), (4, 2), (2, 4)):
        model = tiny_model()
        execution = replace(QUIET, accumulate=accumulate)
        train(model, in_order(batch, range(16)), 1, RUNNING, execution)
        found.append(weights_of(model))
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


def test_a_loader_of_fewer_clips_than_bn_s_is_one_pass_a_batch():
    found = []
    for bn_clips in (2, 8):
        model = tiny_model()
        train(model, in_order(2, range(8)), 1, replace(RECIPE, bn_clips=bn_clips))
        found.append(weights_of(model))
    assert_same(found[1], found[0])


@pytest.mark.parametrize("count,sizes", [(5, [2, 2, 1]), (7, [2, 2, 2, 1])])
def test_an_incomplete_last_batch_is_one_more_step_in_which_clips_count_alike(count, sizes):
    """Each epoch's loss is the mean over its clips, not over passes."""
    model = still_model()
    with scores_of(model) as scores:
        history = train(model, in_order(4, range(count)), 2, STILL)
    assert [len(one) for one in scores] == 2 * sizes
    for row, own in zip(history, torch.cat(scores).split(count), strict=True):
        expected = F.cross_entropy(own, torch.arange(count) % CLASSES)
        assert row["train_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_short_last_step_moves_the_weights_by_its_clips():
    """One clip where four were due moves them by a quarter of its gradient."""
    model = still_model()
    before = copy.deepcopy(model)
    train(model, DataLoader([Noise()[1]], 4, collate_fn=collate_clips), 1, at_still(0.01))
    one = batch_of((1,))
    F.cross_entropy(before(one.clips), one.labels).backward()
    for weight, old in zip(model.parameters(), before.parameters(), strict=True):
        expected = old.detach() - 0.01 * old.grad / 4
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-5, atol=1e-6)
    assert max(w.grad.abs().max() for w in before.parameters()) > 0.1


def at_still(rate):
    return replace(STILL, schedule=replace(at_rate(rate).schedule, base_batch=4))


def test_bytes_are_normalised_in_steps_and_in_precise_bn():
    class Bytes(Noise):
        def __getitem__(self, index):
            clip, label, name = super().__getitem__(index)
            return Sample((128 + 30 * clip).to(torch.uint8), label, name)

    class Floats(Bytes):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample._replace(clip=normalize(sample.clip))

    found = []
    for dataset in (Bytes(8), Floats(8)):
        model = tiny_model()
        train(model, training_loader(dataset, 2, 4), 1)
        found.append(weights_of(model))
    for name, value in found[1].items():
        torch.testing.assert_close(found[0][name], value, msg=name)


def several(index):
    """A clip's labels: its class, and the one after it."""
    return torch.tensor([float((index + k) % CLASSES != 2) for k in range(CLASSES)])


def test_clips_of_several_labels_are_trained_with_a_sigmoid_each(tmp_path):
    """A fresh model scores near 0, and -ln(sigmoid(0)) = ln 2."""
    labels = [several(index) for index in range(4)]
    model = tiny_model()
    val = evaluation_loader(Labelled(labels), 2)
    loader = training_loader(Labelled(labels), 2, 4)
    with scores_of(model) as seen:
        (row,) = train(model, loader, 1, val_loader=val, folder=tmp_path)
    scores = torch.cat(seen)
    wanted = torch.stack([labels[i] for clips in whole_passes(4) for i in clips])
    chances = 1 / (1 + (-scores).exp())
    loss = -(wanted * chances.log() + (1 - wanted) * (1 - chances).log()).mean()
    assert row["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert row["train_loss"] == pytest.approx(math.log(2), abs=0.1)
    right = [wanted[i, scores[i].argmax()].item() for i in range(4)]
    assert row["train_top1"] == sum(right) / 4
    assert [name for name in row if name[:3] == "val"] == ["val_mean_average_precision"]
    assert (tmp_path / "best.safetensors").exists()


# How it is computed


def test_channels_last_rounds_another_way_and_no_more():
    found = []
    for channels_last in (False, True):
        model, layouts = wide_model(), []
        model.register_forward_pre_hook(
            lambda _, given, seen=layouts: seen.append(
                given[0].is_contiguous(memory_format=torch.channels_last_3d)
            )
        )
        execution = replace(QUIET, channels_last=channels_last)
        train(model, tiny_loader(12), 1, execution=execution)
        assert len(layouts) == 6 + 3 and set(layouts) == {channels_last}
        kernel = model.slow.res3.block0.b.weight
        assert kernel.is_contiguous(memory_format=torch.channels_last_3d) == channels_last
        found.append(weights_of(model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_compile_is_called_once_and_leaves_no_trace_in_names(tmp_path, monkeypatch):
    compiled, ran = [], []

    class Compiled(nn.Module):
        """Names what it holds as torch.compile's does."""

        def __init__(self, model):
            super().__init__()
            self._orig_mod = model
            compiled.append(model)

        def forward(self, clips):
            ran.append(len(clips))
            return self._orig_mod(clips)

    monkeypatch.setattr(torch, "compile", Compiled)
    val = evaluation_loader(Noise(3, seed=1), 3)
    plain, model = tiny_model(), tiny_model()
    train(plain, tiny_loader(8), 1, val_loader=val)
    assert compiled == []
    execution = replace(QUIET, compile=True)
    train(model, tiny_loader(8), 1, execution=execution, val_loader=val, folder=tmp_path)
    assert compiled == [model] and ran == [2, 2, 2, 2]
    assert_same(state_of(tmp_path)["model"], plain.state_dict())
    assert_same(load_file(tmp_path / "best.safetensors"), plain.state_dict())
    assert_same(model.state_dict(), plain.state_dict())


def test_the_device_is_the_one_given_or_the_one_that_is_there(monkeypatch):
    asked = []
    there = torch.device("cpu")
    monkeypatch.setattr(step, "default_device", lambda: asked.append(1) or there)
    train(tiny_model(), tiny_loader(4), 1, RUNNING, replace(QUIET, device="cpu"))
    assert asked == []
    train(tiny_model(), tiny_loader(4), 1, RUNNING)
    assert asked == [1]
    with pytest.raises(RuntimeError):  # nothing can be counted on it
        train(tiny_model(), tiny_loader(4), 1, RUNNING, replace(QUIET, device="meta"))


# What it says


def test_the_log_says_of_each_epoch_what_happened(tmp_path, monkeypatch):
    """A clock that only waiting for clips (1 s each) and the model (10 s) move."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    class Slow(Noise):
        def __getitem__(self, index):
            clock.now += 1
            return super().__getitem__(index)

    def compute(module, given):
        clock.now += 10

    model = tiny_model()
    model.register_forward_pre_hook(compute)
    told = []

    def tell(history):
        assert len(rows_of(tmp_path)) == len(history)
        assert state_of(tmp_path)["progress"]["epoch"] == len(history)
        told.append(copy.deepcopy(history))

    loader = training_loader(Slow(8), 2, 4)
    val = evaluation_loader(Noise(3, seed=1), 3)
    execution = replace(QUIET, evaluate_every_epochs=2)
    given = {"val_loader": val, "folder": tmp_path, "on_epoch": tell}
    history = train(model, loader, 3, execution=execution, **given)
    assert told == [history[:1], history[:2], history]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    for row in history:
        assert row["data_seconds"] == 8 and row["compute_seconds"] == 4 * 10
        assert row["clips_per_second"] == 8 / 48
    rows = rows_of(tmp_path)
    assert list(rows[0]) == [
        *("epoch", "rate", "train_loss", "train_top1", "unread"),
        *("clips_per_second", "data_seconds", "compute_seconds"),
        *("val_top1", "val_top5", "val_mean_class", "val_calibration_error"),
    ]
    for row, made in zip(rows, history, strict=True):
        assert {k: float(v) for k, v in row.items() if v} == made
    assert [bool(row["val_top1"]) for row in rows] == [False, True, True]


def test_the_log_s_rate_is_the_last_step_s_in_epochs_of_one_step():
    """Of four epochs the first warms up, and half a cosine follows."""
    history = train(tiny_model(), tiny_loader(4), 4, RUNNING)
    cosine = [0.02 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert [row["rate"] for row in history] == pytest.approx([0.002, *cosine[1:]])


def test_the_pace_tells_clips_a_second_and_the_share_of_waiting(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    of_six = pace.Pace(6)
    assert str(of_six) == "0.0 clips/s, 0% waiting for data"
    with of_six.step():
        clock.now += 3
        with of_six.waiting():
            clock.now += 1
    assert str(of_six) == "1.5 clips/s, 25% waiting for data"


def test_losses_and_accuracies_are_means_over_clips_that_could_be_read():
    order = [i for clips in whole_passes(8) for i in clips]
    model, bad = tiny_model(), (order[1], order[4], order[5])
    with scores_of(model) as scores:
        row, other = train(model, tiny_loader(8, bad=bad), 2, RUNNING)
    scores = torch.cat(scores[:4])
    labels = torch.tensor([i % CLASSES for i in order if i not in bad])
    passes = [(0, 1), (1, 3), (5, 7)]  # the third is empty, its place a stand-in's
    kept = torch.cat([scores[a:b] for a, b in passes])
    assert len(scores) == 7 and len(kept) == len(labels) == 5
    assert row["train_loss"] == pytest.approx(
        F.cross_entropy(kept, labels).item(), rel=1e-5
    )
    assert row["train_top1"] == (kept.argmax(1) == labels).sum().item() / 5
    assert row["unread"] == other["unread"] == 3


def test_the_bar_shows_how_it_goes_and_the_time_left(capsys):
    execution = replace(QUIET, progress=True)
    history = train(tiny_model(), tiny_loader(8), 2, RUNNING, execution)
    out, err = capsys.readouterr()
    lines = [line.strip() for line in re.split(r"[\r\n]+", err) if line.strip()]
    assert out == "" and "epoch 1/2:   0%" in err and " 0/4 [" in lines[0]
    last = history[-1]
    told = f"loss {last['train_loss']:.3f}, top-1 {last['train_top1']:.1%}, "
    told += f"rate {last['rate']:.3g}, {last['clips_per_second']:.1f} clips/s, "
    times = r"\[\d\d:\d\d<\d\d:\d\d, +[\d.]+(step/s|s/step), "
    pattern = rf"epoch 2/2: 100%.* 4/4 {times}{re.escape(told)}\d+% waiting for data\]"
    assert re.fullmatch(pattern, lines[-1])
    val = evaluation_loader(Noise(1), 1)
    train(tiny_model(), tiny_loader(4), 1, RUNNING, val_loader=val)
    assert capsys.readouterr() == ("", "")


def test_the_bar_s_loss_is_of_the_last_fifty_steps(monkeypatch):
    """Loss 8 in the first ten of sixty steps, and 1 afterwards."""
    shown = []

    class Told(Stepper):
        def __call__(self, passes, number, rate):
            return [
                (8.0 if number < 10 else 1.0, number < 10, len(b[0])) for b, _ in passes
            ]

    class Bar:
        def set_postfix_str(self, text, refresh):
            shown.append(text)

        def update(self):
            pass

    monkeypatch.setattr(loop, "Stepper", Told)
    run = loop._Run(tiny_model(), tiny_loader(240), at_rate(0.1), QUIET, None)
    row = run.train_epoch(Bar())
    starts = [text.split(", rate")[0] for text in shown]
    assert starts[9] == "loss 8.000, top-1 50.0%"  # one of two clips a pass
    assert starts[19] == "loss 4.500, top-1 25.0%"
    assert starts[-1] == "loss 1.000, top-1 0.0%" != starts[-2]
    assert row["train_loss"] == pytest.approx((10 * 8 + 50) / 60)


def test_tensorboard_gets_one_point_an_epoch(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    execution = replace(QUIET, tensorboard=True)
    val = evaluation_loader(Noise(3, seed=1), 3)
    given = {"val_loader": val, "folder": tmp_path}
    history = train(tiny_model(), tiny_loader(4), 3, RUNNING, execution, **given)
    events = accumulator(str(tmp_path / "tensorboard")).Reload()
    tags = {name: name.replace("_", "/", 1) for name in history[0] if name != "epoch"}
    assert set(events.Tags()["scalars"]) == set(tags.values()) >= {"train/loss", "val/top1"}
    for name, tag in tags.items():
        points = [(point.step, point.value) for point in events.Scalars(tag)]
        expected = [(row["epoch"], pytest.approx(row[name])) for row in history]
        assert points == expected


def test_tensorboard_without_a_folder_is_refused():
    with pytest.raises(ValueError, match=r"^tensorboard=True needs a folder .*folder=\.\."):
        train(tiny_model(), tiny_loader(4), 1, execution=replace(QUIET, tensorboard=True))


def test_a_missing_tensorboard_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    model, folder = tiny_model(), tmp_path / "run"
    model.register_forward_pre_hook(lambda module, given: 1 / 0)
    with pytest.raises(ValueError, match=r"tensorboard=True .*: pip install tensorboard$"):
        execution = replace(QUIET, tensorboard=True)
        train(model, tiny_loader(4), 1, execution=execution, folder=folder)
    assert not folder.exists()


# What it keeps, and for how long it goes


class Found:
    """Stands for ``evaluate``: finds what it is told to, and keeps what it was given."""

    def __init__(self, monkeypatch, *scores):
        self.scores, self.models = list(scores), []
        monkeypatch.setattr(loop, "evaluate", self)

    def __call__(self, model, loader, **given):
        self.models.append(weights_of(model))
        score = self.scores.pop(0)
        return SimpleNamespace(summary=lambda: {"top1": score, "top5": 1 - score})


VAL = object()  # which no one reads


def test_best_is_of_the_best_epoch_and_last_of_the_last(tmp_path, monkeypatch):
    """Of equals the first is kept."""
    found = Found(monkeypatch, 0.2, 0.6, 0.6, 0.4)
    model, kept = tiny_model(), []

    def keep(history):
        kept.append((tmp_path / "best.safetensors").read_bytes())

    given = {"val_loader": VAL, "folder": tmp_path, "on_epoch": keep}
    history = train(model, tiny_loader(4), 4, **given)
    assert [row["val_top1"] for row in history] == [0.2, 0.6, 0.6, 0.4]
    assert kept[0] != kept[1] == kept[2] == kept[3]
    assert_same(load_file(tmp_path / "best.safetensors"), found.models[1])
    assert_same(state_of(tmp_path)["model"], found.models[3])
    assert_same(model.state_dict(), found.models[3])
    conv = "slow.conv1.conv.weight"
    assert all(not torch.equal(a[conv], b[conv]) for a, b in pairwise(found.models))
    assert state_of(tmp_path)["progress"]["best"] == 0.6
    loaded = tiny_model(seed=1)
    assert load_checkpoint(loaded, tmp_path / "best.safetensors").head == "loaded"


@pytest.mark.parametrize(
    "every,epochs,expected", [(1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (9, 2, [2])]
)
def test_it_is_evaluated_every_so_many_epochs_and_at_the_end(
    monkeypatch, every, epochs, expected
):
    Found(monkeypatch, *[0.5] * len(expected))
    precise = []
    monkeypatch.setattr(
        statistics, "update_bn_stats", lambda model, clips, n: precise.append(n)
    )
    execution = replace(QUIET, evaluate_every_epochs=every)
    history = train(
        tiny_model(), tiny_loader(4), epochs, execution=execution, val_loader=VAL
    )
    assert [row["epoch"] for row in history if "val_top1" in row] == expected
    assert precise == [1] * len(expected)  # as many passes as steps


def test_without_validation_statistics_are_made_precise_at_the_end_only(monkeypatch):
    precise, history = [], []

    def keep(model, clips, count):
        precise.append((len(history), count))

    monkeypatch.setattr(statistics, "update_bn_stats", keep)
    train(tiny_model(), tiny_loader(16), 2, on_epoch=lambda rows: history.append(rows))
    assert precise == [(1, 3)]  # three passes are asked for, of four steps


def test_bn_s_statistics_at_evaluation_are_those_of_all_clips_together(monkeypatch):
    """Of the first convolutions' outputs over the first passes of three steps."""
    found, model = Found(monkeypatch, 0.5), tiny_model()
    train(model, tiny_loader(16), 1, val_loader=VAL)
    indices = [i for clips in whole_passes(16)[:6:2] for i in clips]
    assert len(indices) == 6
    outputs = {}
    for pathway in ("slow", "fast"):
        conv = getattr(model, pathway).conv1.conv
        conv.register_forward_hook(
            lambda module, given, output, name=pathway: outputs.update({name: output})
        )
    with torch.no_grad():
        model.eval()(batch_of(indices).clips)
    for pathway, output in outputs.items():
        values = output.transpose(0, 1).flatten(1).double()  # (C, all the rest)
        variance = (values - values.mean(1, True)).square().mean(1)
        for name, expected in (("mean", values.mean(1)), ("var", variance)):
            measured = found.models[0][f"{pathway}.conv1.bn.running_{name}"].double()
            torch.testing.assert_close(measured, expected, rtol=1e-3, atol=1e-5)


def test_the_recipe_s_epochs_are_taken_and_the_model_is_left_to_be_used():
    model = tiny_model()
    recipe = replace(RUNNING, schedule=replace(SCHEDULE, epochs=3))
    history = train_slowfast(model, tiny_loader(4), recipe=recipe, execution=QUIET)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert not any(module.training for module in model.modules())


def test_fewer_epochs_shorten_the_warm_up_in_proportion(monkeypatch):
    """Of 1 in 4 epochs, 1/2 in 2: two of eight steps; then half a cosine of two epochs."""
    rates = []

    class Told(Stepper):
        def __call__(self, passes, number, rate):
            rates.append((number, rate))
            return super().__call__(passes, number, rate)

    monkeypatch.setattr(loop, "Stepper", Told)
    history = train(tiny_model(), tiny_loader(16, batch=4), 2, RUNNING)
    cosine = [0.02 * (1 + math.cos(math.pi * i / 8)) / 2 for i in range(8)]
    expected = [0.002, (0.002 + cosine[2]) / 2, *cosine[2:]]
    assert [number for number, _ in rates] == list(range(8))
    assert [rate for _, rate in rates] == pytest.approx(expected)
    assert [row["rate"] for row in history] == pytest.approx([expected[3], expected[7]])
