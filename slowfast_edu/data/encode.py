"""Video out: frames into an H.264 file."""

import os
from numbers import Real
from pathlib import Path

import av
import numpy as np

from slowfast_edu.checks import check_count, check_frames, check_output
from slowfast_edu.sampling import exact_rate

LARGEST_CRF = 51  # x264's own, for eight bits


def _check_frames(frames: np.ndarray) -> None:
    """Refuse what is not uint8 RGB of even sides."""
    check_frames(frames)
    shape = frames.shape
    if 0 in shape:
        raise ValueError(f"frames of shape {shape} hold no pixel; give at least one frame")
    for name, side in (("height", shape[1]), ("width", shape[2])):
        if side % 2:
            raise ValueError(
                f"{name}={side} must be even, for four pixels share a colour in yuv420p; "
                f"the nearest are {side - 1} and {side + 1}"
            )


def write_video(
    frames: np.ndarray,
    path: str | os.PathLike,
    frames_per_second: Real = 30,
    key_frame_every: int = 30,
    crf: int = 20,
) -> None:
    """Write H.264 in MP4 that every player shows, in one step: never half a file.

    The same frames give the same bytes with the same x264. Between others stand up to
    two B-frames.

    Args:
        frames: uint8 RGB of shape (T, H, W, 3), even sides.
        path: ends in .mp4; a file that is there is replaced.
        frames_per_second: 29.97 is 2997/100; give 30000 / 1001 if that is meant.
        key_frame_every: at most this many frames from one key frame to the next.
        crf: x264's constant rate factor, 0 (lossless colours aside) to 51.

    Raises:
        ValueError: frames or a setting that cannot be.
        FileNotFoundError: there is no such folder.
    """
    _check_frames(frames)
    check_count("key_frame_every", key_frame_every, 1)
    check_count("crf", crf, 0)
    if crf > LARGEST_CRF:
        raise ValueError(f"crf={crf} must be at most {LARGEST_CRF}; 20 looks good")
    path = check_output("path", path, ".mp4")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _encode(frames, part, exact_rate(frames_per_second), key_frame_every, crf)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _encode(frames: np.ndarray, path: Path, rate, key_frame_every: int, crf: int) -> None:
    """The file itself; one thread, for the bytes depend on their number."""
    options = {"movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = key_frame_every
        # x264's mbtree makes the bytes differ from run to run, even on one thread.
        fixed = {"threads": "1", "x264-params": "no-mbtree=1"}
        stream.options = {"crf": str(crf), "preset": "slow", "bf": "2", **fixed}
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
