"""Which small trainings the ledger is made of: a model, a task and a recipe each."""

from dataclasses import dataclass, replace
from types import MappingProxyType

from slowfast_edu.config import PRESETS, ClipConfig, SlowFastConfig
from slowfast_edu.data.figures import Actions, Binding, Crowd, Hue, Spin
from slowfast_edu.data.figures.tasks import Task
from slowfast_edu.training import Recipe, Schedule

BASE = PRESETS["slowfast_tiny"]  # T=4, tau=16, alpha=4, R14, width 12, beta 1/4
BATCH = 16
# PySlowFast's recipe for a small batch and few clips: the rate found on validation clips.
RECIPE = Recipe(
    schedule=Schedule(
        epochs=8, warmup_epochs=1, base_rate=0.05, base_batch=BATCH, warmup_rate=0.005
    ),
    zero_last_bn=False,
    dropout=0.0,
    bn_clips=BATCH,
    precise_bn_batches=10,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """What is rendered for a run.

    Attributes:
        task: of Moving Figures.
        size: height and width in pixels.
        train, val, test: clips. The test clips are looked at once, at the end.
        test_seed: of the test clips; a new one if they were looked at, and then a setting
            was changed.
        views: clips of each test video whose softmax is averaged, a second result.
    """

    task: Task
    size: int
    train: int
    val: int = 240
    test: int = 2000
    test_seed: int = 0
    views: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training, but for its seed."""

    name: str
    data: Data
    model: SlowFastConfig
    recipe: Recipe

    @property
    def task(self) -> str:
        """The task's name in the ledger: "spin"."""
        return type(self.data.task).__name__.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyframeRun(Run):
    """One training of a detector, on the boxes of a task that has some."""


SPIN = Data(task=Spin(), size=48, train=960, test_seed=1)
HUE = Data(task=Hue(), size=48, train=960)
BINDING = Data(task=Binding(), size=48, train=640)
ACTIONS = Data(task=Actions(), size=32, train=1500)
ACTIONS_VIEWS = replace(ACTIONS, views=4)
CROWD = Data(task=Crowd(), size=48, train=1500)


def _run(name: str, data: Data, recipe: Recipe = RECIPE, **changes) -> Run:
    return Run(name=name, data=data, model=replace(BASE, **changes), recipe=recipe)


def _clip(frames: int, tau: int, alpha: int = 4) -> ClipConfig:
    return ClipConfig(T=frames, tau=tau, alpha=alpha)


def _mechanisms() -> list[Run]:
    """Tasks built so that only one pathway, or only both together, can do them."""
    # At alpha 4 a seed in three mixed up two turns to the end, with twice the steps too.
    longer = replace(RECIPE, schedule=RECIPE.schedule.lasting(10))
    finer = {"clip": _clip(2, 16, alpha=8)}
    gray = {"fast_input": "gray"}
    fusions = ("t_conv", "t_sample", "ttoc_sum", "ttoc_concat")
    return [
        _run("slow", SPIN, longer, pathways="slow", **finer),
        _run("fast", SPIN, longer, pathways="fast", **finer),
        _run("slowfast", SPIN, longer, **finer),
        _run("slow", HUE, pathways="slow"),
        _run("fast_gray", HUE, pathways="fast", **gray),
        _run("fast_rgb", HUE, pathways="fast"),
        _run("slowfast_gray", HUE, **gray),
        _run("slow", BINDING, pathways="slow"),
        _run("fast_gray", BINDING, pathways="fast", **gray),
        _run("slowfast_no_lateral", BINDING, fusion="none", **gray),
        *(_run(f"slowfast_{kind}", BINDING, fusion=kind, **gray) for kind in fusions),
    ]


def _trends() -> list[Run]:
    """What the paper varied, on ten actions."""
    no_warmup = replace(RECIPE, schedule=replace(RECIPE.schedule, warmup_epochs=0))
    return [
        _run("slow", ACTIONS_VIEWS, pathways="slow"),
        _run("fast", ACTIONS_VIEWS, pathways="fast"),
        _run("slowfast", ACTIONS_VIEWS),
        _run("slowfast_no_lateral", ACTIONS, fusion="none"),
        _run("slowfast_t_sample", ACTIONS, fusion="t_sample"),
        _run("slowfast_ttoc_sum", ACTIONS, fusion="ttoc_sum"),
        _run("slowfast_ttoc_concat", ACTIONS, fusion="ttoc_concat"),
        _run("slowfast_beta_1_2", ACTIONS, beta=1 / 2),
        _run("slowfast_beta_1_8", ACTIONS, beta=1 / 8),
        _run("slowfast_beta_1_16", ACTIONS, beta=1 / 16),
        _run("slowfast_gray", ACTIONS, fast_input="gray"),
        _run("slowfast_half", ACTIONS, fast_input="half"),
        _run("slowfast_time_difference", ACTIONS, fast_input="time_difference"),
        _run("slowfast_alpha_2", ACTIONS, clip=_clip(4, 16, alpha=2)),
        _run("slowfast_alpha_8", ACTIONS, clip=_clip(4, 16, alpha=8)),
        _run("slow_2x32", ACTIONS, clip=_clip(2, 32), pathways="slow"),
        _run("slowfast_2x32", ACTIONS, clip=_clip(2, 32)),
        _run("slow_8x8", ACTIONS, clip=_clip(8, 8), pathways="slow"),
        _run("slowfast_8x8", ACTIONS, clip=_clip(8, 8)),
        _run("slowfast_no_warmup", ACTIONS, no_warmup),
        _run("slowfast_dropout", ACTIONS, replace(RECIPE, dropout=0.5)),
    ]


def _detectors() -> list[Run]:
    """Who does what where, with true boxes in training."""
    # A mean over ten sigmoids has a tenth of cross-entropy's gradient.
    schedule = replace(RECIPE.schedule, base_rate=0.4, warmup_rate=0.04)
    recipe = replace(RECIPE, schedule=schedule)
    return [
        KeyframeRun(
            name=name, data=CROWD, model=replace(BASE, pathways=name), recipe=recipe
        )
        for name in ("slow", "slowfast")
    ]


RUNS: MappingProxyType[tuple[str, str], Run] = MappingProxyType(
    {(run.task, run.name): run for run in _mechanisms() + _trends() + _detectors()}
)
"""Every run by (task, model), as the ledger names them."""
