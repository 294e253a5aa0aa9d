"""Reading a file that nobody vouches for: nothing in it is executed."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # its magic number, pickled
TORCH_ZIP = b"PK\x03\x04"
CAFFE2_DTYPES = ("f2", "f4", "f8", "i4", "i8", "u1")


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that is not for this model."""


class _PickledDtype:
    """A number type, of the few that weights have."""

    def __init__(self, code, *_flags):
        if code not in CAFFE2_DTYPES:
            raise pickle.UnpicklingError(f"arrays of type {code!r} are not weights")
        self.code, self.order = code, "<"

    def __setstate__(self, state):
        self.order = ">" if state[1] == ">" else "<"

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _PickledArray:
    """An array that checks its own size: NumPy's own unpickling trusts the file."""

    array: np.ndarray | None = None

    def __init__(self, *_reconstruct_arguments):
        pass

    def __setstate__(self, state):
        _version, shape, dtype, fortran, raw = state
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        values = np.frombuffer(raw, dtype.numpy())
        self.array = values.reshape(shape, order="F" if fortran else "C")


def _latin1(text: str, codec: str) -> bytes:
    """Bytes as Python 3 pickles them for protocol 2; no other codec is run."""
    if codec != "latin1":
        raise pickle.UnpicklingError(f"codec {codec!r} is not allowed")
    return text.encode("latin-1")


class _ArraysOnly(pickle.Unpickler):
    """Dictionaries, lists, text, numbers and arrays of numbers; no other object."""

    allowed = {
        "numpy._core.multiarray._reconstruct": _PickledArray,
        "numpy.core.multiarray._reconstruct": _PickledArray,
        "numpy.ndarray": "numpy.ndarray",  # named by _reconstruct, never called
        "numpy.dtype": _PickledDtype,
        "_codecs.encode": _latin1,
    }

    def find_class(self, module, name):
        if f"{module}.{name}" not in self.allowed:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, and a checkpoint holds arrays alone"
            )
        return self.allowed[f"{module}.{name}"]


def _read_caffe2(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        content = _ArraysOnly(file, encoding="latin1").load()
    blobs = content.get("blobs", content) if isinstance(content, dict) else None
    if not isinstance(blobs, dict):
        raise pickle.UnpicklingError("it holds no dictionary of arrays")
    return {
        key: torch.from_numpy(value.array.astype(value.array.dtype.newbyteorder("=")))
        for key, value in blobs.items()
        if isinstance(value, _PickledArray) and value.array is not None
    }


def is_torch_file(path: Path) -> bool:
    """Whether a file begins as ``torch.save`` writes them, now or formerly."""
    with path.open("rb") as file:
        return file.read(len(TORCH_LEGACY)).startswith((TORCH_ZIP, TORCH_LEGACY))


def _metadata_in(content: object) -> dict[str, str]:
    """What a run's ``last.pt`` says of its model, as a safetensors file would."""
    found = content.get("metadata") if isinstance(content, Mapping) else None
    items = found.items() if isinstance(found, Mapping) else ()
    return {k: v for k, v in items if isinstance(k, str) and isinstance(v, str)}


def _read_any(path: Path) -> tuple[Mapping, dict[str, str]]:
    if is_torch_file(path):
        content = torch.load(path, map_location="cpu", weights_only=True)
        return content, _metadata_in(content)
    with path.open("rb") as file:
        start = file.read(9)
    header_bytes = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and header_bytes < path.stat().st_size:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    return _read_caffe2(path), {}


def _cause(error: Exception) -> str:
    """One line; torch's own message also advises to switch safe loading off."""
    text = str(error).strip()
    if wanted := re.search(r"GLOBAL (\S+)", text):
        return f"it asks for {wanted[1]}, and a checkpoint holds tensors alone"
    text = text.rpartition("WeightsUnpickler error: ")[2]
    return (text or type(error).__name__).splitlines()[0][:200]


def read_checkpoint(path: str | Path) -> tuple[Mapping, dict[str, str]]:
    """A checkpoint's content, without running anything in it.

    Args:
        path: a PyTorch file (zip or legacy), a Caffe2 pickle or a safetensors file;
            which of them it is shows in the first bytes.

    Returns:
        The content, and the metadata of a safetensors file or of a run's ``last.pt``.

    Raises:
        CheckpointError: missing, empty, truncated, foreign or malicious.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; 'slowfast-edu fetch-weights NAME' downloads the "
            "published weights and prints where they are"
        )
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty; download or copy it again")
    try:
        return _read_any(path)
    except Exception as error:  # a damaged file can break a reader in any way
        raise CheckpointError(
            f"{path}: not a checkpoint that can be read safely: {_cause(error)}. It may be "
            "truncated, of another kind, or made to run code; get it again from where "
            "it was published"
        ) from error


def unwrap(content: object) -> dict[str, Tensor]:
    """The named tensors inside a training checkpoint, without a wrapper's prefix.

    The wrappers are DataParallel's ``module.`` and torch.compile's ``_orig_mod.``.

    Raises:
        CheckpointError: there are none.
    """
    for key in ("model_state", "state_dict", "model", "blobs"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    items = content.items() if isinstance(content, Mapping) else ()
    tensors = {str(key): value for key, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"it holds no named tensors ({type(content).__name__})")
    wrappers = re.compile(r"^((module|_orig_mod)\.)+")
    return {wrappers.sub("", key): value for key, value in tensors.items()}
