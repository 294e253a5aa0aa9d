"""A widget: choose a clip and the order of its frames, and see what a model says of it."""

from collections.abc import Callable, Mapping

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from slowfast_edu.checks import check_frames
from slowfast_edu.config import ClipConfig
from slowfast_edu.sampling import fast_indices, last_start
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.frames import mosaic
from slowfast_edu.viz.style import BLACK, BLUE, GREY, new_figure

GAP = 2  # white pixels between two frames
ORDERS = ("as filmed", "backwards", "one held")

Classify = Callable[[np.ndarray], Mapping[str, float]]


def clip_answer(
    frames: np.ndarray, chances: Mapping[str, float], alpha: int = 4, title: str = ""
) -> Figure:
    """The frames of a clip, and how likely a model finds each class.

    A row of frames begins with one that Slow sees too, and goes on to the next of those.

    Args:
        frames: uint8 (alpha * T, H, W, 3), of the Fast pathway.
        chances: {class: probability}, drawn in this order.
        alpha: frames a row.
        title: over the frames.

    Raises:
        ValueError: frames that are none, or no class.
    """
    check_frames(frames)
    if not chances:
        raise ValueError("chances is empty; give a probability for at least one class")
    figure = new_figure(10, 4)
    seen, said = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _draw_frames(seen, frames, alpha, title)
    best = max(chances, key=lambda name: chances[name])
    values = list(chances.values())
    colors = [BLUE if name == best else GREY for name in chances]
    said.barh(list(chances), values, color=colors, edgecolor=BLACK, linewidth=0.5)
    for place, (name, value) in enumerate(chances.items()):
        weight = "bold" if name == best else "normal"
        said.text(value + 0.01, place, f"{value:.0%}", va="center", weight=weight)
    said.invert_yaxis()
    said.set(xlim=(0, 1.12), xticks=(0, 0.5, 1), xlabel="probability")
    said.set_xticks((0, 0.5, 1), ("0%", "50%", "100%"))
    said.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_frames(axis, frames: np.ndarray, alpha: int, title: str) -> None:
    """Rows of ``alpha`` frames; around those of Slow, the first of each row, a box."""
    height, width = (side + GAP for side in frames.shape[1:3])
    axis.imshow(mosaic(frames, alpha, GAP))
    box = {"fill": False, "edgecolor": BLUE, "linewidth": 3, "clip_on": False}
    axis.add_patch(Rectangle((-1.5, -1.5), width, height * -(-len(frames) // alpha), **box))
    axis.text(0, -4, "Slow too", color=BLUE, weight="bold", va="bottom")
    axis.text(width * alpha, -4, title, ha="right", va="bottom")
    axis.set_axis_off()


def reorder(frames: np.ndarray, order: str) -> np.ndarray:
    """The frames as filmed, backwards, or the first of them in the place of all.

    >>> reorder(np.arange(3), "backwards"), reorder(np.arange(3), "one held")
    (array([2, 1, 0]), array([0, 0, 0]))
    """
    if order == "backwards":
        return frames[::-1]
    return frames if order == "as filmed" else frames[[0] * len(frames)]


def _sentence(name: str, order: str, chances: Mapping[str, float]) -> str:
    """The picture in words, for who cannot see it."""
    first, second = sorted(chances, key=lambda name: -chances[name])[:2]
    told = f"{first} ({chances[first]:.0%}), then {second} ({chances[second]:.0%})"
    return f"Of {name}, {order}, the model says {told}."


def clip_explorer(
    videos: Mapping[str, np.ndarray],
    classify: Classify,
    clip: ClipConfig,
    frames_per_second: float = 30,
) -> Dialled:
    """Dials for the video, the clip's start and the order of its frames: ``clip_answer``.

    Args:
        videos: {name: all its raw frames, uint8 (frames, H, W, 3)}.
        classify: from Fast's frames (alpha * T, H, W, 3) to {class: probability}, of two
            classes or more.
        clip: which frames are taken; each video must be as long.
        frames_per_second: of the videos.

    Raises:
        ValueError: no video, or one shorter than a clip.
    """
    if not videos:
        raise ValueError("videos is empty; give the frames of at least one")
    for name, frames in videos.items():
        if len(frames) < clip.raw_frames:
            raise ValueError(
                f"{name} has {len(frames)} frames, must have T * tau = {clip.raw_frames} "
                "or more"
            )
    latest = last_start(clip, min(map(len, videos.values())))
    starts = range(0, latest + 1, clip.fast_stride)
    options = [(f"{start / frames_per_second:.2f} s", start) for start in starts]
    dials = {
        "name": widgets.SelectionSlider(options=list(videos), description="video"),
        "start": widgets.SelectionSlider(options=options, description="start"),
        "order": widgets.SelectionSlider(options=ORDERS, description="frames"),
    }

    def draw(name: str, start: int, order: str) -> tuple[Figure, str]:
        frames = reorder(videos[name][fast_indices(clip, start)], order)
        chances = classify(frames)
        figure = clip_answer(frames, chances, clip.alpha, f"{name}, {order}")
        return figure, _sentence(name, order, chances)

    told = "dials for the video, its start and the order of frames, and what a model says"
    return dialled(dials, draw, told)
