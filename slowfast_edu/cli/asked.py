"""Which model ``predict`` and ``features`` ask, and about which videos."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import nn

SHIPPED = (
    "Without --checkpoint and --preset: the model that comes with the library, a "
    "slowfast_tiny of ten rendered actions."
)


def add_asked(parser: argparse.ArgumentParser) -> None:
    """The options that ``trained_model`` and ``video_paths`` read."""
    add = parser.add_argument
    add("videos", nargs="+", metavar="VIDEO", help="a file that FFmpeg opens, or a folder")
    add("--checkpoint", metavar="FILE", help="a trained model, such as runs/x/last.pt")
    add(
        "--preset",
        metavar="NAME",
        help="which model a foreign checkpoint is for; alone: its published weights, once "
        "fetch-weights has fetched them",
    )
    told = "frames a second of clips (default: the model's, or the file's)"
    add("--fps", type=float, metavar="RATE", help=told)


def trained_model(arguments: argparse.Namespace) -> nn.Module:
    """What ``--checkpoint`` and ``--preset`` name, or the shipped model, on the device.

    Raises:
        ValueError: an unknown preset, one without published weights, an unusable file.
        FileNotFoundError: published weights that nobody has fetched.
    """
    from slowfast_edu.checkpoints import about_of, load_model
    from slowfast_edu.checks import check_choice
    from slowfast_edu.claims.shipped import load_shipped
    from slowfast_edu.config import PRESETS
    from slowfast_edu.training.distributed import default_device

    preset = arguments.preset
    if preset is not None:
        check_choice("--preset", preset, PRESETS)
    if arguments.checkpoint is not None:
        model = load_model(arguments.checkpoint, preset)
    elif preset is not None:
        model = load_model(_fetched(preset), preset)
    else:
        model = load_shipped()
        names = ", ".join(about_of(model).classes)
        print(f"the model that comes along, which knows: {names}", file=sys.stderr)
    return model.to(default_device())


def _fetched(preset: str) -> Path:
    """Where ``fetch-weights`` has put a preset's published weights."""
    from slowfast_edu.checkpoints.download import PUBLISHED, default_folder

    if preset not in PUBLISHED:
        raise ValueError(f"no weights are published for {preset}; give --checkpoint FILE")
    path = default_folder() / PUBLISHED[preset]
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; fetch it: slowfast-edu fetch-weights {preset}"
        )
    return path


def video_paths(names: Sequence[str], command: str) -> tuple[list[Path], int]:
    """Files as they are named; of folders those that end like videos, 2 before 10.

    Returns:
        (paths, folders without any, each of which is told in a line on stderr).
    """
    from slowfast_edu.data.lines import VIDEO_ENDINGS, videos_below
    from slowfast_edu.files import natural_order

    paths, empty, endings = [], 0, ", ".join(VIDEO_ENDINGS)
    for path in map(Path, names):
        if not path.is_dir():
            paths.append(path)
            continue
        found = sorted(videos_below(path), key=natural_order)
        paths += [path / name for name in found]
        if not found:
            empty += 1
            said = f"{path}: no file in this folder ends in {endings}"
            print(f"slowfast-edu {command}: {said}", file=sys.stderr)
    return paths, empty
