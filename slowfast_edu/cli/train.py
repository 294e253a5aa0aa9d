"""``slowfast-edu train``: from a list of videos, or a rendered task, to a trained model."""

import argparse
import ast
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from torch import nn

from slowfast_edu.checkpoints import About, about_of, load_model, save_checkpoint
from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.config import MIN_SIZE, PRESETS, ModelConfig
from slowfast_edu.sampling import exact_rate

FINAL = "final.safetensors"  # the last step's weights, which are tested
SIZE = 224


EPILOG = """Own videos, from a model that is trained:
  slowfast-edu train --data FOLDER --val FOLDER --init runs/x/best.safetensors \\
      --epochs 20 --batch 16 --set base_rate=0.02 backbone_share=0.1 frozen_bn=True
Many processes:
  torchrun --nproc-per-node 8 -m slowfast_edu train ..."""


def add_train(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a model by a recipe, or fine-tune one; under torchrun on many GPUs",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--preset", metavar="NAME", help="a model, such as slowfast_8x8_r50")
    add(
        "--data",
        required=True,
        metavar="DATA",
        help="a folder with a folder a class, a list of videos, or figures:TASK "
        "(actions, actions-bright, spin, hue, binding, crowd)",
    )
    add("--val", metavar="DATA", help="list or folder to validate and test on")
    add("--format", metavar="NAME", help="of lists: kinetics, pyslowfast, ucf101, labels")
    add("--root", help="where the videos are (default: beside the list)")
    add("--fps", type=float, help="sample at this rate (default: --init's, or each file's)")
    add("--recipe", default="pyslowfast", help="paper or pyslowfast (default: %(default)s)")
    add("--epochs", type=int, help="default: the recipe's; 256 of the paper's if T <= 4")
    add("--batch", type=int, default=64, help="clips a step, in all (default: %(default)s)")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUE",
        help="change an ingredient of the recipe: base_rate=0.05 dropout=0 bn_clips=16; to "
        "fine-tune: backbone_share=0.1 (0: only the classifier learns) frozen_bn=True",
    )
    add(
        "--init",
        metavar="CHECKPOINT",
        help="fine-tune these weights: best.safetensors, last.pt, or a published file "
        "(with --preset)",
    )
    add("--size", type=int, help=f"pixels of the crop (default: {SIZE}, or as for --init)")
    add("--clips", type=int, default=3000, help="of figures, to train on")
    add("--views", help="of the test, clips x crops (default: 10x3; figures 4x1)")
    _add_execution(add)
    parser.set_defaults(run=run_train)


def _add_execution(add: Callable) -> None:
    """Options of how it is computed, and of where to."""
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


def _recipe(arguments: argparse.Namespace, model):
    """The named recipe with what ``--set``, ``--epochs`` and ``--size`` change.

    Raises:
        ValueError: an unknown ingredient or value, or what would freeze fresh weights.
    """
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


def _trained(arguments: argparse.Namespace) -> nn.Module | None:
    """The model to fine-tune, if any; what it knows becomes the default of options."""
    from slowfast_edu.cli.clips import FIGURES, crop_for

    if arguments.preset is not None:
        check_choice("preset", arguments.preset, PRESETS)
    elif not arguments.init:
        raise ValueError(
            "which model? name one with --preset, such as slowfast_8x8_r50, or with --init "
            "a checkpoint to fine-tune"
        )
    model = load_model(arguments.init, arguments.preset) if arguments.init else None
    about = About() if model is None else about_of(model)
    if arguments.size is None and about.size:
        own = arguments.data.startswith(FIGURES)
        arguments.size = about.size if own else crop_for(about.size)
    if arguments.size is None:
        arguments.size = SIZE
    if arguments.fps is None:
        arguments.fps = about.frames_per_second
    check_count("--size", arguments.size, MIN_SIZE)
    if arguments.fps is not None:
        exact_rate(arguments.fps)
    return model


def name_of(arguments: argparse.Namespace, config: ModelConfig) -> str:
    """What to call the model: its preset, or the checkpoint that it begins from."""
    known = (name for name, preset in PRESETS.items() if preset == config)
    return arguments.preset or next(known, None) or Path(arguments.init).stem


def run_train(arguments: argparse.Namespace) -> None:
    """Train, or with ``--dry-run`` say what that would take."""
    import torch

    from slowfast_edu.applications.fine_tuning import new_classes
    from slowfast_edu.cli.clips import clips_for
    from slowfast_edu.models import build_model
    from slowfast_edu.training import Execution, training_loader
    from slowfast_edu.training.distributed import process_group, rank

    model = _trained(arguments)
    config = PRESETS[arguments.preset] if model is None else model.config
    recipe = _recipe(arguments, config)
    names = ("seed", "precision", "channels_last", "compile", "tensorboard")
    execution = Execution(
        **{name: getattr(arguments, name) for name in names},
        save_every_steps=arguments.save_every,
        evaluate_every_epochs=arguments.evaluate_every,
    )
    clips = clips_for(arguments, config.clip, recipe)
    torch.manual_seed(arguments.seed)
    if model is None:
        model = build_model(config, len(clips.about.classes))
        model.about = clips.about
    else:
        said = new_classes(model, clips.about)
        if not rank():
            print(f"{arguments.init}: {said}", file=sys.stderr)
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


def _train(arguments, model, loader, clips, recipe, execution) -> None:
    from slowfast_edu.training import evaluate, evaluation_loader, train_slowfast
    from slowfast_edu.training.distributed import rank
    from slowfast_edu.training.precision import PRECISIONS
    from slowfast_edu.training.saving import writing

    stem = Path(arguments.data.replace(":", "-")).stem
    name = name_of(arguments, model.config)
    folder = Path(arguments.output or f"runs/{name}-{stem}")
    workers, trained = arguments.workers, []
    history = train_slowfast(
        model,
        loader,
        recipe.schedule.epochs,
        recipe=recipe,
        execution=execution,
        val_loader=clips.val and evaluation_loader(clips.val, 8, workers),
        folder=folder,
        on_epoch=trained.append,
    )
    unread = sum(row["unread"] for row in history)
    if not rank():
        if history and not trained:
            print(f"{folder}: already finished, {len(history)} epochs; nothing is trained")
        with writing(folder / FINAL):
            save_checkpoint(model, folder / FINAL)
        print(f"{folder}: {FINAL}, last.pt, log.csv; {unread} clips could not be read")
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
