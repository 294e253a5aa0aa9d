"""The cost of a model from its configuration alone: no weights, no forward pass.

A convolution costs (output positions) x (output channels) x (kernel volume) x (input
channels) multiply-adds; a linear layer or a matrix product likewise. That is the unit
of the paper's GFLOPs: one view, batch normalisation and pooling not counted.
"""

from collections import Counter
from collections.abc import Iterator

from slowfast_edu.checks import check_count
from slowfast_edu.config import MIN_SIZE, BaselineConfig, ModelConfig
from slowfast_edu.models.baselines import (
    INCEPTION_BLOCKS,
    INCEPTION_POOLS,
    R34_BLOCKS,
    R34_WIDTHS,
    InceptionI3D,
    R2Plus1D34,
    inception_out_channels,
    r2plus1d_middle,
)
from slowfast_edu.models.plan import (
    LATERALS_AFTER,
    PathwayPlan,
    StagePlan,
    baseline_plan,
    fast_plan,
    lateral_channels,
    slow_plan,
)

Size = tuple[int, int]  # frames, and pixels of a side
Step = tuple[str, int, Size]  # layer, its multiply-adds, the size behind it


def _strided(size: Size, temporal: int = 1, spatial: int = 1) -> Size:
    """Size behind an odd kernel padded by half, or TensorFlow's SAME: rounded up."""
    return -(-size[0] // temporal), -(-size[1] // spatial)


def _positions(size: Size) -> int:
    return size[0] * size[1] ** 2


def _non_local_macs(channels: int, size: Size, pool: tuple[int, int, int]) -> int:
    inner, frames, side = channels // 2, *size
    pooled = frames // min(pool[0], frames)
    for p in pool[1:]:
        pooled *= side // min(p, side)
    convs = channels * inner * (2 * _positions(size) + 2 * pooled)
    return convs + 2 * inner * _positions(size) * pooled


def _stage(plan: StagePlan, size: Size) -> Step:
    macs, in_channels, inner = 0, plan.in_channels, plan.inner_channels
    strides = plan.temporal_stride, plan.spatial_stride
    for i, kernel in enumerate(plan.temporal_kernels):
        out = _strided(size, *strides)
        macs += in_channels * inner * kernel * _positions(size)  # a
        if plan.factorised:  # b's 3x1x1, before space is strided
            macs += inner * inner * 3 * _positions(_strided(size, strides[0]))
        macs += inner * inner * 9 * _positions(out)  # b
        macs += inner * plan.out_channels * _positions(out)  # c
        if in_channels != plan.out_channels or strides != (1, 1):
            macs += in_channels * plan.out_channels * _positions(out)
        if plan.non_local is not None and i in plan.non_local.blocks:
            macs += _non_local_macs(plan.out_channels, out, plan.non_local.pool)
        size, in_channels, strides = out, plan.out_channels, (1, 1)
    return plan.name, macs, size


def _pathway(plan: PathwayPlan, size: Size) -> Iterator[Step]:
    size = _strided(size, spatial=2)
    weights = plan.in_channels * plan.stem_channels * plan.stem_kernel * 49
    yield "conv1", weights * _positions(size), size
    if plan.spatial_pool1:
        size = _strided(size, spatial=2)
        yield "pool1", 0, size
    for stage in plan.stages:
        step = _stage(stage, size)
        yield step
        size = step[2]
        if plan.temporal_pool2 and stage.name == "res2":
            size = max(1, size[0] // 2), size[1]


def _slowfast_stages(config, crop: int) -> Counter:
    macs = Counter()
    clip = config.clip
    for name, plan in (("slow", slow_plan(config)), ("fast", fast_plan(config))):
        if plan is None:
            continue
        half = name == "fast" and config.fast_input == "half"
        frames = clip.T if name == "slow" else clip.fast_frames
        for layer, cost, size in _pathway(plan, (frames, crop // 2 if half else crop)):
            macs[f"{name}.{layer}"] = cost
            joins = config.pathways == "slowfast" and config.fusion == "t_conv"
            if name == "fast" and joins and layer in LATERALS_AFTER:
                channels = plan.channels_after(layer)
                weights = channels * lateral_channels(config, channels)
                positions = config.fusion_kernel * _positions((clip.T, size[1]))
                macs[f"lateral.{layer}"] = weights * positions
        macs["features"] += plan.out_channels
    return macs


def _inception(size: Size) -> Iterator[tuple[str, int]]:
    size = _strided(size, 2, 2)
    yield "conv1", 3 * 64 * 7**3 * _positions(size)
    size = _strided(size, spatial=2)
    yield "conv2b", 64 * 64 * _positions(size)
    yield "conv2c", 64 * 192 * 27 * _positions(size)
    channels = 192
    for name, widths in INCEPTION_BLOCKS.items():
        if name in INCEPTION_POOLS:
            size = _strided(size, *INCEPTION_POOLS[name][1][:2])
        b0, b1_in, b1, b2_in, b2, b3 = widths
        weights = channels * (b0 + b1_in + b2_in + b3) + 27 * (b1_in * b1 + b2_in * b2)
        yield name, weights * _positions(size)
        channels = inception_out_channels(widths)


def _r2plus1d_conv(channels: int, width: int, size: Size, stride: int) -> int:
    middle = r2plus1d_middle(channels, width)
    spatial, out = _strided(size, 1, stride), _strided(size, stride, stride)
    return middle * (9 * channels * _positions(spatial) + 3 * width * _positions(out))


def _r2plus1d_34(size: Size) -> Iterator[tuple[str, int]]:
    size = _strided(size, spatial=2)
    yield "conv1", (3 * 45 * 49 + 45 * 64 * 3) * _positions(size)
    channels = 64
    for index, (count, width) in enumerate(zip(R34_BLOCKS, R34_WIDTHS, strict=True)):
        macs = 0
        for i in range(count):
            stride = 2 if i == 0 and index > 0 else 1
            out = _strided(size, stride, stride)
            macs += _r2plus1d_conv(channels, width, size, stride)
            macs += _r2plus1d_conv(width, width, out, 1)
            if stride != 1 or channels != width:
                macs += channels * width * _positions(out)
            size, channels = out, width
        yield f"res{index + 2}", macs


def _baseline_stages(config: BaselineConfig, crop: int) -> Counter:
    size = (config.clip.T, crop)
    if config.kind == "i3d_inception":
        steps, features = dict(_inception(size)), InceptionI3D.out_channels
    elif config.kind == "r2plus1d_34":
        steps, features = dict(_r2plus1d_34(size)), R2Plus1D34.out_channels
    else:
        plan = baseline_plan(config)
        steps = {name: macs for name, macs, _ in _pathway(plan, size)}
        features = plan.out_channels
    macs = Counter({f"backbone.{name}": cost for name, cost in steps.items()})
    return macs + Counter(features=features)


def closed_form_stages(
    config: ModelConfig, crop: int = 256, num_classes: int = 400
) -> dict[str, int]:
    """Multiply-adds of each stage, for one clip of one crop.

    Args:
        config: any model's configuration.
        crop: height and width in pixels.
        num_classes: width of the classifier.

    Returns:
        ``{"slow.conv1": ..., "lateral.pool1": ..., "head": ...}`` in multiply-adds;
        stages that cost nothing are left out.

    Raises:
        ValueError: a crop below 32, or fewer than one class.
        TypeError: not a configuration.
    """
    if not isinstance(config, ModelConfig):
        raise TypeError(f"{config!r} is not a configuration; PRESETS has one a name")
    check_count("crop", crop, least=MIN_SIZE)
    check_count("num_classes", num_classes)
    baseline = isinstance(config, BaselineConfig)
    macs = _baseline_stages(config, crop) if baseline else _slowfast_stages(config, crop)
    features = macs.pop("features")
    classifier = 0 if getattr(config, "head", "linear") == "features" else num_classes
    macs["head"] = features * classifier
    return {name: cost for name, cost in macs.items() if cost}


def closed_form_macs(config: ModelConfig, crop: int = 256, num_classes: int = 400) -> int:
    """Multiply-adds of a model for one clip of one crop: the paper's "FLOPs".

    Agrees with fvcore on the running model to the last multiply-add (a test holds it).

    Args, Raises: see ``closed_form_stages``.

    >>> from slowfast_edu.config import PRESETS
    >>> closed_form_macs(PRESETS["slowfast_4x16_r50"], crop=256) / 1e9
    36.099198976
    """
    return sum(closed_form_stages(config, crop, num_classes).values())


def closed_form_pathways(config: ModelConfig, crop: int = 256) -> dict[str, int]:
    """Multiply-adds of each pathway, as ``FlopCount.by_pathway`` but without running.

    Returns:
        ``{"slow": ..., "fast": ..., "lateral": ..., "head": ...}``, those that cost any.

    >>> from slowfast_edu.config import PRESETS
    >>> closed_form_pathways(PRESETS["slowfast_4x16_r50"])["fast"] / 1e9
    6.89963008
    """
    macs = Counter()
    for stage, cost in closed_form_stages(config, crop).items():
        macs[stage.split(".")[0]] += cost
    return dict(macs)
