"""Models that accuracy tables quote beside SlowFast, built to be counted and run.

C2D, I3D and R(2+1)D on ResNet-50 are ``Pathway`` with other kernels; Inception-v1 I3D
(Carreira and Zisserman, CVPR 2017) and R(2+1)D-34 (Tran et al., CVPR 2018) are here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slowfast_edu.config import BaselineConfig
from slowfast_edu.models.blocks import ConvBNReLU, Pathway, conv3d, init_weights
from slowfast_edu.models.heads import ClassificationHead
from slowfast_edu.models.inputs import check_clip
from slowfast_edu.models.plan import baseline_plan

# Inception-v1: output channels of the four branches, as
# 1x1 | 1x1 -> 3x3 | 1x1 -> 3x3 | pool -> 1x1. In I3D all of 3x3 became 3x3x3.
INCEPTION_BLOCKS = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
# Max-pools of I3D, by the block before which they stand: (kernel, stride).
INCEPTION_POOLS = {
    "mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
R34_BLOCKS = (3, 4, 6, 3)
R34_WIDTHS = (64, 128, 256, 512)


def same_padding(sizes, kernel, stride) -> list[int]:
    """TensorFlow's SAME: the output has ceil(size / stride); the odd pixel goes last."""
    pads = []
    for size, k, s in reversed(list(zip(sizes, kernel, stride, strict=True))):
        total = max(0, (-(-size // s) - 1) * s + k - size)
        pads += [total // 2, total - total // 2]
    return pads


class SamePadConv(ConvBNReLU):
    """conv -> BN -> ReLU with SAME padding, as I3D was trained.

    Shape: (B, C_in, T, H, W) -> (B, C_out, T/s_t, H/s, W/s), rounded up.
    """

    def __init__(self, in_channels, out_channels, kernel, stride=(1, 1, 1)):
        super().__init__(in_channels, out_channels, kernel, stride)
        self.conv.padding = (0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.conv.kernel_size, self.conv.dilation, strict=True)
        kernel = [d * (k - 1) + 1 for k, d in pairs]  # from the first to the last pixel
        pads = same_padding(x.shape[2:], kernel, self.conv.stride)
        return super().forward(F.pad(x, pads))


class SamePadMaxPool(nn.Module):
    """Max-pooling with SAME padding.

    Shape: (B, C, T, H, W) -> (B, C, T/s_t, H/s, W/s), rounded up.
    """

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        pads = same_padding(x.shape[2:], self.kernel, self.stride)
        return F.max_pool3d(F.pad(x, pads), self.kernel, self.stride)


class InceptionBlock(nn.Module):
    """Four branches side by side, concatenated.

    Shape: (B, in, T, H, W) -> (B, sum of the branches, T, H, W).
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...]):
        super().__init__()
        b0, b1_in, b1, b2_in, b2, b3 = widths
        one, three = (1, 1, 1), (3, 3, 3)
        self.branch0 = SamePadConv(in_channels, b0, one)
        self.branch1 = nn.Sequential(
            SamePadConv(in_channels, b1_in, one), SamePadConv(b1_in, b1, three)
        )
        self.branch2 = nn.Sequential(
            SamePadConv(in_channels, b2_in, one), SamePadConv(b2_in, b2, three)
        )
        self.branch3 = nn.Sequential(
            SamePadMaxPool(three, one), SamePadConv(in_channels, b3, one)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torch.cat([branch(x) for branch in branches], dim=1)


class WindowPool(nn.Module):
    """Average over windows of 2x7x7, I3D's last pooling; smaller clips shrink it.

    Shape: (B, C, T, H, W) -> (B, C, T - 1, H - 6, W - 6), at least 1 each.
    """

    def forward(self, x: Tensor) -> Tensor:
        sizes = zip((2, 7, 7), x.shape[2:], strict=True)
        window = tuple(min(k, size) for k, size in sizes)
        return F.avg_pool3d(x, window, stride=1)


class InceptionI3D(nn.Sequential):
    """Inception-v1 inflated to 3D.

    Shape: (B, 3, T, H, W) -> (B, 1024, T', H', W'), 7x1x1 from 64x224x224.
    """

    out_channels = 1024

    def __init__(self):
        super().__init__()
        self.conv1 = SamePadConv(3, 64, (7, 7, 7), (2, 2, 2))
        self.pool1 = SamePadMaxPool((1, 3, 3), (1, 2, 2))
        self.conv2b = SamePadConv(64, 64, (1, 1, 1))
        self.conv2c = SamePadConv(64, 192, (3, 3, 3))
        in_channels = 192
        for name, widths in INCEPTION_BLOCKS.items():
            if name in INCEPTION_POOLS:
                pool = SamePadMaxPool(*INCEPTION_POOLS[name])
                self.add_module(f"pool_{name[-2:]}", pool)
            self.add_module(name, InceptionBlock(in_channels, widths))
            in_channels = inception_out_channels(widths)
        self.pool_last = WindowPool()


def inception_out_channels(widths: tuple[int, ...]) -> int:
    """Channels of the four branches together."""
    return widths[0] + widths[2] + widths[4] + widths[5]


def r2plus1d_middle(in_channels: int, out_channels: int) -> int:
    """Middle width that gives (2+1)D the weights of a 3x3x3 convolution (section 3.5).

    Computed anew for each convolution, which gives the 152 GFLOPs of the tables; with
    one width a block, as torchvision has it, the model counts 150.4.
    """
    full = 27 * in_channels * out_channels
    return full // (9 * in_channels + 3 * out_channels)


class R2Plus1DConv(nn.Sequential):
    """1x3x3, BN, ReLU, 3x1x1, BN: strides of space in the first, of time in the second.

    Shape: (B, in, T, H, W) -> (B, out, T/s, H/s, W/s), rounded up.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        middle = r2plus1d_middle(in_channels, out_channels)
        self.spatial = ConvBNReLU(in_channels, middle, (1, 3, 3), (1, stride, stride))
        self.temporal = conv3d(middle, out_channels, (3, 1, 1), (stride, 1, 1))
        self.bn = nn.BatchNorm3d(out_channels)


class R2Plus1DBlock(nn.Module):
    """The basic block of ResNet-34 with both convolutions factorised.

    Shape: (B, in, T, H, W) -> (B, out, T/s, H/s, W/s), rounded up.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = R2Plus1DConv(in_channels, out_channels, stride)
        self.conv2 = R2Plus1DConv(out_channels, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                conv3d(in_channels, out_channels, (1, 1, 1), (stride,) * 3),
                nn.BatchNorm3d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.relu(self.conv1(x)))
        return self.relu(y + self.shortcut(x))


class R2Plus1D34(nn.Sequential):
    """R(2+1)D-34.

    Shape: (B, 3, T, H, W) -> (B, 512, T/8, H/16, W/16), rounded up.
    """

    out_channels = 512

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(
            ConvBNReLU(3, 45, (1, 7, 7), (1, 2, 2)), ConvBNReLU(45, 64, (3, 1, 1))
        )
        in_channels = 64
        for index, (count, width) in enumerate(zip(R34_BLOCKS, R34_WIDTHS, strict=True)):
            blocks = []
            for i in range(count):
                stride = 2 if i == 0 and index > 0 else 1
                blocks.append(R2Plus1DBlock(in_channels, width, stride))
                in_channels = width
            self.add_module(f"res{index + 2}", nn.Sequential(*blocks))


class Baseline(nn.Module):
    """A single backbone and the linear head.

    Args:
        config: which baseline.
        num_classes: scores to give.

    Shape: (B, 3, T, H, W) -> (B, num_classes); any T, and H and W from 32 up.

    Raises:
        TypeError, ValueError: a clip that the model cannot take; see ``check_clip``.
    """

    def __init__(self, config: BaselineConfig, num_classes: int = 400):
        super().__init__()
        self.config = config
        if config.kind == "i3d_inception":
            self.backbone = InceptionI3D()
            features = self.backbone.out_channels
        elif config.kind == "r2plus1d_34":
            self.backbone = R2Plus1D34()
            features = self.backbone.out_channels
        else:
            plan = baseline_plan(config)
            self.backbone, features = Pathway(plan), plan.out_channels
        self.head = ClassificationHead(features, num_classes, config.dropout)
        init_weights(self)

    def forward(self, clip: Tensor) -> Tensor:
        check_clip(clip, channels=3)
        return self.head(self.backbone(clip))
