"""The sample clips: true to their script, small, and readable as a dataset."""

import importlib.util
import re
import runpy
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from slowfast_edu.data.annotations import folder_per_class, kinetics_csv
from slowfast_edu.data.figures import ACTIONS
from slowfast_edu.data.video import probe, read_frames

SAMPLES = Path(__file__).parent.parent / "data_samples"


def load_script():
    spec = importlib.util.spec_from_file_location("maker", SAMPLES / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = load_script()
ROWS = maker.rows()


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_a_file_holds_what_the_script_renders(row):
    source = maker.frames_of(row).astype(int)
    path, size = SAMPLES / row["file"], int(row["size"])
    info = probe(path)
    assert (info.frames, info.frames_per_second) == (len(source), 30)
    assert (info.width, info.height) == (size, size)
    decoded = read_frames(path, range(info.frames)).astype(int)
    noise = 10 * np.log10(255**2 / ((decoded - source) ** 2).mean(axis=(1, 2, 3)))
    assert noise.min() > 27  # dB of PSNR for the worst frame
    for other in (-3, 3):  # where something moves, another frame fits far worse
        shifted = np.roll(source, other, axis=0)[10:-10]
        moving = np.abs(shifted - source[10:-10]) > 40
        error = np.abs(decoded[10:-10] - source[10:-10])[moving].mean()
        assert error < 0.5 * np.abs(decoded[10:-10] - shifted)[moving].mean()


def test_the_manifest_names_every_file_once():
    names = [row["file"] for row in ROWS]
    found = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.mp4")}
    assert len(names) == len(found)
    assert set(names) == found


def test_there_are_enough_of_each_size():
    small = [row for row in ROWS if (row["size"], row["frames"]) == ("112", "90")]
    large = [row for row in ROWS if row["size"] == "224" and int(row["frames"]) >= 180]
    assert len(small) >= 10
    assert len(large) >= 2
    for row in small:
        assert (SAMPLES / row["file"]).stat().st_size < 40_000
    assert {row["label"] for row in small} == set(ACTIONS)


def test_all_of_it_is_small():
    assert sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file()) < 3_000_000


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_files_are_h264_with_the_key_frames_that_the_manifest_says(row):
    with av.open(str(SAMPLES / row["file"])) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        packets = [packet for packet in container.demux(stream) if packet.size]
    shown = sorted(packets, key=lambda packet: packet.pts)
    keys = [place for place, packet in enumerate(shown) if packet.is_keyframe]
    gaps = np.diff([*keys, len(shown)])
    assert 12 <= int(row["key_frame_every"]) <= 30
    assert gaps.max() <= int(row["key_frame_every"])
    assert settings_of(SAMPLES / row["file"]) == (row["key_frame_every"], row["crf"])


def settings_of(path):
    """(keyint, crf) as x264 itself notes them in a file."""
    note = re.search(rb"keyint=(\d+) .*crf=(\d+)\.0 ", path.read_bytes())
    return tuple(number.decode() for number in note.groups())


def test_the_script_makes_what_the_manifest_says(tmp_path):
    made = (("new/run.mp4", "run", 4, 16, 15, 35), ("jump.mp4", "jump", 5, 32, 18, 10))
    header = (SAMPLES / "manifest.csv").read_text(encoding="utf-8").splitlines()[0]
    rows = [
        f"{file},{label},actions,clothed,{seed},{size},20,{every},{crf},"
        for file, label, seed, size, every, crf in made
    ]
    (tmp_path / "manifest.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    script = shutil.copy(SAMPLES / "make_samples.py", tmp_path)
    space = runpy.run_path(script, run_name="__main__")
    for row, (file, _, _, size, every, crf) in zip(space["rows"](), made, strict=True):
        info = probe(tmp_path / file)
        assert (info.frames, info.frames_per_second, info.width) == (20, 30, size)
        assert settings_of(tmp_path / file) == (str(every), str(crf))
        decoded = read_frames(tmp_path / file, range(20)).astype(int)
        assert np.abs(decoded - space["frames_of"](row)).mean() < 16


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_lists_and_the_folders_agree(split):
    listed = kinetics_csv(SAMPLES / f"{split}.csv", SAMPLES / "actions")
    folders = folder_per_class(SAMPLES / "actions")
    assert listed.classes == folders.classes == tuple(sorted(ACTIONS))
    assert set(listed.videos) < set(folders.videos)
    wanted = {row["file"] for row in ROWS if row["split"] == split}
    assert {f"actions/{video.name}" for video in listed.videos} == wanted
    _, *lines = (SAMPLES / f"{split}.csv").read_text(encoding="utf-8").splitlines()
    assert {line.rpartition(",")[2] for line in lines} == {split}
