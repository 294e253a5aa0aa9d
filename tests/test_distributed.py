"""Two processes against one: passes shared out, equal weights, statistics of rank 0."""

import copy
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from training_script import (
    CLASSES,
    QUIET,
    RECIPE,
    Noise,
    compare_steps,
    one_thread,
    second_pass,
    tiny_loader,
    tiny_model,
    train,
    train_to_the_end,
    whole_passes,
    wide_model,
)

from slowfast_edu.data.batches import collate_clips
from slowfast_edu.training import batches, distributed, evaluation_loader, loop, step
from slowfast_edu.training.batches import (
    ShardedBatches,
    batches_a_step,
    check_loader,
    epoch_of,
    training_loader,
)
from slowfast_edu.training.recipe import apply_to_model
from slowfast_edu.training.step import Stepper

SCRIPT = Path(__file__).with_name("training_script.py")
TIMES = ("data_seconds", "compute_seconds", "clips_per_second")


def processes(monkeypatch, world, rank):
    monkeypatch.setattr(batches, "world_size", lambda: world)
    monkeypatch.setattr(batches, "rank", lambda: rank)


def shares(monkeypatch, world, length, clips, batch, epoch=0, first_step=0):
    """The passes of each step, in the order of ranks."""
    each = []
    for rank in range(world):
        processes(monkeypatch, world, rank)
        sampler = ShardedBatches(length, clips, batch, seed=5)
        sampler.set_epoch(epoch, first_step)
        own = list(sampler)
        each.append(
            [own[i : i + sampler.passes] for i in range(0, len(own), sampler.passes)]
        )
        if not first_step:
            assert len(own) == len(sampler)
    return [[one for own in step for one in own] for step in zip(*each, strict=True)]


@pytest.mark.parametrize("length", [64, 70])
def test_each_step_has_the_same_passes_on_any_number_of_processes(monkeypatch, length):
    for epoch in (0, 3):
        alone = shares(monkeypatch, 1, length, 2, 8, epoch)
        assert len(alone) == length // 8
        for world in (2, 4):
            assert shares(monkeypatch, world, length, 2, 8, epoch) == alone
            later = shares(monkeypatch, world, length, 2, 8, epoch, first_step=5)
            assert later == alone[5:]
        clips = [index for step in alone for one in step for index in one]
        assert len(clips) == len(set(clips)) == length // 8 * 8
        assert set(clips) <= set(range(length))


def test_the_order_is_new_in_each_epoch_and_seed_and_the_same_in_a_rerun(monkeypatch):
    one = [shares(monkeypatch, 1, 64, 2, 8, epoch) for epoch in range(4)]
    assert all(a != b for i, a in enumerate(one) for b in one[:i])
    assert one == [shares(monkeypatch, 1, 64, 2, 8, epoch) for epoch in range(4)]
    assert list(ShardedBatches(64, 2, 8, seed=0)) != list(ShardedBatches(64, 2, 8, seed=1))
    assert list(ShardedBatches(16, 2, 4)) == whole_passes(16)


