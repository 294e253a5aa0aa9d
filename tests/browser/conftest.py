"""A browser, a JupyterLab for it, and each notebook in turn, opened and run."""

import os
import shutil
import signal
from pathlib import Path
from statistics import median

import pytest
from lab_page import LabPage
from lab_server import REPO, running_lab
from playwright.sync_api import sync_playwright

CHROMIUM = "SLOWFAST_EDU_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SHOTS = REPO / "test_artifacts" / "browser"
STEPS: list[float] = []  # seconds, of all dials


def pytest_sessionstart():
    """Let a kill end JupyterLab too, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def chromium(playwrights_own: str) -> str:
    """The browser to use; a test run without one ends with a line that helps."""
    named = os.environ.get(CHROMIUM)
    found = [named] if named else [*filter(None, map(shutil.which, NAMES)), playwrights_own]
    if Path(found[0]).exists():
        return found[0]
    what = f"{CHROMIUM}={named} is no file" if named else "no Chromium or Chrome was found"
    fix = f"install one, or name one in {CHROMIUM}, or let Playwright download its own: "
    return pytest.exit(f"{what}; {fix}python -m playwright install chromium", returncode=1)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        path = chromium(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(browser, tmp_path_factory):
    """With a place for the notebook's name."""
    with running_lab(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture(scope="module", params=sorted((REPO / "notebooks").glob("*.ipynb")))
def notebook(request, browser, address):
    """One notebook of the course, run from top to bottom; its kernel ends with it."""
    name = request.param.name
    shutil.rmtree(SHOTS / request.param.stem, ignore_errors=True)
    page = browser.new_page()
    try:
        book = LabPage(page, address.format(name), SHOTS / request.param.stem)
        book.run_all()
        book.shoot_all()
        yield book
        STEPS.extend(book.steps)
        book.shut_down()
    finally:
        page.close()


def pytest_make_parametrize_id(val):
    """Name a test after its notebook's number."""
    return val.stem[:2] if isinstance(val, Path) else None


def pytest_terminal_summary(terminalreporter):
    """Say how quick the dials were, and where the pictures are."""
    if STEPS:
        told = f"median {median(STEPS):.2f} s, longest {max(STEPS):.2f} s"
        terminalreporter.write_line(f"{len(STEPS)} steps of dials: {told}")
    terminalreporter.write_line(f"screenshots: {SHOTS}")
