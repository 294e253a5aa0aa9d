"""Who cannot see, or sees other colours, or has no mouse, gets the same from each page."""

import ast
import inspect
import re
from colorsys import rgb_to_hsv
from importlib import import_module
from itertools import combinations, pairwise
from pathlib import Path
from pkgutil import walk_packages

import nbformat
import numpy as np
import pytest
from figure_examples import EXAMPLES
from matplotlib.collections import Collection, PathCollection
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

import slowfast_edu.viz
from slowfast_edu.viz import style

REPO = Path(__file__).parent.parent
VIZ = Path(slowfast_edu.viz.__file__).parent
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
PAGES = [*NOTEBOOKS, REPO / "README.md", *sorted((REPO / "notebooks").glob("*.md"))]
GRAPHICS, TEXT, LARGE_TEXT = 3, 4.5, 3  # least contrast, of WCAG 2 level AA
LARGE, LARGE_BOLD = 18, 14  # points, from which text is large
BACKGROUND = 1.3  # contrast with white, below which a colour is but a shade of the page
SAME_HUE = 0.03  # of a turn: lighter and darker faces of one thing

# --- Pages ----------------------------------------------------------------------------


def prose(path: Path) -> str:
    """The Markdown of a page, without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    return re.sub(r"```.*?```|`[^`\n]*`", "code", text, flags=re.DOTALL)


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def page(request) -> str:
    return prose(request.param)


def test_headings_descend_one_level_at_a_time(page):
    levels = [len(marks) for marks in re.findall(r"^(#+) ", page, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_images_have_words(page):
    for alt in re.findall(r"!\[([^\]]*)\]", page):
        assert len(alt.split()) >= 5, f"![{alt}] says too little"
    for tag in re.findall(r"<img[^>]*>", page):
        assert re.search(r'alt="[^"]+ [^"]+"', tag), tag


def test_links_say_where_they_lead(page):
    for words in re.findall(r"(?<!!)\[([^\]]+)\]\(", page):
        plain = words.strip("*` ").lower()
        assert plain not in ("here", "link", "this", "this link", "click here", "more")
        assert not plain.startswith("http"), words


def test_tables_have_a_header_for_each_column(page):
    for table in re.findall(r"(?:^\|.*\n?)+", page, re.MULTILINE):
        header, rule, *rows = (cells(line) for line in table.splitlines())
        assert all(re.fullmatch(r":?-+:?", cell) for cell in rule), header
        assert all(header[1:]), f"{header}: only the corner may be empty"
        assert {len(row) for row in (rule, *rows)} == {len(header)}, header


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


# --- Figures in notebooks -------------------------------------------------------------

LABELS = ("figure", "plot", "chart", "image", "picture", "graph", "a plot", "a figure")
VERB = re.compile(
    r"\b(agree|are|beat|can|cannot|comes|does|do|ends|falls|finds|goes|grows|had|has|have|"
    r"holds|is|keeps?|kept|leads?|leaves?|lies?|looks|makes?|moves|needs|reach|reads|rises?|"
    r"sees|shows?|says?|sits?|stands|starts|stays?|takes?|tells?|was|were)\b"
)


def problem(caption: str) -> str:
    """What keeps a caption from saying what is to be seen; "" if nothing does."""
    words = re.findall(r"[a-z]+", caption.lower())
    if len(words) < 10:
        return "fewer than ten words"
    if not caption.endswith((".", ".)")):
        return "no full stop"
    if caption.lower().startswith(LABELS):
        return "it begins with what every figure is"
    return "" if VERB.search(caption) else "no verb of VERB: it names and does not state"


@pytest.mark.parametrize(
    ("caption", "why"),
    [
        ("Fast is cheap.", "fewer"),
        ("Fast takes a fifth of the cost and eight times the frames", "full stop"),
        ("Figure 2: Fast takes a fifth of the cost, Slow all the rest of it.", "begins"),
        ("Accuracy against cost in GMACs for the models of the paper's Table 2.", "verb"),
        ("Eight times the frames, a fifth of the cost: Fast takes 19% of them.", ""),
    ],
)
def test_a_caption_has_to_state_something(caption, why):
    assert why in problem(caption) and bool(why) == bool(problem(caption))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_has_a_visible_caption_that_states_what_it_shows(path):
    figures = 0
    for cell in nbformat.read(path, as_version=4).cells:
        for output, following in pairwise([*cell.get("outputs", ()), None]):
            if "image/png" in output.get("data", {}):
                figures += 1
                alt = output.metadata["image/png"]["alt"]
                assert problem(alt) == "", alt
                assert following.data["text/markdown"].strip("*") == alt
    assert figures >= 1


# --- Colours --------------------------------------------------------------------------


def relative_luminance(color) -> float:
    """Of WCAG 2."""
    channels = np.array(to_rgb(color))
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other) -> float:
    """Of WCAG 2: from 1, none, to 21, black on white."""
    low, high = sorted((relative_luminance(one), relative_luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#767676", "white") == pytest.approx(4.54, abs=0.005)  # its known limit
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)
    assert contrast("red", "red") == 1


@pytest.mark.parametrize("name", sorted(style.PATHWAY_COLORS))
def test_pathways_stand_out_from_white(name):
    assert contrast(style.PATHWAY_COLORS[name], "white") >= GRAPHICS


@pytest.fixture(scope="module", params=sorted(EXAMPLES))
def figure(request) -> Figure:
    """One figure of each function."""
    return EXAMPLES[request.param]()


def test_each_function_that_returns_a_figure_has_an_example():
    found = set()
    for module in (
        import_module(m.name) for m in walk_packages([str(VIZ)], "slowfast_edu.viz.")
    ):
        for name, made in inspect.getmembers(module, inspect.isfunction):
            own = made.__module__ == module.__name__ and not name.startswith("_")
            if own and inspect.signature(made).return_annotation is Figure:
                found.add(f"{module.__name__.split('.')[-1]}.{name}")
    assert found - {"style.new_figure"} == set(EXAMPLES)


def pixels(figure: Figure) -> np.ndarray:
    """A figure as it looks, (H, W, RGB) from 0 to 1."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def test_text_stands_out_from_what_is_behind_it(figure):
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    for text in texts:
        text.set_alpha(0)  # it keeps its place
    behind = pixels(figure)
    for text in texts:
        text.set_alpha(None)
    faint = {}
    for text in texts:
        bold = text.get_fontweight() in ("bold", "semibold") or text.get_fontweight() == 700
        large = text.get_fontsize() >= (LARGE_BOLD if bold else LARGE)
        found = contrast(text.get_color(), background(text, behind))
        if found < (LARGE_TEXT if large else TEXT):
            faint[text.get_text()] = round(found, 2)
    assert faint == {}


