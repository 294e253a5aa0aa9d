"""SlowFast (section 3), and Slow-only and Fast-only by leaving a pathway out."""

from torch import Tensor, nn

from slowfast_edu.checks import check_count, nearest_multiples
from slowfast_edu.config import PRESETS, ClipConfig, SlowFastConfig
from slowfast_edu.models.blocks import Pathway, init_weights
from slowfast_edu.models.heads import ClassificationHead
from slowfast_edu.models.inputs import Pathways, split_pathways
from slowfast_edu.models.lateral import LateralConnection
from slowfast_edu.models.plan import LATERALS_AFTER, fast_plan, slow_plan

LAYERS = ("conv1", "pool1", "res2", "res3", "res4", "res5")


class SlowPathway(Pathway):
    """Few frames, many channels: what is there (section 3.1).

    Args:
        config: defaults to Slow-only. With laterals (``pathways="slowfast"``) res2 to
            res5 expect the lateral's channels beside Slow's own, as SlowFast gives them.

    Shape: (B, 3, T, H, W) -> (B, 32 * width, T, H/32, W/32), rounded up.

    Raises:
        ValueError: the configuration has no Slow pathway.
    """

    def __init__(self, config: SlowFastConfig = SlowFastConfig(pathways="slow")):
        if config.pathways == "fast":
            raise ValueError("pathways='fast' has no Slow pathway; try 'slow'")
        super().__init__(slow_plan(config))


class FastPathway(Pathway):
    """Many frames, few channels: how it moves (section 3.2).

    Args:
        config: its beta, depth, width and fast_input shape the pathway.

    Shape: (B, C, alpha * T, H, W) -> (B, 32 * beta * width, alpha * T, H/32, W/32).

    Raises:
        ValueError: the configuration has no Fast pathway.
    """

    def __init__(self, config: SlowFastConfig = SlowFastConfig()):
        if config.pathways == "slow":
            raise ValueError("pathways='slow' has no Fast pathway; try 'fast'")
        super().__init__(fast_plan(config))


class SlowFast(nn.Module):
    """Two pathways over the same clip, joined by laterals after pool1, res2 to res4.

    Args:
        num_classes: scores to give.
        alpha: frame-rate ratio Fast / Slow.
        beta: channel ratio Fast / Slow.
        slow_channels: width of Slow's conv1.
        num_frames: Fast frames of a clip at stride 2, alpha * T.
        config: everything, in place of the four above.

    Shape: (B, 3, alpha * T, H, W), or ``Pathways`` -> (B, num_classes). Any H and W from
        32 up and any number of frames that alpha divides will run.

    Raises:
        ValueError: settings or a clip that cannot be, naming the rule and what would do.

    >>> import torch
    >>> SlowFast(num_classes=10)(torch.zeros(1, 3, 32, 64, 64)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        num_classes: int = 400,
        alpha: int = 8,
        beta: float = 1 / 8,
        slow_channels: int = 64,
        num_frames: int = 32,
        *,
        config: SlowFastConfig | None = None,
    ):
        super().__init__()
        if config is not None and not isinstance(config, SlowFastConfig):
            raise TypeError(f"config={config!r} must be a SlowFastConfig, or left out")
        given = (alpha, beta, slow_channels, num_frames)
        if config is None:
            config = _config_from(*given)
        elif given != (8, 1 / 8, 64, 32):
            raise ValueError(
                "give either config or alpha, beta, slow_channels and num_frames; "
                "dataclasses.replace(config, ...) changes a configuration"
            )
        self.config = config
        slow, fast = slow_plan(config), fast_plan(config)
        self.slow = SlowPathway(config) if slow else None
        self.fast = FastPathway(config) if fast else None
        self.lateral = nn.ModuleDict()
        if slow and fast and config.fusion != "none":
            for name in LATERALS_AFTER:
                self.lateral[name] = LateralConnection(
                    fast.channels_after(name),
                    config.clip.alpha,
                    config.fusion,
                    config.fusion_kernel,
                    enlarge=config.fast_input == "half",
                )
        features = sum(plan.out_channels for plan in (slow, fast) if plan)
        self.head = ClassificationHead(
            features, num_classes, config.dropout, kind=config.head
        )
        init_weights(self)

    def forward(self, clip: Tensor | Pathways) -> Tensor:
        return self.head(*pathway_features(self, split_pathways(clip, self.config)))


def pathway_features(model: nn.Module, inputs: Pathways) -> tuple[Tensor, ...]:
    """What the pathways give to a head: the output of res5, Slow's before Fast's.

    Args:
        model: with ``slow``, ``fast`` and ``lateral`` as ``SlowFast`` has them.
        inputs: of ``split_pathways``.

    Shape: Pathways -> one (B, C_i, T_i, H_i, W_i) a pathway that there is.
    """
    slow, fast = inputs
    for name in LAYERS:
        if slow is not None:
            slow = getattr(model.slow, name)(slow)
        if fast is not None:
            fast = getattr(model.fast, name)(fast)
        if name in model.lateral:
            slow = model.lateral[name](slow, fast)
    return tuple(x for x in (slow, fast) if x is not None)


def _config_from(alpha, beta, slow_channels, num_frames) -> SlowFastConfig:
    for name, value in (("alpha", alpha), ("num_frames", num_frames)):
        check_count(name, value)
    if num_frames % alpha:
        near = nearest_multiples(num_frames, alpha)
        raise ValueError(
            f"num_frames={num_frames} must be a multiple of alpha={alpha}; the nearest: "
            f"{near}"
        )
    clip = ClipConfig(T=num_frames // alpha, tau=2 * alpha, alpha=alpha)
    return SlowFastConfig(clip=clip, beta=beta, width=slow_channels)


def slowfast_4x16_r50(num_classes: int = 400) -> SlowFast:
    """The paper's smallest model: 36.1 GFLOPs, 75.6% top-1 on Kinetics-400 (Table 2)."""
    return SlowFast(num_classes, config=PRESETS["slowfast_4x16_r50"])


def slowfast_8x8_r101(num_classes: int = 400) -> SlowFast:
    """106 GFLOPs, 77.9% top-1 on Kinetics-400 (Table 2): 6 temporal blocks in res4."""
    return SlowFast(num_classes, config=PRESETS["slowfast_8x8_r101"])
