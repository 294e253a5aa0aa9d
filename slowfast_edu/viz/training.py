"""Learning curves, rates, and the ledger of claims."""

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from slowfast_edu.viz.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SCREEN_DPI,
    VERMILLION,
    new_figure,
    png,
)

LINES = (
    (BLUE, "-"),
    (VERMILLION, "--"),
    (GREEN, "-."),
    (PURPLE, ":"),
    (ORANGE, (0, (6, 2, 1, 2, 1, 2))),
)


def rate_curves(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Learning rates over epochs.

    Args:
        curves: {"name": one rate an epoch, ...}; five at most.

    Returns:
        The figure.
    """
    figure = new_figure(8, 3.2)
    axis = figure.subplots()
    for (name, rates), (color, style) in zip(curves.items(), LINES, strict=False):
        axis.plot(range(len(rates)), rates, color=color, linestyle=style, label=name)
    axis.set_xlabel("epoch")
    axis.set_ylabel("learning rate")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return figure


def learning_curves(
    runs: Mapping[str, Sequence[Sequence[Mapping]]], chance: float, metric: str = "val_top1"
) -> Figure:
    """Accuracy over epochs, one line a seed, one colour and dash a model.

    Args:
        runs: {model: [history of a seed, ...]}; a history has one dict an epoch with
            "epoch" and the metric. Five models at most.
        chance: accuracy of guessing, drawn as a line.
        metric: which entry of the dicts, between 0 and 1.

    Returns:
        The figure.
    """
    figure = new_figure(8, 3.6)
    axis = figure.subplots()
    for (model, histories), (color, style) in zip(runs.items(), LINES, strict=False):
        for number, history in enumerate(histories):
            axis.plot(
                [row["epoch"] for row in history if metric in row],
                [row[metric] for row in history if metric in row],
                color=color,
                linestyle=style,
                marker="o",
                markersize=3,
                label=model if number == 0 else None,
            )
    axis.axhline(chance, color=GREY, linewidth=0.8, label="chance")
    axis.set_ylim(0, 1.03)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel("accuracy")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


class _Growing(widgets.Image):
    """What is shown of it where no kernel runs: a sentence, not its bytes."""

    def __repr__(self) -> str:
        return "Run this cell: curves that grow while it trains."


class LiveCurves:
    """Curves that grow while a training runs: ``on_epoch=LiveCurves(chance=0.1)``.

    Attributes:
        picture: a widget to display before the training begins.
    """

    def __init__(self, chance: float):
        """Draw empty axes.

        Args:
            chance: accuracy of guessing.
        """
        self.chance = chance
        self.picture = _Growing(format="png")
        self([])

    def __call__(self, history: Sequence[Mapping]) -> None:
        """Draw the curves anew, of training and of validation."""
        both = {
            "training": [[row | {"shown": row["train_top1"]} for row in history]],
            "validation": [
                [row | {"shown": row["val_top1"]} for row in history if "val_top1" in row]
            ],
        }
        figure = learning_curves(both, self.chance, "shown")
        self.picture.value = png(figure, SCREEN_DPI)


def ledger_chart(
    rows: Sequence[Mapping[str, str]], singles: Mapping[str, Sequence[float]]
) -> Figure:
    """What was measured for one claim: each seed a dot, their mean a bar, the paper beside.

    Args:
        rows: of ``read_ledger``, of one claim.
        singles: {model: top-1 of each seed in percent}.

    Returns:
        The figure.
    """
    figure = new_figure(8, 1.1 + 0.42 * len(rows))
    axis = figure.subplots()
    for place, row in enumerate(rows):
        mean = float(row["ours_mean"])
        axis.barh(place, mean, color=BLUE, alpha=0.35, height=0.62)
        seeds = singles[row["model"]]
        dots = {"color": BLACK, "markersize": 3.5, "clip_on": False}
        axis.plot(seeds, [place] * len(seeds), "o", **dots)
        paper = f"   paper {row['paper']}" if row["paper"] else ""
        spread = f" ± {float(row['ours_std']):.1f}" if row["ours_std"] else ""
        axis.annotate(
            f"{mean:.1f}{spread}{paper}",
            (102, place),
            va="center",
            annotation_clip=False,
        )
    axis.set_yticks(range(len(rows)), [row["model"] for row in rows])
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    measured = "mAP of the boxes in" if "map" in rows[0]["metric"] else "top-1 on"
    axis.set_xlabel(f"{measured} 2,000 unseen clips, %; a dot is a seed")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