@pytest.mark.parametrize(
    "world,given,message",
    [
        (1, (64, 8, 12), "batch=12 must be a multiple of 8: .* nearest: 8 and 16"),
        (2, (64, 8, 24), "multiple of 16: 8 clips a pass times 2 .* nearest: 16 and 32"),
        (4, (64, 8, 8), "multiple of 32: .* nearest: 32$"),
        (1, (7, 4, 8), "batch=8 is more than the 7 clips there are"),
        (1, (7, 0, 8), "clips=0 must be a whole number of at least 1"),
        (1, (0, 1, 1), "length=0 must be"),
        (1, (8, 1, 1.5), "batch=1.5 must be"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(monkeypatch, world, given, message):
    processes(monkeypatch, world, 0)
    with pytest.raises(ValueError, match=message) as caught:
        ShardedBatches(*given)
    assert "\n" not in str(caught.value)


def test_loaders_that_would_train_on_other_clips_are_refused(monkeypatch):
    with pytest.raises(TypeError, match="train_loader is a list, must be a DataLoader"):
        check_loader([1, 2], 8)
    with pytest.raises(
        ValueError, match=r"batch_size=12 .* bn_clips=8; the nearest are 8 and 16"
    ):
        check_loader(DataLoader(Noise(), 12), 8)
    own = DataLoader(Noise(), batch_sampler=[[0, 1], [2, 3]])
    with pytest.raises(ValueError, match="does not say how many clips a batch has"):
        check_loader(own, 8)
    with pytest.raises(ValueError, match=r"accumulate=3, but .* takes 2 passes"):
        batches_a_step(tiny_loader(), 3)
    assert batches_a_step(tiny_loader(), 2) == batches_a_step(tiny_loader(), None) == 2
    processes(monkeypatch, 2, 0)
    with pytest.raises(ValueError, match="each of 2 processes would train on all clips"):
        check_loader(DataLoader(Noise(), 2, shuffle=True), 8)
    shared = torch.utils.data.DistributedSampler(Noise(), 2, 0)
    check_loader(DataLoader(Noise(), 2, sampler=shared), 8)
    check_loader(training_loader(Noise(), 2, 4), 2)


def test_a_training_loader_is_what_was_asked_for():
    loader = training_loader(Noise(), 2, 4, workers=1, seed=7)
    assert loader.num_workers == 1
    assert list(loader.batch_sampler) == list(ShardedBatches(16, 2, 4, seed=7))
    state = torch.get_rng_state()
    next(iter(tiny_loader()))  # which others may have seeded
    assert torch.equal(torch.get_rng_state(), state)


class Drawing(Noise):
    """Each clip is one number from the generator that all share."""

    def __getitem__(self, index):
        return torch.rand(())


def epochs_of(monkeypatch, loader):
    """What a loader gives to one process, to another, in another epoch, of another seed."""
    found = []
    for rank, epoch, seed in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        processes(monkeypatch, 2, rank)
        found.append(torch.cat(list(epoch_of(loader, seed, epoch, 0))).tolist())
    return found


def test_what_a_data_set_draws_is_new_and_the_same_in_a_rerun(monkeypatch):
    """Whatever was drawn before."""
    loader = DataLoader(Drawing(6), 2)
    found = epochs_of(monkeypatch, loader)
    assert len({number for numbers in found for number in numbers}) == 4 * 6
    torch.manual_seed(99)
    assert epochs_of(monkeypatch, loader) == found


@pytest.mark.parametrize("own", [True, False])
def test_a_shuffled_order_is_new_and_the_same_in_a_rerun(monkeypatch, own):
    generator = torch.Generator() if own else None
    loader = DataLoader(range(30), 2, shuffle=True, generator=generator)
    found = epochs_of(monkeypatch, loader)
    assert all(sorted(order) == list(range(30)) for order in found)
    assert len({tuple(order) for order in found}) == 4
    torch.manual_seed(99)
    assert epochs_of(monkeypatch, loader) == found


def test_a_sampler_that_knows_of_epochs_is_told():
    class Told(torch.utils.data.SequentialSampler):
        def set_epoch(self, epoch):
            told.append(epoch)

    told = []
    loader = DataLoader(Noise(4), 2, sampler=Told(range(4)), collate_fn=collate_clips)
    train(tiny_model(), loader, 2, replace(RECIPE, precise_bn_batches=0))
    assert told == [0, 1]


def test_only_the_last_pass_of_a_step_exchanges_gradients(monkeypatch):
    """Of a loader whose batches are shared out, too; the passes before it wait."""
    seen = []

    class Exchange(nn.Module):
        """Stands for DistributedDataParallel."""

        def __init__(self, model):
            super().__init__()
            self.model, self.waits = model, False

        @contextmanager
        def no_sync(self):
            self.waits = True
            yield
            self.waits = False

        def forward(self, clips):
            seen.append("waits" if self.waits else "exchanges")
            return self.model(clips)

    class Exchanging(Stepper):
        def __init__(self, *given):
            super().__init__(*given)
            self.network = self.exchange = Exchange(self.model)

    monkeypatch.setattr(loop, "Stepper", Exchanging)
    loader = DataLoader(Noise(8), 4, collate_fn=collate_clips)
    recipe = replace(RECIPE, precise_bn_batches=0)
    train(tiny_model(), loader, 1, recipe, replace(QUIET, accumulate=2))
    assert seen == ["waits", "waits", "waits", "exchanges"]


def test_dropout_of_a_pass_is_the_same_on_whichever_process_it_runs(monkeypatch):
    def losses(passes):
        batch = collate_clips([Noise()[0], Noise()[1]])
        stepper = Stepper(tiny_model().train(), RECIPE, QUIET, passes)
        both = [(batch, number == passes - 1) for number in range(passes)]
        return [loss for loss, _, _ in stepper(both, step=0, rate=0.0)]

    alone = losses(4)
    assert len(set(alone)) == 4
    for number in (0, 1):
        monkeypatch.setattr(step, "rank", lambda own=number: own)
        assert losses(2) == alone[2 * number : 2 * number + 2]


def test_only_the_first_rank_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "rank", lambda: 1)
    val = evaluation_loader(Noise(3, seed=1), 1)
    train(tiny_model(), tiny_loader(4), 1, folder=tmp_path, val_loader=val)
    assert list(tmp_path.iterdir()) == []


def test_each_process_of_a_machine_has_a_device_of_its_own(monkeypatch):
    """By its number on this machine, not among all; Apple's has no number."""
    gpu, apple = [False], [False]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu[0])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple[0])
    assert distributed.default_device() == torch.device("cpu")
    apple[0] = True
    assert distributed.default_device() == torch.device("mps")
    of_torchrun = {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "16", "RANK": "11"}
    for name, value in (of_torchrun | {"LOCAL_RANK": "3"}).items():
        monkeypatch.setenv(name, value)
    assert distributed.default_device() == torch.device("cpu")
    gpu[0] = True
    assert distributed.default_device() == torch.device("cuda", 3)
    monkeypatch.delenv("LOCAL_RANK")
    assert distributed.default_device() == torch.device("cuda", 0)


