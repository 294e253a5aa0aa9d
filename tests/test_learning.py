"""Small networks on the rendered tasks: what can be learnt is, and what cannot is not."""

from dataclasses import replace
from functools import cache
from itertools import islice

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
TRAINING_CLIPS = 480
RATE_AND_BATCH = {Spin: (0.02, 8), Binding: (0.05, 16)}  # which learn it in few epochs


@cache
def rendered(task, clips, split):
    """At 32 pixels the parts of two wheels are too small."""
    size = 32 if isinstance(task, Spin) else 48
    data = MovingFigures(task, clips, CLIP, size=size, split=split)
    samples = [data[i] for i in range(clips)]
    labels = torch.tensor([sample.label for sample in samples])
    return torch.stack([sample.clip for sample in samples]), labels


def accuracy(model, task):
    """On validation clips."""
    clips, labels = rendered(task, 240, "val")
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(normalize(part)) for part in clips.split(60)])
    return float((scores.argmax(dim=1) == labels).float().mean())


def trained(task, config, epochs):
    """The model after each epoch of SGD with warm-up and half a cosine."""
    clips, labels = rendered(task, TRAINING_CLIPS, "train")
    rate, batch = RATE_AND_BATCH[type(task)]
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = build_model(config, num_classes=len(task.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, nesterov=True)
    steps = TRAINING_CLIPS // batch
    for epoch in range(epochs):
        model.train()
        order = torch.from_numpy(rng.permutation(TRAINING_CLIPS))
        for number, chosen in enumerate(order.split(batch)):
            step = epoch * steps + number
            warm, cosine = (step + 1) / steps, np.cos(np.pi * step / (epochs * steps))
            optimizer.param_groups[0]["lr"] = rate * min(1, warm) * (1 + cosine) / 2
            loss = cross_entropy(model(normalize(clips[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield model


@pytest.mark.parametrize(
    ("task", "changes"),
    [(Spin(), {}), (Binding(), {"fast_input": "gray", "fusion": "t_conv"})],
    ids=["spin", "binding"],
)
def test_a_slowfast_learns_it(task, changes):
    """Stops at the first epoch above 90%, of at most fourteen."""
    models = trained(task, replace(NARROW, **changes), epochs=14)
    assert any(accuracy(model, task) > 0.9 for model in models)


def test_slow_alone_stays_at_chance_on_spin():
    """In one epoch more than the SlowFast takes, on the same schedule."""
    *_, model = islice(trained(Spin(), replace(NARROW, pathways="slow"), epochs=14), 3)
    last = accuracy(model, Spin())
    assert abs(last - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 240)  # four standard errors


def test_pathways_that_meet_only_in_the_classifier_stay_near_one_half_on_binding():
    config = replace(NARROW, fast_input="gray", fusion="none")
    *_, model = islice(trained(Binding(), config, epochs=14), 2)  # t_conv takes no more
    assert abs(accuracy(model, Binding()) - 0.5) < 4 * np.sqrt(0.25 / 240)
