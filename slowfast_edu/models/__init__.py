"""The models.

Read: plan, blocks, lateral, non_local, slowfast, heads, baselines, detection.
"""

from torch import nn

from slowfast_edu.config import PRESETS, BaselineConfig, ModelConfig, SlowFastConfig
from slowfast_edu.models.baselines import Baseline
from slowfast_edu.models.detection import Detector
from slowfast_edu.models.inputs import Pathways, example_clip, split_pathways
from slowfast_edu.models.lateral import LateralConnection, time_to_channel
from slowfast_edu.models.slowfast import (
    FastPathway,
    SlowFast,
    SlowPathway,
    slowfast_4x16_r50,
    slowfast_8x8_r101,
)

__all__ = [
    "Baseline",
    "Detector",
    "FastPathway",
    "LateralConnection",
    "Pathways",
    "SlowFast",
    "SlowPathway",
    "build_model",
    "example_clip",
    "slowfast_4x16_r50",
    "slowfast_8x8_r101",
    "split_pathways",
    "time_to_channel",
]


def build_model(
    name: str | SlowFastConfig | BaselineConfig, num_classes: int = 400
) -> nn.Module:
    """A model by the name of its preset, or by a configuration of one's own.

    Args:
        name: a key of ``PRESETS``, or a configuration.
        num_classes: scores to give.

    Returns:
        The model with fresh weights (He initialisation); its ``config`` says what it is.

    Raises:
        ValueError: an unknown name, with the known ones; fewer than one class.
        TypeError: neither a name nor a configuration.

    >>> build_model("slowfast_tiny", num_classes=10).head.projection.out_features
    10
    """
    if isinstance(name, str) and name not in PRESETS:
        raise ValueError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    config = PRESETS[name] if isinstance(name, str) else name
    if not isinstance(config, ModelConfig):
        raise TypeError(
            f"{name!r} is neither a preset's name nor a configuration; there are the "
            f"presets {', '.join(PRESETS)}"
        )
    if isinstance(config, BaselineConfig):
        return Baseline(config, num_classes)
    return SlowFast(num_classes, config=config)
