"""The exercises of notebook 05 on tables: units, two R101, and the cheapest models."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from slowfast_edu.analysis import accuracy_points, closed_form_macs
from slowfast_edu.analysis.reported import agrees_as_printed
from slowfast_edu.config import PRESETS
from slowfast_edu.exercises.exercise import Exercise, Mistake

# 05.flops_unit

WAYS = ("MACs", "2 x MACs", "BN at 2", "BN at 5")
ELEMENTS = {  # that batch normalisation handles in one view of 256 pixels, by fvcore
    "slowfast_4x16_r50": 118_226_944,
    "slowfast_8x8_r50": 178_388_992,
    "slowfast_8x8_r101": 258_605_056,
    "slowfast_8x8_r101_all_temporal": 258_605_056,
    "slow_8x8_r50": 116_129_792,
    "fast_32x2_r50": 58_064_896,
}


def _by_way(gmacs: float, elements: float) -> dict[str, float]:
    values = (gmacs, 2 * gmacs, gmacs + 2 * elements, gmacs + 5 * elements)
    return dict(zip(WAYS, values, strict=True))


def _explaining(printed: str, gmacs: float, elements: float) -> list[str]:
    ways = _by_way(gmacs, elements)
    return [way for way, value in ways.items() if agrees_as_printed(value, printed)]


def _figures(rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """Figures that tables print or might, and drawn ones, cut off."""
    four, all_temporal = "slowfast_4x16_r50", "slowfast_8x8_r101_all_temporal"
    reported = [("36.1", four), ("36.3", four), ("106", "slowfast_8x8_r101")]
    reported += [("127.2", "slowfast_8x8_r101"), ("127.2", all_temporal)]
    reported += [
        ("126", all_temporal),
        ("6.4", "fast_32x2_r50"),
        ("36", four),
        ("72", four),
        ("37", four),  # neither rounded nor cut off, and less than one unit away
    ]
    given = [(printed, *_counted(name)) for printed, name in reported]
    for name in rng.choice(list(ELEMENTS), 7):
        values = _by_way(*_counted(str(name)))
        value, digits = values[str(rng.choice(WAYS))], int(rng.integers(0, 3))
        cut = np.floor(value * 10**digits) / 10**digits
        given.append((f"{cut:.{digits}f}", *_counted(str(name))))
    return given


def _counted(name: str) -> tuple[float, float]:
    return round(closed_form_macs(PRESETS[name]) / 1e9, 3), round(ELEMENTS[name] / 1e9, 4)


def _rounding(printed: str, gmacs: float, elements: float) -> list[str]:
    digits = len(printed.partition(".")[2])
    ways = _by_way(gmacs, elements)
    return [way for way, value in ways.items() if f"{value:.{digits}f}" == printed]


def _within(tolerance: Callable) -> Callable:
    def explaining(printed, gmacs, elements):
        ways, figure = _by_way(gmacs, elements), float(printed)
        return [w for w, value in ways.items() if abs(value - figure) < tolerance(figure)]

    return explaining


def _nearest(printed: str, gmacs: float, elements: float) -> list[str]:
    ways = _by_way(gmacs, elements)
    return [min(ways, key=lambda way: abs(ways[way] - float(printed)))]


FLOPS_UNIT = Exercise(
    name="05.flops_unit",
    title="What was counted?",
    minutes=9,
    difficulty=2,
    points=3,
    answer=_explaining,
    inputs=_figures,
    mistakes=(
        Mistake(
            answer=_rounding,
            cause="you allowed for rounding only; tables also cut off: 106.511 is printed "
            "106",
        ),
        Mistake(
            answer=_within(lambda figure: 1),
            cause="you allowed 1 whatever is printed; the last digit of 127.2 is worth 0.1",
        ),
        Mistake(
            answer=_within(lambda figure: 0.01 * figure),
            cause="you allowed a hundredth of the figure; batch normalisation itself is "
            "no more than that. What the figure prints says how exact it is",
        ),
        Mistake(
            answer=_nearest,
            cause="you gave the nearest; a figure may be explained in several ways, or in "
            "none, and then it is another model",
        ),
        Mistake(
            answer=lambda printed, gmacs, elements: _explaining(
                printed, gmacs, elements / 2
            ),
            cause="you did not multiply by 2 and 5: that is what one element is counted as",
        ),
    ),
    hints=(
        "Work out all four values. How exact is a figure that is printed with one decimal?",
        "A figure with d decimals is exact to one unit of its last digit, 10 ** -d.",
        'decimals = len(printed.partition(".")[2]); keep a way if '
        "abs(value - float(printed)) < 10 ** -decimals.",
    ),
)

# 05.settle


def _settle(before: int, after: int, crop: int) -> int:
    r101 = PRESETS["slowfast_8x8_r101"]
    counts = (replace(r101, res4_temporal_blocks=n) for n in (before, after))
    first, second = (closed_form_macs(config, crop) for config in counts)
    return second - first


def _more(
    slow: int = 8 * 1024 * 256, fast: int = 32 * 128 * 32, side: int = 16, taps: int = 2
):
    """The extra cost by hand: of Slow and of Fast per pixel, pixels, and taps."""
    return lambda before, after, crop: (
        (after - before) * taps * (slow + fast) * (crop // side) ** 2
    )


def _networks(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    given = [(6, 23, 256), (6, 23, 224), (23, 6, 256), (6, 6, 256), (6, 7, 256)]
    while len(given) < 10:
        before, after = (int(n) for n in rng.choice(np.arange(1, 24), 2, replace=False))
        given.append((before, after, 32 * int(rng.integers(4, 11))))
    return given


SETTLE = Exercise(
    name="05.settle",
    title="Settle 106 against 127",
    minutes=8,
    difficulty=3,
    points=4,
    answer=_settle,
    inputs=_networks,
    mistakes=(
        Mistake(
            answer=_more(taps=3),
            cause="you counted the new kernel whole; the old one had one of its three "
            "frames already, so two are more",
        ),
        Mistake(
            answer=_more(taps=1),
            cause="you counted one frame of the kernel more; from 1 to 3 are two",
        ),
        Mistake(
            answer=_more(fast=0),
            cause="you counted Slow alone; Fast's blocks change too",
        ),
        Mistake(
            answer=_more(fast=8 * 128 * 32),
            cause="you gave Fast Slow's 8 frames; it has alpha times as many, 32",
        ),
        Mistake(
            answer=_more(side=32),
            cause="you have a quarter: res4 has crop / 16 pixels along a side, and conv a "
            "begins with the block's wide channels, 1024 and 128",
        ),
        Mistake(
            answer=lambda before, after, crop: abs(_settle(before, after, crop)),
            cause="you lost the sign: with fewer temporal blocks the cost falls",
        ),
    ),
    hints=(
        "What does one conv a cost with a kernel of 1 in time, and what with 3?",
        "Two taps more for each block: 2 x frames x (crop / 16)² x channels in x channels "
        "out, once with Slow's numbers and once with Fast's.",
        "(after - before) * 2 * (8 * 1024 * 256 + 32 * 128 * 32) * (crop // 16) ** 2.",
    ),
)

# 05.pareto

Model = tuple[float, int | None, float]  # GFLOPs of a view, views or None, top-1


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether a model, as (cost, top-1), leaves no reason to take the other."""
    return one != other and one[0] <= other[0] and one[1] >= other[1]


