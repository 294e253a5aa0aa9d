"""A run that is stopped at any moment and started again ends with the same weights."""

import csv
import errno
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
import training_script
from safetensors.torch import load_file
from torch.utils.data import DataLoader, RandomSampler, WeightedRandomSampler
from training_script import (
    QUIET,
    RECIPE,
    Noise,
    one_thread,
    tiny_loader,
    tiny_model,
    train,
)

from slowfast_edu.checkpoints import CheckpointError, load_checkpoint
from slowfast_edu.data.annotations import Annotations, LabelledVideo
from slowfast_edu.data.batches import Sample, collate_clips
from slowfast_edu.training import (
    Schedule,
    evaluation_loader,
    loop,
    saving,
    training_loader,
)
from slowfast_edu.training.step import Stepper

TIMES = ("data_seconds", "compute_seconds", "clips_per_second")


@pytest.fixture(autouse=True)
def alone():
    with one_thread():
        yield


def state_of(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def told_of(history):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in history]


def assert_same_run(folder, other):
    """Weights, BN's buffers, momentum and what was measured, bit for bit."""
    found, expected = state_of(folder), state_of(other)
    for name, value in expected["model"].items():
        assert torch.equal(found["model"][name], value), name
    for number, value in expected["optimizer"]["state"].items():
        momentum = found["optimizer"]["state"][number]["momentum_buffer"]
        assert torch.equal(momentum, value["momentum_buffer"])
    assert found["optimizer"]["param_groups"] == expected["optimizer"]["param_groups"]
    found, expected = found["progress"], expected["progress"]
    assert told_of(found.pop("history")) == told_of(expected.pop("history"))
    assert found == expected


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Runs of both precisions, whole ones and ones that were killed, of one process."""
    folder, seed = tmp_path_factory.mktemp("killed"), random.randrange(10**6)
    print("seed of the moments:", seed)
    command = [sys.executable, training_script.__file__, "kill", folder, str(seed)]
    with (folder / "said").open("w") as said:  # a pipe would wait for orphans, too
        run = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
    try:
        code = run.wait(210)
    finally:
        # A loader's process whose parent dies before it looked who that is stays for ever.
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    print((folder / "said").read_text())
    assert code == 0
    return folder


@pytest.mark.timeout(220)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_killed_at_any_moment_it_ends_bit_for_bit_as_if_not(killed, precision):
    whole, cut = killed / precision / "whole", killed / precision / "cut"
    assert_same_run(cut, whole)
    best, expected = (load_file(run / "best.safetensors") for run in (cut, whole))
    assert best.keys() == expected.keys()
    assert all(torch.equal(best[name], expected[name]) for name in expected)
    rows = [list(csv.DictReader((f / "log.csv").open())) for f in (cut, whole)]
    assert told_of(rows[0]) == told_of(rows[1])
    assert [row["epoch"] for row in rows[0]] == ["1", "2", "3"]
    assert sorted(os.listdir(cut)) == ["best.safetensors", "last.pt", "log.csv"]


class Stopped(Exception):
    """Stands for a process that ends."""


def stop_before(monkeypatch, step):
    class Stopping(Stepper):
        def __call__(self, batches, number, rate):
            if number == step:
                raise Stopped
            return super().__call__(batches, number, rate)

    monkeypatch.setattr(loop, "Stepper", Stopping)


class Drawing(Noise):
    """Each clip is noise from the generator that all share."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return Sample(sample.clip + torch.randn(()), sample.label, sample.name)


def plain(**given):
    return DataLoader(Drawing(12), batch_size=2, collate_fn=collate_clips, **given)


LOADERS = {
    "ours": lambda: tiny_loader(12),
    "shuffled": lambda: plain(shuffle=True),
    "its own generator": lambda: plain(shuffle=True, generator=torch.Generator()),
    "in order": plain,
    "sampler": lambda: plain(sampler=RandomSampler(range(12), generator=torch.Generator())),
    "weights": lambda: plain(sampler=WeightedRandomSampler([1.0, 2.0] * 6, 12)),
    "workers": lambda: plain(shuffle=True, num_workers=1),
}


