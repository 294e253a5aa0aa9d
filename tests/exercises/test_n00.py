"""Notebook 00's exercises against numbers worked out by hand, and other ways to write."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from slowfast_edu.exercises import EXERCISES, examine


def verdict(word, function):
    return examine(EXERCISES[f"00.{word}"], function)


def test_one_pixel_of_a_clip():
    # Two frames of one row and three columns; the second frame's middle is red 255.
    frames = np.zeros((2, 1, 3, 3), np.uint8)
    frames[1, 0, 1, 0] = 255
    clip = EXERCISES["00.to_clip"].answer(frames)
    assert clip.shape == (1, 3, 2, 1, 3) and clip.dtype == torch.float32
    assert clip[0, 0, 1, 0, 1].item() == pytest.approx((1 - 0.45) / 0.225)
    clip[0, 0, 1, 0, 1] = -2  # black: -0.45 / 0.225
    assert clip.flatten().tolist() == pytest.approx([-2] * 18)


def test_a_clip_may_be_made_in_another_order():
    def numpy_first(frames):
        scaled = (np.moveaxis(frames, -1, 0) / 255 - 0.45) / 0.225
        return torch.tensor(scaled[None], dtype=torch.float32)

    def einsum(frames):
        moved = torch.einsum("thwc->cthw", torch.from_numpy(frames).float())
        return moved.unsqueeze(0).div(255 * 0.225) - 2

    assert verdict("to_clip", numpy_first).right
    assert verdict("to_clip", einsum).right


def test_a_clip_must_be_a_tensor_of_the_right_shape_and_colours():
    def as_array(frames):
        return EXERCISES["00.to_clip"].answer(frames).numpy()

    def blue_first(frames):
        return EXERCISES["00.to_clip"].answer(frames).flip(1)

    def channels_last(frames):
        return EXERCISES["00.to_clip"].answer(frames).permute(0, 2, 3, 4, 1)

    assert "an array where a tensor" in verdict("to_clip", as_array).told
    assert "is expected" in verdict("to_clip", blue_first).told
    assert "shape (1, 4, 6, 8, 3) where (1, 3, 4, 6, 8)" in (
        verdict("to_clip", channels_last).told
    )


def test_guesses_by_hand():
    # exp(log 6) : exp(0) : exp(log 3) are as 6 : 1 : 3.
    scores = torch.tensor([[math.log(6), 0, math.log(3)], [0, math.log(3), 0]])
    guesses = EXERCISES["00.best_guess"].answer(scores, ["walk", "run", "wave"])
    assert [name for name, _ in guesses] == ["walk", "run"]
    assert [share for _, share in guesses] == pytest.approx([6 / 10, 3 / 5])


def test_guesses_may_be_lists_tensors_and_made_otherwise():
    def loop(scores, names):
        found = []
        for row in scores:
            value, place = row.max(0)
            found.append([names[place], (value - row.logsumexp(0)).exp()])
        return found

    assert verdict("best_guess", loop).right
    assert verdict("best_guess", lambda s, n: tuple(loop(s.double(), n))).right


def test_guesses_with_an_overflow_in_percent_or_turned_round_fail():
    def naive(scores, names):
        shares = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        return [(names[row.argmax()], row.max().item()) for row in shares]

    def percent(scores, names):
        shares = F.softmax(scores, dim=1)
        return [(names[row.argmax()], 100 * row.max().item()) for row in shares]

    def turned(scores, names):
        return [(share / 100, name) for name, share in percent(scores, names)]

    assert verdict("best_guess", naive).passed == 8  # all but scores of 200
    assert "[1]: another number" in verdict("best_guess", percent).told
    assert not verdict("best_guess", turned).right
