"""Rendered clips as a torch dataset, drawn on the fly or kept on disk."""

import hashlib
import inspect
import io
import operator
import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from slowfast_edu.checks import check_choice, check_count, check_kind
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.batches import KeyframeSample, Sample
from slowfast_edu.data.figures.scene import FRAMES_PER_SECOND
from slowfast_edu.data.figures.tasks import Scene, Task
from slowfast_edu.files import write_whole
from slowfast_edu.sampling import fast_indices, view_starts

SPLITS = ("train", "val", "test")


@cache
def _source_digest(task_module: str) -> str:
    """Of the renderer and of the task's module: what another one has kept is not used."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    own = inspect.getsource(sys.modules[task_module]).encode()
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + own).hexdigest()


def _check_task(task: Task, cached: bool) -> None:
    """Refuse what is no task, or one whose clips on disk nobody could tell apart."""
    if not isinstance(task, Task):
        raise ValueError(f"task={task!r} must be a task, such as Spin()")
    if not cached:
        return
    name = type(task).__name__
    if type(task).__repr__ is object.__repr__:
        raise ValueError(
            f"cache_folder needs a task whose repr says all about it; make {name} a frozen "
            "dataclass"
        )
    try:
        _source_digest(type(task).__module__)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"cache_folder needs the source of {name}, to notice when it changes; move it "
            "into a file"
        ) from error


class MovingFigures(Dataset):
    """Clips of one task: item i is the same on each call, in each worker, on each day.

    Item i has case i modulo ``task.cases``, so that classes are balanced if ``len`` is a
    multiple of it. Everything else is drawn from a generator of (seed, split, i): splits
    share no clip, and the number of workers changes nothing. Only the frames that the
    Fast pathway sees are rendered.

    >>> from slowfast_edu.config import PRESETS
    >>> from slowfast_edu.data.figures import Spin
    >>> data = MovingFigures(Spin(), 40, PRESETS["slowfast_4x16_r50"].clip, size=64)
    >>> data[1].clip.shape, data[1].label, data.classes[data[1].label]
    (torch.Size([3, 32, 64, 64]), 1, 'k=1')
    """

    def __init__(
        self,
        task: Task,
        clips: int,
        clip: ClipConfig,
        *,
        size: int = 112,
        split: str = "train",
        seed: int = 0,
        cache_folder: str | os.PathLike | None = None,
    ):
        """Describe a dataset; nothing is rendered yet.

        Args:
            task: ``Actions()``, ``Spin()``, ``Hue()``, ``Binding()`` or ``Crowd()``.
            clips: how many.
            clip: which raw frames, from raw frame 0.
            size: height and width in pixels.
            split: "train", "val" or "test".
            seed: another one gives other clips.
            cache_folder: where to keep what was rendered; None renders each time.

        Raises:
            ValueError: a count below 1, an unknown split, no task, a clip with which the
                task would not be what it says, or a task that cannot be kept on disk.
        """
        check_kind("clip", clip, ClipConfig)
        check_count("clips", clips, least=1)
        check_count("size", size, least=16)
        check_count("seed", seed, least=0)
        check_choice("split", split, SPLITS)
        _check_task(task, cached=cache_folder is not None)
        task.check(clip)
        self.task, self.clips, self.clip, self.size = task, clips, clip, size
        self.split, self.seed = split, seed
        self.cache_folder = None if cache_folder is None else Path(cache_folder)

    @property
    def classes(self) -> tuple[str, ...]:
        """The task's: a label is a place in this list."""
        return self.task.classes

    def __len__(self) -> int:
        return self.clips

    def __getitem__(self, index: int) -> Sample:
        """(clip, label, name): uint8 (3, alpha * T, size, size), not normalised."""
        scene = self.scene(index)
        clip = torch.from_numpy(scene.frames).permute(3, 0, 1, 2)
        label = scene.label
        label = torch.from_numpy(label) if isinstance(label, np.ndarray) else label
        return Sample(clip, label, f"{self.split}/{index % self.clips}")

    def scene(self, index: int) -> Scene:
        """Frames and all that is known of them.

        Raises:
            IndexError: no such clip.
        """
        index = operator.index(index)
        if not -self.clips <= index < self.clips:
            raise IndexError(f"index={index} must lie in 0 to {self.clips - 1}")
        index %= self.clips
        if self.cache_folder is None:
            return self.render(index)
        path = self.cache_folder / self._key() / f"{index}.npz"
        scene = _load(path)
        if scene is None or scene.frames.shape != self._shape:
            scene = self.render(index)  # not there, or damaged
            _save(path, scene)
        return scene

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return self.clip.fast_frames, self.size, self.size, 3

    def render(self, index: int, times: np.ndarray | None = None) -> Scene:
        """Draw scene ``index`` at raw frames ``times``, by default those of its clip."""
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), index])
        times = fast_indices(self.clip) if times is None else times
        return self.task.render(index % self.task.cases, rng, times, self.size)

    def _key(self) -> str:
        """A folder's name for everything that a clip depends on but its number."""
        source = _source_digest(type(self.task).__module__)
        told = (self.task, self.clip, self.size, self.split, self.seed, source)
        digest = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        return f"{type(self.task).__name__.lower()}-{self.size}-{digest}"


