"""The notebooks as committed: executed, short, captioned, and true in what they quote."""

import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from slowfast_edu import PRESETS, __version__, closed_form_macs, count_flops
from slowfast_edu.analysis import closed_form_pathways, count_parameters
from slowfast_edu.analysis.seeds import difference_interval
from slowfast_edu.claims.comparing import results
from slowfast_edu.claims.shipped import kept_measures
from slowfast_edu.models import build_model

FOLDER = Path(__file__).parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
DIALS, BESIDE = "Run this cell: dials for ", 4  # cells
MAX_LINES, MEDIAN_LINES, MAX_COLUMNS = 20, 6, 78


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_lines(cell) -> list[str]:
    return [line for line in cell.source.splitlines() if line.strip()]


def prose(notebook) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def printed(notebook) -> str:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return "".join(o.text for o in outputs if o.output_type == "stream")


def test_there_are_notebooks():
    assert [path.stem[:2] for path in PATHS] == [f"{number:02}" for number in range(10)]


def check_executed(notebook):
    """Each code cell ran, in order, without an error; nbval passes one that did not run."""
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds
    streams = {o.name for c in cells for o in c.outputs if o.output_type == "stream"}
    assert streams <= {"stdout"}  # no warnings


def test_every_cell_was_executed_in_order_and_without_error(notebook):
    check_executed(notebook)


def test_nothing_of_the_machine_is_stored(notebook):
    assert not any("execution" in cell.metadata for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert "version" not in notebook.metadata.language_info
    text = prose(notebook) + printed(notebook)
    assert not re.search(r"/(home|root|work|tmp|Users)/", text)


def test_code_cells_are_short(notebook):
    lengths = sorted(len(code_lines(cell)) for cell in code_cells(notebook))
    assert lengths[-1] <= MAX_LINES
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES
    lines = [line for cell in code_cells(notebook) for line in code_lines(cell)]
    assert max(map(len, lines)) <= MAX_COLUMNS


def test_there_is_more_prose_than_code(notebook):
    lines = sum(len(code_lines(cell)) for cell in code_cells(notebook))
    words = len(re.findall(r"\w+", prose(notebook)))
    assert words / lines >= 6


def test_it_has_the_parts_that_a_learner_expects(notebook):
    text = prose(notebook)
    for part in ("**You need**", "**Time**", "| After this", "**Predict", "**Read on:**"):
        assert part in text
    _, summary = re.split(r"^## Summary$", text, flags=re.MULTILINE)
    assert re.search(r"^\| \| .*(paper|reported).* \| .*(notebook|here) \|$", summary, re.M)
    questions = summary.split("**Three questions to take along.**")[1]
    assert questions.split("**Read on:**")[0].count("?") >= 3


def test_it_has_dials_and_says_where_no_kernel_runs_what_they_turn(notebook):
    data = [o.get("data", {}) for cell in code_cells(notebook) for o in cell.outputs]
    assert any(d.get("text/plain", "").startswith(DIALS) for d in data)
    assert not any(WIDGET in d for d in data)  # without its kernel it shows an error


def test_beside_dials_stands_a_figure_for_pages_without_a_kernel(notebook):
    shown = [
        [o.get("data", {}) for o in cell.get("outputs", [])] for cell in notebook.cells
    ]
    for place, data in enumerate(shown):
        if any(d.get("text/plain", "").startswith(DIALS) for d in data):
            near = shown[max(0, place - BESIDE) : place + BESIDE + 1]
            assert any("image/png" in d for other in near for d in other), place


def test_local_links_lead_somewhere(notebook):
    for target in re.findall(r"\]\(([^)#]+)\)", prose(notebook)):
        if not target.startswith("https://"):
            assert (FOLDER / target).exists(), target


def test_the_version_shown_is_the_library_s():
    first = nbformat.read(FOLDER / "00_start_here.ipynb", as_version=4)
    assert f"slowfast_edu {__version__}\n" in printed(first)


def gmacs(name: str, crop: int = 256) -> float:
    return closed_form_macs(PRESETS[name], crop) / 1e9


def lone_fast_macs() -> int:
    """Fast's cost inside SlowFast: that of Fast-only without its classifier."""
    fast_only = PRESETS["fast_32x2_r50"]
    return closed_form_macs(replace(fast_only, head="features"))


def everything_shown() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in PATHS)


