"""A kernel in a sandbox: no network, no files but its own, few processes, little memory.

The sandbox is bubblewrap's, on Linux. The kernel talks to its grader through sockets in
one folder, which is all of the file system outside that both of them see.
"""

import os
import shutil
import site
import subprocess
import sys
import tempfile
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

import slowfast_edu
from slowfast_edu.exercises.asserting import GRADING
from slowfast_edu.instructor import refusing

HOME = "/home/student"
FIRST_USER = 64_000  # and above: users nobody has, one for each run at the same time
PROCESSES = 64  # and threads, of one user
SCRATCH = ("/tmp", "/dev/shm", HOME)
SCRATCH_BYTES = 64 * 2**20  # each folder a student may write to lies in memory
FILE_BYTES = 16 * 2**20  # the largest file
OPEN_FILES = 256  # of one process
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
FIRST = "__import__('slowfast_edu.exercises')"  # so that no cell's time goes into it
KERNEL = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
KERNEL += (f"--IPKernelApp.exec_lines={FIRST}",)
CHANNEL_ENTRIES = 6  # in a channel: the connection file and five sockets
PROBE_SECONDS = 60
IMPORTS = "import ipykernel, torch, slowfast_edu.exercises"


def _visible() -> list[Path]:
    """The folders that Python, its packages and this library are in."""
    package = Path(slowfast_edu.__file__).parent
    packages = [Path(folder) for folder in site.getsitepackages()]
    return [Path(sys.base_prefix), Path(sys.prefix), *packages, package]


def sandboxed(command: list[str], channel: Path, memory_bytes: int, user: int) -> list[str]:
    """The command that runs another one inside the sandbox.

    Args:
        command: what to run.
        channel: the one folder that inside and outside share.
        memory_bytes: that one process may ask for.
        user: to become inside, if it is root who starts it: for root there is no limit
            on the number of processes, and one for a user counts all of that user's.

    Returns:
        The command.
    """
    root = os.geteuid() == 0
    bwrap = ["bwrap", "--die-with-parent", "--new-session", "--unshare-ipc"]
    bwrap += ["--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    bwrap += [] if root else ["--unshare-user"]
    for path in SYSTEM:
        if os.path.islink(path):
            bwrap += ["--symlink", os.readlink(path), path]
        else:
            bwrap += ["--ro-bind-try", path, path]
    for path in SETTINGS:
        bwrap += [*_above(Path(path)), "--ro-bind-try", path, path]
    bwrap += ["--proc", "/proc", "--dev", "/dev"]
    for path in SCRATCH:
        bwrap += _above(Path(path))
        bwrap += ["--perms", "1777", "--size", str(SCRATCH_BYTES), "--tmpfs", path]
    for path in _visible():
        bwrap += [*_above(path), "--ro-bind", str(path), str(path)]
    bwrap += [*_above(channel), "--bind", str(channel), str(channel), "--chdir", HOME]
    bwrap += ["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]
    for name, value in _environment().items():
        bwrap += ["--setenv", name, value]
    return [
        *bwrap,
        "--",
        *_limits(memory_bytes),
        *(_as_user(user) if root else []),
        *(sys.executable, "-IS", refusing.__file__),
        *command,
    ]


def _above(path: Path) -> list[str]:
    """What makes the folders above one, so that anybody can go through them."""
    words = []
    for folder in reversed(path.parents[:-1]):
        words += ["--perms", "0755", "--dir", str(folder)]
    return words


def _environment() -> dict[str, str]:
    """All environment variables inside."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": HOME,
        "USER": Path(HOME).name,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        GRADING[0]: GRADING[1],
    }


def _limits(memory_bytes: int) -> list[str]:
    limits = {"nproc": PROCESSES, "fsize": FILE_BYTES, "nofile": OPEN_FILES}
    limits |= {"core": 0, "data": memory_bytes}
    return ["prlimit", *(f"--{name}={value}" for name, value in limits.items()), "--"]


def _as_user(user: int) -> list[str]:
    return [
        "setpriv",
        f"--reuid={user}",
        f"--regid={user}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--",
    ]


def why_no_sandbox(memory_bytes: int) -> str:
    """Try the sandbox; say why there is none, or "" if it works."""
    missing = [p for p in ("bwrap", "prlimit", "setpriv") if not shutil.which(p)]
    if not sys.platform.startswith("linux"):
        return "bubblewrap runs on Linux only"
    if missing:
        return f"{missing[0]} is not installed (on Debian: apt-get install bubblewrap)"
    with tempfile.TemporaryDirectory(prefix="sfe") as folder:
        channel = open_channel(Path(folder), FIRST_USER)
        python = [sys.executable, "-c", IMPORTS]
        command = sandboxed(python, channel, memory_bytes, FIRST_USER)
        try:
            tried = subprocess.run(
                command, capture_output=True, text=True, timeout=PROBE_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"inside it Python did not start within {PROBE_SECONDS} s"
    last = (tried.stderr.strip().splitlines() or ["no message"])[-1]
    return f"inside it Python does not start: {last}" if tried.returncode else ""


def is_visible(folder: Path) -> bool:
    """Whether a sandboxed kernel can read what is in a folder."""
    folder = folder.resolve()
    seen = [Path(path).resolve() for path in SYSTEM] + [p.resolve() for p in _visible()]
    return any(folder.is_relative_to(path) for path in seen)


class PlainKernelManager(AsyncKernelManager):
    """A kernel of this Python, whatever a notebook says about kernels."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel is started, and that a message interrupts it."""
        return KernelSpec(argv=list(KERNEL), language="python", interrupt_mode="message")

    async def start_kernel(self, **settings) -> None:
        """Start it. What it prints past Jupyter goes nowhere: it could fill a disk."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await super().start_kernel(**settings, **quiet)


class SandboxedKernelManager(PlainKernelManager):
    """The same in a sandbox. Its ``connection_file`` must lie in an open channel."""

    def __init__(self, *, memory_bytes: int, user: int, **settings):
        super().__init__(transport="ipc", **settings)
        self.memory_bytes, self.user = memory_bytes, user

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The kernel's command, inside the sandbox."""
        command = super().format_kernel_cmd(extra_arguments)
        channel = Path(self.connection_file).parent
        return sandboxed(command, channel, self.memory_bytes, self.user)

    def write_connection_file(self, **settings) -> None:
        """Write it, where the user inside may read it too."""
        super().write_connection_file(**settings)
        if os.geteuid() == 0:
            os.chown(self.connection_file, 0, self.user)
            os.chmod(self.connection_file, 0o640)


def channel_of(folder: Path) -> Path:
    """Where in a run's folder its channel is."""
    return folder / "channel"


def open_channel(folder: Path, user: int) -> Path:
    """Make the folder for a sandboxed kernel's sockets.

    Args:
        folder: where. Its path must be short: a socket's has 107 characters at most.
        user: inside the sandbox, if it is root who starts it.
    """
    channel = channel_of(folder)
    channel.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(channel, 0, user)
        os.chmod(channel, 0o770)
    return channel
