"""Exact frames by number: an index of a file's packets, and decoding what is needed.

A packet is one compressed frame. Packets lie in decoding order, which B-frames make
another order than that of showing; their time stamps say when each is shown. So the
packets are listed without decoding them, sorted by time stamp, and a frame is found by
its stamp after a jump to the key frame before it.
"""

import os
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

# These say when each frame is shown and find a key frame exactly. A transport stream
# seeks late, AVI's stamps are in decoding order, raw H.264 has none: all from the start.
SEEKABLE = {"mp4", "matroska"}
STAMPS_LIE = {"avi"}
# FFmpeg reads text files as text art, and lists of files as what they list.
NO_VIDEO = {
    "tty": "is text, not a video",
    "concat": "is a list of files, not a video",
    "hls": "is a list of files, not a video",
    "dash": "is a list of files, not a video",
}
# A jump empties the decoder, which costs as much as this many small frames.
JUMP_FRAMES = 8


class VideoError(ValueError):
    """A file that frames cannot be read from; names the file and the cause."""


class PacketIndex(NamedTuple):
    """What a file's packets say, before any is decoded.

    Attributes:
        shown_at: time stamps of the frames in the order of showing, then the end of
            the last one, all in ticks.
        ticks_per_second: of those stamps.
        declared_rate: frames per second as the header says, or None.
        keys: numbers of the frames from which decoding can start.
        stamped: whether decoded frames carry these stamps; else they are counted.
        seekable: whether decoding can start at a key frame.
        width: of the stored image, before its rotation, in pixels.
        height: the same.
        rotation: degrees clockwise that a player turns the image by: 0, 90, 180, 270.
    """

    shown_at: tuple[int, ...]
    ticks_per_second: Fraction
    declared_rate: Fraction | None
    keys: tuple[int, ...]
    stamped: bool
    seekable: bool
    width: int
    height: int
    rotation: int

    @property
    def frames(self) -> int:
        """How many frames there are to show."""
        return len(self.shown_at) - 1


class _Packet(NamedTuple):
    pts: int | None
    is_key: bool
    hidden: bool  # by an edit list
    cut: bool  # short of bytes


@contextmanager
def _open(path: Path):
    """(container, its video stream), with every failure told as a VideoError."""
    if not os.path.isfile(path):  # False for names that no file system takes, too
        cause = "is a folder, not a file" if os.path.isdir(path) else "no such file"
        raise VideoError(f"{path}: {cause}")
    if not path.stat().st_size:
        raise VideoError(f"{path}: the file is empty")
    try:
        with av.open(f"file:{path}") as container:  # else "a:b.mp4" names a protocol
            yield container, _video_stream(path, container)
    except av.FFmpegError as error:
        hint = "; it is damaged, cut short or no video"
        cause = f"{error.strerror}{hint * isinstance(error, av.InvalidDataError)}"
        raise VideoError(f"{path}: cannot be decoded: {cause}") from error


def _video_stream(path: Path, container) -> av.VideoStream:
    """The first stream of moving pictures; a song's cover is not one."""
    for name in _names(container) & NO_VIDEO.keys():
        raise VideoError(f"{path}: {NO_VIDEO[name]}")
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        raise VideoError(f"{path}: holds no video stream")
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise VideoError(f"{path}: is a still image, not a video")
    if streams[0].codec_context is None:
        raise VideoError(f"{path}: this FFmpeg has no decoder for its video")
    # Threads over slices of one frame: those over frames hold many back after a jump.
    streams[0].thread_type = "SLICE"
    return streams[0]


def _names(container) -> set[str]:
    """What FFmpeg calls the format: {"mov", "mp4", ...}."""
    return set(container.format.name.split(","))


