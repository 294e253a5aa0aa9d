"""Nothing that a student writes runs in the browser that shows it."""

import re

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell
from traitlets.config import Config

from slowfast_edu.instructor.harmless import FILTERS, Harmless, pictures

RUN = "alert(1)"
PNG = "aGVsbG8="


def page(*cells):
    """The HTML of some cells, as feedback and formgrader make it, without its head."""
    book = nbformat.v4.new_notebook(cells=list(cells))
    book, _ = Harmless().preprocess(book, {})
    config = Config({"HTMLExporter": {"filters": FILTERS}})
    html, _ = HTMLExporter(config=config).from_notebook_node(book)
    return html.split("<main")[1].split("</main>")[0]


def live(html):
    """Tags that could run something: scripts, handlers, and links that are code."""
    tags = re.findall(r"<[a-zA-Z][^>]*>", html)
    words = r"<script|<iframe|<svg|<form|\son\w+\s*="
    words += r"|(href|src)\s*=\s*.?\s*(javascript|data:text)"
    return [tag for tag in tags if re.search(words, tag, re.IGNORECASE)]


@pytest.mark.parametrize(
    "text",
    [
        f"<script>{RUN}</script>",
        f"<img src=x onerror={RUN}>",
        f"a <svg onload={RUN}></svg> b",
        f"<iframe srcdoc='<script>{RUN}</script>'></iframe>",
        f"<details open ontoggle={RUN}>x</details>",
        f"[x](javascript:{RUN})",
        f"[x](JaVaScRiPt:{RUN})",
        f"[x](&#106;avascript:{RUN})",
        f"[x](data:text/html,<script>{RUN}</script>)",
        f"[x]\n\n[x]: javascript:{RUN}",
        f"<a href=' javascript:{RUN}'>x</a>",
        f'![x](a" onerror="{RUN})',
        f"![x](javascript:{RUN})",
        f"`</code><img src=x onerror={RUN}>`",
        f"$x<img src=x onerror={RUN}>$",
        f"# <img src=x onerror={RUN}>",
        f"<form action='javascript:{RUN}'><button>x</button></form>",
    ],
)
def test_markdown_runs_nothing(text):
    html = page(new_markdown_cell(text))
    assert live(html) == []
    assert live(f"<p>{text}</p>") or "[" in text or "(" in text  # the judge sees them


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": f"<b>kept</b><script>{RUN}</script><img src=x onerror={RUN}>"},
        {"application/javascript": RUN},
        {"image/svg+xml": f"<svg onload='{RUN}'></svg>"},
        {"text/markdown": f"<img src=x onerror={RUN}>"},
        {"text/vnd.mermaid": f"</pre><img src=x onerror={RUN}>"},
        {"text/latex": f"<img src=x onerror={RUN}>"},
        {"image/png": f'x" onerror="{RUN}'},
        {"image/jpeg": f"x' onerror='{RUN}"},
    ],
    ids=lambda data: next(iter(data)),
)
def test_outputs_run_nothing(data):
    width = {"image/png": {"width": f"1 onerror={RUN}"}}
    output = new_output("display_data", data, metadata=width)
    html = page(new_code_cell("1", outputs=[output]))
    assert live(html) == []
    assert "<b>kept</b>" in html or "text/html" not in data


def test_raw_cells_run_nothing():
    cell = new_raw_cell(f"<script>{RUN}</script>", metadata={"raw_mimetype": "text/html"})
    assert live(page(cell)) == []


def test_what_is_honest_stays_readable():
    text = (
        "**bold** `a -> b & List[int] < 3` and $a<b$, x < y\n\n| a |\n|---|\n| 1 |\n\n- one"
    )
    html = page(new_markdown_cell(text))
    assert "<strong>bold</strong>" in html and "<table" in html and "<li>one</li>" in html
    assert "a -&gt; b &amp; List[int] &lt; 3" in html
    assert "&amp;lt;" not in html and "&amp;amp;" not in html


def test_a_pasted_picture_is_shown_and_one_that_is_gone_stops_nothing():
    cell = new_markdown_cell("![mine](attachment:a.png) ![not](attachment:b.png)")
    cell.attachments = {"a.png": {"image/png": PNG}}
    html = page(cell)
    assert f'src="data:image/png;base64,{PNG}"' in html
    assert "attachment:" not in html


@pytest.mark.parametrize(
    "attachments",
    [
        None,
        3,
        {"a": 3},
        {"a": {"image/png": 3}},
        {"a": {"image/png": f'" onerror="{RUN}'}},
        {"a": {"image/svg+xml": PNG}},
        {"a": {"text/html": PNG}},
    ],
)
def test_of_attachments_pictures_alone_are_kept(attachments):
    assert pictures(attachments) == {}
    assert pictures({"a": {"image/png": PNG}}) == {"a": {"image/png": PNG}}
