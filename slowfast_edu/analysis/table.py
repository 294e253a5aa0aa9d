"""The table of all presets that ``slowfast-edu flops`` prints."""

import textwrap

import torch

from slowfast_edu.analysis.closed_form import closed_form_macs
from slowfast_edu.analysis.flops import count_flops
from slowfast_edu.analysis.reported import ReportedCost, reported_costs
from slowfast_edu.analysis.shapes import count_parameters
from slowfast_edu.config import PRESETS
from slowfast_edu.models import build_model

CROPS = (224, 256)
HEADER = (
    "GMACs: 1e9 multiply-adds of convolutions, linear layers and products; one view, 400 "
    "classes"
)
NOTE = (
    "'reported' is the source's figure at the crop behind the @, beside our count there. "
    "'=' means equal within one unit of the printed figure's last digit. The paper calls "
    "this unit FLOPs; fvcore's total adds batch normalisation at 2 per element."
)


def _verdict(cost: ReportedCost) -> str:
    if cost.agrees:
        return "="
    return f"{100 * (cost.gmacs / float(cost.gflops) - 1):+.1f}%"


def cost_table(with_fvcore: bool = False) -> str:
    """Parameters and cost of every preset, beside the figures that others report.

    Args:
        with_fvcore: also run each model under fvcore at the reported crop, which takes
            about a minute in all; the rest takes about two seconds.

    Returns:
        Lines of text, 92 columns (100 with fvcore); below the table stands why a figure
        differs.
    """
    reported = {cost.preset: cost for cost in reported_costs()}
    columns = f"{'preset':31}{'params':>11}{'@224':>9}{'@256':>9}"
    columns += f"{'fvcore':>9}" if with_fvcore else ""
    lines = [HEADER, "", columns + f"  {'reported':>11}{'ours':>9}  differs"]
    for name, config in PRESETS.items():
        with torch.device("meta"):
            params = count_parameters(build_model(name))
        macs = [closed_form_macs(config, crop) / 1e9 for crop in CROPS]
        row = f"{name:31}{params:>11,}{macs[0]:9.3f}{macs[1]:9.3f}"
        cost = reported.get(name)
        if with_fvcore:
            count = count_flops(build_model(name), cost.crop if cost else 256)
            row += f"{count.total / 1e9:9.3f}"
        if cost:
            figure = f"{cost.gflops} @{cost.crop}"
            row += f"  {figure:>11}{cost.gmacs:9.3f}  {_verdict(cost)}"
        lines.append(row)
    lines += ["", *textwrap.wrap(NOTE, 92), "", "Where a figure differs, why:"]
    for cost in reported.values():
        if not cost.agrees:
            text = f"{cost.preset}: {cost.why} ({cost.source})"
            lines += textwrap.wrap(text, 92, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines)
