"""Which frames a clip takes: index arithmetic, no tensors and no video.

Two rules exist in the world. ``stride`` is the paper's: every (tau/alpha)-th raw frame
for Fast, every alpha-th of those for Slow. ``linspace`` is what PySlowFast trained the
public weights with: frames spread evenly from the first to the *last* one, truncated
to integers, first for Fast out of the raw clip and again for Slow out of Fast.
"""

import numpy as np

from slowfast_edu.config import ClipConfig


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