def _front(cost: Callable, beats: Callable = _dominates):
    """The names that no other beats, of those whose cost is not None."""

    def pareto(models: dict[str, Model]) -> list[str]:
        costs = {n: (cost(view, views), top1) for n, (view, views, top1) in models.items()}
        known = {n: point for n, point in costs.items() if point[0] is not None}
        return [
            name
            for name, point in known.items()
            if not any(beats(other, point) for n, other in known.items() if n != name)
        ]

    return pareto


def _of_video(view: float, views: int | None) -> float | None:
    return None if views is None else view * views


def _tables(rng: np.random.Generator) -> list[tuple[dict[str, Model]]]:
    """The notebook's models as reported, small cases, and drawn ones with ties."""
    reported = {}
    for number, row in enumerate(accuracy_points(), start=1):
        views = None if row["views"] == "N/A" else int(row["views"])
        name = f"{number} {row['model']} {row['backbone']}".strip()
        reported[name] = (float(row["gflops_per_view"]), views, float(row["top1"]))
    names = list(reported)
    given = [reported, {"A": (36.0, 30, 75.6)}, {"A": (36.0, None, 75.6)}, {}]
    given.append({"A": (36.0, 30, 75.5), "B": (36.0, 30, 75.5), "C": (18.0, 60, 75.0)})
    given.append({"A": (20.0, 30, 75.5), "B": (10.0, 30, 75.5), "C": (1.0, None, 80.0)})
    for _ in range(3):
        some = rng.permutation(names)[:8].tolist()
        given.append({name: reported[name] for name in some})
    for _ in range(4):
        views, costs = rng.choice([1, 5, 10, 30], 9), rng.integers(1, 9, 9)
        given.append(
            {
                f"M{i}": (float(10 * costs[i]), int(views[i]), float(rng.integers(70, 76)))
                for i in range(9)
            }
        )
    return [(models,) for models in given]


PARETO = Exercise(
    name="05.pareto",
    title="Models that are worth their cost",
    minutes=8,
    difficulty=3,
    points=4,
    answer=_front(_of_video),
    inputs=_tables,
    mistakes=(
        Mistake(
            answer=_front(lambda view, views: None if views is None else view),
            cause="you compared the cost of one view; a video costs that times the views",
        ),
        Mistake(
            answer=_front(lambda view, views: view * (views or 1)),
            cause="you took views that are not stated for one; the cost of a video is then "
            "not known, so leave the model out",
        ),
        Mistake(
            answer=_front(_of_video, lambda a, b: a[0] < b[0] and a[1] > b[1]),
            cause="you let a model be beaten only by one that is cheaper *and* better; "
            "one as cheap and better beats it too, and one as good and cheaper",
        ),
        Mistake(
            answer=_front(_of_video, lambda a, b: a[0] <= b[0] and a[1] >= b[1]),
            cause="you let two models of the same cost and accuracy throw each other out; "
            "neither beats the other",
        ),
        Mistake(
            answer=_front(_of_video, lambda a, b: a[1] / a[0] > b[1] / b[0]),
            cause="you took accuracy per cost, which favours the cheapest; a dear model "
            "belongs here if no cheaper one is as good",
        ),
    ),
    hints=(
        "When would nobody ever choose a model, whatever their budget?",
        "When another one costs no more and is no worse, and differs in at least one of "
        "the two. First drop those without views.",
        "Keep name if not any(cost_b <= cost_a and top1_b >= top1_a and "
        "(cost_b, top1_b) != (cost_a, top1_a)) over all others b.",
    ),
)
