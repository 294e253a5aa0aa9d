"""Weights into a model: what kind a checkpoint is shows in it, not in its name."""

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from slowfast_edu.checkpoints.about import about_from
from slowfast_edu.checkpoints.key_maps import HEAD, KEY_MAPS
from slowfast_edu.checkpoints.reading import CheckpointError, read_checkpoint, unwrap
from slowfast_edu.checks import check_model
from slowfast_edu.config import FRAME_RULES, PRESETS


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """What ``load_checkpoint`` did.

    Attributes:
        source: "slowfast_edu", "pytorchvideo", "pyslowfast" or "caffe2".
        tensors: how many tensors were loaded.
        head: "loaded", or why the classifier keeps its fresh weights.
        frame_rule: how to choose frames for these weights; by now the model's own
            ``config.clip.frame_rule``.
    """

    source: str
    tensors: int
    head: str
    frame_rule: str


def translate(tensors: dict[str, Tensor], model: nn.Module) -> tuple[str, dict]:
    """(kind of checkpoint, the tensors under our names).

    Raises:
        CheckpointError: of no kind that is known.
    """
    signs = {kind: re.compile(sign) for kind, (sign, _) in KEY_MAPS.items()}
    kinds = [kind for kind, sign in signs.items() if any(map(sign.search, tensors))]
    if not kinds:
        some = ", ".join(sorted(tensors)[:3])
        raise CheckpointError(
            f"not a model of a known kind ({', '.join(KEY_MAPS)}); it begins with {some}"
        )
    kind = kinds[0]
    names = KEY_MAPS[kind][1](set(tensors))
    single = next(n for n in ("slow", "fast", "backbone") if getattr(model, n, None))
    state = {
        re.sub(r"^single\.", f"{single}.", name): tensors[key]
        for key, name in names.items()
    }
    return kind, _unflatten(state, model) if kind == "caffe2" else state


