"""Is an answer the expected one? Kind, shape, type of number and value."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

RELATIVE, ABSOLUTE = 1e-4, 1e-6  # other orders of summation, never another answer


def difference(expected: Any, got: Any) -> str | None:
    """What an answer has otherwise than the expected one; None if nothing.

    A list, a tuple and an array of the same numbers are the same, and so are 2 and
    ``np.int64(2)``. True is not 1, 2.0 is not 2, and a tensor is asked for as a tensor.

    >>> difference([0, 8], np.array([0, 8])) is None
    True
    >>> difference(2, 2.0)
    'a float where an int is expected'
    """
    if isinstance(expected, torch.Tensor):
        return _tensors(expected, got)
    if isinstance(expected, np.ndarray):
        return _arrays(expected, got)
    if isinstance(expected, Mapping):
        return _mappings(expected, got)
    if isinstance(expected, str) or expected is None:
        return None if type(got) is type(expected) and got == expected else "another value"
    if isinstance(expected, Sequence):
        return _sequences(expected, got)
    return _numbers(expected, got)


def _kind(value: Any) -> str:
    """The word for a value's type, as a learner says it."""
    if isinstance(value, bool | np.bool_):
        return "a bool"
    if isinstance(value, Integral):
        return "an int"
    if isinstance(value, Real):
        return "a float"
    if isinstance(value, torch.Tensor):
        return "a tensor"
    if isinstance(value, np.ndarray):
        return "an array"
    name = type(value).__name__
    return "None" if value is None else f"a {name}"


def _numbers(expected: Any, got: Any) -> str | None:
    if isinstance(got, torch.Tensor | np.ndarray) and got.ndim == 0:
        got = got.item()
    if _kind(got) != _kind(expected):
        return f"{_kind(got)} where {_kind(expected)} is expected"
    if isinstance(expected, Integral | np.bool_):
        word = "number" if _kind(expected) == "an int" else "value"
        return None if got == expected else f"another {word}"
    if math.isnan(expected) or math.isnan(got):
        return None if math.isnan(expected) and math.isnan(got) else "another number"
    near = math.isclose(expected, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return None if near else "another number"


def _sequences(expected: Sequence, got: Any) -> str | None:
    if isinstance(got, np.ndarray | torch.Tensor):
        got = got.tolist()
    if isinstance(got, str) or not isinstance(got, Sequence):
        return f"{_kind(got)} where a {type(expected).__name__} is expected"
    if len(got) != len(expected):
        entries = "1 entry" if len(got) == 1 else f"{len(got)} entries"
        return f"{entries} where {len(expected)} are expected"
    for place, (wanted, given) in enumerate(zip(expected, got, strict=True)):
        if told := difference(wanted, given):
            return f"[{place}]{told if told.startswith('[') else f': {told}'}"
    return None


def _mappings(expected: Mapping, got: Any) -> str | None:
    if not isinstance(got, Mapping):
        return f"{_kind(got)} where a dict is expected"
    if set(got) != set(expected):
        return (
            f"keys {sorted(map(str, got))} where {sorted(map(str, expected))} are expected"
        )
    for key, wanted in expected.items():
        if told := difference(wanted, got[key]):
            return f"{key}: {told}"
    return None


def _arrays(expected: np.ndarray, got: Any) -> str | None:
    if isinstance(got, torch.Tensor):
        got = got.numpy(force=True)
    try:
        got = np.asarray(got)
    except ValueError:  # rows of several lengths
        return f"{_kind(got)} that is no array, where an array is expected"
    if got.shape != expected.shape:
        return f"shape {got.shape} where {expected.shape} is expected"
    kinds = {"b": "bools", "i": "whole numbers", "u": "whole numbers", "f": "floats"}
    have, want = (kinds.get(a.dtype.kind, str(a.dtype)) for a in (got, expected))
    if have != want and expected.size:
        return f"{have} where {want} are expected"
    near = np.isclose(got, expected, RELATIVE, ABSOLUTE, equal_nan=True)
    return None if near.all() else _first_apart(expected, got, near)


def _tensors(expected: torch.Tensor, got: Any) -> str | None:
    if not isinstance(got, torch.Tensor):
        return f"{_kind(got)} where a tensor is expected"
    if got.shape != expected.shape:
        return f"shape {tuple(got.shape)} where {tuple(expected.shape)} is expected"
    if got.dtype != expected.dtype:
        return f"dtype {got.dtype} where {expected.dtype} is expected"
    got, expected = got.detach().double(), expected.detach().double()
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    near = torch.isclose(
        got,
        expected,
        rtol=RELATIVE,
        atol=max(ABSOLUTE, RELATIVE * scale),
        equal_nan=True,
    )
    return None if near.all() else _first_apart(expected.numpy(), got.numpy(), near.numpy())


def _first_apart(expected: np.ndarray, got: np.ndarray, near: np.ndarray) -> str:
    """Where two arrays begin to differ, and in what."""
    place = tuple(int(index[0]) for index in np.nonzero(~near))
    return f"{got[place]:.4g} at {list(place)}, where {expected[place]:.4g} is expected"
