"""Cost by pathway, and accuracy against cost."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.viz.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PATHWAY_COLORS,
    PATHWAY_HATCHES,
    PURPLE,
    VERMILLION,
    new_figure,
)


def stacked_bar(axis, place: float | str, parts: Mapping[str, float]) -> dict[str, object]:
    """One horizontal bar at ``place``, divided by pathway; {pathway: its piece}."""
    left, pieces = 0.0, {}
    for part, length in parts.items():
        style = {"color": PATHWAY_COLORS[part], "hatch": PATHWAY_HATCHES[part]}
        pieces[part] = axis.barh(place, length, left=left, edgecolor="white", **style)
        left += length
    return pieces


def cost_bars(costs: Mapping[str, Mapping[str, float]]) -> Figure:
    """One bar a model, divided by pathway.

    Args:
        costs: {"4x16 R50": {"slow": GMACs, "fast": GMACs, ...}, ...}.

    Returns:
        The figure.
    """
    figure = new_figure(8, 1 + 0.6 * len(costs))
    axis = figure.subplots()
    for model, parts in costs.items():
        for part, bar in stacked_bar(axis, model, parts).items():
            if model == next(iter(costs)):
                bar.set_label(part)
            share = parts[part] / sum(parts.values())
            if share > 0.05:
                axis.bar_label(
                    bar,
                    [f"{share:.0%}"],
                    label_type="center",
                    color=BLACK,
                    bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"},
                )
    axis.invert_yaxis()
    axis.set_xlabel("GMACs for one view")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=4, frameon=False)
    return figure


class CostPoint(NamedTuple):
    """One model in the plane of cost and accuracy.

    ``number`` stands beside its mark; ``built`` is True where the cost was counted here
    and False where it is a reported one.
    """

    number: int
    label: str
    family: str
    gflops: float
    top1: float
    built: bool


FAMILY_MARKERS = {
    "SlowFast": ("o", BLACK),
    "Slow-only": ("s", BLUE),
    "Fast-only": ("X", VERMILLION),
    "C2D or I3D, ResNet": ("^", GREEN),
    "R(2+1)D": ("D", PURPLE),
    "Inception I3D": ("v", ORANGE),
    "other": ("P", GREY),
}


def family_of(row: Mapping[str, str]) -> str:
    """The family, a key of ``FAMILY_MARKERS``, of a row of ``accuracy_points``."""
    model = row["model"]
    if "I3D" in model and row["backbone"] == "Inception-v1":
        return "Inception I3D"
    if model in ("C2D", "I3D"):
        return "C2D or I3D, ResNet"
    if model in ("Slow", "Slow-only"):
        return "Slow-only"
    families = ("SlowFast", "Fast-only", "R(2+1)D")
    return next((name for name in families if model.startswith(name)), "other")


LABEL_PLACES = ((8, 5), (-18, 5), (8, -13), (-18, -13), (-4, 10), (-4, -18))  # points
ENOUGH_ROOM, HALF_TEXT = 11, 4  # points


def number_marks(axis, numbers: Sequence[int], at: Sequence, spots: np.ndarray) -> None:
    """Write a number beside each mark, clear of other marks and of earlier numbers.

    Args:
        axis: with the marks.
        numbers: one a mark.
        at: (x, y) of each mark in the axis's data.
        spots: the same in points (1/72 inch), from any origin.
    """
    taken = list(spots)
    for number, place, spot in zip(numbers, at, spots, strict=True):

        def room(offset, spot=spot):
            middle = spot + np.array(offset) + HALF_TEXT
            return min(np.hypot(*(middle - other)) for other in taken)

        clear = (offset for offset in LABEL_PLACES if room(offset) >= ENOUGH_ROOM)
        best = next(clear, max(LABEL_PLACES, key=room))
        taken.append(spot + np.array(best) + HALF_TEXT)
        look = {"textcoords": "offset points", "fontsize": 9}
        axis.annotate(str(number), place, best, **look)


def cost_accuracy(points: Sequence[CostPoint], x_label: str) -> Figure:
    """Accuracy over cost on a logarithmic axis.

    Args:
        points: models; ``family`` is a key of ``FAMILY_MARKERS``.
        x_label: what the cost is, with its unit.

    Returns:
        The figure; filled marks were counted, hollow ones are reported.
    """
    figure = new_figure(9, 5.2)
    axis = figure.subplots()
    kinds = {(p.family, p.built) for p in points}
    for family, (marker, color) in FAMILY_MARKERS.items():
        for built in (True, False):
            if (family, built) not in kinds:
                continue
            chosen = [p for p in points if (p.family, p.built) == (family, built)]
            axis.scatter(
                [p.gflops for p in chosen],
                [p.top1 for p in chosen],
                s=70,
                marker=marker,
                facecolor=color if built else "none",
                edgecolor=color,
                linewidth=1.6,
                label=family if built or (family, True) not in kinds else None,
            )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set(xlabel=x_label, ylabel="Kinetics-400 top-1 (%)")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    title = "filled: counted here\nhollow: reported cost"
    axis.legend(frameon=False, title=title, loc="lower right")
    figure.draw_without_rendering()  # the numbers need the final places of the marks
    at = [(point.gflops, point.top1) for point in points]
    spots = axis.transData.transform(at) * 72 / figure.dpi
    number_marks(axis, [point.number for point in points], at, spots)
    return figure