def test_processes_that_are_not_joined_know_who_they_are_and_gather_nothing(monkeypatch):
    assert distributed.gather("a") == ["a"]
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert (distributed.rank(), distributed.world_size()) == (1, 2)
    with pytest.raises(RuntimeError, match="several processes run; do this inside 'with "):
        distributed.gather("a")


def torchrun(*given, restarts=0):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--max-restarts", str(restarts), str(SCRIPT)]
    command += map(str, given)
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.Popen(
        command,
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = run.communicate(timeout=160)[1]
    except subprocess.TimeoutExpired:
        run.terminate()  # it ends its processes, which have groups of their own
        with suppress(subprocess.TimeoutExpired):
            run.wait(20)
        os.killpg(run.pid, signal.SIGKILL)
        pytest.fail(f"torchrun hangs\n{run.communicate()[1]}")
    assert run.returncode == 0, said
    return said


def assert_same_run(folder, other):
    found, expected = (
        torch.load(one / "last.pt", weights_only=True) for one in (folder, other)
    )
    for name, value in expected["model"].items():
        assert torch.equal(found["model"][name], value), name
    for number, value in expected["optimizer"]["state"].items():
        momentum = found["optimizer"]["state"][number]["momentum_buffer"]
        assert torch.equal(momentum, value["momentum_buffer"])
    for one, same in zip(
        found["progress"]["history"], expected["progress"]["history"], strict=True
    ):
        assert one.keys() == same.keys() and one.keys() > {"train_loss", "val_top1"}
        assert {k: one[k] for k in one if k not in TIMES} == {
            k: same[k] for k in same if k not in TIMES
        }
    assert found["progress"]["best"] == expected["progress"]["best"]


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """(folder, what torchrun said) of two processes; to start them takes the most time."""
    folder = tmp_path_factory.mktemp("two")
    return folder, torchrun("two", folder, restarts=3)


@pytest.fixture(scope="module")
def compared(launched, tmp_path_factory):
    """(folders of two processes, those of one)."""
    one = tmp_path_factory.mktemp("one")
    with one_thread():
        compare_steps(one)
    return launched[0], one


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", ["20 steps", "clipped", "one step", "no clip"])
def test_two_processes_and_one_that_accumulates_are_equal_bit_for_bit(compared, case):
    two, one = (folder / case for folder in compared)
    assert_same_run(two, one)
    if case == "20 steps":
        state = torch.load(two / "last.pt", weights_only=True)
        assert [row["epoch"] for row in state["progress"]["history"]] == [1, 2, 3, 4, 5]
    first, other = (torch.load(two / f"rank{rank}.pt") for rank in (0, 1))
    for name, value in first.items():
        assert torch.equal(other[name], value), name


class GroupedNorm(nn.Module):
    """Batch normalisation of each two clips on their own, by its definition."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, clips):
        groups = clips.unflatten(0, (-1, 2))
        mean = groups.mean(dim=(1, 3, 4, 5), keepdim=True)
        variance = (groups - mean).square().mean(dim=(1, 3, 4, 5), keepdim=True)
        found = ((groups - mean) / (variance + self.eps).sqrt()).flatten(0, 1)
        return found * self.weight.view(-1, 1, 1, 1) + self.bias.view(-1, 1, 1, 1)


def group_norms(module):
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm3d):
            setattr(module, name, GroupedNorm(child))
        else:
            group_norms(child)


def a_step_by_hand(model, gradients, rate):
    """SGD's first with Nesterov: speed is the gradient; what decays is not BN's."""
    plain = {id(w) for m in model.modules() if hasattr(m, "eps") for w in m.parameters()}
    for weight, grad in zip(model.parameters(), gradients, strict=True):
        grad = grad + (0 if id(weight) in plain else 1e-4) * weight.detach()
        weight.data -= rate * (grad + 0.9 * grad)


def fresh():
    model = wide_model()
    apply_to_model(replace(RECIPE, dropout=0.0), model)
    return model.train()


RATE = 0.002  # of the first step


@pytest.mark.timeout(180)
def test_two_processes_and_one_whole_batch_in_the_same_groups_are_near(compared):
    model = fresh()
    group_norms(model)
    batch = collate_clips([Noise(4)[i] for group in whole_passes(4) for i in group])
    with one_thread():
        loss = F.cross_entropy(model(batch.clips), batch.labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
    before = [weight.detach().clone() for weight in model.parameters()]
    a_step_by_hand(model, gradients, RATE)
    found = torch.load(compared[0] / "one step" / "rank0.pt")
    moved = []
    for (name, weight), old in zip(model.named_parameters(), before, strict=True):
        torch.testing.assert_close(found[name], weight.detach(), rtol=1e-5, atol=1e-5)
        moved.append(bool((weight - old).abs().max() > 3e-5))
    assert sum(moved) > len(moved) / 4  # or near would say nothing


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case,halves", [("one step", 1), ("no clip", 0)])
def test_bn_s_statistics_are_the_first_pass_s_and_an_empty_pass_adds_nothing(
    compared, case, halves
):
    model, gradients = fresh(), []
    untouched = copy.deepcopy(model)
    for number, clips in enumerate(whole_passes(4)):
        batch = collate_clips([Noise(4)[i] for i in clips])
        with one_thread():
            run = untouched if number else model
            loss = F.cross_entropy(run(batch.clips), batch.labels) / 2
            gradients.append(torch.autograd.grad(loss, list(run.parameters())))
    sums = [one + halves * other for one, other in zip(*gradients, strict=True)]
    a_step_by_hand(model, sums, RATE)
    found = torch.load(compared[0] / case / "rank1.pt")
    for name, value in model.state_dict().items():
        if "running" in name or "num" in name:
            assert torch.equal(found[name], value), name
        else:
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
    assert second_pass() == whole_passes(4)[1]


@pytest.mark.timeout(180)
def test_a_rank_that_is_killed_is_started_again_with_the_same_result(launched, tmp_path):
    folder, said = launched
    assert (folder / "died.died").exists()  # the marker: a rank did kill itself
    assert "exitcode: -9" in said
    with one_thread():
        train_to_the_end(tmp_path, workers=0, epochs=2)
    assert_same_run(folder / "died", tmp_path)


def test_an_epoch_without_a_clip_is_refused():
    with pytest.raises(ValueError, match="none of 4 clips could be read; load with bad="):
        train(tiny_model(), tiny_loader(4, bad=range(4)), 1)


def test_an_empty_pass_changes_neither_gradients_nor_statistics():
    recipe = replace(RECIPE, dropout=0.0)
    stepper = Stepper(tiny_model().train(), recipe, QUIET, passes=1)
    before = {k: v.clone() for k, v in stepper.model.state_dict().items()}
    empty = collate_clips([Noise(bad=(0,))[0]])
    assert stepper([(empty, True)], step=0, rate=0.0) == [(0.0, 0, 0)]
    for name, value in stepper.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad.eq(0).all() for weight in stepper.model.parameters())
    assert stepper.model.head.projection.out_features == CLASSES
