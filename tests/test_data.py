"""Video in and the sample clips: exact frames, clear errors, files true to their source."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast_edu.data.figures import render
from slowfast_edu.data.transforms import center_crop, normalize
from slowfast_edu.data.video import VideoError, probe, read_frames

SAMPLES = Path(__file__).parent.parent / "data_samples"


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("maker", SAMPLES / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbered_frames(count: int) -> np.ndarray:
    """Frames that show their number in binary, as eight bars, black or white."""
    bits = np.unpackbits(np.arange(count, dtype=np.uint8)[:, None], axis=1)
    bars = (255 * bits).repeat(12, axis=1)[:, None, :, None]
    return np.broadcast_to(bars, (count, 64, 96, 3)).copy()


@pytest.fixture(scope="module")
def numbered(maker, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "numbered.mp4"
    maker.encode(numbered_frames(100), path)
    return path


def frame_numbers(frames: np.ndarray) -> list[int]:
    bars = frames.reshape(len(frames), 64, 8, 12, 3).mean(axis=(1, 3, 4))
    return np.packbits(bars > 128, axis=1)[:, 0].tolist()


def test_samples_hold_what_their_script_renders(maker):
    rows = maker.rows()
    assert len(rows) >= 2
    assert {row["file"] for row in rows} == {p.name for p in SAMPLES.glob("*.mp4")}
    for row in rows:
        source = maker.frames_of(row)
        path = SAMPLES / row["file"]
        assert probe(path) == (len(source), 30.0, int(row["size"]), int(row["size"]))
        indices = range(0, len(source), 7)
        error = np.abs(read_frames(path, indices).astype(int) - source[::7])
        assert error.mean() < 2  # of 255; a frame too early or late differs by more
        shifted = np.abs(read_frames(path, [0]).astype(int) - source[8]).mean()
        assert shifted > 1.5 * error[0].mean()


def test_samples_are_small():
    assert sum(p.stat().st_size for p in SAMPLES.iterdir() if p.is_file()) < 3_000_000


def test_samples_are_h264():
    import av

    for path in SAMPLES.glob("*.mp4"):
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == "h264"


def test_frames_are_exact_despite_b_frames(numbered):
    wanted = [0, 1, 2, 29, 30, 31, 63, 98, 99]
    assert frame_numbers(read_frames(numbered, wanted)) == wanted


@pytest.mark.parametrize("ending", ["mkv", "avi", "ts", "h264"])
def test_frames_are_exact_in_other_containers(maker, tmp_path, ending):
    path = tmp_path / f"numbered.{ending}"
    maker.encode(numbered_frames(100), path)
    assert probe(path).frames == 100
    wanted = [0, 1, 2, 30, 31, 50, 99]
    assert frame_numbers(read_frames(path, wanted)) == wanted


def test_a_fractional_index_is_refused(numbered):
    with pytest.raises(TypeError):
        read_frames(numbered, [1.7])


def test_frames_come_in_the_order_asked_for_with_repeats(numbered):
    assert frame_numbers(read_frames(numbered, [50, 3, 50])) == [50, 3, 50]


def test_probe_counts_frames(numbered):
    info = probe(numbered)
    assert info == (100, 30.0, 96, 64)
    assert info.seconds == pytest.approx(100 / 30)


@pytest.mark.parametrize("indices", [[0, 100], [-1]])
def test_a_frame_that_is_not_there_is_an_error_naming_the_range(numbered, indices):
    with pytest.raises(VideoError, match=r"it has 100: 0 to 99"):
        read_frames(numbered, indices)


def test_no_indices_is_an_error(numbered):
    with pytest.raises(ValueError, match="at least one frame"):
        read_frames(numbered, [])


@pytest.mark.parametrize("content", [None, b"", b"no video", bytes(range(256)) * 40])
@pytest.mark.parametrize("read", [probe, lambda path: read_frames(path, [0])])
def test_what_is_no_video_is_one_error_naming_the_file(tmp_path, content, read):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        read(path)


def test_a_truncated_file_is_an_error(numbered, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(numbered.read_bytes()[:-3000])
    with pytest.raises(VideoError, match=r"cut\.mp4"):
        read_frames(path, [0, 50, 99])


def test_sound_alone_is_an_error(tmp_path):
    import av

    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = np.zeros((1, 800), dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="holds no video stream"):
        probe(path)


def test_normalize_is_the_zoo_s():
    frames = np.full((2, 4, 5, 3), 255, dtype=np.uint8)
    frames[1] = 0
    clip = normalize(frames)
    assert clip.shape == (1, 3, 2, 4, 5)
    assert clip[0, :, 0].unique().item() == pytest.approx((1 - 0.45) / 0.225)
    assert clip[0, :, 1].unique().item() == pytest.approx(-2.0)


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 5, 3), np.float32), np.zeros((2, 3, 4, 5), np.uint8)]
)
def test_normalize_refuses_other_layouts(frames):
    with pytest.raises(ValueError, match=r"uint8 of shape \(T, H, W, 3\)"):
        normalize(frames)


@pytest.mark.parametrize("height,width", [(60, 90), (90, 60), (33, 47), (48, 48)])
def test_center_crop_gives_the_middle_square(height, width):
    ramp = torch.linspace(-1, 1, width).expand(1, 3, 2, height, width)
    cropped = center_crop(ramp, 32)
    assert cropped.shape == (1, 3, 2, 32, 32)
    assert cropped.mean().abs() < 0.05  # the middle of a ramp from -1 to 1


@pytest.mark.parametrize("shape,crop", [((3, 2, 8, 8), 4), ((1, 3, 2, 8, 8), 0)])
def test_center_crop_refuses_other_ranks_and_no_pixels(shape, crop):
    with pytest.raises(ValueError, match=r"\(B, C, T, H, W\) and at least 1 pixel"):
        center_crop(torch.zeros(shape), crop)


def test_render_is_the_same_each_time_and_moves():
    first, second = (render("walk", frames=8, size=48) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (8, 48, 48, 3)
    assert (np.abs(np.diff(first.astype(int), axis=0)).sum(axis=(1, 2, 3)) > 0).all()


def test_render_repeats_after_a_cycle():
    video = render("jumping_jack", frames=9, size=32, frames_per_cycle=8)
    assert np.array_equal(video[0], video[8])


def test_render_refuses_an_unknown_action():
    with pytest.raises(ValueError, match="walk, jumping_jack"):
        render("fly", frames=1)
