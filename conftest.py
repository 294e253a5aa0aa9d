"""Let plain pytest read pyproject.toml where the dev extra is not installed."""

import importlib.util


def pytest_addoption(parser):
    """Make ``timeout`` a known setting without pytest-timeout, instead of a warning."""
    if importlib.util.find_spec("pytest_timeout") is None:
        parser.addini("timeout", "seconds for one test; pytest-timeout acts on it")
