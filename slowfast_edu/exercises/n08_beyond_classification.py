"""The exercises of notebook 08: own classes, several labels, boxes, and heat maps."""

import numpy as np
import torch
from torch import Tensor

from slowfast_edu.exercises.exercise import Exercise, Mistake, Written
from slowfast_edu.exercises.n08_boxes import MATCH, PRECISION
from slowfast_edu.training.recipe import HEAD

# 08.decide


def _decide(scores: Tensor, least: float) -> Tensor:
    return scores.sigmoid() >= least


def _asked(rng: np.random.Generator) -> list[tuple]:
    drawn = [(torch.tensor([[0.0, 2.0, -2.0], [-3.0, -4.0, -5.0]]), 0.5)]
    for _ in range(9):
        scores = rng.normal(0, 2, (4, int(rng.integers(3, 9))))
        drawn.append((torch.from_numpy(scores).float(), float(rng.choice([0.3, 0.5, 0.7]))))
    return drawn


DECIDE = Exercise(
    name="08.decide",
    title="Which actions occur",
    minutes=5,
    difficulty=1,
    points=2,
    answer=_decide,
    inputs=_asked,
    view=lambda found, *_: torch.as_tensor(found),
    mistakes=(
        Mistake(
            answer=lambda scores, least: scores.softmax(dim=1) >= least,
            cause="you took the softmax, whose classes share one whole: of three actions "
            "at once hardly one can have a half",
        ),
        Mistake(
            answer=lambda scores, least: scores >= least,
            cause="you compared the scores themselves; the threshold is a probability, the "
            "sigmoid of a score",
        ),
        Mistake(
            answer=lambda scores, least: scores == scores.amax(dim=1, keepdim=True),
            cause="you took the highest class; several may occur, or none",
        ),
        Mistake(
            answer=lambda scores, least: (
                _decide(scores, least) | (scores == scores.amax(dim=1, keepdim=True))
            ),
            cause="you always named one; where no class passes, the answer is that none "
            "occurs",
        ),
        Mistake(
            answer=lambda scores, least: scores.sigmoid() > least,
            cause="you left out what lies exactly at the threshold; 'at least' includes it",
        ),
        Mistake(
            answer=lambda scores, least: scores.sigmoid() >= 0.5,
            cause="you always took 0.5; the threshold is `least`",
        ),
    ),
    hints=(
        "Each class gets a yes or no of its own. What makes its score a probability?",
        "The sigmoid, class by class; then compare with the threshold.",
        "scores.sigmoid() >= least is a tensor of bools.",
    ),
)

# 08.transplant

SHAPES = {
    "slow.res2.block0.a.weight": (3, 2, 1, 1, 1),
    "slow.res2.block0.a_bn.weight": (3,),
    "slow.res2.block0.a_bn.running_mean": (3,),
    "lateral.res2.t_conv.conv.weight": (2, 1, 5, 1, 1),
}
_ACTIONS = ("clap", "jump", "run", "squat", "walk")


def _transplant(old: dict, fresh: dict, old_classes, new_classes) -> dict:
    keeps = list(old_classes) == list(new_classes)
    return {n: old[n] if keeps or not n.startswith(HEAD) else fresh[n] for n in fresh}


def _state(rng: np.random.Generator, classes: int) -> dict[str, Tensor]:
    """Some weights of a network, small ones under the library's names."""
    head = {f"{HEAD}projection.weight": (classes, 4), f"{HEAD}projection.bias": (classes,)}
    shapes = (SHAPES | head).items()
    return {n: torch.from_numpy(rng.normal(size=shape)).float() for n, shape in shapes}


