"""The command line: what it prints, and one line for what goes wrong."""

import re
import subprocess
import sys

import pytest

from slowfast_edu import PRESETS
from slowfast_edu.analysis import table
from slowfast_edu.cli import main


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


@pytest.mark.parametrize("arguments", [[], ["fly"], ["fetch-weights"]])
def test_a_wrong_call_prints_usage_and_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: slowfast-edu" in capsys.readouterr().err


def test_the_package_runs_as_a_command():
    command = [sys.executable, "-m", "slowfast_edu.cli", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert "fetch-weights" in result.stdout
