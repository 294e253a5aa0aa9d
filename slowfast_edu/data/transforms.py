"""From decoded frames to what a model takes: scale, crop, flip, normalise.

Every step takes a whole batch of clips (B, C, T, H, W), bytes or floats, and treats all
frames of a clip alike. Bytes are kept to the end, for they are a quarter of the work;
``normalize`` makes floats of them. What is random takes a ``np.random.Generator``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from slowfast_edu.checks import check_choice, check_count, check_frames

MEAN, STD = 0.45, 0.225  # of all channels alike, as PySlowFast and PyTorchVideo use
NO_MIRROR = -1


def as_clip(frames: np.ndarray) -> Tensor:
    """Decoded frames as a batch of one clip, still bytes and without a copy.

    Args:
        frames: uint8 RGB of shape (T, H, W, 3), as ``read_frames`` gives them.

    Returns:
        uint8 of shape (1, 3, T, H, W).

    Raises:
        ValueError: another shape or type.
    """
    check_frames(frames)
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None]


def normalize(frames: np.ndarray | Tensor) -> Tensor:
    """Bytes to numbers around zero: (x / 255 - 0.45) / 0.225.

    Args:
        frames: uint8 RGB of shape (T, H, W, 3), as ``read_frames`` gives them, or a uint8
            tensor (B, C, T, H, W).

    Returns:
        float32 of shape (1, 3, T, H, W), or that of the tensor.

    Raises:
        ValueError: another shape or type.
    """
    clip = frames if isinstance(frames, Tensor) else as_clip(frames)
    if clip.dtype != torch.uint8:
        raise ValueError(
            f"the clip is {clip.dtype}, must be torch.uint8: normalize it once"
        )
    return clip.float().div_(255).sub_(MEAN).div_(STD)  # in place, in the copy


def _sides(clip: Tensor, size: int) -> tuple[int, int]:
    """Height and width of a clip out of which ``size`` pixels are to be made."""
    if clip.ndim != 5 or size < 1:
        raise ValueError(
            f"clip of shape {tuple(clip.shape)} and size={size}: they must be "
            "(B, C, T, H, W) and at least 1 pixel"
        )
    return clip.shape[3], clip.shape[4]


def _sides_to_crop(clip: Tensor, size: int) -> tuple[int, int]:
    height, width = _sides(clip, size)
    if size > min(height, width):
        raise ValueError(
            f"size={size} is more than the shorter side of {height}x{width} pixels; the "
            f"most is {min(height, width)}, or call resize_short_side(clip, {size}) first"
        )
    return height, width


def resize_short_side(clip: Tensor, size: int) -> Tensor:
    """Scale so that the shorter side has ``size`` pixels; the longer one rounds down.

    Bilinear with anti-aliasing, as Pillow does. PySlowFast and PyTorchVideo scale without
    it, but read videos that were shrunk to 256 pixels beforehand with a filter; where a
    clip grows, as in the jitter from there, both are the same.

    Args:
        clip: (B, C, T, H, W); bytes (on the CPU only) come within one level of floats.
        size: pixels of the shorter side.

    Returns:
        (B, C, T, H', W') of the same type.

    Raises:
        ValueError: another rank, or a size below 1.
    """
    height, width = _sides(clip, size)
    short = min(height, width)
    if short == size:
        return clip
    scaled = height * size // short, width * size // short
    images = clip.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
    images = F.interpolate(images, size=scaled, mode="bilinear", antialias=True)
    return images.unflatten(0, (clip.shape[0], clip.shape[2])).transpose(1, 2)


def random_short_side(
    clip: Tensor, rng: np.random.Generator, least: int = 256, most: int = 320
) -> Tensor:
    """Scale to a shorter side drawn from [least, most], both included (appendix).

    The paper draws from [256, 320], for R101 from [256, 340]. All clips of the batch get
    one size, for a tensor has one. Some releases draw 1 / size evenly, which prefers
    small sizes; this one draws the size, as the paper says.

    Raises:
        ValueError: another rank, or bounds that are not whole numbers in order.
    """
    _check_bounds(least, most)
    return resize_short_side(clip, int(rng.integers(least, most, endpoint=True)))


def _check_bounds(least: int, most: int) -> None:
    check_count("least", least, 1)
    check_count("most", most, least)


def random_crop(clip: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Cut a square out of a random place, drawn for each clip on its own.

    Every place is possible, the last one too (PySlowFast's never takes that one).

    Shape: (B, C, T, H, W) -> (B, C, T, size, size).

    Raises:
        ValueError: another rank, or a square that does not fit.
    """
    height, width = _sides_to_crop(clip, size)
    top = torch.from_numpy(rng.integers(height - size, size=len(clip), endpoint=True))
    left = torch.from_numpy(rng.integers(width - size, size=len(clip), endpoint=True))
    places = clip.unfold(3, size, 1).unfold(4, size, 1)  # a view: (B, C, T, y, x, s, s)
    batch = torch.arange(len(clip))
    return places[batch, :, :, top, left]


def uniform_crop(clip: Tensor, size: int, crop: int) -> Tensor:
    """One of the three squares of testing, spread along the longer side.

    Args:
        clip: (B, C, T, H, W).
        size: pixels of the square.
        crop: 0 (left or top), 1 (middle) or 2 (right or bottom). An odd pixel in the
            middle goes left or above, as in PySlowFast and PyTorchVideo.

    Returns:
        (B, C, T, size, size), a view.

    Raises:
        ValueError: another rank or crop, or a square that does not fit.
    """
    check_choice("crop", crop, (0, 1, 2))
    height, width = _sides_to_crop(clip, size)
    top, left = (height - size + 1) // 2, (width - size + 1) // 2
    if height > width:
        top = (0, top, height - size)[crop]
    else:
        left = (0, left, width - size)[crop]
    return clip[:, :, :, top : top + size, left : left + size]


