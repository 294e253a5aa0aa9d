"""Video in and out: exact frames from any file, each spoiled file a clear error.

The expected frame is the one that shows its number, and bit for bit what decoding the
whole file from its beginning gives.
"""

import os
import pickle
import re
from fractions import Fraction

import av
import numpy as np
import pytest
import video_files as files
from video_files import decode_all, encode, frame_numbers, numbered_frames

from slowfast_edu.config import ClipConfig
from slowfast_edu.data import encode as encode_module
from slowfast_edu.data.encode import write_video
from slowfast_edu.data.video import (
    Video,
    VideoError,
    VideoInfo,
    probe,
    read_clip,
    read_frames,
    read_views,
)
from slowfast_edu.sampling import fast_indices, view_starts

FRAMES = 100
OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=20:scenecut=0"}
HEVC = {"x265-params": "log-level=none:open-gop=1:keyint=20"}
# name: file ending, codec, options, frames between key frames
KINDS = {
    "mp4": ("mp4", "libx264", {}, 30),
    "mov": ("mov", "libx264", {}, 30),
    "matroska": ("mkv", "libx264", {}, 30),
    "avi": ("avi", "libx264", {}, 30),
    "transport stream": ("ts", "libx264", {}, 30),
    "raw": ("h264", "libx264", {}, 30),
    "open GOP": ("mp4", "libx264", OPEN_GOP, 20),
    "open GOP, matroska": ("mkv", "libx264", OPEN_GOP, 20),
    "open GOP, transport stream": ("ts", "libx264", OPEN_GOP, 20),
    "key frames only": ("mp4", "libx264", {}, 1),
    "key frames close": ("mp4", "libx264", {}, 3),
    "one key frame": ("mp4", "libx264", {}, 250),
    "mpeg-4 in avi": ("avi", "mpeg4", {"bf": "2"}, 12),
    "mpeg-4 in mp4": ("mp4", "mpeg4", {"bf": "2"}, 12),
    "mpeg-2": ("mpg", "mpeg2video", {"bf": "2"}, 12),
    "vp8": ("webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}, 30),
    "vp9": ("webm", "libvpx-vp9", {"cpu-used": "8"}, 30),
    "hevc": ("mp4", "libx265", HEVC, 20),
    "gif": ("gif", "gif", {}, 30),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("video")


@pytest.fixture(scope="session")
def numbered(folder):
    """100 frames at 30 fps, key frames at 0, 30, 60 and 90."""
    return encode(numbered_frames(FRAMES), folder / "numbered.mp4")


def available(codec: str) -> bool:
    try:
        return bool(av.codec.Codec(codec, "w"))
    except ValueError:
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_those_of_a_whole_decode(folder, kind):
    ending, codec, options, gap = KINDS[kind]
    if not available(codec):
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    source, path = numbered_frames(FRAMES), folder / f"kind.{ending}"
    whole = decode_all(encode(source, path, codec, 25, gap, options))
    video = Video(path)
    assert (video.info.frames, video.info.frames_per_second) == (FRAMES, 25.0)
    assert video.info.seconds == FRAMES / 25
    for wanted in (
        [0, 1, 2],
        [99],
        [0, 99],
        *([key + i for i in range(-2, 3)] for key in (20, 30, 60)),
        [3, 45, 46, 80],
        [98, 50, 3, 50],
        range(0, 100, 3),
    ):
        got = video.read_frames(wanted)
        assert frame_numbers(got) == list(wanted)
        assert np.array_equal(got, whole[wanted])


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_frames_of_a_variable_rate_are_exact(folder, ending):
    gaps = [1 + 7 * i % 5 for i in range(FRAMES)]
    stamps = (np.cumsum([0, *gaps[:-1]]).tolist(), Fraction(1, 60))
    path = encode(numbered_frames(FRAMES), folder / f"variable.{ending}", stamps=stamps)
    assert probe(path).frames == FRAMES
    assert probe(path).seconds == pytest.approx(sum(gaps) / 60, abs=0.1)
    wanted = [0, 28, 29, 30, 31, 58, 97, 99]
    assert frame_numbers(read_frames(path, wanted)) == wanted
    # Resampled to 60 fps a frame is repeated for as long as it is shown.
    expected = np.repeat(np.arange(FRAMES), gaps)[:200]
    resampled = read_frames(path, range(200), frames_per_second=60)
    assert frame_numbers(resampled) == expected.tolist()


def test_a_jump_that_lands_late_costs_time_but_no_frame(folder):
    """FFmpeg overshoots where GOPs are open and short and the rate varies."""
    gaps = np.random.default_rng(2).choice([1, 2, 3, 10], 60)
    path = encode(
        numbered_frames(60),
        folder / "late.mp4",
        options={"x264-params": "open-gop=1:bframes=3:keyint=3:min-keyint=1"},
        stamps=(np.cumsum(gaps).tolist(), Fraction(1, 60)),
    )
    video = Video(path)
    assert [frame_numbers(video.read_frames([i]))[0] for i in range(60)] == list(range(60))


@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001", "25", "60", "125/2", "12"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi", "h264"])
def test_a_video_resampled_to_its_own_rate_is_itself(folder, ending, rate):
    path = encode(numbered_frames(70), folder / f"own.{ending}", rate=Fraction(rate))
    info = probe(path)
    assert info.frames_per_second == float(Fraction(rate))
    assert probe(path, info.frames_per_second) == info
    video = Video(path, Fraction(rate))
    assert frame_numbers(video.read_frames(range(70))) == list(range(70))


