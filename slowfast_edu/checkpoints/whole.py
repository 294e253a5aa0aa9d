"""A model in one file, with all that a user must know of it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from slowfast_edu.checkpoints.about import about_of, as_metadata, config_from
from slowfast_edu.checkpoints.key_maps import HEAD
from slowfast_edu.checkpoints.loading import (
    fill,
    fitting_presets,
    head_problem,
    mismatches,
    translate,
)
from slowfast_edu.checkpoints.reading import CheckpointError, read_checkpoint, unwrap
from slowfast_edu.checks import check_model
from slowfast_edu.config import ModelConfig
from slowfast_edu.files import write_whole

SCORES = HEAD + "weight"  # of a classifier: a row for each class
BOXES = HEAD + "boxes.weight"  # of a detector
WITHOUT = {
    SCORES: "it has no classifier, so that it predicts nothing",
    BOXES: "it holds no detector; to train one from a classifier's weights, fill its "
    "trunk: load_checkpoint(Detector(preset, classes), file)",
}
OF_A_DETECTOR = (
    "it is a detector's, which scores boxes and not whole clips; open it with "
    "load_detector of slowfast_edu.applications.detection"
)


def save_checkpoint(model: nn.Module, path: str | Path) -> Path:
    """Write a model's weights as safetensors, whole or not at all.

    ``model.config`` and ``model.about`` (an ``About``: names of classes, size of clips)
    travel in the file, so that ``load_model`` needs nothing else.

    Args:
        model: a model of this library.
        path: where; must end in ".safetensors". An existing file is replaced.

    Returns:
        The path written.

    Raises:
        ValueError: another ending.
        OSError: the folder is missing or cannot be written to; an existing file stays.
        TypeError: not a model of this library, or one inside a wrapper.
    """
    from safetensors.torch import save

    check_model(model)
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path} must end in .safetensors: {path.stem}.safetensors")
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    told = as_metadata(model.config, about_of(model))
    write_whole(path, save(state, {"format": "pt", **told}))
    return path


def load_model(checkpoint: str | Path, preset: str | None = None) -> nn.Module:
    """The trained model in a file: built, filled, in eval mode.

    Args:
        checkpoint: a file of any known kind.
        preset: which model it is for; a file of ours says so itself, and a preset then
            goes before what it says.

    Returns:
        The model, with ``config`` and ``about``, and as many scores as the file has.

    Raises:
        CheckpointError: unreadable, without a classifier, a detector's, for another model
            or an unknown preset, or a file that does not say which model it is for.

    >>> from importlib.resources import files
    >>> weights = files("slowfast_edu.results") / "slowfast_tiny_actions.safetensors"
    >>> load_model(str(weights)).about.classes[:3]
    ('box', 'clap', 'jump')
    """
    from slowfast_edu.models import build_model

    return load_built(checkpoint, build_model, SCORES, preset)


def load_built(
    checkpoint: str | Path, build: Callable, scores: str, preset: str | None = None
) -> nn.Module:
    """What ``build`` makes, filled from a file that nobody vouches for, in eval mode.

    Args:
        checkpoint: a file of any known kind.
        build: of a configuration and a number of classes: ``build_model``, ``Detector``.
        scores: the weight with a row for each class: ``SCORES`` or ``BOXES``.
        preset: see ``load_model``.

    Raises:
        CheckpointError: see ``load_model``; or ``build`` refuses the configuration.
    """
    content, metadata = read_checkpoint(checkpoint)
    try:
        config = config_from(metadata) if preset is None else preset
        model = _sized(unwrap(content), config, build, scores)
    except ValueError as error:
        raise CheckpointError(f"{checkpoint}: {error}") from error
    fill(model, str(checkpoint), content, metadata, None)
    return model.eval()


def _sized(
    tensors: dict, config: ModelConfig | str | None, build: Callable, scores: str
) -> nn.Module:
    """A fresh model with as many scores as the file has.

    Where the file would not fill it, it has no memory: filling it then says what differs.
    """
    if config is None:
        fits = ", ".join(fitting_presets(tensors)) or "none"
        raise CheckpointError(
            f"it does not say which model it is for; name a preset; its weights fit {fits}"
        )
    with torch.device("meta"):  # costs nothing, whatever the file says of widths
        model = build(config, 1)
    _, state = translate(tensors, model)
    if mismatches(state, model):
        return model
    weight = state.get(scores, torch.zeros(0, 0))
    if weight.ndim != 2 or not len(weight):
        other = scores == SCORES and BOXES in state
        raise CheckpointError(OF_A_DETECTOR if other else WITHOUT[scores])
    _check_stored(state)
    model = build(config, len(weight))
    if problem := head_problem(state, model):
        raise CheckpointError(f"its classifier does not fit: {problem}")
    return model


def _check_stored(state: Mapping[str, Tensor]) -> None:
    """Refuse a tensor whose numbers are not all there: one may stand for a billion."""
    for name, tensor in state.items():
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise CheckpointError(
                f"{name} claims shape {tuple(tensor.shape)}, and fewer numbers are there"
            )