@pytest.fixture(scope="module")
def fvcore_4x16():
    return count_flops(build_model("slowfast_4x16_r50"))


def test_figures_quoted_in_the_prose_are_recomputed(fvcore_4x16):
    """Each figure that prose states, formatted as it is written there."""
    text = "\n".join(prose(nbformat.read(path, as_version=4)) for path in PATHS)
    r101, zoo = gmacs("slowfast_8x8_r101"), gmacs("slowfast_8x8_r101_all_temporal")
    fast = fvcore_4x16.by_pathway["fast"].macs / fvcore_4x16.macs
    slow, lone_fast = gmacs("slow_4x16_r50"), gmacs("fast_32x2_r50")
    conv1 = fvcore_4x16.by_stage["fast.conv1"].macs / fvcore_4x16.by_pathway["fast"].macs
    fast_module = build_model("slowfast_4x16_r50").fast
    stem = count_parameters(fast_module.conv1) / count_parameters(fast_module)
    eight = PRESETS["slowfast_8x8_r50"]
    kernel_5 = closed_form_macs(replace(eight, fusion_kernel=5)) / 1e9
    fast_8x8 = lone_fast_macs() / closed_form_macs(eight)
    quoted = [
        f"{stem:.0%} of its weights",
        f"does {conv1:.0%} of its",
        f"would count {kernel_5:.2f}",
        f"| 36.1 GFLOPs | {gmacs('slowfast_4x16_r50'):.3f} GMACs |",
        f"| {fast:.1%} |",
        f"fvcore {fvcore_4x16.total / 1e9:.3f}",
        f"At 224 it would be {gmacs('slowfast_4x16_r50', 224):.1f}",
        f"| 65.7 (paper) | {gmacs('slowfast_8x8_r50'):.3f} |",
        f"| 106 (paper) | {r101:.3f} |",
        f"makes {zoo:.3f}",
        f"{zoo / r101 - 1:.0%} more multiply-adds",
        f"| 6.4 (paper, a slip) | {lone_fast:.3f} |",
        f"| 234 (paper, open) | {gmacs('slowfast_16x8_r101_nl'):.3f} |",
    ]
    shipped = kept_measures()[0]
    assert (shipped.style, shipped.views) == ("clothed", 1)
    quoted.append(f"right in\n{shipped.top1:.2f}% of {shipped.clips:,}")
    crowds = (results("crowd", model, "frame_map") for model in ("slowfast", "slow"))
    _, low, high = difference_interval(*crowds)
    quoted.append(f"from {low:.1f} to {high:+.1f}")
    quarter = replace(PRESETS["slowfast_4x16_r50"], beta=1 / 4)
    thinnest = replace(PRESETS["slowfast_4x16_r50"], beta=1 / 32)
    growth = closed_form_pathways(quarter)["fast"] / lone_fast_macs()
    more = closed_form_macs(quarter) / 1e9 / gmacs("slowfast_4x16_r50") - 1
    quoted += [
        f"by a factor of {growth:.1f}: between 2 and 4",
        f"points for {closed_form_macs(thinnest) / 1e9 - slow:.1f} GMACs",
        f"| 28.6 GFLOPs | {closed_form_macs(thinnest) / 1e9:.2f} GMACs |",
        f"4x16 | ~20% | {fast:.1%} |",
        f"8x8 R50 | - | {fast_8x8:.1%} |",
        f"At 30 / 16 = {30 / 16:.1f} cycles a second",
    ]
    assert round(more, 1) == 0.5  # "for half the cost again"
    assert f"to {fast_8x8:.1%}" in everything_shown()
    assert [figure for figure in quoted if figure not in text] == []
    assert round(gmacs("slowfast_4x16_r50") / slow - 1, 2) == 0.32  # "a third more cost"
    assert round(gmacs("slow_8x8_r50") / slow) == 2  # "doubles the cost"
