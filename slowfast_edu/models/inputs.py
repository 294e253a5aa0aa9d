"""What a model takes: checked clips, and the two pathways' inputs made from one clip."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from slowfast_edu.checks import check_count, nearest_multiples
from slowfast_edu.config import (
    FAST_INPUT_CHANNELS,
    LUMA,
    MIN_SIZE,
    ModelConfig,
    SlowFastConfig,
)
from slowfast_edu.sampling import slow_positions


class Pathways(NamedTuple):
    """The inputs of the two pathways, for who prepares them apart.

    Shape: slow (B, 3, T, H, W); fast (B, C, alpha * T, H, W), where C and the size are
    those of ``fast_input``: 1 for gray and time difference, 2 for flow, half the size
    for "half". A model with one pathway ignores the other entry.
    """

    slow: Tensor | None
    fast: Tensor | None


def check_clip(
    clip: Tensor,
    channels: int,
    frame_multiple: int = 1,
    name: str = "clip",
    min_size: int = MIN_SIZE,
) -> None:
    """Refuse a tensor that the model cannot take, saying what would do.

    Args:
        clip: expected (B, C, T, H, W) of floating-point numbers.
        channels: the C that it must have.
        frame_multiple: what T must be a multiple of; the model's alpha.
        name: what to call it in the message.
        min_size: the least height and width.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: wrong rank, channels, frame count or size.
    """
    if not isinstance(clip, Tensor) or not clip.is_floating_point():
        kind = clip.dtype if isinstance(clip, Tensor) else f"a {type(clip).__name__}"
        raise TypeError(
            f"{name} is {kind}, must be one floating-point tensor (B, C, T, H, W); uint8 "
            "frames become one by slowfast_edu.data.transforms.normalize, and Pathways are "
            "for models with two pathways"
        )
    shape = tuple(clip.shape)
    if clip.ndim != 5:
        hint = "; add the batch dimension: clip[None]" if clip.ndim == 4 else ""
        raise ValueError(f"{name} has shape {shape}, must be (B, C, T, H, W){hint}")
    batch, has_channels, frames, height, width = shape
    if batch == 0 or has_channels != channels:
        last = has_channels != channels and width == channels
        hint = "; channels come second: clip.permute(0, 4, 1, 2, 3)" if last else ""
        raise ValueError(
            f"{name} has shape {shape}, so B={batch}, C={has_channels}; must be "
            f"(B, C, T, H, W) with B at least 1 and C={channels}{hint}"
        )
    if frames == 0 or frames % frame_multiple:
        near = nearest_multiples(frames, frame_multiple)
        raise ValueError(
            f"{name} has T={frames} frames, must be a multiple of "
            f"alpha={frame_multiple}; the nearest: {near}"
        )
    if min(height, width) < min_size:
        raise ValueError(
            f"{name} is {height}x{width} pixels (H x W), both must be at least "
            f"{min_size}; the nearest is {max(height, min_size)}x{max(width, min_size)}"
        )


def _fast_input(clip: Tensor, config: SlowFastConfig) -> Tensor:
    """What Fast sees of RGB frames (Table 5c): (B, 3, T, H, W) -> (B, C, T, H', W')."""
    if config.fast_input == "rgb":
        return clip
    if config.fast_input == "half":
        return F.avg_pool3d(clip, (1, 2, 2))
    gray = (clip * clip.new_tensor(LUMA).view(1, 3, 1, 1, 1)).sum(dim=1, keepdim=True)
    if config.fast_input == "gray":
        return gray
    # Each frame minus the one before it, at Fast's stride; the first has none before.
    return torch.diff(gray, dim=2, prepend=gray[:, :, :1])


def split_pathways(clip: Tensor | Pathways, config: SlowFastConfig) -> Pathways:
    """Make both pathways' inputs out of one clip of Fast frames, or check given ones.

    Slow's frames are taken by ``config.clip.frame_rule``; a pathway that the model does
    not have is None.

    Shape: (B, 3, alpha * T, H, W) -> Pathways((B, 3, T, H, W), (B, C, alpha * T, H, W)).

    Raises:
        TypeError, ValueError: see ``check_clip``; also flow asked of frames, and
            pathways whose frame counts do not go together.
    """
    alpha = config.clip.alpha
    want_slow, want_fast = config.pathways != "fast", config.pathways != "slow"
    if isinstance(clip, tuple) and len(clip) == 2:  # tracers hand a plain tuple over
        return _check_pathways(Pathways(*clip), config)
    if want_fast and config.fast_input == "flow":
        raise ValueError(
            "fast_input='flow' cannot be computed from frames; give "
            "Pathways(slow, fast) with 2-channel flow of (B, 2, alpha * T, H, W) as fast"
        )
    check_clip(clip, channels=3, frame_multiple=alpha)
    positions = slow_positions(clip.shape[2], alpha, config.clip.frame_rule)
    slow = clip[:, :, positions.tolist()] if want_slow else None
    return Pathways(slow, _fast_input(clip, config) if want_fast else None)


def _check_pathways(clip: Pathways, config: SlowFastConfig) -> Pathways:
    alpha, slow, fast = config.clip.alpha, clip.slow, clip.fast
    slow = slow if config.pathways != "fast" else None
    fast = fast if config.pathways != "slow" else None
    if config.pathways != "fast":
        check_clip(slow, channels=3, name="Pathways.slow")
    if config.pathways != "slow":
        channels = FAST_INPUT_CHANNELS[config.fast_input]
        scale = 2 if config.fast_input == "half" else 1
        check_clip(fast, channels, alpha, "Pathways.fast", MIN_SIZE // scale)
    if slow is None or fast is None:
        return Pathways(slow, fast)
    if fast.shape[2] != alpha * slow.shape[2]:
        raise ValueError(
            f"Pathways.fast has {fast.shape[2]} frames and Pathways.slow "
            f"{slow.shape[2]}; Fast must have alpha={alpha} times Slow's: "
            f"{alpha * slow.shape[2]}"
        )
    batch, size = slow.shape[0], tuple(side // scale for side in slow.shape[3:])
    if fast.shape[0] != batch or tuple(fast.shape[3:]) != size:
        raise ValueError(
            f"Pathways.fast has B={fast.shape[0]} and {fast.shape[3]}x{fast.shape[4]} "
            f"pixels; beside Pathways.slow of B={batch} and "
            f"{slow.shape[3]}x{slow.shape[4]} it must have B={batch} and "
            f"{size[0]}x{size[1]}"
        )
    return Pathways(slow, fast)


def example_clip(
    config: ModelConfig, crop: int = 224, device: str | torch.device = "cpu"
) -> Tensor | Pathways:
    """Zeros of the size that a model of this configuration takes, batch 1.

    Args:
        config: any model's configuration.
        crop: height and width in pixels.
        device: where to make them; "meta" costs no memory.

    Raises:
        ValueError: a crop below 32.

    >>> from slowfast_edu.config import PRESETS
    >>> example_clip(PRESETS["slowfast_4x16_r50"], crop=64).shape
    torch.Size([1, 3, 32, 64, 64])
    """
    check_count("crop", crop, least=MIN_SIZE)
    frames = config.clip.fast_frames
    clip = torch.zeros(1, 3, frames, crop, crop, device=device)
    if getattr(config, "fast_input", "rgb") == "flow":
        return Pathways(clip[:, :, :: config.clip.alpha], clip[:, :2])
    return clip
