"""Own classes: a trained model is made ready to learn them."""

from torch import nn

from slowfast_edu.checkpoints import About, about_of
from slowfast_edu.checks import check_model
from slowfast_edu.models import Detector
from slowfast_edu.models.blocks import init_weights

NAMED = 5  # classes in a message; more are "..."


def new_classes(model: nn.Module, about: About) -> str:
    """Give a trained model the classes that it is to learn, and say what became of its own.

    The classifier stays where it already names these classes in this order, or names none
    and gives as many scores. Else it is a fresh one, also where only the names differ.
    What learns, and how fast, is the recipe's: ``backbone_share``, ``frozen_bn``.

    Args:
        model: of ``load_model``; changed in place.
        about: becomes ``model.about``.

    Returns:
        One line to show to who trains.

    Raises:
        ValueError: no class, a model that gives features, or a detector.
        TypeError: not a model of this library.

    >>> from slowfast_edu.models import build_model
    >>> new_classes(build_model("slowfast_tiny", 3), About(classes=("hop", "bow")))
    'new classifier: 2 classes (hop, bow); the one before had 3 without names'
    """
    check_model(model)
    old, before = model.head.projection, about_of(model).classes
    if not about.classes:
        raise ValueError("about.classes is empty; name the classes that are to be learnt")
    if isinstance(model, Detector):
        raise ValueError(
            "the model is a Detector, which scores boxes; for other classes begin a new "
            "one with its weights: load_checkpoint(Detector(model.config, classes), file)"
        )
    if not isinstance(old, nn.Linear):
        raise ValueError("the model has no classifier; build it with head='linear'")
    model.about, wanted = about, _listed(about.classes)
    if before == about.classes:
        return f"classifier kept: it is one for the same classes ({wanted})"
    if not before and old.out_features == len(about.classes):
        return (
            f"classifier kept: it names no classes and has as many, {old.out_features}; "
            f"taken for {wanted}"
        )
    fresh = nn.Linear(old.in_features, len(about.classes))
    init_weights(fresh)
    model.head.projection = fresh.to(old.weight.device, old.weight.dtype)
    had = f"{old.out_features} ({_listed(before)})" if before else old.out_features
    rest = "" if before else " without names"
    return (
        f"new classifier: {len(about.classes)} classes ({wanted}); the one before had "
        f"{had}{rest}"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:NAMED]) + ", ..." * (len(names) > NAMED)
