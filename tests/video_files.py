"""Odd video files for tests: frames that show their number, and ways to spoil a file."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH, BAR = 64, 96, 12
# Quarter turns clockwise as ISO/IEC 14496-12 writes them: a point (x, y) of the stored
# image is shown at (a x + c y, b x + d y), y downwards, up to a shift.
TURN_MATRIX = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def numbered_frames(count: int) -> np.ndarray:
    """Frames that show their number in binary, as eight bars, black or white."""
    bits = np.unpackbits(np.arange(count, dtype=np.uint8)[:, None], axis=1)
    bars = (255 * bits).repeat(BAR, axis=1)[:, None, :, None]
    return np.broadcast_to(bars, (count, HEIGHT, WIDTH, 3)).copy()


def frame_numbers(frames: np.ndarray) -> list[int]:
    """The numbers that frames show."""
    bars = frames.reshape(len(frames), HEIGHT, 8, BAR, 3).mean(axis=(1, 3, 4))
    return np.packbits(bars > 128, axis=1)[:, 0].tolist()


def encode(
    frames: np.ndarray,
    path: Path,
    codec: str = "libx264",
    rate: Fraction | int = 30,
    key_frame_every: int = 30,
    options: dict[str, str] | None = None,
    stamps: tuple[list[int], Fraction] | None = None,
) -> Path:
    """Encode frames; ``stamps`` are (time stamps, seconds in a tick of them)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        stream.gop_size = key_frame_every
        plain = {"bf": "2", "sc_threshold": "0"} if codec == "libx264" else {}
        stream.options = {**plain, **(options or {}), "threads": "1"}
        if stamps:
            stream.time_base = stream.codec_context.time_base = stamps[1]
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if stamps:
                frame.pts, frame.time_base = stamps[0][number], stamps[1]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_all(path: Path) -> np.ndarray:
    """Every frame of a file, decoded from beginning to end: what reading must equal."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def packets(path: Path) -> list[tuple[int, int, bool]]:
    """(position, bytes, is a key frame) of each packet, in decoding order."""
    with av.open(str(path)) as container:
        found = [p for p in container.demux(container.streams.video[0]) if p.size]
        return [(p.pos, p.size, p.is_keyframe) for p in found]


def _patched(source: Path, path: Path, box: bytes, skip: int, new: bytes) -> Path:
    data = bytearray(source.read_bytes())
    start = data.index(box) + len(box) + skip
    data[start : start + len(new)] = new
    path.write_bytes(data)
    return path


def rotate(source: Path, path: Path, clockwise: int) -> Path:
    """Copy an MP4 with the display matrix of a quarter turn in its track header."""
    a, b, c, d = (value << 16 for value in TURN_MATRIX[clockwise])
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return _patched(source, path, b"tkhd", 40, matrix)


def cut_by_edit_list(source: Path, path: Path, first: int, seconds: float) -> Path:
    """Copy a 30 fps MP4 so that it shows ``seconds`` from frame ``first`` on."""
    data = source.read_bytes()
    place = data.index(b"elst") + 16  # version, entries, duration, media time, rate
    media_time = struct.unpack(">i", data[place : place + 4])[0] + first * 512
    entry = struct.pack(">Ii", round(1000 * seconds), media_time)
    return _patched(source, path, b"elst", 8, entry)


def flip_bits(source: Path, path: Path, packet: int, bits: int = 5, seed: int = 0) -> Path:
    """Copy a file with flipped bits in the payload of one packet."""
    rng = np.random.default_rng(seed)
    data = bytearray(source.read_bytes())
    start, size, _ = packets(source)[packet]
    for place in rng.choice(np.arange(min(8, size // 2), size), bits, replace=False):
        data[start + place] ^= 1 << rng.integers(8)
    path.write_bytes(data)
    return path


def sound(path: Path, cover: bool = False) -> Path:
    """A tenth of a second of silence; with ``cover``, a picture is attached to it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16000, layout="mono")
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        silence = np.zeros((1, 1600), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if picture:
            image = av.VideoFrame.from_ndarray(numbered_frames(1)[0], format="rgb24")
            container.mux(picture.encode(image))
            container.mux(picture.encode())
    return path
