"""What a model is: one frozen dataclass a concept, one field a symbol of the paper.

``PRESETS`` holds the named models. An ablation is one call::

    dataclasses.replace(PRESETS["slowfast_4x16_r50"], beta=1 / 4)

Paper: Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019.
"""

from dataclasses import dataclass, replace
from numbers import Real
from types import MappingProxyType

from slowfast_edu.checks import (
    check_choice,
    check_count,
    check_kernel,
    check_kind,
    nearest_divisors,
)

FRAME_RULES = ("stride", "linspace")
PATHWAYS = ("slowfast", "slow", "fast")
FUSIONS = ("t_conv", "t_sample", "ttoc_sum", "ttoc_concat", "none")
FAST_INPUT_CHANNELS = MappingProxyType(
    {"rgb": 3, "gray": 1, "time_difference": 1, "half": 3, "flow": 2}
)
HEADS = ("linear", "features")
BASELINES = ("c2d", "i3d", "r2plus1d", "i3d_inception", "r2plus1d_34")

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of R, G, B: a grey Fast input

MIN_SIZE = 32  # pixels; five halvings leave res5 one of its own

# Bottleneck blocks in res2, res3, res4, res5. 14 and 26 are ours, for small models:
# 2 + 3 layers a block, as 50 = 2 + 3 * (3 + 4 + 6 + 3).
BLOCKS = MappingProxyType(
    {
        14: (1, 1, 1, 1),
        26: (2, 2, 2, 2),
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
    }
)


def _check_dropout(value: float) -> None:
    if not isinstance(value, Real) or not 0 <= value < 1:
        raise ValueError(f"dropout={value!r} must lie in [0, 1); the paper uses 0.5")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConfig:
    """Which raw frames a model sees (section 3 and Table 1).

    The Slow pathway sees ``T`` frames, ``tau`` raw frames apart; the Fast pathway sees
    ``alpha * T`` frames, ``tau / alpha`` apart. A single-pathway baseline has alpha 1.

    Attributes:
        T: frames of the Slow pathway.
        tau: temporal stride of the Slow pathway, in raw frames.
        alpha: frame-rate ratio Fast / Slow.
        frame_rule: "stride" takes every alpha-th Fast frame for Slow (the paper);
            "linspace" spreads Slow's frames from the first to the last Fast frame
            (PySlowFast and PyTorchVideo: the rule that public weights expect).

    Raises:
        ValueError: a count below 1, an alpha that does not divide tau, unknown rule.

    >>> ClipConfig(T=4, tau=16, alpha=8).fast_frames
    32
    """

    T: int = 4
    tau: int = 16
    alpha: int = 8
    frame_rule: str = "stride"

    def __post_init__(self):
        for name in ("T", "tau", "alpha"):
            check_count(name, getattr(self, name), 1)
        check_choice("frame_rule", self.frame_rule, FRAME_RULES)
        if self.tau % self.alpha:
            near = " and ".join(map(str, nearest_divisors(self.alpha, of=self.tau)))
            raise ValueError(
                f"alpha={self.alpha} does not divide tau={self.tau}; "
                f"the nearest that does: {near}"
            )

    @property
    def fast_frames(self) -> int:
        """Frames of the Fast pathway: alpha * T."""
        return self.alpha * self.T

    @property
    def fast_stride(self) -> int:
        """Temporal stride of the Fast pathway in raw frames: tau / alpha."""
        return self.tau // self.alpha

    @property
    def raw_frames(self) -> int:
        """Raw frames that one clip spans: T * tau (64 for 4x16 and for 8x8)."""
        return self.T * self.tau


