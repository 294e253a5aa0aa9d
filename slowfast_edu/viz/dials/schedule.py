"""A widget: turn rate, warm-up, epochs and GPUs, and see the schedule of a training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from slowfast_edu.checks import check_count
from slowfast_edu.viz.dials.dialled import Dialled, dialled
from slowfast_edu.viz.style import BLACK, BLUE, GREY, new_figure

CLIPS_A_GPU = 8  # as PySlowFast and the paper: 64 on 8 GPUs, 1024 on 128
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
GPUS = (1, 2, 4, 8, 16, 32, 64, 128)
EPOCHS = (5, 20, 50, 100, 150, 196, 256)
POINTS = 401
FIRST = {"epochs": 196, "warmup_epochs": 34, "base_rate": 0.1, "gpus": 8, "linear": True}


class RatesOfEpochs(Protocol):
    """What is asked of a schedule: ``training.Schedule`` has it."""

    epochs: int
    warmup_epochs: float
    base_batch: int

    def rate(self, epoch: float, batch: int) -> float:
        """The learning rate when so many epochs are done, at ``batch`` clips a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A schedule, and the batch that it is for.

    Attributes:
        schedule: learning rate over epochs.
        batch: clips a step.
        clips: in the training set.
        linear: scale the rate with the batch; or else keep that of ``base_batch``.
    """

    schedule: RatesOfEpochs
    batch: int
    clips: int
    linear: bool = True

    def __post_init__(self):
        check_count("batch", self.batch)
        check_count("clips", self.clips, self.batch)

    @property
    def steps(self) -> int:
        """Iterations an epoch; an incomplete batch at its end is left out."""
        return self.clips // self.batch

    def rate(self, epoch: float) -> float:
        """The learning rate when so many epochs are done."""
        batch = self.batch if self.linear else self.schedule.base_batch
        return self.schedule.rate(epoch, batch)

    @property
    def way(self) -> float:
        """All steps of the training together: the sum of their rates."""
        when = (np.arange(POINTS) + 0.5) / POINTS * self.schedule.epochs
        mean = np.mean([self.rate(epoch) for epoch in when])
        return float(mean) * self.steps * self.schedule.epochs


def rate_and_way(plans: Mapping[str, Planned]) -> Figure:
    """Learning rates over epochs, and beside them the way that an epoch goes.

    The way is rate x iterations an epoch: what linear scaling keeps (Goyal et al. 2017).

    Args:
        plans: {name: plan}; one or two, the first drawn solid and thick.

    Returns:
        The figure.
    """
    figure = new_figure(10, 3.4)
    axes = figure.subplots(1, 2)
    looks = ((BLUE, "-", 3.0), (BLACK, "--", 1.5))
    for (name, plan), (color, style, width) in zip(plans.items(), looks, strict=False):
        when = np.linspace(0, plan.schedule.epochs, POINTS)
        rates = np.array([plan.rate(epoch) for epoch in when])
        look = {"color": color, "linestyle": style, "linewidth": width, "label": name}
        axes[0].plot(when, rates, **look)
        axes[1].plot(when, rates * plan.steps, **look)
        ends = plan.schedule.warmup_epochs
        if color == BLUE and ends:
            axes[0].axvline(ends, color=GREY, linestyle=":", label="warm-up ends")
    titles = ("learning rate of a step", "way of an epoch: rate x iterations")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("epoch")
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, loc="upper right")
    return figure


def _sentence(plan: Planned, first: Planned) -> str:
    """The picture in words, for who cannot see it."""
    warmup, epochs = plan.schedule.warmup_epochs, plan.schedule.epochs
    after = (
        f"{plan.rate(warmup):.3g} after {warmup:g} epochs of warm-up, " if warmup else ""
    )
    scaled = "scaled with them" if plan.linear else "not scaled"
    return (
        f"{plan.batch:,} clips a step, the rate {scaled}: {plan.steps:,} iterations an "
        f"epoch, {plan.steps * epochs:,} in all. Rate {plan.rate(0):.3g} at the "
        f"start, {after}{plan.rate(epochs - 1):.3g} when the last epoch begins. All steps "
        f"together go {plan.way / first.way:.2f} times as far as where the dials began."
    )


def schedule_explorer(
    schedule: Callable[..., RatesOfEpochs], clips: int = 240_000
) -> Dialled:
    """Dials for a training's rate, warm-up, length and batch over ``rate_and_way``.

    They begin with PySlowFast's setting, which stays as a dashed line.

    Args:
        schedule: ``training.Schedule``, or what takes the same epochs, warmup_epochs,
            base_rate and warmup_rate; a ValueError refuses them.
        clips: in the training set; Kinetics-400 has about 240,000.

    Raises:
        ValueError: fewer clips than one step of 128 GPUs takes.
    """
    check_count("clips", clips, CLIPS_A_GPU * GPUS[-1])

    def planned(
        epochs: int, warmup_epochs: int, base_rate: float, gpus: int, linear: bool
    ) -> Planned:
        rates = {"base_rate": base_rate, "warmup_rate": base_rate / 10}
        made = schedule(epochs=epochs, warmup_epochs=warmup_epochs, **rates)
        return Planned(schedule=made, batch=CLIPS_A_GPU * gpus, clips=clips, linear=linear)

    first = planned(**FIRST)

    def draw(**dialled_to) -> tuple[Figure, str]:
        plan = planned(**dialled_to)
        figure = rate_and_way({"your dials": plan, "where they began": first})
        return figure, _sentence(plan, first)

    told = "dials for epochs, warm-up, rate, GPUs and linear scaling, and the schedule"
    return dialled(_dials(), draw, told)


def _dials() -> dict[str, widgets.Widget]:
    """One for each entry of ``FIRST``, and set to it."""
    slider = widgets.SelectionSlider
    return {
        "epochs": slider(options=EPOCHS, value=FIRST["epochs"], description="epochs"),
        "warmup_epochs": widgets.IntSlider(
            value=FIRST["warmup_epochs"], min=0, max=100, step=2, description="warm-up"
        ),
        "base_rate": slider(
            options=RATES, value=FIRST["base_rate"], description="rate at 64"
        ),
        "gpus": slider(options=GPUS, value=FIRST["gpus"], description="GPUs, 8 each"),
        "linear": widgets.Checkbox(value=FIRST["linear"], description="linear rule"),
    }