def _moves(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for count in (2, 3, 4):
        before = [str(name) for name in rng.permutation(_ACTIONS)[:count]]
        others = ["moonwalk", *before[1:]]
        for after in (before, before[::-1], others, [*before, "bow"]):
            states = _state(rng, count), _state(rng, len(after))
            drawn.append((*states, before, after))
    return drawn


TRANSPLANT = Exercise(
    name="08.transplant",
    title="What moves into the new network",
    minutes=7,
    difficulty=2,
    points=3,
    answer=_transplant,
    inputs=_moves,
    mistakes=(
        Mistake(
            answer=lambda old, fresh, before, after: {
                n: old[n] if old[n].shape == w.shape else w for n, w in fresh.items()
            },
            cause="you took all that has the same shape; a classifier for as many *other* "
            "classes fits as well, and answers under wrong names",
        ),
        Mistake(
            answer=lambda old, fresh, before, after: _transplant(
                old, fresh, sorted(before), sorted(after)
            ),
            cause="you compared the classes without their order; row 0 of the classifier "
            "belongs to the first name",
        ),
        Mistake(
            answer=lambda old, fresh, before, after: _transplant(old, fresh, [0], [1]),
            cause="you always left the classifier fresh; for the same classes in the same "
            "order the trained one is right",
        ),
        Mistake(
            answer=lambda *given: {
                n: given[1][n] if "running" in n else w
                for n, w in _transplant(*given).items()
            },
            cause="you moved the weights and left BN's running statistics behind; without "
            "them eval mode normalises with zeros and ones",
        ),
    ),
    hints=(
        "Which tensors know the classes, and which do not?",
        "Everything but 'head.' moves, BN's statistics too. The head moves if the names "
        "are the same in the same order.",
        "{n: fresh[n] if n.startswith('head.') and not same else old[n] for n in fresh}",
    ),
)

# 08.cam


def _cam(features: Tensor, gradients: Tensor) -> Tensor:
    weights = gradients.mean(dim=(1, 2, 3), keepdim=True)
    return (weights * features).sum(dim=0).relu()


def _maps(rng: np.random.Generator) -> list[tuple]:
    sizes = [(6, 4, 2, 2), (4, 1, 3, 3), (3, 8, 1, 2)]
    sizes += [tuple(rng.integers(2, 6, 4)) for _ in range(7)]
    drawn = []
    for size in sizes:
        features = torch.from_numpy(rng.normal(size=size)).float().relu()  # as a stage's
        gradients = torch.from_numpy(rng.normal(size=size)).float()
        drawn.append((features, gradients))
    return [*drawn, (features, -gradients.abs())]  # all of the last map is cut


CAM = Exercise(
    name="08.cam",
    title="Grad-CAM in space and time",
    minutes=8,
    difficulty=2,
    points=3,
    answer=_cam,
    inputs=_maps,
    mistakes=(
        Mistake(
            answer=lambda features, gradients: (
                gradients.mean(dim=(1, 2, 3), keepdim=True) * features
            ).sum(dim=0),
            cause="you left negative sums in; Grad-CAM cuts them at zero: they lower the "
            "score, and probably belong to other classes",
        ),
        Mistake(
            answer=lambda features, gradients: (
                (gradients.mean(dim=(1, 2, 3), keepdim=True) * features).relu().sum(dim=0)
            ),
            cause="you cut each channel at zero before the sum; channels that speak "
            "against the class have to count until then",
        ),
        Mistake(
            answer=lambda features, gradients: (
                (gradients.mean(dim=(2, 3), keepdim=True) * features).sum(dim=0).relu()
            ),
            cause="you gave each frame weights of its own; the gradient is averaged over "
            "time as well: one weight a channel",
        ),
        Mistake(
            answer=lambda features, gradients: (gradients * features).sum(dim=0).relu(),
            cause="you multiplied place by place, which is gradient times input; here the "
            "gradient is averaged over the map first",
        ),
        Mistake(
            answer=lambda features, gradients: (
                (gradients.sum(dim=(1, 2, 3), keepdim=True) * features).sum(dim=0).relu()
            ),
            cause="you summed the gradient over the map; its mean is the weight",
        ),
        Mistake(
            answer=lambda features, gradients: _cam(features, gradients) / len(features),
            cause="you averaged over the channels; they are summed",
        ),
        Mistake(
            answer=lambda *given: _cam(*given) / _cam(*given).amax(),
            cause="you divided by the largest value, which is done for a picture alone; a "
            "map of zeros becomes NaN by it",
        ),
    ),
    hints=(
        "How many weights are there? One for each channel.",
        "A weight is the mean of its channel's gradient over T, H and W. Then: weighted "
        "sum over the channels, then the cut.",
        "gradients.mean(dim=(1, 2, 3), keepdim=True); times features; .sum(dim=0).relu()",
    ),
)

DOUBT = Written(
    name="08.doubt",
    title="What a heat map does not show",
    minutes=8,
    difficulty=2,
    points=4,
)

EXERCISES = (DECIDE, TRANSPLANT, PRECISION, CAM, MATCH, DOUBT)
