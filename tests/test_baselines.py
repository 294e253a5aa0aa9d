"""The blocks of the quoted baselines, against their definition written out."""

import pytest
import torch
import torch.nn.functional as F
from helpers import randomize

from slowfast_edu import build_model
from slowfast_edu.models.baselines import InceptionBlock, R2Plus1DBlock, WindowPool


def batch_norm(x, bn):
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-5)


def conv_bn_relu(x, layer, padding):
    return batch_norm(F.conv3d(x, layer.conv.weight, padding=padding), layer.bn).relu()


@torch.no_grad()
def test_the_inception_block_is_four_branches_side_by_side():
    block = randomize(InceptionBlock(6, (2, 3, 4, 5, 7, 3))).eval()
    x = torch.randn(2, 6, 3, 5, 4)
    one = conv_bn_relu(x, block.branch0, 0)
    two = conv_bn_relu(conv_bn_relu(x, block.branch1[0], 0), block.branch1[1], 1)
    three = conv_bn_relu(conv_bn_relu(x, block.branch2[0], 0), block.branch2[1], 1)
    pooled = F.max_pool3d(F.pad(x, [1] * 6), 3, stride=1)  # zeros, as features are >= 0
    four = conv_bn_relu(pooled, block.branch3[1], 0)
    expected = torch.cat([one, two, three, four], dim=1)
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
@pytest.mark.parametrize("stride", [1, 2])
def test_the_r2plus1d_block_is_two_factorised_convolutions_and_a_shortcut(stride):
    block = randomize(R2Plus1DBlock(4, 6, stride)).eval()
    x = torch.randn(2, 4, 4, 6, 6)

    def factorised(x, layer, stride):
        space = layer.spatial
        y = F.conv3d(x, space.conv.weight, stride=(1, stride, stride), padding=(0, 1, 1))
        y = batch_norm(y, space.bn).relu()
        y = F.conv3d(y, layer.temporal.weight, stride=(stride, 1, 1), padding=(1, 0, 0))
        return batch_norm(y, layer.bn)

    y = factorised(factorised(x, block.conv1, stride).relu(), block.conv2, 1)
    conv, bn = block.shortcut
    shortcut = batch_norm(F.conv3d(x, conv.weight, stride=stride), bn)
    torch.testing.assert_close(block(x), (y + shortcut).relu())


def test_the_last_pooling_of_i3d_averages_windows_of_two_frames():
    x = torch.arange(3.0).view(1, 1, 3, 1, 1).expand(1, 1, 3, 7, 7)
    assert WindowPool()(x).flatten().tolist() == [0.5, 1.5]
    assert WindowPool()(x[:, :, :1, :3]).flatten().tolist() == [0.0]  # shrinks to fit


@torch.no_grad()
def test_i3d_classifies_the_mean_over_its_windows():
    model = build_model("i3d_inception", num_classes=3).eval()
    features = {}
    model.backbone.register_forward_hook(lambda _m, _x, y: features.update(y=y))
    scores = model(torch.randn(1, 3, 32, 64, 64))
    windows = features["y"].flatten(2).mean(dim=2)
    expected = windows @ model.head.projection.weight.T + model.head.projection.bias
    torch.testing.assert_close(scores, expected)
