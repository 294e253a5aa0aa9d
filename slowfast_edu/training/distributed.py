"""One process or many: who am I, what have the others.

``torchrun`` starts the processes and says who they are in the environment; gloo (CPU) or
NCCL (CUDA) carries what they tell each other. Nothing here starts a process.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import torch
import torch.distributed as dist

JOINS = count()  # of this process


def _told(name: str, alone: int) -> int:
    """What ``torchrun`` says in the environment, also before the processes are joined."""
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else alone


def rank() -> int:
    """The number of this process, 0 in a single process."""
    return dist.get_rank() if dist.is_initialized() else _told("RANK", 0)


def world_size() -> int:
    """How many processes train together, 1 without ``torchrun``."""
    return dist.get_world_size() if dist.is_initialized() else _told("WORLD_SIZE", 1)


def gather(value: object) -> list:
    """Every rank's ``value``, in the order of ranks, on every rank.

    What is summed with ``math.fsum`` or counted in whole numbers over this list does not
    depend on how the work was shared out.

    Raises:
        RuntimeError: several processes that are not joined.
    """
    if world_size() == 1:
        return [value]
    if not dist.is_initialized():
        raise RuntimeError("several processes run; do this inside 'with process_group():'")
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def default_device() -> torch.device:
    """A GPU of this process's own if there is one, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if torch.backends.mps.is_available() and world_size() == 1:
        return torch.device("mps")
    return torch.device("cpu")


@contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes if ``torchrun`` started this one; leave at the end."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(default_device())
    store, own, world = next(dist.rendezvous("env://"))
    # torchrun's store still holds the addresses of a join or a process before.
    own_part = f"{os.environ['TORCHELASTIC_RESTART_COUNT']}/{next(JOINS)}"
    store = dist.PrefixStore(own_part, store)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=own, world_size=world)
    yield
    # Not after an error: it might wait for who is gone. And not before DDP is: as the last
    # to hold the group it would wait for gloo's threads and keep Python's lock from them.
    gc.collect()
    dist.destroy_process_group()
