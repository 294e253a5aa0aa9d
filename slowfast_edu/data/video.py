"""Exact frames out of a video file, with PyAV."""

import os
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np


class VideoError(ValueError):
    """A file that frames cannot be read from; names the file and the cause."""


class VideoInfo(NamedTuple):
    """What a file holds: whole frames, not what its header claims."""

    frames: int
    frames_per_second: float
    width: int
    height: int

    @property
    def seconds(self) -> float:
        return self.frames / self.frames_per_second


@contextmanager
def _open(path: str | os.PathLike):
    """(container, its video stream), with every failure told as a VideoError."""
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        raise VideoError(f"{path}: cannot be decoded: {error.strerror}") from error


def _timestamps(container, stream) -> list[int]:
    """Presentation times of all frames, in the order in which they are shown."""
    return sorted(p.pts for p in container.demux(stream) if p.pts is not None)


def probe(path: str | os.PathLike) -> VideoInfo:
    """Count a file's frames and read its rate and size.

    Args:
        path: any file that FFmpeg opens.

    Raises:
        VideoError: missing, not a video, or without a frame.
    """
    with _open(path) as (container, stream):
        frames = len(_timestamps(container, stream))
        if not frames or not stream.average_rate:
            raise VideoError(f"{path}: holds no video frames")
        rate = float(stream.average_rate)
        return VideoInfo(frames, rate, stream.width, stream.height)


def read_frames(path: str | os.PathLike, indices: Sequence[int]) -> np.ndarray:
    """Decode the frames at ``indices``, counted in the order in which they are shown.

    Frames are matched by time stamp, so B-frames cannot shift them; decoding starts at
    the key frame before the first index and ends with the last. A rotation that the
    file asks players for is not applied.

    Args:
        path: any file that FFmpeg opens.
        indices: frame numbers from 0, in any order; repeats are allowed.

    Returns:
        uint8 RGB of shape (len(indices), H, W, 3).

    Raises:
        VideoError: missing, not a video, damaged, or shorter than an index asks.
    """
    indices = [int(index) for index in indices]
    if not indices:
        raise ValueError("indices is empty; name at least one frame")
    with _open(path) as (container, stream):
        times = _timestamps(container, stream)
        if min(indices) < 0 or max(indices) >= len(times):
            raise VideoError(
                f"{path}: frames {min(indices)} to {max(indices)} were asked for, but it "
                f"has {len(times)}: 0 to {len(times) - 1}"
            )
        wanted = {times[index] for index in indices}
        container.seek(min(wanted), stream=stream, backward=True)
        images = {}
        for frame in container.decode(stream):
            if frame.pts in wanted:
                images[frame.pts] = frame.to_ndarray(format="rgb24")
            if len(images) == len(wanted):
                break
    if len(images) < len(wanted):
        raise VideoError(
            f"{path}: {len(wanted) - len(images)} of {len(wanted)} frames could not be "
            "decoded; the file may be truncated"
        )
    return np.stack([images[times[index]] for index in indices])
