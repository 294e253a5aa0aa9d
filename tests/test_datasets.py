"""Data sets of video files: which frames they take, how they batch, what they report."""

from itertools import chain

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from slowfast_edu.config import ClipConfig
from slowfast_edu.data.annotations import Annotations, LabelledVideo, folder_per_class
from slowfast_edu.data.ava import Keyframe, KeyframeAnnotations, Person
from slowfast_edu.data.batches import (
    KeyframeSample,
    Problem,
    Sample,
    collate_clips,
    collate_keyframes,
)
from slowfast_edu.data.datasets import KeyframeClips, VideoClips, VideoViews
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.transforms import EvalTransform, TrainTransform, as_clip
from slowfast_edu.data.video import VideoError

CLIP = ClipConfig(T=2, tau=4, alpha=2)  # 8 raw frames; Fast sees 0, 2, 4, 6
STEP = 5  # grey levels from a frame to the next


def make_video(path, frames, height=32, width=48):
    """Frame i is grey, of level STEP * i."""
    path.parent.mkdir(exist_ok=True)
    levels = np.arange(0, STEP * frames, STEP, dtype=np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (frames, height, width, 3))
    write_video(images, path, crf=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    make_video(root / "clap" / "long.mp4", 50)
    make_video(root / "clap" / "short.mp4", 5)
    make_video(root / "walk" / "tall.mp4", 30, height=48, width=32)
    make_video(root / "walk" / "zlast.mp4", 20)
    return root


@pytest.fixture(scope="module")
def annotations(root):
    return folder_per_class(root)


@pytest.fixture
def broken(root):
    """The same with two files that cannot be read, both listed."""
    (root / "empty.mp4").touch()
    videos = [("clap/long.mp4", 0), ("empty.mp4", 0), ("walk/gone.mp4", 1)]
    videos += [("walk/zlast.mp4", 1)]
    listed = tuple(LabelledVideo(*video) for video in videos)
    return Annotations(root, ("clap", "walk"), listed)


def as_bytes(frames, label, rng):
    """A transform that changes nothing, so that frames can be told."""
    return as_clip(frames)[0], label


def frame_numbers(clip):
    return (clip.float().mean(dim=(0, 2, 3)) / STEP).round().int().tolist()


SMALL = TrainTransform(size=16, least=20, most=24)


def batches(dataset, workers, epochs=1, batch_size=2, **settings):
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=workers > 0,
        **{"collate_fn": collate_clips, **settings},
    )
    found = []
    for epoch in range(epochs):
        if isinstance(dataset, VideoClips):
            dataset.set_epoch(epoch)
        found.append(list(loader))
    return found


def test_training_takes_fast_s_frames_from_starts_all_over_the_video(annotations):
    dataset = VideoClips(annotations, CLIP, transform=as_bytes)
    starts = set()
    for epoch in range(150):
        dataset.set_epoch(epoch)
        sample = dataset[2]  # tall, of 30 frames: starts 0 to 22
        numbers = frame_numbers(sample.clip)
        assert numbers == list(range(numbers[0], numbers[0] + 8, 2))
        starts.add(numbers[0])
    assert min(starts) == 0 and max(starts) == 22 and len(starts) > 18
    assert sample.clip.shape == (3, 4, 48, 32)
    assert (sample.label, sample.name) == (1, "walk/tall.mp4")


@pytest.mark.parametrize(
    "short,expected", [("clamp", [0, 2, 4, 4]), ("loop", [0, 2, 4, 1])]
)
def test_a_short_video_is_filled_by_the_rule(annotations, short, expected):
    dataset = VideoClips(annotations, CLIP, transform=as_bytes, short=short)
    assert frame_numbers(dataset[1].clip) == expected
    views = VideoViews(annotations, CLIP, clips=2, transform=as_clip, short=short)
    assert [frame_numbers(view) for view in views[1].clip] == [expected] * 2


@pytest.mark.parametrize("kind", [VideoClips, VideoViews])
def test_a_short_video_can_be_a_problem(annotations, kind):
    assert "has 5" in kind(annotations, CLIP, short="error", bad="skip")[1].message


@pytest.mark.parametrize("rate,step", [(15, 4), (30, 2), (60, 1)])
def test_frames_are_taken_at_the_model_s_rate(annotations, rate, step):
    dataset = VideoClips(annotations, CLIP, transform=as_bytes, frames_per_second=rate)
    numbers = frame_numbers(dataset[0].clip)
    assert numbers == list(range(numbers[0], numbers[0] + 4 * step, step))


def test_views_and_keyframes_are_taken_at_the_model_s_rate_too(annotations, keyframes):
    views = VideoViews(annotations, CLIP, clips=2, transform=as_clip, frames_per_second=15)[
        0
    ].clip  # of 25 frames, every other one of the file: starts 0 and 17
    assert [frame_numbers(view) for view in views] == [[0, 4, 8, 12], [34, 38, 42, 46]]
    sample = KeyframeClips(keyframes, CLIP, size=32, frames_per_second=15)[0]
    levels = (sample.clip * 0.225 + 0.45) * 255
    assert frame_numbers(levels) == [22, 26, 30, 34]  # 1 s is frame 30, the third seen


