"""Plain pytest reads pyproject.toml without the dev extra; nbval wants cells executed."""

import importlib.util

import pytest


def pytest_addoption(parser):
    """Make ``timeout`` a known setting without pytest-timeout, instead of a warning."""
    if importlib.util.find_spec("pytest_timeout") is None:
        parser.addini("timeout", "seconds for one test; pytest-timeout acts on it")


def pytest_runtest_setup(item):
    """Refuse a notebook's cell that was stored unexecuted, which nbval lets pass."""
    cell = getattr(item, "cell", None)
    if cell is not None and cell.source.strip() and not cell.get("execution_count"):
        pytest.fail("this cell was stored unexecuted; `python course.py notebooks` runs it")