@dataclass(frozen=True, kw_only=True, slots=True)
class NonLocal:
    """Non-local blocks in res4 of the Slow pathway (Table 2, "R101+NL").

    Attributes:
        blocks: after which blocks of res4, counted from 0. PySlowFast: (6, 13, 20).
        pool: max-pooling (T, H, W) before phi and g. PySlowFast: (1, 2, 2). The paper's
            234 GFLOPs would fit (2, 2, 2), which no source states.

    Raises:
        ValueError: blocks or sizes that cannot be.
    """

    blocks: tuple[int, ...] = (6, 13, 20)
    pool: tuple[int, int, int] = (1, 2, 2)

    def __post_init__(self):
        if not isinstance(self.blocks, tuple) or len(set(self.blocks)) < len(self.blocks):
            raise ValueError(
                f"non_local.blocks={self.blocks!r} must be a tuple of different blocks; "
                "try (6, 13, 20)"
            )
        for index in self.blocks:
            check_count("non_local.blocks", index, 0)
        if not isinstance(self.pool, tuple) or len(self.pool) != 3:
            raise ValueError(
                f"non_local.pool={self.pool!r} must hold 3 sizes (T, H, W); try (1, 2, 2)"
            )
        for size in self.pool:
            check_count("non_local.pool", size, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowFastConfig:
    """SlowFast, Slow-only or Fast-only (section 3, Table 1); defaults are 4x16 R50.

    Attributes:
        clip: frames and rates.
        pathways: "slowfast", "slow" or "fast".
        depth: layers of the ResNet: 50, 101, 152, or 14 and 26 for small models.
        width: channels of Slow's conv1; every other width follows from it.
        beta: channel ratio Fast / Slow; Fast has max(1, round(beta * C)) channels (the
            rounding is ours: the paper does not say how 64/6 becomes a number).
        fusion: the lateral connection (section 3.3): "t_conv", "t_sample", "ttoc_sum",
            "ttoc_concat" or "none".
        fusion_kernel: temporal kernel of "t_conv". The text says 5; 8x8 R50 needs 7 to
            reach the 65.7 GFLOPs of Table 2, and PySlowFast uses 7 there.
        res4_temporal_blocks: how many of the first blocks of res4 have a temporal
            kernel, where there are as many. 6 is all of R50, and of R101's 23 the paper's
            choice; PyTorchVideo's R101 has 23.
        non_local: non-local blocks, or None.
        fast_input: what Fast sees (Table 5c): "rgb", "gray", "time_difference" (one
            channel), "half" (RGB at half the size) or "flow" (two channels).
        dropout: rate before the classifier.
        head: "linear" (logits) or "features" (the pooled vector, 2304 wide for R50).

    Raises:
        ValueError: a value out of range, naming the field, the rule and a near value.
    """

    clip: ClipConfig = ClipConfig()
    pathways: str = "slowfast"
    depth: int = 50
    width: int = 64
    beta: float = 1 / 8
    fusion: str = "t_conv"
    fusion_kernel: int = 5
    res4_temporal_blocks: int = 6
    non_local: NonLocal | None = None
    fast_input: str = "rgb"
    dropout: float = 0.5
    head: str = "linear"

    def __post_init__(self):
        check_kind("clip", self.clip, ClipConfig)
        if self.non_local is not None:
            check_kind("non_local", self.non_local, NonLocal)
        check_choice("pathways", self.pathways, PATHWAYS)
        check_choice("depth", self.depth, BLOCKS)
        check_choice("fusion", self.fusion, FUSIONS)
        check_choice("fast_input", self.fast_input, FAST_INPUT_CHANNELS)
        check_choice("head", self.head, HEADS)
        check_count("width", self.width, 1)
        check_count("res4_temporal_blocks", self.res4_temporal_blocks, 0)
        if not isinstance(self.beta, Real) or not 0 < self.beta <= 1:
            raise ValueError(f"beta={self.beta!r} must lie in (0, 1]; the paper uses 1/8")
        _check_dropout(self.dropout)
        self._check_fusion()
        self._check_non_local()

    def _check_fusion(self) -> None:
        check_kernel("fusion_kernel", self.fusion_kernel)
        if self.fusion != "ttoc_sum" or self.pathways != "slowfast":
            return
        widths = [self.width * 2**stage for stage in range(4)]
        packed = self.clip.alpha * self.fast_channels(self.width)
        if any(self.clip.alpha * self.fast_channels(w) != w for w in widths):
            raise ValueError(
                f"fusion='ttoc_sum' adds alpha * C_fast = {packed} channels to Slow's "
                f"{self.width}, so beta must be 1/alpha = 1/{self.clip.alpha} "
                f"(given: {self.beta:g}); or use 'ttoc_concat'"
            )

    def _check_non_local(self) -> None:
        if self.non_local is None:
            return
        if self.pathways == "fast":
            raise ValueError(
                "non_local blocks sit on the Slow pathway, which pathways='fast' does "
                "not have; use non_local=None"
            )
        last = BLOCKS[self.depth][2] - 1
        if any(index > last for index in self.non_local.blocks):
            raise ValueError(
                f"non_local.blocks={self.non_local.blocks} names a block that res4 of "
                f"R{self.depth} does not have; the last is {last}"
            )

    def fast_channels(self, slow_channels: int) -> int:
        """Channels of Fast where Slow has ``slow_channels``: max(1, round(beta * C))."""
        return max(1, round(self.beta * slow_channels))


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineConfig:
    """A model that accuracy tables quote beside SlowFast; built exactly, not varied.

    Attributes:
        kind: "c2d", "i3d" and "r2plus1d" are the ResNet-50 versions of PySlowFast and
            PyTorchVideo; "i3d_inception" is the inflated Inception-v1 (Carreira and
            Zisserman 2017); "r2plus1d_34" is R(2+1)D-34 (Tran et al. 2018).
        clip: frames and stride; alpha is 1.
        dropout: rate before the classifier.

    Raises:
        ValueError: an unknown kind, a rate outside [0, 1), or an alpha other than 1.
    """

    kind: str
    clip: ClipConfig
    dropout: float = 0.5

    def __post_init__(self):
        check_kind("clip", self.clip, ClipConfig)
        check_choice("kind", self.kind, BASELINES)
        _check_dropout(self.dropout)
        if self.clip.alpha != 1:
            raise ValueError(
                f"alpha={self.clip.alpha} is for two pathways; kind={self.kind!r} has "
                "one, so alpha must be 1"
            )


ModelConfig = SlowFastConfig | BaselineConfig


def _presets() -> dict[str, ModelConfig]:
    four = SlowFastConfig(clip=ClipConfig(T=4, tau=16, alpha=8))
    eight = SlowFastConfig(clip=ClipConfig(T=8, tau=8, alpha=4), fusion_kernel=7)
    r101 = replace(eight, depth=101, fusion_kernel=5)
    sixteen = replace(r101, clip=ClipConfig(T=16, tau=8, alpha=4))
    frames_8x8 = ClipConfig(T=8, tau=8, alpha=1)
    return {
        "slowfast_4x16_r50": four,
        "slowfast_8x8_r50": eight,
        "slowfast_8x8_r101": r101,
        "slowfast_16x8_r101": sixteen,
        "slowfast_16x8_r101_nl": replace(sixteen, non_local=NonLocal()),
        "slowfast_8x8_r101_all_temporal": replace(r101, res4_temporal_blocks=23),
        "slow_4x16_r50": replace(
            four, pathways="slow", clip=ClipConfig(T=4, tau=16, alpha=1)
        ),
        "slow_8x8_r50": replace(eight, pathways="slow", clip=frames_8x8),
        "fast_32x2_r50": replace(four, pathways="fast"),
        "c2d_8x8_r50": BaselineConfig(kind="c2d", clip=frames_8x8),
        "i3d_8x8_r50": BaselineConfig(kind="i3d", clip=frames_8x8),
        "r2plus1d_16x4_r50": BaselineConfig(
            kind="r2plus1d", clip=ClipConfig(T=16, tau=4, alpha=1)
        ),
        "i3d_inception": BaselineConfig(
            kind="i3d_inception", clip=ClipConfig(T=64, tau=1, alpha=1)
        ),
        "r2plus1d_34": BaselineConfig(
            kind="r2plus1d_34", clip=ClipConfig(T=32, tau=2, alpha=1)
        ),
        "slowfast_tiny": SlowFastConfig(
            clip=ClipConfig(T=4, tau=16, alpha=4), depth=14, width=12, beta=1 / 4
        ),
    }


PRESETS: MappingProxyType[str, ModelConfig] = MappingProxyType(_presets())
"""Every named model, in the order in which tables list them."""
