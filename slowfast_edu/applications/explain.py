"""Why a model says what it says: Grad-CAM in space and time, and what laterals add.

Both show what this model uses. Neither shows what a video is about, nor what another
model, trained without a part, would do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slowfast_edu.applications.features import stages_of, watch
from slowfast_edu.checkpoints import about_of
from slowfast_edu.checks import check_choice, check_model
from slowfast_edu.config import BaselineConfig
from slowfast_edu.models import Pathways, split_pathways
from slowfast_edu.models.inputs import check_clip
from slowfast_edu.training.evaluation import eval_mode

NEXT_STAGE = {"pool1": "res2", "res2": "res3", "res3": "res4", "res4": "res5"}
READERS = ("a", "shortcut")  # a block's convolutions that read its input


class Cams(NamedTuple):
    """Grad-CAM of one clip: where in space and time each pathway found the class.

    A map holds what the method gives, from 0 up. A pathway's values are the larger the
    fewer positions it has, so that maps of two pathways do not share a scale; figures
    divide each by its own maximum.

    Attributes:
        slow: float32 (T, H, W), or None if there is no such map.
        fast: float32 (alpha * T, H, W), or None.
        backbone: of a baseline float32 (T, H, W), or None.
        label: the class that was asked for.
        probability: that the model gives it.
    """

    slow: np.ndarray | None
    fast: np.ndarray | None
    backbone: np.ndarray | None
    label: int
    probability: float

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """Those that there are, under the names of their pathways."""
        named = {"slow": self.slow, "fast": self.fast, "backbone": self.backbone}
        return {name: cam for name, cam in named.items() if cam is not None}


def _inputs(model: nn.Module, clip: Tensor | Pathways) -> dict[str, Tensor]:
    """What each pathway of a model gets of a clip, which must be one."""
    check_model(model)
    if isinstance(model.config, BaselineConfig):
        check_clip(clip, channels=3)
        found = {"backbone": clip}
    else:
        found = split_pathways(clip, model.config)._asdict()
    found = {name: x for name, x in found.items() if x is not None}
    for x in found.values():
        if len(x) != 1:
            raise ValueError(
                f"clip is a batch of {len(x)}, must be one clip: clip[:1] is the first"
            )
    return found


def _check_scores(model: nn.Module) -> None:
    if getattr(model.config, "head", "linear") == "features":
        raise ValueError(
            "head='features' gives no class scores; build the model with head='linear'"
        )


def _label(label: int | None, scores: Tensor) -> int:
    """The label asked for, or the class with the highest score."""
    if label is None:
        return int(scores.argmax())
    if not isinstance(label, Integral) or not 0 <= label < scores.shape[1]:
        raise ValueError(f"label={label!r} must be a class: 0 to {scores.shape[1] - 1}")
    return int(label)


def grad_cam(
    model: nn.Module,
    clip: Tensor | Pathways,
    label: int | None = None,
    stage: str = "res5",
) -> Cams:
    """Grad-CAM (Selvaraju et al., ICCV 2017) over space and time, of each pathway.

    A channel's weight is the gradient of the class score, before softmax, averaged over
    T, H and W. Channels are summed by weight, negative sums cut off, and the map is scaled
    up trilinearly to the frames and pixels that the pathway got.

    Args:
        model: any of this library; its mode, gradients and hooks stay as they were.
        clip: one: (1, 3, alpha * T, H, W) or ``Pathways``, on the model's device.
        label: which class; None takes the one with the highest score.
        stage: "res5", or another: an earlier one is finer and says less of the class.

    Raises:
        ValueError: more than one clip, no such label or stage, a model without scores.
    """
    inputs, modules = _inputs(model, clip), stages_of(model, [stage])
    _check_scores(model)
    kept = {}

    def see(name, _inputs, output):
        kept[name] = output.detach().requires_grad_()  # below it no gradient is needed
        return kept[name]

    grad = torch.inference_mode(False), torch.enable_grad()
    with eval_mode(model), watch(modules, see), grad[0], grad[1]:
        scores = model(clip)
        label = _label(label, scores)
        gradients = torch.autograd.grad(scores[0, label], list(kept.values()))
    maps = dict.fromkeys(("slow", "fast", "backbone"))
    for (name, features), gradient in zip(kept.items(), gradients, strict=True):
        pathway = name.split(".")[0]
        weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
        cam = F.relu((weights * features.detach()).sum(dim=1, keepdim=True))
        size = inputs[pathway].shape[2:]
        cam = F.interpolate(cam, size=size, mode="trilinear", align_corners=False)
        maps[pathway] = cam[0, 0].cpu().numpy()
    scores = scores.detach()[0]
    several = about_of(model).several_labels
    chances = scores.sigmoid() if several else scores.softmax(dim=0)
    return Cams(**maps, label=label, probability=float(chances[label]))


def laterals_of(model: nn.Module, names: Sequence[str] = ()) -> dict[str, nn.Module]:
    """A model's lateral connections by the stage they follow; all of them if none is named.

    Raises:
        ValueError: the model has none, or not one of that name.

    >>> from slowfast_edu.models import build_model
    >>> list(laterals_of(build_model("slowfast_tiny")))
    ['pool1', 'res2', 'res3', 'res4']
    """
    check_model(model)
    found = dict(getattr(model, "lateral", {}).items())
    if not found:
        raise ValueError(
            "the model has no laterals: it needs pathways='slowfast' and a fusion other "
            "than 'none'"
        )
    names = [names] if isinstance(names, str) else names
    for name in names:
        check_choice("lateral", name, found)
    return {name: found[name] for name in names or found}


def _without_lateral(inputs: tuple[Tensor, Tensor], output: Tensor) -> Tensor:
    """What a lateral connection would hand on if Fast gave it zeros; of any fusion."""
    slow = inputs[0]
    added = torch.zeros_like(output[:, slow.shape[1] :])  # no channel for "ttoc_sum"
    return torch.cat([slow, added], dim=1)


@contextmanager
def without_laterals(model: nn.Module, names: Sequence[str] = ()) -> Iterator[None]:
    """For a while, laterals hand on zeros for what they read from Fast.

    Fast's own way to the head stays. A drop says how much Slow relies on its laterals, not
    how good a model trained without them would be; and a part of it is that Slow never
    met zeros (the shipped model falls further with them than with laterals' mean values).

    Args:
        model: with two pathways and a fusion; as it was when the block ends.
        names: of "pool1", "res2", "res3" and "res4"; all of them if empty.

    Raises:
        ValueError: the model has no laterals, or not one of that name.
    """

    def see(_name, inputs, output):
        return _without_lateral(inputs, output)

    with watch(laterals_of(model, names), see):
        yield


def ablate_laterals(model: nn.Module, clips: Tensor | Pathways) -> dict[str, Tensor]:
    """Class scores with each lateral's output set to zero in turn, and with all of them.

    Shape: (B, 3, alpha * T, H, W) -> {"none": (B, classes), "pool1": ..., "all": ...},
    under the name of what is left out.

    Raises:
        ValueError: the model has no laterals or no class scores.
    """
    names = list(laterals_of(model))
    _check_scores(model)
    scores = {}
    with eval_mode(model), torch.no_grad():
        scores["none"] = model(clips)
        for out, left_out in {**{name: [name] for name in names}, "all": names}.items():
            with without_laterals(model, left_out):
                scores[out] = model(clips)
    return scores


class LateralParts(NamedTuple):
    """The two parts of a convolution's response; their sum is the response.

    Attributes:
        own: what comes from Slow's own channels, float32 (B, C, T, H, W).
        lateral: what comes from those that a lateral added, the same shape.
    """

    own: np.ndarray
    lateral: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Of the lateral in each channel, (C,): s_lateral / (s_own + s_lateral), 0 to 1.

        s is the standard deviation over clips and positions: a constant does not count,
        for batch normalisation takes it out. A channel that never changes has 0.
        """
        own, lateral = (part.std(axis=(0, 2, 3, 4)) for part in self)
        total = own + lateral
        return np.divide(lateral, total, out=np.zeros_like(total), where=total > 0)


def lateral_contributions(
    model: nn.Module, clips: Tensor | Pathways, reader: str = "a"
) -> dict[str, LateralParts]:
    """What laterals add to the convolution that reads them, channel by channel.

    The first block of the next stage reads Slow's channels and the lateral's together. A
    convolution is linear, so that its response is the sum of what each alone would give.

    Args:
        model: with two pathways and a fusion; left as it was.
        clips: as the model takes them. Many: a share of one clip says little.
        reader: "a" or "shortcut", the two convolutions that read the block's input.

    Returns:
        {"pool1": LateralParts, ...}; ``parts.share`` is (C,).

    Raises:
        ValueError: the model has no laterals; another reader.
    """
    check_choice("reader", reader, READERS)
    parts = {}

    def see(name, inputs, output):
        block = getattr(model.slow, NEXT_STAGE[name]).block0
        own = _without_lateral(inputs, output)
        responses = [getattr(block, reader)(x) for x in (own, output - own)]
        parts[name] = LateralParts(*(x.cpu().numpy() for x in responses))

    with eval_mode(model), watch(laterals_of(model), see), torch.no_grad():
        model(clips)
    return parts
