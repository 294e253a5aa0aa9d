"""When something happens in a long video: windows that slide, and what they agree on."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from slowfast_edu.applications.features import clip_rate
from slowfast_edu.applications.predict import (
    combine,
    score_size,
    view_scores,
)
from slowfast_edu.checkpoints import about_of
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.stream import VideoStream
from slowfast_edu.data.transforms import as_clip, center_crop, normalize
from slowfast_edu.data.video import VideoError, probe
from slowfast_edu.sampling import fast_indices, view_starts

VIEWS_AT_ONCE = 4
MOST_SECONDS = 1_000_000  # twelve days


class Window(NamedTuple):
    """A stretch of a video and what a model says of it: float32 (classes,)."""

    start_seconds: float
    end_seconds: float
    probabilities: np.ndarray


class Segment(NamedTuple):
    """From when to when an action goes on, and its mean probability meanwhile."""

    label: str
    start_seconds: float
    end_seconds: float
    confidence: float


class _Plan(NamedTuple):
    """Which frames make up which window.

    ``starts`` are the windows' first frames, ``frames`` their length; ``offsets`` says
    which of its frames a window needs, ``views`` (V, alpha * T) which of those each view.
    """

    starts: list[int]
    frames: int
    offsets: np.ndarray
    views: np.ndarray


def _plan(clip: ClipConfig, video_frames: int, window_frames: int, step: int) -> _Plan:
    """Windows from the first frame on; one more ends with the video if these do not."""
    length = min(window_frames, video_frames)
    starts = [*range(0, video_frames - length + 1, step)]
    if starts[-1] + length < video_frames:
        starts.append(video_frames - length)
    count = -(-length // clip.raw_frames)  # as many clips as cover it
    indices = view_starts(clip, length, count)[:, None] + fast_indices(clip)
    offsets, views = np.unique(np.minimum(indices, length - 1), return_inverse=True)
    return _Plan(starts, length, offsets, views.reshape(indices.shape))


def _in_frames(name: str, seconds: float, frames_per_second: float) -> int:
    if not isinstance(seconds, Real) or not 0 < seconds <= MOST_SECONDS:
        raise ValueError(
            f"{name}={seconds!r} must be a positive number of seconds, at most "
            f"{MOST_SECONDS:,}; try 4"
        )
    return max(1, round(seconds * frames_per_second))


def _sizes(
    clip: ClipConfig, rate: float, window_seconds: float, step_seconds: float | None
) -> tuple[int, int]:
    """Frames of a window and of a step, or what is wrong with them."""
    window = _in_frames("window_seconds", window_seconds, rate)
    if window < clip.raw_frames:
        least = clip.raw_frames / rate
        raise ValueError(
            f"window_seconds={window_seconds:g} is shorter than a clip, which takes "
            f"{clip.raw_frames} frames: {least:.4g} s at {rate:.4g} frames a second; the "
            f"nearest is {np.ceil(100 * least) / 100:g}"
        )
    if step_seconds is None:
        return window, max(1, window // 2)
    step = _in_frames("step_seconds", step_seconds, rate)
    if step > window:
        raise ValueError(
            f"step_seconds={step_seconds:g} leaves gaps between windows of "
            f"{window_seconds:g} s; the nearest is {window_seconds:g}"
        )
    return window, step


def slide(
    model: nn.Module,
    path: str | os.PathLike,
    *,
    window_seconds: float,
    step_seconds: float | None = None,
    frames_per_second: float | None = None,
    size: int | None = None,
    progress: bool = False,
) -> Iterator[Window]:
    """Ask a model about every stretch of a long video, reading it once from end to end.

    A window that is longer than the model's clip is covered by as many clips as it takes,
    spread evenly (middle crop). A last window ends with the video; a shorter video is one
    window. Memory holds the frames of open windows alone, at the model's size.

    Args:
        model: see ``predict_video``.
        path: a file that FFmpeg opens.
        window_seconds: at least a clip's.
        step_seconds: from one window to the next; half a window by default.
        frames_per_second: see ``predict_video``.
        size: the same.
        progress: show a bar on stderr.

    Raises:
        VideoError: the file cannot be read, or a clip at its own rate exceeds a window.
        ValueError: a setting that cannot be.
    """
    size, clip = score_size(model, size), model.config.clip
    rate = clip_rate(model, frames_per_second)
    if rate is None:
        rate = probe(path).frames_per_second  # a variable one becomes steady
        try:
            sizes = _sizes(clip, rate, window_seconds, step_seconds)
        except ValueError as error:
            raise VideoError(f"{path}: {error}") from error
    else:
        sizes = _sizes(clip, rate, window_seconds, step_seconds)
    video = VideoStream(path, rate)
    plan = _plan(clip, video.info.frames, *sizes)
    bar = tqdm(total=len(plan.starts), unit="window", disable=not progress, file=sys.stderr)
    return _judged(model, video, plan, size, bar)


def _judged(
    model: nn.Module, video: VideoStream, plan: _Plan, size: int, bar: tqdm
) -> Iterator[Window]:
    starts, offsets = set(plan.starts), frozenset(plan.offsets.tolist())
    rate, opened = video.info.frames_per_second, deque()
    with bar:
        for number, frame in enumerate(video):
            if number in starts:
                opened.append((number, []))
            wanting = [held for start, held in opened if number - start in offsets]
            if not wanting:
                continue
            square = center_crop(as_clip(frame[None]), size).contiguous()
            for held in wanting:
                held.append(square)
            start, held = opened[0]
            if len(held) == len(offsets):
                opened.popleft()
                bar.update()
                end = start + plan.frames
                yield Window(start / rate, end / rate, _probabilities(model, held, plan))


def _probabilities(model: nn.Module, held: list[Tensor], plan: _Plan) -> np.ndarray:
    """Of one window's frames, each uint8 (1, 3, 1, size, size)."""
    frames = torch.cat(held, dim=2)[0]
    views = frames[:, torch.from_numpy(plan.views)].transpose(0, 1)  # (V, 3, T, H, W)
    parts = views.split(VIEWS_AT_ONCE)
    scores = torch.cat([view_scores(model, normalize(part)) for part in parts])
    return combine(scores, about_of(model).several_labels)


