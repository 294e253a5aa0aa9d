"""The parts of a pathway: conv1, the bottleneck block, the residual stage.

All convolutions are without bias and followed by batch normalisation (eps 1e-5,
momentum 0.1, PyTorch's defaults). No pathway of SlowFast strides in time (section 3.2).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from slowfast_edu.models.non_local import NonLocalBlock
from slowfast_edu.models.plan import PathwayPlan, StagePlan


def conv3d(
    in_channels: int,
    out_channels: int,
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Conv3d:
    """A convolution without bias whose padding keeps the size at stride 1."""
    padding = tuple(k // 2 for k in kernel)
    return nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False)


class ConvBNReLU(nn.Module):
    """conv -> BN -> ReLU, as in conv1 and in the lateral T-conv.

    Shape: (B, C_in, T, H, W) -> (B, C_out, T/s_t, H/s, W/s), rounded up.
    """

    def __init__(self, in_channels, out_channels, kernel, stride=(1, 1, 1)):
        super().__init__()
        self.conv = conv3d(in_channels, out_channels, kernel, stride)
        self.bn = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """The block of Table 1: a (k_t x 1 x 1), b (1 x 3 x 3), c (1 x 1 x 1), shortcut.

    The strides sit on b and on the shortcut. With ``factorised`` b is R(2+1)D's: a
    3x1x1 convolution, BN, ReLU, and then 1x3x3.

    Args:
        in_channels: channels of the input.
        inner_channels: channels of a and b; the output has 4 times as many.
        temporal_kernel: k_t of conv a.
        stride: (temporal, spatial).
        factorised: R(2+1)D's conv b.

    Shape: (B, in, T, H, W) -> (B, 4 * inner, T/s_t, H/s, W/s), rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        temporal_kernel: int = 1,
        stride: tuple[int, int] = (1, 1),
        factorised: bool = False,
    ):
        super().__init__()
        out_channels, inner = 4 * inner_channels, inner_channels
        in_time, in_space = stride
        self.a = conv3d(in_channels, inner, (temporal_kernel, 1, 1))
        self.a_bn = nn.BatchNorm3d(inner)
        self.b_temporal = None
        if factorised:
            self.b_temporal = ConvBNReLU(inner, inner, (3, 1, 1), (in_time, 1, 1))
            in_time = 1
        self.b = conv3d(inner, inner, (1, 3, 3), (in_time, in_space, in_space))
        self.b_bn = nn.BatchNorm3d(inner)
        self.c = conv3d(inner, out_channels, (1, 1, 1))
        self.c_bn = nn.BatchNorm3d(out_channels)
        self.shortcut = None
        if in_channels != out_channels or stride != (1, 1):
            steps = (stride[0], in_space, in_space)
            self.shortcut = conv3d(in_channels, out_channels, (1, 1, 1), steps)
            self.shortcut_bn = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut_bn(self.shortcut(x))
        x = self.relu(self.a_bn(self.a(x)))
        if self.b_temporal is not None:
            x = self.b_temporal(x)
        x = self.relu(self.b_bn(self.b(x)))
        x = self.c_bn(self.c(x))
        return self.relu(x + shortcut)


class Stage(nn.Sequential):
    """A residual stage: ``block0``, ``block1``, ...; the first one strides.

    Non-local blocks, where the plan has them, follow their block as ``nonlocal6``.

    Shape: (B, in, T, H, W) -> (B, out, T/s_t, H/s, W/s), rounded up.
    """

    def __init__(self, plan: StagePlan):
        super().__init__()
        in_channels, stride = plan.in_channels, (plan.temporal_stride, plan.spatial_stride)
        for i, kernel in enumerate(plan.temporal_kernels):
            block = Bottleneck(
                in_channels, plan.inner_channels, kernel, stride, plan.factorised
            )
            self.add_module(f"block{i}", block)
            if plan.non_local is not None and i in plan.non_local.blocks:
                attend = NonLocalBlock(plan.out_channels, plan.non_local.pool)
                self.add_module(f"nonlocal{i}", attend)
            in_channels, stride = plan.out_channels, (1, 1)


class TemporalPool2(nn.Module):
    """Max over pairs of frames, after res2 of C2D and I3D; one frame passes as it is.

    Shape: (B, C, T, H, W) -> (B, C, max(1, T // 2), H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(x, kernel_size=(min(2, x.shape[2]), 1, 1))


class Pathway(nn.Sequential):
    """conv1, pool1, res2, res3, res4, res5: the rows of Table 1, under their names.

    Shape: (B, C, T, H, W) -> (B, C_res5, T, H/32, W/32), rounded up.
    """

    def __init__(self, plan: PathwayPlan):
        super().__init__()
        self.conv1 = ConvBNReLU(
            plan.in_channels,
            plan.stem_channels,
            kernel=(plan.stem_kernel, 7, 7),
            stride=(1, 2, 2),
        )
        if plan.spatial_pool1:
            self.pool1 = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        for stage in plan.stages:
            self.add_module(stage.name, Stage(stage))
            if plan.temporal_pool2 and stage.name == "res2":
                self.pool2 = TemporalPool2()


def init_weights(model: nn.Module) -> None:
    """He initialisation (paper, appendix): fan-out normal for convolutions.

    BN starts at weight 1 and bias 0, the classifier at N(0, 0.01) and bias 0; a
    non-local block's last BN starts at weight 0, so that the block begins as the
    identity (Wang et al. 2018). Tensors on "meta", which hold no values, are left alone.
    """
    if next(model.parameters()).is_meta:
        return
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
        elif isinstance(module, NonLocalBlock):
            nn.init.zeros_(module.bn.weight)
