"""The command line: what it prints, and one line for what goes wrong."""

import re
import subprocess
import sys

import numpy as np
import pytest

from slowfast_edu import PRESETS
from slowfast_edu.analysis import table
from slowfast_edu.cli import main
from slowfast_edu.data import survey
from slowfast_edu.data.encode import write_video


def test_flops_lists_every_preset_with_the_paper_s_figures(capsys):
    assert main(["flops"]) == 0
    printed = capsys.readouterr().out
    for name in PRESETS:
        assert re.search(rf"^{name} ", printed, re.MULTILINE)
    row = re.search(r"^slowfast_4x16_r50 .*$", printed, re.MULTILINE).group()
    assert row.split() == [
        "slowfast_4x16_r50",
        "34,480,216",
        "27.639",
        "36.099",
        "36.1",
        "@256",
        "36.099",
        "=",
    ]


def test_flops_marks_what_differs_and_says_why(capsys):
    main(["flops"])
    printed = capsys.readouterr().out
    table, why = printed.split("Where a figure differs, why:")
    marked = set(re.findall(r"^(\w+) .*%$", table, re.MULTILINE))
    explained = set(re.findall(r"^- (\w+): ", why, re.MULTILINE))
    assert marked == explained
    assert {"fast_32x2_r50", "slowfast_16x8_r101_nl", "i3d_inception"} <= marked
    assert max(map(len, printed.splitlines())) <= 92


def test_flops_adds_fvcore_s_total_when_asked(capsys, monkeypatch):
    name = "slow_4x16_r50"  # one is enough: each is run
    monkeypatch.setattr(table, "PRESETS", {name: PRESETS[name]})
    assert main(["flops", "--fvcore"]) == 0
    row = re.search(rf"^{name} .*$", capsys.readouterr().out, re.MULTILINE).group()
    assert row.split()[2:5] == ["20.871", "27.260", "27.376"]  # 224, 256, fvcore's


