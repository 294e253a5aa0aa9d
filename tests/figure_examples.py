"""One figure of each function in ``slowfast_edu.viz`` that returns one, with all parts."""

from types import SimpleNamespace

import numpy as np
from helpers import SMALL, small_model
from torch import zeros

from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.data.figures import Spin
from slowfast_edu.training import Schedule
from slowfast_edu.viz import (
    architecture,
    charts,
    detection,
    evaluation,
    explain,
    filmstrip,
    frames,
    laterals,
    training,
)
from slowfast_edu.viz.dials import (
    cells,
    costs,
    detections,
    pathways,
    sampling,
    schedule,
    seeds,
    start,
    views,
)

PAPER = PRESETS["slowfast_4x16_r50"]
PICTURES = np.linspace(0, 255, 64).astype(np.uint8)[:, None, None, None] + np.zeros(
    (1, 16, 16, 3), dtype=np.uint8
)
POINTS = [
    charts.CostPoint(i, family, family, 10.0 * 2**i, 60 + 2 * i, built)
    for i, family in enumerate(charts.FAMILY_MARKERS)
    for built in (True, False)
]
RISING = [(cost, cost / 40, cost / 50, cost / 30) for cost in (1, 10, 30)]
BINS = SimpleNamespace(
    confidence=np.array([0.2, 0.6, 0.9]),
    accuracy=np.array([0.1, 0.7, 0.8]),
    count=np.array([5, 10, 20]),
)
SHARES = [[share, 10 - share] for share in range(11)]  # every colour of its map
COSTS = {"slow": 28.0, "fast": 7.0, "lateral": 4.0, "head": 3.0}
BOXES = [[0.1 * i, 0.1, 0.1 * i + 0.3, 0.8] for i in range(6)]  # as many as there are looks
CAMS = {"slow": np.ones((4, 4, 4)), "fast": np.ones((16, 4, 4))}
READS = {"a": np.kron(np.eye(4), [[1, 0, 0, 1]])}
CURVES = {name: [0.1, 0.3, i / 10] for i, name in enumerate("abcde")}  # five at most
RUNS = {
    name: [[{"epoch": e + 1, "val_top1": v} for e, v in enumerate(values)]]
    for name, values in CURVES.items()
}
LEDGER = [
    {"model": name, "ours_mean": "60", "ours_std": "2", "paper": "72", "metric": "top1"}
    for name in ("slow", "fast")
]
SCORES = np.array([[0.9, 0.2, 0.6], [0.4, 0.7, 0.1]])
SAID = [SimpleNamespace(boxes=np.array(BOXES[:2]), scores=SCORES)]
TRUE = [SimpleNamespace(boxes=np.array(BOXES[:2]), scores=np.array([[1, 0, 0], [1, 0, 1]]))]
SCHEDULE = Schedule(epochs=8, warmup_epochs=2)
PLANS = {
    name: schedule.Planned(schedule=SCHEDULE, batch=batch, clips=320)
    for name, batch in (("first", 64), ("yours", 128))
}

EXAMPLES = {
    "architecture.draw_architecture": lambda: architecture.draw_architecture(PAPER),
    "charts.cost_accuracy": lambda: charts.cost_accuracy(POINTS, "GFLOPs"),
    "charts.cost_bars": lambda: charts.cost_bars({"a": COSTS, "b": COSTS}),
    "detection.boxes_on_frames": lambda: detection.boxes_on_frames(
        PICTURES[32:33], [np.array(BOXES)], [list("abcdef")]
    ),
    "cells.eye_cells_figure": lambda: cells.eye_cells_figure(PICTURES),
    "costs.recosted_figure": lambda: costs.recosted_figure(
        [costs.Tested(point, 30) for point in POINTS[::2]], 3, 1
    ),
    "detections.threshold_figure": lambda: detections.threshold_figure(
        PICTURES[:1], SAID, TRUE, ["run", "walk", "clap"]
    ),
    "pathways.pathways_figure": lambda: pathways.pathways_figure(PAPER, ["fast"], ["res3"]),
    "schedule.rate_and_way": lambda: schedule.rate_and_way(PLANS),
    "seeds.seeds_figure": lambda: seeds.seeds_figure(
        {"a": [91.0, 92.0, 93.5], "b": [95.0, 94.0, 96.0]}, ("a", "b"), 5
    ),
    "start.clip_answer": lambda: start.clip_answer(
        PICTURES[:16], {"walk": 0.7, "run": 0.2, "jump": 0.1}
    ),
    "views.views_figure": lambda: views.views_figure(
        views.Views(clip=PAPER.clip, video_frames=300, clips=5, crops=3, picture=(256, 340))
    ),
    "evaluation.accuracy_against_cost": lambda: evaluation.accuracy_against_cost(
        dict.fromkeys("abc", RISING)
    ),
    "evaluation.clips_over_video": lambda: evaluation.clips_over_video(
        PAPER.clip, 300, (1, 10)
    ),
    "evaluation.confusion_chart": lambda: evaluation.confusion_chart(
        np.pad(SHARES, ((0, 0), (0, 9))), list("abcdefghijk")
    ),
    "evaluation.reliability_chart": lambda: evaluation.reliability_chart(
        dict.fromkeys("abc", BINS)
    ),
    "evaluation.time_bars": lambda: evaluation.time_bars(
        {"1 clip": {"reading": 1.0, "network": 2.0, "rest": 4.0}}
    ),
    "explain.cam_strips": lambda: explain.cam_strips(
        PICTURES[:16], CAMS, ClipConfig(T=4, tau=16, alpha=4)
    ),
    "explain.lateral_share": lambda: explain.lateral_share({"pool1": np.array([0.1, 0.9])}),
    "explain.stem_filters": lambda: explain.stem_filters(small_model(), "fast"),
    "sampling.sampling_figure": lambda: sampling.sampling_figure(PICTURES, PAPER),
    "filmstrip.filmstrip": lambda: filmstrip.filmstrip(
        zeros(1, 3, 16, 32, 32), SMALL, range(16), 30
    ),
    "frames.strips": lambda: frames.strips(
        {"a": PICTURES[:4], "b": PICTURES[:4]}, range(4)
    ),
    "frames.task_strips": lambda: frames.task_strips(
        Spin(), PAPER.clip, columns=4, size=24
    ),
    "laterals.lateral_reads": lambda: laterals.lateral_reads(READS),
    "training.learning_curves": lambda: training.learning_curves(RUNS, 0.1),
    "training.ledger_chart": lambda: training.ledger_chart(
        LEDGER, {"slow": [58, 62], "fast": [59, 61]}
    ),
    "training.rate_curves": lambda: training.rate_curves(CURVES),
}
