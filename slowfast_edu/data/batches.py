"""What a data set gives and what a loader makes of it; bad files travel along, named."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Sample(NamedTuple):
    """One clip (C, T, H, W), or its views (V, C, T, H, W), with its label and name."""

    clip: Tensor
    label: int | Tensor
    name: str


class Problem(NamedTuple):
    """What stands in place of a sample that cannot be read: which, and why."""

    name: str
    message: str


class Batch(NamedTuple):
    """Clips with their labels, and the problems met on the way to them.

    Attributes:
        clips: (B, C, T, H, W), or (B, V, C, T, H, W) of views.
        labels: int64 of shape (B,); of several labels a clip float32 (B, classes).
        names: B names.
        problems: of the samples that are missing. B is smaller by their number, and may
            be 0: a training step skips such a batch.
    """

    clips: Tensor
    labels: Tensor
    names: list[str]
    problems: list[Problem]


class KeyframeSample(NamedTuple):
    """A clip around a keyframe, and who is seen there doing what.

    Attributes:
        clip: (C, T, H, W).
        boxes: float32 of shape (N, 4): x1, y1, x2, y2 as shares of width and height.
        labels: float32 of shape (N, classes), 1 for every action of the box.
        name: the video's name and the second.
    """

    clip: Tensor
    boxes: Tensor
    labels: Tensor
    name: str


class KeyframeBatch(NamedTuple):
    """Clips around keyframes; all boxes in one list, as RoIAlign takes them.

    Attributes:
        clips: (B, C, T, H, W).
        boxes: float32 of shape (N, 5): index of the clip in the batch, x1, y1, x2, y2.
        labels: float32 of shape (N, classes).
        names: B names.
        problems: of the samples that are missing.
    """

    clips: Tensor
    boxes: Tensor
    labels: Tensor
    names: list[str]
    problems: list[Problem]


def collate_clips(samples: Sequence[Sample | Problem]) -> Batch:
    """Put samples together: the ``collate_fn`` of a ``DataLoader``.

    Raises:
        ValueError: clips of different shapes, naming two of them.

    >>> clip = torch.zeros(3, 4, 8, 8)
    >>> batch = collate_clips([Sample(clip, 2, "a.mp4"), Problem("b.mp4", "no such file")])
    >>> batch.clips.shape, batch.labels.tolist(), batch.problems[0].name
    (torch.Size([1, 3, 4, 8, 8]), [2], 'b.mp4')
    """
    good, problems = _split(samples)
    labels = [torch.as_tensor(sample.label) for sample in good]
    labels = torch.stack(labels) if labels else torch.zeros(0, dtype=torch.int64)
    return Batch(_stack(good), labels, [sample.name for sample in good], problems)


def collate_keyframes(samples: Sequence[KeyframeSample | Problem]) -> KeyframeBatch:
    """Put keyframes together: the ``collate_fn`` of a ``DataLoader``.

    Raises:
        ValueError: clips of different shapes, naming two of them.
    """
    good, problems = _split(samples)
    boxes = [torch.zeros(0, 5)]
    for index, sample in enumerate(good):
        clip_index = torch.full((len(sample.boxes), 1), float(index))
        boxes.append(torch.cat([clip_index, sample.boxes], dim=1))
    labels = [sample.labels for sample in good] or [torch.zeros(0, 0)]
    names = [sample.name for sample in good]
    return KeyframeBatch(_stack(good), torch.cat(boxes), torch.cat(labels), names, problems)


def _split(samples: Sequence) -> tuple[list, list[Problem]]:
    problems = [sample for sample in samples if isinstance(sample, Problem)]
    return [sample for sample in samples if not isinstance(sample, Problem)], problems


def _stack(samples: Sequence[Sample | KeyframeSample]) -> Tensor:
    if not samples:
        return torch.zeros(0, 3, 0, 0, 0)
    first = samples[0]
    for sample in samples:
        if sample.clip.shape != first.clip.shape:
            raise ValueError(
                f"{first.name} gives a clip of shape {tuple(first.clip.shape)} and "
                f"{sample.name} one of {tuple(sample.clip.shape)}; crop all to one size, "
                "or load with batch_size=1"
            )
    return torch.stack([sample.clip for sample in samples])


class Preloaded(Dataset):
    """All samples of a small data set, read or rendered once and kept in memory.

    Args:
        dataset: of ``Sample``; one that draws anew in each epoch would no longer do so.
    """

    def __init__(self, dataset: Dataset):
        self.samples = [dataset[index] for index in range(len(dataset))]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample | Problem:
        return self.samples[index]
