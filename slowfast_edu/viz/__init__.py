"""Figures for notebooks: every function returns a figure, ``show`` adds its caption."""

from slowfast_edu.viz.architecture import draw_architecture
from slowfast_edu.viz.charts import cost_accuracy, cost_bars
from slowfast_edu.viz.explorer import sampling_explorer, sampling_figure
from slowfast_edu.viz.frames import mosaic, strips, task_strips
from slowfast_edu.viz.laterals import lateral_reads
from slowfast_edu.viz.style import show
from slowfast_edu.viz.training import (
    LiveCurves,
    learning_curves,
    ledger_chart,
    rate_curves,
)

__all__ = [
    "LiveCurves",
    "cost_accuracy",
    "cost_bars",
    "draw_architecture",
    "lateral_reads",
    "learning_curves",
    "ledger_chart",
    "mosaic",
    "rate_curves",
    "sampling_explorer",
    "sampling_figure",
    "show",
    "strips",
    "task_strips",
]
