"""Video in: what a file holds, and exact frames, clips and views out of it, with PyAV."""

import os
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slowfast_edu.checks import check_choice
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.decode import (
    PacketIndex,
    VideoError,
    check_frames_decode,
    decode_frames,
    index_packets,
)
from slowfast_edu.sampling import (
    SHORT_RULES,
    exact_rate,
    fast_indices,
    fit_indices,
    resample_by_time,
    view_starts,
)

__all__ = [
    "Video",
    "VideoError",
    "VideoInfo",
    "probe",
    "read_clip",
    "read_frames",
    "read_views",
]


class VideoInfo(NamedTuple):
    """What a file holds: frames that were counted, not what its header claims.

    Attributes:
        frames: how many, at ``frames_per_second``.
        frames_per_second: the rate asked for, or the file's; of a variable one the mean.
        width: in pixels, as a player shows it: after the rotation.
        height: the same.
        rotation: degrees clockwise by which frames are turned on reading; phones film
            sideways and leave this to players. 0, 90, 180 or 270.
        seconds: from the first frame to the end of the last.
    """

    frames: int
    frames_per_second: float
    width: int
    height: int
    rotation: int
    seconds: float


def _describe(index: PacketIndex) -> VideoInfo:
    """The file's own frames. A declared rate must fit the time stamps to be believed."""
    seconds = (index.shown_at[-1] - index.shown_at[0]) / index.ticks_per_second
    rate = index.declared_rate
    if not rate or round(seconds * rate) != index.frames:
        rate = index.frames / seconds
    sides = index.width, index.height
    width, height = sides if index.rotation % 180 == 0 else sides[::-1]
    return VideoInfo(
        index.frames, float(rate), width, height, index.rotation, float(index.frames / rate)
    )


class Video:
    """A file whose frames have been listed, so that reading need not count them again.

    It holds no open file: it can be kept, copied and sent to a worker process.

    ``info`` says what it holds, at the rate that was asked for.

    Args:
        path: a file that FFmpeg opens. A picture or a song with a cover is no video.
        frames_per_second: resample to this rate by time: frames are then counted and
            read as they are on screen at that rate. None: the file's own frames.

    Raises:
        VideoError: missing, a folder, empty, truncated, not a video, or none of its
            frames can be decoded. Only MP4 lists its frames: other files that were cut
            between two frames, Matroska within one too, are just shorter videos.
    """

    def __init__(self, path: str | os.PathLike, frames_per_second: Real | None = None):
        self.path = Path(path)
        if frames_per_second is not None:
            exact_rate(frames_per_second)  # before the file is read
        self._index = index_packets(self.path)
        self._numbers = np.arange(self._index.frames)
        self._resampled = frames_per_second is not None
        self.info = _describe(self._index)
        if self._resampled:
            self._numbers = resample_by_time(
                self._index.shown_at, self._index.ticks_per_second, frames_per_second
            )
            self.info = self.info._replace(
                frames=len(self._numbers), frames_per_second=float(frames_per_second)
            )

    def frame_at(self, seconds: float) -> int:
        """Number of the frame on screen ``seconds`` after the first one appeared."""
        if self._resampled:
            number = int(seconds * self.info.frames_per_second + 1e-6)
            return min(number, self.info.frames - 1)
        stamps = np.asarray(self._index.shown_at[:-1]) - self._index.shown_at[0]
        ticks = seconds * float(self._index.ticks_per_second)
        return int(np.searchsorted(stamps, ticks + 0.5, side="right")) - 1

    def check_frames(self) -> None:
        """Decode every frame of the file and keep none; damage raises ``VideoError``."""
        check_frames_decode(self.path, self._index)

    def read_frames(self, indices: Sequence[int], short: str = "error") -> np.ndarray:
        """Decode frames by number: see the function ``read_frames``."""
        check_choice("short", short, SHORT_RULES)
        if not len(indices):
            raise ValueError("indices is empty; name at least one frame")
        try:
            fitting = fit_indices(indices, self.info.frames, short)
        except ValueError as error:
            raise VideoError(f"{self.path}: {error}") from error
        numbers = self._numbers[fitting].tolist()
        images = decode_frames(self.path, self._index, numbers)
        return np.stack([images[number] for number in numbers])

    def read_clip(
        self, clip: ClipConfig, start_frame: int = 0, short: str = "clamp"
    ) -> np.ndarray:
        """Decode what the Fast pathway sees: see the function ``read_clip``."""
        return self.read_frames(fast_indices(clip, start_frame), short)

    def read_views(
        self, clip: ClipConfig, clips: int = 10, short: str = "clamp"
    ) -> np.ndarray:
        """Decode evenly spread clips: see the function ``read_views``."""
        starts = view_starts(clip, self.info.frames, clips)
        indices = starts[:, None] + fast_indices(clip)
        frames = self.read_frames(indices.ravel(), short)
        return frames.reshape(*indices.shape, *frames.shape[1:])


def probe(path: str | os.PathLike, frames_per_second: Real | None = None) -> VideoInfo:
    """Count a file's frames and read its rate and size; decodes one frame.

    Args:
        path: any file that FFmpeg opens.
        frames_per_second: count frames at this rate, as ``read_frames`` would.

    Raises:
        VideoError: see ``Video``.
    """
    return Video(path, frames_per_second).info


def read_frames(
    path: str | os.PathLike,
    indices: Sequence[int],
    frames_per_second: Real | None = None,
    short: str = "error",
) -> np.ndarray:
    """Decode the frames at ``indices``, counted from 0 in the order they are shown in.

    B-frames, open GOPs, edit lists and variable rates do not shift them; the rotation
    for players is applied, mirroring and non-square pixels are not. ``short`` is a rule
    of ``sampling.fit_indices``.

    Returns:
        uint8 RGB of shape (len(indices), H, W, 3).

    Raises:
        VideoError: see ``Video``; or a frame is not there, or is damaged. Decoders of
            H.264 and MPEG-4 notice most flipped bits, those of HEVC and VP9 few: a
            check sum of the file is the only sure way.
        ValueError: no index, an unknown rule or rate.
        TypeError: an index that is not a whole number.
    """
    return Video(path, frames_per_second).read_frames(indices, short)


def read_clip(
    path: str | os.PathLike,
    clip: ClipConfig,
    start_frame: int = 0,
    frames_per_second: Real | None = None,
    short: str = "clamp",
) -> np.ndarray:
    """Decode the frames that the Fast pathway sees; Slow's are among them.

    Returns:
        uint8 RGB of shape (alpha * T, H, W, 3).

    Raises:
        VideoError: see ``read_frames``.
    """
    return Video(path, frames_per_second).read_clip(clip, start_frame, short)


def read_views(
    path: str | os.PathLike,
    clip: ClipConfig,
    clips: int = 10,
    frames_per_second: Real | None = None,
    short: str = "clamp",
) -> np.ndarray:
    """Decode the clips of a test, spread evenly over the video, each frame once.

    Returns:
        uint8 RGB of shape (clips, alpha * T, H, W, 3).

    Raises:
        VideoError: see ``read_frames``.
    """
    return Video(path, frames_per_second).read_views(clip, clips, short)
