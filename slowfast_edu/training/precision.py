"""Mixed precision: float32 weights, cheaper arithmetic where it is safe."""

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PRECISIONS = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """The context in which a forward pass runs: autocast, or nothing for float32."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


class PaddedInTime(nn.Conv3d):
    """A convolution that pads time beforehand where a clip is shorter than its kernel.

    The result is the same. On the CPU torch 2.13 gives wrong gradients, even NaN, for the
    bf16 weights of a temporal convolution of stride 1 with 1 < T < kernel when it pads
    itself. Seen on one type of CPU.
    """

    def _conv_forward(self, clip: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        frames, (in_time, *in_space) = clip.shape[2], self.padding
        if not 1 < frames < self.kernel_size[0] or self.stride[0] != 1:
            return super()._conv_forward(clip, weight, bias)
        clip = F.pad(clip, (0, 0, 0, 0, in_time, in_time))
        padding = (0, *in_space)
        return F.conv3d(
            clip, weight, bias, self.stride, padding, self.dilation, self.groups
        )


def guard_short_clips(model: nn.Module) -> None:
    """Make every temporal convolution of a model safe for bf16; see ``PaddedInTime``."""
    for module in model.modules():
        if type(module) is nn.Conv3d and module.kernel_size[0] > 1:
            module.__class__ = PaddedInTime