def segments(
    windows: Iterable[Window], classes: Sequence[str], least_seconds: float | None = None
) -> list[Segment]:
    """When each action starts and ends, one at a time.

    At each moment count the probabilities of all windows over it, averaged, and the
    likeliest class. Neighbours of one class are joined. What lasts less than
    ``least_seconds`` is a blip: the shortest first, each falls to the class before or
    after it, whichever is likelier meanwhile. So a boundary is as exact as a step.

    Args:
        windows: of ``slide``.
        classes: names of the probabilities.
        least_seconds: of a segment; by default as long as a window.

    Raises:
        ValueError: no window, a gap between two, or another number of classes.
    """
    windows = list(windows)
    times = sorted({moment for window in windows for moment in window[:2]})
    means = _means(windows, times, len(classes))
    if least_seconds is None:
        least_seconds = min(end - start for start, end, _ in windows)
    labels = _without_blips(means, np.array(times), least_seconds)
    found = []
    for first, last in _runs(labels):
        label, lasting = labels[first], np.diff(times[first : last + 1])
        confidence = np.average(means[first:last, label], weights=lasting)
        found.append(Segment(classes[label], times[first], times[last], float(confidence)))
    return found


def _means(windows: list[Window], times: list[float], classes: int) -> np.ndarray:
    """Between each two of ``times`` the mean of the windows there: (times - 1, classes)."""
    if not windows:
        raise ValueError("windows is empty; give what slide(...) yields")
    place = {moment: number for number, moment in enumerate(times)}
    sums, counts = np.zeros((len(times) - 1, classes)), np.zeros(len(times) - 1)
    for start, end, probabilities in windows:
        if len(probabilities) != classes:
            raise ValueError(
                f"classes has {classes} names, but a window {len(probabilities)} "
                "probabilities"
            )
        sums[place[start] : place[end]] += probabilities
        counts[place[start] : place[end]] += 1
    if not counts.all():
        gap = times[int(np.argmin(counts))]
        raise ValueError(f"windows leave a gap at {gap:g} s; a step is at most a window")
    return sums / counts[:, None]


def _runs(labels: np.ndarray) -> list[tuple[int, int]]:
    """(first, one past the last) of each stretch of equal labels."""
    changes = (np.flatnonzero(np.diff(labels)) + 1).tolist()
    return list(pairwise([0, *changes, len(labels)]))


def _without_blips(means: np.ndarray, times: np.ndarray, least: float) -> np.ndarray:
    """The likeliest label at each time, but for those that last too short."""
    labels = means.argmax(axis=1)
    while len(runs := _runs(labels)) > 1:
        seconds, first, last = min((times[b] - times[a], a, b) for a, b in runs)
        if seconds > least - 1e-6:
            break
        beside = [labels[i] for i in (first - 1, last) if 0 <= i < len(labels)]
        likely = means[first:last].mean(axis=0)
        labels[first:last] = max(beside, key=lambda label: likely[label])
    return labels
