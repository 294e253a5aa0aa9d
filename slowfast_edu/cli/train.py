"""``slowfast-edu train``: from a list of videos, or a rendered task, to a trained model."""

import argparse
import ast
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

FIGURES = "figures:"


class Clips(NamedTuple):
    """What is trained on, validated on after each epoch, and tested on at the end."""

    classes: tuple[str, ...]
    train: object
    val: object | None
    test: object | None


def add_train(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a model by a recipe; under torchrun on many GPUs",
        epilog="Many processes: torchrun --nproc-per-node 8 -m slowfast_edu train ...",
    )
    add = parser.add_argument
    add("--preset", required=True, metavar="NAME", help="a model, such as slowfast_8x8_r50")
    add(
        "--data",
        required=True,
        metavar="DATA",
        help="a list of videos, a folder with a folder a class, or figures:TASK "
        "(actions, actions-bright, spin, hue, binding, crowd)",
    )
    add("--val", metavar="DATA", help="list or folder to validate and test on")
    add("--format", metavar="NAME", help="of lists: kinetics, pyslowfast, ucf101")
    add("--root", help="where the videos are (default: beside the list)")
    add("--fps", type=float, help="sample at this rate (default: each file's own)")
    add("--recipe", default="pyslowfast", help="paper or pyslowfast (default: %(default)s)")
    add("--epochs", type=int, help="default: the recipe's; 256 of the paper's if T <= 4")
    add("--batch", type=int, default=64, help="clips a step, in all (default: %(default)s)")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        help="change an ingredient of the recipe: base_rate=0.05 dropout=0 bn_clips=16",
    )
    add("--init", metavar="CHECKPOINT", help="begin from these weights, not from random")
    add("--size", type=int, default=224, help="pixels of the crop (default: %(default)s)")
    add("--clips", type=int, default=3000, help="of figures, to train on")
    add("--views", help="of the test, clips x crops (default: 10x3; figures 4x1)")
    add("--seed", type=int, default=0)
    add("--precision", default="float32", help="float32, bf16 or fp16")
    add("--channels-last", action="store_true", help="channels innermost in memory")
    add("--compile", action="store_true", help="torch.compile the model")
    add("--workers", type=int, default=2, help="processes that load (default: %(default)s)")
    add("--save-every", type=int, default=500, metavar="STEPS", help="within an epoch")
    add("--evaluate-every", type=int, default=1, metavar="EPOCHS", help="on --val")
    add("--tensorboard", action="store_true", help="also log for TensorBoard")
    add("--output", help="folder of the run (default: runs/PRESET-DATA)")
    add("--dry-run", action="store_true", help="say what it would take, and stop")
    parser.set_defaults(run=run_train)


def _recipe(arguments: argparse.Namespace, model):
    """The named recipe with what ``--set``, ``--epochs`` and ``--size`` change."""
    from slowfast_edu.checks import check_choice
    from slowfast_edu.training import Recipe, Schedule
    from slowfast_edu.training.recipe import recipe_for

    recipe = recipe_for(arguments.recipe, model)
    if arguments.epochs is not None:
        recipe = replace(recipe, schedule=recipe.schedule.lasting(arguments.epochs))
    of_schedule = {field.name for field in fields(Schedule)} - {"epochs"}
    of_recipe = {field.name for field in fields(Recipe)} - {"schedule", "augmentation"}
    for setting in arguments.set:
        name, _, text = setting.partition("=")
        check_choice("--set", name, sorted(of_schedule | of_recipe))
        change = {name: _value(text)}
        if name in of_schedule:
            change = {"schedule": replace(recipe.schedule, **change)}
        recipe = replace(recipe, **change)
    crop, scale = recipe.augmentation, arguments.size / recipe.augmentation.size
    sides = {"least": round(crop.least * scale), "most": round(crop.most * scale)}
    return replace(recipe, augmentation=replace(crop, size=arguments.size, **sides))


def _value(text: str) -> object:
    """A number, True, False or None (in any case), or else the word itself."""
    try:
        return ast.literal_eval(text.capitalize() if text.isalpha() else text)
    except (SyntaxError, ValueError):
        return text


def _views(text: str) -> tuple[int, int]:
    clips, _, crops = text.partition("x")
    if not (clips.isdigit() and crops.isdigit()):
        raise ValueError(f"--views {text} must be clips x crops, such as 10x3")
    return int(clips), int(crops)