class FigureViews(Dataset):
    """Several clips of each video of a ``MovingFigures``, spread evenly, for testing.

    A sample's clip has shape (V, C, T, H, W), as in ``VideoViews``. Average the softmax
    over V.

    >>> from slowfast_edu.config import PRESETS
    >>> from slowfast_edu.data.figures import Actions
    >>> figures = MovingFigures(Actions(), 10, PRESETS["slowfast_tiny"].clip, size=32)
    >>> FigureViews(figures, views=3)[0].clip.shape
    torch.Size([3, 3, 16, 32, 32])
    """

    def __init__(self, figures: MovingFigures, views: int = 10, video_frames: int = 300):
        """Describe the views; nothing is rendered yet.

        Args:
            figures: whose videos; item i shows the same scene as there.
            views: clips of each video.
            video_frames: length of the videos, at 30 frames a second.

        Raises:
            ValueError: a count below 1.
        """
        self.figures, self.views = figures, views
        starts = view_starts(figures.clip, video_frames, views)
        self.times = starts[:, None] + fast_indices(figures.clip)  # (V, T)

    def __len__(self) -> int:
        return len(self.figures)

    def __getitem__(self, index: int) -> Sample:
        """(clips, label, name): uint8 (V, 3, alpha * T, size, size), not normalised."""
        scene = self.figures.render(index, self.times.ravel())
        frames = torch.from_numpy(scene.frames).unflatten(0, self.times.shape)
        name = f"{self.figures.split}/{index}"
        return Sample(frames.permute(0, 4, 1, 2, 3), scene.label, name)


class FigureKeyframes(Dataset):
    """Who does what where: the boxes and actions of each figure of a ``Crowd``.

    The keyframe is raw frame T * tau / 2 of the clip, as in ``KeyframeClips``. Load with
    ``collate_fn=collate_keyframes``.

    Args:
        figures: of ``Crowd()``; item i shows the same scene as there.

    >>> from slowfast_edu.config import PRESETS
    >>> from slowfast_edu.data.figures import Crowd
    >>> crowd = MovingFigures(Crowd(), 3, PRESETS["slowfast_tiny"].clip, size=32)
    >>> sample = FigureKeyframes(crowd)[1]
    >>> sample.boxes.shape, sample.labels.shape
    (torch.Size([3, 4]), torch.Size([3, 10]))
    """

    def __init__(self, figures: MovingFigures):
        self.figures = figures

    def __len__(self) -> int:
        return len(self.figures)

    def __getitem__(self, index: int) -> KeyframeSample:
        """A sample whose clip is uint8 (3, alpha * T, size, size), not normalised."""
        scene, clip = self.figures.scene(index), self.figures.clip
        if scene.boxes is None:
            raise ValueError(f"task={self.figures.task!r} has no boxes; Crowd() has")
        frames = torch.from_numpy(scene.frames).permute(3, 0, 1, 2)
        boxes = torch.from_numpy(scene.boxes[clip.fast_frames // 2])
        labels = torch.eye(len(self.figures.classes))[torch.from_numpy(scene.actions)]
        seconds = clip.raw_frames // 2 / FRAMES_PER_SECOND
        name = f"{self.figures.split}/{index % len(self)} at {seconds:g} s"
        return KeyframeSample(frames, boxes, labels, name)


def _save(path: Path, scene: Scene) -> None:
    """Write a scene whole or not at all; two workers may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {name: value for name, value in scene._asdict().items() if value is not None}
    content = io.BytesIO()
    np.savez(content, **known)
    write_whole(path, content.getvalue())


def _load(path: Path) -> Scene | None:
    """What was kept, or None; a flipped bit can make the reader raise anything."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            known = {name: kept[name] for name in kept.files}
        if known["label"].ndim == 0:
            known["label"] = int(known["label"])
        return Scene(**known)
    except Exception:
        return None
