"""A small training that tests start, here or in processes of their own."""

import gc
import os
import random
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
import torch._dynamo  # the first optimiser would, slowly, and in each forked process anew
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from slowfast_edu.config import PRESETS, ClipConfig
from slowfast_edu.data.batches import Problem, Sample
from slowfast_edu.data.transforms import TrainTransform
from slowfast_edu.models import build_model
from slowfast_edu.training import (
    PYSLOWFAST,
    Execution,
    Schedule,
    evaluation_loader,
    loop,
    train_slowfast,
    training_loader,
)
from slowfast_edu.training.distributed import gather, process_group, rank
from slowfast_edu.training.step import Stepper

TINY = replace(PRESETS["slowfast_tiny"], clip=ClipConfig(T=2, tau=4, alpha=2), width=4)
CLASSES = 3
SCHEDULE = Schedule(
    epochs=4, warmup_epochs=1, base_rate=0.02, base_batch=4, warmup_rate=0.002
)
RECIPE = replace(
    PYSLOWFAST,
    schedule=SCHEDULE,
    bn_clips=2,
    precise_bn_batches=3,
    augmentation=TrainTransform(size=32, least=32, most=32),
)
QUIET = Execution(progress=False)


class Noise(Dataset):
    """Clips of noise around a level of their class, drawn from (seed, index) alone."""

    def __init__(self, count=16, seed=0, bad=()):
        self.count, self.seed, self.bad = count, seed, bad

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        name = f"clip {index}"
        if index in self.bad:
            return Problem(name, "bad")
        draw = torch.Generator().manual_seed(1000 * self.seed + index)
        clip = torch.randn(3, 4, 32, 32, generator=draw) + 0.5 * (index % CLASSES)
        return Sample(clip, index % CLASSES, name)


def tiny_model(seed=0, **changes):
    """Fresh, about 55,000 weights."""
    torch.manual_seed(seed)
    return build_model(replace(TINY, **changes), CLASSES)


def wide_model():
    """No layer of one channel, whose BN would make much of the last bit."""
    return tiny_model(width=8, beta=1 / 2)


def tiny_loader(count=16, clips=2, batch=4, workers=0, bad=()):
    return training_loader(Noise(count, bad=bad), clips, batch, workers=workers)


def train(model, loader, epochs=4, recipe=RECIPE, execution=QUIET, **rest):
    """``train_slowfast`` with a recipe for small things."""
    return train_slowfast(model, loader, epochs, recipe=recipe, execution=execution, **rest)


@contextmanager
def one_thread():
    """Sums on two threads differ in the last bit, and tests share the machine's cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class DyingStepper(Stepper):
    """Kills its process before a step, once: ``marker`` then says that it was done."""

    step, marker, on_rank = None, None, 0

    def __call__(self, batches, step, rate):
        if step == self.step and rank() == self.on_rank and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batches, step, rate)


def train_to_the_end(
    folder, precision="float32", workers=2, epochs=3, every=2, die_at=None, on_rank=0
):
    """What the tests of going on compare; the same call goes on."""
    folder = Path(folder)
    torch.set_num_threads(1)
    if die_at is not None:
        DyingStepper.step, DyingStepper.on_rank = die_at, on_rank
        DyingStepper.marker = folder.with_suffix(".died")
        loop.Stepper = DyingStepper
    execution = replace(QUIET, precision=precision, save_every_steps=every)
    val = evaluation_loader(Noise(7, seed=1), 1)  # two at once round differently
    loader = tiny_loader(workers=workers)
    return train(
        tiny_model(), loader, epochs, execution=execution, val_loader=val, folder=folder
    )


def exit_code(seconds, *given, **named):
    """Fork a training that may be killed, do so after some seconds, and wait for it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            train_to_the_end(*given, **named)
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_and_go_on(folder, precision, draw):
    """The runs that the test of kill -9 compares; this process only forks them."""
    whole, cut, started = folder / "whole", folder / "cut", time.monotonic()
    assert exit_code(100, whole, precision) == 0
    seconds = time.monotonic() - started
    # Before the save of the second step: there is at most what the run began with.
    assert exit_code(100, cut, precision, die_at=1) == -signal.SIGKILL
    if (cut / "last.pt").exists():
        state = torch.load(cut / "last.pt", weights_only=True)
        assert (state["progress"]["epoch"], state["progress"]["step"]) == (0, 0)
    for _ in range(3):
        moment = draw.uniform(0.05, 0.3) * seconds
        assert exit_code(moment, cut, precision) == -signal.SIGKILL
        print(f"killed after {moment:.2f} of {seconds:.2f} s with", sorted(os.listdir(cut)))
    assert exit_code(100, cut, precision) == 0


def compare_steps(folder):
    """What the tests of two processes compare, in one folder a case."""
    folder = Path(folder)
    torch.set_num_threads(1)
    plain = replace(RECIPE, dropout=0.0, precise_bn_batches=0)
    cases = {
        "20 steps": (RECIPE, tiny_loader(), 5),
        "clipped": (replace(RECIPE, clip_grad_norm=0.5), tiny_loader(), 1),
        "one step": (plain, tiny_loader(4), 1),
        "no clip": (plain, tiny_loader(4, bad=second_pass()), 1),
    }
    for name, (recipe, loader, epochs) in cases.items():
        model = wide_model() if recipe is plain else tiny_model()
        val = evaluation_loader(Noise(7, seed=1), 1)  # one clip: batches round otherwise
        train(model, loader, epochs, recipe, val_loader=val, folder=folder / name)
        torch.save(model.state_dict(), folder / name / f"rank{rank()}.pt")


def second_pass():
    """The clips of the second pass of the first step."""
    order = torch.cat([torch.tensor(clips) for clips in whole_passes(4)])
    return order[2:4].tolist()


def whole_passes(count):
    """All passes of an epoch as one process goes through them, by another formula."""
    seed = (0 * 6364136223846793005 + 0 + 1442695040888963407) % 2**63
    seed = (seed * 6364136223846793005 + 0 + 1442695040888963407) % 2**63
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return order.view(-1, 2).tolist()


def leave_when_ddp_is_gone(leave=dist.destroy_process_group):
    """As the last to hold the group, DDP would now and then wait for ever."""
    assert not any(type(thing) is DistributedDataParallel for thing in gc.get_objects())
    leave()


if __name__ == "__main__":
    asked, folder = sys.argv[1], Path(sys.argv[2])
    if asked == "kill":
        draw = random.Random(int(sys.argv[3]))
        for precision in ("float32", "bf16"):
            kill_and_go_on(folder / precision, precision, draw)
    else:
        dist.destroy_process_group = leave_when_ddp_is_gone
        # Of the second epoch two steps are saved then, with what both had counted.
        train_to_the_end(folder / "died", die_at=7, on_rank=1, workers=0, epochs=2)
        for _ in range(8):  # one that met the addresses of another would fail
            with process_group():
                assert gather(rank()) == [0, 1]
        with process_group():
            compare_steps(folder)
