"""What comes out of each stage: the right-hand columns of Table 1, read off a run."""

import torch
from torch import Tensor, nn

from slowfast_edu.models.inputs import Pathways, example_clip


def count_parameters(model: nn.Module) -> int:
    """Number of learnable values.

    >>> count_parameters(nn.Conv3d(3, 8, (5, 7, 7), bias=False))
    5880
    """
    return sum(p.numel() for p in model.parameters())


def stage_shapes(
    model: nn.Module, clip: Tensor | Pathways | None = None
) -> dict[str, tuple[int, ...]]:
    """Output shapes of every stage, in the order in which they run.

    Args:
        model: a model of this library, on any device ("meta" makes it free).
        clip: what to run; by default zeros of the configuration's size at 224x224.

    Returns:
        ``{"slow.conv1": (B, C, T, H, W), ..., "head": (B, num_classes)}``. A lateral's
        entry is Slow after the connection.
    """
    if clip is None:
        clip = example_clip(model.config, device=next(model.parameters()).device)
    shapes, hooks = {}, []

    def remember(name):
        def hook(_module, _inputs, output):
            shapes[name] = tuple(output.shape)

        return hook

    for pathway, module in model.named_children():
        parts = {"": module} if pathway == "head" else dict(module.named_children())
        for name, part in parts.items():
            label = f"{pathway}.{name}" if name else pathway
            hooks.append(part.register_forward_hook(remember(label)))
    was_training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model(clip)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return shapes


def summarize(model: nn.Module, crop: int = 224, depth: int = 2):
    """A torchinfo summary whose rows carry the stages' names.

    Args:
        model: a model of this library.
        crop: height and width in pixels.
        depth: levels to show: 2 is stages, 3 is blocks.

    Returns:
        torchinfo's ``ModelStatistics``; print it. Its "Mult-Adds" also counts batch
        normalisation, so it is a little above the paper's.
    """
    from torchinfo import summary  # slow to import

    clip = example_clip(model.config, crop, next(model.parameters()).device)
    return summary(
        model,
        input_data=[tuple(clip) if isinstance(clip, Pathways) else clip],
        depth=depth,
        row_settings=("var_names",),
        col_names=("output_size", "num_params", "mult_adds"),
        col_width=20,
        verbose=0,
    )
