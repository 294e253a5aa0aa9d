"""Small networks on the rendered tasks: what can be learnt is, and what cannot is not."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from slowfast_edu import PRESETS, build_model
from slowfast_edu.config import ClipConfig
from slowfast_edu.data.figures import Binding, MovingFigures, Spin
from slowfast_edu.data.transforms import normalize

CLIP = ClipConfig(T=2, tau=16, alpha=8)
NARROW = replace(PRESETS["slowfast_tiny"], clip=CLIP, width=8, dropout=0.0)
BATCH, TRAINING_CLIPS = 16, 480


@cache
def rendered(task, clips, split):
    """At 32 pixels the parts of two wheels are too small."""
    size = 32 if isinstance(task, Spin) else 48
    data = MovingFigures(task, clips, CLIP, size=size, split=split)
    samples = [data[i] for i in range(clips)]
    labels = torch.tensor([sample.label for sample in samples])
    return torch.stack([sample.clip for sample in samples]), labels


def accuracy(model, clips, labels):
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(normalize(part)) for part in clips.split(60)])
    return float((scores.argmax(dim=1) == labels).float().mean())


def accuracies(task, config, epochs):
    """Validation accuracy after each epoch of SGD with warm-up and half a cosine."""
    clips, labels = rendered(task, TRAINING_CLIPS, "train")
    unseen = rendered(task, 240, "val")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = build_model(config, num_classes=len(task.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    steps = TRAINING_CLIPS // BATCH
    for epoch in range(epochs):
        model.train()
        order = torch.from_numpy(rng.permutation(TRAINING_CLIPS))
        for number, chosen in enumerate(order.split(BATCH)):
            step = epoch * steps + number
            warm, cosine = (step + 1) / steps, np.cos(np.pi * step / (epochs * steps))
            optimizer.param_groups[0]["lr"] = 0.05 * min(1, warm) * (1 + cosine) / 2
            loss = cross_entropy(model(normalize(clips[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield accuracy(model, *unseen)


@pytest.mark.parametrize(
    ("task", "changes"),
    [(Spin(), {}), (Binding(), {"fast_input": "gray", "fusion": "t_conv"})],
    ids=["spin", "binding"],
)
def test_a_slowfast_learns_it(task, changes):
    """Stops at the first epoch above 90%, of at most fourteen."""
    found = accuracies(task, replace(NARROW, **changes), epochs=14)
    assert any(value > 0.9 for value in found)


def test_slow_alone_stays_at_chance_on_spin():
    *_, last = accuracies(Spin(), replace(NARROW, pathways="slow"), epochs=4)
    assert abs(last - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 240)  # four standard errors


def test_pathways_that_meet_only_in_the_classifier_stay_near_one_half_on_binding():
    config = replace(NARROW, fast_input="gray", fusion="none")
    *_, last = accuracies(Binding(), config, epochs=2)
    assert abs(last - 0.5) < 4 * np.sqrt(0.25 / 240)
