"""Who does what where (section 5): any model's trunk, and a head that asks about boxes.

As in Faster R-CNN, but for the boxes, which come from elsewhere: res5 keeps the size of
res4's output, and what lies in a box is pooled to one vector a pathway.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slowfast_edu.checks import check_count
from slowfast_edu.config import BaselineConfig, ModelConfig
from slowfast_edu.models.baselines import Baseline
from slowfast_edu.models.blocks import init_weights
from slowfast_edu.models.inputs import Pathways, check_clip, split_pathways
from slowfast_edu.models.slowfast import SlowFast, pathway_features

STRIDE = 16  # pixels of a pathway's input in one cell of its features
BINS, SAMPLES = 7, 2  # RoIAlign's: 7x7 bins, 2x2 samples in each
INCEPTION_LAST = ("pool_5b", "mixed_5b", "mixed_5c")


def roi_align(
    maps: Tensor, boxes: Tensor, stride: float, bins: int = BINS, samples: int = SAMPLES
) -> Tensor:
    """What lies in each box: bins x bins averages of bilinear samples (He et al. 2017).

    Rows and columns of a sample have weights of their own, so a box is two small
    matrices: rows @ map @ columns. The map enters linearly: it may be averaged over time
    before. Edges as in Detectron2: cell i has its centre at stride * (i + 1/2)
    (``aligned=True``); a sample over one cell outside counts as 0, else it takes the
    nearest. PySlowFast takes as many samples as a bin has cells; here they are fixed.

    Args:
        maps: (B, C, H, W).
        boxes: (N, 5): which map, x1, y1, x2, y2 in pixels.
        stride: pixels of a cell.
        bins: along each side of a box.
        samples: along each side of a bin.

    Shape: -> (N, C, bins, bins).
    """
    x1, y1, x2, y2 = (boxes[:, 1:] / stride - 0.5).unbind(1)
    rows = _weights(y1, y2, maps.shape[2], bins, samples).to(maps.dtype)
    columns = _weights(x1, x2, maps.shape[3], bins, samples).to(maps.dtype)
    own = maps[boxes[:, 0].long()]
    return torch.einsum("nph,nchw,nqw->ncpq", rows, own, columns)


def _weights(first: Tensor, last: Tensor, cells: int, bins: int, samples: int) -> Tensor:
    """How much each cell counts in each bin, along one side: (N, bins, cells)."""
    count = bins * samples
    like = {"dtype": first.dtype, "device": first.device}
    shares = (torch.arange(count, **like) + 0.5) / count
    places = first[:, None] + shares * (last - first)[:, None]  # (N, count)
    inside = (places >= -1) & (places <= cells)
    nearest = places.clamp(0, cells - 1)[..., None]
    distance = (nearest - torch.arange(cells, **like)).abs()
    weights = (1 - distance).clamp(min=0) * inside[..., None]
    return weights.unflatten(1, (bins, samples)).mean(dim=2)


def dilate_last_stage(model: nn.Module) -> None:
    """Give the features stride 16: res5 strides no more, its 3x3 kernels reach further.

    Spatial stride 1 and dilation 2 (section 5, "Detection architecture"), in place; no
    weight changes. All 3x3 convolutions of res5 are dilated, as in PySlowFast;
    torchvision's models leave the first one as it was. Of Inception-v1 the last
    pool and the two blocks behind it count as res5, and the pool at its end goes. The
    features of R(2+1)D-34 have stride 16 already.

    Args:
        model: a ``SlowFast`` or a ``Baseline``.
    """
    for convolution in _last_convolutions(model):
        convolution.stride = (convolution.stride[0], 1, 1)
        if convolution.kernel_size[1] == 3:
            convolution.dilation = (1, 2, 2)
            padding = 2 if convolution.padding[1] else 0  # 0: SamePadConv pads by itself
            convolution.padding = (convolution.padding[0], padding, padding)


def _last_convolutions(model: nn.Module) -> list[nn.Conv3d]:
    if isinstance(model, SlowFast):
        stages = [path.res5 for path in (model.slow, model.fast) if path is not None]
    elif model.config.kind == "r2plus1d_34":
        stages = []
    elif model.config.kind == "i3d_inception":
        model.backbone.pool_5b.stride = (2, 1, 1)
        model.backbone.pool_last = nn.Identity()
        stages = [getattr(model.backbone, name) for name in INCEPTION_LAST]
    else:
        stages = [model.backbone.res5]
    return [m for stage in stages for m in stage.modules() if isinstance(m, nn.Conv3d)]


class BoxHead(nn.Module):
    """Average over time, RoIAlign, maximum over its bins, linear (section 5).

    The same box is taken from all frames of the clip: it is "replicated in time". The
    linear layer has a name of its own, so that a checkpoint of a classifier fills all of
    a detector but this, also where both have equally many classes.

    Args:
        in_channels: of all pathways together.
        num_classes: scores of a box.
        dropout: rate before the linear layer.

    Shape: one (B, C_i, T_i, H_i, W_i) a pathway, boxes (N, 5) -> (N, num_classes).
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.5):
        super().__init__()
        check_count("num_classes", num_classes)
        self.dropout = nn.Dropout(dropout)
        linear = nn.Linear(in_channels, num_classes)
        self.projection = nn.Sequential(OrderedDict(boxes=linear))
        init_weights(self)

    def forward(
        self, maps: Sequence[Tensor], boxes: Tensor, sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Score boxes; ``sizes`` are (H, W) in pixels of what each pathway saw."""
        pooled = []
        for features, (height, width) in zip(maps, sizes, strict=True):
            pixels = boxes * boxes.new_tensor([1, width, height, width, height])
            bins = roi_align(features.mean(dim=2), pixels, STRIDE)
            pooled.append(bins.amax(dim=(2, 3)))
        return self.projection(self.dropout(torch.cat(pooled, dim=1)))


class Detector(nn.Module):
    """Scores of every action for every box, from any model's trunk (section 5).

    Its weights have the names of the classifier's, so ``load_checkpoint`` fills the trunk
    from a classifier's file. An action's probability is the sigmoid of its score.

    Args:
        config: a preset's name or a configuration.
        num_classes: scores of a box; AVA has 80.

    Shape: clips as the classifier takes them; boxes (N, 5): place of the clip in the
        batch, x1, y1, x2, y2 in shares of the picture -> (N, num_classes). Without boxes
        each clip's whole picture is one.

    Raises:
        ValueError: see ``build_model``; ``head="features"``; boxes that cannot be.

    >>> detector = Detector("slowfast_tiny", num_classes=10)
    >>> boxes = torch.tensor([[0, 0.1, 0.2, 0.5, 0.9], [0, 0.5, 0.1, 0.9, 0.8]])
    >>> detector(torch.zeros(1, 3, 16, 64, 64), boxes).shape
    torch.Size([2, 10])
    """

    def __init__(self, config: str | ModelConfig, num_classes: int = 80):
        super().__init__()
        trunk = _build(config)
        if not isinstance(trunk.head.projection, nn.Linear):
            raise ValueError("head='features' gives no scores; a detector takes 'linear'")
        dilate_last_stage(trunk)
        self.config = trunk.config
        if isinstance(trunk, Baseline):
            self.backbone = trunk.backbone
        else:
            self.slow, self.fast, self.lateral = trunk.slow, trunk.fast, trunk.lateral
        channels = trunk.head.projection.in_features
        self.head = BoxHead(channels, num_classes, trunk.config.dropout)

    def forward(self, clips: Tensor | Pathways, boxes: Tensor | None = None) -> Tensor:
        if isinstance(self.config, BaselineConfig):
            check_clip(clips, channels=3)
            inputs = (clips,)
        else:
            inputs = split_pathways(clips, self.config)
        seen = [x for x in inputs if x is not None]
        boxes = whole_pictures(seen[0]) if boxes is None else boxes
        check_boxes(boxes, len(seen[0]))
        if isinstance(self.config, BaselineConfig):
            maps = (self.backbone(clips),)
        else:
            maps = pathway_features(self, inputs)
        return self.head(maps, boxes, [tuple(x.shape[3:]) for x in seen])


def _build(config: str | ModelConfig) -> nn.Module:
    from slowfast_edu.models import build_model  # which imports this file

    return build_model(config, num_classes=1)


def whole_pictures(clips: Tensor) -> Tensor:
    """One box a clip that takes in all of it: (B, 5)."""
    boxes = clips.new_tensor([0, 0, 0, 1, 1], dtype=torch.float32).repeat(len(clips), 1)
    boxes[:, 0] = torch.arange(len(clips))
    return boxes


def check_boxes(boxes: Tensor, clips: int) -> None:
    """Refuse boxes that lie nowhere, naming the first.

    Args:
        boxes: expected (N, 5): place of the clip in the batch, x1, y1, x2, y2 in shares.
        clips: of the batch.

    Raises:
        ValueError: another shape, pixels in place of shares, corners in the wrong order,
            or a clip that is not there.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 5 or not boxes.is_floating_point():
        raise ValueError(
            f"boxes are {boxes.dtype} of shape {tuple(boxes.shape)}, must be floats of "
            "shape (N, 5): the clip's place in the batch, x1, y1, x2, y2"
        )
    if boxes.is_meta:
        return
    index, corners = boxes[:, 0], boxes[:, 1:]
    named = (index >= 0) & (index < clips) & (index == index.round())
    shares = ((corners >= 0) & (corners <= 1)).all(dim=1)
    ordered = (corners[:, 0] <= corners[:, 2]) & (corners[:, 1] <= corners[:, 3])
    good = named & shares & ordered
    if good.all():  # one look at the device
        return
    first = int((~good).nonzero()[0])
    place, *box = (round(x, 4) for x in boxes[first].tolist())
    if not named[first]:
        rule = f"names clip {place:g} of {clips}; it must be 0 to {clips - 1}"
    elif not shares[first]:
        rule = (
            f"is {tuple(box)}, must lie in [0, 1]: divide x by the picture's width and y "
            "by its height"
        )
    else:
        rule = f"is {tuple(box)}; x1 <= x2 and y1 <= y2 must hold"
    raise ValueError(f"boxes[{first}] {rule}")
