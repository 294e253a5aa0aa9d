"""One notebook in JupyterLab, as who sits before it sees, turns and types."""

import re
import time
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Locator, Page, TimeoutError

RUN_SECONDS, STEP_SECONDS = 500, 15  # 90 and 0.35 are the aims, on two idle cores
DIALS = ".noUi-handle, .widget-checkbox input"
WIDGET = "application/vnd.jupyter.widget-view+json"
SCREEN = {"width": 1250, "height": 1000}

# What the page knows of itself: jupyterapp is JupyterLab's own object.
NOTEBOOK = "jupyterapp.shell.currentWidget"
READY = f"() => {NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'"
IDLE = f"""() => {NOTEBOOK}.sessionContext.session.kernel.status === 'idle' &&
  {NOTEBOOK}.content.widgets.every(cell => cell.model.executionState !== 'running')"""
CELLS = f"() => {NOTEBOOK}.content.widgets.map(cell => cell.model.toJSON())"
SHOW_CELL = f"""async number => {{
  const book = {NOTEBOOK}.content;
  book.activeCellIndex = number;
  await book.scrollToItem(number, 'start');
  book.widgets[number].node.dataset.number = number;
}}"""
SHOWN = """cell => JSON.stringify([
  [...cell.querySelectorAll('.widget-html-content')].map(text => text.innerHTML),
  [...cell.querySelectorAll('img.widget-image')].map(picture => picture.src)])"""
CHANGED = f"""([cell, before]) => ({SHOWN})(cell) !== before &&
  {NOTEBOOK}.sessionContext.session.kernel.status === 'idle'"""
IS_CUT = "label => label.scrollWidth > label.clientWidth"
HAS_FOCUS = "dial => dial === document.activeElement"


class ExerciseCells(NamedTuple):
    """Where the cells of one exercise are."""

    name: str
    stub: int
    check: int
    solution: int


