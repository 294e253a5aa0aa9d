"""The rendered dataset: balanced, split by seed, alike in every worker and from disk."""

import importlib
import sys
from dataclasses import replace
from io import BytesIO

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
    Scene,
    Spin,
    dataset,
)

CLIP = PRESETS["slowfast_tiny"].clip
TASKS = [Actions(), Spin(), Hue(), Binding(), Crowd()]
SMALL = {"size": 32}


def figures(task=None, clips=8, **settings):
    clip = settings.pop("clip", CLIP)
    return MovingFigures(task or Actions(), clips, clip, **(SMALL | settings))


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_an_item_is_fast_s_frames_with_their_label(task):
    data = figures(task)
    clip, label, name = data[3]
    assert clip.dtype == torch.uint8
    assert clip.shape == (3, CLIP.fast_frames, 32, 32)
    assert name == "train/3"
    assert np.shape(label) == ((10,) if isinstance(task, Crowd) else ())
    assert isinstance(label, torch.Tensor if isinstance(task, Crowd) else int)
    frames = data.scene(3).frames
    assert torch.equal(clip[:, 5], torch.from_numpy(frames[5]).permute(2, 0, 1))


def test_only_what_fast_sees_is_rendered_in_the_size_asked_for(monkeypatch):
    asked = []

    def render(_, case, rng, times, size):
        asked.append((case, list(times), size))
        return Scene(np.zeros((len(times), size, size, 3), dtype=np.uint8), case)

    monkeypatch.setattr(Actions, "render", render)
    figures(clips=40)[23]
    step = CLIP.tau // CLIP.alpha
    assert asked == [(3, list(range(0, CLIP.T * CLIP.tau, step)), 32)]  # ten actions


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


def test_each_clip_has_its_own_place_on_disk(tmp_path):
    data = figures(cache_folder=tmp_path)
    for _ in range(2):
        for index in range(3):
            assert torch.equal(data[index].clip, figures()[index].clip)


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
    monkeypatch.setattr(dataset, "_source_digest", lambda _: "another")
    figures(cache_folder=tmp_path).scene(0)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_change_of_any_file_of_the_renderer_makes_it_another(monkeypatch):
    found = []
    monkeypatch.setattr(dataset.Path, "read_bytes", lambda p: found.append(p.stem) or b"")
    dataset._source_digest.__wrapped__("slowfast_edu.data.figures.tasks")
    assert {"actions", "body", "draw", "scene", "tasks", "wheels"} <= set(found)


def without_arrays():
    file = BytesIO()
    np.savez(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "damage", [b"", b"PK\x03\x04 no zip", b"no zip at all", without_arrays(), None]
)
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


def test_only_fast_s_frames_are_rendered(monkeypatch):
    asked, render = [], Actions.render
    monkeypatch.setattr(Actions, "render", lambda *a: asked.append(a[3]) or render(*a))
    figures().scene(0)
    assert [times.tolist() for times in asked] == [list(range(0, 64, 4))]


def test_the_last_clip_is_also_number_minus_one():
    data = figures()
    assert torch.equal(data[-1].clip, data[7].clip)
    assert data[-1].name == data[7].name


OWN_TASK = """
from dataclasses import dataclass
import numpy as np
from slowfast_edu.data.figures import Scene, Task

LEVEL = 10

@dataclass(frozen=True)
class Own(Task):
    classes = ("only",)

    def _draw(self, case, rng, times, size):
        return Scene(np.full((len(times), size, size, 3), LEVEL, np.uint8), 0)

class Plain(Own):
    __repr__ = object.__repr__
"""


def own_module(folder, name, text, monkeypatch):
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module(name)


def test_clips_of_a_task_whose_source_changed_are_rendered_anew(tmp_path, monkeypatch):
    levels = []
    for level in (10, 20):
        folder = tmp_path / str(level)
        folder.mkdir()
        text = OWN_TASK.replace("LEVEL = 10", f"LEVEL = {level}")
        module = own_module(folder, "own_task", text, monkeypatch)
        data = figures(module.Own(), cache_folder=tmp_path / "cache")
        levels += [int(data.scene(0).frames.max()), int(data.scene(0).frames.max())]
        del sys.modules["own_task"]
        dataset._source_digest.cache_clear()
    assert levels == [10, 10, 20, 20]


def test_a_task_that_cannot_be_known_again_is_not_kept(tmp_path, monkeypatch):
    module = own_module(tmp_path, "plain_task", OWN_TASK, monkeypatch)
    with pytest.raises(ValueError, match="make Plain a frozen dataclass"):
        figures(module.Plain(), cache_folder=tmp_path)
    module.Own.__module__ = "builtins"  # as in a notebook: no file to read
    with pytest.raises(ValueError, match="needs the source of Own"):
        figures(module.Own(), cache_folder=tmp_path)
    assert figures(module.Own())[0].clip.max() == 10  # without a folder both will do


@pytest.mark.parametrize("task", [Spin, "spin", None])
def test_what_is_no_task_is_refused(task):
    with pytest.raises(ValueError, match=r"must be a task, such as Spin\(\)"):
        MovingFigures(task, 4, CLIP)


def test_an_index_may_be_a_number_of_torch():
    data = figures()
    assert [data[i].name for i in torch.tensor([3, 1])] == ["train/3", "train/1"]
    with pytest.raises(TypeError):
        data[1.0]


def test_a_cached_clip_of_another_shape_is_rendered_anew(tmp_path):
    data = figures(cache_folder=tmp_path)
    whole = data.scene(0)
    [path] = tmp_path.rglob("*.npz")
    np.savez(path, frames=whole.frames[:, :-1], label=0)
    assert np.array_equal(data.scene(0).frames, whole.frames)


@pytest.mark.parametrize("place", range(0, 60, 4))
def test_a_flipped_byte_never_stops_a_run(tmp_path, place):
    data = figures(cache_folder=tmp_path, size=16)
    frames = data.scene(0).frames
    [path] = tmp_path.rglob("*.npz")
    content = bytearray(path.read_bytes())
    content[place] ^= 0x5A
    path.write_bytes(content)
    assert data.scene(0).frames.shape == frames.shape


@pytest.mark.parametrize("index", [-9, 8])
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
        ({"clip": 8}, r"clip=8 must be a ClipConfig"),
        ({"task": Spin(tau=8)}, "tau"),
    ],
)
def test_wrong_settings_are_refused_at_once(wrong, message):
    with pytest.raises(ValueError, match=message):
        figures(**wrong)
