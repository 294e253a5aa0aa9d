"""Notebook 04's exercises against gradients, loops, counted runs and the paper."""

import inspect
import json
import math
import textwrap
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import slowfast_edu
from slowfast_edu.exercises import EXERCISES, examine
from slowfast_edu.exercises.n04_networks import Draft
from slowfast_edu.exercises.networks import fill
from slowfast_edu.models import LateralConnection
from slowfast_edu.models.blocks import Bottleneck

NOTEBOOK = Path(slowfast_edu.__file__).parents[1] / "notebooks/04_lateral_connections.ipynb"


def answer(word, *arguments):
    return EXERCISES[f"04.{word}"].answer(*arguments)


def verdict(word, function):
    return examine(EXERCISES[f"04.{word}"], function)


# 04.reads


@pytest.mark.parametrize(
    ("T", "alpha", "kernel"), [(4, 8, 5), (8, 4, 7), (3, 2, 9), (1, 4, 1)]
)
def test_reads_is_where_the_librarys_gradient_is_not_zero(T, alpha, kernel):
    conv = LateralConnection(1, alpha, kernel=kernel).t_conv.conv
    nn.init.ones_(conv.weight)
    for t in range(T):
        fast = torch.ones(1, 1, alpha * T, 1, 1, requires_grad=True)
        conv(fast)[0, 0, t].sum().backward()
        assert (
            answer("reads", t, T, alpha, kernel)
            == fast.grad.flatten().nonzero().T[0].tolist()
        )


def test_reads_leaves_14_of_32_frames_out_in_4x16_and_none_in_8x8():
    four = {f for t in range(4) for f in answer("reads", t, 4, 8, 5)}
    eight = {f for t in range(8) for f in answer("reads", t, 8, 4, 7)}
    assert sorted(set(range(32)) - four) == [
        *range(3, 6),
        *range(11, 14),
        *range(19, 22),
        *range(27, 32),
    ]
    assert eight == set(range(32))