def _figures(arguments: argparse.Namespace, clip) -> Clips:
    from slowfast_edu.checks import check_choice
    from slowfast_edu.data.figures import (
        Actions,
        Binding,
        Crowd,
        FigureViews,
        Hue,
        MovingFigures,
        Spin,
    )

    styles = ("bright", "negative", "point_light")
    tasks = {f"actions-{style}": Actions(style=style) for style in styles}
    tasks |= {"actions": Actions(), "spin": Spin(), "hue": Hue()}
    tasks |= {"binding": Binding(), "crowd": Crowd()}
    name = arguments.data.removeprefix(FIGURES)
    check_choice("--data figures:", name, tasks)
    clips, crops = _views(arguments.views or "4x1")
    if crops != 1 or arguments.val:
        raise ValueError(
            "figures have one crop and splits of their own: --views 4x1 and no --val"
        )
    task = tasks[name]
    sets = [
        MovingFigures(task, count, clip, size=arguments.size, split=split)
        for split, count in (("train", arguments.clips), ("val", 500), ("test", 2000))
    ]
    return Clips(task.classes, sets[0], sets[1], FigureViews(sets[2], clips))


def _videos(arguments: argparse.Namespace, clip, augmentation) -> Clips:
    from slowfast_edu.data.annotations import Annotations
    from slowfast_edu.data.datasets import VideoClips, VideoViews
    from slowfast_edu.data.formats import read_annotations
    from slowfast_edu.data.transforms import EvalTransform

    known = {"format": arguments.format, "root": arguments.root}
    listed = read_annotations(arguments.data, **known)
    if not isinstance(listed, Annotations):
        raise ValueError(
            f"{arguments.data} is a list of boxes; train wants a label a video"
        )
    rest = {"frames_per_second": arguments.fps, "bad": "skip"}
    train = VideoClips(listed, clip, transform=augmentation, seed=arguments.seed, **rest)
    if not arguments.val:
        return Clips(listed.classes, train, None, None)
    clips, crops = _views(arguments.views or "10x3")
    short = round(arguments.size * 256 / 224)
    held = read_annotations(arguments.val, **known, classes=listed.classes)
    one = EvalTransform(size=short, crops=1)
    val = VideoViews(held, clip, clips=1, transform=one, **rest)
    many = EvalTransform(size=short, crops=crops)
    test = VideoViews(held, clip, clips=clips, transform=many, **rest)
    return Clips(listed.classes, train, val, test)


def run_train(arguments: argparse.Namespace) -> None:
    """Train, or with ``--dry-run`` say what that would take."""
    import torch

    from slowfast_edu.checkpoints import load_checkpoint
    from slowfast_edu.checks import check_choice
    from slowfast_edu.config import PRESETS
    from slowfast_edu.models import build_model
    from slowfast_edu.training import Execution, training_loader
    from slowfast_edu.training.distributed import process_group

    check_choice("preset", arguments.preset, PRESETS)
    config = PRESETS[arguments.preset]
    recipe = _recipe(arguments, config)
    names = ("seed", "precision", "channels_last", "compile", "tensorboard")
    execution = Execution(
        **{name: getattr(arguments, name) for name in names},
        save_every_steps=arguments.save_every,
        evaluate_every_epochs=arguments.evaluate_every,
    )
    if arguments.data.startswith(FIGURES):
        clips = _figures(arguments, config.clip)
    else:
        clips = _videos(arguments, config.clip, recipe.augmentation)
    torch.manual_seed(arguments.seed)
    model = build_model(config, len(clips.classes))
    if arguments.init:
        load_checkpoint(model, arguments.init)
    loader = training_loader(
        clips.train,
        recipe.bn_clips,
        arguments.batch,
        workers=arguments.workers,
        seed=arguments.seed,
    )
    with process_group():
        if arguments.dry_run:
            _preview(arguments, model, loader, recipe, execution)
        else:
            _train(arguments, model, loader, clips, recipe, execution)


def _preview(arguments, model, loader, recipe, execution) -> None:
    from slowfast_edu.cli.dry_run import told
    from slowfast_edu.training.distributed import rank

    lines = told(arguments, model, loader, recipe, execution)
    if not rank():
        print(lines)


def _train(arguments, model, loader, clips: Clips, recipe, execution) -> None:
    from slowfast_edu.training import evaluate, evaluation_loader, train_slowfast
    from slowfast_edu.training.distributed import rank
    from slowfast_edu.training.precision import PRECISIONS

    stem = Path(arguments.data.replace(":", "-")).stem
    folder = Path(arguments.output or f"runs/{arguments.preset}-{stem}")
    workers = arguments.workers
    history = train_slowfast(
        model,
        loader,
        recipe.schedule.epochs,
        recipe=recipe,
        execution=execution,
        val_loader=clips.val and evaluation_loader(clips.val, 8, workers),
        folder=folder,
    )
    unread = sum(row["unread"] for row in history)
    if not rank():
        print(f"{folder}: last.pt, log.csv; {unread} clips could not be read")
    if clips.test is None:
        return
    # Thirty views are 755 MB: few of them are to wait in line.
    test_loader = evaluation_loader(clips.test, 1, min(workers, 2))
    dtype = PRECISIONS[execution.precision]
    tested = evaluate(model, test_loader, autocast_dtype=dtype, progress=True)
    if not rank():
        tested.save(folder / "predictions.npz")
        print(f"{len(tested.names)} clips, the last step's weights:")
        for name, value in tested.summary().items():
            print(f"{name:<20} {value:.4f}")