def _unflatten(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Give 1x1x1 kernels, which Caffe2 may keep flat, the shape that the model has."""
    shapes = {name: own.shape for name, own in model.state_dict().items()}
    unflat = {}
    for name, tensor in state.items():
        shape = shapes.get(name, tensor.shape)
        flat = shape == tensor.shape + (1,) * (len(shape) - tensor.ndim)
        unflat[name] = tensor.reshape(shape) if flat else tensor
    return unflat


def mismatches(state: dict, model: nn.Module) -> list[str]:
    """What keeps ``state`` from filling the model, the classifier aside."""
    own = {k: v for k, v in model.state_dict().items() if not k.startswith(HEAD)}
    state = {k: v for k, v in state.items() if not k.startswith(HEAD)}
    optional = ".num_batches_tracked"  # Caffe2 does not keep it
    missing = sorted(k for k in own.keys() - state.keys() if not k.endswith(optional))
    extra = sorted(state.keys() - own.keys())
    common = sorted(own.keys() & state.keys())
    wrong = [k for k in common if own[k].shape != state[k].shape]
    found = []
    for names, what in ((missing, "missing"), (extra, "not in the model")):
        if names:
            found.append(f"{len(names)} tensors {what}, such as {names[0]}")
    if wrong:
        theirs, ours = tuple(state[wrong[0]].shape), tuple(own[wrong[0]].shape)
        found.append(
            f"{len(wrong)} tensors of another shape, such as {wrong[0]}: {theirs} in the "
            f"checkpoint, {ours} in the model"
        )
    return found


def fitting_presets(tensors: dict[str, Tensor]) -> list[str]:
    """Presets that the checkpoint would fill, for the error message."""
    from slowfast_edu.models import build_model

    fitting = []
    for name in PRESETS:
        with torch.device("meta"):
            model = build_model(name)
        if not mismatches(translate(tensors, model)[1], model):
            fitting.append(name)
    return fitting


def head_problem(state: dict, model: nn.Module) -> str | None:
    """Why the checkpoint's classifier cannot be loaded, or None if it can."""
    own = {k: v.shape for k, v in model.state_dict().items() if k.startswith(HEAD)}
    given = {k: v.shape for k, v in state.items() if k.startswith(HEAD)}
    if own == given:
        return None
    if not own:
        return "the model gives features and has no classifier"
    if not given:
        return "the checkpoint has no classifier"
    if own.keys() != given.keys():
        return f"it has {sorted(given)}, the model has {sorted(own)}"
    name = max(key for key in own if own[key] != given[key])  # weight before bias
    theirs, ours = tuple(given[name]), tuple(own[name])
    if name.endswith("bias"):
        return f"the checkpoint's bias has shape {theirs}, the model's {ours}"
    return f"the checkpoint's is {theirs} (classes, features), the model's {ours}"


def _check_names(state: dict, names: Sequence[str]) -> None:
    """Refuse more or fewer names of classes than the head, of any kind, has scores."""
    for key, value in state.items():
        is_weight = key.startswith(HEAD) and key.endswith("weight") and value.ndim
        if names and is_weight and len(value) != len(names):
            raise CheckpointError(
                f"it names {len(names)} classes and has {len(value)} scores"
            )


def load_checkpoint(
    model: nn.Module,
    checkpoint: str | Path | Mapping[str, Tensor],
    frame_rule: str | None = None,
) -> LoadReport:
    """Load weights of any known kind into a model of this library.

    All of the model but the classifier is filled exactly, or nothing is changed. A
    classifier of another size keeps the model's fresh weights, with a warning.

    Args:
        model: from ``build_model``.
        checkpoint: a file, or a state dict under any of the known names.
        frame_rule: in place of what the checkpoint says: a file of ours names its rule,
            and the public zoos trained with "linspace". A state dict of ours says
            nothing, and the model keeps its rule.

    Raises:
        CheckpointError: unreadable, foreign, or for another model; the message names
            the presets that it would fit.
        ValueError: an unknown frame rule.
        TypeError: not a model of this library, or one inside a wrapper.
    """
    check_model(model)
    if frame_rule not in (None, *FRAME_RULES):
        raise ValueError(f"frame_rule={frame_rule!r} is not one of {FRAME_RULES}")
    is_file = isinstance(checkpoint, str | os.PathLike)
    label = str(checkpoint) if is_file else "state dict"
    content, metadata = read_checkpoint(checkpoint) if is_file else (checkpoint, {})
    return fill(model, label, content, metadata, frame_rule)


def fill(
    model: nn.Module,
    label: str,
    content: object,
    metadata: Mapping[str, str],
    frame_rule: str | None,
) -> LoadReport:
    """Load what was read from a file: see ``load_checkpoint``.

    Args:
        model: from ``build_model``.
        label: what messages call the file.
        content: of ``read_checkpoint``.
        metadata: of ``read_checkpoint``.
        frame_rule: in place of what the file says.

    Raises:
        CheckpointError: see ``load_checkpoint``; or it names more or fewer classes than it
            has scores.
    """
    stated = metadata.get("frame_rule")
    if stated not in (None, *FRAME_RULES):
        raise CheckpointError(f"{label}: frame_rule={stated!r} is not one of {FRAME_RULES}")
    try:
        about = about_from(metadata)
        tensors = unwrap(content)
        source, state = translate(tensors, model)
        _check_names(state, () if about is None else about.classes)
    except CheckpointError as error:
        raise CheckpointError(f"{label}: {error}") from None
    if wrong := mismatches(state, model):
        fits = " and ".join(fitting_presets(tensors)) or "no preset"
        raise CheckpointError(
            f"{label}: {source} weights for another model: {'; '.join(wrong)}; they fit "
            f"{fits}"
        )
    problem = head_problem(state, model)
    if problem:
        state = {k: v for k, v in state.items() if not k.startswith(HEAD)}
        warnings.warn(f"{label}: classifier not loaded: {problem}", stacklevel=3)
    model.load_state_dict(state, strict=False)
    ours = source == "slowfast_edu"
    default = model.config.clip.frame_rule if ours else "linspace"
    rule = frame_rule or stated or default
    model.config = replace(model.config, clip=replace(model.config.clip, frame_rule=rule))
    if about is not None and problem is None:
        model.about = about
    head = f"not loaded: {problem}" if problem else "loaded"
    return LoadReport(source=source, tensors=len(state), head=head, frame_rule=rule)