def test_resampling_halves_and_doubles(numbered):
    info = probe(numbered, frames_per_second=15)
    assert (info.frames, info.frames_per_second) == (50, 15.0)
    assert info.seconds == probe(numbered).seconds
    half = read_frames(numbered, [0, 1, 2, 49], frames_per_second=15)
    assert frame_numbers(half) == [0, 2, 4, 98]
    double = read_frames(numbered, [0, 1, 2, 3, 199], frames_per_second=60)
    assert frame_numbers(double) == [0, 0, 1, 1, 99]
    # 25 of 30: at k / 25 s frame floor(1.2 k) is on screen
    slower = read_frames(numbered, range(12), frames_per_second=25)
    assert frame_numbers(slower) == [6 * k // 5 for k in range(12)]


def test_no_more_is_decoded_than_key_frames_make_necessary(numbered, decoded):
    read_frames(numbered, [5, 95])
    assert decoded == [*range(0, 6), *range(90, 96)]
    decoded.clear()
    read_frames(numbered, [62])  # B-frames included: none from before the key frame
    assert decoded == [60, 61, 62]
    decoded.clear()
    read_frames(numbered, [28, 31])  # so near that a jump would cost more
    assert decoded == list(range(32))


@pytest.mark.parametrize("first,seconds", [(40, 2.0), (40, 1.0), (30, 1.0), (45, 0.5)])
def test_frames_hidden_by_an_edit_list_do_not_count(numbered, tmp_path, first, seconds):
    path = files.cut_by_edit_list(numbered, tmp_path / "edited.mp4", first, seconds)
    count = round(30 * seconds)
    assert frame_numbers(decode_all(path)) == list(range(first, first + count))
    assert probe(path).frames == count
    wanted = [0, 1, count - 1]
    assert frame_numbers(read_frames(path, wanted)) == [first + i for i in wanted]
    assert frame_numbers(read_frames(path, [count // 2])) == [first + count // 2]


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_rotation_for_players_is_applied(tmp_path, clockwise):
    """The bright corner goes where ISO/IEC 14496-12's display matrix sends it."""
    corner = np.zeros((3, 64, 96, 3), dtype=np.uint8)
    corner[:, :16, :16] = 255  # top left as stored
    stored = encode(corner, tmp_path / "stored.mp4")
    path = files.rotate(stored, tmp_path / "turned.mp4", clockwise)
    sides = (96, 64) if clockwise % 180 == 0 else (64, 96)
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (*sides, clockwise)
    frame = read_frames(path, [1])[0]
    assert frame.shape == (*sides[::-1], 3)
    a, b, c, d = files.TURN_MATRIX[clockwise]
    x, y = -48, -32  # the corner, seen from the middle
    right, below = a * x + c * y > 0, b * x + d * y > 0
    quarters = {
        (i, j): frame[-16 * i :, -16 * j :][:16, :16].mean() for i in (0, 1) for j in (0, 1)
    }
    assert quarters.pop((int(below), int(right))) > 200
    assert max(quarters.values()) < 50


def test_probe_tells_what_is_there(numbered):
    assert probe(numbered) == VideoInfo(
        frames=100,
        frames_per_second=30.0,
        width=96,
        height=64,
        rotation=0,
        seconds=pytest.approx(100 / 30),
    )


def test_a_clip_is_what_the_fast_pathway_sees(numbered):
    clip = ClipConfig(T=4, tau=16, alpha=8)
    got = read_clip(numbered, clip, start_frame=20)
    assert got.shape == (32, 64, 96, 3)
    assert frame_numbers(got) == list(range(20, 84, 2))
    linspace = ClipConfig(T=4, tau=16, alpha=8, frame_rule="linspace")
    assert frame_numbers(read_clip(numbered, linspace)) == [*range(0, 61, 2), 63]
    halved = read_clip(numbered, ClipConfig(T=2, tau=4, alpha=2), 1, frames_per_second=15)
    assert frame_numbers(halved) == [2, 6, 10, 14]


@pytest.mark.parametrize(
    ("short", "expected"), [("clamp", [96, 98, 99, 99]), ("loop", [96, 98, 0, 2])]
)
def test_a_clip_past_the_end_follows_the_rule(numbered, short, expected):
    clip = ClipConfig(T=2, tau=4, alpha=2)
    assert frame_numbers(read_clip(numbered, clip, 96, short=short)) == expected


def test_views_are_the_clips_at_their_starts(numbered):
    clip = ClipConfig(T=2, tau=16, alpha=4)
    got = read_views(numbered, clip, clips=3)
    assert got.shape == (3, 8, 64, 96, 3)
    for view, start in zip(got, view_starts(clip, 100, 3), strict=True):
        assert frame_numbers(view) == fast_indices(clip, start).tolist()


def test_a_listed_video_can_be_sent_to_a_worker(numbered):
    video = pickle.loads(pickle.dumps(Video(numbered, frames_per_second=15)))
    clip = ClipConfig(T=1, tau=4, alpha=2)
    assert frame_numbers(video.read_clip(clip, 5)) == [10, 14]
    assert frame_numbers(video.read_views(clip, 2)[1]) == [92, 96]


@pytest.mark.parametrize("indices", [[0, 100], [-1]])
def test_a_frame_that_is_not_there_is_an_error_naming_the_range(numbered, indices):
    with pytest.raises(VideoError, match=r"numbered\.mp4: .* has 100: 0 to 99"):
        read_frames(numbered, indices)


def test_bad_settings_are_refused(numbered):
    with pytest.raises(ValueError, match="at least one frame"):
        read_frames(numbered, [])
    with pytest.raises(TypeError):
        read_frames(numbered, [1.7])
    with pytest.raises(ValueError, match="short='wrap' is not known") as caught:
        read_frames(numbered, [0], short="wrap")
    assert not isinstance(caught.value, VideoError)  # it is not the file's fault
    for rate in (0, -1, float("nan"), "30"):
        with pytest.raises(ValueError, match=r"frames_per_second=.* positive number"):
            probe(numbered, frames_per_second=rate)


def cut(source, path, share=None, end=None):
    data = source.read_bytes()
    path.write_bytes(data[: int(share * len(data)) if share else end])
    return path


@pytest.mark.parametrize("read", [probe, lambda path: read_frames(path, [0])])
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"no video at all\n" * 99, "cannot be decoded"),
        (bytes(range(256)) * 40, "cannot be decoded"),
    ],
)
def test_what_is_no_video_is_one_error_naming_the_file(tmp_path, content, cause, read):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=rf"clip\.mp4: {cause}"):
        read(path)


