"""A widget: choose two models and a number of seeds, and see how sure a difference is."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.analysis.seeds import dealt_as_far, welch_reach
from slowfast_edu.checks import check_count
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.style import BLACK, BLUE, GREY, VERMILLION, new_figure

MOST = 20  # seeds to plan for


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How much better the first of two models is, by runs that differ in their seed.

    Attributes:
        first: accuracies of one model, one a seed, in percent; two or more.
        second: those of the other.

    Raises:
        ValueError: fewer than two seeds of a model, or none that varies.
    """

    first: Sequence[float]
    second: Sequence[float]

    def __post_init__(self):
        welch_reach(self.first, self.second)

    @property
    def mean(self) -> float:
        """The first model's mean minus the second's, in points."""
        return statistics.fmean(self.first) - statistics.fmean(self.second)

    def reach(self, seeds: int) -> float:
        """Half of Welch's 95% interval, had each model so many seeds that vary like these.

        Welch's degrees of freedom are rounded down to a whole number, which makes the
        interval a little wider, and of 30 and more those of 30 are taken.
        """
        check_count("seeds", seeds, 2)
        return welch_reach(self.first, self.second, seeds)

    @property
    def enough(self) -> int | None:
        """Seeds a model from which the interval would leave 0; None if a hundred do not."""
        counts = range(2, 101)
        return next((n for n in counts if self.reach(n) < abs(self.mean)), None)

    def as_far(self) -> tuple[int, int]:
        """In how many deals of all runs onto two models they lie as far apart, of how many.

        An exact permutation test: if the models were alike, each deal was equally likely.
        """
        return dealt_as_far(self.first, self.second)


def supposed_seeds(
    runs: Mapping[str, Sequence[float]], names: Sequence[str], seeds: int
) -> tuple[Difference, bool]:
    """The difference of two models by their first ``seeds`` runs, or by all there are.

    Returns:
        The difference, and whether ``seeds`` are more than were run.

    Raises:
        ValueError: one model twice, or see ``Difference``.
    """
    if names[0] == names[1]:
        raise ValueError(f"both models are {names[0]}; choose two different ones")
    first, second = (runs[name][:seeds] for name in names)
    difference = Difference(first=first, second=second)
    return difference, seeds > min(len(first), len(second))


def seeds_figure(
    runs: Mapping[str, Sequence[float]], names: Sequence[str], seeds: int = 3
) -> Figure:
    """Each run of two models, and Welch's 95% interval of their difference over seeds.

    Args:
        runs: {model: accuracy of each seed in percent}.
        names: of the two models.
        seeds: taken of each. More than were run are supposed to vary like those.

    Returns:
        The figure.

    Raises:
        ValueError: see ``supposed_seeds``.
    """
    difference, supposed = supposed_seeds(runs, names, seeds)
    figure = new_figure(10, 3.6)
    single, interval = figure.subplots(1, 2, width_ratios=(1.2, 1))
    looks = ((BLUE, "o"), (VERMILLION, "s"))
    both = (difference.first, difference.second)
    for place, (values, (color, marker)) in enumerate(zip(both, looks, strict=True)):
        places = place + np.linspace(-0.12, 0.12, len(values))
        single.plot(values, places, marker, color=color, markersize=7)
        mean = statistics.fmean(values)
        single.plot((mean, mean), (place - 0.3, place + 0.3), color=BLACK, linewidth=2)
        single.text(mean, place - 0.34, f"{mean:.1f}", ha="center", va="bottom")
    single.set_yticks((0, 1), list(names))
    single.set(ylim=(1.5, -0.65), xlabel="%; a mark is a seed, the line their mean")
    single.set_title("single runs", loc="left", fontsize=10)
    _draw_reach(interval, difference, seeds, supposed)
    for axis in (single, interval):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_reach(axis, difference: Difference, seeds: int, supposed: bool) -> None:
    """The interval at ``seeds`` as a bar, and dashed what more seeds would make of it."""
    run, mean = len(difference.first), difference.mean
    counts = range(run, MOST + 1)
    reach = np.array([difference.reach(n) for n in counts])
    look = {"color": GREY, "linestyle": "--", "linewidth": 1}
    axis.plot(counts, mean - reach, label="if more seeds varied alike", **look)
    axis.plot(counts, mean + reach, **look)
    axis.axhline(0, color=BLACK, linewidth=1)
    kind = "supposed" if supposed else "measured"
    mark = {"fmt": "D" if supposed else "o", "mfc": "white" if supposed else BLUE}
    bar = {"color": BLUE, "capsize": 5, "linewidth": 2, "label": kind, **mark}
    axis.errorbar(seeds, mean, difference.reach(seeds), **bar)
    axis.set(xlim=(1, MOST + 1), xlabel="seeds of each model", xticks=(2, 5, 10, 15, 20))
    axis.set_ylabel("points")
    axis.set_title("first minus second, 95% interval (Welch)", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=9)


def _told(difference: Difference, names: Sequence[str], supposed: bool, seeds: int) -> str:
    """The picture in words, for who cannot see it."""
    return " ".join(_sentences(difference, names, supposed, seeds))


def _sentences(
    difference: Difference, names: Sequence[str], supposed: bool, seeds: int
) -> Iterator[str]:
    mean, reach = difference.mean, difference.reach(seeds)
    low, high = mean - reach, mean + reach
    holds = "contains 0: undecided" if low <= 0 <= high else "does not contain 0"
    start = f"Supposed {seeds} seeds that vary like those run" if supposed else "Measured"
    yield (
        f"{start}: {names[0]} minus {names[1]} is {mean:+.1f} points, 95% interval "
        f"{low:+.1f} to {high:+.1f}, which {holds}."
    )
    far, deals = difference.as_far()
    yield (
        f"Of {deals} ways to deal the runs onto two models {far} lie as far apart: "
        f"p = {far / deals:.2f}."
    )
    enough = difference.enough
    if not supposed and low <= 0 <= high:
        more = f"From {enough} seeds" if enough else "Not even from 100 seeds"
        yield f"{more} each of this very mean and spread the interval would leave 0 out."


def seed_explorer(runs: Mapping[str, Sequence[float]]) -> Dialled:
    """Dials for two models and the seeds taken of each, over ``seeds_figure``.

    Args:
        runs: {model: accuracy of each seed in percent}; two models at least, two seeds
            each.

    Raises:
        ValueError: fewer models, or see ``Difference``.
    """
    if len(runs) < 2:
        raise ValueError(f"runs has {len(runs)} models; give at least 2 to compare")
    names = list(runs)
    slider = widgets.SelectionSlider
    dials = {
        "first": slider(options=names, value=names[0], description="first"),
        "second": slider(options=names, value=names[1], description="second"),
        "seeds": widgets.IntSlider(value=3, min=2, max=MOST, description="seeds"),
    }

    def draw(first: str, second: str, seeds: int) -> tuple[Figure, str]:
        pair = first, second
        difference, supposed = supposed_seeds(runs, pair, seeds)
        figure = seeds_figure(runs, pair, seeds)
        return figure, _told(difference, pair, supposed, seeds)

    told = "dials for two models and the seeds of each, and how sure their difference is"
    return dialled(dials, draw, told)
