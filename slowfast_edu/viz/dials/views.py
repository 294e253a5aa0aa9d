"""A widget: turn clips, crops and the video's length, and see what the views cover."""

from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from slowfast_edu.analysis import closed_form_macs
from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.config import PRESETS, ClipConfig, ModelConfig
from slowfast_edu.data.transforms import uniform_crop
from slowfast_edu.sampling import evaluation_views
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    VERMILLION,
    new_figure,
)

ROWS = 10  # for clips, so that the picture stays still while the dial turns
SIZE = 256  # of the crop, and of the picture's shorter side
FRAMES_PER_SECOND = 30
MODELS = {
    f"{told} R{PRESETS[name].depth}": name
    for told, name in (
        ("4x16", "slowfast_4x16_r50"),
        ("8x8", "slowfast_8x8_r50"),
        ("8x8", "slowfast_8x8_r101"),
        ("16x8", "slowfast_16x8_r101"),
    )
}
PICTURES = {"9:16": (455, 256), "1:1": (256, 256), "4:3": (256, 340), "16:9": (256, 455)}
CROP_LOOKS = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """Which views of a video are taken.

    Attributes:
        clip: T and tau say how many raw frames one spans.
        video_frames: of the video.
        clips: spread evenly over it.
        crops: 3, or 1 for the middle one alone.
        picture: height and width, once the shorter side has the crop's size.

    Raises:
        ValueError: a number that cannot be.
    """

    clip: ClipConfig
    video_frames: int
    clips: int = 10
    crops: int = 3
    picture: tuple[int, int] = (256, 340)

    def __post_init__(self):
        check_count("clips", self.clips)
        check_choice("crops", self.crops, (1, 3))
        check_count("video_frames", self.video_frames)

    @property
    def starts(self) -> list[int]:
        """First raw frame of each clip."""
        views = evaluation_views(self.clip, self.video_frames, self.clips, self.crops)
        return [view.start_frame for view in views[:: self.crops]]

    @property
    def covered(self) -> float:
        """The share of the video's frames that lie in a clip or more."""
        seen = np.zeros(self.video_frames, dtype=bool)
        for start in self.starts:
            seen[start : start + self.clip.raw_frames] = True
        return float(seen.mean())

    @property
    def shared(self) -> float:
        """The least share of a clip that lies in the next one too; 0 of one clip."""
        if self.clips == 1:
            return 0.0
        between = np.diff(self.starts).max()
        return max(0.0, 1 - float(between) / self.clip.raw_frames)

    @property
    def squares(self) -> list[tuple[int, int]]:
        """Top and left of each crop, asked of the library's own on numbered pixels."""
        height, width = self.picture
        numbers = torch.arange(height * width).view(1, 1, 1, height, width)
        chosen = (1,) if self.crops == 1 else (0, 1, 2)
        corners = (uniform_crop(numbers, min(self.picture), crop) for crop in chosen)
        return [divmod(int(square.flatten()[0]), width) for square in corners]

    @property
    def pictured(self) -> float:
        """The share of the picture's pixels that lie in a crop or more."""
        seen, size = np.zeros(self.picture, dtype=bool), min(self.picture)
        for top, left in self.squares:
            seen[top : top + size, left : left + size] = True
        return float(seen.mean())


def views_figure(views: Views, frames_per_second: float = FRAMES_PER_SECOND) -> Figure:
    """Where the views of a video lie: the clips in time, the crops in the picture.

    Args:
        views: which.
        frames_per_second: of the video, for the axis.

    Returns:
        The figure.
    """
    figure = new_figure(10, 3.6)
    when, where = figure.subplots(1, 2, width_ratios=(2.1, 1))
    length = views.clip.raw_frames / frames_per_second
    whole = views.video_frames / frames_per_second
    for row, start in enumerate(views.starts):
        place = (start / frames_per_second, row - 0.35)
        look = {"facecolor": BLUE, "edgecolor": BLACK, "alpha": 0.6}
        when.add_patch(Rectangle(place, length, 0.7, **look))
    when.axvspan(0, whole, color=ORANGE, alpha=0.2, linewidth=0)
    when.axvline(whole, color=BLACK, linewidth=1)
    when.set(xlim=(0, max(whole, length) * 1.02), ylim=(max(views.clips, ROWS) - 0.4, -0.6))
    when.set_yticks(range(views.clips), [str(n + 1) for n in range(views.clips)])
    when.set(xlabel="seconds; the video is shaded and ends at the line", ylabel="clip")
    clips = f"{_many(views.clips, 'clip')} of {length:.1f} s"
    when.set_title(f"{clips}: {views.covered:.0%} of the video", loc="left", fontsize=10)
    when.spines[["top", "right"]].set_visible(False)
    _draw_crops(where, views)
    return figure


