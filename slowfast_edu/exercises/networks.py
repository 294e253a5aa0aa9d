"""What is compared of a network that a learner built."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd


def fill(network: nn.Module) -> None:
    """Give every weight a value that depends on its shape and its kind alone.

    Two networks with the same layers then compute the same, whatever their parts are
    called and in whatever order they were made.

    Args:
        network: changed in place, and put into eval mode.
    """
    network.eval()
    for name, values in network.state_dict().items():
        kind = name.rsplit(".", 1)[-1]
        if not values.is_floating_point():
            continue
        generator = torch.Generator().manual_seed(_number(kind, tuple(values.shape)))
        drawn = torch.randn(values.shape, generator=generator)
        fan_in = math.prod(values.shape[1:]) or 1
        values.copy_(1 + 0.2 * drawn.tanh() if values.ndim == 1 else drawn / fan_in**0.5)


def _number(kind: str, shape: tuple[int, ...]) -> int:
    """A seed for a kind of weight and a shape."""
    return sum(ord(c) * 7**i for i, c in enumerate(kind[-8:])) + 31 * sum(
        size * 101**i for i, size in enumerate(shape)
    )


def behaviour(network: nn.Module, *shapes: Sequence[int]) -> dict:
    """What a network is, seen from outside: its size, and what it makes of given clips.

    Args:
        network: weights are overwritten (``fill``).
        shapes: of its inputs, (B, C, T, H, W) each.

    Returns:
        {"parameters": weights and biases, "dropouts": layers that drop at random in
        training, "output": a tensor, or a tuple of such}.

    Raises:
        TypeError: it is no ``nn.Module``.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"{type(network).__name__} is no nn.Module: return a network")
    fill(network)
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randn(tuple(shape), generator=generator) for shape in shapes]
    with torch.no_grad():
        output = network(*clips)
    size = sum(weights.numel() for weights in network.parameters())
    dropouts = sum(isinstance(layer, _DropoutNd) for layer in network.modules())
    return {"parameters": size, "dropouts": dropouts, "output": output}
