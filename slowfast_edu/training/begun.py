"""What a run began with, as short digests: its folder goes on with nothing else."""

import hashlib
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils.data import Dataset

from slowfast_edu.training.recipe import HEAD, is_fresh
from slowfast_edu.training.saving import LAST

SIZED = 100  # videos whose files are looked at
_KNOWN: WeakKeyDictionary[nn.Module, dict[Path, str]] = WeakKeyDictionary()


def begun_with(model: nn.Module, data: Dataset, folder: Path) -> dict[str, str]:
    """Digests of the data and of the weights that a run in ``folder`` begins with.

    A model that has trained in that folder in this process still counts as what it was
    before, so that a cell of a notebook can be run again.
    """
    known, folder = _KNOWN.setdefault(model, {}), folder.resolve()
    if folder not in known or not (folder / LAST).exists():
        known[folder] = weights_digest(model)
    return {"data": data_digest(data), "first weights": known[folder]}


def weights_digest(model: nn.Module) -> str:
    """Of trained weights and statistics; "" of fresh ones, which the seed decides.

    Without the classifier, which ``new_classes`` draws anew.
    """
    if is_fresh(model):
        return ""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if not name.startswith(HEAD):
            content = value.detach().cpu().contiguous().flatten().view(torch.uint8)
            digest.update(name.encode() + content.numpy().tobytes())
    return digest.hexdigest()[:16]


def data_digest(data: Dataset) -> str:
    """Of a list of videos: names, labels, and of some the files' sizes; "" of other data.

    The folder itself does not count, so that data may be moved.
    """
    annotations = getattr(data, "annotations", None)
    videos = getattr(annotations, "videos", ())
    if not videos:
        return ""
    some = videos[:: -(-len(videos) // SIZED)]
    paths = [Path(annotations.root) / video.name for video in some]
    sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
    told = repr(([tuple(video) for video in videos], sizes))
    return hashlib.sha256(told.encode()).hexdigest()[:16]
