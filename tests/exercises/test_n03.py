"""Notebook 03's exercises against the paper's Table 1, gradients and other builds."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from slowfast_edu.exercises import EXERCISES, examine
from slowfast_edu.exercises.n03_two_pathways import DEPTHS
from slowfast_edu.models.blocks import Bottleneck, ConvBNReLU

R50, R101 = (3, 4, 6, 3), (3, 4, 23, 3)


def answer(word, *given):
    return EXERCISES[f"03.{word}"].answer(*given)


def verdict(word, function):
    return examine(EXERCISES[f"03.{word}"], function)


def size(network):
    return sum(weights.numel() for weights in network.parameters())


# Table 1 of the paper, example T = 4, alpha = 8, beta = 1/8, 224 pixels.
CHANNELS = (64, 64, 256, 512, 1024, 2048), (8, 8, 32, 64, 128, 256)
SIDES = (112, 56, 56, 28, 14, 7)


@pytest.mark.parametrize(
    "pathway, channels, frames", [("slow", CHANNELS[0], 4), ("fast", CHANNELS[1], 32)]
)
def test_rows_are_the_papers(pathway, channels, frames):
    rows = answer("table_rows", pathway, 4, 8, 8, 224)
    assert rows == [(c, frames, side) for c, side in zip(channels, SIDES, strict=True)]


@pytest.mark.parametrize("crop", [112, 161, 257])
def test_sides_are_those_of_pytorchs_layers(crop):
    x, sides = torch.zeros(1, 1, 1, crop, crop), []
    for kernel, stride in ((7, 2), (3, 2), (3, 1), (3, 2), (3, 2), (3, 2)):
        padding = (0, kernel // 2, kernel // 2)
        x = F.max_pool3d(x, (1, kernel, kernel), (1, stride, stride), padding)
        sides.append(x.shape[-1])
    assert [side for _, _, side in answer("table_rows", "slow", 4, 8, 8, crop)] == sides


def test_rows_may_be_an_array_and_must_be_whole():
    def as_array(*given):
        return np.array(answer("table_rows", *given))

    def as_floats(*given):
        return [tuple(map(float, row)) for row in answer("table_rows", *given)]

    def from_res2(*given):
        return answer("table_rows", *given)[2:]

    assert verdict("table_rows", as_array).right
    assert "a float where an int" in verdict("table_rows", as_floats).told
    assert "4 entries where 6" in verdict("table_rows", from_res2).told


class Unlike(nn.Module):
    """The block with parts made in another order, under other names."""

    def __init__(self, channels, inner, k, stride, relu=F.relu, **options):
        super().__init__()
        options = {"bias": False, **options}
        out, steps = 4 * inner, (1, stride, stride)
        self.norms = nn.ModuleList(nn.BatchNorm3d(c) for c in (out, inner, inner, out))
        self.last = nn.Conv3d(inner, out, 1, **options)
        self.middle = nn.Conv3d(inner, inner, (1, 3, 3), steps, (0, 1, 1), **options)
        self.first = nn.Conv3d(channels, inner, (k, 1, 1), padding="same", **options)
        self.aside = None
        if (channels, stride) != (out, 1):
            self.aside = nn.Conv3d(channels, out, 1, steps, **options)
        else:
            del self.norms[3]
        self.between = relu

    def forward(self, x):
        y = self.between(self.norms[1](self.first(x)))
        y = self.norms[0](self.last(self.between(self.norms[2](self.middle(y)))))
        return F.relu(y + (self.norms[3](self.aside(x)) if self.aside else x))


def test_a_block_by_hand():
    # A pixel of 1, all weights 1, fresh normalisation: a gives 1 / s, b the same again
    # (only the kernel's middle meets the pixel), c too; the shortcut gives 1 / s.
    block = answer("make_bottleneck", 1, 1, 1, 1).eval()
    for weights in block.parameters():
        nn.init.ones_(weights)
    for name, values in block.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(values)
    s = (1 + 1e-5) ** 0.5
    out = block(torch.ones(1, 1, 1, 1, 1))
    assert out.flatten().tolist() == pytest.approx([s**-3 + 1 / s] * 4)


def test_a_block_may_have_other_names_and_order():
    assert verdict("make_bottleneck", Unlike).right
    with_bias = verdict("make_bottleneck", lambda *given: Unlike(*given, bias=True))
    assert "parameters" in with_bias.told and not with_bias.right
    assert not verdict("make_bottleneck", lambda *given: Unlike(*given, relu=F.gelu)).right
    no_network = verdict("make_bottleneck", lambda *given: lambda x: x)
    assert "return a network" in no_network.told


def test_a_stage_of_the_papers_size():
    # Slow's res3 with its lateral, by hand: a, b, c, shortcut and two numbers a channel
    # of each normalisation; then three blocks like each other.
    first = 320 * 128 + 9 * 128**2 + 128 * 512 + 320 * 512 + 2 * (128 + 128 + 512 + 512)
    other = 512 * 128 + 9 * 128**2 + 128 * 512 + 2 * (128 + 128 + 512)
    stage = answer("make_stage", 320, 128, 1, 4, 2)
    assert size(stage) == first + 3 * other
    assert stage(torch.zeros(1, 320, 4, 6, 6)).shape == (1, 512, 4, 3, 3)


def test_a_stage_may_be_nested_and_its_last_block_is_missed():
    def nested(channels, inner, k, blocks, stride):
        first = Bottleneck(channels, inner, k, (1, stride))
        return nn.Sequential(
            first,
            nn.Sequential(*(Unlike(4 * inner, inner, k, 1) for _ in range(1, blocks))),
        )

    def too_few(channels, inner, k, blocks, stride):
        return nested(channels, inner, k, blocks - 1, stride)

    assert verdict("make_stage", nested).right
    assert "parameters: another number" in verdict("make_stage", too_few).told


def test_reach_of_the_papers_networks():
    # R101's longer res4 has no more kernels over time than R50's: the same reach.
    for blocks in (R50, R101):
        assert answer("reach", "slow", blocks, "res5") == 1 + 2 * (6 + 3)
        assert answer("reach", "fast", blocks, "res5") == 5 + 2 * (3 + 4 + 6 + 3)
    assert answer("reach", "slow", R50, "res3") == 1


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (2, 2, 2, 2)])
@pytest.mark.parametrize("pathway", ["slow", "fast"])
def test_reach_is_where_gradients_come_from(pathway, blocks):
    network = answer("make_pathway", pathway, 4, blocks).eval()
    clip = torch.rand(1, 3, 41, 32, 32, requires_grad=True)
    x = clip
    for name, part in network.named_children():
        x = part(x)
        if name == "pool1":
            continue
        (changes,) = torch.autograd.grad(x[:, :, 20].sum(), clip, retain_graph=True)
        frames = (changes.abs().amax(dim=(0, 1, 3, 4)) > 0).sum()
        assert frames == answer("reach", pathway, blocks, name)


def test_reach_may_be_grown_step_by_step_and_is_whole():
    def grown(pathway, blocks, stage):
        first = last = np.int64(0)
        layers = [("conv1", 5 if pathway == "fast" else 1)]
        for number, count in enumerate(blocks, start=2):
            for block in range(count):
                looks = pathway == "fast" or number > 3
                k = 1 if number == 4 and block >= 6 else 3 if looks else 1
                layers.append((f"res{number}", k))
        for name, k in layers:
            if name <= stage:
                first, last = first - k // 2, last + k // 2
        return last - first + 1

    assert verdict("reach", grown).right
    assert not verdict("reach", lambda *given: float(grown(*given))).right
    assert not verdict("reach", lambda *given: grown(*given) - 1).right


@pytest.mark.parametrize(
    "pathway, width, parameters",
    # Slow-only 4x16 R50 has 32,454,096 with a head of 2048 x 400 + 400; Fast 514,152.
    [("slow", 64, 32_454_096 - 2048 * 400 - 400), ("fast", 8, 514_152)],
)
def test_pathways_have_the_published_sizes(pathway, width, parameters):
    assert DEPTHS[R50] == 50
    network = answer("make_pathway", pathway, width, R50).eval()
    assert size(network) == parameters
    with torch.no_grad():
        out = network(torch.zeros(1, 3, 2, 64, 64))
    assert out.shape == (1, 32 * width, 2, 2, 2)


class Mine(nn.Module):
    """A pathway whose stages are made last to first, and called by name."""

    def __init__(self, pathway, width, blocks, doubling=True):
        super().__init__()
        fast = pathway == "fast"
        for number in (5, 4, 3, 2):
            inner = width * 2 ** (number - 2 if doubling else 0)
            before = width if number == 2 else 4 * inner // (2 if doubling else 1)
            k = 3 if fast or number > 3 else 1
            made = [Bottleneck(before, inner, k, (1, 1 if number == 2 else 2))]
            made += [Unlike(4 * inner, inner, k, 1) for _ in range(blocks[number - 2] - 1)]
            self.add_module(f"s{number}", nn.Sequential(*made))
        self.stem = ConvBNReLU(3, width, (5 if fast else 1, 7, 7), (1, 2, 2))

    def forward(self, x):
        x = F.max_pool3d(self.stem(x), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        return self.s5(self.s4(self.s3(self.s2(x))))


def test_a_pathway_may_be_made_otherwise_but_its_width_doubles():
    assert verdict("make_pathway", Mine).right
    assert not verdict("make_pathway", lambda *given: Mine(*given, doubling=False)).right
