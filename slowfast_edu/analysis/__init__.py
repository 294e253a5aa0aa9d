"""Shapes, costs and the figures that others report."""

from slowfast_edu.analysis.closed_form import (
    closed_form_macs,
    closed_form_pathways,
    closed_form_stages,
)
from slowfast_edu.analysis.flops import Cost, FlopCount, count_flops
from slowfast_edu.analysis.reported import (
    ablations,
    accuracy_points,
    reported_accuracy,
    reported_costs,
)
from slowfast_edu.analysis.shapes import count_parameters, stage_shapes, summarize

__all__ = [
    "Cost",
    "FlopCount",
    "ablations",
    "accuracy_points",
    "closed_form_macs",
    "closed_form_pathways",
    "closed_form_stages",
    "count_flops",
    "count_parameters",
    "reported_accuracy",
    "reported_costs",
    "stage_shapes",
    "summarize",
]