def three_crop(clip: Tensor, size: int) -> Tensor:
    """All three squares of testing (section 4, "inference": 256 of a shorter side 256).

    Shape: (B, C, T, H, W) -> (3, B, C, T, size, size).

    Raises:
        ValueError: as ``uniform_crop``.
    """
    return torch.stack([uniform_crop(clip, size, crop) for crop in range(3)])


def center_crop(clip: Tensor, size: int) -> Tensor:
    """Scale the shorter side to ``size`` pixels and cut the middle square.

    Shape: (B, C, T, H, W) -> (B, C, T, size, size).

    Raises:
        ValueError: another rank, or a size below 1.
    """
    return uniform_crop(resize_short_side(clip, size), size, 1)


def check_mirror(flipped_labels: Sequence[int | None]) -> Tensor:
    """``flipped_labels`` as int64, -1 for a class without a mirror image.

    Raises:
        ValueError: a label out of range, or one whose mirror image's mirror image is
            another class.

    >>> check_mirror([1, 0, 2, None]).tolist()
    [1, 0, 2, -1]
    """
    mirror = [NO_MIRROR if label is None else label for label in flipped_labels]
    for label, other in enumerate(mirror):
        if other == NO_MIRROR:
            continue
        if other not in range(len(mirror)) or mirror[other] != label:
            raise ValueError(
                f"flipped_labels[{label}]={other!r} must name a class of "
                f"{len(mirror)} whose own entry is {label}, or be -1 or None: flipping "
                "twice gives the clip back"
            )
    return torch.tensor(mirror, dtype=torch.int64)


def random_flip(
    clip: Tensor,
    labels: Tensor,
    rng: np.random.Generator,
    flipped_labels: Sequence[int | None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Mirror each clip left to right with probability 1/2, and its label with it.

    A mirrored "left arm up" is "right arm up". The usual recipe forgets that.

    Args:
        clip: (B, C, T, H, W).
        labels: int64 of shape (B,); any of length B if flipping changes none.
        rng: where the coins come from, one a clip.
        flipped_labels: for each label that of its mirror image; -1 or None where that is
            no class of ours: such clips are never flipped. None: flipping changes no label.

    Raises:
        ValueError: labels that are not one for each clip, or see ``check_mirror``.
    """
    several = labels.ndim > 1  # a clip; which of them a mirror changes is not known
    if len(labels) != len(clip) or (several and flipped_labels is not None):
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} for {len(clip)} clips; give one a clip"
        )
    flip = torch.from_numpy(rng.random(len(clip)) < 0.5)
    if flipped_labels is not None:
        mirrored = check_mirror(flipped_labels)[labels]
        flip = flip & (mirrored != NO_MIRROR)
        labels = torch.where(flip, mirrored, labels)
    return torch.where(flip.view(-1, 1, 1, 1, 1), clip.flip(-1), clip), labels


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainTransform:
    """The paper's training recipe: jittered size, random square, flip, normalise.

    Attributes:
        size: pixels of the square (224).
        least: least shorter side (256).
        most: largest shorter side (320; 340 for R101).
        flipped_labels: see ``random_flip``.

    Raises:
        ValueError: a square larger than ``least``, or bounds out of order.
    """

    size: int = 224
    least: int = 256
    most: int = 320
    flipped_labels: tuple[int | None, ...] | None = None

    def __post_init__(self):
        check_count("size", self.size, 1)
        _check_bounds(self.least, self.most)
        if self.size > self.least:
            raise ValueError(
                f"size={self.size} must fit into least={self.least}, which is the most"
            )
        if self.flipped_labels is not None:
            check_mirror(self.flipped_labels)

    def __call__(
        self, frames: np.ndarray, label: int | Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, int | Tensor]:
        """Frames (T, H, W, 3) -> clip (C, T, size, size), and the label after a flip.

        Several labels are float32 (classes,), which a flip leaves.
        """
        clip = random_short_side(as_clip(frames), rng, self.least, self.most)
        clip = random_crop(clip, self.size, rng)
        given = torch.as_tensor(label)[None]
        clip, labels = random_flip(clip, given, rng, self.flipped_labels)
        return normalize(clip)[0], labels[0] if labels.ndim > 1 else int(labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalTransform:
    """The paper's testing recipe: shorter side to ``size``, then one or three squares.

    Attributes:
        size: pixels of the shorter side and of the square (256).
        crops: 3, or 1 for the middle one alone.

    Raises:
        ValueError: another number of crops, or a size below 1.
    """

    size: int = 256
    crops: int = 3

    def __post_init__(self):
        check_count("size", self.size, 1)
        check_choice("crops", self.crops, (1, 3))

    def __call__(self, frames: np.ndarray) -> Tensor:
        """Frames (T, H, W, 3) -> (crops, C, T, size, size)."""
        clip = resize_short_side(as_clip(frames), self.size)
        if self.crops == 1:
            return normalize(uniform_crop(clip, self.size, 1))
        return normalize(three_crop(clip, self.size).squeeze(1))
