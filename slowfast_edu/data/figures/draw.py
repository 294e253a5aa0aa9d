"""One brush: capsules with smooth edges, painted on all frames of a clip at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Capsule(NamedTuple):
    """A line with round ends, moving.

    Attributes:
        start: (T, 2) places in pixels, x to the right and y down.
        end: (T, 2); equal to ``start`` for a disc.
        radius: in pixels.
        color: RGB, 0 to 255.
        opacity: 1 covers what lies below.
    """

    start: np.ndarray
    end: np.ndarray
    radius: float
    color: np.ndarray
    opacity: float = 1.0


def paint(video: np.ndarray, capsules: Sequence[Capsule]) -> None:
    """Paint capsules on every frame, in place, the first one lowest.

    A pixel is covered by as much as its centre lies within the radius + 1/2 of the line:
    edges are smooth, and a limb that moves by a tenth of a pixel changes the picture.
    Only the smallest window that holds a capsule on all frames is computed, for all
    frames in one go: a whole frame each time would be four times slower.

    Args:
        video: uint8 (T, H, W, 3), contiguous.
        capsules: from the farthest to the nearest.
    """
    starts, ends = (
        np.array([capsule[place] for capsule in capsules], dtype=np.float32)
        for place in (0, 1)
    )  # (N, T, 2)
    reach = np.array([capsule.radius + 1 for capsule in capsules])[:, None, None]
    low = np.floor(np.minimum(starts, ends) - reach)
    high = np.ceil(np.maximum(starts, ends) + reach)
    sides = video.shape[2], video.shape[1]
    windows = np.minimum((high - low).max(axis=1), sides).astype(np.intp)  # (N, 2)
    corners = np.clip(low, 0, (sides - windows)[:, None]).astype(np.intp)
    along = ends - starts
    length_squared = np.maximum((along**2).sum(axis=2, keepdims=True), np.float32(1e-6))
    steps = along / length_squared
    for number, capsule in enumerate(capsules):
        x, y = (
            corners[number, :, axis, None] + np.arange(windows[number, axis])
            for axis in (0, 1)
        )  # (T, w) and (T, h)
        dx, dy = (
            (pixel + np.float32(0.5) - starts[number, :, axis, None]).astype(np.float32)
            for axis, pixel in enumerate((x, y))
        )
        squared = _squared_distance(dx, dy, along[number], steps[number])
        _blend(video, x, y, squared, capsule)


def _squared_distance(dx, dy, along, step) -> np.ndarray:
    """Squared distances of pixel centres from a line: (T, h, w)."""
    share = (dx * step[:, :1])[:, None, :] + (dy * step[:, 1:])[:, :, None]
    np.clip(share, 0, 1, out=share)  # which point of the line is nearest
    squared = share * along[:, 0, None, None]
    np.subtract(dx[:, None, :], squared, out=squared)
    np.square(squared, out=squared)
    share *= along[:, 1, None, None]
    np.subtract(dy[:, :, None], share, out=share)
    np.square(share, out=share)
    squared += share
    return squared


def _blend(video, x, y, squared, capsule: Capsule) -> None:
    """Mix the capsule's colour into the pixels that it touches."""
    frames, height, width = video.shape[:3]
    reach = np.float32(capsule.radius + 0.5)
    touched = np.flatnonzero(squared < reach * reach)
    cover = np.minimum(reach - np.sqrt(squared.ravel()[touched]), 1)
    cover *= np.float32(capsule.opacity)
    row = np.arange(frames)[:, None] * height + y
    place = ((row * width)[:, :, None] + x[:, None, :]).ravel()[touched]
    for plane, value in zip(video.reshape(-1, 3).T, capsule.color, strict=True):
        below = plane[place].astype(np.float32)
        mixed = below + cover * (np.float32(value) - below)
        plane[place] = mixed + np.float32(0.5)  # rounded: the cast cuts off
