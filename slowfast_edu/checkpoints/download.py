"""The published PyTorchVideo weights, fetched once and kept."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm.auto import tqdm

from slowfast_edu.checkpoints.reading import is_torch_file

BASE_URL = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
PUBLISHED = {
    "slowfast_4x16_r50": "SLOWFAST_4x16_R50.pyth",
    "slowfast_8x8_r50": "SLOWFAST_8x8_R50.pyth",
    "slowfast_8x8_r101_all_temporal": "SLOWFAST_8x8_R101.pyth",
    "slowfast_16x8_r101": "SLOWFAST_16x8_R101_50_50.pyth",
    "slow_4x16_r50": "SLOW_4x16_R50.pyth",
    "slow_8x8_r50": "SLOW_8x8_R50.pyth",
    "c2d_8x8_r50": "C2D_8x8_R50.pyth",
    "i3d_8x8_r50": "I3D_8x8_R50.pyth",
    "r2plus1d_16x4_r50": "R2PLUS1D_16x4_R50.pyth",
}
CHUNK_BYTES = 1 << 20


class DownloadError(OSError):
    """Weights that could not be fetched; says how to put the file by hand."""


def default_folder() -> Path:
    """Where ``torch.hub`` keeps weights, so that a file is never fetched twice."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def fetch_weights(
    name: str,
    folder: str | Path | None = None,
    base_url: str = BASE_URL,
    timeout_seconds: float = 30,
) -> Path:
    """Download the published Kinetics-400 weights of a preset, or find them kept.

    An interrupted download goes on where it stopped; a file appears under its name only
    when all of it has come. The publisher gives no checksum, so its length and first
    bytes are checked.

    Args:
        name: a preset that PyTorchVideo has published.
        folder: where to keep it; by default ``torch.hub``'s folder (``TORCH_HOME``).
        base_url: a mirror's address in place of the publisher's.
        timeout_seconds: how long to wait for the server at each step.

    Returns:
        The file, for ``load_checkpoint``.

    Raises:
        ValueError: no weights are published for that name.
        DownloadError: no network, a refusal, or a file cut short; says where to put the
            file by hand. What came so far is kept.
    """
    if name not in PUBLISHED:
        raise ValueError(
            f"no weights are published for {name!r}; there are {', '.join(PUBLISHED)}"
        )
    path = Path(folder or default_folder()) / PUBLISHED[name]
    if path.is_file():
        return path
    url = f"{base_url.rstrip('/')}/{PUBLISHED[name]}"
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, partial, timeout_seconds)
        os.replace(partial, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(
            f"{url} could not be fetched: {reason}. Call again to go on from what has "
            f"come; or get the file by other means and put it at {path}"
        ) from error
    return path


@contextmanager
def _open(url: str, start: int, validator: str, timeout_seconds: float) -> Iterator:
    request = urllib.request.Request(url)
    if start:
        request.add_header("Range", f"bytes={start}-")
        if validator:  # else another version's bytes could be appended
            request.add_header("If-Range", validator)
    with urllib.request.urlopen(request, timeout=timeout_seconds) as response:
        yield response


def _download(url: str, partial: Path, timeout_seconds: float) -> None:
    """Fetch into ``partial``, after the bytes that it holds if the server can."""
    start = partial.stat().st_size if partial.exists() else 0
    tag_file = partial.with_name(partial.name + ".etag")
    validator = tag_file.read_text() if tag_file.exists() else ""
    try:
        with _open(url, start, validator, timeout_seconds) as response:
            resumed = start and response.status == 206
            start = start if resumed else 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            tag_file.write_text(response.headers.get("ETag") or "")
            _copy(response, partial, start, total)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing lies behind what has come
            raise
        total = start
        if error.headers["Content-Range"] != f"bytes */{start}":
            _discard(partial, tag_file)
            raise OSError("what had come did not belong to this file") from error
    got = partial.stat().st_size
    if total not in (None, got):
        raise OSError(f"it was cut short at {got} of {total} bytes")
    if not is_torch_file(partial):
        _discard(partial, tag_file)
        raise OSError("what came is not a PyTorch file; is a log-in page in between?")
    _discard(tag_file)


def _discard(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _copy(response, partial: Path, start: int, total: int | None) -> None:
    bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=partial.stem)
    with partial.open("ab" if start else "wb") as file, bar:
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))
