"""SlowFast Networks for video recognition, small enough to read and exact enough to use.

Start with ``build_model``, ``PRESETS`` and ``count_flops``; the notebooks lead through
the rest.
"""

from slowfast_edu.analysis import closed_form_macs, count_flops
from slowfast_edu.checkpoints import (
    CheckpointError,
    fetch_weights,
    load_checkpoint,
    save_checkpoint,
)
from slowfast_edu.config import (
    PRESETS,
    BaselineConfig,
    ClipConfig,
    NonLocal,
    SlowFastConfig,
)
from slowfast_edu.models import (
    Baseline,
    FastPathway,
    LateralConnection,
    Pathways,
    SlowFast,
    SlowPathway,
    build_model,
    slowfast_4x16_r50,
    slowfast_8x8_r101,
)

__version__ = "0.1.0"
__all__ = [
    "PRESETS",
    "Baseline",
    "BaselineConfig",
    "CheckpointError",
    "ClipConfig",
    "FastPathway",
    "LateralConnection",
    "NonLocal",
    "Pathways",
    "SlowFast",
    "SlowFastConfig",
    "SlowPathway",
    "build_model",
    "closed_form_macs",
    "count_flops",
    "fetch_weights",
    "load_checkpoint",
    "save_checkpoint",
    "slowfast_4x16_r50",
    "slowfast_8x8_r101",
]
