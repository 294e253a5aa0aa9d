"""Exact frames out of a video file, with PyAV."""

import operator
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
        raise VideoError(f"{path}: {'not a' if path.exists() else 'no such'} file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        raise VideoError(f"{path}: cannot be decoded: {error.strerror}") from error


def _packet_times(container, stream) -> list[int]:
    """One time stamp a frame, in the order in which frames are shown; 0 if unknown."""
    packets = [packet for packet in container.demux(stream) if packet.size]
    return sorted(packet.pts or 0 for packet in packets)


def _is_indexed(container) -> bool:
    """MP4 and Matroska say when each frame is shown, and seek to a key frame exactly.

    AVI's time stamps are in decoding order, and a transport stream seeks late.
    """
    return bool({"mp4", "matroska"} & set(container.format.name.split(",")))


def _decode(path, times: list[int], wanted: set[int]) -> dict[int, np.ndarray]:
    """{index: image}, decoding no further than the last frame that is wanted."""
    images = {}
    # Opened anew, for not every file can be rewound after its packets were counted.
    with _open(path) as (container, stream):
        if _is_indexed(container):
            container.seek(times[min(wanted)], stream=stream, backward=True)
            index_at = {times[index]: index for index in wanted}
            frames = ((index_at.get(f.pts), f) for f in container.decode(stream))
        else:  # from the beginning; the decoder puts frames in order
            frames = enumerate(container.decode(stream))
        for index, frame in frames:
            if index in wanted:
                images[index] = frame.to_ndarray(format="rgb24")
            if len(images) == len(wanted):
                break
    return images


def probe(path: str | os.PathLike) -> VideoInfo:
    """Count a file's frames and read its rate and size.

    Args:
        path: any file that FFmpeg opens.

    Raises:
        VideoError: missing, not a video, or without a frame.
    """
    with _open(path) as (container, stream):
        frames = len(_packet_times(container, stream))
        if not frames or not stream.average_rate:
            raise VideoError(f"{path}: holds no video frames")
        rate = float(stream.average_rate)
        return VideoInfo(frames, rate, stream.width, stream.height)


def read_frames(path: str | os.PathLike, indices: Sequence[int]) -> np.ndarray:
    """Decode the frames at ``indices``, counted in the order in which they are shown.

    In MP4 and Matroska frames are found by their time stamps, and decoding starts at the
    key frame before the first index; other files are decoded from the beginning. Either
    way B-frames cannot shift them. A rotation that the file asks players for is not
    applied.

    Args:
        path: any file that FFmpeg opens.
        indices: frame numbers from 0, in any order; repeats are allowed.

    Returns:
        uint8 RGB of shape (len(indices), H, W, 3).

    Raises:
        VideoError: missing, not a video, damaged, or shorter than an index asks.
        ValueError: no index at all.
        TypeError: an index that is not a whole number.
    """
    indices = [operator.index(index) for index in indices]
    if not indices:
        raise ValueError("indices is empty; name at least one frame")
    with _open(path) as (container, stream):
        times = _packet_times(container, stream)
    if min(indices) < 0 or max(indices) >= len(times):
        raise VideoError(
            f"{path}: frames {min(indices)} to {max(indices)} were asked for, but it has "
            f"{len(times)}: 0 to {len(times) - 1}"
        )
    wanted = set(indices)
    images = _decode(path, times, wanted)
    if len(images) < len(wanted):
        raise VideoError(
            f"{path}: {len(wanted) - len(images)} of {len(wanted)} frames could not be "
            "decoded; the file may be truncated"
        )
    return np.stack([images[index] for index in indices])
