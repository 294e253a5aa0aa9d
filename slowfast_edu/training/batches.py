"""Which clips go into which pass of which step, on one process or many.

A step takes ``batch`` clips in passes of ``clips`` (the group over which BN takes its
statistics). Pass k of a step holds the same clips whether one process runs all passes or
many share them, so that both train the same model.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from slowfast_edu.checks import check_count, nearest_multiples
from slowfast_edu.data.batches import Batch, KeyframeBatch, collate_clips
from slowfast_edu.training.distributed import rank, world_size


class ShardedBatches(Sampler[list[int]]):
    """A process's share of each step's clips, drawn anew in each epoch.

    Clips that fill no whole step at an epoch's end are left out of that epoch.

    Args:
        length: clips in the data set.
        clips: in one pass.
        batch: in one step, over all processes.
        seed: of the order.

    Raises:
        ValueError: a batch that passes and processes cannot share out evenly, or more
            clips a step than there are.
    """

    def __init__(self, length: int, clips: int, batch: int, seed: int = 0):
        for name, value in (("length", length), ("clips", clips), ("batch", batch)):
            check_count(name, value)
        each = clips * world_size()
        if batch % each:
            raise ValueError(
                f"batch={batch} must be a multiple of {each}: {clips} clips a pass times "
                f"{world_size()} processes; the nearest: {nearest_multiples(batch, each)}"
            )
        if batch > length:
            raise ValueError(f"batch={batch} is more than the {length} clips there are")
        self.length, self.clips, self.batch, self.seed = length, clips, batch, seed
        self.passes = batch // each
        self.epoch, self.first_step = 0, 0

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """Another order for another epoch; begin at a step to go on within one."""
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        """Passes of this process in a whole epoch."""
        return self.length // self.batch * self.passes

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
        order = torch.randperm(self.length, generator=generator).tolist()
        for step in range(self.first_step, self.length // self.batch):
            for number in range(self.passes):
                start = step * self.batch + (rank() * self.passes + number) * self.clips
                yield order[start : start + self.clips]


def mix(*numbers: int) -> int:
    """One seed out of several numbers; equal ones give an equal seed.

    >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
    (True, False)
    """
    mixed = 0
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return mixed


def training_loader(
    dataset: Dataset,
    clips: int,
    batch: int,
    *,
    workers: int = 0,
    seed: int = 0,
    collate_fn: Callable = collate_clips,
) -> DataLoader:
    """A loader that gives this process its passes; the same training on any number of them.

    Args:
        dataset: of ``Sample``.
        clips: in one pass; the recipe's ``bn_clips``.
        batch: clips of one step, over all processes.
        workers: processes that decode or render.
        seed: of the order.
        collate_fn: ``collate_keyframes`` for a data set of ``KeyframeSample``.

    Raises:
        ValueError: see ``ShardedBatches``.
    """
    return DataLoader(
        dataset,
        batch_sampler=ShardedBatches(len(dataset), clips, batch, seed),
        num_workers=workers,
        collate_fn=collate_fn,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # or workers' seeds are drawn from the global one
    )


def check_loader(loader: DataLoader, bn_clips: int) -> None:
    """Refuse a loader that would train on other clips than one thinks.

    Raises:
        TypeError: no ``DataLoader``.
        ValueError: it goes against the recipe, the number of processes, or itself.
    """
    if not isinstance(loader, DataLoader):
        raise TypeError(
            f"train_loader is a {type(loader).__name__}, must be a DataLoader; see "
            "training_loader"
        )
    if not hasattr(loader.dataset, "__len__"):
        raise TypeError("the loader's data set has no length; an epoch must have an end")
    sharded = isinstance(loader.batch_sampler, ShardedBatches)
    if sharded and loader.batch_sampler.clips != bn_clips:
        raise ValueError(
            f"bn_clips={bn_clips} in the recipe, and the loader's passes have "
            f"{loader.batch_sampler.clips} clips; give both the same number"
        )
    if world_size() > 1 and not sharded and not hasattr(loader.sampler, "set_epoch"):
        raise ValueError(
            f"each of {world_size()} processes would train on all clips; use "
            "training_loader, or a DataLoader with a DistributedSampler"
        )
    if not sharded and loader.batch_size is None:
        raise ValueError(
            "the loader does not say how many clips a batch has; use training_loader, or a "
            "DataLoader with a batch_size"
        )
    if not sharded and loader.batch_size > bn_clips and loader.batch_size % bn_clips:
        below = loader.batch_size // bn_clips * bn_clips
        raise ValueError(
            f"batch_size={loader.batch_size} of the loader cannot be shared out in passes "
            f"of bn_clips={bn_clips}; the nearest are {below} and {below + bn_clips}"
        )


def batches_a_step(loader: DataLoader, accumulate: int | None) -> int:
    """How many batches of a loader make one step of this process."""
    own = getattr(loader.batch_sampler, "passes", None)
    if own is not None and accumulate not in (None, own):
        raise ValueError(
            f"accumulate={accumulate}, but this loader's batch of "
            f"{loader.batch_sampler.batch} clips takes {own} passes; leave it out"
        )
    return own or accumulate or 1


def clips_a_batch(loader: DataLoader) -> int:
    """Clips in one batch of a loader."""
    return getattr(loader.batch_sampler, "clips", None) or loader.batch_size


def labels_of(batch: tuple) -> Tensor:
    """A batch's labels: one row a clip, or a box if it has boxes."""
    return batch.labels if isinstance(batch, KeyframeBatch) else batch[1]