def test_checking_a_file_decodes_each_frame_once(folder, decoded):
    path = encode(numbered_frames(100), folder / "one_key.mp4", key_frame_every=100)
    Video(path).check_frames()
    assert decoded == list(range(100))


@pytest.mark.parametrize("name", ["notes.txt", "notes.nfo"])
def test_text_is_no_video_though_ffmpeg_draws_it(tmp_path, name):
    path = tmp_path / name
    path.write_text("Do not forget the milk.\n" * 60)
    with pytest.raises(VideoError, match=rf"{name}: is text, not a video"):
        probe(path)


@pytest.mark.parametrize(
    "list_of_files",
    [
        "ffconcat version 1.0\nfile numbered.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\nnumbered.ts\n#EXT-X-ENDLIST\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8"])
def test_a_list_of_files_never_stands_for_another_video(tmp_path, list_of_files, name):
    for other in ("numbered.mp4", "numbered.ts"):
        encode(numbered_frames(20), tmp_path / other)
    path = tmp_path / name
    path.write_text(list_of_files)
    with pytest.raises(VideoError, match=re.escape(name)):
        probe(path)


@pytest.mark.parametrize("name", ["a:b.mp4", "http:a.mp4", "file:v.mp4", "-i.mp4"])
def test_odd_names_are_names_and_no_protocols(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(numbered_frames(3), tmp_path / "plain.mp4")
    write_video(numbered_frames(5), tmp_path / "v.mp4")
    os.replace("plain.mp4", name)
    assert probe(name).frames == 3


def test_a_name_that_no_file_system_takes_is_missing(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        probe(tmp_path / f"{'x' * 5000}.mp4")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_moment_names_the_frame_that_is_on_screen(tmp_path, ending):
    # Sixty frames in one second, then sixty in six seconds.
    stamps = [*range(0, 60), *range(60, 420, 6)], Fraction(1, 60)
    path = encode(numbered_frames(120), tmp_path / f"slower.{ending}", stamps=stamps)
    video = Video(path)
    for seconds, number in ((0, 0), (0.5, 30), (1, 60), (3, 80), (3.05, 80), (99, 119)):
        assert video.frame_at(seconds) == number, seconds
    resampled = Video(path, frames_per_second=20)
    for seconds in (0, 0.5, 1, 3, 6.5):
        number = resampled.frame_at(seconds)
        assert number == 20 * seconds
        shown = frame_numbers(resampled.read_frames([number]))
        assert shown == [video.frame_at(seconds)]
    assert resampled.frame_at(99) == resampled.info.frames - 1


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(VideoError, match="is a folder"):
        probe(tmp_path)


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_is_an_error_even_with_a_cover(tmp_path, cover):
    with pytest.raises(VideoError, match=r"sound\.mp3: holds no video stream"):
        probe(files.sound(tmp_path / "sound.mp3", cover))


@pytest.mark.parametrize(("ending", "codec"), [("png", "png"), ("jpg", "mjpeg")])
def test_a_picture_is_no_video(tmp_path, ending, codec):
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = files.WIDTH, files.HEIGHT
    encoder.pix_fmt = {"png": "rgb24", "mjpeg": "yuvj420p"}[codec]
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(numbered_frames(1)[0], format="rgb24")
    packets = encoder.encode(frame.reformat(format=encoder.pix_fmt)) + encoder.encode()
    path = tmp_path / f"picture.{ending}"
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    with pytest.raises(VideoError, match="still image"):
        probe(path)


def test_an_mp4_without_its_index_is_an_error(numbered, tmp_path):
    with pytest.raises(VideoError, match=r"cut\.mp4: cannot be decoded: .*cut short"):
        probe(cut(numbered, tmp_path / "cut.mp4", share=0.5))


@pytest.mark.parametrize("end", [-3000, -1])
def test_an_mp4_that_ends_too_early_is_an_error(tmp_path, end):
    write_video(numbered_frames(FRAMES), tmp_path / "whole.mp4")  # its index comes first
    path = cut(tmp_path / "whole.mp4", tmp_path / "cut.mp4", end=end)
    with pytest.raises(VideoError, match=r"cut\.mp4: truncated: \d+ of its 100 frames"):
        read_frames(path, [0])


@pytest.mark.parametrize("ending", ["avi", "flv"])
def test_other_files_cut_within_a_frame_are_an_error(tmp_path, ending):
    whole = encode(numbered_frames(FRAMES), tmp_path / f"whole.{ending}")
    start, size, _ = files.packets(whole)[60]
    with pytest.raises(VideoError, match=rf"cut\.{ending}: truncated"):
        probe(cut(whole, tmp_path / f"cut.{ending}", end=start + size - 3))


@pytest.mark.parametrize("ending", ["ts", "mkv"])
def test_a_stream_cut_in_the_middle_is_shorter(tmp_path, ending):
    whole = encode(
        numbered_frames(FRAMES), tmp_path / f"whole.{ending}", options={"bf": "0"}
    )
    path = cut(whole, tmp_path / f"cut.{ending}", share=0.6)
    frames = probe(path).frames
    assert 20 < frames < 90
    assert frame_numbers(read_frames(path, [0, frames - 2])) == [0, frames - 2]
    with pytest.raises(VideoError, match=rf"cut\.{ending}: .* has {frames}"):
        read_frames(path, [99])


@pytest.mark.parametrize(
    ("ending", "codec", "options"),
    [
        ("ts", "libx264", {}),
        ("ts", "libx264", OPEN_GOP),
        ("h264", "libx264", {}),
        ("mpg", "mpeg2video", {"bf": "2"}),
    ],
)
def test_a_stream_without_its_head_starts_at_a_key_frame(tmp_path, ending, codec, options):
    whole = encode(
        numbered_frames(FRAMES), tmp_path / f"whole.{ending}", codec, 30, 20, options
    )
    path = tmp_path / f"tail.{ending}"
    data = whole.read_bytes()
    path.write_bytes(data[60 * 188 if ending == "ts" else len(data) * 4 // 10 :])
    frames = probe(path).frames
    assert 20 < frames < 90
    expected = list(range(FRAMES - frames, FRAMES))
    assert frame_numbers(read_frames(path, range(frames))) == expected


def test_frames_that_do_not_come_out_of_the_decoder_are_an_error(tmp_path):
    """Raw H.264 has no time stamps, so that orphans of an open GOP are counted too."""
    whole = encode(numbered_frames(FRAMES), tmp_path / "whole.h264", options=OPEN_GOP)
    data = whole.read_bytes()
    path = tmp_path / "tail.h264"
    headers = b"\x00\x00\x00\x01\x67"  # of a group of pictures; a cut elsewhere is chance
    path.write_bytes(data[data.index(headers, len(data) * 4 // 10) :])
    with pytest.raises(VideoError, match=r"tail\.h264: \d of \d+ frames .*not be decoded"):
        read_frames(path, range(probe(path).frames))


def test_an_unknown_codec_is_an_error(tmp_path):
    whole = encode(numbered_frames(5), tmp_path / "whole.avi", "mpeg4")
    path = tmp_path / "unknown.avi"
    path.write_bytes(whole.read_bytes().replace(b"FMP4", b"ZZZZ"))
    with pytest.raises(VideoError, match=r"unknown\.avi: .*no decoder"):
        probe(path)


def test_the_open_gops_of_these_tests_are_open(folder):
    """Frames follow their key frame in the file and are shown before it."""
    path = encode(numbered_frames(60), folder / "open.mp4", options=OPEN_GOP)
    key, leading = 0, 0
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                key = packet.pts if packet.is_keyframe else key
                leading += packet.pts < key
    assert leading >= 6  # three for each of two key frames


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("avi", "mpeg4")])
def test_a_damaged_frame_is_never_returned_and_the_others_are(tmp_path, ending, codec):
    source = numbered_frames(FRAMES)
    whole = encode(source, tmp_path / f"whole.{ending}", codec, key_frame_every=20)
    keys = [i for i, packet in enumerate(files.packets(whole)) if packet[2]]
    damaged = keys[1]
    path = files.flip_bits(whole, tmp_path / f"bad.{ending}", damaged)
    before, after = range(0, damaged - 3), range(keys[2], keys[2] + 3)
    assert frame_numbers(read_frames(path, before)) == list(before)
    assert frame_numbers(read_frames(path, after)) == list(after)
    for index in (damaged, damaged + 2):  # the second copies from the first
        with pytest.raises(VideoError, match=rf"bad\.{ending}: frame {index} is damaged"):
            read_frames(path, [0, index])


def test_a_file_whose_first_frame_is_destroyed_is_read_from_the_next_key_frame(tmp_path):
    source = numbered_frames(FRAMES)
    whole = encode(source, tmp_path / "whole.webm", "libvpx", key_frame_every=20)
    start, size, _ = files.packets(whole)[0]
    data = whole.read_bytes()
    path = tmp_path / "bad.webm"
    path.write_bytes(data[: start + 6] + b"\xff" * (size - 6) + data[start + size :])
    assert probe(path)[:4] == (100, 30.0, 96, 64)
    assert frame_numbers(read_frames(path, [40, 47])) == [40, 47]
    with pytest.raises(VideoError, match=r"bad\.webm: cannot be decoded"):
        read_frames(path, [0])


def test_frames_with_equal_time_stamps_are_counted(tmp_path):
    whole = encode(numbered_frames(20), tmp_path / "whole.mkv", options={"bf": "0"})
    block = b"\x81%b\x00"  # track 1, the frame's milliseconds, no flags
    fourth, fifth = (block % ms.to_bytes(2, "big") for ms in (133, 167))
    assert whole.read_bytes().count(fifth) == 1
    path = tmp_path / "equal.mkv"
    path.write_bytes(whole.read_bytes().replace(fifth, fourth))
    assert frame_numbers(decode_all(path)) == list(range(20))
    assert frame_numbers(read_frames(path, [4, 5, 6, 19])) == [4, 5, 6, 19]


def test_frames_that_change_size_are_an_error(tmp_path):
    small = np.zeros((5, 32, 48, 3), dtype=np.uint8)
    parts = [
        encode(frames, tmp_path / f"{i}.h264").read_bytes()
        for i, frames in enumerate([numbered_frames(5), small])
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(parts))
    assert frame_numbers(read_frames(path, [4])) == [4]
    with pytest.raises(VideoError, match="frame 6 is 48x32, the first 96x64"):
        read_frames(path, [1, 6])


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "written.mp4"
    write_video(numbered_frames(50), path, 30000 / 1001, key_frame_every=12, crf=10)
    info = probe(path)
    assert info[:4] == (50, 30000 / 1001, 96, 64)
    assert frame_numbers(read_frames(path, range(50))) == list(range(50))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == (
            "h264",
            "yuv420p",
        )
    keys = [i for i, packet in enumerate(files.packets(path)) if packet[2]]
    assert max(np.diff([*keys, 50])) <= 12
    assert [p.name for p in tmp_path.iterdir()] == ["written.mp4"]


def test_writing_again_gives_the_same_bytes_and_crf_matters(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    written = []
    for crf in (20, 20, 40):
        write_video(frames, tmp_path / "again.mp4", crf=crf)
        written.append((tmp_path / "again.mp4").read_bytes())
    assert written[0] == written[1]
    assert len(written[2]) < len(written[0])


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "kept.mp4"
    path.write_bytes(b"old")

    def fail(frames, part, *_):
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(encode_module, "_encode", fail)
    with pytest.raises(OSError, match="disk full"):
        write_video(numbered_frames(3), path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.mp4"]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((2, 32, 32, 3), np.float32), "float32 of shape"),
        (np.zeros((2, 3, 32, 32), np.uint8), r"must be uint8 of shape \(T, H, W, 3\)"),
        ([[1]], "frames are a list"),
        (np.zeros((0, 32, 32, 3), np.uint8), "at least one frame"),
        (np.zeros((2, 33, 32, 3), np.uint8), "height=33 must be even.* 32 and 34"),
        (np.zeros((2, 32, 31, 3), np.uint8), "width=31 must be even.* 30 and 32"),
    ],
)
def test_frames_that_cannot_be_written_are_refused(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(frames, tmp_path / "no.mp4")
    assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_written_are_refused(tmp_path):
    frames = numbered_frames(2)
    for setting, message in (
        ({"crf": 52}, "crf=52 must be at most 51"),
        ({"crf": -1}, "crf=-1"),
        ({"key_frame_every": 0}, "key_frame_every=0"),
        ({"frames_per_second": 0}, "frames_per_second=0"),
    ):
        with pytest.raises(ValueError, match=message):
            write_video(frames, tmp_path / "no.mp4", **setting)
    with pytest.raises(ValueError, match=r"must end in \.mp4"):
        write_video(frames, tmp_path / "no.avi")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_video(frames, tmp_path / "nowhere" / "no.mp4")
    assert list(tmp_path.iterdir()) == []
