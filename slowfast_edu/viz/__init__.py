"""Figures for notebooks: every function returns a figure, ``show`` adds its caption."""

from slowfast_edu.viz.architecture import architecture_shapes, draw_architecture
from slowfast_edu.viz.charts import cost_accuracy, cost_bars
from slowfast_edu.viz.detection import boxes_on_frames
from slowfast_edu.viz.dials.cells import eye_cells_explorer, eye_cells_figure
from slowfast_edu.viz.dials.costs import recosted_explorer, recosted_figure
from slowfast_edu.viz.dials.detections import (
    count_statements,
    threshold_explorer,
    threshold_figure,
)
from slowfast_edu.viz.dials.laterals import lateral_explorer
from slowfast_edu.viz.dials.pathways import pathways_explorer, pathways_figure
from slowfast_edu.viz.dials.sampling import sampling_explorer, sampling_figure
from slowfast_edu.viz.dials.schedule import rate_and_way, schedule_explorer
from slowfast_edu.viz.dials.seeds import seed_explorer, seeds_figure
from slowfast_edu.viz.dials.start import clip_answer, clip_explorer
from slowfast_edu.viz.dials.views import view_sampler, views_figure
from slowfast_edu.viz.evaluation import (
    accuracy_against_cost,
    clips_over_video,
    confusion_chart,
    reliability_chart,
    time_bars,
)
from slowfast_edu.viz.explain import cam_strips, lateral_share, stem_filters
from slowfast_edu.viz.film import film, save_film
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
    "architecture_shapes",
    "boxes_on_frames",
    "cam_strips",
    "clip_answer",
    "clip_explorer",
    "clips_over_video",
    "confusion_chart",
    "cost_accuracy",
    "cost_bars",
    "count_statements",
    "draw_architecture",
    "eye_cells_explorer",
    "eye_cells_figure",
    "film",
    "lateral_explorer",
    "lateral_reads",
    "lateral_share",
    "learning_curves",
    "ledger_chart",
    "mosaic",
    "pathways_explorer",
    "pathways_figure",
    "rate_and_way",
    "rate_curves",
    "recosted_explorer",
    "recosted_figure",
    "reliability_chart",
    "sampling_explorer",
    "sampling_figure",
    "save_film",
    "schedule_explorer",
    "seed_explorer",
    "seeds_figure",
    "show",
    "stem_filters",
    "strips",
    "task_strips",
    "threshold_explorer",
    "threshold_figure",
    "time_bars",
    "view_sampler",
    "views_figure",
]