def in_passes(batch: tuple, clips: int) -> list[tuple]:
    """A loader's batch in passes of at most ``clips``, which BN normalises together."""
    if len(batch[0]) <= clips:
        return [batch]
    parts = range(0, len(batch[0]), clips)
    if isinstance(batch, KeyframeBatch):
        return [_keyframes(batch, i, clips) for i in parts]
    names = getattr(batch, "names", list(map(str, range(len(batch[0])))))
    return [
        Batch(*(x[i : i + clips] for x in (batch[0], batch[1], names)), []) for i in parts
    ]


def _keyframes(batch: KeyframeBatch, first: int, clips: int) -> KeyframeBatch:
    """Some clips of a batch, with their boxes."""
    own = (batch.boxes[:, 0] >= first) & (batch.boxes[:, 0] < first + clips)
    boxes = batch.boxes[own]  # a copy
    boxes[:, 0] -= first
    part = slice(first, first + clips)
    return KeyframeBatch(batch.clips[part], boxes, batch.labels[own], batch.names[part], [])


def first_passes(loader: DataLoader, epoch: int, count: int) -> DataLoader:
    """A loader of the passes with which an epoch's steps begin, where one can be made."""
    if not isinstance(loader.batch_sampler, ShardedBatches):
        return loader
    loader.batch_sampler.set_epoch(epoch)
    chosen = list(loader.batch_sampler)[:: loader.batch_sampler.passes][:count]
    return DataLoader(
        loader.dataset,
        batch_sampler=chosen,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),
    )


def epoch_of(loader: DataLoader, seed: int, epoch: int, done_passes: int) -> Iterator:
    """The loader's batches in an epoch, from a pass on; the same in a rerun.

    Whatever draws is seeded: a shuffling loader's own generator or the global one (which
    making an iterator and many a data set draw from), samplers and data sets that know of
    epochs. With ``training_loader`` the passes done are not read again, so a data set
    that draws in a worker must do so from (seed, epoch, index), as ``VideoClips`` does.
    """
    torch.manual_seed(mix(seed, epoch, rank()))
    for generator in (loader.generator, getattr(loader.sampler, "generator", None)):
        if generator is not None:
            generator.manual_seed(mix(seed, epoch, rank()))
    if hasattr(loader.dataset, "set_epoch"):
        loader.dataset.set_epoch(epoch)
    if hasattr(loader.sampler, "set_epoch"):
        loader.sampler.set_epoch(epoch)
    first = 0
    if isinstance(loader.batch_sampler, ShardedBatches):
        loader.batch_sampler.set_epoch(epoch, done_passes // loader.batch_sampler.passes)
        first = done_passes
    batches = iter(loader)
    for number in range(first, len(loader)):
        torch.manual_seed(mix(seed, epoch, rank(), number))
        batch = next(batches)
        if number >= done_passes:
            yield batch
