"""What several test files need: groups of presets, models without memory."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from slowfast_edu.config import LUMA, PRESETS, ClipConfig, SlowFastConfig
from slowfast_edu.models import build_model

FAMILY = [name for name, c in PRESETS.items() if isinstance(c, SlowFastConfig)]
TWO_PATHWAYS = [name for name in FAMILY if PRESETS[name].pathways == "slowfast"]

# The crops at which papers count the two baselines that are not of PySlowFast.
PAPER_CROP = {name: 256 for name in PRESETS} | {"i3d_inception": 224, "r2plus1d_34": 112}

# Every kind of block and layer of the family, at a few milliseconds a forward pass.
SMALL = SlowFastConfig(clip=ClipConfig(T=4, tau=8, alpha=4), depth=14, width=8, beta=1 / 4)


@cache
def meta_model(config, num_classes=400):
    """A model that has shapes and no numbers; shared, so do not change it."""
    with torch.device("meta"):
        return build_model(config, num_classes).eval()


def small_model(num_classes=5, **changes):
    """A small model in eval mode whose numbers are all drawn from a fixed seed."""
    torch.manual_seed(0)
    return randomize(build_model(replace(SMALL, **changes), num_classes))


def randomize(model):
    """Draw BN's values too: those that begin at 0 would switch whole branches off."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            for values in (module.weight.data, module.running_var):
                values.uniform_(0.5, 1.5)
            for values in (module.bias.data, module.running_mean):
                values.normal_(0, 0.1)
    return model.eval()


def rng(seed=0):
    return np.random.default_rng(seed)


def grey(frames):
    """What a grey Fast pathway gets, in levels of 0 to 255."""
    return frames @ np.array(LUMA)
