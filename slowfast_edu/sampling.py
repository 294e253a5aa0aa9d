"""Which frames a clip takes: index arithmetic, no tensors and no video.

Two rules exist in the world. ``stride`` is the paper's: every (tau/alpha)-th raw frame
for Fast, every alpha-th of those for Slow. ``linspace`` is what PySlowFast trained the
public weights with: frames spread evenly from the first to the *last* one, truncated
to integers, first for Fast out of the raw clip and again for Slow out of Fast.
"""

import operator
from collections.abc import Sequence
from fractions import Fraction
from numbers import Real
from typing import NamedTuple

import numpy as np

from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.config import ClipConfig

SHORT_RULES = ("clamp", "loop", "error")  # what to do past the end of a short video


def _linspace(last: int, count: int) -> np.ndarray:
    """``torch.linspace(0, last, count).long()``: truncated float32, from both ends.

    The float32 matters: with 160 frames and alpha 4, exact arithmetic differs.
    """
    position = np.arange(count, dtype=np.float32)
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    step = np.float32(last) / np.float32(count - 1)
    from_end = np.float32(last) - step * (np.float32(count - 1) - position)
    values = np.where(position < count // 2, step * position, from_end)
    return values.astype(np.int64)


def slow_positions(fast_frames: int, alpha: int, frame_rule: str) -> np.ndarray:
    """Which of Fast's frames Slow sees.

    Args:
        fast_frames: number of Fast frames; a multiple of ``alpha``.
        alpha: frame-rate ratio.
        frame_rule: "stride" or "linspace".

    Returns:
        ``fast_frames // alpha`` positions, ascending.

    >>> slow_positions(32, alpha=8, frame_rule="stride").tolist()
    [0, 8, 16, 24]
    >>> slow_positions(32, alpha=8, frame_rule="linspace").tolist()
    [0, 10, 20, 31]
    """
    if frame_rule == "stride":
        return np.arange(0, fast_frames, alpha)
    return _linspace(fast_frames - 1, fast_frames // alpha)


def fast_indices(clip: ClipConfig, start_frame: int = 0) -> np.ndarray:
    """Raw-frame indices of the Fast pathway.

    Args:
        clip: T, tau, alpha and the frame rule.
        start_frame: raw frame at which the clip begins.

    Returns:
        alpha * T indices, the first of them ``start_frame``.

    >>> fast_indices(ClipConfig(T=4, tau=16, alpha=8))[-2:].tolist()
    [60, 62]
    >>> fast_indices(ClipConfig(T=4, tau=16, alpha=8, frame_rule="linspace"))[-2:].tolist()
    [60, 63]
    """
    if clip.frame_rule == "stride":
        return start_frame + clip.fast_stride * np.arange(clip.fast_frames)
    return start_frame + _linspace(clip.raw_frames - 1, clip.fast_frames)


def slow_indices(clip: ClipConfig, start_frame: int = 0) -> np.ndarray:
    """Raw-frame indices of the Slow pathway: T of those that Fast sees.

    >>> slow_indices(ClipConfig(T=4, tau=16, alpha=8)).tolist()
    [0, 16, 32, 48]
    """
    chosen = slow_positions(clip.fast_frames, clip.alpha, clip.frame_rule)
    return fast_indices(clip, start_frame)[chosen]


def last_start(clip: ClipConfig, video_frames: int) -> int:
    """The last frame at which a whole raw clip (T * tau frames) can begin.

    It is the same for both frame rules and for every alpha, so that models that differ
    in those alone see the same stretches of a video. 0 if the video is shorter.

    >>> last_start(ClipConfig(T=4, tau=16), video_frames=300)
    236
    """
    check_count("video_frames", video_frames, 1)
    return max(0, video_frames - clip.raw_frames)


def random_start(clip: ClipConfig, video_frames: int, rng: np.random.Generator) -> int:
    """A training clip's first frame: uniform over those at which it fits (appendix).

    Args:
        clip: T and tau say how many raw frames the clip spans.
        video_frames: frames of the video.
        rng: where the chance comes from.

    Returns:
        0 to ``last_start``, both included.

    >>> random_start(ClipConfig(T=4, tau=16), 50, np.random.default_rng(0))
    0
    """
    return int(rng.integers(0, last_start(clip, video_frames) + 1))


def view_starts(clip: ClipConfig, video_frames: int, clips: int = 10) -> np.ndarray:
    """First frames of test clips, spread evenly from the first start to the last.

    The paper takes 10, spread uniformly over the video (section 4, Inference), and does
    not say how. With d = ``last_start``, clip i of n begins here at i * d // (n - 1),
    and one alone in the middle. PySlowFast begins at i * d / n, so that the last clip
    ends before the video does, or with an option at i * (d // (n - 1)).

    Returns:
        ``clips`` starts, ascending; equal ones if the video is hardly longer than a clip.

    >>> view_starts(ClipConfig(T=4, tau=16), video_frames=154, clips=4).tolist()
    [0, 30, 60, 90]
    """
    check_count("clips", clips, 1)
    last = last_start(clip, video_frames)
    if clips == 1:
        return np.array([last // 2])
    return np.arange(clips) * last // (clips - 1)


class View(NamedTuple):
    """One of the views that a video's score is averaged over.

    Attributes:
        start_frame: the clip's first raw frame.
        crop: which crop, counted along the longer side from 0 (left or top).
    """

    start_frame: int
    crop: int


def evaluation_views(
    clip: ClipConfig, video_frames: int, clips: int = 10, crops: int = 3
) -> list[View]:
    """The views of a test: every clip in every crop, 10 x 3 = 30 in the paper.

    >>> evaluation_views(ClipConfig(T=4, tau=16), 100, clips=2, crops=2)[1:3]
    [View(start_frame=0, crop=1), View(start_frame=36, crop=0)]
    """
    check_count("crops", crops, 1)
    starts = view_starts(clip, video_frames, clips).tolist()
    return [View(start, crop) for start in starts for crop in range(crops)]


def fit_indices(indices: Sequence[int], video_frames: int, short: str) -> np.ndarray:
    """Frame indices that a video has, where some lie past its end.

    Args:
        indices: frame numbers from 0.
        video_frames: frames of the video.
        short: "clamp" repeats the last frame, "loop" starts again from the first,
            "error" refuses.

    Raises:
        ValueError: an unknown rule, a negative index, or one past the end with "error".
        TypeError: an index that is not a whole number.

    >>> [fit_indices([0, 2, 4], 3, rule).tolist() for rule in ("clamp", "loop")]
    [[0, 2, 2], [0, 2, 1]]
    """
    check_choice("short", short, SHORT_RULES)
    check_count("video_frames", video_frames, 1)
    indices = np.array([operator.index(index) for index in indices], dtype=np.int64)
    if indices.size and (
        indices.min() < 0 or (short == "error" and indices.max() >= video_frames)
    ):
        hint = "; short='clamp' or 'loop' fills up" if indices.min() >= 0 else ""
        raise ValueError(
            f"frames {indices.min()} to {indices.max()} were asked for, but the video has "
            f"{video_frames}: 0 to {video_frames - 1}{hint}"
        )
    if short == "loop":
        return indices % video_frames
    return np.minimum(indices, video_frames - 1)


def exact_rate(frames_per_second: Real) -> Fraction:
    """A frame rate as a fraction, with the 1001 of broadcast rates found again.

    Raises:
        ValueError: not a positive number.

    >>> exact_rate(30000 / 1001), exact_rate(29.97)
    (Fraction(30000, 1001), Fraction(2997, 100))
    """
    if not isinstance(frames_per_second, Real) or not 0 < frames_per_second < 1e6:
        raise ValueError(
            f"frames_per_second={frames_per_second!r} must be a positive number; try 30"
        )
    rate = Fraction(frames_per_second).limit_denominator(1001)
    if not rate:
        raise ValueError(
            f"frames_per_second={frames_per_second!r} is below one in 1001 s; try 30"
        )
    return rate


def resample_by_time(
    shown_at: Sequence[int], ticks_per_second: Real, frames_per_second: Real
) -> np.ndarray:
    """Which frame of a video is on screen at each tick of another frame rate.

    That is the last frame whose time stamp is not later. Containers round time stamps to
    their clock (Matroska: milliseconds), so that a stamp one tick late still counts,
    unless a tick is most of a frame. All else is exact integer arithmetic: a video
    resampled to its own rate is itself.

    Args:
        shown_at: ascending time stamps in ticks: one a frame, then the end of the last.
        ticks_per_second: of those stamps; a Fraction if it is not whole.
        frames_per_second: the rate wanted: one frame number is returned for each.

    >>> resample_by_time([0, 1, 2, 3, 4], ticks_per_second=30, frames_per_second=15)
    array([0, 2])
    """
    stamps = np.asarray(shown_at, dtype=np.int64)
    stamps = stamps - stamps[0]
    step = Fraction(ticks_per_second) / exact_rate(frames_per_second)
    count = max(1, round(int(stamps[-1]) / step))
    late = 1 if np.median(np.diff(stamps)) >= 3 else 0
    ticks = np.arange(count) * step.numerator // step.denominator + late
    last = len(stamps) - 2
    return np.minimum(np.searchsorted(stamps[:-1], ticks, side="right") - 1, last)
