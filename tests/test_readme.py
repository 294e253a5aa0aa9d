"""What the README states, run."""

import ast
import re
from pathlib import Path

import pytest

from slowfast_edu import PRESETS
from slowfast_edu.claims import kept_runs, read_ledger
from slowfast_edu.claims.shipped import kept_measures
from slowfast_edu.data.figures import Task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


IMPORTS = ("import ", "from ")


def test_the_first_example_runs_and_gives_the_figures_beside_it():
    code = "\n".join(line for line in CODE[0].splitlines() if "fetch_weights(" not in line)
    names = {}
    exec(code, names)
    assert names["scores"].shape == (1, 400)
    for expression, shown in re.findall(r"^(\S.*?)  # ([\d.]+), ", code, re.MULTILINE):
        assert eval(expression, names) == float(shown)


def test_the_ablation_example_runs():
    names = {}
    exec("from slowfast_edu import PRESETS, build_model\n" + CODE[1], names)
    assert len(names["no_lateral"].lateral) == 0


def test_the_video_example_runs_on_the_samples(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {"PRESETS": PRESETS}
    exec(CODE[2], names)
    assert names["frames"].shape == (32, 224, 224, 3)
    assert names["views"].shape == (10, 32, 224, 224, 3)
    assert names["batch"].clips.shape == (4, 3, 32, 224, 224)
    assert names["batch"].problems == []


def test_the_figures_example_runs_and_its_table_names_every_task():
    names = {}
    for code in CODE[:2]:
        exec("\n".join(x for x in code.splitlines() if x.startswith(IMPORTS)), names)
    exec(CODE[3], names)
    assert names["sample"].clip.shape == (3, 16, 48, 48)
    ours = [task for task in Task.__subclasses__() if "slowfast_edu" in task.__module__]
    tasks = {task.__name__ for task in ours}
    assert tasks == set(re.findall(r"^\| `(\w+)\(\)`", README, re.MULTILINE))


def test_the_training_example_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in CODE[:2]:
        exec("\n".join(x for x in code.splitlines() if x.startswith(IMPORTS)), names)
    exec(CODE[3].replace("320,", "32,"), names)  # two steps an epoch
    exec(CODE[4].replace("100,", "20,"), names)
    assert [row["epoch"] for row in names["history"]] == [1, 2]
    assert (tmp_path / "runs/spin/last.pt").exists()
    told = CODE[4].rpartition("# ")[2].strip().split(", ")
    assert list(names["found"].summary()) == told


def imports_of(codes):
    nodes = [node for code in codes for node in ast.parse(code).body]
    kinds = (ast.Import, ast.ImportFrom)
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, kinds))


SHORTER = {"320,": "32,", "loader, 4,": "loader, 1,", " 60,": " 10,"}


@pytest.mark.filterwarnings("ignore:.*classifier not loaded")
def test_the_application_examples_run_one_after_the_other(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    names = {}
    exec(imports_of(CODE[:5]), names)
    for code in CODE[5:]:
        for told, shorter in SHORTER.items():
            code = code.replace(told, shorter)
        exec(code.replace("found.csv", str(tmp_path / "found.csv")), names)
    slid = names["slide"](names["trained"], "data_samples/walk.mp4", window_seconds=2.2)
    classes = names["trained"].about.classes
    assert {part.label for part in names["segments"](slid, classes)} == {"walk"}
    assert names["own"].head.projection.out_features == 2
    assert (tmp_path / "found.csv").exists()
    assert names["cams"].slow.shape == (4, 48, 48) and names["cams"].label == 3
    assert list(names["scores"]) == ["none", "pool1", "res2", "res3", "res4", "all"]


def test_what_it_says_of_detection_is_the_ledger_s():
    told = {r["model"]: r["ours_mean"] for r in read_ledger() if r["metric"] == "frame_map"}
    slow, both = (f"{float(told[model]):.1f}" for model in ("slow", "slowfast"))
    assert f"Slow {slow}, SlowFast {both}, every seed" in README
    runs = [run for run in kept_runs() if run["task"] == "crowd"]
    each = {
        name: [run["frame_map"] for run in runs if run["model"] == name] for name in told
    }
    assert max(each["slow"]) < min(each["slowfast"])


def test_it_counts_the_models_rightly():
    numbers = {15: "fifteen"}
    assert f"all {numbers[len(PRESETS)]} models" in README
    assert f"{len(list(ROOT.glob('data_samples/**/*.mp4')))} H.264 clips" in README


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


PLACES = README.partition("### Where things are")[2]


@pytest.mark.parametrize("place", re.findall(r"^\| `([^`]+)`", PLACES, re.MULTILINE))
def test_the_places_it_names_exist(place):
    assert (ROOT / place).exists()


def test_its_table_of_claims_is_the_ledger_s():
    """Each figure of each row, in the order of the row."""
    means = {
        (row["task"], row["model"]): f"{float(row['ours_mean']):.1f}"
        for row in read_ledger()
        if row["metric"] == "top1"
    }
    lines = re.findall(r"^\| `(\w+)` \| \d+ \| (.*) \|$", README, re.MULTILINE)
    assert [task for task, _ in lines] == ["spin", "hue", "binding", "actions"]
    for task, cells in lines:
        for cell in cells.split(", "):
            name, _, figure = cell.rpartition(" ")
            if not figure.replace(".", "").isdigit():
                continue  # a name with a comma in it
            known = [value for (of, _), value in means.items() if of == task]
            assert figure in known, (task, name)
    spin = next(cells for task, cells in lines if task == "spin")
    wanted = [("Slow", "slow"), ("Fast", "fast"), ("SlowFast", "slowfast")]
    assert spin == ", ".join(f"{told} {means['spin', name]}" for told, name in wanted)


def test_it_tells_the_shipped_model_s_accuracy():
    kept = {(row.style, row.views): row for row in kept_measures()}
    for style, views in (("clothed", 1), ("clothed", 4), ("negative", 1)):
        row = kept[style, views]
        assert f"{row.top1:.1f}% ({row.low:.1f} to {row.high:.1f})" in README
