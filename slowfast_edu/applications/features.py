"""What a pathway has seen, as numbers: pooled features of any stage."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from slowfast_edu.checkpoints import about_of
from slowfast_edu.checks import check_count, check_model, check_output
from slowfast_edu.data.stream import VideoStream
from slowfast_edu.data.transforms import EvalTransform
from slowfast_edu.files import write_whole
from slowfast_edu.models import Pathways
from slowfast_edu.training.evaluation import eval_mode

PATHWAYS = ("slow", "fast", "backbone")
UNTOLD_SIZE = 256  # pixels, of the paper's tests; where the model does not say
Hook = Callable[[str, tuple, Tensor], Tensor | None]


def pathways_of(model: nn.Module) -> dict[str, nn.Module]:
    """The pathways that a model has: Slow, Fast or both, or a baseline's backbone.

    Raises:
        TypeError: not a model of this library, or one inside a wrapper.

    >>> from slowfast_edu.models import build_model
    >>> list(pathways_of(build_model("slowfast_tiny")))
    ['slow', 'fast']
    """
    check_model(model)
    found = {name: getattr(model, name, None) for name in PATHWAYS}
    return {name: pathway for name, pathway in found.items() if pathway is not None}


def stages_of(model: nn.Module, names: Sequence[str] = ()) -> dict[str, nn.Module]:
    """A model's stages by name: "res5" means that of each pathway, "slow.res5" Slow's.

    Args:
        model: of this library.
        names: which; all of them if empty.

    Returns:
        {"slow.res5": module, "fast.res5": module}, in the order asked for.

    Raises:
        ValueError: a stage or pathway that the model does not have, with those it has.
    """
    parts = {
        f"{pathway}.{stage}": module
        for pathway, stages in pathways_of(model).items()
        for stage, module in stages.named_children()
    }
    asked = {}
    for name in [names] if isinstance(names, str) else names:
        found = {n: part for n, part in parts.items() if name in (n, n.split(".")[1])}
        if not found:
            raise ValueError(
                f"stage={name!r} is not one of this model's; it has {', '.join(parts)}, "
                "without the first word those of each pathway"
            )
        asked |= found
    return asked or parts


@contextmanager
def watch(modules: Mapping[str, nn.Module], see: Hook) -> Iterator[None]:
    """Call ``see(name, inputs, output)`` after each module; what it returns replaces that.

    The hooks go when the block ends, after an error too.
    """

    def hook(name, _module, inputs, output):
        return see(name, inputs, output)

    handles = [m.register_forward_hook(partial(hook, n)) for n, m in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def clip_size(model: nn.Module, size: int | None = None) -> int:
    """Pixels of the shorter side: those asked for, else the model's own, else 256.

    Raises:
        ValueError: a size below 1.
    """
    size = about_of(model).size or UNTOLD_SIZE if size is None else size
    check_count("size", size)
    return size


def clip_rate(model: nn.Module, frames_per_second: float | None = None) -> float | None:
    """Frames a second: those asked for, else the model's, else None: the file's own."""
    asked = frames_per_second
    return about_of(model).frames_per_second if asked is None else asked


def pooled_features(
    model: nn.Module, clips: Tensor | Pathways, stages: Sequence[str] = ("res5",)
) -> dict[str, Tensor]:
    """What stages give, averaged over time and space, in evaluation mode.

    Slow's are its own channels: what a lateral adds comes after the stage. Those of res5,
    Slow's before Fast's, are what the classifier gets (2048 and 256 for R50).

    Args:
        model: of this library; left as it was.
        clips: as the model takes them, on its device.
        stages: "res5" for that of each pathway, "slow.res4" for one.

    Shape: (B, 3, alpha * T, H, W) -> {"slow.res5": (B, C), "fast.res5": (B, beta * C)}.

    Raises:
        ValueError: an unknown stage, with those there are; a clip of another shape.
    """
    pooled = {}

    def see(name, _inputs, output):
        pooled[name] = output.mean(dim=(2, 3, 4))

    modules = stages_of(model, stages)
    with eval_mode(model), watch(modules, see), torch.no_grad():
        model(clips)
    return {name: pooled[name] for name in modules}


def video_features(
    model: nn.Module,
    path: str | os.PathLike,
    stages: Sequence[str] = ("res5",),
    *,
    clips: int = 10,
    size: int | None = None,
    frames_per_second: float | None = None,
) -> dict[str, np.ndarray]:
    """Pooled features of clips that are spread evenly over a video, the middle crop.

    Args:
        model: of this library.
        path: a file that FFmpeg opens.
        stages: see ``pooled_features``.
        clips: how many.
        size: pixels of the square; None: the model's (``model.about``), or 256.
        frames_per_second: of the frames; None: the model's, or the file's own.

    Returns:
        {"slow.res5": float32 (clips, C), ...}.

    Raises:
        VideoError, ValueError: the file cannot be read; an unknown stage.
    """
    stages_of(model, stages)  # before the file is read
    transform = EvalTransform(size=clip_size(model, size), crops=1)
    video = VideoStream(path, clip_rate(model, frames_per_second))
    device = next(model.parameters()).device
    rows = [
        pooled_features(model, transform(frames).to(device), stages)
        for frames in video.read_small_views(model.config.clip, clips, transform.size)
    ]
    return {n: torch.cat([row[n] for row in rows]).cpu().numpy() for n in rows[0]}


def save_features(
    path: str | os.PathLike, videos: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    """Write features of videos as one .npz file, whole or not at all.

    ``np.load`` opens it without pickle: ``names`` (videos,), and under each stage's name
    float32 (videos, clips, C), in the order of the names.

    Args:
        path: ends in .npz.
        videos: {name: what ``video_features`` gave}.

    Raises:
        ValueError: another ending, or no video.
        OSError: the folder is missing or cannot be written to.
    """
    check_npz(path)
    if not videos:
        raise ValueError(f"{path} is not written: there is no video to write of")
    stages = next(iter(videos.values()))
    content = io.BytesIO()
    arrays = {stage: np.stack([v[stage] for v in videos.values()]) for stage in stages}
    np.savez(content, names=np.array(list(videos)), **arrays)
    write_whole(path, content.getvalue())


def check_npz(path: str | os.PathLike) -> None:
    """Refuse a path that ``save_features`` would; to be called before the long part.

    Raises:
        ValueError: it does not end in .npz.
        FileNotFoundError: there is no such folder.
    """
    check_output("output", path, ".npz")
