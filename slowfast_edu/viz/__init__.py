"""Figures for notebooks: every function returns a figure, ``show`` adds its caption."""

from slowfast_edu.viz.architecture import draw_architecture
from slowfast_edu.viz.charts import cost_accuracy, cost_bars
from slowfast_edu.viz.detection import boxes_on_frames
from slowfast_edu.viz.evaluation import (
    accuracy_against_cost,
    clips_over_video,
    confusion_chart,
    reliability_chart,
    time_bars,
)
from slowfast_edu.viz.explain import cam_strips, lateral_share, stem_filters
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
    "accuracy_against_cost",
    "boxes_on_frames",
    "cam_strips",
    "clips_over_video",
    "confusion_chart",
    "cost_accuracy",
    "cost_bars",
    "draw_architecture",
    "lateral_reads",
    "lateral_share",
    "learning_curves",
    "ledger_chart",
    "mosaic",
    "rate_curves",
    "reliability_chart",
    "sampling_explorer",
    "sampling_figure",
    "show",
    "stem_filters",
    "strips",
    "task_strips",
    "time_bars",
]
