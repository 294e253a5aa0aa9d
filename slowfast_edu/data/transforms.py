"""From decoded frames to what a model takes."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MEAN, STD = 0.45, 0.225  # of all channels alike, as PySlowFast and PyTorchVideo use


def normalize(frames: np.ndarray) -> Tensor:
    """Bytes to numbers around zero: (x / 255 - 0.45) / 0.225.

    Args:
        frames: uint8 RGB of shape (T, H, W, 3), as ``read_frames`` gives them.

    Returns:
        float32 of shape (1, 3, T, H, W).

    Raises:
        ValueError: another shape or type.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(
            f"frames are {frames.dtype} of shape {frames.shape}, must be uint8 of shape "
            "(T, H, W, 3)"
        )
    clip = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None]
    return (clip.float() / 255 - MEAN) / STD


def center_crop(clip: Tensor, crop: int) -> Tensor:
    """Scale the shorter side to ``crop`` pixels and cut the middle square.

    Args:
        clip: (B, C, T, H, W).
        crop: side of the square in pixels.

    Returns:
        (B, C, T, crop, crop).

    Raises:
        ValueError: another rank, or a crop below 1.
    """
    if clip.ndim != 5 or crop < 1:
        raise ValueError(
            f"clip of shape {tuple(clip.shape)} and crop={crop}: they must be "
            "(B, C, T, H, W) and at least 1 pixel"
        )
    height, width = clip.shape[3:]
    scale = crop / min(height, width)
    if scale != 1:
        size = max(crop, round(height * scale)), max(crop, round(width * scale))
        batch, _, frames = clip.shape[:3]
        images = clip.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
        images = F.interpolate(images, size=size, mode="bilinear", antialias=True)
        clip = images.unflatten(0, (batch, frames)).transpose(1, 2)
    top, left = (clip.shape[3] - crop) // 2, (clip.shape[4] - crop) // 2
    return clip[:, :, :, top : top + crop, left : left + crop]
