"""From features to class scores."""

import torch
from torch import Tensor, nn

from slowfast_edu.checks import check_count


class ClassificationHead(nn.Module):
    """Global average pool of each pathway, concatenate, dropout, linear (Table 1).

    At 256x256 PySlowFast and PyTorchVideo slide a 7x7 window over the 8x8 features and
    average the scores instead; this head follows the paper and pools everything. At 224
    the two are the same.

    Args:
        in_channels: channels of all pathways together (2048 + 256 for R50).
        num_classes: scores to give.
        dropout: rate before the linear layer.
        kind: "linear", or "features" for the pooled features without a classifier.

    Shape: one (B, C_i, T_i, H_i, W_i) a pathway -> (B, num_classes) or (B, sum of C_i).

    Raises:
        ValueError: not a whole number of classes from 1 up.
    """

    def __init__(
        self, in_channels: int, num_classes: int, dropout: float = 0.5, kind: str = "linear"
    ):
        super().__init__()
        check_count("num_classes", num_classes)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Identity()
        if kind == "linear":
            self.projection = nn.Linear(in_channels, num_classes)

    def forward(self, *pathways: Tensor) -> Tensor:
        pooled = torch.cat([x.mean(dim=(2, 3, 4)) for x in pathways], dim=1)
        return self.projection(self.dropout(pooled))
