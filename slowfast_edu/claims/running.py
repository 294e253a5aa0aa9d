"""Train the ledger's runs, several at once, each kept in a file of its own."""

import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from slowfast_edu.claims.runs import Data, KeyframeRun, Run
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.batches import Preloaded, collate_keyframes
from slowfast_edu.data.figures import FigureKeyframes, FigureViews, MovingFigures
from slowfast_edu.files import write_whole
from slowfast_edu.models import Detector, build_model
from slowfast_edu.training import (
    Execution,
    evaluate,
    evaluation_loader,
    train_slowfast,
    training_loader,
)
from slowfast_edu.training.detection import detect_keyframes, shift_sides
from slowfast_edu.training.detection_metrics import frame_map
from slowfast_edu.training.machine import machine
from slowfast_edu.training.saving import check_folder

CURVE = ("epoch", "train_loss", "train_top1", "val_top1")
SHIFT = 0.1  # of a box's sides, in widths and heights: IoU with the true one about 0.75


def _clips(data: Data, clip: ClipConfig, split: str) -> MovingFigures:
    count, seed = getattr(data, split), data.test_seed if split == "test" else 0
    return MovingFigures(data.task, count, clip, size=data.size, split=split, seed=seed)


@cache
def _rendered(data: Data, clip: ClipConfig, split: str) -> Dataset:
    """A split in memory; runs with the same clips share it."""
    return Preloaded(_clips(data, clip, split))


@cache
def _rendered_views(data: Data, clip: ClipConfig) -> Dataset:
    return Preloaded(FigureViews(_clips(data, clip, "test"), data.views))


@cache
def _rendered_keyframes(data: Data, clip: ClipConfig, split: str) -> Dataset:
    return Preloaded(FigureKeyframes(_clips(data, clip, split)))


def execute(run: Run, seed: int) -> dict:
    """Train and test once.

    Args:
        run: what.
        seed: of weights and order; the clips are the same for all seeds.

    Returns:
        A record as ``kept_runs`` gives them. ``cpu_seconds`` are those of training and
        validation on one thread, without rendering.
    """
    torch.set_num_threads(1)
    train = _train_detector if isinstance(run, KeyframeRun) else _train_classifier
    history, seconds, found = train(run, seed)
    return {
        "task": run.task,
        "model": run.name,
        "seed": seed,
        "config": repr(run.model),
        "data": repr(run.data),
        "recipe": repr(run.recipe),
        "epochs": run.recipe.schedule.epochs,
        "curve": [{name: row[name] for name in CURVE if name in row} for row in history],
        **found,
        "cpu_seconds": round(seconds, 1),
        "machine": machine(),
    }


def _train_classifier(run: Run, seed: int) -> tuple[list[dict], float, dict]:
    """(history, seconds, accuracies on the test clips)."""
    data, clip = run.data, run.model.clip
    train, val, test = (_rendered(data, clip, split) for split in ("train", "val", "test"))
    torch.manual_seed(seed)
    model = build_model(run.model, num_classes=len(data.task.classes))
    loaders = _loader(run, train, seed), evaluation_loader(val, 60)
    history, seconds = _timed(run, model, *loaders, seed)
    given = evaluate(model, evaluation_loader(test, 100), device="cpu").summary()
    found = {"top1": given["top1"]}
    if data.views > 1:
        views = evaluation_loader(_rendered_views(data, clip), 25)
        found["top1_views"] = evaluate(model, views, device="cpu").summary()["top1"]
    return history, seconds, found


def _train_detector(run: Run, seed: int) -> tuple[list[dict], float, dict]:
    """(history, seconds, mAP on the boxes of the test clips); without validation."""
    data, clip = run.data, run.model.clip
    train, test = (_rendered_keyframes(data, clip, split) for split in ("train", "test"))
    torch.manual_seed(seed)
    model = Detector(run.model, num_classes=len(data.task.classes))
    loader = _loader(run, train, seed, collate_fn=collate_keyframes)
    history, seconds = _timed(run, model, loader, None, seed)
    rng = np.random.default_rng(seed)
    ways = {"frame_map": None, "map_shifted": partial(shift_sides, share=SHIFT, rng=rng)}
    found = {}
    for name, proposals in ways.items():
        asked = DataLoader(test, 50, collate_fn=collate_keyframes)
        seen = detect_keyframes(model, asked, proposals=proposals, device="cpu")
        found[name] = frame_map(seen.detections, seen.truths).mean
    return history, seconds, found


def _loader(run: Run, train: Dataset, seed: int, **settings) -> DataLoader:
    clips, batch = run.recipe.bn_clips, run.recipe.schedule.base_batch
    return training_loader(train, clips, batch, seed=seed, **settings)


def _timed(run: Run, model, train, val, seed: int) -> tuple[list[dict], float]:
    """(history, CPU seconds) of a training."""
    started = time.process_time()
    history = train_slowfast(
        model,
        train,
        run.recipe.schedule.epochs,
        recipe=run.recipe,
        execution=Execution(device="cpu", seed=seed, progress=False),
        val_loader=val,
    )
    return history, time.process_time() - started


def _file(folder: Path, run: Run, seed: int) -> Path:
    return folder / f"{run.task}-{run.name}-{seed}.json"


def _kept(folder: Path, run: Run, seed: int) -> dict | None:
    """The record of a run that was made with these settings on this kind of machine."""
    try:
        record = json.loads(_file(folder, run, seed).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there, or damaged
        return None
    made_with = {"config": run.model, "data": run.data, "recipe": run.recipe}
    same = all(record[name] == repr(value) for name, value in made_with.items())
    return record if same and record["machine"] == machine() else None


def _work(run: Run, seed: int, folder: Path) -> None:
    record = execute(run, seed)
    write_whole(_file(folder, run, seed), json.dumps(record).encode())


def run_all(
    runs: Sequence[Run], seeds: range, folder: Path, processes: int | None = None
) -> list[dict]:
    """Train what is not in the folder yet, and return the records of all.

    Args:
        runs: what to train.
        seeds: of each.
        folder: where a file a run is kept; the same call again goes on.
        processes: how many at once; as many as there are cores by default.

    Raises:
        OSError: the folder cannot be written to.
    """
    check_folder(folder)
    jobs = [(run, seed) for seed in seeds for run in runs]
    missing = [job for job in jobs if _kept(folder, *job) is None]
    context = multiprocessing.get_context("spawn")
    with (
        tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="run") as bar,
        ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context) as pool,
    ):
        waiting = [pool.submit(_work, *job, folder) for job in missing]
        try:
            for done in as_completed(waiting):
                done.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [_kept(folder, *job) for job in jobs]
