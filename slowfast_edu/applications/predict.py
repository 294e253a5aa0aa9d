"""What happens in a video: a trained model's classes, averaged over views."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from slowfast_edu.applications.features import clip_rate, clip_size
from slowfast_edu.checkpoints import about_of
from slowfast_edu.checks import check_count, check_model
from slowfast_edu.data.stream import VideoStream
from slowfast_edu.data.transforms import EvalTransform, as_clip, center_crop
from slowfast_edu.sampling import fast_indices, fit_indices, view_starts
from slowfast_edu.training.evaluation import eval_mode
from slowfast_edu.training.preview import peak_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of one video, and what that took.

    Attributes:
        path: the video.
        classes: names; "class 17" where the model has none.
        probabilities: float32 (classes,); they add up to 1, unless the model is one of
            several labels a clip.
        seconds_reading: decoding, and scaling to the model's size.
        seconds_computing: cropping, and the model itself.
        memory_bytes: the most that the process has held so far, or the GPU.
    """

    path: Path
    classes: tuple[str, ...]
    probabilities: np.ndarray
    seconds_reading: float
    seconds_computing: float
    memory_bytes: float

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The ``k`` likeliest classes with their probabilities, the highest first.

        Raises:
            ValueError: k below 1.
        """
        check_count("k", k)
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.classes[i], float(self.probabilities[i])) for i in order]


def score_size(model: nn.Module, size: int | None = None) -> int:
    """``clip_size`` of a model that gives scores.

    Raises:
        TypeError: not a model of this library.
        ValueError: a size below 1, or a model that gives features in place of scores.
    """
    check_model(model)
    if getattr(model.config, "head", "linear") == "features":
        raise ValueError("head='features' gives no scores; predict with head='linear'")
    return clip_size(model, size)


def class_names(model: nn.Module, count: int) -> tuple[str, ...]:
    """The names of a model's ``count`` scores; where nobody named them "class 17".

    Raises:
        ValueError: there are more or fewer names than scores.

    >>> class_names(nn.Identity(), count=2)
    ('class 0', 'class 1')
    """
    names = about_of(model).classes or tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise ValueError(
            f"about.classes has {len(names)} names, but the model gives {count} scores"
        )
    return names


@torch.inference_mode()
def view_scores(model: nn.Module, views: Tensor) -> Tensor:
    """What the model says of each view, on its device, in evaluation mode.

    Shape: (V, C, T, H, W), normalised -> (V, classes), on the CPU.

    Raises:
        ValueError: an output that is not finite.
    """
    device = next(model.parameters()).device
    with eval_mode(model):
        scores = model(views.to(device)).float().cpu()
    if not scores.isfinite().all():
        raise ValueError(
            "the model's output is not finite; look for NaN in its weights and BN buffers"
        )
    return scores


def combine(scores: Tensor, several_labels: bool = False) -> np.ndarray:
    """One probability a class out of the scores of all views (section 4, "Inference").

    Softmax, averaged; or for several labels a clip sigmoid, and the highest of the views,
    for an action need not last all the time (the paper's Charades).

    Shape: (V, classes) -> float32 (classes,).

    >>> combine(torch.tensor([[0.0, 0.0], [9.0, -9.0]])).round(2).tolist()
    [0.75, 0.25]
    """
    if several_labels:
        return scores.sigmoid().amax(dim=0).numpy()
    return scores.softmax(dim=1).mean(dim=0).numpy()


def predict_video(
    model: nn.Module,
    path: str | os.PathLike,
    *,
    clips: int = 10,
    crops: int = 3,
    frames_per_second: float | None = None,
    size: int | None = None,
) -> Prediction:
    """Ask a model about a video, over clips x crops views (30 in the paper).

    Frames are scaled as they are decoded, and one clip's crops are computed at once, so
    that neither 4K nor thirty views fill the memory.

    Args:
        model: of ``load_model``; asked in evaluation mode and left as it was.
        path: a file that FFmpeg opens.
        clips: how many, spread evenly over the video.
        crops: 3, or 1 for the middle one alone.
        frames_per_second: of clips; by default the model's, or else the file's own.
        size: pixels of the shorter side; by default the model's, or else 256.

    Raises:
        VideoError: the file cannot be read.
        ValueError: a setting that cannot be, or an output that is not finite.
    """
    transform = EvalTransform(size=score_size(model, size), crops=crops)
    about, started = about_of(model), time.perf_counter()
    video = VideoStream(path, clip_rate(model, frames_per_second))
    views = video.read_small_views(model.config.clip, clips, transform.size)
    read = time.perf_counter()
    scores = torch.cat([view_scores(model, transform(frames)) for frames in views])
    probabilities = combine(scores, about.several_labels)
    return Prediction(
        path=video.path,
        classes=class_names(model, len(probabilities)),
        probabilities=probabilities,
        seconds_reading=read - started,
        seconds_computing=time.perf_counter() - read,
        memory_bytes=peak_bytes(next(model.parameters()).device),
    )


class SeenClip(NamedTuple):
    """One clip as a model takes it.

    Attributes:
        clip: uint8 (1, 3, alpha * T, size, size).
        numbers: of its frames in the video, at ``frames_per_second``.
        frames_per_second: at which they are numbered.
    """

    clip: Tensor
    numbers: list[int]
    frames_per_second: float


def middle_clip(
    model: nn.Module,
    path: str | os.PathLike,
    *,
    frames_per_second: float | None = None,
    size: int | None = None,
) -> SeenClip:
    """What a model sees of the middle of a video, for ``viz.filmstrip`` to draw.

    Args:
        model: see ``predict_video``, and so are the others.
        path: a file that FFmpeg opens.
        frames_per_second: of clips.
        size: pixels of the square.

    Raises:
        VideoError: the file cannot be read.
    """
    size, clip = score_size(model, size), model.config.clip
    video = VideoStream(path, clip_rate(model, frames_per_second))
    start = int(view_starts(clip, video.info.frames, clips=1)[0])
    numbers = fit_indices(fast_indices(clip, start), video.info.frames, "clamp").tolist()
    frames = video.read_small_views(clip, 1, size)[0]
    seen = center_crop(as_clip(frames), size)
    return SeenClip(seen, numbers, video.info.frames_per_second)
