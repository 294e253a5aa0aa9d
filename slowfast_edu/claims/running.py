"""Train the ledger's runs, several at once, each kept in a file of its own."""

import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from slowfast_edu.claims.runs import Data, Run
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.batches import Preloaded
from slowfast_edu.data.figures import FigureViews, MovingFigures
from slowfast_edu.files import write_whole
from slowfast_edu.models import build_model
from slowfast_edu.training import (
    Execution,
    evaluate,
    evaluation_loader,
    train_slowfast,
    training_loader,
)
from slowfast_edu.training.machine import machine
from slowfast_edu.training.saving import check_folder

CURVE = ("epoch", "train_loss", "train_top1", "val_top1")


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


def execute(run: Run, seed: int) -> dict:
    """Train and test once.

    Args:
        run: what.
        seed: of weights and order; the clips are the same for all seeds.

    Returns:
        A record as ``kept_runs`` gives them. ``cpu_seconds`` are those of training and
        validation on one thread, without rendering.
    """
    data, clip = run.data, run.model.clip
    torch.set_num_threads(1)
    train, val, test = (_rendered(data, clip, split) for split in ("train", "val", "test"))
    batch, epochs = run.recipe.schedule.base_batch, run.recipe.schedule.epochs
    torch.manual_seed(seed)
    model = build_model(run.model, num_classes=len(data.task.classes))
    started = time.process_time()
    history = train_slowfast(
        model,
        training_loader(train, run.recipe.bn_clips, batch, seed=seed),
        epochs,
        recipe=run.recipe,
        execution=Execution(device="cpu", seed=seed, progress=False),
        val_loader=evaluation_loader(val, 60),
    )
    seconds = time.process_time() - started
    record = {
        "task": run.task,
        "model": run.name,
        "seed": seed,
        "config": repr(run.model),
        "data": repr(data),
        "recipe": repr(run.recipe),
        "epochs": epochs,
        "curve": [{name: row[name] for name in CURVE} for row in history],
        "top1": evaluate(model, evaluation_loader(test, 100), device="cpu").summary()[
            "top1"
        ],
        "cpu_seconds": round(seconds, 1),
        "machine": machine(),
    }
    if data.views > 1:
        views = evaluation_loader(_rendered_views(data, clip), 25)
        record["top1_views"] = evaluate(model, views, device="cpu").summary()["top1"]
    return record


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
