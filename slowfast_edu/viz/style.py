"""One look for all figures: Okabe-Ito colours, never colour alone, a caption each."""

from io import BytesIO

from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, GREY, BLACK = "#CC79A7", "#767676", "#000000"

# A pathway's colour, and what tells it apart without colour.
PATHWAY_COLORS = {
    "slow": BLUE,
    "fast": VERMILLION,
    "lateral": GREEN,
    "head": GREY,
    "backbone": PURPLE,
}
# Letters need a contrast of 4.5 with white, marks one of 3 (WCAG 2): darker, the same hues.
TEXT_COLORS = PATHWAY_COLORS | {
    "fast": "#B34F00",
    "lateral": "#007A59",
    "backbone": "#A8527F",
}
PATHWAY_HATCHES = {"slow": "", "fast": "///", "lateral": "xx", "head": "..", "backbone": ""}
DOTS_PER_INCH = 110
SCREEN_DPI = 80  # coarser than a figure that stays: redrawing must be quick


def ink_on(color: str) -> str:
    """Black or white: the one in which letters are easy to read on a colour of the above.

    >>> ink_on(BLUE), ink_on(ORANGE)
    ('white', '#000000')
    """
    return "white" if color in (BLUE, BLACK) else BLACK


def new_figure(width_inches: float = 8, height_inches: float = 4) -> Figure:
    """An empty figure that no plotting state keeps alive."""
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def png(figure: Figure, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch)
    return buffer.getvalue()


def show(figure: Figure, caption: str) -> None:
    """Display a figure in a notebook with its caption below.

    The caption is visible, and it is the picture's alternative text in exports.

    Args:
        figure: from a function of ``slowfast_edu.viz``.
        caption: what the reader should see in it; one or two sentences.

    Raises:
        ValueError: an empty caption.
    """
    if not caption.strip():
        raise ValueError("caption is empty; say what the reader should see")
    display(Image(png(figure), alt=caption))
    display(Markdown(f"*{caption}*"))
