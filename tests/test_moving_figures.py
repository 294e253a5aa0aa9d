"""The rendered dataset: balanced, split by seed, alike in every worker and from disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from slowfast_edu.config import PRESETS
from slowfast_edu.data.batches import collate_clips
from slowfast_edu.data.figures import (
    SPLITS,
    Actions,
    Binding,
    Crowd,
    Hue,
    MovingFigures,
    Spin,
    dataset,
)

CLIP = PRESETS["slowfast_tiny"].clip
TASKS = [Actions(), Spin(), Hue(), Binding(), Crowd()]
SMALL = {"size": 32}


def figures(task=None, clips=8, **settings):
    return MovingFigures(task or Actions(), clips, CLIP, **(SMALL | settings))


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_an_item_is_fast_s_frames_with_their_label(task):
    data = figures(task)
    clip, label, name = data[3]
    assert clip.dtype == torch.uint8
    assert clip.shape == (3, CLIP.fast_frames, 32, 32)
    assert name == "train/3"
    assert np.shape(label) == ((10,) if isinstance(task, Crowd) else ())
    frames = data.scene(3).frames
    assert torch.equal(clip[:, 5], torch.from_numpy(frames[5]).permute(2, 0, 1))


@pytest.mark.parametrize("task", TASKS[:4], ids=repr)
def test_classes_are_balanced(task):
    data = figures(task, clips=6 * task.cases, size=16)
    labels = [data[i].label for i in range(len(data))]
    counts = {labels.count(label) for label in range(len(data.classes))}
    assert counts == {len(data) // len(data.classes)}


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_workers_and_order_change_nothing(task):
    data = figures(task)
    batches = [
        next(iter(DataLoader(data, batch_size=8, num_workers=n, collate_fn=collate_clips)))
        for n in (0, 2)
    ]
    assert torch.equal(batches[0].clips, batches[1].clips)
    assert torch.equal(batches[0].labels, batches[1].labels)
    backwards = [data[i].clip for i in reversed(range(8))][::-1]
    assert torch.equal(batches[0].clips, torch.stack(backwards))


def test_splits_and_seeds_share_no_clip():
    sets = [figures(split=split, seed=seed) for split in SPLITS for seed in (0, 1)]
    clips = [data[i].clip.numpy().tobytes() for data in sets for i in range(8)]
    assert len(set(clips)) == len(clips)


def test_a_longer_dataset_begins_with_the_shorter_one():
    assert torch.equal(figures(clips=2)[1].clip, figures(clips=9)[1].clip)


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_the_disk_gives_what_was_rendered_and_renders_once(task, tmp_path, monkeypatch):
    fresh = figures(task).scene(2)
    figures(task, cache_folder=tmp_path).scene(2)
    monkeypatch.setattr(type(task), "render", None)  # a call would raise
    kept = figures(task, cache_folder=tmp_path).scene(2)
    assert type(kept.label) is type(fresh.label)
    for name in kept._fields:
        assert np.array_equal(getattr(kept, name), getattr(fresh, name)), name


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"split": "val"},
        {"size": 33},
        {"task": Actions(style="point_light")},
        {"clip": replace(CLIP, T=2)},
    ],
)
def test_another_dataset_has_another_place_on_disk(change, tmp_path):
    settings = {"task": Actions(), "clips": 4, "clip": CLIP, **SMALL}
    MovingFigures(**settings, cache_folder=tmp_path).scene(0)
    kept = MovingFigures(**settings | change, cache_folder=tmp_path).scene(0)
    assert np.array_equal(kept.frames, MovingFigures(**settings | change).scene(0).frames)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_another_renderer_kept_is_not_used(tmp_path, monkeypatch):
    figures(cache_folder=tmp_path).scene(0)
    monkeypatch.setattr(dataset, "_renderer_version", lambda: "another")
    figures(cache_folder=tmp_path).scene(0)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no zip", None])
def test_a_damaged_file_is_rendered_anew(tmp_path, damage):
    data = figures(cache_folder=tmp_path)
    frames = data.scene(0).frames
    [path] = tmp_path.rglob("*.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-200] if damage is None else damage)
    assert np.array_equal(data.scene(0).frames, frames)
    assert path.read_bytes() == whole
    assert [p.name for p in path.parent.iterdir()] == ["0.npz"]  # nothing left over


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        figures(cache_folder=tmp_path).scene(0)
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize("index", [-1, 8])
def test_an_index_outside_is_refused(index):
    with pytest.raises(IndexError, match="0 to 7"):
        figures()[index]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips": 0}, "clips=0"),
        ({"size": 8}, "size=8"),
        ({"seed": -1}, "seed=-1"),
        ({"split": "dev"}, "train"),
        ({"task": Spin(tau=8)}, "tau"),
    ],
)
def test_wrong_settings_are_refused_at_once(wrong, message):
    with pytest.raises(ValueError, match=message):
        figures(**wrong)
