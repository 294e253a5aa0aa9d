"""A widget: accuracy over the cost of a video, as the number of views changes."""

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.viz.charts import FAMILY_MARKERS, CostPoint, number_marks
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.style import GREY, new_figure

SIZE = (10, 5.4)  # inches


class Tested(NamedTuple):
    """A model's cost of one view and accuracy, and the views that accuracy was got with."""

    point: CostPoint
    views: int

    def trillions(self, views: int | None = None) -> float:
        """10^12 operations for a video: of ``views`` views, or of the reported ones."""
        return self.point.gflops * (self.views if views is None else views) / 1000


def _checked(tested: Sequence[Tested]) -> None:
    if not tested:
        raise ValueError("tested is empty; give [Tested(point, views), ...]")
    for model in tested:
        check_count(f"views of {model.point.label!r}", model.views, 1)
        check_choice("family", model.point.family, FAMILY_MARKERS)


def recosted_figure(tested: Sequence[Tested], clips: int, crops: int) -> Figure:
    """Models as they were tested, and what each would cost with clips x crops views.

    Args:
        tested: models; ``family`` of each point is a key of ``FAMILY_MARKERS``.
        clips: of a video.
        crops: of a clip.

    Returns:
        The figure. A filled mark is a reported accuracy over the cost of the views that it
        was reported for. A hollow one is a cost alone: it keeps the height of its filled
        mark, for nobody says how accurate the model is with other views.

    Raises:
        ValueError: no model, an unknown family, or a number of views below 1.
    """
    _checked(tested)
    check_count("clips", clips, 1)
    check_count("crops", crops, 1)
    figure = new_figure(*SIZE)
    axis = figure.subplots()
    costs = [model.trillions(n) for model in tested for n in (1, 30, model.views)]
    axis.set(xlim=(min(costs) / 1.5, max(costs) * 1.5), xscale="log")
    for family in FAMILY_MARKERS:
        _draw_family(axis, [m for m in tested if m.point.family == family], clips * crops)
    _number(axis, tested)
    axis.minorticks_off()
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set(xlabel="cost of one video, 10¹² operations", ylabel="reported top-1 (%)")
    title = (
        f"filled: as tested. Hollow: cost with {clips} x {crops} views, accuracy unknown"
    )
    axis.set_title(title, fontsize=10, loc="left")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper left")
    return figure


def _draw_family(axis, models: Sequence[Tested], views: int) -> None:
    """Filled marks, and a line from each to its hollow one if the views differ."""
    if not models:
        return
    family = models[0].point.family
    marker, color = FAMILY_MARKERS[family]
    look = {"marker": marker, "edgecolor": color, "linewidth": 1.2, "s": 65}
    spots = [(m.trillions(), m.point.top1) for m in models]
    axis.scatter(*zip(*spots, strict=True), facecolor=color, zorder=3, label=family, **look)
    moved = [(m.trillions(), m.trillions(views), m.point.top1) for m in models]
    moved = [ends for ends in moved if ends[0] != ends[1]]
    if moved:
        tested, equal, heights = zip(*moved, strict=True)
        axis.hlines(heights, tested, equal, color=GREY, linewidth=0.8, zorder=1)
        axis.scatter(equal, heights, facecolor="white", zorder=2, **look)


def _number(axis, tested: Sequence[Tested]) -> None:
    """Write each number beside its filled mark, placed by the figure's size alone."""
    at = [(model.trillions(), model.point.top1) for model in tested]
    costs, heights = np.array(at).T
    decades = np.diff(np.log10(axis.get_xlim())).item()
    scale = 72 * np.array(SIZE) / (decades, max(1, np.ptp(heights)))
    spots = scale * np.stack([np.log10(costs), heights], axis=1)
    number_marks(axis, [model.point.number for model in tested], at, spots)


def order_changes(tested: Sequence[Tested]) -> int:
    """Pairs of models of which the cheaper one as tested is dearer with equal views.

    The number of equal views does not matter: it moves all by one factor.
    """
    pairs = combinations(tested, 2)
    return sum(
        (a.trillions() - b.trillions()) * (a.point.gflops - b.point.gflops) < 0
        for a, b in pairs
    )


def _sentence(tested: Sequence[Tested], clips: int, crops: int) -> str:
    """The picture in words, for who cannot see it."""
    views = clips * crops
    same = sum(model.views == views for model in tested)
    low, high = (f(model.trillions(views) for model in tested) for f in (min, max))
    views_told = f"{clips} x {crops} = {views} view{'s' * (views > 1)}"
    pairs = f"{order_changes(tested)} of {comb(len(tested), 2)} pairs of models"
    return (
        f"{views_told}, as {same} of {len(tested)} models have: {low:.3g} to {high:.3g} x "
        f"10¹² operations a video. {pairs} stand in another order of cost than as tested. "
        "A hollow mark has a cost and no accuracy."
    )


def recosted_explorer(tested: Sequence[Tested]) -> Dialled:
    """Dials for clips and crops over ``recosted_figure``.

    Args, Raises: see ``recosted_figure``.
    """
    _checked(tested)
    dials = {
        "clips": widgets.IntSlider(10, min=1, max=10, description="clips"),
        "crops": widgets.SelectionSlider(options=(1, 3), value=3, description="crops"),
    }

    def draw(clips: int, crops: int) -> tuple[Figure, str]:
        return recosted_figure(tested, clips, crops), _sentence(tested, clips, crops)

    told = "dials for clips and crops, and a picture that follows"
    return dialled(dials, draw, told)
