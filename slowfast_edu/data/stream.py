"""Videos that are too large to hold: frames one at a time, or made small as they come."""

from collections.abc import Iterator

import numpy as np

from slowfast_edu.config import ClipConfig
from slowfast_edu.data.decode import iterate_frames
from slowfast_edu.data.transforms import as_clip, resize_short_side
from slowfast_edu.data.video import Video, VideoError
from slowfast_edu.sampling import fast_indices, fit_indices, view_starts


def shrink(frame: np.ndarray, size: int) -> np.ndarray:
    """Scale one frame so that its shorter side has ``size`` pixels.

    The bytes are those that ``resize_short_side`` gives for a whole clip.

    >>> shrink(np.zeros((90, 160, 3), dtype=np.uint8), size=48).shape
    (48, 85, 3)
    """
    clip = resize_short_side(as_clip(frame[None]), size)
    return clip[0, :, 0].permute(1, 2, 0).numpy()


class VideoStream(Video):
    """A video that is read from its beginning to its end, one frame in memory at a time.

    ``for frame in VideoStream(path, 30)`` gives uint8 RGB (H, W, 3), upright, as they are
    on screen at that rate: those that ``read_frames`` gives for 0, 1, 2, ... Each frame
    of the file is decoded once. What it keeps of each is a time stamp.

    Args:
        path: a file that FFmpeg opens.
        frames_per_second: resample to this rate by time. None: the file's own frames.

    Raises:
        VideoError: see ``Video``; while reading, a frame that is damaged or missing.
    """

    def __iter__(self) -> Iterator[np.ndarray]:
        in_order = self._index._replace(seekable=False)
        numbers, times_shown = np.unique(self._numbers, return_counts=True)
        frames = iterate_frames(self.path, in_order, numbers.tolist())
        for wanted, times in zip(numbers.tolist(), times_shown.tolist(), strict=True):
            number, frame = next(frames)
            if number != wanted:  # else all that follows would be shown too early
                raise VideoError(f"{self.path}: frame {wanted} could not be decoded")
            for _ in range(times):
                yield frame

    def read_small_views(
        self, clip: ClipConfig, clips: int, size: int, short: str = "clamp"
    ) -> np.ndarray:
        """``read_views`` with each frame scaled at once: thirty views of 4K are 8 GB.

        Args:
            clip: T, tau, alpha, frame rule.
            clips: how many, spread evenly over the video.
            size: pixels of the shorter side.
            short: see ``fit_indices``.

        Returns:
            uint8 RGB of shape (clips, alpha * T, H, W, 3), H or W of them ``size``.
        """
        starts = view_starts(clip, self.info.frames, clips)
        indices = starts[:, None] + fast_indices(clip)
        fitting = fit_indices(indices.ravel(), self.info.frames, short)
        numbers = self._numbers[fitting].tolist()
        decoded = iterate_frames(self.path, self._index, numbers)
        small = {number: shrink(frame, size) for number, frame in decoded}
        frames = np.stack([small[number] for number in numbers])
        return frames.reshape(*indices.shape, *frames.shape[1:])
