"""The learning rate at each iteration: linear warm-up, then half a cosine (appendix)."""

import math
from dataclasses import dataclass, replace
from numbers import Real

from slowfast_edu.checks import check_count


def check_positive(field: str, value: object) -> None:
    """Refuse what is not a number above 0.

    Raises:
        ValueError: see above.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(f"{field}={value!r} must be a number above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The learning rate over training, set anew at each iteration (appendix).

    The rate is proportional to the batch (linear scaling, Goyal et al. 2017): 0.1 at 64
    clips and 1.6 at 1024 are the same.

    Attributes:
        epochs: passes over the training set.
        warmup_epochs: for how many of them the rate rises; 0 for none.
        base_rate: what the cosine begins with, at ``base_batch`` clips a step.
        base_batch: clips a step for which the rates are stated.
        warmup_rate: what warm-up begins with, at ``base_batch`` clips a step.
        backbone_share: of that rate, at which all but the classifier learns: below 1 to
            fine-tune; 0 freezes it.

    Raises:
        ValueError: a rate or count that cannot be, or a warm-up longer than training.
    """

    epochs: int = 196
    warmup_epochs: float = 34
    base_rate: float = 0.1
    base_batch: int = 64
    warmup_rate: float = 0.01
    backbone_share: float = 1.0

    def __post_init__(self):
        check_count("epochs", self.epochs)
        check_count("base_batch", self.base_batch)
        check_positive("base_rate", self.base_rate)
        check_positive("warmup_rate", self.warmup_rate)
        share = self.backbone_share
        if not isinstance(share, Real) or not 0 <= share <= 1:
            raise ValueError(f"backbone_share={share!r} must lie in [0, 1]; try 0.1")
        if (
            not isinstance(self.warmup_epochs, Real)
            or not 0 <= self.warmup_epochs <= self.epochs
        ):
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r} must lie in 0 to epochs="
                f"{self.epochs}; the usual share is 34 / 196: {self.epochs * 34 / 196:g}"
            )

    def rate(self, epoch: float, batch: int) -> float:
        """The learning rate at a moment of training.

        Args:
            epoch: epochs done, with their fraction: iteration / iterations an epoch.
            batch: clips a step, over all processes and passes.

        Returns:
            Half a cosine from ``base_rate`` to 0 over all epochs; in warm-up a straight
            line from ``warmup_rate`` to that cosine's value where warm-up ends.

        >>> [round(Schedule().rate(epoch, batch=64), 8) for epoch in (0, 34, 195)]
        [0.01, 0.09275714, 6.42e-06]
        """
        scale = batch / self.base_batch
        if epoch >= self.warmup_epochs:
            return scale * self._cosine(epoch)
        rise = self._cosine(self.warmup_epochs) - self.warmup_rate
        return scale * (self.warmup_rate + rise * epoch / self.warmup_epochs)

    def _cosine(self, epoch: float) -> float:
        return self.base_rate * 0.5 * (math.cos(math.pi * epoch / self.epochs) + 1)

    def lasting(self, epochs: int) -> "Schedule":
        """The same over another number of epochs; with fewer, warm-up keeps its share."""
        check_count("epochs", epochs)
        warmup = self.warmup_epochs * min(1, epochs / self.epochs)
        return replace(self, epochs=epochs, warmup_epochs=warmup)