@pytest.mark.parametrize("name", LOADERS)
def test_every_kind_of_loader_goes_on_within_an_epoch(tmp_path, monkeypatch, name):
    execution = replace(QUIET, save_every_steps=1)
    if name != "ours":
        execution = replace(execution, accumulate=2)
    for folder, stop in (("whole", None), ("cut", 2), ("cut", 4), ("cut", None)):
        torch.manual_seed(random.randrange(100))  # what was drawn before must not matter
        model = tiny_model()
        loader = LOADERS[name]()
        with monkeypatch.context() as patch:
            stop_before(patch, stop)
            try:
                train(model, loader, 2, execution=execution, folder=tmp_path / folder)
            except Stopped:
                assert state_of(tmp_path / folder)["progress"]["step"] == (stop % 3)
            else:
                assert stop is None
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_the_log_is_whole_though_the_process_ended_before_it_was_written(tmp_path):
    train(tiny_model(), tiny_loader(4), 2, folder=tmp_path)
    log = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").unlink()
    seen = []
    model = tiny_model(seed=1)
    history = train(model, tiny_loader(4), 2, folder=tmp_path, on_epoch=seen.append)
    assert (tmp_path / "log.csv").read_text() == log
    assert len(history) == 2 and seen == []
    for name, value in state_of(tmp_path)["model"].items():
        assert torch.equal(model.state_dict()[name], value)
    assert not model.training


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a run whose first epoch is done."""
    folder = tmp_path_factory.mktemp("begun")

    def stop(history):
        raise Stopped

    with one_thread(), pytest.raises(Stopped):
        train(tiny_model(), tiny_loader(8), 2, folder=folder, on_epoch=stop)
    return folder


OTHERS = {
    "momentum": {"recipe": replace(RECIPE, momentum=0.8)},
    "weight_decay": {"recipe": replace(RECIPE, weight_decay=0.1)},
    "schedule": {"epochs": 3},
    "seed": {"execution": replace(QUIET, seed=1)},
    "batch": {"loader": tiny_loader(8, batch=8)},
    "clips": {"loader": tiny_loader(12)},
    "seed of the loader": {"loader": training_loader(Noise(8), 2, 4, seed=1)},
    "clips of a pass": {
        "loader": DataLoader(Noise(8), 1, collate_fn=collate_clips),
        "execution": replace(QUIET, accumulate=4),
    },
    "model": {"model": tiny_model(fusion="t_sample")},
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_folder_of_another_run_is_refused(begun, name):
    given = {"model": tiny_model(), "loader": tiny_loader(8), "epochs": 2} | OTHERS[name]
    before = (begun / "last.pt").read_bytes()
    message = rf"last.pt is of a run with {name}=.* and this one has .*; choose another"
    with pytest.raises(ValueError, match=message) as caught:
        train(**given, folder=begun)
    assert "\n" not in str(caught.value)
    assert (begun / "last.pt").read_bytes() == before


def test_other_classes_are_refused_too(begun):
    torch.manual_seed(0)
    model = type(tiny_model())(4, config=tiny_model().config)
    with pytest.raises(ValueError, match="is of a run with weights="):
        train(model, tiny_loader(8), 2, folder=begun)


def trained_before(seed, head=0):
    """Not fresh: BN has statistics; the classifier is drawn apart."""
    model = tiny_model(seed=seed)
    model.train()(torch.randn(2, 3, 4, 32, 32))
    torch.manual_seed(head)
    torch.nn.init.normal_(model.head.projection.weight)
    return model


def test_other_first_weights_are_refused_and_the_same_go_on(tmp_path):
    expected = train(trained_before(1), tiny_loader(4), 1, folder=tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    message = r"last.pt is of a run with another --init, or weights, to begin with; choose"
    for other in (trained_before(2), tiny_model()):
        with pytest.raises(ValueError, match=message):
            train(other, tiny_loader(4), 1, folder=tmp_path)
    assert (tmp_path / "last.pt").read_bytes() == before
    # A classifier for new classes is drawn anew, with no seed in a notebook.
    again = train(trained_before(1, head=3), tiny_loader(4), 1, folder=tmp_path)
    assert again == expected


def test_a_fresh_run_refuses_trained_weights_but_not_its_own_model(tmp_path):
    """The cell of a notebook is run again after it was stopped, with the model as it is."""

    def stop(history):
        raise Stopped

    for name, model in {"fresh": tiny_model(), "trained": trained_before(1)}.items():
        folder = tmp_path / name
        with pytest.raises(Stopped):
            train(model, tiny_loader(4), 2, folder=folder, on_epoch=stop)
        assert len(train(model, tiny_loader(4), 2, folder=folder)) == 2
        with pytest.raises(ValueError, match="another --init"):
            train(trained_before(2), tiny_loader(4), 2, folder=folder)


class Listed(Noise):
    """Noise that says which videos it is."""

    def __init__(self, root, videos):
        super().__init__(len(videos))
        listed = tuple(LabelledVideo(*video) for video in videos)
        self.annotations = Annotations(root, ("a", "b"), listed)


def test_other_videos_labels_or_files_are_refused_and_moved_ones_go_on(tmp_path):
    videos = [(f"{number}.mp4", number % 2) for number in range(4)]
    roots = tmp_path / "one", tmp_path / "moved", tmp_path / "other"
    for root, size in zip(roots, (5, 5, 6), strict=True):
        root.mkdir()
        for name, _ in videos:
            (root / name).write_bytes(b"x" * size)

    def run(*listed):
        loader = training_loader(Listed(*listed), 2, 4)
        return train(tiny_model(), loader, 1, folder=tmp_path / "run")

    expected = run(roots[0], videos)
    swapped = [(name, 1 - label) for name, label in videos]
    renamed = [(name.upper(), label) for name, label in videos]
    for other in ((roots[0], swapped), (roots[0], renamed), (roots[2], videos)):
        with pytest.raises(ValueError, match="a run with other videos or labels; choose"):
            run(*other)
    assert run(roots[1], videos) == expected


@pytest.mark.parametrize("field", [f for f in RECIPE.__slots__ if f != "bn_clips"])
def test_every_field_of_the_recipe_is_compared(begun, field):
    told = state_of(begun)["told"]
    assert told[field]
    other = told | {field: "'another'"}
    with pytest.raises(ValueError, match=f"is of a run with {field}="):
        saving.load_state(begun, other)


def test_a_setting_that_the_file_does_not_know_is_told(begun):
    told = state_of(begun)["told"] | {"depth": "14"}
    with pytest.raises(ValueError, match="of a run with depth=None, and this one has 14;"):
        saving.load_state(begun, told)


@pytest.mark.parametrize("keep", [0, 10, 1000, -10_000, -100, -1])
def test_a_cut_last_pt_gives_one_clear_error(begun, tmp_path, keep):
    content = (begun / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(content[:keep])
    with pytest.raises(
        CheckpointError, match=r"last.pt is damaged, .* delete it"
    ) as caught:
        train(tiny_model(), tiny_loader(8), 2, folder=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [{"a": 1}, [torch.zeros(2)], {"told": 3}])
def test_a_foreign_last_pt_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last.pt holds no run to go on with"):
        train(tiny_model(), tiny_loader(8), 2, folder=tmp_path)


def test_last_pt_is_safe_to_read_and_a_checkpoint(begun):
    state = state_of(begun)
    model = tiny_model(seed=1)
    report = load_checkpoint(model, begun / "last.pt")
    assert report.source == "slowfast_edu" and report.head == "loaded"
    assert report.tensors == len(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state["model"][name])


def test_a_folder_that_cannot_be_is_refused_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    stop_before(monkeypatch, 0)  # which would raise Stopped
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            OSError, match=r"cannot be written to .*; choose another"
        ) as caught:
            train(tiny_model(), tiny_loader(4), 1, folder=folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_a_disk_that_cannot_be_written_to_is_told_before_any_work(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    stop_before(monkeypatch, 0)
    message = r"cannot be written to \(Read-only file system\); choose another folder"
    with pytest.raises(OSError, match=message):
        train(tiny_model(), tiny_loader(4), 1, folder=tmp_path)


def test_last_pt_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Or a power cut could leave an empty file in place of the good one."""
    done, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append("synced") or sync(file))
    monkeypatch.setattr(
        os, "replace", lambda one, to: done.append(to.name) or rename(one, to)
    )
    saving.save_state(tmp_path, {"told": {}})
    assert done == ["synced", "last.pt"]


