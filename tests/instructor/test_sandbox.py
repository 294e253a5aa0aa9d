"""The sandbox: the words of its command, and what a Python inside of it can reach."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slowfast_edu.instructor import sandbox
from slowfast_edu.instructor.sandbox import (
    FIRST_USER,
    HOME,
    channel_of,
    is_visible,
    open_channel,
    sandboxed,
    why_no_sandbox,
)

GIB = 2**30
SECONDS = 60
NO_SANDBOX = why_no_sandbox(3 * GIB)
needs_it = pytest.mark.skipif(
    bool(NO_SANDBOX) and not os.environ.get("CI"), reason=NO_SANDBOX or "it works"
)
USER = FIRST_USER + 7


@pytest.fixture
def channel(tmp_path):
    return open_channel(tmp_path, USER)


def inside(channel, code, memory_bytes=GIB):
    """What a program prints inside the sandbox."""
    command = sandboxed([sys.executable, "-c", code], channel, memory_bytes, USER)
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def tried(action):
    """A program that prints the error of an action, or "done"."""
    told = "except Exception as error:\n    print(type(error).__name__)"
    return f"try:\n    {action}\n    print('done')\n{told}"


# The command


@pytest.mark.parametrize("root", [True, False])
def test_the_command_s_words(channel, monkeypatch, root):
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    words = sandboxed(["python", "-c", "1"], channel, 3 * GIB, USER)
    assert words[0] == "bwrap" and words[-3:] == ["python", "-c", "1"]
    for word in ("--die-with-parent", "--new-session", "--unshare-net", "--unshare-pid"):
        assert word in words[: words.index("--")]
    assert words[words.index("--remount-ro") + 2 :][:2] == ["--remount-ro", "/"]
    assert "--unshare-ipc" in words and "--clearenv" in words
    assert f"--data={3 * GIB}" in words[words.index("prlimit") :]
    assert ("--unshare-user" in words) is not root
    assert ("setpriv" in words) is (f"--reuid={USER}" in words) is root
    bound = [words[i + 1] for i, word in enumerate(words) if word == "--bind"]
    assert bound == [str(channel)]  # nothing else of the outside can be written to


def test_a_course_must_not_lie_where_the_sandbox_looks(tmp_path):
    package = Path(sandbox.__file__).parent
    assert is_visible(package) and is_visible(Path(sys.prefix) / "course")
    assert is_visible(Path("/usr/share"))
    assert not is_visible(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(package)
    assert is_visible(link)


@pytest.mark.parametrize("tool", ["bwrap", "prlimit", "setpriv"])
def test_what_is_missing_is_named(monkeypatch, tool):
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: name != tool or None)
    monkeypatch.setattr(sandbox.sys, "platform", "linux")
    assert why_no_sandbox(GIB).startswith(f"{tool} is not installed")
    monkeypatch.setattr(sandbox.sys, "platform", "win32")
    assert why_no_sandbox(GIB) == "bubblewrap runs on Linux only"


@needs_it
def test_a_sandbox_that_does_not_start_is_told_in_a_line(monkeypatch):
    monkeypatch.setattr(sandbox, "IMPORTS", "raise SystemExit('no such thing here')")
    assert why_no_sandbox(GIB) == "inside it Python does not start: no such thing here"


def test_a_channel_is_for_its_user_alone(tmp_path):
    channel = open_channel(tmp_path, USER)
    assert channel == channel_of(tmp_path)
    mode, root = channel.stat().st_mode & 0o777, os.geteuid() == 0
    assert mode == (0o770 if root else 0o700)
    assert channel.stat().st_gid == (USER if root else os.getegid())


# Inside


@needs_it
def test_who_and_where_it_is(channel):
    code = "import os; print(os.getuid(), os.getcwd(), sorted(os.environ), os.listdir())"
    names = ["HOME", "LANG", "NBGRADER_EXECUTION", "OMP_NUM_THREADS", "PATH"]
    names += ["PWD", "PYTHONDONTWRITEBYTECODE", "USER"]
    user = USER if os.geteuid() == 0 else os.getuid()
    assert inside(channel, code) == f"{user} {HOME} {names} []"


@needs_it
def test_files_of_outside_are_not_there(channel, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("42")
    assert inside(channel, tried(f"open({str(secret)!r})")) == "FileNotFoundError"
    seen = inside(channel, f"import os; print(sorted(os.listdir({str(tmp_path)!r})))")
    assert seen == "['channel']"
    for path in ("/home/someone", "/var", "/etc/passwd", "/etc/shadow"):
        assert inside(channel, f"import os; print(os.path.exists({path!r}))") == "False"


@needs_it
def test_it_writes_to_its_own_folders_alone(channel):
    package = Path(sandbox.__file__).parent
    for folder in (package, sys.prefix, "/", "/usr", "/etc", "/dev", "/home"):
        found = inside(channel, tried(f"open('{folder}/x', 'w')"))
        assert found in ("PermissionError", "OSError"), folder
    for folder in (HOME, "/tmp", "/dev/shm", channel):
        assert inside(channel, tried(f"open('{folder}/x', 'w')")) == "done", folder
    assert os.listdir(channel) == ["x"]
    for name in ("'/tmp/x'", "f'/tmp/{i}'"):  # one file that is too large; many of a MiB
        many = f"[open({name}, 'ab').write(bytes(2**20)) for i in range(99)]"
        assert inside(channel, tried(many)) == "OSError"


@needs_it
def test_it_has_no_network(channel):
    code = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert inside(channel, code) == "['lo']"
    call = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=2)"
    assert inside(channel, tried(call)) in ("OSError", "PermissionError")


@needs_it
def test_processes_of_outside_are_not_seen_and_its_own_are_few(channel):
    count = "import os; print(sum(name.isdigit() for name in os.listdir('/proc')))"
    assert int(inside(channel, count)) < 8
    assert inside(channel, tried(f"import os; os.kill({os.getpid()}, 0)")) == (
        "ProcessLookupError"
    )
    if os.geteuid() == 0:
        wait = "os.fork() or time.sleep(9) or os._exit(0)"
        many = f"import os, time\n    [{wait} for _ in range(99)]"
        assert inside(channel, tried(many)) == "BlockingIOError"


@needs_it
def test_a_process_that_asks_for_too_much_memory_gets_an_error(channel):
    assert inside(channel, tried("bytearray(2 * 2**30)")) == "MemoryError"
    assert inside(channel, tried("bytearray(2**28)")) == "done"


@needs_it
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_works_for_who_is_not_root_too(tmp_path):
    """A Python of the system runs our own file, and has it start a sandbox."""
    python = "/usr/bin/python3"
    if not Path(python).exists():
        pytest.skip("there is no Python of the system")
    words = sandboxed_words_of_a_user(tmp_path / "channel", python)
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
    tmp_path.chmod(0o711)
    for folder in tmp_path.parents[:-2]:  # all below the one for temporary files
        folder.chmod(folder.stat().st_mode | 0o011)
    (tmp_path / "channel").mkdir()
    os.chown(tmp_path / "channel", USER, USER)
    ran = subprocess.run([*user, *words], capture_output=True, text=True, timeout=SECONDS)
    if "setting up uid map" in ran.stderr or "No permissions" in ran.stderr:
        pytest.skip("this system lets no user make a namespace")
    assert ran.stdout.split() == [str(USER), "lo"], ran.stderr


def sandboxed_words_of_a_user(channel, python):
    code = "import os, socket; print(os.getuid(), *[n for _, n in socket.if_nameindex()])"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: USER)
        patched.setattr(sandbox, "_visible", lambda: [])
        patched.setattr(sandbox.sys, "executable", python)
        words = sandboxed([python, "-c", code], channel, GIB, USER)
    script = "-IS"
    if script in words:  # the file that refuses system calls lies where users may not look
        at = words.index(script)
        del words[at - 1 : at + 2]
    return words
