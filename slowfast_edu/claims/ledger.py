"""The ledger: which claim is looked at with which runs, and what was measured."""

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import NamedTuple

COLUMNS = (
    "claim",
    "kind",
    "task",
    "model",
    "metric",
    "paper",
    "ours_mean",
    "ours_std",
    "seeds",
    "epochs",
    "cpu_seconds",
    "machine",
    "command",
)


class Claim(NamedTuple):
    """One question to the runs.

    Attributes:
        claim: in a few words.
        kind: "mechanism" (a task of ours built so that the answer is known beforehand) or
            "trend" (the paper measured it, or its recipe prescribes it).
        task: of Moving Figures.
        models: {name of a run: what the paper has, top-1 or mAP in percent, or ""}.
        metric: "top1", or "top1_views" of several clips a video; of detectors
            "frame_map" on true boxes, or "map_shifted" on boxes that are a little off.
    """

    claim: str
    kind: str
    task: str
    models: Mapping[str, str]
    metric: str = "top1"


def _of_ours(*models: str) -> dict[str, str]:
    return dict.fromkeys(models, "")


# The paper's figures: Table 5 (SlowFast 4x16 R50) and Table 2, Kinetics-400, 30 views;
# Table 9, AVA v2.1, after Kinetics-400 and on a detector's boxes.
CLAIMS = (
    Claim(
        "only Fast sees the turn", "mechanism", "spin", _of_ours("slow", "fast", "slowfast")
    ),
    Claim(
        "a grey Fast is blind to hue",
        "mechanism",
        "hue",
        _of_ours("slow", "fast_gray", "fast_rgb", "slowfast_gray"),
    ),
    Claim(
        "what and where must meet before the end",
        "mechanism",
        "binding",
        _of_ours(
            "slow",
            "fast_gray",
            "slowfast_no_lateral",
            "slowfast_t_conv",
            "slowfast_t_sample",
            "slowfast_ttoc_sum",
            "slowfast_ttoc_concat",
        ),
    ),
    Claim(
        "two pathways beat one (Table 5a)",
        "trend",
        "actions",
        {"slow": "72.6", "fast": "51.7", "slowfast": "75.6"},
    ),
    Claim(
        "fusion (Table 5a)",
        "trend",
        "actions",
        {
            "slowfast_no_lateral": "73.5",
            "slowfast_ttoc_sum": "74.5",
            "slowfast_ttoc_concat": "74.3",
            "slowfast_t_sample": "75.4",
            "slowfast": "75.6",
        },
    ),
    Claim(
        "beta (Table 5b)",
        "trend",
        "actions",
        {
            "slowfast_beta_1_2": "",
            "slowfast": "75.6",
            "slowfast_beta_1_8": "75.6",
            "slowfast_beta_1_16": "75.1",
        },
    ),
    Claim(
        "Fast input (Table 5c)",
        "trend",
        "actions",
        {
            "slowfast": "75.6",
            "slowfast_gray": "75.5",
            "slowfast_half": "74.7",
            "slowfast_time_difference": "74.5",
        },
    ),
    Claim(
        "alpha",
        "trend",
        "actions",
        _of_ours("slowfast_alpha_2", "slowfast", "slowfast_alpha_8"),
    ),
    Claim(
        "T x tau (Figure 2)",
        "trend",
        "actions",
        {
            "slow_2x32": "",
            "slow": "72.6",
            "slow_8x8": "",
            "slowfast_2x32": "",
            "slowfast": "75.6",
            "slowfast_8x8": "77.0",
        },
    ),
    Claim("warm-up", "trend", "actions", _of_ours("slowfast", "slowfast_no_warmup")),
    Claim("dropout", "trend", "actions", _of_ours("slowfast", "slowfast_dropout")),
    Claim(
        "4 clips of a video",
        "trend",
        "actions",
        _of_ours("slow", "fast", "slowfast"),
        metric="top1_views",
    ),
    Claim(
        "who does what where (Table 9)",
        "trend",
        "crowd",
        {"slow": "19.0", "slowfast": "24.2"},
        metric="frame_map",
    ),
    Claim(
        "the same on boxes a little off",
        "trend",
        "crowd",
        _of_ours("slow", "slowfast"),
        metric="map_shifted",
    ),
)


def ledger_rows(records: Iterable[Mapping], command: str) -> list[dict[str, str]]:
    """The ledger's rows, out of single runs.

    Args:
        records: of ``kept_runs``, or as ``running`` writes them.
        command: what they were made with.

    Returns:
        One dict a row, ``COLUMNS`` in order, all text; accuracies in percent. A model
        without runs has no row. The standard deviation is the sample's, "" of one seed.
    """
    by_model: dict[tuple, list[Mapping]] = {}
    for record in records:
        by_model.setdefault((record["task"], record["model"]), []).append(record)
    rows = []
    for claim in CLAIMS:
        for model, paper in claim.models.items():
            if found := by_model.get((claim.task, model)):
                rows.append(_row(claim, model, paper, found, command))
    return rows


def _row(claim: Claim, model: str, paper: str, runs: list, command: str) -> dict[str, str]:
    values = [100 * run[claim.metric] for run in runs]
    return {
        "claim": claim.claim,
        "kind": claim.kind,
        "task": claim.task,
        "model": model,
        "metric": claim.metric,
        "paper": paper,
        "ours_mean": f"{statistics.fmean(values):.2f}",
        "ours_std": f"{statistics.stdev(values):.2f}" if len(values) > 1 else "",
        "seeds": str(len(values)),
        "epochs": str(runs[0]["epochs"]),
        "cpu_seconds": f"{statistics.fmean(run['cpu_seconds'] for run in runs):.0f}",
        "machine": runs[0]["machine"],
        "command": command,
    }


def as_csv(rows: list[dict[str, str]]) -> str:
    """The ledger's rows as the text of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_text(rows: list[dict[str, str]]) -> str:
    """The ledger's rows as a table to print: what was measured, beside the paper."""
    lines = [
        f"{'claim':<40}{'model':<26}{'metric':<12}{'paper':>6}{'ours':>7}{'std':>6}"
        f"{'seeds':>6}{'CPU s':>7}"
    ]
    for row in rows:
        lines.append(
            f"{row['claim']:<40}{row['model']:<26}{row['metric']:<12}{row['paper']:>6}"
            f"{row['ours_mean']:>7}{row['ours_std']:>6}{row['seeds']:>6}"
            f"{row['cpu_seconds']:>7}"
        )
    return "\n".join(lines)


def read_ledger() -> list[dict[str, str]]:
    """The ledger that is kept, ``results/claims.csv``: one dict a row, all text."""
    text = (files("slowfast_edu.results") / "claims.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def kept_runs() -> list[dict]:
    """The single runs behind the ledger, ``results/claims_runs.jsonl``.

    Returns:
        One dict a run: task, model, seed, config and recipe (as text), epochs, curve (a
        dict an epoch), top1 on the test clips, top1_views where measured (of detectors
        frame_map and map_shifted in their place), cpu_seconds, machine.
    """
    path = files("slowfast_edu.results") / "claims_runs.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
