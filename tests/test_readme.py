"""What the README states, run."""

import re
from pathlib import Path

import pytest

from slowfast_edu import PRESETS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


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


def test_it_counts_the_models_rightly():
    numbers = {15: "fifteen"}
    assert f"all {numbers[len(PRESETS)]} models" in README


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("place", re.findall(r"^\| `([^`]+)`", README, re.MULTILINE))
def test_the_places_it_names_exist(place):
    assert (ROOT / place).exists()
