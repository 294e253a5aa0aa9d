"""SlowFast Networks for video recognition, small enough to read and exact enough to use.

Start with ``build_model``, ``PRESETS`` and ``count_flops``; the notebooks lead through
the rest.
"""

from slowfast_edu.config import PRESETS, BaselineConfig, ClipConfig, NonLocal, SlowFastConfig
from slowfast_edu.models import *  # noqa: F403 - the models' public names, listed there
from slowfast_edu.models import __all__ as _model_names

__version__ = "0.1.0"
__all__ = ["PRESETS", "BaselineConfig", "ClipConfig", "NonLocal", "SlowFastConfig"]
__all__ += _model_names
