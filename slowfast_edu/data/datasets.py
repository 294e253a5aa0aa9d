"""Data sets of video files, over what the readers of annotations return.

For another format write a function that returns ``Annotations``; these classes serve it.
A file that cannot be read raises ``VideoError``, or with ``bad="skip"`` gives a
``Problem`` in the place of its sample. No other video is put there. Load with
``collate_fn=collate_clips`` (``collate_keyframes`` for ``KeyframeClips``).
"""

from collections.abc import Callable
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from slowfast_edu.checks import check_choice, check_count, check_kind
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.annotations import Annotations
from slowfast_edu.data.ava import KeyframeAnnotations
from slowfast_edu.data.batches import KeyframeSample, Problem, Sample
from slowfast_edu.data.transforms import (
    EvalTransform,
    TrainTransform,
    as_clip,
    normalize,
    resize_short_side,
)
from slowfast_edu.data.video import Video, VideoError
from slowfast_edu.sampling import SHORT_RULES, exact_rate, last_start, random_start

BAD = ("raise", "skip")
Label = int | Tensor  # of several labels float32 (classes,)
LabelledTransform = Callable[[np.ndarray, Label, np.random.Generator], tuple[Tensor, Label]]


class _VideoFiles(Dataset):
    """What the data sets share: a sample by number, or its ``Problem``."""

    def __init__(
        self,
        annotations: Annotations | KeyframeAnnotations,
        names: list[str],
        clip: ClipConfig,
        frames_per_second: float | None,
        bad: str,
    ):
        check_kind("clip", clip, ClipConfig)
        check_choice("bad", bad, BAD)
        if frames_per_second is not None:
            exact_rate(frames_per_second)
        if not names:
            raise ValueError("annotations list no video; give at least one")
        self.annotations, self.names, self.clip = annotations, names, clip
        self.frames_per_second, self.bad = frames_per_second, bad

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample | KeyframeSample | Problem:
        index = range(len(self))[index]
        try:
            return self._sample(index)
        except VideoError as error:
            if self.bad == "raise":
                raise
            return Problem(self.names[index], str(error))

    def _video(self, name: str) -> Video:
        return Video(Path(self.annotations.root) / name, self.frames_per_second)

    def _sample(self, index: int) -> Sample | KeyframeSample:
        raise NotImplementedError


def _names(annotations: Annotations, short: str) -> list[str]:
    """The videos' names, of annotations and a rule for short ones that are checked."""
    if not isinstance(annotations, Annotations):
        raise ValueError(
            f"annotations is a {type(annotations).__name__}, must be what a reader returns,"
            " such as folder_per_class(root)"
        )
    check_choice("short", short, SHORT_RULES)
    several = annotations.several_labels
    known = set(range(len(annotations.classes)))
    for name, label in annotations.videos:
        if isinstance(label, tuple) != several:
            raise ValueError(
                f"{name} has label={label}; give a tuple to all videos, or none"
            )
        if not known.issuperset(label if several else (label,)):
            raise ValueError(
                f"{name} has label={label}, must be 0 to {len(annotations.classes) - 1}, a "
                "place in annotations.classes"
            )
    return [video.name for video in annotations.videos]


def _target(annotations: Annotations, label: int | tuple[int, ...]) -> int | Tensor:
    """What is learnt: the label, or of several float32 (classes,) with 1 for each."""
    if not isinstance(label, tuple):
        return label
    target = torch.zeros(len(annotations.classes))
    target[list(label)] = 1
    return target


class VideoClips(_VideoFiles):
    """For training: one clip of each video, from a random start (appendix).

    What is random comes from (seed, epoch, index) alone, so the number of workers changes
    nothing. Call ``set_epoch`` before each epoch, or all see the same clips.

    Args:
        annotations: of any reader.
        clip: T, tau, alpha, frame rule.
        transform: (frames (T, H, W, 3), label, rng) -> (clip (C, T, H, W), label).
        frames_per_second: the model's rate; None takes each file at its own.
        short: see ``fit_indices``: "clamp", "loop" or "error".
        bad: "raise" or "skip" files that cannot be read.
        seed: of all that is random.
    """

    def __init__(
        self,
        annotations: Annotations,
        clip: ClipConfig,
        *,
        transform: LabelledTransform = TrainTransform(),
        frames_per_second: float | None = None,
        short: str = "clamp",
        bad: str = "raise",
        seed: int = 0,
    ):
        names = _names(annotations, short)
        super().__init__(annotations, names, clip, frames_per_second, bad)
        check_count("seed", seed, 0)
        self.transform, self.short, self.seed = transform, short, seed
        # In shared memory, so that workers that outlive an epoch learn of the next.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Draw anew: other starts and crops in each epoch, the same again in a rerun."""
        check_count("epoch", epoch, 0)
        self._epoch.fill_(epoch)

    def _sample(self, index: int) -> Sample:
        name, label = self.annotations.videos[index]
        rng = np.random.default_rng([self.seed, int(self._epoch), index])
        video = self._video(name)
        start = random_start(self.clip, video.info.frames, rng)
        frames = video.read_clip(self.clip, start, self.short)
        target = _target(self.annotations, label)
        return Sample(*self.transform(frames, target, rng), name)