def test_a_sample_depends_on_seed_epoch_and_place_alone(annotations):
    def draw(seed, epoch, index):
        dataset = VideoClips(annotations, CLIP, transform=SMALL, seed=seed)
        dataset.set_epoch(epoch)
        dataset[0]  # what was read before does not matter
        return dataset[index].clip

    assert torch.equal(draw(1, 2, 0), draw(1, 2, 0))
    for other in (draw(2, 2, 0), draw(1, 3, 0)):
        assert not torch.equal(draw(1, 2, 0), other)


def test_the_number_of_workers_changes_nothing(annotations):
    """Neither in the first epoch nor, with workers that live on, in the next."""
    dataset = VideoClips(annotations, CLIP, transform=SMALL)
    alone, together = (batches(dataset, workers, epochs=2) for workers in (0, 2))
    for first, second in zip(chain(*alone), chain(*together), strict=True):
        assert torch.equal(first.clips, second.clips)
        assert torch.equal(first.labels, second.labels)
        assert first.names == second.names
    assert not torch.equal(alone[0][0].clips, alone[1][0].clips)


def test_a_batch_unpacks_into_clips_and_labels(annotations):
    dataset = VideoClips(annotations, CLIP, transform=SMALL)
    loader = DataLoader(dataset, batch_size=3, collate_fn=collate_clips)
    for (clips, labels, *_), expected in zip(loader, ([0, 0, 1], [1]), strict=True):
        assert clips.shape == (len(expected), 3, 4, 16, 16)
        assert clips.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert labels.tolist() == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_are_reported_and_the_others_are_as_before(broken, workers):
    dataset = VideoClips(broken, CLIP, transform=SMALL, bad="skip")
    first, second = batches(dataset, workers)[0]
    assert first.names == ["clap/long.mp4"] and second.names == ["walk/zlast.mp4"]
    assert first.labels.tolist() == [0] and second.labels.tolist() == [1]
    assert torch.equal(second.clips[0], dataset[3].clip)
    for batch, name in ((first, "empty.mp4"), (second, "walk/gone.mp4")):
        (problem,) = batch.problems
        assert problem.name == name
        assert problem.message.startswith(f"{broken.root / name}: ")


def test_a_batch_of_problems_alone_is_empty(broken):
    (_, empty, _, last) = batches(
        VideoClips(broken, CLIP, bad="skip", transform=SMALL), 0, batch_size=1
    )[0][:4]
    assert empty.clips.ndim == 5 and len(empty.clips) == len(empty.labels) == 0
    assert empty.labels.dtype == torch.int64
    assert empty.names == [] and len(empty.problems) == 1
    assert last.problems == []


@pytest.mark.parametrize("kind", [VideoClips, VideoViews])
def test_bad_files_raise_by_default(broken, kind):
    bad = broken._replace(videos=broken.videos[1:2])
    with pytest.raises(VideoError, match=r"empty\.mp4: the file is empty"):
        batches(kind(bad, CLIP), 0)  # a worker that raises takes 5 s to end


def test_views_are_spread_evenly_and_each_is_cropped(annotations):
    dataset = VideoViews(annotations, CLIP, clips=3, transform=EvalTransform(size=16))
    sample = dataset[0]  # of 50 frames: the last start is 42
    assert sample.clip.shape == (9, 3, 4, 16, 16)
    levels = (sample.clip.mean(dim=(1, 3, 4)) * 0.225 + 0.45) * 255 / STEP
    starts = [0, 0, 0, 21, 21, 21, 42, 42, 42]
    expected = [[start + step for step in (0, 2, 4, 6)] for start in starts]
    assert levels.round().int().tolist() == expected
    (batch,) = batches(dataset, 0, batch_size=4)[0]
    assert batch.clips.shape == (4, 9, 3, 4, 16, 16)
    assert torch.equal(batch.clips[0], sample.clip)


def test_training_takes_224_pixels_and_testing_30_views_by_default(annotations):
    assert VideoClips(annotations, CLIP)[0].clip.shape == (3, 4, 224, 224)
    views = VideoViews(annotations, ClipConfig(T=1, tau=1, alpha=1))[1].clip
    assert views.shape == (30, 3, 1, 256, 256)


def test_clips_of_different_shapes_are_refused_by_name():
    samples = [Sample(torch.zeros(3, 4, 8, width), 0, f"{width}.mp4") for width in (8, 9)]
    with pytest.raises(ValueError, match=r"8\.mp4 gives .* 9\.mp4 one of \(3, 4, 8, 9\)"):
        collate_clips(samples)


def test_an_index_counts_from_either_end(annotations):
    dataset = VideoClips(annotations, CLIP, transform=SMALL)
    assert len(dataset) == 4
    assert torch.equal(dataset[-1].clip, dataset[3].clip)
    with pytest.raises(IndexError):
        dataset[4]