def test_fetch_weights_of_an_unknown_preset_is_one_line(capsys):
    assert main(["fetch-weights", "resnet"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'resnet'" in error and "slowfast_8x8_r50" in error


def test_fetch_weights_without_a_network_says_where_to_put_the_file(capsys, tmp_path):
    nobody = "http://127.0.0.1:9"  # the discard port: nothing listens there
    arguments = ["--folder", str(tmp_path), "--base-url", nobody]
    assert main(["fetch-weights", "slow_8x8_r50", *arguments]) == 1
    error = capsys.readouterr().err
    assert f"put it at {tmp_path / 'SLOW_8x8_R50.pyth'}" in error
    assert not list(tmp_path.glob("*.pyth"))


def make_video(path, frames, rate=30, size=(48, 32)):
    """Noise, so that nearly all bytes of the file are picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    shape = frames, *size[::-1], 3
    write_video(rng.integers(0, 256, shape, dtype=np.uint8), path, rate)


@pytest.fixture
def videos(tmp_path):
    root = tmp_path / "videos"
    make_video(root / "clap" / "a.mp4", 70)
    make_video(root / "clap" / "b.mp4", 20)
    make_video(root / "walk" / "c.mp4", 30, rate=25, size=(32, 64))
    return root


def inspect(capsys, *arguments):
    status = main(["inspect", *map(str, arguments)])
    printed = capsys.readouterr()
    told = [line for line in printed.out.splitlines() if not line.startswith("format: ")]
    return status, told, printed.err


def test_inspect_prints_counts_lengths_rates_and_sizes(videos, capsys):
    status, lines, error = inspect(capsys, videos)
    assert status == 0
    assert lines == [
        f"{videos}: 3 videos, 2 classes",
        "",
        "class   videos",
        "clap         2",
        "walk         1",
        "",
        "frames: least 20, median 30, most 70",
        "seconds: least 0.666667, median 1.2, most 2.33333",
        "rates: 30 fps (2), 25 fps (1)",
        "sizes: 48x32 (2), 32x64 (1)",
        "shorter than the 64 raw frames of slowfast_8x8_r50: 2 of 3",
        "problems: 0",
    ]
    assert "3/3" in error  # the bar


def test_inspect_counts_at_another_rate_for_another_preset(videos, capsys):
    _, lines, _ = inspect(capsys, videos, "--fps", 60, "--preset", "slowfast_16x8_r101")
    assert "frames: least 40, median 72, most 140" in lines
    assert "shorter than the 128 raw frames of slowfast_16x8_r101: 2 of 3" in lines


def test_inspect_lists_the_most_frequent_first_and_a_whole_clip_is_not_short(
    videos, capsys
):
    make_video(videos / "box" / "z.mp4", 64, rate=20)
    _, lines, _ = inspect(capsys, videos)
    assert "rates: 30 fps (2), 20 fps (1), 25 fps (1)" in lines
    assert "shorter than the 64 raw frames of slowfast_8x8_r50: 2 of 4" in lines


def test_inspect_names_every_bad_file_with_its_cause(videos, capsys):
    (videos / "clap" / "empty.mp4").touch()
    (videos / "walk" / "text.mp4").write_text("no video")
    status, lines, _ = inspect(capsys, videos)
    assert status == 1
    assert lines[0] == f"{videos}: 5 videos, 2 classes"
    assert lines[-3] == "problems: 2"
    assert lines[-2] == f"  {videos / 'clap' / 'empty.mp4'}: the file is empty"
    assert lines[-1].startswith(f"  {videos / 'walk' / 'text.mp4'}: ")


def test_inspect_of_broken_files_alone(tmp_path, capsys):
    (tmp_path / "clap").mkdir()
    (tmp_path / "clap" / "empty.mp4").touch()
    status, lines, _ = inspect(capsys, tmp_path)
    assert status == 1
    assert "problems: 1" in lines


def test_only_decoding_finds_damage_within_a_file(videos, capsys):
    path = videos / "clap" / "a.mp4"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)  # of 63,000: some frames and their sizes
    path.write_bytes(content)
    assert inspect(capsys, videos)[0] == 0
    status, lines, _ = inspect(capsys, videos, "--decode")
    assert status == 1
    assert lines[-2] == "problems: 1"
    assert str(path) in lines[-1]


@pytest.mark.parametrize("name", ["kinetics", "pyslowfast", "ucf101", "ava"])
def test_inspect_reads_every_format(videos, capsys, name):
    path = videos.parent / "list"
    (videos / "clap" / "a.mp4").rename(videos / "clap" / "a_000001_000003.mp4")
    (videos / "classInd.txt").write_text("1 clap\n2 walk\n")
    texts = {
        "kinetics": "label,youtube_id,time_start,time_end,split\nclap,a,1,3,train\n"
        "walk,gone,0,10,train\n",
        "pyslowfast": "clap/a_000001_000003.mp4 0\nclap/gone.mp4 1\n",
        "ucf101": "clap/a_000001_000003.mp4 1\nwalk/gone.avi 2\n",
        "ava": "a_000001_000003,1,0,0,1,1,2,0\ngone,1,0,0,1,1,2,0\n",
    }
    if name == "ucf101":
        path = videos / "list"
    path.write_text(texts[name])
    status, lines, _ = inspect(capsys, path, "--root", videos)
    assert status == 1
    assert lines[0].startswith(f"{videos}: 2 videos, ")
    assert "frames: least 70, median 70, most 70" in lines
    assert lines[-2] == "problems: 1"
    assert "gone" in lines[-1] and lines[-1].endswith("no such file")
    assert inspect(capsys, path, "--root", videos, "--format", name)[1] == lines
    main(["inspect", str(path), "--root", str(videos)])
    assert capsys.readouterr().out.startswith(f"format: {name}\n")


def test_inspect_tells_of_keyframes_after_the_end(videos, capsys):
    path = videos.parent / "ava.csv"
    path.write_text("c,902,0,0,1,1,2,0\nc,901,0,0,1,1,2,0\nc,901,0,0,1,1,80,0\n")
    status, lines, _ = inspect(capsys, path, "--root", videos)
    assert status == 1
    assert "2 keyframes are after the end at 1.2 s, the first at 901 s" in lines[-1]
    assert f"{videos / 'walk' / 'c.mp4'}: 2 keyframes" in lines[-1]
    status, lines, _ = inspect(capsys, path, "--root", videos, "--first-second", 901)
    assert status == 0
    assert lines[0] == f"{videos}: 1 videos, 2 keyframes, 80 classes"
    assert "2            2" in lines and "80           1" in lines
    assert "class   people" in lines


def test_a_keyframe_at_the_very_end_is_after_it(videos, capsys):
    path = videos.parent / "ava.csv"
    path.write_text("c,1.2,0,0,1,1,2,0\nc,1.1,0,0,1,1,2,0\n")  # 30 frames at 25
    status, lines, _ = inspect(capsys, path, "--root", videos)
    assert status == 1
    assert "1 keyframes are after the end at 1.2 s, the first at 1.2 s" in lines[-1]


@pytest.mark.parametrize(
    "arguments,problem",
    [
        (["nowhere.csv"], "nowhere.csv: cannot be read: No such file"),
        ([".", "--format", "csv"], "format='csv' is not known; choose one of 'folders'"),
        ([".", "--preset", "resnet"], "preset='resnet' is not known"),
        (["list.csv"], "list.csv, line 2: label='x' must be a whole number from 0"),
    ],
)
def test_inspect_tells_a_wrong_call_in_one_line(
    tmp_path, monkeypatch, capsys, arguments, problem
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("a.mp4 0\nb.mp4 x\n")
    status, lines, error = inspect(capsys, *arguments)
    assert (status, lines, error.count("\n")) == (1, [], 1)
    assert error.startswith(f"slowfast-edu inspect: {problem}")


def test_a_stopped_inspect_prints_what_it_has(videos, capsys, monkeypatch):
    class Stopping(survey.Video):
        def __init__(self, path, *rest):
            if path.name == "c.mp4":
                raise KeyboardInterrupt
            super().__init__(path, *rest)

    monkeypatch.setattr(survey, "Video", Stopping)
    status, lines, error = inspect(capsys, videos)
    assert status == 130
    assert "frames: least 20, median 45, most 70" in lines
    assert "not opened, for it was stopped: 1 videos" in lines
    assert error.endswith("slowfast-edu inspect: stopped\n")


@pytest.mark.parametrize("arguments", [[], ["fly"], ["fetch-weights"], ["inspect"]])
def test_a_wrong_call_prints_usage_and_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: slowfast-edu" in capsys.readouterr().err


def test_the_package_runs_as_a_command():
    command = [sys.executable, "-m", "slowfast_edu", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert "fetch-weights" in result.stdout