def test_what_ends_while_it_is_evaluated_has_its_steps(tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    val = evaluation_loader(Noise(3, seed=1), 1)
    train(tiny_model(), tiny_loader(8), 1, folder=whole, val_loader=val)

    def stop(*_, **__):
        raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(loop, "evaluate", stop)
        train(tiny_model(), tiny_loader(8), 1, folder=cut, val_loader=val)
    progress = state_of(cut)["progress"]
    assert (progress["epoch"], progress["step"], len(progress["passes"])) == (0, 2, 4)
    stop_before(monkeypatch, 1)
    train(tiny_model(), tiny_loader(8), 1, folder=cut, val_loader=val)
    assert_same_run(cut, whole)


@pytest.mark.parametrize("name", ["last.pt", "best.safetensors", "log.csv"])
def test_a_full_disk_leaves_what_was_saved_last(tmp_path, monkeypatch, name):
    replace_file, allowed = os.replace, [True]

    def full(source, target):
        if os.path.basename(target) == name and not allowed[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", full)
    kept = {}

    def fill(history):
        allowed[0] = False
        kept["state"] = state_of(tmp_path)
        monkeypatch.setattr(saving.Progress, "__setattr__", spoil)

    def spoil(self, field, value):  # every later epoch counts as the best
        object.__setattr__(self, field, -1.0 if field == "best" else value)

    with pytest.raises(OSError, match=rf"{name} could not be written \(No space") as caught:
        train(
            tiny_model(),
            tiny_loader(4),
            3,
            folder=tmp_path,
            on_epoch=fill,
            val_loader=evaluation_loader(Noise(3, seed=1), 3),
        )
    assert "\n" not in str(caught.value) and "Make room and run" in str(caught.value)
    monkeypatch.undo()
    state = state_of(tmp_path)
    done = 1 if name == "last.pt" else state["progress"]["epoch"]
    assert state["progress"]["epoch"] == done >= 1
    assert not list(tmp_path.glob(".*"))
    if name == "last.pt":
        for key, value in kept["state"]["model"].items():
            assert torch.equal(state["model"][key], value)
    load_checkpoint(tiny_model(), tmp_path / "last.pt")
    with one_thread():
        val = evaluation_loader(Noise(3, seed=1), 3)
        train(tiny_model(), tiny_loader(4), 3, folder=tmp_path, val_loader=val)
    assert state_of(tmp_path)["progress"]["epoch"] == 3


def test_what_a_killed_run_had_half_written_is_removed(tmp_path):
    for name in (".last.pt.77.part", ".best.safetensors.77.part"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.part").write_text("mine")
    train(tiny_model(), tiny_loader(4), 1, folder=tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["last.pt", "log.csv", "notes.part"]


def test_no_schedule_is_changed_by_going_on(begun, tmp_path):
    (tmp_path / "last.pt").write_bytes((begun / "last.pt").read_bytes())
    history = train(tiny_model(), tiny_loader(8), 2, folder=tmp_path)
    schedule = Schedule(
        epochs=2, warmup_epochs=0.5, base_rate=0.02, base_batch=4, warmup_rate=0.002
    )
    assert [row["rate"] for row in history] == [schedule.rate(e, 4) for e in (0.5, 1.5)]
