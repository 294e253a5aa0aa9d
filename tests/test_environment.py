"""pyproject.toml, constraints.txt, environment.yml, course.py and .ci/run say the same."""

import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec

REPO = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [
    Requirement(line)
    for extra in PROJECT["optional-dependencies"].values()
    for line in extra
]
ALLOWED = "av fvcore ipywidgets jupyterlab matplotlib nbval numpy safetensors torch"
ALLOWED += " torchinfo tqdm"
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
CONDA_ONLY = {"python", "pip", "ipykernel", "pytest"}


def read_constraints():
    lines = (REPO / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def read_environment():
    """The conda lines and the pip lines of environment.yml."""
    content = yaml.safe_load((REPO / "environment.yml").read_text())
    lines = content["dependencies"]
    assert content["channels"] == ["conda-forge"]
    conda = [line for line in lines if isinstance(line, str)]
    [pip] = [line for line in lines if not isinstance(line, str)]
    return conda, pip


CONSTRAINTS = read_constraints()
CONDA, PIP = read_environment()
PINS = {
    canonicalize_name(pin.name): Version(next(iter(pin.specifier)).version)
    for pin in CONSTRAINTS
}


def test_runtime_dependencies_are_the_agreed_ones():
    assert sorted(requirement.name for requirement in RUNTIME) == sorted(ALLOWED.split())


@pytest.mark.parametrize("requirement", RUNTIME + EXTRAS, ids=str)
def test_constraints_satisfy_the_ranges(requirement):
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])
    assert requirement.specifier, "a range without a lower bound takes anything"


@pytest.mark.parametrize("pin", CONSTRAINTS, ids=lambda pin: pin.name)
def test_every_constraint_is_one_exact_version(pin):
    [specifier] = pin.specifier
    assert specifier.operator == "==" and not specifier.version.endswith(".*")
    assert not pin.extras and not pin.url


def test_constraints_are_sorted_and_pin_torch():
    names = [canonicalize_name(pin.name) for pin in CONSTRAINTS]
    assert names == sorted(set(names))
    assert str(PINS["torch"]) == "2.13.0"


def test_constraints_hold_all_that_is_installed():
    """Run by `course.py test`: nothing that the course pulls in is left unpinned."""
    from importlib.metadata import PackageNotFoundError, distribution

    missing, seen, todo = [], set(), [(r.name, r.extras) for r in RUNTIME + EXTRAS]
    while todo:
        name, extras = todo.pop()
        if (name, *extras) in seen:
            continue
        seen.add((name, *extras))
        if canonicalize_name(name) not in PINS:
            missing.append(name)
        try:
            requires = map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:
            continue
        for required in requires:
            wanted = [{"extra": extra} for extra in (extras or [""])]
            if not required.marker or any(map(required.marker.evaluate, wanted)):
                todo.append((required.name, tuple(sorted(required.extras))))
    builds_of_torch = re.compile("nvidia-|cuda-|triton|pytorch-triton|intel-|mkl|tbb")
    assert [name for name in missing if not builds_of_torch.match(name)] == []


@pytest.mark.parametrize("line", CONDA)
def test_every_conda_line_is_a_match_spec(line):
    spec = MatchSpec(line, strict=True)
    assert str(spec) == line


def test_conda_has_the_runtime_dependencies_with_the_same_lower_bounds():
    expected = {
        CONDA_NAMES.get(requirement.name, requirement.name): str(requirement.specifier)
        for requirement in RUNTIME
    }
    specs = [MatchSpec(line, strict=True) for line in CONDA]
    found = {spec.name.normalized: str(spec.version or "") for spec in specs}
    assert len(found) == len(CONDA)
    assert expected.items() <= found.items()
    assert set(found) - set(expected) == CONDA_ONLY
    assert SpecifierSet(found["python"]) == SpecifierSet(PROJECT["requires-python"])
    [pytest_range] = [str(r.specifier) for r in EXTRAS if r.name == "pytest"]
    assert found["pytest"] == pytest_range


def test_conda_installs_the_course_itself_with_pip():
    assert PIP == {"pip": ["-e ."]}


@pytest.mark.parametrize("minor", range(9, 18))
def test_course_py_accepts_the_pythons_of_requires_python(minor, monkeypatch):
    monkeypatch.syspath_prepend(str(REPO))
    sys.modules.pop("course", None)
    import course

    accepted = course.OLDEST <= (3, minor) <= course.NEWEST
    assert accepted == SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.0")
    assert str(PINS["torch"]) == course.TORCH


def test_ci_installs_the_sandbox_and_runs_course_py_test():
    script = REPO / ".ci" / "run"
    lines = [li for li in script.read_text().splitlines() if not li.startswith("# ")]
    opening = ["#!/usr/bin/env bash", "set -eu", 'cd "$(dirname "$0")/.."']
    assert lines[:3] == opening and lines[-1] == "exec python course.py test"
    [install] = [line for line in lines[3:-1] if "install" in line]
    assert re.findall("install -y ([a-z ]+) >", install) == ["bubblewrap"]
    assert os.name == "nt" or os.access(script, os.X_OK)


def test_pytest_options_work_without_the_dev_extra():
    """The conda environment has pytest and nbval, but neither xdist nor timeout."""
    options = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["pytest"]
    assert "-n" not in options["ini_options"]["addopts"].split()
    assert all(
        word.startswith("--nbval") for word in options["ini_options"]["addopts"].split()
    )
