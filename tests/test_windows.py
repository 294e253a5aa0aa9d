"""Long videos: frames one at a time, windows that slide over them, what happens when."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import video_files as files
from hypothesis import given
from hypothesis import strategies as st
from video_files import decode_all, encode, frame_numbers, numbered_frames

from slowfast_edu import PRESETS
from slowfast_edu.applications.windows import Segment, Window, segments, slide
from slowfast_edu.checkpoints import About
from slowfast_edu.claims.shipped import load_shipped
from slowfast_edu.config import ClipConfig
from slowfast_edu.data import decode
from slowfast_edu.data.figures import Actions, MovingFigures
from slowfast_edu.data.stream import VideoStream
from slowfast_edu.data.transforms import as_clip, resize_short_side
from slowfast_edu.data.video import Video, VideoError
from slowfast_edu.sampling import fast_indices, view_starts

OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=20:scenecut=0"}


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """100 frames at 30 fps, with B-frames."""
    return encode(numbered_frames(100), tmp_path_factory.mktemp("stream") / "numbered.mp4")


def shown(stream):
    return [frame_numbers(frame[None])[0] for frame in stream]


@pytest.mark.parametrize("rate", [None, 15, 25, 60, Fraction(30000, 1001), 1])
def test_a_stream_gives_the_frames_that_reading_by_number_gives(numbered, decoded, rate):
    video = Video(numbered, rate)
    whole = video.read_frames(range(video.info.frames))
    decoded.clear()
    streamed = list(VideoStream(numbered, rate))
    assert len(streamed) == len(whole) == video.info.frames
    assert all(np.array_equal(*pair) for pair in zip(streamed, whole, strict=True))
    assert decoded == list(range(len(decoded)))  # from the first on, each once


@pytest.mark.parametrize(
    ("ending", "options"), [("mp4", OPEN_GOP), ("avi", {}), ("ts", OPEN_GOP), ("mkv", {})]
)
def test_a_stream_of_any_kind_is_in_the_order_of_showing(tmp_path, ending, options):
    path = encode(numbered_frames(70), tmp_path / f"v.{ending}", options=options)
    assert shown(VideoStream(path)) == list(range(70))
    halves = [k // 2 for k in range(140)]  # a frame is on screen for two ticks
    assert shown(VideoStream(path, 60)) == halves


def test_a_stream_of_a_variable_rate_is_resampled_by_time(tmp_path):
    gaps = [1 + 7 * i % 5 for i in range(100)]
    stamps = np.cumsum([0, *gaps[:-1]]).tolist(), Fraction(1, 60)
    path = encode(numbered_frames(100), tmp_path / "variable.mp4", stamps=stamps)
    assert shown(VideoStream(path, 60))[:200] == np.repeat(range(100), gaps)[:200].tolist()


def test_a_stream_is_upright(tmp_path):
    stored = encode(numbered_frames(5), tmp_path / "stored.mp4")
    path = files.rotate(stored, tmp_path / "turned.mp4", 90)
    frames = list(VideoStream(path))
    assert [frame_numbers(np.rot90(frame)[None])[0] for frame in frames] == list(range(5))


def test_a_stream_ends_at_a_damaged_frame_with_its_number(tmp_path):
    whole = encode(numbered_frames(60), tmp_path / "whole.mp4", key_frame_every=20)
    keys = [i for i, packet in enumerate(files.packets(whole)) if packet[2]]
    path = files.flip_bits(whole, tmp_path / "bad.mp4", keys[1])
    given = []
    with pytest.raises(VideoError, match=rf"bad\.mp4: frame {keys[1]} is damaged"):
        given.extend(VideoStream(path))
    assert shown(given) == list(range(keys[1]))


def test_a_frame_that_does_not_come_is_not_passed_over(numbered, monkeypatch):
    def losing(*arguments):
        return (found for found in original(*arguments) if found[0] != 7)

    original = decode._numbered
    monkeypatch.setattr(decode, "_numbered", losing)
    given = []
    with pytest.raises(VideoError, match=r"numbered\.mp4: frame 7 could not be decoded"):
        given.extend(VideoStream(numbered))
    assert shown(given) == list(range(7))


@pytest.mark.parametrize("size", [32, 64, 90])
@pytest.mark.parametrize("rate", [None, 12])
def test_small_views_are_the_bytes_of_large_ones_made_small(numbered, size, rate):
    clip = ClipConfig(T=2, tau=32, alpha=4)
    video = VideoStream(numbered, rate)
    small = video.read_small_views(clip, 3, size)
    for got, frames in zip(small, video.read_views(clip, 3), strict=True):
        expected = resize_short_side(as_clip(frames), size)[0].permute(1, 2, 3, 0)
        assert np.array_equal(got, expected.numpy())


class Seeing(torch.nn.Module):
    """Notes the grey of each frame that it sees; its first score is that of the first."""

    def __init__(self, clip, about=About(size=32)):
        super().__init__()
        self.config, self.about, self.seen = SimpleNamespace(clip=clip), about, []
        self.nothing = torch.nn.Parameter(torch.zeros(()))

    def forward(self, clips):
        assert clips.shape[1:] == (3, self.config.clip.fast_frames, 32, 32)
        levels = 255 * (0.225 * clips.mean(dim=(1, 3, 4)) + 0.45)
        self.seen += levels.tolist()
        return torch.stack([levels[:, 0] / 100, 0 * levels[:, 0]], dim=1)


@pytest.fixture(scope="module")
def greys(tmp_path_factory):
    """100 frames at 20 fps, each of another grey."""
    levels = 2 * np.arange(100) + 20
    frames = np.broadcast_to(levels[:, None, None, None], (100, 40, 64, 3))
    path = tmp_path_factory.mktemp("grey") / "grey.mp4"
    return encode(frames.astype(np.uint8), path, rate=20, options={"crf": "0"})


@pytest.fixture(scope="module")
def level(greys):
    """The grey of each frame as it is decoded."""
    levels = decode_all(greys).mean(axis=(1, 2, 3))
    assert np.diff(levels).min() >= 1  # so that a grey tells the frame
    return levels


@pytest.mark.parametrize("rule", ["stride", "linspace"])
@pytest.mark.parametrize(
    ("window", "step", "rate"),
    [
        (0.8, None, None),
        (1.7, None, None),
        (2.5, 1.0, None),
        (4.9, 4.9, 20),
        (1.6, 0.3, 10),
    ],
)
def test_windows_see_the_clips_spread_evenly_in_them(
    greys, level, decoded, rule, window, step, rate
):
    clip = ClipConfig(T=2, tau=8, alpha=4, frame_rule=rule)  # 16 raw frames
    model = Seeing(clip)
    model.train()
    found = list(
        slide(
            model, greys, window_seconds=window, step_seconds=step, frames_per_second=rate
        )
    )
    assert decoded == list(range(len(decoded)))
    rate = rate or 20
    frames, length = 5 * rate, round(window * rate)
    stride = length // 2 if step is None else round(step * rate)
    starts = list(range(0, frames - length + 1, stride))
    if starts[-1] + length < frames:
        starts.append(frames - length)
    views = view_starts(clip, length, int(np.ceil(length / 16)))
    expected = [fast_indices(clip, a + b) * (20 // rate) for a in starts for b in views]
    assert np.allclose(model.seen, level[np.array(expected)], atol=0.1)
    assert model.training
    for start, (begin, end, probabilities) in zip(starts, found, strict=True):
        assert (begin, end) == (start / rate, (start + length) / rate)
        logits = level[(start + views) * (20 // rate)] / 100
        mean = np.mean(1 / (1 + np.exp(-logits)))  # softmax of two
        assert probabilities == pytest.approx([mean, 1 - mean], abs=1e-6)


def test_a_video_shorter_than_a_window_is_one(greys, level):
    model = Seeing(ClipConfig(T=2, tau=8, alpha=4))
    (only,) = slide(model, greys, window_seconds=60)
    assert only[:2] == (0, 5)
    model = Seeing(ClipConfig(T=2, tau=80, alpha=4))  # longer than the video, too
    (only,) = slide(model, greys, window_seconds=8)
    assert only[:2] == (0, 5)
    held = level[[0, 20, 40, 60, 80, 99, 99, 99]]  # on the last frame
    assert np.allclose(model.seen, held, atol=0.1)


def test_of_several_labels_a_window_takes_the_highest_view(greys, level):
    about = About(size=32, several_labels=True)
    model = Seeing(ClipConfig(T=2, tau=8, alpha=4), about)
    (only,) = slide(model, greys, window_seconds=5)
    highest = 1 / (1 + np.exp(-level[84] / 100))  # the last clip begins at frame 84
    assert only.probabilities == pytest.approx([highest, 0.5])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"window_seconds": 0.7},
            "window_seconds=0.7 is shorter than a clip, which takes 16 frames: 0.8 s at 20 "
            "frames a second; the nearest is 0.8",
        ),
        (
            {"window_seconds": 1, "frames_per_second": 12},
            "window_seconds=1 is shorter than a clip, which takes 16 frames: 1.333 s at 12 "
            "frames a second; the nearest is 1.34",
        ),
        (
            {"window_seconds": 2, "step_seconds": 3},
            "step_seconds=3 leaves gaps between windows of 2 s; the nearest is 2",
        ),
        ({"window_seconds": float("nan")}, "window_seconds=nan must be a positive number"),
        ({"window_seconds": 1e7}, "positive number of seconds, at most 1,000,000; try 4"),
        ({"window_seconds": 2, "step_seconds": 0}, "step_seconds=0 must be a positive"),
        ({"window_seconds": 2, "size": 0}, "size=0 must be a whole number of at least 1"),
    ],
)
def test_windows_that_cannot_be_are_refused_before_a_frame_is_read(
    greys, decoded, settings, said
):
    with pytest.raises(ValueError) as caught:
        slide(Seeing(ClipConfig(T=2, tau=8, alpha=4)), greys, **settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert decoded == []


def windows_of(*rows, length=2):
    """A window at each second, of probabilities of "a", "b" and "c"."""
    return [Window(i, i + length, np.array(row)) for i, row in enumerate(rows)]


A, B, C = [1, 0, 0], [0, 1, 0], [0, 0, 1]


def test_segments_are_what_averaged_windows_say():
    # Between 2 s and 3 s windows 1 and 2 count: (0.3, 0.7) and (1, 0) make 0.65 of "a".
    windows = windows_of([0.8, 0.2], [0.3, 0.7], [1, 0], [0, 1], [0.1, 0.9])
    found = segments(windows, "ab", least_seconds=0)
    assert [s.label for s in found] == ["a", "b"]
    assert found[0][1:3] == (0, 4) and found[1][1:3] == (4, 6)
    # Between 3 s and 4 s both are at 0.5: the first of the classes.
    assert found[0].confidence == pytest.approx(np.mean([0.8, 0.55, 0.65, 0.5]))
    assert found[1].confidence == pytest.approx(np.mean([0.95, 0.9]))


def test_confidence_counts_time_and_not_steps():
    windows = [Window(0, 3, np.array([0.9, 0.1])), Window(3, 4, np.array([0.5, 0.5]))]
    assert segments(windows, "ab", 0) == [Segment("a", 0, 4, pytest.approx(0.8))]


def test_blips_fall_to_the_likelier_neighbour():
    nearly = [0.1, 0.35, 0.55]
    windows = windows_of(A, A, A, nearly, B, B, B, length=1)
    times = [(s.label, s.start_seconds, s.end_seconds) for s in segments(windows, "abc", 2)]
    assert times == [("a", 0, 3), ("b", 3, 7)]  # 0.35 of "b" against 0.1 of "a"
    kept = segments(windows, "abc")  # by default as long as a window may be
    assert [s.label for s in kept] == ["a", "c", "b"]
    inside = windows_of(A, A, B, A, A, length=1)
    assert [s[:3] for s in segments(inside, "abc", 2)] == [("a", 0, 5)]


@given(
    st.lists(st.tuples(*[st.floats(0.01, 1)] * 3), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_segments_tile_the_time_and_none_is_a_blip(rows, length, least):
    found = segments(windows_of(*rows, length=length), "abc", least)
    assert found[0].start_seconds == 0
    assert found[-1].end_seconds == len(rows) - 1 + length
    for before, after in pairwise(found):
        assert before.end_seconds == after.start_seconds
        assert before.label != after.label
    if len(found) > 1:
        assert min(s.end_seconds - s.start_seconds for s in found) >= least


def test_windows_that_make_no_timeline_are_refused():
    with pytest.raises(ValueError, match="windows is empty"):
        segments([], "abc")
    with pytest.raises(ValueError, match="classes has 2 names, but a window 3"):
        segments(windows_of(A, B), "ab")
    with pytest.raises(ValueError, match="windows leave a gap at 1 s"):
        segments([Window(0, 1, np.array(A)), Window(2, 3, np.array(B))], "abc")


# Ten minutes: which action for how many seconds.
SCRIPT = (
    ("walk", 41),
    ("box", 67),
    ("jumping_jack", 33),
    ("squat", 52.5),
    ("clap", 48),
    ("windmill", 61.5),
    ("jump", 30),
    ("wave_one_hand", 75),
    ("run", 55),
    ("wave_two_hands", 44),
    ("box", 38.5),
    ("walk", 54.5),
)
BOUNDARIES = np.cumsum([0, *(seconds for _, seconds in SCRIPT)])
WINDOW = 4.0


@pytest.fixture(scope="module")
def long_videos(tmp_path_factory):
    """The first minute, and all ten, at 30 fps and 48 pixels; nobody trained on these."""
    clip = PRESETS["slowfast_tiny"].clip
    figures = MovingFigures(Actions(), 200, clip, size=48, split="test")
    scenes = []
    for number, (action, seconds) in enumerate(SCRIPT):
        index = 10 * number + figures.classes.index(action)
        scenes.append(figures.render(index, np.arange(round(30 * seconds))).frames)
    frames = np.concatenate(scenes)
    assert len(frames) == 18_000
    folder, quick = tmp_path_factory.mktemp("long"), {"preset": "ultrafast"}
    return [
        encode(frames[:count], folder / name, key_frame_every=250, options=quick)
        for name, count in (("one.mp4", 1800), ("ten.mp4", 18_000))
    ]


def true_label(seconds):
    return SCRIPT[int(np.searchsorted(BOUNDARIES, seconds, side="right")) - 1][0]


def test_ten_minutes_are_told_apart_with_the_memory_of_one(long_videos):
    """By the command, with the model that comes along, in one process for both files."""
    command = [sys.executable, "-m", "slowfast_edu", "predict", *map(str, long_videos)]
    ran = subprocess.run(
        [*command, "--window", f"{WINDOW}", "--json"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    one, ten = map(json.loads, ran.stdout.splitlines())
    if one["memory_bytes"] is not None:  # which Windows does not tell
        # Were the frames kept that windows take, it would be over 40 MB more.
        assert ten["memory_bytes"] - one["memory_bytes"] < 20e6
    found = ten["segments"]
    assert [segment["label"] for segment in found] == [action for action, _ in SCRIPT]
    bounds = [0, *(segment["end_seconds"] for segment in found)]
    assert bounds[-1] == 600
    assert np.abs(np.array(bounds) - BOUNDARIES).max() <= WINDOW / 2  # a step
    moments = np.arange(0.05, 600, 0.1)
    told = [found[int(np.searchsorted(bounds, t)) - 1]["label"] for t in moments]
    right = np.mean(
        [true_label(t) == label for t, label in zip(moments, told, strict=True)]
    )
    assert right >= 0.9
    assert [segment["label"] for segment in one["segments"]] == ["walk", "box"]


def test_a_minute_is_decoded_once(long_videos, decoded):
    found = list(slide(load_shipped(), long_videos[0], window_seconds=WINDOW))
    assert decoded == list(range(1800))
    assert [window.start_seconds for window in found] == list(range(0, 57, 2))
