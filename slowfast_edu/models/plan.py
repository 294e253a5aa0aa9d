"""From a configuration to channels, kernels and strides: arithmetic, no tensors.

The models are built from a plan and ``analysis.closed_form`` counts a plan, so the
figure in a table and the layer in memory cannot drift apart unnoticed: the tests hold
both against fvcore and against the paper.
"""

from typing import NamedTuple

from slowfast_edu.config import (
    BLOCKS,
    FAST_INPUT_CHANNELS,
    BaselineConfig,
    NonLocal,
    SlowFastConfig,
)

EXPANSION = 4  # a bottleneck's output is 4 times its inner width
LATERALS_AFTER = ("pool1", "res2", "res3", "res4")  # not res5 (section 3.3)


class StagePlan(NamedTuple):
    """One residual stage; ``in_channels`` includes what a lateral added."""

    name: str
    in_channels: int
    inner_channels: int
    temporal_kernels: tuple[int, ...]  # of conv a, one a block
    spatial_stride: int
    temporal_stride: int = 1
    factorised: bool = False  # conv b as (2+1)D: temporal, then spatial
    non_local: NonLocal | None = None

    @property
    def out_channels(self) -> int:
        return EXPANSION * self.inner_channels


class PathwayPlan(NamedTuple):
    """One pathway: conv1, pool1 and the four residual stages."""

    in_channels: int
    stem_channels: int
    stem_kernel: int  # in time; 7x7 in space
    stages: tuple[StagePlan, ...]
    spatial_pool1: bool = True  # max 1x3x3, stride 2, after conv1
    temporal_pool2: bool = False  # max 2x1x1, stride 2, after res2

    @property
    def out_channels(self) -> int:
        return self.stages[-1].out_channels

    def channels_after(self, name: str) -> int:
        """Output channels of ``pool1``, ``res2``, ..., ``res5``."""
        outputs = {stage.name: stage.out_channels for stage in self.stages}
        return {"pool1": self.stem_channels, **outputs}[name]


def lateral_channels(config: SlowFastConfig, fast_channels: int) -> int:
    """Channels that a lateral connection concatenates to Slow (section 3.3)."""
    alpha = config.clip.alpha
    added = {"t_conv": 2, "t_sample": 1, "ttoc_concat": alpha}.get(config.fusion, 0)
    return added * fast_channels


def _stages(width, blocks, temporal_kernels, added, **per_stage) -> tuple:
    """res2 to res5: inner widths double, space halves from res3 on."""
    stages, in_channels = [], width
    for index, (count, kernels) in enumerate(zip(blocks, temporal_kernels, strict=True)):
        options = {name: values[index] for name, values in per_stage.items()}
        stage = StagePlan(
            name=f"res{index + 2}",
            in_channels=in_channels + added[index],
            inner_channels=width * 2**index,
            temporal_kernels=tuple(kernels[i % len(kernels)] for i in range(count)),
            **{"spatial_stride": 1 if index == 0 else 2, **options},
        )
        stages.append(stage)
        in_channels = stage.out_channels
    return tuple(stages)


def _res4_kernels(config: SlowFastConfig) -> tuple[int, ...]:
    count = BLOCKS[config.depth][2]
    return tuple(3 if i < config.res4_temporal_blocks else 1 for i in range(count))


def fast_plan(config: SlowFastConfig) -> PathwayPlan | None:
    """The Fast pathway of Table 1: temporal kernels everywhere, beta of the channels."""
    if config.pathways == "slow":
        return None
    stem = config.fast_channels(config.width)
    stages, in_channels = [], stem
    kernels = ((3,), (3,), _res4_kernels(config), (3,))
    for stage in _stages(config.width, BLOCKS[config.depth], kernels, (0,) * 4):
        inner = config.fast_channels(stage.inner_channels)
        stages.append(stage._replace(in_channels=in_channels, inner_channels=inner))
        in_channels = stages[-1].out_channels
    channels = FAST_INPUT_CHANNELS[config.fast_input]
    return PathwayPlan(channels, stem, stem_kernel=5, stages=tuple(stages))


def slow_plan(config: SlowFastConfig) -> PathwayPlan | None:
    """The Slow pathway of Table 1: temporal kernels in res4 and res5 only."""
    if config.pathways == "fast":
        return None
    added = (0,) * 4
    if config.pathways == "slowfast":
        fast = fast_plan(config)
        added = tuple(
            lateral_channels(config, fast.channels_after(n)) for n in LATERALS_AFTER
        )
    stages = _stages(
        config.width,
        BLOCKS[config.depth],
        ((1,), (1,), _res4_kernels(config), (3,)),
        added,
        non_local=(None, None, config.non_local, None),
    )
    return PathwayPlan(3, config.width, stem_kernel=1, stages=stages)


def baseline_plan(config: BaselineConfig) -> PathwayPlan:
    """C2D, I3D and R(2+1)D on ResNet-50, as PySlowFast and PyTorchVideo build them."""
    none, i3d = ((1,),) * 4, ((3,), (3, 1), (3, 1), (1, 3))
    if config.kind == "r2plus1d":
        strides = {"spatial_stride": (2, 2, 2, 2), "temporal_stride": (1, 1, 2, 2)}
        stages = _stages(64, BLOCKS[50], none, (0,) * 4, factorised=(True,) * 4, **strides)
        return PathwayPlan(3, 64, stem_kernel=1, stages=stages, spatial_pool1=False)
    kernels, stem_kernel = (i3d, 5) if config.kind == "i3d" else (none, 1)
    stages = _stages(64, BLOCKS[50], kernels, (0,) * 4)
    return PathwayPlan(3, 64, stem_kernel, stages, temporal_pool2=True)