def _refuse_truncated(path: Path, stream) -> None:
    """An MP4 lists where each frame lies, so a file cut short is noticed at once."""
    size = path.stat().st_size
    entries = list(stream.index_entries)
    lost = sum(entry.pos + entry.size > size for entry in entries)
    if lost:
        raise VideoError(
            f"{path}: truncated: {lost} of its {len(entries)} frames lie past the end of "
            "the file; fetch it again"
        )


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns counter-clockwise, as ``numpy.rot90`` counts them."""
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame, converter: VideoReformatter) -> np.ndarray:
    """RGB (H, W, 3) as a player shows it; the converter is prepared once, not each time."""
    rgb = converter.reformat(frame, format="rgb24").to_ndarray()
    return np.rot90(rgb, _quarter_turns(frame))


def _packets(container, stream) -> tuple[list[_Packet], av.VideoFrame | None]:
    """All packets from the first key frame on, and the first frame that they give."""
    packets, first = [], None
    for packet in container.demux(stream):
        if packet.size and (packets or packet.is_keyframe):
            hidden, cut = packet.is_discard, packet.is_corrupt
            packets.append(_Packet(packet.pts, packet.is_keyframe, hidden, cut))
        if first is None:
            with suppress(av.InvalidDataError):  # reading such a frame tells of it
                first = next(iter(packet.decode()), None)
    return packets, first


def _clock(path: Path, stream, shown: list[_Packet], stamped: bool) -> tuple:
    """(time stamps and the end of the last frame, ticks per second, declared rate)."""
    rate = stream.average_rate
    if not stamped:  # one tick a frame
        if not STAMPS_LIE & _names(stream.container):  # raw: the encoder's own note
            rate = stream.codec_context.framerate or stream.guessed_rate
        if not rate:
            raise VideoError(f"{path}: says neither when its frames are shown nor its rate")
        return tuple(range(len(shown) + 1)), Fraction(rate), rate
    stamps = [packet.pts for packet in shown]
    ticks_per_second = 1 / Fraction(stream.time_base)
    gaps = np.diff(stamps) if len(stamps) > 1 else [ticks_per_second / (rate or 1)]
    typical = max(1, round(float(np.median(gaps))))  # the last frame has no next one
    return (*stamps, stamps[-1] + typical), ticks_per_second, rate


def index_packets(path: Path) -> PacketIndex:
    """List a file's frames, and decode the first to see its size and rotation.

    Left out are packets that an edit list hides, and frames from before the first key
    frame, which nobody can decode.

    Raises:
        VideoError: missing, empty, truncated, no video, or without a frame to show.
    """
    with _open(path) as (container, stream):
        _refuse_truncated(path, stream)
        packets, first = _packets(container, stream)
        if first is None or all(packet.hidden for packet in packets):
            raise VideoError(f"{path}: holds no video frame that can be decoded")
        if packets[-1].cut:
            raise VideoError(f"{path}: truncated: it ends within a frame; fetch it again")
        stamps = [packet.pts for packet in packets]
        stamped = not STAMPS_LIE & _names(container) and None not in stamps
        stamped = stamped and len(set(stamps)) == len(stamps)
        shown = [packet for packet in packets if not packet.hidden]
        if stamped:
            shown = sorted(packet for packet in shown if packet.pts >= stamps[0])
        return PacketIndex(
            *_clock(path, stream, shown, stamped),
            keys=tuple(i for i, packet in enumerate(shown) if packet.is_key),
            stamped=stamped,
            seekable=stamped and bool(SEEKABLE & _names(container)),
            width=first.width,
            height=first.height,
            rotation=-90 * _quarter_turns(first) % 360,
        )


def _runs(index: PacketIndex, wanted: Sequence[int]) -> list[list[int]]:
    """Ascending frames in groups; before each group a jump to a key frame pays."""
    runs = []
    for number in wanted:
        far = runs and _key_before(index, number) - runs[-1][-1] > JUMP_FRAMES
        if not runs or (index.seekable and far):
            runs.append([])
        runs[-1].append(number)
    return runs


def _key_before(index: PacketIndex, number: int) -> int:
    """The key frame to decode a frame from; 0 if an edit list hides it."""
    place = bisect_right(index.keys, number)
    return index.keys[place - 1] if place else 0


def _numbered(container, stream, index: PacketIndex) -> Iterator[tuple]:
    """(number, frame, whether damage was met since its key frame), as they are shown."""
    number_at = {stamp: number for number, stamp in enumerate(index.shown_at[:-1])}
    damaged = False
    for count, frame in enumerate(container.decode(stream)):
        # Frames that follow a damaged one copy from it, up to the next key frame.
        damaged = frame.is_corrupt or (damaged and not frame.key_frame)
        number = number_at.get(frame.pts) if index.stamped else count
        if number is not None:  # else hidden by an edit list
            yield number, frame, damaged


def _sound_frames(
    path: Path, container, stream, index: PacketIndex, wanted: Collection[int]
) -> Iterator[tuple]:
    """(number, frame) of those wanted, decoding no further than the last; damage raises."""
    left = len(wanted)
    for number, frame, damaged in _numbered(container, stream, index):
        if number not in wanted:
            continue
        if damaged:
            raise VideoError(
                f"{path}: frame {number} is damaged: the decoder met an error in it or in "
                "one that it is built on"
            )
        if (frame.width, frame.height) != (index.width, index.height):
            raise VideoError(
                f"{path}: frame {number} is {frame.width}x{frame.height}, the first "
                f"{index.width}x{index.height}; all must be alike"
            )
        yield number, frame
        left -= 1
        if not left:
            return


def _refuse_lost(path: Path, wanted: Collection[int], found: Collection[int]) -> None:
    lost = [number for number in wanted if number not in found]
    if lost:
        raise VideoError(
            f"{path}: {len(lost)} of {len(wanted)} frames that were asked for could not "
            f"be decoded, the first of them frame {lost[0]}"
        )


def check_frames_decode(path: Path, index: PacketIndex) -> None:
    """Decode every frame once, in one go, and keep none.

    Raises:
        VideoError: one is damaged or missing.
    """
    every = range(index.frames)
    with _open(path) as (container, stream):
        frames = _sound_frames(path, container, stream, index, every)
        found = {number for number, _ in frames}
    _refuse_lost(path, every, found)


def iterate_frames(
    path: Path, index: PacketIndex, numbers: Iterable[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode frames, each once, and as few others as their key frames allow; hold none.

    In the order of showing; what a jump misses comes last (none with ``seekable=False``).

    Args:
        path: the file that was indexed.
        index: from ``index_packets``.
        numbers: which frames, in the order of showing, from 0.

    Yields:
        (number, uint8 RGB of shape (H, W, 3), upright).

    Raises:
        VideoError: a frame that is asked for is damaged or missing.
    """
    wanted, found, converter = sorted(set(numbers)), set(), VideoReformatter()
    with _open(path) as (container, stream):
        for run in _runs(index, wanted):
            if index.seekable:
                start = index.shown_at[_key_before(index, run[0])]
                container.seek(start, stream=stream, backward=True)
            for number, frame in _sound_frames(path, container, stream, index, set(run)):
                found.add(number)
                yield number, _upright(frame, converter)
    lost = [number for number in wanted if number not in found]
    if lost and index.seekable:  # rare open GOPs let a jump land late: no jumps then
        yield from iterate_frames(path, index._replace(seekable=False), lost)
    else:
        _refuse_lost(path, wanted, found)


def decode_frames(path: Path, index: PacketIndex, numbers: Iterable[int]) -> dict:
    """All of ``iterate_frames`` at once: {number: frame}."""
    return dict(iterate_frames(path, index, numbers))
