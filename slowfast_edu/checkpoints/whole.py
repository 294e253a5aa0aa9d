"""A model in one file, with all that a user must know of it."""

from collections.abc import Mapping
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
        CheckpointError: unreadable, without a classifier, for another model, or a file
            that does not say which model it is for.
        ValueError: an unknown preset.

    >>> from importlib.resources import files
    >>> weights = files("slowfast_edu.results") / "slowfast_tiny_actions.safetensors"
    >>> load_model(str(weights)).about.classes[:3]
    ('box', 'clap', 'jump')
    """
    content, metadata = read_checkpoint(checkpoint)
    try:
        model = _sized(content, config_from(metadata) if preset is None else preset)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint}: {error}") from error
    fill(model, str(checkpoint), content, metadata, None)
    return model.eval()


def _sized(content: object, config: ModelConfig | str | None) -> nn.Module:
    """A fresh model with as many scores as the file has.

    Where the file would not fill it, it has no memory: filling it then says what differs.
    """
    from slowfast_edu.models import build_model

    tensors = unwrap(content)
    if config is None:
        fits = ", ".join(fitting_presets(tensors)) or "none"
        raise CheckpointError(
            f"it does not say which model it is for; name a preset; its weights fit {fits}"
        )
    with torch.device("meta"):  # costs nothing, whatever the file says of widths
        model = build_model(config)
    _, state = translate(tensors, model)
    if mismatches(state, model):
        return model
    scores = state.get(HEAD + "weight", torch.zeros(0, 0))
    if scores.ndim != 2 or not len(scores):
        raise CheckpointError("it has no classifier, so that it predicts nothing")
    _check_stored(state)
    model = build_model(config, len(scores))
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