class LabPage:
    """A notebook, open in a browser."""

    def __init__(self, page: Page, address: str, shots: Path):
        """Open it and wait for its kernel.

        Args:
            page: empty.
            address: of the notebook.
            shots: a folder to keep screenshots in.
        """
        self.page, self.shots = page, shots
        self.logged: list[str] = []
        self.steps: list[float] = []
        page.set_default_timeout(20_000)
        page.set_viewport_size(SCREEN)
        page.on("console", self._log)
        page.on("pageerror", lambda error: self.logged.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".jp-Notebook", timeout=60_000)
        page.wait_for_function(READY, timeout=60_000)

    def _log(self, message) -> None:
        if message.type == "error":
            self.logged.append(f"{message.text} ({message.location.get('url', '')})")

    # --- Running and reading ---------------------------------------------------------

    def run_all(self) -> None:
        """Choose Run > Run All Cells, and wait for the last one."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile("^Run All Cells$")).click()
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait for what runs."""
        time.sleep(0.2)  # until it has begun
        self.page.wait_for_function(IDLE, timeout=1000 * RUN_SECONDS, polling=100)

    def shut_down(self) -> None:
        """End the kernel."""
        self.page.evaluate(f"() => {NOTEBOOK}.sessionContext.shutdown()")

    def cells(self) -> list[dict]:
        """The cells as they are now."""
        return self.page.evaluate(CELLS)

    def errors(self) -> list[str]:
        """What went wrong in cells, in the first line of each."""
        return [
            f"cell {number}: {output['ename']}: {output['evalue']}"
            for number, cell in enumerate(self.cells())
            for output in cell.get("outputs", ())
            if output["output_type"] == "error"
        ]

    def exercises(self) -> list[ExerciseCells]:
        """Those with a check, in order."""
        roles = self._roles()
        return [
            ExerciseCells(name, *(cells[role] for role in ExerciseCells._fields[1:]))
            for name, cells in roles.items()
            if "check" in cells
        ]

    def written(self) -> dict[str, int]:
        """{exercise that is answered in prose: number of the cell that says how}."""
        roles = self._roles().items()
        return {name: cells["solution"] for name, cells in roles if "written" in cells}

    def _roles(self) -> dict[str, dict[str, int]]:
        """{exercise: {role: number of a cell}}, from the cells' metadata."""
        found: dict[str, dict[str, int]] = {}
        for number, cell in enumerate(self.cells()):
            about = cell["metadata"].get("slowfast_edu", {})
            if "exercise" in about:
                found.setdefault(about["exercise"], {})[about["role"]] = number
        return found

    def cell(self, number: int) -> Locator:
        """Scroll to a cell; those far away are not in the page at all."""
        self.page.evaluate(SHOW_CELL, number)
        cell = self.page.locator(f'[data-number="{number}"]')
        cell.wait_for()
        return cell

    def said(self, number: int) -> str:
        """What stands under a code cell."""
        output = self.cell(number).locator(".jp-OutputArea-output")
        return output.first.inner_text() if output.count() else ""

    # --- Turning dials ---------------------------------------------------------------

    def cells_with_widgets(self) -> list[int]:
        """Numbers of the cells that show a widget."""
        return [
            number
            for number, cell in enumerate(self.cells())
            if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", ()))
        ]

    def dials(self, number: int) -> list[Locator]:
        """Those under one cell."""
        cell = self.cell(number)
        cell.locator(".jupyter-widgets").first.wait_for()
        return cell.locator(DIALS).all()

    def cut_labels(self, number: int) -> list[str]:
        """Names of a cell's dials that do not fit into their places."""
        labels = self.cell(number).locator(".widget-label:visible").all()
        return [label.inner_text() for label in labels if label.evaluate(IS_CUT)]

    def key(self, number: int, dial: Locator) -> None:
        """A step with the keyboard and one back; each has to change what is shown."""
        there, back = _keys(dial)
        for key in (there, back):
            self._step(number, lambda key=key: dial.press(key))

    def drag(self, number: int, dial: Locator, shot: str) -> None:
        """Pull a slider far to the other side with the mouse, take a picture, pull back."""
        track = dial.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]")
        dial.scroll_into_view_if_needed()
        handle, whole = dial.bounding_box(), track.bounding_box()
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        right = x - whole["x"] < whole["width"] / 2
        far = whole["x"] + whole["width"] * (0.8 if right else 0.2)
        self._step(number, lambda: self._pull(dial, far, y))
        self.shoot(shot)
        self._step(number, lambda: self._pull(dial, x, y))

    def _pull(self, dial: Locator, end: float, y: float) -> None:
        handle = dial.bounding_box()
        self.page.mouse.move(handle["x"] + handle["width"] / 2, y)
        self.page.mouse.down()
        self.page.mouse.move(end, y, steps=4)
        self.page.mouse.up()

    def _step(self, number: int, act) -> None:
        """Do something; time how long until the picture or the sentence has followed."""
        cell = self.page.locator(f'[data-number="{number}"]')
        before = cell.evaluate(SHOWN)
        begin = time.perf_counter()
        act()
        given = [cell.element_handle(), before]
        try:
            self.page.wait_for_function(CHANGED, arg=given, timeout=1000 * STEP_SECONDS)
        except TimeoutError:
            raise AssertionError(
                f"a step in cell {number} changed nothing to see"
            ) from None
        self.steps.append(time.perf_counter() - begin)
        self._settle(cell)

    def _settle(self, cell: Locator) -> None:
        """Wait until nothing has changed for a moment: a drag sends several values."""
        last, since = cell.evaluate(SHOWN), time.monotonic()
        while time.monotonic() - since < 0.3:
            time.sleep(0.05)
            now = cell.evaluate(SHOWN)
            if now != last:
                last, since = now, time.monotonic()

    def reached_with_tab(self, number: int) -> int:
        """How many of a cell's dials the Tab key comes to, from the first on."""
        dials = self.dials(number)
        dials[0].focus()
        reached = set()
        for _ in range(3 * len(dials)):  # a slider's number can be typed in: a stop too
            focused = (i for i, dial in enumerate(dials) if dial.evaluate(HAS_FOCUS))
            reached.update(focused)
            self.page.keyboard.press("Tab")
        return len(reached)

    # --- Exercises -------------------------------------------------------------------

    def open_solution(self, number: int) -> str:
        """Click a folded cell open; its text as it can be read now."""
        cell = self.cell(number)
        assert not cell.locator(".cm-content").is_visible(), "it is open already"
        cell.locator(".jp-Placeholder-contentContainer").click()
        editor = cell.locator(".cm-content")
        editor.wait_for()
        return editor.inner_text()

    def unfold(self, number: int) -> str:
        """Click on "What a good answer says"; the text that this opens."""
        folded = self.cell(number).locator("details")
        inside = folded.locator(":scope > :not(summary)").first
        assert not inside.is_visible(), "it is open already"
        folded.locator("summary").click()
        inside.wait_for()
        return folded.inner_text()

    def type_over(self, number: int, line: str, text: str) -> None:
        """Replace one line of a cell, key by key; its indentation stays."""
        found = self.cell(number).locator(".cm-line", has_text=line)
        found.click()
        self.page.keyboard.press("Home")
        self.page.keyboard.press("Shift+End")
        self.page.keyboard.type(text)

    def paste(self, number: int, source: str) -> None:
        """Replace all that stands in a cell."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def run_cell(self, number: int) -> None:
        """Shift + Enter in a cell."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.wait_until_idle()

    # --- Pictures --------------------------------------------------------------------

    def shoot(self, name: str) -> None:
        """Keep a picture of the screen."""
        self.shots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.shots / f"{name}.png")

    def shoot_all(self) -> None:
        """Keep pictures of the whole notebook, a screen each."""
        panel = self.page.locator(".jp-WindowedPanel-outer").first
        step, place = SCREEN["height"] - 200, 0
        while place < panel.evaluate("panel => panel.scrollHeight"):
            panel.evaluate("(panel, place) => panel.scrollTop = place", place)
            time.sleep(0.3)  # cells come into the page as they come into sight
            self.shoot(f"page_{place // step + 1:02}")
            place += step


def _keys(dial: Locator) -> tuple[str, str]:
    """A key that turns a dial, and one that turns it back."""
    if dial.get_attribute("role") != "slider":
        return "Space", "Space"
    now, most = (float(dial.get_attribute(f"aria-value{what}")) for what in ("now", "max"))
    return ("ArrowLeft", "ArrowRight") if now == most else ("ArrowRight", "ArrowLeft")
