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


class PaddedBefore(nn.Conv3d):
    """A convolution that pads first, on its own, where the clip is less than its kernel.

    The result is the same. On the CPU torch 2.13 gives wrong gradients, even NaN, for the
    bf16 weights of most such convolutions when it pads itself: of temporal ones with
    1 < T < kernel, and of 3x3 ones with stride 2 over one pixel. It also writes where it
    must not, and the process may die. Seen on CPUs with AVX-512.
    """

    def _conv_forward(self, clip: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        before, within = [], []
        for side, kernel, padding in zip(
            clip.shape[2:], self.kernel_size, self.padding, strict=True
        ):
            before.append(padding if side < kernel else 0)
            within.append(padding - before[-1])
        if any(before):
            in_time, in_height, in_width = before
            sides = (in_width, in_width, in_height, in_height, in_time, in_time)
            clip = F.pad(clip, sides)
        return F.conv3d(clip, weight, bias, self.stride, within, self.dilation, self.groups)


def guard_short_clips(model: nn.Module) -> None:
    """Make every convolution of a model safe for bf16; see ``PaddedBefore``."""
    for module in model.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = PaddedBefore
