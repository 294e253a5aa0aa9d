"""Frame indices: bounds and counts for any clip, and both rules against their sources."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.sampling import (
    SHORT_RULES,
    View,
    evaluation_views,
    exact_rate,
    fast_indices,
    fit_indices,
    last_start,
    random_start,
    resample_by_time,
    slow_indices,
    slow_positions,
    view_starts,
)


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


@given(clips(), st.integers(1, 3000), st.integers(0, 2**32))
def test_a_random_clip_lies_inside_a_video_that_is_long_enough(clip, frames, seed):
    start = random_start(clip, frames, np.random.default_rng(seed))
    assert 0 <= start <= max(0, frames - clip.raw_frames)
    if frames >= clip.raw_frames:
        assert fast_indices(clip, start)[-1] < frames


def test_random_starts_are_uniform_and_reach_both_ends():
    clip, rng = ClipConfig(T=2, tau=4, alpha=2), np.random.default_rng(0)
    counts = Counter(random_start(clip, 12, rng) for _ in range(5000))  # 0 to 4
    assert sorted(counts) == [0, 1, 2, 3, 4]
    spread = np.sqrt(5000 * 0.2 * 0.8)  # of a binomial count
    assert all(abs(count - 1000) < 4 * spread for count in counts.values())


@given(clips(), st.integers(1, 3000), st.integers(1, 30))
def test_view_starts_are_even_from_first_to_last(clip, frames, count):
    starts = view_starts(clip, frames, count)
    last = max(0, frames - clip.raw_frames)
    assert len(starts) == count
    if count == 1:
        assert starts[0] == last // 2
    else:
        assert (starts[0], starts[-1]) == (0, last)
        gaps = np.diff(starts)
        assert gaps.min() >= 0
        assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("clips", "gap"), [(10, 25), (4, 75), (2, 225)])
def test_view_starts_are_pyslowfasts_with_offset_where_it_divides(clips, gap):
    # PySlowFast, use_offset: i * floor(delta / (clips - 1)); delta = 289 - 64 = 225
    starts = view_starts(ClipConfig(T=8, tau=8, alpha=4), 289, clips)
    assert starts.tolist() == [i * gap for i in range(clips)]


def test_starts_depend_on_neither_alpha_nor_frame_rule():
    clips = [ClipConfig(T=4, tau=16, alpha=a) for a in (1, 2, 8)]
    clips.append(ClipConfig(T=4, tau=16, frame_rule="linspace"))
    assert {last_start(clip, 300) for clip in clips} == {236}


def test_the_papers_thirty_views():
    views = evaluation_views(ClipConfig(T=8, tau=8, alpha=4), 289)
    assert len(views) == len(set(views)) == 30
    assert views[:4] == [View(0, 0), View(0, 1), View(0, 2), View(25, 0)]
    assert views[-1] == View(start_frame=225, crop=2)


@given(st.lists(st.integers(0, 500), max_size=40), st.integers(1, 200))
def test_indices_past_the_end_are_clamped_looped_or_refused(indices, frames):
    clamped = fit_indices(indices, frames, "clamp").tolist()
    looped = fit_indices(indices, frames, "loop").tolist()
    for index, stays, turns in zip(indices, clamped, looped, strict=True):
        assert stays == (index if index < frames else frames - 1)
        assert 0 <= turns < frames
        assert (index - turns) % frames == 0
    if all(index < frames for index in indices):
        assert fit_indices(indices, frames, "error").tolist() == indices
    else:
        with pytest.raises(ValueError, match=f"to {max(indices)} .* has {frames}: 0 to"):
            fit_indices(indices, frames, "error")


@pytest.mark.parametrize("rule", SHORT_RULES)
def test_indices_that_no_rule_can_fit_are_refused(rule):
    with pytest.raises(ValueError, match="frames -1 to 2 were asked for"):
        fit_indices([2, -1], 10, rule)
    with pytest.raises(ValueError, match="video_frames=0"):
        fit_indices([0], 0, rule)
    with pytest.raises(TypeError):
        fit_indices([0.5], 10, rule)


def test_settings_of_views_are_checked():
    clip = ClipConfig()
    with pytest.raises(ValueError, match="clips=0"):
        view_starts(clip, 100, clips=0)
    with pytest.raises(ValueError, match="crops=0"):
        evaluation_views(clip, 100, crops=0)
    with pytest.raises(ValueError, match="video_frames=0"):
        random_start(clip, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="short='wrap'"):
        fit_indices([0], 10, "wrap")


rates = st.one_of(
    st.sampled_from([Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)]),
    st.integers(1, 120).map(Fraction),
    st.fractions(1, 120, max_denominator=8),
)


@given(
    rates,
    st.sampled_from([1000, 90_000, 15_360, 12_800, 30_000, 600]),
    st.integers(1, 400),
    st.integers(0, 10**6),
)
def test_a_video_at_its_own_rate_is_itself_on_any_clock(rate, clock, frames, start):
    """Stamps are rounded to the clock as containers do it: halves away from zero."""
    stamps = [start + int(k * clock / rate + Fraction(1, 2)) for k in range(frames + 1)]
    own = resample_by_time(stamps, clock, rate)
    assert own.tolist() == list(range(frames))
    assert resample_by_time(stamps, clock, float(rate)).tolist() == list(range(frames))


@given(rates, rates, st.integers(1, 300))
def test_resampling_shows_the_last_frame_that_is_not_later(rate, wanted, frames):
    """On an exact clock: frame floor(k * rate / wanted) at time k / wanted."""
    clock = rate  # one tick a frame
    own = resample_by_time(range(frames + 1), clock, wanted)
    assert len(own) == max(1, round(frames * wanted / rate))
    for k, index in enumerate(own.tolist()):
        assert index == min(k * rate / wanted // 1, frames - 1)


@given(st.lists(st.integers(3, 50), min_size=2, max_size=50), rates)
def test_resampling_a_variable_rate(gaps, wanted):
    stamps = np.cumsum([7, *gaps])
    own = resample_by_time(stamps, 1000, wanted)
    for k, index in enumerate(own.tolist()):
        ticks = k * 1000 / wanted
        assert stamps[index] - 7 <= ticks + 1  # a stamp may be rounded up by a tick
        if index < len(gaps) - 1:
            assert stamps[index + 1] - 7 > ticks


def test_rates_are_exact_fractions():
    assert exact_rate(30000 / 1001) == Fraction(30000, 1001)
    assert exact_rate(29.97) == Fraction(2997, 100)
    assert exact_rate(Fraction(24000, 1001)) == Fraction(24000, 1001)
    for rate in (0, -5, float("inf"), float("nan"), "30", None):
        with pytest.raises(ValueError, match="must be a positive number"):
            exact_rate(rate)
    with pytest.raises(ValueError, match="frames_per_second=1e-09 is below one in 1001 s"):
        exact_rate(1e-9)