class VideoViews(_VideoFiles):
    """For testing: all views of each video, 10 clips x 3 crops by default (appendix).

    A sample's clip has shape (V, C, T, H, W): crops of the first clip, then of the second.
    Average the softmax over V. 30 views of 32 frames at 256 pixels are 755 MB of floats,
    so load one video at a time.

    Args:
        annotations: of any reader.
        clip: T, tau, alpha, frame rule.
        clips: how many, spread evenly over the video.
        transform: frames (T, H, W, 3) -> (crops, C, T, H, W).
        frames_per_second: the model's rate; None takes each file at its own.
        short: see ``fit_indices``: "clamp", "loop" or "error".
        bad: "raise" or "skip" files that cannot be read.
    """

    def __init__(
        self,
        annotations: Annotations,
        clip: ClipConfig,
        *,
        clips: int = 10,
        transform: Callable[[np.ndarray], Tensor] = EvalTransform(),
        frames_per_second: float | None = None,
        short: str = "clamp",
        bad: str = "raise",
    ):
        names = _names(annotations, short)
        super().__init__(annotations, names, clip, frames_per_second, bad)
        check_count("clips", clips, 1)
        self.clips, self.transform, self.short = clips, transform, short

    def _sample(self, index: int) -> Sample:
        name, label = self.annotations.videos[index]
        video = self._video(name)
        clips = video.read_views(self.clip, self.clips, self.short)
        views = torch.cat([self.transform(frames) for frames in clips])
        return Sample(views, _target(self.annotations, label), name)


class KeyframeClips(_VideoFiles):
    """AVA: the clip around each keyframe, with boxes and all labels of each.

    The keyframe is raw frame T * tau / 2 of the clip, as in PySlowFast, but near an end of
    the video the clip begins or ends there (PySlowFast repeats the outermost frame).
    Frames are scaled and not cropped, so boxes stay shares of the picture.

    Args:
        annotations: of ``ava_csv``.
        clip: T, tau, alpha, frame rule.
        size: pixels of the shorter side.
        frames_per_second: the model's rate; None takes each file at its own.
        bad: "raise" or "skip" files that cannot be read.

    Raises:
        ValueError: a moment that is no number of seconds from 0 up, a wrong setting.
    """

    def __init__(
        self,
        annotations: KeyframeAnnotations,
        clip: ClipConfig,
        *,
        size: int = 256,
        frames_per_second: float | None = None,
        bad: str = "raise",
    ):
        keyframes = annotations.keyframes
        for name, seconds, _ in keyframes:
            if not isinstance(seconds, Real) or not 0 <= seconds < float("inf"):
                raise ValueError(f"{name}: seconds={seconds!r} must be a number from 0 up")
        names = [f"{k.name} at {k.seconds:g} s" for k in keyframes]
        super().__init__(annotations, names, clip, frames_per_second, bad)
        check_count("size", size, 1)
        self.size = size

    def _sample(self, index: int) -> KeyframeSample:
        name, seconds, people = self.annotations.keyframes[index]
        video = self._video(name)
        info = video.info
        if seconds >= info.seconds:
            raise VideoError(
                f"{video.path}: the keyframe at {seconds:g} s is after the end at "
                f"{info.seconds:g} s; see first_second of ava_csv"
            )
        start = max(0, video.frame_at(seconds) - self.clip.raw_frames // 2)
        start = min(start, last_start(self.clip, info.frames))
        frames = video.read_clip(self.clip, start)
        clip = normalize(resize_short_side(as_clip(frames), self.size))[0]
        boxes = torch.tensor([person.box for person in people]).reshape(-1, 4)
        labels = torch.zeros(len(people), len(self.annotations.classes))
        for row, person in enumerate(people):
            labels[row, list(person.labels)] = 1
        return KeyframeSample(clip, boxes, labels, self.names[index])
