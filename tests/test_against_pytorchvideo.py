"""The same weights and the same clip give PyTorchVideo's logits."""

import sys
from functools import partial
from types import ModuleType

import pytest
import torch
from helpers import randomize

from slowfast_edu.checkpoints import load_checkpoint
from slowfast_edu.config import PRESETS
from slowfast_edu.models import build_model, split_pathways

# PyTorchVideo imports this at module level, for detection only.
if "torchvision" not in sys.modules:
    torchvision, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    torchvision.ops, ops.RoIAlign = ops, object
    sys.modules |= {"torchvision": torchvision, "torchvision.ops": ops}

from pytorchvideo.models.hub.r2plus1d import r2plus1d_r50
from pytorchvideo.models.hub.resnet import c2d_r50, i3d_r50, slow_r50
from pytorchvideo.models.resnet import create_resnet
from pytorchvideo.models.slowfast import create_slowfast

# "R101_50_50": 6 of res4's 23 blocks with a temporal kernel, in both pathways.
RES4 = ((3, 1, 1),) * 6 + ((1, 1, 1),) * 17
R101_50_50 = (
    ((1, 1, 1), (1, 1, 1), RES4, (3, 1, 1)),
    ((3, 1, 1), (3, 1, 1), RES4, (3, 1, 1)),
)


def pool(frames, crop):
    """The head's fixed window, which is 7x7 in the published models: crop / 32."""
    return frames, crop // 32, crop // 32


def two_pathways(T, alpha, kernel, crop, **options):
    return create_slowfast(
        slowfast_fusion_conv_kernel_size=(kernel, 1, 1),
        slowfast_fusion_conv_stride=(alpha, 1, 1),
        head_pool_kernel_sizes=(pool(T, crop), pool(alpha * T, crop)),
        **options,
    )


# The peer, and the crop: 224 where its window is fixed and for the first, else fewer
# pixels and a smaller window, to save a minute. R(2+1)D's softmax is left out.
PEERS = {
    "slowfast_4x16_r50": (partial(two_pathways, 4, 8, 5, 224), 224),
    "slowfast_8x8_r50": (partial(two_pathways, 8, 4, 7, 96), 96),
    "slowfast_8x8_r101": (
        partial(
            two_pathways, 8, 4, 5, 96, model_depth=101, stage_conv_a_kernel_sizes=R101_50_50
        ),
        96,
    ),
    "slowfast_16x8_r101": (
        partial(
            two_pathways,
            16,
            4,
            5,
            64,
            model_depth=101,
            stage_conv_a_kernel_sizes=R101_50_50,
        ),
        64,
    ),
    "slowfast_8x8_r101_all_temporal": (
        partial(two_pathways, 8, 4, 5, 96, model_depth=101),
        96,
    ),
    "slow_4x16_r50": (
        partial(
            create_resnet,
            stem_conv_kernel_size=(1, 7, 7),
            head_pool_kernel_size=pool(4, 224),
        ),
        224,
    ),
    "slow_8x8_r50": (slow_r50, 224),
    "c2d_8x8_r50": (c2d_r50, 224),
    "i3d_8x8_r50": (i3d_r50, 224),
    "r2plus1d_16x4_r50": (
        partial(r2plus1d_r50, head_activation=None, head_pool_kernel_size=pool(4, 96)),
        96,
    ),
}


@pytest.mark.parametrize("name", PEERS)
def test_logits_equal_pytorchvideos(name):
    make_peer, crop = PEERS[name]
    torch.manual_seed(0)
    peer, model = randomize(make_peer()), build_model(name).eval()
    report = load_checkpoint(model, peer.state_dict())
    assert (report.source, report.head) == ("pytorchvideo", "loaded")
    assert report.tensors == len(peer.state_dict()) == len(model.state_dict())
    clip = torch.randn(1, 3, PRESETS[name].clip.fast_frames, crop, crop)
    with torch.no_grad():
        logits = model(clip)
        if "slowfast" in name:
            expected = peer(list(split_pathways(clip, model.config)))
        else:
            expected = peer(clip)
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()
