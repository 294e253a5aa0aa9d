"""What the kept runs of a model measured, and in which settings two runs differ."""

from dataclasses import fields, is_dataclass
from typing import Any

from slowfast_edu.claims.ledger import kept_runs
from slowfast_edu.claims.runs import Run

NOT_SETTINGS = ("name", "data.views")  # views only add a second result of the same weights


def results(task: str, model: str, metric: str = "top1") -> list[float]:
    """What the kept runs of one model measured: percent, a number a seed.

    Raises:
        ValueError: no kept run has this task, model and metric.

    >>> [round(points, 2) for points in results("actions", "slow")]
    [93.85, 93.3, 93.3]
    """
    runs = [r for r in kept_runs() if r["task"] == task and r["model"] == model]
    found = [100 * run[metric] for run in runs if metric in run]
    if not found:
        raise ValueError(
            f"task={task!r}, model={model!r}, metric={metric!r}: no kept run has these; "
            "slowfast_edu.claims.CLAIMS lists which go together"
        )
    return found


def settings(run: Run) -> dict[str, Any]:
    """All that decides what is learnt, but for the seed: {"model.beta": 0.25, ...}."""
    return {name: value for name, value in _flat(run, "") if name not in NOT_SETTINGS}


def _flat(thing: Any, place: str):
    """(dotted name, value) of every field; a task is told by its class too."""
    for field in fields(thing):
        value, name = getattr(thing, field.name), f"{place}{field.name}"
        if is_dataclass(value):
            if name == "data.task":
                yield name, type(value).__name__
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def differing_settings(one: Run, other: Run) -> dict[str, tuple]:
    """In what two runs differ: {setting: (of the one, of the other)}.

    A fair ablation has one entry. What only one of the two has is None for the other.

    >>> from slowfast_edu.claims import RUNS
    >>> differing_settings(RUNS["actions", "slowfast"], RUNS["actions", "slowfast_gray"])
    {'model.fast_input': ('rgb', 'gray')}
    """
    mine, theirs = settings(one), settings(other)
    names = [*mine, *(name for name in theirs if name not in mine)]
    pairs = {name: (mine.get(name), theirs.get(name)) for name in names}
    shared = mine.keys() & theirs.keys()
    return {n: pair for n, pair in pairs.items() if n not in shared or pair[0] != pair[1]}