def test_reads_by_asking_a_layer_passes_and_a_repeated_border_does_not():
    def asking(t, T, alpha, kernel):
        seen = F.unfold(
            torch.arange(1.0, alpha * T + 1).view(1, 1, -1, 1),
            (kernel, 1),
            padding=(kernel // 2, 0),
            stride=(alpha, 1),
        )
        column = seen[0, :, t]
        return (column[column > 0] - 1).int().numpy()

    def repeating(t, T, alpha, kernel):
        window = range(alpha * t - kernel // 2, alpha * t + kernel // 2 + 1)
        return [min(max(f, 0), alpha * T - 1) for f in window]

    assert verdict("reads", asking).right
    wrong = verdict("reads", repeating)
    assert not wrong.right and "entries where" in wrong.told


# 04.ttoc


def test_ttoc_puts_frame_f_and_channel_c_into_channel_f_times_channels_plus_c():
    slow, fast = torch.randn(1, 6, 2, 1, 1), torch.randn(1, 2, 6, 1, 1)
    joined = answer("ttoc", slow, fast, False)
    added = answer("ttoc", slow, fast, True)
    assert joined.shape == (1, 12, 2, 1, 1) and torch.equal(joined[:, :6], slow)
    for t in range(2):
        for f in range(3):
            for c in range(2):
                place = f * 2 + c
                assert joined[0, 6 + place, t] == fast[0, c, 3 * t + f]
                assert added[0, place, t] == slow[0, place, t] + fast[0, c, 3 * t + f]


@pytest.mark.parametrize(("wide", "channels", "alpha"), [(64, 8, 4), (4, 1, 1)])
def test_ttoc_refuses_a_sum_unless_alpha_times_beta_is_1(wide, channels, alpha):
    slow, fast = torch.zeros(1, wide, 2, 1, 1), torch.zeros(1, channels, 2 * alpha, 1, 1)
    with pytest.raises(ValueError, match="cannot be added"):
        answer("ttoc", slow, fast, True)


def _by_slices(slow, fast, add):
    alpha = fast.shape[2] // slow.shape[2]
    packed = torch.cat([fast[:, :, f::alpha] for f in range(alpha)], dim=1)
    if add and packed.shape[1] != slow.shape[1]:
        raise ValueError
    return slow + packed if add else torch.cat([slow, packed], dim=1)


def test_ttoc_by_slices_passes_and_doubles_and_arrays_are_told_apart():
    def doubles(slow, fast, add):
        return _by_slices(slow, fast, add).double()

    def backwards(slow, fast, add):
        alpha = fast.shape[2] // slow.shape[2]
        return (
            _by_slices(slow, fast.flip(2), add)
            if alpha > 1
            else _by_slices(slow, fast, add)
        )

    assert verdict("ttoc", _by_slices).right
    assert "dtype torch.float64" in verdict("ttoc", doubles).told
    assert (
        "an array where a tensor" in verdict("ttoc", lambda *a: _by_slices(*a).numpy()).told
    )
    assert not verdict("ttoc", backwards).right


# 04.cost


def counted(network, *shapes):
    """Multiply-adds: each convolution's positions times its weights, in a run."""
    macs = 0

    def add(conv, _inputs, output):
        nonlocal macs
        macs += output[0, 0].numel() * conv.weight.numel()

    for conv in network.modules():
        if isinstance(conv, nn.Conv3d):
            conv.register_forward_hook(add)
    with torch.no_grad():
        network(*map(torch.zeros, shapes))
    return macs


@pytest.mark.parametrize(
    ("fusion", "channels", "alpha", "kernel"),
    [
        ("none", 8, 8, 5),
        ("t_sample", 8, 8, 5),
        ("ttoc_concat", 4, 16, 5),
        ("t_conv", 8, 8, 5),
    ],
)
def test_cost_is_what_a_lateral_and_the_block_behind_it_do_in_a_run(
    fusion, channels, alpha, kernel
):
    side, scale = 8, (64 // 8) ** 2  # a run on fewer pixels: costs go with their number
    lateral = LateralConnection(channels, alpha, fusion, kernel)
    slow, fast = (1, 64, 4, side, side), (1, channels, 4 * alpha, side, side)
    wide = lateral(torch.zeros(slow), torch.zeros(fast)).shape[1]
    alone, more = (
        counted(Bottleneck(width, 64, 1, (1, 1)), (1, width, 4, side, side))
        for width in (64, wide)
    )
    expected = scale * counted(lateral, slow, fast), scale * (more - alone)
    assert answer("cost", fusion, channels, alpha, kernel) == expected


def test_cost_of_the_papers_lateral_by_hand_and_of_a_sum():
    own, wider = 16 * 5 * 8 * 4 * 64 * 64, 16 * (64 + 256) * 4 * 64 * 64
    assert answer("cost", "t_conv", 8, 8, 5) == (own, wider) == (10_485_760, 83_886_080)
    assert answer("cost", "ttoc_sum", 4, 16, 5) == (0, 0)


def test_cost_as_a_list_passes_and_in_billions_or_for_all_blocks_fails():
    right = EXERCISES["04.cost"].answer
    assert verdict("cost", lambda *given: list(right(*given))).right
    billions = verdict("cost", lambda *given: [n / 1e9 for n in right(*given)])
    assert "a float where an int" in billions.told
    assert not verdict(
        "cost", lambda *given: (right(*given)[0], 3 * right(*given)[1])
    ).right


# 04.tconv


def test_tconv_computes_a_strided_convolution_normalised_and_cut_at_zero():
    lateral = answer("tconv", 2, 4, 3)
    fill(lateral)
    slow, fast = torch.randn(1, 5, 3, 2, 2), torch.randn(1, 2, 12, 2, 2)
    weight, scale, shift, mean, variance = (
        lateral.state_dict()[f"t_conv.{name}"]
        for name in (
            "conv.weight",
            "bn.weight",
            "bn.bias",
            "bn.running_mean",
            "bn.running_var",
        )
    )
    told = F.conv3d(fast, weight, stride=(4, 1, 1), padding=(1, 0, 0))
    told = F.batch_norm(told, mean, variance, scale, shift).clamp(min=0)
    assert weight.shape == (4, 2, 3, 1, 1)
    assert torch.allclose(lateral(slow, fast), torch.cat([slow, told], dim=1), atol=1e-6)


class Other(nn.Module):
    """A lateral with other names, another order of parts, and any last function."""

    def __init__(self, channels, alpha, kernel, last=F.relu):
        super().__init__()
        self.norm, self.last = nn.BatchNorm3d(2 * channels), last
        how = dict(kernel_size=(kernel, 1, 1), padding=(kernel // 2, 0, 0), bias=False)
        self.squeeze = nn.Conv3d(channels, 2 * channels, stride=(alpha, 1, 1), **how)

    def forward(self, slow, fast):
        return torch.hstack((slow, self.last(self.norm(self.squeeze(fast)))))


def test_tconv_passes_under_other_names_and_fails_otherwise():
    assert verdict("tconv", Other).right
    gelu = verdict("tconv", lambda *given: Other(*given, last=F.gelu))
    assert not gelu.right and not gelu.cause and "that is   output: " in gelu.told
    nothing = verdict("tconv", lambda *given: torch.zeros(1))
    assert "Tensor is no nn.Module" in nothing.told


# 04.debug


def test_debug_gives_the_scores_of_the_same_layers_in_the_right_order():
    network, faulty = answer("debug", 4, 3), Draft(4, 3)
    for one in (network, faulty):
        fill(one)
    clip = torch.randn(1, 3, 12, 5, 5)
    fast = F.relu(network.fast1(clip))
    slow = F.relu(network.slow1(clip[:, :, [0, 4, 8]]))
    slow = F.relu(network.slow2(torch.cat([slow, F.relu(network.lateral(fast))], 1)))
    features = [x.flatten(2).mean(2) for x in (slow, F.relu(network.fast2(fast)))]
    assert torch.allclose(network(clip), network.head(torch.cat(features, 1)), atol=1e-6)
    assert faulty(clip).shape == network(clip).shape
    assert not torch.allclose(faulty(clip), network(clip), atol=1e-3)
    sizes = [
        sum(map(math.prod, (p.shape for p in n.parameters()))) for n in (network, faulty)
    ]
    assert sizes[0] == sizes[1]


class Mended(Draft):
    """The draft with its laterals and pooling written otherwise."""

    def forward(self, clip, told=F.relu):
        every = torch.arange(0, clip.shape[2], self.alpha)
        fast = F.relu(self.fast1(clip))
        joined = [F.relu(self.slow1(clip.index_select(2, every))), told(self.lateral(fast))]
        slow, fast = F.relu(self.slow2(torch.cat(joined, 1))), F.relu(self.fast2(fast))
        pool = nn.AdaptiveAvgPool3d(1)
        return self.head(torch.cat([pool(slow), pool(fast)], 1).flatten(1))


class HalfMended(Mended):
    """Two faults left: the check says how many, and where to look."""

    def forward(self, clip):
        return super().forward(clip, told=torch.detach)


def test_debug_passes_written_otherwise_and_two_faults_left_fail():
    assert verdict("debug", Mended).right
    two = verdict("debug", HalfMended)
    assert not two.right
    assert "2 of the four faults" in two.cause and "gradient" in two.cause


def test_what_is_left_detached_shows_in_the_gradient_alone():
    left = next(m for m in EXERCISES["04.debug"].mistakes if "detach" in m.cause)
    assert "that is   gradient: " in verdict("debug", left.answer).told


def test_the_notebook_shows_the_drafts_own_code():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    prompts = [
        "".join(c["source"]) for c in cells if c["metadata"].get("tags") == ["prompt"]
    ]
    code = textwrap.dedent(inspect.getsource(Draft.forward)).strip()
    shown = [text for text in prompts if text.startswith("### 04.debug")]
    assert len(shown) == 1 and code in shown[0]
