"""What a trained model knows beside its weights, and how that travels in a checkpoint."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import NoReturn

from torch import nn

from slowfast_edu.checkpoints.reading import CheckpointError
from slowfast_edu.checks import check_choice, check_count
from slowfast_edu.config import (
    BaselineConfig,
    ClipConfig,
    ModelConfig,
    NonLocal,
    SlowFastConfig,
)

TYPES = {"SlowFastConfig": SlowFastConfig, "BaselineConfig": BaselineConfig}
INNER = {"clip": ClipConfig, "non_local": NonLocal}
# What a file may ask of who uses it, for anybody may have written it.
MOST_NUMBER = 100_000  # torch can still count the weights of so wide a model
MOST_CHARACTERS = 1_000_000  # ten thousand names of a hundred letters
MOST_RAW_FRAMES = 9_000  # of one clip: five minutes at 30 frames a second
MOST_FRAMES = 1_000  # of them that a model sees: 800 MB at 256 pixels
MOST_SIZE = 4_096  # pixels
MOST_FRAMES_PER_SECOND = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a user of a trained model must know; ``model.about`` holds it.

    Attributes:
        classes: names of its scores, in their order; () if nobody said.
        size: pixels of the shorter side of clips, and of their square crops, in testing;
            None if nobody said.
        frames_per_second: at which clips were sampled; None: each file's own.
        several_labels: a clip may have several, so that scores are for sigmoids.

    Raises:
        ValueError: names that cannot be printed or occur twice, an impossible size or rate.

    >>> About(classes=("run", "walk"), size=256).several_labels
    False
    """

    classes: tuple[str, ...] = ()
    size: int | None = None
    frames_per_second: float | None = None
    several_labels: bool = False

    def __post_init__(self):
        if not isinstance(self.classes, tuple):
            raise ValueError(f"classes={self.classes!r} must be a tuple: ('run', 'walk')")
        seen = set()
        for place, name in enumerate(self.classes):
            if not isinstance(name, str) or not name.strip() or not name.isprintable():
                raise ValueError(f"classes[{place}]={name!r} must be a name in one line")
            if name in seen:
                raise ValueError(
                    f"classes[{place}]={name!r} occurs twice; names must differ"
                )
            seen.add(name)
        if self.size is not None:
            check_count("size", self.size)
            if self.size > MOST_SIZE:
                raise ValueError(f"size={self.size} must be at most {MOST_SIZE}; try 256")
        rate = self.frames_per_second
        if rate is not None and not _is_rate(rate):
            raise ValueError(
                f"frames_per_second={rate!r} must be above 0 and at most "
                f"{MOST_FRAMES_PER_SECOND}; try 30"
            )
        check_choice("several_labels", self.several_labels, (True, False))


def _is_rate(value: object) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and 0 < value <= MOST_FRAMES_PER_SECOND


def about_of(model: nn.Module) -> About:
    """``model.about``, or what says nothing."""
    return getattr(model, "about", About())


def as_metadata(config: ModelConfig, about: About) -> dict[str, str]:
    """What ``save_checkpoint`` writes beside the weights."""
    return {
        "frame_rule": config.clip.frame_rule,
        "model": json.dumps({"type": type(config).__name__} | asdict(config)),
        "about": json.dumps(asdict(about)),
    }


def config_from(metadata: Mapping[str, str]) -> ModelConfig | None:
    """The model's configuration, or None of a file that does not tell it.

    Raises:
        CheckpointError: it cannot be understood, or its clips are too long to read; the
            metadata may come from anyone.
    """
    return _told(metadata, "model", _config)


def about_from(metadata: Mapping[str, str]) -> About | None:
    """What the file says of classes and clips, or None if nothing.

    Raises:
        CheckpointError: it cannot be understood.
    """
    return _told(metadata, "about", lambda found: About(**found))


def _told(metadata: Mapping[str, str], name: str, make: Callable) -> object | None:
    """What was written as JSON, its lists as tuples again, made into what it was."""
    if name not in metadata:
        return None
    try:
        text = metadata[name]
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"{len(text):,} characters are more than {MOST_CHARACTERS:,}")
        found = json.loads(text, parse_int=_whole)
        if not isinstance(found, dict):
            raise ValueError(f"it is a {type(found).__name__}, must be a dict")
        return make(_with_tuples(found))
    except Exception as error:  # what anybody may have written can break anything
        _refuse(name, error)


def _whole(text: str) -> int:
    if len(text) > len(str(MOST_NUMBER)) or int(text) > MOST_NUMBER:
        raise ValueError(f"{text[:20]} is more than {MOST_NUMBER:,}, as no number may be")
    return int(text)


def _refuse(name: str, error: Exception) -> NoReturn:
    cause = (str(error) or type(error).__name__).splitlines()[0][:200]
    raise CheckpointError(f"what it says of its {name!r} is no use: {cause}") from error


def _with_tuples(found: dict) -> dict:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}


def _config(found: dict) -> ModelConfig:
    type_name = found.pop("type", None)
    check_choice("type", type_name, TYPES)
    for name, inner in INNER.items():
        if isinstance(found.get(name), dict):
            found[name] = inner(**_with_tuples(found[name]))
    config = TYPES[type_name](**found)
    clip = config.clip
    for name, most in (("raw_frames", MOST_RAW_FRAMES), ("fast_frames", MOST_FRAMES)):
        if getattr(clip, name) > most:
            raise ValueError(
                f"T={clip.T}, tau={clip.tau} and alpha={clip.alpha} make {name}="
                f"{getattr(clip, name)}, must be at most {most}"
            )
    return config