def _draw_crops(axis, views: Views) -> None:
    """The picture, and in it the squares; each a little smaller, to tell edges apart."""
    height, width = views.picture
    size = min(views.picture)
    axis.add_patch(Rectangle((0, 0), width, height, color=ORANGE, alpha=0.2, linewidth=0))
    for place, (top, left) in enumerate(views.squares):
        color, style = CROP_LOOKS[place]
        inset = 4 + 12 * place
        corner, side = (left + inset, top + inset), size - 2 * inset
        look = {"edgecolor": color, "linestyle": style, "linewidth": 2.5, "fill": False}
        axis.add_patch(Rectangle(corner, side, side, **look))
        middle = (left + size / 2, top + size / 2)
        text = {"color": color, "weight": "bold", "ha": "center", "va": "center"}
        back = {"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"}
        axis.text(*middle, str(place + 1), fontsize=14, bbox=back, **text)
    axis.set(xlim=(-3, width + 3), ylim=(height + 3, -3), aspect="equal")
    axis.set_xlabel(f"{width} x {height} pixels, squares of {size}", fontsize=9)
    axis.set(xticks=(), yticks=())
    told = f"{_many(views.crops, 'crop')}: {views.pictured:.0%} of the picture"
    axis.set_title(told, loc="left", fontsize=10)
    axis.spines[:].set_visible(False)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _sentence(views: Views, config: ModelConfig) -> str:
    """The picture in words, for who cannot see it."""
    gmacs = closed_form_macs(config, SIZE) / 1e9
    count = views.clips * views.crops
    short = views.clip.raw_frames - views.video_frames
    told = [
        f"{_many(views.clips, 'clip')} x {_many(views.crops, 'crop')} cover "
        f"{views.covered:.0%} of the video and {views.pictured:.0%} of the picture."
    ]
    if views.shared:
        told.append(f"Neighbouring clips share about {views.shared:.0%} of their length.")
    if len(set(views.squares)) < views.crops:
        told.append("All crops are one and the same.")
    if short > 0:
        told.append(f"The video is {short} frames too short: its last one is repeated.")
    both = f", {gmacs * count:,.1f} for all {count}" if count > 1 else ""
    told.append(f"{gmacs:.1f} GMACs a view{both}.")
    return " ".join(told)


def view_sampler() -> Dialled:
    """Dials for clips, crops, length, picture and model over ``views_figure``."""
    slider = widgets.SelectionSlider
    dials = {
        "clips": widgets.IntSlider(value=10, min=1, max=10, description="clips"),
        "crops": slider(options=(1, 3), value=3, description="crops"),
        "seconds": widgets.IntSlider(value=10, min=1, max=60, description="video, s"),
        "picture": slider(options=list(PICTURES), value="4:3", description="picture"),
        "model": slider(options=list(MODELS), description="model"),
    }

    def draw(
        clips: int, crops: int, seconds: int, picture: str, model: str
    ) -> tuple[Figure, str]:
        config = PRESETS[MODELS[model]]
        views = Views(
            clip=config.clip,
            video_frames=seconds * FRAMES_PER_SECOND,
            clips=clips,
            crops=crops,
            picture=PICTURES[picture],
        )
        return views_figure(views), _sentence(views, config)

    told = "dials for clips, crops, length, picture and model, and where the views lie"
    return dialled(dials, draw, told)
