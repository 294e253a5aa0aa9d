"""The non-local block (Wang et al., CVPR 2018) as "R101+NL" uses it (Table 2)."""

import torch.nn.functional as F
from torch import Tensor, nn


class NonLocalBlock(nn.Module):
    """Every position looks at every other: y = x + BN(out(g . phi^T theta / P)).

    PySlowFast's dot-product form: the pairwise products are divided by the number P of
    positions looked at, with no softmax; convolutions have a bias; the input of phi and
    g is max-pooled. A pool larger than the clip shrinks to it.

    Args:
        channels: width of the input; the inner width is half of it.
        pool: (T, H, W) of the max-pooling.

    Shape: (B, C, T, H, W) -> the same.
    """

    def __init__(self, channels: int, pool: tuple[int, int, int] = (1, 2, 2)):
        super().__init__()
        inner = channels // 2
        self.pool = pool
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        sizes = zip(self.pool, x.shape[2:], strict=True)
        pooled = F.max_pool3d(x, tuple(min(pool, size) for pool, size in sizes))
        theta = self.theta(x).flatten(2)  # (B, C/2, P_query)
        phi = self.phi(pooled).flatten(2)  # (B, C/2, P)
        g = self.g(pooled).flatten(2)  # (B, C/2, P)
        affinity = theta.transpose(1, 2) @ phi / phi.shape[2]  # (B, P_query, P)
        y = (g @ affinity.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.bn(self.out(y))
