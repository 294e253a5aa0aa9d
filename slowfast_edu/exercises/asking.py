"""Ask a function an exercise's inputs, and put its answers into text and back."""

import base64
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from slowfast_edu.exercises.exercise import Exercise

MOST_ENTRIES = 100_000  # of a list: no right answer has a hundredth of that
MOST_BYTES = 60_000  # of a packed answer: all of an exercise's stay below 1 MiB
DTYPES = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
DTYPES += ("float16", "bfloat16", "float32", "float64")  # of what goes as bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """An error in place of an answer: its kind, what it says, and all its classes."""

    kind: str
    text: str
    classes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind

    @property
    def is_a_stubs(self) -> bool:
        """Torch raises the same error with a message, of a network without forward, say."""
        return self.kind == "NotImplementedError" and not self.text


class Thing:
    """In place of an answer that cannot be sent: no exercise expects one."""

    def __repr__(self) -> str:
        return f"a {type(self).__name__}"


def ask(exercise: Exercise, function: Callable, seed: int) -> list:
    """What a function answers to all inputs of an exercise.

    Args:
        exercise: what is asked.
        function: the one that is asked. It gets copies of the arguments.
        seed: of the inputs.

    Returns:
        What is compared of each result, or a ``Raised`` in its place. After a stub's
        bare NotImplementedError nothing more is asked, and the list is shorter.
    """
    answers = []
    for given in exercise.inputs(np.random.default_rng(seed)):
        answers.append(_answer(exercise, function, given))
        if isinstance(answers[-1], Raised) and answers[-1].is_a_stubs:
            break
    return answers


def _answer(exercise: Exercise, function: Callable, given: tuple) -> Any:
    """What is compared of a function's result, or what it raised."""
    try:
        result = function(*copy.deepcopy(given))
        return exercise.view(result, *copy.deepcopy(given))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of a learner, so any
        classes = tuple(c.__name__ for c in type(error).__mro__)
        return Raised(type(error).__name__, str(error), classes)


def pack(answer: Any) -> Any:
    """An answer as JSON can hold it, whatever it is; ``unpack`` gives it back.

    Numbers, texts, lists, tuples, dictionaries, arrays, tensors and errors come back as
    they were (NumPy's numbers as Python's, arrays of anything but numbers as lists); of
    anything else, or larger than any right answer, only the name of its type.
    """
    kind = type(answer).__name__
    try:
        packed = _packed(answer)
        fits = len(json.dumps(packed)) <= MOST_BYTES
        return packed if fits else {"thing": f"{kind} (too large)"}
    except Exception:  # of a list that holds itself, a tensor without values
        return {"thing": kind}


def _packed(answer: Any) -> Any:
    if answer is None or type(answer) is str:
        return answer
    if isinstance(answer, bool | np.bool_):
        return bool(answer)
    if isinstance(answer, Integral):
        return {"int": str(int(answer))}
    if isinstance(answer, Real):
        return {"float": repr(float(answer))}
    if isinstance(answer, Raised):
        return {"raised": [answer.kind, answer.text[:200], list(answer.classes)]}
    if isinstance(answer, torch.Tensor):
        return _packed_tensor(answer)
    if isinstance(answer, np.ndarray):
        return _packed_array(answer)
    if isinstance(answer, Mapping) and len(answer) < MOST_ENTRIES:
        return {"dict": [[_packed(key), _packed(part)] for key, part in answer.items()]}
    if isinstance(answer, str):  # NumPy's, say: equal to no text that is expected
        return {"thing": type(answer).__name__}
    if isinstance(answer, Sequence) and len(answer) < MOST_ENTRIES:
        kind = "tuple" if isinstance(answer, tuple) else "list"
        return {kind: [_packed(part) for part in answer]}
    return {"thing": type(answer).__name__}


def _packed_array(array: np.ndarray) -> Any:
    dtype = str(array.dtype.newbyteorder("="))
    if dtype not in DTYPES:  # of texts, say
        return _packed(array.tolist())
    data = base64.b64encode(np.asarray(array, dtype).tobytes()).decode()
    return {"array": [dtype, list(array.shape), data]}


def _packed_tensor(tensor: torch.Tensor) -> dict:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        return {"thing": f"tensor of {dtype}"}
    flat = tensor.detach().cpu().contiguous().flatten()
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return {"tensor": [dtype, list(tensor.shape), base64.b64encode(data).decode()]}


def unpack(packed: Any) -> Any:
    """The answer that ``pack`` put away. It trusts nothing in it, and runs nothing.

    Raises:
        ValueError: ``pack`` has not written this.
    """
    try:
        return _unpacked(packed)
    except Exception as error:  # of what may be anything
        raise ValueError("this is no answer that was put away") from error


def _unpacked(packed: Any) -> Any:
    if packed is None or isinstance(packed, str | bool):
        return packed
    [(kind, value)] = packed.items()
    if kind in ("int", "float"):
        return {"int": int, "float": float}[kind](value)
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](map(_unpacked, value))
    if kind == "dict":
        return {_unpacked(key): _unpacked(part) for key, part in value}
    if kind == "raised":
        name, text, classes = value
        return Raised(str(name), str(text), tuple(map(str, classes)))
    if kind == "thing":
        return type(str(value), (Thing,), {})()
    dtype, shape, data = value
    data = bytearray(base64.b64decode(data, validate=True))
    if dtype not in DTYPES:
        raise ValueError(dtype)
    if kind == "array":
        return np.frombuffer(data, np.dtype(dtype)).reshape(shape)
    if kind != "tensor":
        raise ValueError(kind)
    dtype = getattr(torch, dtype)
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.reshape(shape)
