"""The two recipes against the paper's and PySlowFast's, and what each field does."""

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import nn
from training_script import (
    CLASSES,
    QUIET,
    RECIPE,
    Noise,
    one_thread,
    tiny_loader,
    tiny_model,
    train,
)

from slowfast_edu.data.batches import collate_clips
from slowfast_edu.data.transforms import TrainTransform
from slowfast_edu.models import build_model
from slowfast_edu.training import PAPER, PYSLOWFAST, RECIPES, Execution, Recipe, Schedule
from slowfast_edu.training.recipe import apply_to_model, is_fresh, parameter_groups
from slowfast_edu.training.step import Stepper

# The paper's appendix, and PySlowFast's configuration of 8x8 R50. Where the paper is
# silent (Nesterov, what decays, last BN, precise BN) its recipe is the plain form.
TABLE = {
    "momentum": (0.9, 0.9),
    "nesterov": (False, True),
    "weight_decay": (1e-4, 1e-4),
    "decays": ("all", "not_bn"),
    "initialization": ("he", "he"),
    "zero_last_bn": (False, True),
    "dropout": (0.5, 0.5),
    "bn_clips": (8, 8),
    "precise_bn_batches": (0, 200),
    "frozen_bn": (False, False),
    "clip_grad_norm": (None, None),
}
CROPS = TrainTransform(size=224, least=256, most=320)


@pytest.fixture(autouse=True)
def alone():
    with one_thread():
        yield


def test_the_recipes_are_those_of_the_table():
    assert dict(RECIPES) == {"paper": PAPER, "pyslowfast": PYSLOWFAST}
    for name, (paper, pyslowfast) in TABLE.items():
        assert getattr(PAPER, name) == paper, name
        assert getattr(PYSLOWFAST, name) == pyslowfast, name
    assert {f.name for f in fields(Recipe)} == {*TABLE, "schedule", "augmentation"}
    assert PAPER.augmentation == PYSLOWFAST.augmentation == CROPS
    expected = {"epochs": 196, "base_rate": 1.6, "base_batch": 1024}
    for name, value in expected.items():
        assert getattr(PAPER.schedule, name) == value
    assert PAPER.schedule.warmup_epochs * 240_000 / 1024 == pytest.approx(8000)
    assert PYSLOWFAST.schedule == Schedule(
        epochs=196, warmup_epochs=34, base_rate=0.1, base_batch=64, warmup_rate=0.01
    )