def background(text: Text, behind: np.ndarray):
    """The colour on which a text stands: what lies there mostly."""
    box, height = text.get_window_extent(), len(behind)
    rows = slice(max(0, int(height - box.y1)), max(0, int(height - box.y0)))
    part = behind[rows, max(0, int(box.x0)) : max(0, int(box.x1))]
    return np.median(part.reshape(-1, 3), axis=0) if part.size else "white"


def over_white(color) -> str:
    red, green, blue, alpha = to_rgba(color)
    return to_hex([1 - alpha * (1 - channel) for channel in (red, green, blue)])


def marks(axis):
    """(colour, how it looks without its colour) of what is drawn in an axis."""
    named = rows_have_names(axis)
    for artist in axis.get_children():
        if artist is axis.patch or not artist.get_visible():
            continue
        row = row_of(artist) if named else None  # in a row with a name, the row tells
        if isinstance(artist, Line2D):
            dashes = artist._unscaled_dash_pattern  # get_linestyle says "--" of all of them
            look = artist.get_linestyle(), str(dashes), artist.get_marker()
            color = to_rgba(artist.get_color(), artist.get_alpha())
            yield over_white(color), ("line", look, row)
        elif isinstance(artist, Patch):
            look = type(artist).__name__, artist.get_hatch(), artist.get_linestyle()
            filled = artist.get_fill() and to_rgba(artist.get_facecolor())[3] > 0
            color = artist.get_facecolor() if filled else artist.get_edgecolor()
            yield over_white(color), ("patch", filled, look, row)
        elif isinstance(artist, Collection):
            faces = [*artist.get_facecolor()] or [*artist.get_edgecolor()]
            shape = [path.vertices.round(3).tobytes() for path in artist.get_paths()[:1]]
            own = shape if isinstance(artist, PathCollection) else artist.get_linestyle()
            hollow = not len(artist.get_facecolor())
            look = type(artist).__name__, str(own), artist.get_hatch(), hollow
            for color in {over_white(face) for face in faces}:
                yield color, ("marks", look, row)


def rows_have_names(axis) -> bool:
    """Whether words stand beside the rows of an axis."""
    names = [label.get_text() for label in axis.get_yticklabels()]
    return len(names) >= 2 and all(re.search("[A-Za-z]", name) for name in names)


def row_of(artist) -> float | None:
    """The height at which a level line or a bar lies."""
    if isinstance(artist, Line2D):
        heights = set(artist.get_ydata())
        return heights.pop() if len(heights) == 1 else None
    if isinstance(artist, Rectangle):
        return round(artist.get_y() + artist.get_height() / 2, 3)
    return None


def numbered(axis) -> bool:
    """Whether each patch has its number written on it."""
    numbers = {str(place + 1) for place in range(len(axis.patches))}
    return bool(numbers) and numbers <= {text.get_text() for text in axis.texts}


def confusable(one: str, other: str) -> bool:
    """Whether two colours mean different things, and a grey print makes them one."""
    if min(contrast(one, "white"), contrast(other, "white")) < BACKGROUND:
        return False
    hues = [rgb_to_hsv(*to_rgb(color)) for color in (one, other)]
    apart = abs(hues[0][0] - hues[1][0])
    shades = min(apart, 1 - apart) < SAME_HUE and min(hues[0][1], hues[1][1]) > 0
    return not shades and contrast(one, other) < GRAPHICS


def test_nothing_is_told_by_colour_alone(figure):
    """Two colours that a grey print confuses differ in hatch, dash or marker too."""
    for axis in figure.axes:
        looks: dict[str, set] = {}
        for color, look in marks(axis):
            looks.setdefault(color, set()).add(look)
        alike = [
            (one, other)
            for one, other in combinations(looks, 2)
            if confusable(one, other)
            and (looks[one] <= looks[other] or looks[other] <= looks[one])
        ]
        assert not alike or numbered(axis), (axis.get_title(loc="left"), alike)


# --- Dials ----------------------------------------------------------------------------

KEYED = re.compile(r"widgets\.(\w*Slider|Checkbox)")
# In JupyterLab 4.6 arrow keys do not turn a dropdown, and letters typed in it are commands.
NOT_KEYED = re.compile(r"widgets\.Dropdown")


def test_every_dial_says_what_it_turns_and_turns_by_keys():
    dials = 0
    for path in VIZ.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            kind = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert not NOT_KEYED.match(kind), f"{path.name}:{node.lineno} {kind}"
            if KEYED.match(kind):
                dials += 1
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                told = given.get("description")
                assert told is not None, f"{path.name}:{node.lineno} has no description"
                assert getattr(told, "value", "x"), (
                    f"{path.name}:{node.lineno} says nothing"
                )
    assert dials >= 3
