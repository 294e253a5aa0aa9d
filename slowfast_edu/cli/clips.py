"""The clips that ``slowfast-edu train`` trains, validates and tests on."""

import argparse
from typing import NamedTuple

from torch.utils.data import Dataset

from slowfast_edu.checkpoints import About
from slowfast_edu.checks import check_choice
from slowfast_edu.config import MIN_SIZE, ClipConfig
from slowfast_edu.data.annotations import Annotations
from slowfast_edu.data.datasets import VideoClips, VideoViews
from slowfast_edu.data.figures import (
    Actions,
    Binding,
    Crowd,
    FigureViews,
    Hue,
    MovingFigures,
    Spin,
)
from slowfast_edu.data.figures.scene import FRAMES_PER_SECOND
from slowfast_edu.data.formats import read_annotations
from slowfast_edu.data.transforms import EvalTransform
from slowfast_edu.training import Recipe
from slowfast_edu.training.distributed import world_size

FIGURES = "figures:"
MOST_VIEWS = 1000  # of a video
VAL_FIGURES, TEST_FIGURES = 500, 2000  # rendered clips
CROP, SHORT_SIDE = 224, 256  # of training and of testing (appendix); kept in proportion


class Clips(NamedTuple):
    """What is trained on, validated on after each epoch, and tested on at the end.

    Attributes:
        about: what a model that learns them should tell its users.
        train: data set.
        val: data set, or None.
        test: data set, or None.
    """

    about: About
    train: Dataset
    val: Dataset | None = None
    test: Dataset | None = None


def side_for(crop: int) -> int:
    """Pixels of the shorter side in testing, for crops of training.

    >>> side_for(224), crop_for(256)
    (256, 224)
    """
    return round(crop * SHORT_SIDE / CROP)


def crop_for(size: int) -> int:
    """Pixels of training's crops for which testing is at ``size``: see ``side_for``."""
    return max(MIN_SIZE, round(size * CROP / SHORT_SIDE))


def views_of(text: str) -> tuple[int, int]:
    """(clips, crops) of "10x3".

    Raises:
        ValueError: anything else, or more than a thousand views.
    """
    clips, _, crops = text.partition("x")
    if not (clips.isdecimal() and crops.isdecimal()):
        raise ValueError(f"--views {text} must be clips x crops, such as 10x3")
    if int(clips) * int(crops) > MOST_VIEWS:
        raise ValueError(
            f"--views {text} are more than {MOST_VIEWS} views of each video; the paper "
            "takes 10x3"
        )
    return int(clips), int(crops)


def clips_for(arguments: argparse.Namespace, clip: ClipConfig, recipe: Recipe) -> Clips:
    """What ``--data``, ``--val`` and their options name; nothing is decoded yet.

    Args:
        arguments: of ``slowfast-edu train``, with a ``size``.
        clip: which frames.
        recipe: whose augmentation and ``bn_clips`` count.

    Raises:
        ValueError: options that do not go together, or data that cannot be trained on.
    """
    own = arguments.data.startswith(FIGURES)
    found = _figures(arguments, clip) if own else _videos(arguments, clip, recipe)
    about = found.about
    if len(about.classes) < 2 and not about.several_labels:
        raise ValueError(
            f"{arguments.data} has one class, {about.classes[0]!r}; there must be two to "
            "tell apart: put what is none of it into a folder, or class, of its own"
        )
    _check_batch(arguments.batch, len(found.train), recipe.bn_clips)
    return found


def _check_batch(batch: int, clips: int, bn_clips: int) -> None:
    """Refuse a batch of more clips than there are, naming the largest that can be."""
    if batch <= clips:
        return
    whole = clips // (bn_clips * world_size()) * bn_clips * world_size()
    way = f"--batch {whole}" if whole else f"--batch {clips} --set bn_clips={clips}"
    raise ValueError(f"--batch {batch} is more than the {clips} clips there are; try {way}")


def _figures(arguments: argparse.Namespace, clip: ClipConfig) -> Clips:
    styles = ("bright", "negative", "point_light")
    tasks = {f"actions-{style}": Actions(style=style) for style in styles}
    tasks |= {"actions": Actions(), "spin": Spin(), "hue": Hue()}
    tasks |= {"binding": Binding(), "crowd": Crowd()}
    name = arguments.data.removeprefix(FIGURES)
    check_choice("--data figures:", name, tasks)
    clips, crops = views_of(arguments.views or "4x1")
    if crops != 1 or arguments.val:
        raise ValueError(
            "figures have one crop and splits of their own: --views 4x1 and no --val"
        )
    task = tasks[name]
    counts = {"train": arguments.clips, "val": VAL_FIGURES, "test": TEST_FIGURES}
    train, val, test = (
        MovingFigures(task, count, clip, size=arguments.size, split=split)
        for split, count in counts.items()
    )
    about = About(
        classes=task.classes,
        size=arguments.size,
        frames_per_second=FRAMES_PER_SECOND,
        several_labels=isinstance(task, Crowd),
    )
    return Clips(about, train, val, FigureViews(test, clips))


def _videos(arguments: argparse.Namespace, clip: ClipConfig, recipe: Recipe) -> Clips:
    known = {"format": arguments.format, "root": arguments.root}
    listed = read_annotations(arguments.data, **known)
    if not isinstance(listed, Annotations):
        raise ValueError(
            f"{arguments.data} is a list of boxes; train wants a label a video"
        )
    rest = {"frames_per_second": arguments.fps, "bad": "skip"}
    train = VideoClips(
        listed, clip, transform=recipe.augmentation, seed=arguments.seed, **rest
    )
    short = side_for(arguments.size)
    about = About(
        classes=listed.classes,
        size=short,
        frames_per_second=arguments.fps,
        several_labels=listed.several_labels,
    )
    if not arguments.val:
        return Clips(about, train)
    clips, crops = views_of(arguments.views or "10x3")
    held = read_annotations(arguments.val, **known, classes=listed.classes)
    if getattr(held, "several_labels", None) != listed.several_labels:
        raise ValueError(
            f"{arguments.val} and {arguments.data} must be of one kind: a label a "
            "video, or several"
        )
    one = EvalTransform(size=short, crops=1)
    val = VideoViews(held, clip, clips=1, transform=one, **rest)
    many = EvalTransform(size=short, crops=crops)
    test = VideoViews(held, clip, clips=clips, transform=many, **rest)
    return Clips(about, train, val, test)
