"""What students wrote and put out, as HTML without scripts.

Formgrader and the feedback pages show it, and formgrader in a browser that is logged in.
"""

import re

from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.filters import markdown2html as to_html
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat.notebooknode import NotebookNode

FILTERS = {"markdown2html": f"{__name__}.markdown2html"}  # of nbconvert's HTMLExporter
PICTURES = ("image/png", "image/jpeg")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
PLACE = "https://picture.invalid/"  # stands for a pasted picture while HTML is cleaned
BLOCKS = "p h1 h2 h3 h4 h5 h6 hr br pre div table thead tbody tr th td ul ol li dl dt dd"
WORDS = "a b i em strong code span del sub sup blockquote img"


def _is_harmless(tag: str, name: str, value: str) -> bool:
    """Whether an attribute may stay: of pictures, only of those that were pasted."""
    allowed = {"a": ("href", "title", "class", "id"), "img": ("src", "alt")}
    if name not in allowed.get(tag, ("class", "id")):
        return False
    return name != "src" or value.startswith(PLACE)


CLEANER = SanitizeHTML(tags=f"{BLOCKS} {WORDS}".split(), attributes=_is_harmless)


@pass_context
def markdown2html(context: Context, source: str) -> str:
    """Turn Markdown into HTML as nbconvert does, and clean that.

    Args:
        context: of the page; its cell may have attachments, as ``pictures`` leaves them.
        source: the Markdown.
    """
    pasted = []
    for name, kinds in context.get("cell", {}).get("attachments", {}).items():
        source = source.replace(f"attachment:{name}", f"{PLACE}{len(pasted)}.")
        pasted += [f"data:{kind};base64,{data}" for kind, data in kinds.items()][:1]
    html = CLEANER.sanitize_html_tags(to_html(source.replace("attachment:", "missing:")))
    for number, data in enumerate(pasted):
        html = html.replace(f"{PLACE}{number}.", data)
    return html


def pictures(attachments: object) -> dict[str, dict[str, str]]:
    """Of a cell's attachments, which may be anything, the pictures."""
    found = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        for kind in PICTURES:
            data = kinds.get(kind) if isinstance(kinds, dict) else None
            if isinstance(data, str) and BASE64.fullmatch(data):
                found.setdefault(name, {kind: "".join(data.split())})
    return found


class Harmless(SanitizeHTML):
    """Cleans what cells put out, and raw cells. Markdown is cleaned as it is shown."""

    def __init__(self, **settings):
        super().__init__(enabled=True, **settings)
        self.safe_output_keys = {"metadata", "text/plain", *PICTURES}

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, cell_index: int
    ) -> tuple:
        """Clean one cell."""
        if cell.cell_type == "markdown":
            return cell, resources
        for output in cell.get("outputs", []):
            if "metadata" in output:  # widths of pictures come out of it, unquoted
                output.metadata = {}
            for kind in PICTURES:
                data = output.get("data", {}).get(kind, "")
                if not (isinstance(data, str) and BASE64.fullmatch(data)):
                    del output.data[kind]
        return super().preprocess_cell(cell, resources, cell_index)
