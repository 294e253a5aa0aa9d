"""Notebook 01's exercises against closed forms, brute force and the course's own clips."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from slowfast_edu.data.figures import Binding, Hue
from slowfast_edu.exercises import EXERCISES, examine


def answer(word, *given):
    return EXERCISES[f"01.{word}"].answer(*given)


def verdict(word, function):
    return examine(EXERCISES[f"01.{word}"], function)


ROWS = [("blue left", side) for side in "lr"] + [("blue right", side) for side in "lr"]
CLASSES = ["blue", "yellow", "yellow", "blue"]


def test_ceilings_of_binding_and_of_grey():
    assert answer("ceiling", [hue for hue, _ in ROWS], CLASSES) == 0.5
    assert answer("ceiling", [side for _, side in ROWS], CLASSES) == 0.5
    assert answer("ceiling", ROWS, CLASSES) == 1.0
    assert answer("ceiling", ["grey"] * 4, ["r", "g", "b", "y"]) == 0.25
    with pytest.raises(ValueError, match="no clips"):
        answer("ceiling", [], [])


def test_a_ceiling_is_the_best_of_all_readers():
    rng = np.random.default_rng(3)
    seen, classes = rng.integers(0, 3, 20).tolist(), rng.integers(0, 3, 20).tolist()
    readers = product(range(3), repeat=3)  # what to say to each of the three signals
    best = max(sum(r[s] == c for s, c in zip(seen, classes, strict=True)) for r in readers)
    assert answer("ceiling", seen, classes) == best / 20


def test_a_ceiling_may_be_counted_otherwise_and_is_a_share():
    def by_pairs(seen, classes):
        if len(seen) == 0:
            raise ValueError("none")
        pairs = list(zip(seen, classes, strict=True))
        best = {s: max(pairs.count((s, c)) for c in set(classes)) for s in seen}
        return np.float32(sum(best.values()) / len(pairs))

    def count(seen, classes):
        return round(by_pairs(seen, classes) * len(seen))

    assert verdict("ceiling", by_pairs).right
    assert "an int where a float" in verdict("ceiling", count).told
    no_check = verdict("ceiling", lambda s, c: sum(map(len, s)) / len(s))
    assert not no_check.right


@pytest.mark.parametrize("window, fps, hertz", [(16, 30, 1), (16, 30, 4), (5, 25, 11)])
def test_flicker_kept_is_dirichlets_kernel(window, fps, hertz):
    half_turn = np.pi * hertz / fps
    kernel = abs(np.sin(window * half_turn) / (window * np.sin(half_turn)))
    assert answer("flicker_kept", window, fps, hertz) == pytest.approx(kernel)


def test_flicker_kept_at_the_ends():
    assert answer("flicker_kept", 16, 30, 0) == 1
    assert answer("flicker_kept", 16, 30, 30) == pytest.approx(1)  # looks still
    assert answer("flicker_kept", 16, 30, 30 / 16) == pytest.approx(0, abs=1e-9)
    assert answer("flicker_kept", 2, 30, 15) == pytest.approx(0, abs=1e-9)
    assert round(answer("flicker_kept", 16, 30, 1), 2) == 0.59  # as the notebook measures


def test_flicker_kept_may_be_measured_on_averaged_waves():
    def measured(window, fps, hertz):
        t = np.arange(window)
        turns = 2 * np.pi * hertz / fps * t
        return np.hypot(np.cos(turns).mean(), np.sin(turns).mean())

    assert verdict("flicker_kept", measured).right
    assert not verdict("flicker_kept", lambda *given: 1 - measured(*given)).right
    longer = verdict("flicker_kept", lambda window, *given: measured(window + 1, *given))
    assert not longer.right


def test_change_by_hand():
    # One pixel, size 1, so that the numbers are those of its grey: 0, 1, 3, 6.
    grey = torch.tensor([0.0, 1, 3, 6]).view(1, 1, 4, 1, 1)
    video = grey.expand(1, 3, 4, 1, 1)
    for lag, expected in ((1, [0, 1, 2, 3]), (2, [0, 1, 3, 5]), (9, [0, 1, 3, 6])):
        out = answer("change", video, 1, lag)
        assert out.shape == (1, 1, 4, 1, 1)
        assert out.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_change_blurs_over_zeros_around_the_picture():
    video = torch.zeros(1, 3, 2, 3, 3)
    video[:, 1, 1] = 1  # green appears
    out = answer("change", video, 3, 1)[0, 0, 1]
    ninths = torch.tensor([[4, 6, 4], [6, 9, 6], [4, 6, 4]]) / 9
    assert torch.allclose(out, 0.587 * ninths, atol=1e-6)


def test_change_is_blind_to_hue_and_with_lag_two_to_15_hertz():
    rng = [np.random.default_rng(5) for _ in "by"]
    clips = [Hue().render(i, r, np.arange(8), 32).frames for i, r in enumerate(rng)]
    one, other = (torch.from_numpy(c).permute(3, 0, 1, 2)[None] / 255 for c in clips)
    assert (one - other).abs().max() > 0.2
    changes = [answer("change", clip, 9, 1) for clip in (one, other)]
    assert (changes[0] - changes[1]).abs().max() < 1 / 255
    flicker = torch.tensor([0.0, 1]).repeat(4).view(1, 1, 8, 1, 1).expand(1, 3, 8, 9, 9)
    assert answer("change", flicker, 9, 2)[:, :, 2:].abs().max() == 0
    assert answer("change", flicker, 9, 1)[:, :, 2:].abs().min() > 0.2


def test_change_may_convolve_and_loop_but_not_look_ahead():
    def convolved(video, size, lag):
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1, 1) / size**2
        weights = weights.expand(1, 3, 1, size, size)
        x = F.conv3d(video, weights, padding=(0, size // 2, size // 2))
        frames = [x[:, :, t] - x[:, :, max(t - lag, 0)] for t in range(x.shape[2])]
        return torch.stack(frames, dim=2)

    assert verdict("change", convolved).right
    assert not verdict("change", lambda video, *g: -convolved(video, *g)).right
    shorter = verdict("change", lambda v, size, lag: convolved(v, size, lag)[:, :, 1:])
    assert "shape (1, 1, 7," in shorter.told
    assert "float64" in verdict("change", lambda v, *g: convolved(v, *g).double()).told


def test_meeting_by_hand():
    hue = torch.tensor([[[1.0, -1]], [[1, -1]], [[0, 1]], [[1, 1]]])
    motion = torch.tensor([[[3.0, 1]], [[0, 2]], [[1, 1]], [[0, 0]]])
    assert answer("meet", hue, motion).tolist() == [0.5, -1, 0.5, 0]


def test_meeting_solves_binding_and_averages_do_not():
    # The prompt's 80 clips: hue is blue minus red, of grey walls 0.
    task, right = Binding(), np.zeros(2, int)
    for seed, case in product(range(20), range(4)):
        scene = task.render(case, np.random.default_rng(seed), np.arange(32), 48)
        video = torch.from_numpy(scene.frames).permute(3, 0, 1, 2)[None] / 255
        hue = (video[:, 2] - video[:, 0]).mean(dim=1)
        motion = answer("change", video, 9, 1)[:, 0].abs().mean(dim=1)
        scores = answer("meet", hue, motion).item(), (hue.mean() * motion.mean()).item()
        right += [(s > 0) == (task.classes[scene.label] == "blue") for s in scores]
    assert right.tolist() == [80, 40]


def test_meeting_may_weigh_first_but_not_pick_one_place():
    def weighed(hue, motion):
        shares = motion.flatten(1) / motion.flatten(1).sum(1, keepdim=True)
        return torch.einsum("bp,bp->b", hue.flatten(1), shares.nan_to_num(0))

    def most_moved(hue, motion):
        place = motion.flatten(1).argmax(dim=1, keepdim=True)
        return hue.flatten(1).gather(1, place)[:, 0]

    assert verdict("meet", weighed).right
    assert not verdict("meet", most_moved).right
    kept_axis = verdict("meet", lambda *given: weighed(*given)[:, None])
    assert "shape (4, 1) where (4,)" in kept_axis.told
