"""Frame indices: bounds and counts for any clip, and both rules against their sources."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.sampling import fast_indices, slow_indices, slow_positions


@st.composite
def clips(draw, rules=("stride", "linspace")):
    alpha = draw(st.integers(1, 16))
    return ClipConfig(
        T=draw(st.integers(1, 32)),
        tau=alpha * draw(st.integers(1, 8)),
        alpha=alpha,
        frame_rule=draw(st.sampled_from(rules)),
    )


@given(clips(), st.integers(0, 10_000))
def test_both_pathways_stay_inside_the_clip_in_order(clip, start):
    fast, slow = fast_indices(clip, start), slow_indices(clip, start)
    assert len(slow) == clip.T
    assert len(fast) == clip.alpha * clip.T
    for indices in (fast, slow):
        assert indices[0] == start
        assert (indices[1:] > indices[:-1]).all()
        assert indices[-1] < start + clip.T * clip.tau
    assert set(slow) <= set(fast)


@given(clips(rules=("stride",)))
def test_stride_steps_by_tau_and_by_tau_over_alpha(clip):
    fast, slow = fast_indices(clip), slow_indices(clip)
    assert (fast[1:] - fast[:-1] == clip.tau / clip.alpha).all()
    assert (slow[1:] - slow[:-1] == clip.tau).all()
    assert (slow == fast[:: clip.alpha]).all()


@given(clips(rules=("linspace",)))
def test_linspace_ends_on_the_last_frame(clip):
    if clip.T > 1:
        assert fast_indices(clip)[-1] == slow_indices(clip)[-1] == clip.raw_frames - 1


def test_linspace_gives_fast_the_published_frames():
    clip = ClipConfig(T=4, tau=16, alpha=8, frame_rule="linspace")
    expected = [*range(0, 61, 2), 63]  # PySlowFast: 0, 2, ..., 60, 63 of 64
    assert fast_indices(clip).tolist() == expected


@pytest.mark.parametrize(
    ("alpha", "rule", "expected"),
    [
        (4, "linspace", [0, 4, 8, 13, 17, 22, 26, 31]),  # PySlowFast
        (8, "linspace", [0, 10, 20, 31]),
        (4, "stride", [0, 4, 8, 12, 16, 20, 24, 28]),  # MMAction2
        (8, "stride", [0, 8, 16, 24]),
    ],
)
def test_slow_takes_the_published_positions_of_32(alpha, rule, expected):
    assert slow_positions(32, alpha, rule).tolist() == expected


@pytest.mark.parametrize("alpha", [2, 3, 4, 5, 6, 7, 8, 16])
def test_linspace_is_torchs_truncated_float32(alpha):
    for frames in range(alpha, 513, alpha):
        expected = torch.linspace(0, frames - 1, frames // alpha).long().tolist()
        assert slow_positions(frames, alpha, "linspace").tolist() == expected, frames


def test_integer_arithmetic_would_differ_at_160_frames():
    exact = [i * 159 // 39 for i in range(40)]
    assert slow_positions(160, 4, "linspace").tolist() != exact


@pytest.mark.parametrize("name", PRESETS)
def test_presets_sample_as_their_name_says(name):
    clip = PRESETS[name].clip
    slow = slow_indices(clip, start_frame=100)
    assert slow.tolist() == [100 + i * clip.tau for i in range(clip.T)]
