"""The page that a film is drawn on: where things are, and how they look."""

from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from slowfast_edu.models.slowfast import LAYERS
from slowfast_edu.viz.style import BLACK, PATHWAY_COLORS

# Pixels.
WIDTH, LABELS, GAP, EDGE = 900, 74, 30, 8  # of the page, stages' names, arrows, margin
HEADS, ROW_GAP, BARS = 76, 7, 148  # above the rows, between them, below them
BAR, BAR_LENGTH = 16, 420
LABEL, NUMBER = 27, 24  # how high two lines are, how wide a frame's number


class Film(NamedTuple):
    """Pictures, all of one size, and how many seconds each stands."""

    pictures: list[Image.Image]
    seconds: list[float]


@cache
def _font(size: int, weight: str) -> ImageFont.FreeTypeFont:
    """Matplotlib's own, which is on every machine."""
    return ImageFont.truetype(
        findfont(FontProperties(family="DejaVu Sans", weight=weight)), size
    )


class FilmPage:
    """One picture that is drawn upon little by little; ``shoot`` takes it as it stands.

    A row is a stage, a column a frame: Slow's on the left, then what laterals hand over,
    then Fast's.

    Args:
        slow_frames: columns of Slow, and of the laterals.
        fast_frames: columns of Fast.
        laterals: whether there are any.
    """

    def __init__(self, slow_frames: int, fast_frames: int, laterals: bool):
        columns = [slow_frames, slow_frames if laterals else 0, fast_frames]
        room = WIDTH - LABELS - 2 * GAP - EDGE
        self.pitch = room // sum(columns)
        self.tile = self.pitch - 2
        starts = np.cumsum([LABELS, columns[0] * self.pitch + GAP, columns[1] * self.pitch])
        left = dict(zip(("slow", "lateral", "fast"), starts.tolist(), strict=True))
        left["fast"] += GAP if laterals else 0
        self.left = left
        self.row = max(self.tile, LABEL) + ROW_GAP
        height = HEADS + (1 + len(LAYERS)) * self.row + BARS
        self.image = Image.new("RGB", (WIDTH, height), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.film = Film([], [])

    def text(self, x: float, y: float, text: str, size: int = 12, **look) -> None:
        """Write; ``look`` is Pillow's, and "weight" regular or bold."""
        font = _font(size, look.pop("weight", "regular"))
        self.draw.text((x, y), text, font=font, **{"fill": BLACK, **look})

    def caption(self, text: str) -> None:
        """Say what happens now, in place of what stood there."""
        self.draw.rectangle((0, 0, WIDTH, 30), fill="white")
        self.text(EDGE, 8, text, size=15, weight="bold")

    def place(self, pathway: str, row: int, column: int) -> tuple[int, int]:
        """Where a tile's upper left corner is."""
        return self.left[pathway] + column * self.pitch, HEADS + row * self.row

    def heading(self, pathway: str, text: str, columns: int) -> None:
        """A pathway's name, and a line in its colour over its columns."""
        x, _ = self.place(pathway, 0, 0)
        self.text(x, 36, text, size=14, weight="bold")
        line = (x, 54, x + columns * self.pitch - 3, 56)
        self.draw.rectangle(line, fill=PATHWAY_COLORS[pathway])

    def empty(self, pathway: str, row: int, column: int) -> None:
        """The outline of a tile that nothing has come to yet."""
        x, y = self.place(pathway, row, column)
        corners = (x, y, x + self.tile - 1, y + self.tile - 1)
        self.draw.rectangle(corners, outline=PATHWAY_COLORS[pathway])

    def paste(self, pathway: str, row: int, column: int, picture: np.ndarray) -> None:
        """uint8 (H, W, 3) into its place; a map's pixels stay squares."""
        x, y = self.place(pathway, row, column)
        small = len(picture) < self.tile
        scaling = Image.Resampling.NEAREST if small else Image.Resampling.BOX
        size = (self.tile, self.tile)
        self.image.paste(Image.fromarray(picture).resize(size, scaling), (x, y))

    def arrow(self, pathway: str, row: int) -> None:
        """In the gap to the left of ``pathway``'s tiles, pointing left."""
        x, y = self.place(pathway, row, 0)
        y += self.tile // 2
        start, end, color = x - 5, x - GAP + 4, PATHWAY_COLORS["lateral"]
        self.draw.line((start, y, end + 6, y), fill=color, width=3)
        self.draw.polygon([(end, y), (end + 9, y - 5), (end + 9, y + 5)], fill=color)

    def shoot(self, seconds: float) -> None:
        """Add the page as it is to the film, to stand for so long."""
        self.film.pictures.append(self.image.copy())
        self.film.seconds.append(seconds)
