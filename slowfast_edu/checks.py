"""Refusing bad settings: a message names the field, the value, the rule and a way out."""

import os
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import Path

LONGEST = 80  # characters of a value in a message


def check_choice(field: str, value: object, allowed: Collection) -> None:
    """Refuse a value that is not among ``allowed``, naming those.

    Raises:
        ValueError: see above.
    """
    if value not in list(allowed):
        names = ", ".join(repr(name) for name in allowed)
        raise ValueError(f"{field}={value!r} is not known; choose one of {names}")


def check_count(field: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number of at least ``least``, naming the nearest.

    Raises:
        ValueError: see above.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        nearest = max(least, round(value)) if isinstance(value, Real) else least
        raise ValueError(
            f"{field}={value!r} must be a whole number of at least {least}; "
            f"the nearest is {nearest}"
        )


def check_frames(frames: object) -> None:
    """Refuse what is not decoded frames: an array of bytes, RGB last.

    Raises:
        ValueError: see above.
    """
    dtype, shape = getattr(frames, "dtype", None), getattr(frames, "shape", ())
    if str(dtype) != "uint8" or len(shape) != 4 or shape[3] != 3:
        kind = dtype or f"a {type(frames).__name__}"
        raise ValueError(
            f"frames are {kind} of shape {tuple(shape)}, must be uint8 of shape "
            "(T, H, W, 3)"
        )


def check_kind(field: str, value: object, kind: type, way_out: str = "") -> None:
    """Refuse a value that is not an instance of ``kind``, naming how to get one.

    Raises:
        ValueError: see above.
    """
    if not isinstance(value, kind):
        shown = repr(value)
        if "\n" in shown or len(shown) > LONGEST:  # a whole network, say
            shown = f"{type(value).__name__}(...)"
        way_out = way_out or f"{kind.__name__}()"
        raise ValueError(f"{field}={shown} must be a {kind.__name__}: {way_out}")


def check_kernel(field: str, kernel: int) -> None:
    """Refuse a temporal kernel whose frames would not line up.

    Raises:
        ValueError: not a whole number, below 1, or even; names both odd neighbours.
    """
    check_count(field, kernel, 1)
    if kernel % 2 == 0:
        raise ValueError(
            f"{field}={kernel} must be odd, or Fast's frames do not line up with Slow's; "
            f"the nearest are {kernel - 1} and {kernel + 1}"
        )


def check_model(model: object) -> None:
    """Refuse what is not a model of this library, or hides one inside a wrapper.

    Raises:
        TypeError: it has no ``config``.
    """
    if not hasattr(model, "config"):
        raise TypeError(
            f"{type(model).__name__} has no config, so it is not a model of this library; "
            "of a wrapped one pass the model inside (model.module)"
        )


def check_output(field: str, path: str | os.PathLike, ending: str) -> Path:
    """Refuse a file to write whose name ends otherwise, or whose folder is not there.

    Returns:
        The path.

    Raises:
        ValueError: another ending.
        FileNotFoundError: no such folder.
    """
    path = Path(path)
    if path.suffix != ending:
        raise ValueError(
            f"{field}={str(path)!r} must end in {ending}; try {path.stem}{ending}"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    return path


def nearest_divisors(value: int, of: int) -> list[int]:
    """The divisors of ``of`` next to ``value``, below and above.

    >>> nearest_divisors(3, of=16)
    [2, 4]
    """
    divisors = [d for d in range(1, of + 1) if of % d == 0]
    below = [d for d in divisors if d < value][-1:]
    return below + [d for d in divisors if d > value][:1]


def nearest_multiples(value: int, of: int) -> str:
    """The multiples of ``of`` next to ``value``, for a message.

    >>> nearest_multiples(30, of=8)
    '24 and 32'
    """
    below = value // of * of
    return f"{below} and {below + of}" if below else str(of)
