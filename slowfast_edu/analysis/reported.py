"""Figures that papers and model zoos report, each with its source."""

import csv
from dataclasses import dataclass
from importlib.resources import files

from slowfast_edu.analysis.closed_form import closed_form_macs
from slowfast_edu.config import PRESETS


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("slowfast_edu.results") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def reported_accuracy(dataset: str = "K400") -> list[dict[str, str]]:
    """Rows of ``results/reported_accuracy.csv`` for one dataset.

    Args:
        dataset: "K400" (validation), "K400 TEST", "K600" or "SSv2".

    Returns:
        One dict a row: model, backbone, pretrain, frames_x_stride, gflops_per_view,
        views, params_m, top1, top5, dataset, source, note, and preset, the model of
        this library that is built like it; all text, "" where there is none.

    Raises:
        ValueError: no rows for that dataset; the message lists the known ones.
    """
    rows = _rows("reported_accuracy.csv")
    known = sorted({row["dataset"] for row in rows})
    if dataset not in known:
        raise ValueError(f"no figures for dataset={dataset!r}; there are {known}")
    return [row for row in rows if row["dataset"] == dataset]


def accuracy_points() -> list[dict[str, str]]:
    """Kinetics-400 rows to plot over cost: the paper's own comparison, and the zoo's.

    Returns:
        Rows of ``reported_accuracy`` in its order: for each preset the first that
        reports it (the paper before PyTorchVideo's zoo), and of models that are not
        built here those of the paper's Table 2 and of that zoo that state a cost.
    """
    chosen, seen = [], set()
    for row in reported_accuracy():
        paper = row["source"].endswith("1812.03982v3 Table 2")
        zoo = "pytorchvideo" in row["source"]
        has_cost = row["gflops_per_view"] not in ("", "N/A")
        if row["preset"]:
            if row["preset"] not in seen:
                chosen.append(row)
            seen.add(row["preset"])
        elif (paper or zoo) and has_cost:
            chosen.append(row)
    return chosen


def ablations() -> list[dict[str, str]]:
    """The paper's Tables 5 and 6 beside an independent recount of the cost at 256."""
    return _rows("paper_ablations.csv")


def agrees_as_printed(value: float, printed: str) -> bool:
    """Whether ``value`` is ``printed`` within one unit of its last digit.

    Papers round or truncate: 106.511 is printed 106.

    >>> agrees_as_printed(106.511, "106"), agrees_as_printed(6.90, "6.4")
    (True, False)
    """
    decimals = len(printed.partition(".")[2])
    return abs(value - float(printed)) < 10**-decimals


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedCost:
    """A preset's cost as counted here, beside the figure that somebody reports.

    Attributes:
        gmacs: counted multiply-adds / 1e9 at ``crop`` pixels.
        gflops: the figure as printed in ``source``.
        why: the explanation where the two differ, else "".
    """

    preset: str
    crop: int
    gmacs: float
    gflops: str
    source: str
    why: str

    @property
    def agrees(self) -> bool:
        return agrees_as_printed(self.gmacs, self.gflops)


def reported_costs() -> list[ReportedCost]:
    """Counted against reported cost, for every preset that somebody reports."""
    costs = []
    for row in _rows("reported_costs.csv"):
        crop = int(row["crop"])
        gmacs = closed_form_macs(PRESETS[row["preset"]], crop) / 1e9
        costs.append(
            ReportedCost(
                preset=row["preset"],
                crop=crop,
                gmacs=gmacs,
                gflops=row["gflops"],
                source=row["source"],
                why=row["why"],
            )
        )
    return costs