@pytest.mark.parametrize(
    "field,value", [("bad", "swap"), ("seed", -1), ("seed", 0.5), ("clip", 8)]
)
def test_a_wrong_setting_is_refused(annotations, field, value):
    with pytest.raises(ValueError, match=f"{field}={value!r}"):
        VideoClips(annotations, **{"clip": CLIP, field: value})


@pytest.mark.parametrize("dataset", [VideoClips, VideoViews])
def test_what_cannot_work_is_refused_at_once(annotations, dataset):
    wrong = {"frames_per_second": 0, "short": "repeat"}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"{name}="):
            dataset(annotations, CLIP, **{name: value})
    with pytest.raises(ValueError, match=r"is a list, must be what a reader returns"):
        dataset(["a.mp4"], CLIP)
    with pytest.raises(ValueError, match="list no video"):
        dataset(annotations._replace(videos=()), CLIP)
    videos = (annotations.videos[0]._replace(label=7),)
    with pytest.raises(ValueError, match=r"has label=7, must be 0 to 1"):
        dataset(annotations._replace(videos=videos), CLIP)
    root = str(annotations.root)
    assert len(dataset(annotations._replace(root=root), CLIP)[0].clip)


def test_a_wrong_number_of_clips_pixels_or_epochs_is_refused(annotations, keyframes):
    with pytest.raises(ValueError, match="clips=0"):
        VideoViews(annotations, CLIP, clips=0)
    with pytest.raises(ValueError, match="size=0"):
        KeyframeClips(keyframes, CLIP, size=0)
    with pytest.raises(ValueError, match="epoch=-1"):
        VideoClips(annotations, CLIP).set_epoch(-1)


LEFT, RIGHT = (0.0, 0.25, 0.5, 1.0), (0.5, 0.0, 1.0, 0.75)


@pytest.fixture
def keyframes(root):
    people = (Person(LEFT, (0, 2)), Person(RIGHT, ()))
    found = (
        Keyframe("clap/long.mp4", 1.0, people),  # frame 30 of 50
        Keyframe("clap/long.mp4", 0.0, ()),
        Keyframe("clap/long.mp4", 1.6, people[:1]),  # frame 48: the clip ends at 49
        Keyframe("clap/long.mp4", 2.0, people),
    )
    return KeyframeAnnotations(root, ("stand", "walk", "talk"), found)


def test_the_keyframe_is_in_the_middle_of_its_clip(keyframes):
    dataset = KeyframeClips(keyframes, CLIP, size=32)
    numbers = []
    for index in range(3):
        levels = (dataset[index].clip * 0.225 + 0.45) * 255
        numbers.append(frame_numbers(levels)[0])
    assert numbers == [26, 0, 42]  # raw frame 4 of 8 is frame 30; the ends are kept


def test_a_keyframe_at_the_very_end_is_after_it(keyframes):
    found = (Keyframe("walk/tall.mp4", 1.0, ()),)  # its 30 frames end there
    dataset = KeyframeClips(keyframes._replace(keyframes=found), CLIP, size=32)
    with pytest.raises(VideoError, match="at 1 s is after the end at 1 s"):
        dataset[0]


def test_people_come_with_boxes_and_all_their_labels(keyframes):
    sample = KeyframeClips(keyframes, CLIP, size=32)[0]
    assert isinstance(sample, KeyframeSample)
    assert sample.clip.shape == (3, 4, 32, 48)
    assert sample.boxes.tolist() == [list(LEFT), list(RIGHT)]
    assert sample.labels.tolist() == [[1, 0, 1], [0, 0, 0]]
    turned = [k._replace(people=k.people[::-1]) for k in keyframes.keyframes]
    swapped = KeyframeClips(keyframes._replace(keyframes=tuple(turned)), CLIP, size=32)[0]
    assert swapped.labels.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert sample.name == "clap/long.mp4 at 1 s"


def test_boxes_of_a_batch_name_their_clip(keyframes):
    dataset = KeyframeClips(keyframes, CLIP, size=32, bad="skip")
    (batch,) = batches(dataset, 0, batch_size=4, collate_fn=collate_keyframes)[0]
    assert batch.clips.shape == (3, 3, 4, 32, 48)
    assert batch.boxes.tolist() == [[0, *LEFT], [0, *RIGHT], [2, *LEFT]]
    assert batch.labels.shape == (3, 3)
    (problem,) = batch.problems
    assert problem.name == "clap/long.mp4 at 2 s"
    assert "after the end at 1.66667 s; see first_second" in problem.message


def test_keyframes_that_are_problems_alone_make_an_empty_batch():
    batch = collate_keyframes([Problem("a.mp4", "no such file")])
    assert len(batch.clips) == 0 and batch.boxes.shape == (0, 5)
    assert len(batch.labels) == 0 and len(batch.problems) == 1
