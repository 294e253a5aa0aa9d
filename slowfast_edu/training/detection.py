"""What a detector says of every box of every keyframe of a data set."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from slowfast_edu.checks import check_kind
from slowfast_edu.data.batches import KeyframeBatch, Problem
from slowfast_edu.data.transforms import normalize
from slowfast_edu.models import Detector
from slowfast_edu.training.detection_metrics import FrameBoxes
from slowfast_edu.training.distributed import default_device
from slowfast_edu.training.evaluation import eval_mode


class DetectedKeyframes(NamedTuple):
    """What a detector says, beside what is true: the arguments of ``frame_map``.

    Attributes:
        detections: of each keyframe, with probabilities for scores.
        truths: of each keyframe.
        problems: of the keyframes that could not be read.
    """

    detections: list[FrameBoxes]
    truths: list[FrameBoxes]
    problems: list[Problem]


def check_detector(model: object) -> None:
    """Refuse what is no ``Detector``.

    Raises:
        ValueError: see above; names ``load_detector``.
    """
    check_kind("model", model, Detector, "open its file with load_detector")


def check_validation(model: object, val_loader: object) -> None:
    """Refuse to validate a detector in training: ``evaluate`` is for whole clips.

    Raises:
        ValueError: see above; names what measures boxes.
    """
    if isinstance(model, Detector) and val_loader is not None:
        raise ValueError(
            "val_loader must be None for a Detector; measure it when it is trained: "
            "detect_keyframes, then frame_map"
        )


def detect_keyframes(
    model: Detector,
    loader: Iterable[KeyframeBatch],
    *,
    proposals: Callable[[Tensor], Tensor] | None = None,
    device: str | torch.device | None = None,
) -> DetectedKeyframes:
    """Ask a detector about every box of every keyframe, one clip each.

    Args:
        model: moved to ``device``, asked in eval mode; its modules get their modes back.
        loader: of ``KeyframeBatch``. Bytes are normalised.
        proposals: from a batch's true boxes (N, 5) to those that the model is asked about;
            by default the true ones, so that only actions can be wrong.
        device: a GPU if there is one by default.

    Raises:
        ValueError: what is no model or batch for that, or an output that is not finite.
    """
    check_detector(model)
    device = torch.device(device or default_device())
    model.to(device)
    found = DetectedKeyframes([], [], [])
    with eval_mode(model), torch.inference_mode():
        for batch in loader:
            if not isinstance(batch, KeyframeBatch):
                raise ValueError(
                    f"the loader gives a {type(batch).__name__}, must give a "
                    "KeyframeBatch; load with collate_fn=collate_keyframes"
                )
            found.problems.extend(batch.problems)
            boxes = batch.boxes if proposals is None else proposals(batch.boxes)
            if batch.names:
                scores = _probabilities(model, batch.clips, boxes, device)
                found.detections.extend(_frames(batch.names, boxes, scores))
                found.truths.extend(_frames(batch.names, batch.boxes, batch.labels))
    return found


def _probabilities(model: Detector, clips: Tensor, boxes: Tensor, device) -> Tensor:
    """Float32 (N, classes), on the CPU."""
    clips = clips.to(device, non_blocking=True)
    clips = normalize(clips) if clips.dtype == torch.uint8 else clips
    chances = model(clips, boxes.to(device)).float().sigmoid().cpu()
    if not chances.isfinite().all():
        raise ValueError(
            "the model's output is not finite; look for NaN in its weights and BN buffers, "
            "or in the clip"
        )
    return chances


def _frames(names: list[str], boxes: Tensor, scores: Tensor) -> list[FrameBoxes]:
    """A batch's boxes, keyframe by keyframe."""
    places, corners, scores = boxes[:, 0].numpy(), boxes[:, 1:].numpy(), scores.numpy()
    own = [places == number for number in range(len(names))]
    return [FrameBoxes(n, corners[o], scores[o]) for n, o in zip(names, own, strict=True)]


def shift_sides(boxes: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Move each side of each box at random, as a detector of people might have it.

    Args:
        boxes: (N, 5), of a ``KeyframeBatch``.
        share: standard deviation, in widths and heights of the box. With 0.1 a box and
            its shifted self have an IoU of about 0.75.
        rng: what draws.

    Returns:
        (N, 5), within the picture.
    """
    sizes = boxes[:, 3:] - boxes[:, 1:3]
    shifts = torch.from_numpy(rng.normal(0, share, size=(len(boxes), 4))).to(boxes.dtype)
    corners = (boxes[:, 1:] + shifts * torch.cat([sizes, sizes], dim=1)).clamp(0, 1)
    low, high = corners[:, :2], corners[:, 2:]
    return torch.cat([boxes[:, :1], low.minimum(high), low.maximum(high)], dim=1)
