"""Lateral connections, Fast to Slow (section 3.3): what makes two pathways one model.

Fast has alpha times Slow's frames and beta of its channels. Before the two can be
joined, alpha frames must become one:

==============  ===================================================  ================
kind            how                                                  adds to Slow
==============  ===================================================  ================
``t_conv``      k x1x1 convolution of stride alpha, BN, ReLU         2 * C_fast
``t_sample``    every alpha-th frame                                 C_fast
``ttoc_concat`` alpha frames packed into channels                    alpha * C_fast
``ttoc_sum``    the same, added to Slow: needs alpha * beta = 1      nothing
``none``        no connection; the head alone joins the pathways     nothing
==============  ===================================================  ================
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slowfast_edu.checks import check_choice, check_kernel
from slowfast_edu.config import FUSIONS
from slowfast_edu.models.blocks import ConvBNReLU


def time_to_channel(fast: Tensor, alpha: int) -> Tensor:
    """Pack each ``alpha`` frames into the channels of one (TtoC, section 3.3).

    Args:
        fast: features whose number of frames ``alpha`` divides.
        alpha: frame-rate ratio.

    Shape: (B, C, alpha * T, H, W) -> (B, alpha * C, T, H, W); channel ``f * C + c`` is
    channel c of the f-th frame. The paper does not fix that order; no count depends on
    it.

    >>> time_to_channel(torch.zeros(1, 8, 32, 7, 7), alpha=8).shape
    torch.Size([1, 64, 4, 7, 7])
    """
    groups = fast.unflatten(2, (-1, alpha))  # (B, C, T, alpha, H, W)
    return groups.permute(0, 3, 1, 2, 4, 5).flatten(1, 2)


class LateralConnection(nn.Module):
    """Bring Fast's features to Slow's frames and join them.

    Args:
        fast_channels: channels of Fast at this place.
        alpha: frame-rate ratio.
        kind: one of ``config.FUSIONS``.
        kernel: temporal kernel of ``t_conv``; odd.
        enlarge: repeat Fast's pixels to Slow's size, for ``fast_input="half"``. (The
            paper does not say how it joined the two sizes.)

    Shape: Slow (B, C, T, H, W), Fast (B, C_fast, alpha * T, H, W)
        -> (B, C + added, T, H, W).

    Raises:
        ValueError: an unknown kind, an even kernel; features that do not go together.
    """

    def __init__(
        self,
        fast_channels: int,
        alpha: int = 8,
        kind: str = "t_conv",
        kernel: int = 5,
        enlarge: bool = False,
    ):
        super().__init__()
        check_choice("kind", kind, FUSIONS)
        check_kernel("kernel", kernel)
        self.alpha, self.kind, self.enlarge = alpha, kind, enlarge
        self.t_conv = None
        if kind == "t_conv":
            self.t_conv = ConvBNReLU(
                fast_channels, 2 * fast_channels, (kernel, 1, 1), (alpha, 1, 1)
            )

    def to_slow_frames(self, fast: Tensor) -> Tensor:
        """(B, C_fast, alpha * T, H, W) -> (B, added, T, H, W), for all kinds but none."""
        if self.kind == "t_conv":
            return self.t_conv(fast)
        if self.kind == "t_sample":
            return fast[:, :, :: self.alpha]
        return time_to_channel(fast, self.alpha)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        if self.kind == "none":
            return slow
        self._check(slow, fast)
        lateral = self.to_slow_frames(fast)
        if self.enlarge:
            lateral = F.interpolate(lateral, size=slow.shape[2:])  # repeats pixels
        if self.kind == "ttoc_sum":
            return slow + lateral
        return torch.cat([slow, lateral], dim=1)

    def _check(self, slow: Tensor, fast: Tensor) -> None:
        frames, size = self.alpha * slow.shape[2], tuple(slow.shape[3:])
        if fast.shape[2] != frames or not (self.enlarge or fast.shape[3:] == size):
            raise ValueError(
                f"Fast's features have {fast.shape[2]} frames of {tuple(fast.shape[3:])} "
                f"pixels; beside Slow's {slow.shape[2]} of {size} they must have alpha="
                f"{self.alpha} times as many, {frames}, of the same size"
            )

    def extra_repr(self) -> str:
        return f"kind={self.kind!r}, alpha={self.alpha}"