@pytest.mark.parametrize(
    "change,message",
    [
        ({"schedule": 196}, r"schedule=196 must be a Schedule"),
        ({"augmentation": None}, "augmentation=None must be a TrainTransform"),
        ({"decays": "bn"}, "decays='bn' is not known; choose one of 'all'"),
        ({"initialization": "xavier"}, "initialization='xavier' is not known"),
        ({"bn_clips": 0}, "bn_clips=0 must be a whole number of at least 1"),
        ({"precise_bn_batches": -1}, "precise_bn_batches=-1 must be"),
        ({"clip_grad_norm": 0}, "clip_grad_norm=0 must be a number above 0"),
        ({"momentum": 1.0}, r"momentum=1.0 must be a number in \[0, 1\)"),
        ({"weight_decay": -1}, r"weight_decay=-1 must be a number in \[0, 1\)"),
        ({"dropout": math.nan}, r"dropout=nan must be a number in \[0, 1\)"),
        ({"frozen_bn": "yes"}, "frozen_bn='yes' is not known; choose one of True, False"),
        ({"momentum": 0.0}, "nesterov=True needs a momentum above 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        Recipe(**change)
    assert "\n" not in str(caught.value)


CHANGES = {
    "schedule": Schedule(epochs=10, warmup_epochs=1),
    "momentum": 0.8,
    "nesterov": False,
    "weight_decay": 0.01,
    "decays": "all",
    "initialization": "torch",
    "zero_last_bn": False,
    "dropout": 0.2,
    "precise_bn_batches": 0,
    "clip_grad_norm": 0.1,
}


@pytest.fixture(scope="module")
def trained():
    with one_thread():
        return weights_after(RECIPE)


def weights_after(recipe):
    model = tiny_model()
    train(model, tiny_loader(8), 1, recipe)
    return model.state_dict()


@pytest.mark.parametrize("name", CHANGES)
def test_each_field_changes_what_is_learnt(name, trained):
    """bn_clips and augmentation are below: they decide what the loader gives.

    frozen_bn, and what a schedule freezes, is for trained models: see test_finetune.py.
    """
    found = weights_after(replace(RECIPE, **{name: CHANGES[name]}))
    different = [k for k in trained if not torch.equal(trained[k], found[k])]
    assert different
    if name == "precise_bn_batches":
        assert {k.rpartition(".")[2] for k in different} <= {
            "running_mean",
            "running_var",
            "num_batches_tracked",
        }


def test_bn_clips_must_be_the_loader_s():
    with pytest.raises(ValueError, match=r"bn_clips=8 in the recipe, .* have 2 clips"):
        train(tiny_model(), tiny_loader(), 1, replace(RECIPE, bn_clips=8))


def test_the_augmentation_says_what_stands_for_clips_that_cannot_be_read(monkeypatch):
    recipe = replace(RECIPE, augmentation=TrainTransform(size=48, least=48, most=48))
    model, seen = tiny_model(), []
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    train(model, tiny_loader(4, bad=(0, 1, 2)), 1, replace(recipe, precise_bn_batches=0))
    assert (2, 3, 4, 48, 48) in seen


# 1 stem + 4 blocks of a, b, c and a shortcut, in two pathways; 4 laterals.
CONVS = 2 * (1 + 4 * 4) + 4


@pytest.mark.parametrize(
    "decays,decaying",
    [("all", 3 * CONVS + 2), ("not_bn", CONVS + 2), ("weights", CONVS + 1)],
)
def test_which_weights_decay(decays, decaying):
    """Each convolution has a weight, its BN a weight and a bias; the classifier both."""
    model = tiny_model()
    groups = parameter_groups(replace(RECIPE, decays=decays, weight_decay=0.3), model)
    found = [(len(group["params"]), group["weight_decay"]) for group in groups]
    spared = 3 * CONVS + 2 - decaying
    assert found == [(decaying, 0.3)] + [(spared, 0.0)] * bool(spared)
    inside = {id(weight) for weight in groups[0]["params"]}
    assert id(model.slow.conv1.conv.weight) in inside
    assert (id(model.slow.conv1.bn.weight) in inside) == (decays == "all")
    assert (id(model.slow.conv1.bn.bias) in inside) == (decays == "all")
    assert (id(model.head.projection.bias) in inside) == (decays != "weights")


def test_frozen_weights_are_in_no_group():
    model = tiny_model()
    model.slow.requires_grad_(False)
    groups = parameter_groups(RECIPE, model)
    assert sum(len(g["params"]) for g in groups) == 3 * (CONVS - 17) + 2


def test_zero_last_bn_makes_fresh_blocks_their_shortcuts():
    model = tiny_model()
    apply_to_model(RECIPE, model)
    zero = {n for n, m in model.named_modules() if n and n.endswith("c_bn")}
    assert len(zero) == 8
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.weight.eq(0).all() == (name in zero), name
            assert module.weight.eq(1).all() == (name not in zero), name
    block = model.eval().slow.res3.block0
    x = torch.randn(1, block.a.in_channels, 2, 8, 8)
    expected = block.shortcut_bn(block.shortcut(x)).relu()
    assert torch.equal(block(x), expected)


def test_trained_weights_are_not_drawn_anew():
    model = tiny_model()
    assert is_fresh(model)
    model.train()(torch.randn(2, 3, 4, 32, 32))
    assert not is_fresh(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    apply_to_model(replace(RECIPE, initialization="torch", dropout=0.3), model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert model.head.dropout.p == 0.3


def test_initialization_he_is_the_model_s_and_torch_s_is_uniform():
    he, ours, torchs = tiny_model(), tiny_model(), tiny_model()
    apply_to_model(RECIPE, ours)
    apply_to_model(replace(RECIPE, initialization="torch"), torchs)
    conv, head = "slow.res5.block0.b.weight", "head.projection.weight"
    assert torch.equal(he.state_dict()[conv], ours.state_dict()[conv])
    he, torchs = he.state_dict(), torchs.state_dict()
    out, inside = he[conv].shape[0] * 9, he[conv].shape[1] * 9
    assert he[conv].std() == pytest.approx(math.sqrt(2 / out), rel=0.05)  # fan-out
    assert he[head].std() == pytest.approx(0.01, rel=0.2)
    for name, fan_in in ((conv, inside), (head, he[head].shape[1])):
        assert torchs[name].abs().max() <= 1 / math.sqrt(fan_in)
        assert torchs[name].std() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.1)


class Linear(nn.Module):
    """Scores are a linear function of a clip's first four numbers."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, CLASSES)

    def forward(self, clips):
        return self.head(clips.flatten(1)[:, :4])


def batch_of(indices):
    return collate_clips([Noise()[index] for index in indices])


def gradient(weight, bias, batches):
    """Of the mean cross-entropy of softmax(x W^T + b), averaged over batches, by hand."""
    of_weight, of_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    for batch in batches:
        x = batch.clips.double().flatten(1)[:, :4]
        wrong = (x @ weight.T + bias).softmax(1) - torch.eye(CLASSES)[batch.labels]
        of_weight += wrong.T @ x / len(x) / len(batches)
        of_bias += wrong.mean(0) / len(batches)
    return of_weight, of_bias


@pytest.mark.parametrize("clip_grad_norm", [None, 0.4])
@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("nesterov", [False, True])
def test_three_steps_are_sgd_s_by_hand(nesterov, passes, clip_grad_norm):
    recipe = replace(
        RECIPE,
        nesterov=nesterov,
        weight_decay=0.01,
        decays="weights",
        clip_grad_norm=clip_grad_norm,
    )
    torch.manual_seed(0)
    model = Linear()
    values = [p.detach().double().clone() for p in (model.head.weight, model.head.bias)]
    speed = [torch.zeros_like(value) for value in values]
    stepper = Stepper(model, recipe, QUIET, passes)
    clipped = 0
    for step, rate in enumerate((0.5, 0.3, 0.1)):
        batches = [
            batch_of((6 * step + 3 * k, 6 * step + 3 * k + 1)) for k in range(passes)
        ]
        grads = gradient(*values, batches)
        norm = math.sqrt(sum(float(g.square().sum()) for g in grads))
        if clip_grad_norm and norm > clip_grad_norm:
            grads, clipped = [g * clip_grad_norm / norm for g in grads], clipped + 1
        for i, decay in enumerate((0.01, 0.0)):
            grad = grads[i] + decay * values[i]
            speed[i] = 0.9 * speed[i] + grad if step else grad
            values[i] = values[i] - rate * (grad + 0.9 * speed[i] if nesterov else speed[i])
        stepper([(b, b is batches[-1]) for b in batches], step, rate)
        for found, expected in zip(model.head.parameters(), values, strict=True):
            torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)
    assert clipped == (3 if clip_grad_norm else 0)


def test_dropout_is_drawn_anew_in_each_step_and_pass_and_again_in_a_rerun():
    recipe = replace(RECIPE, zero_last_bn=False, nesterov=False)
    batch, losses = batch_of((0, 1)), []
    both = [(batch, False), (batch, True)]
    for _ in range(2):
        model = tiny_model()
        apply_to_model(recipe, model)
        stepper = Stepper(model.train(), recipe, QUIET, passes=2)
        losses.append([stepper(both, step, rate=0.0) for step in range(2)])
    assert losses[0] == losses[1]
    flat = [loss for results in losses[0] for loss, _, _ in results]
    assert len(set(flat)) == 4  # same clips and weights: dropout alone differs
    other = Stepper(tiny_model().train(), recipe, Execution(seed=1), passes=2)
    assert [other(both, 0, rate=0.0)] != losses[0][:1]


def test_models_without_a_second_group_and_of_other_kinds_are_trained():
    """A model without BN has nothing that does not decay."""
    assert [len(g["params"]) for g in parameter_groups(RECIPE, Linear())] == [2]
    model = build_model("slowfast_tiny", 2)
    assert is_fresh(model)


def test_a_trained_model_with_one_new_layer_is_not_drawn_anew():
    """Such as a non-local block in a network that was trained without."""
    model = tiny_model()
    model.train()(torch.randn(2, 3, 4, 32, 32))
    model.slow.conv1.bn.reset_running_stats()
    assert not is_fresh(model)
