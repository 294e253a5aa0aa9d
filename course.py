"""Open, test and repair the course. It needs Python and nothing else.

It makes ``.venv`` in this folder and installs nothing outside of it; pip and Jupyter keep
their usual caches and settings where they always do.
A stamp in ``.venv/course`` says that an installation has finished and what it was made
of; without it, the next call starts afresh. Old Pythons must still be able to read this
file far enough to say that they are too old, so its syntax is plain.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USAGE = """\
usage: python course.py VERB

  lab [pip options] [-- jupyter options]
                       set up if needed, then open the course in JupyterLab
  test [pip options]   set up if needed, then run lint, tests and notebooks
  test --browser       instead, use every notebook in JupyterLab as a learner would
  test --grading       instead, grade a course of some ninety submissions, hostile ones too
  reset 03             bring notebook 03 back; your work is kept in notebooks/my_work/
  notebooks [03 ...]   run and clean notebooks in place: all, or those named

Pip options choose another build of torch (--extra-index-url URL): see README.md."""
OLDEST, NEWEST = (3, 11), (3, 14)  # as requires-python in pyproject.toml
PYTHONS = ("python3.13", "python3.12", "python3.14", "python3.11")  # to suggest, in order
TORCH = "2.13.0"  # as in constraints.txt
GIGABYTES = 2  # what a CPU build takes on disk, and what pip unpacks on the way

ROOT = Path(__file__).resolve().parent
NOTEBOOKS = ROOT / "notebooks"
START = "00_start_here.ipynb"
VENV = ROOT / ".venv"
RECORDS = VENV / "course"  # tells our .venv from anybody else's
STAMP = RECORDS / "installed.json"  # present: pip has finished and nothing is under way
UNFINISHED = RECORDS / "unfinished.json"  # what an installation under way is to become
ORIGINALS = RECORDS / "notebooks"  # for `reset` where there is no git

# A user's settings must not lead outside .venv; old pips are to build as new ones do.
PIP_SETTINGS = {"PIP_USER": "0", "PIP_USE_PEP517": "1"}
NOT_FOR_PIP = (
    "-h",
    "--help",
    "--dry-run",
    "--user",
    "-t",
    "--target",
    "--prefix",
    "--root",
)
STEPS = (
    ("lint", "ruff check .", "ruff format --check ."),
    ("tests", "pytest -n 2 --dist loadscope tests/"),
    ("notebooks", "pytest -n 2 --dist loadscope --nbval notebooks/"),
)
EXTRAS = ("dev", "instructor")  # that the tests need
INSTEAD = {  # of STEPS: {option: (name, command)}
    "--browser": ("browser", "pytest tests/browser/"),
    "--grading": ("grading", "pytest -s tests/grading/"),
}


class CourseError(Exception):
    """What went wrong, the rule and the nearest fix, in words for a learner."""


# --- Running things -----------------------------------------------------------------


def say(text: str) -> None:
    """Print at once: a heading has to come before what other programs print."""
    print(text, flush=True)


def venv_python() -> str:
    """Path of the environment's Python, whether or not it exists."""
    return str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def environment(**extra: str) -> dict:
    """Variables as in an activated ``.venv``, without what would lead out of it."""
    env = dict(os.environ, VIRTUAL_ENV=str(VENV), **extra)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"):
        env.pop(name, None)
    env["PATH"] = os.path.dirname(venv_python()) + os.pathsep + env.get("PATH", os.defpath)
    return env


def run(command: list, **extra: str) -> int:
    """Run a program from the repository's root, output in sight; return its exit code."""
    # close_fds=False hands on the lock, see only_one_at_a_time.
    child = subprocess.Popen(command, cwd=ROOT, env=environment(**extra), close_fds=False)
    try:
        return child.wait()
    except KeyboardInterrupt:
        # The terminal sent Ctrl-C to the program as well: let it tidy up.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=5)
        raise
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def run_quietly(command: list) -> subprocess.CompletedProcess:
    """Run a program and keep its output."""
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, close_fds=False
    )


def hand_over(command: list) -> int:
    """Become another program; Windows cannot, so wait there and leave Ctrl-C to it."""
    os.chdir(ROOT)
    if os.name != "nt":
        os.execve(command[0], command, environment())
    child = subprocess.Popen(command, env=environment())
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that nobody ever finds half of it."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def try_lock(file) -> bool:
    """Take the system's lock on an open file; it ends with the processes that hold it."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 30)  # a byte behind the end, so that the file can be read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks: better unlocked than unusable
        return True
    return True


@contextlib.contextmanager
def only_one_at_a_time():
    """Wait for any other course.py in this folder, and for a pip that outlived its own."""
    with open(ROOT / "course.py", "rb") as file:
        os.set_inheritable(file.fileno(), True)
        if not try_lock(file):
            say("Another course.py is at work in this folder; waiting for it to finish.")
            while not try_lock(file):
                time.sleep(0.2)
        yield


# --- Setting up ---------------------------------------------------------------------


def check_python(version: tuple) -> None:
    """Refuse a Python that the course's packages are not built for."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    here = [name for name in PYTHONS if shutil.which(name)]
    python = "py -3.13" if os.name == "nt" else (here or PYTHONS)[0]
    raise CourseError(
        f"this is Python {version[0]}.{version[1]}, but the course needs Python "
        f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}, as torch {TORCH} does. "
        f"{'Use' if here else 'Install'} one of these and run: {python} course.py lab"
    )


def not_for_pip(option: str) -> bool:
    """Whether pip would read an option as one of NOT_FOR_PIP, which it also shortens."""
    if option.startswith("--"):
        name = option.split("=")[0]
        return name != "--pre" and any(full.startswith(name) for full in NOT_FOR_PIP)
    return option[:2] in NOT_FOR_PIP


def check_pip_options(options: list) -> None:
    """Refuse what would make pip install something else, or nothing."""
    wrong = [option for option in options if not_for_pip(option)]
    wrong += [option for option in options[:1] if not option.startswith("-")]
    if wrong:
        raise CourseError(f"{wrong[0]!r} is no pip option to set up with.\n\n{USAGE}")


def read_record(path: Path) -> dict:
    """A record of ours, empty if there is none or it cannot be read."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_record(path: Path, record: dict) -> None:
    """Write a record of ours."""
    write_atomically(path, json.dumps(record, indent=1).encode("utf-8"))


def what_is_wanted(extras: tuple, options: list) -> dict:
    """Describe the environment to have; what earlier calls chose stays unless changed."""
    before = read_record(STAMP) or read_record(UNFINISHED)
    inputs = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return {
        "root": str(ROOT),
        "python": f"3.{sys.version_info[1]}",
        "inputs": hashlib.sha256(b"\0".join(inputs)).hexdigest(),
        "extras": sorted({*extras, *before.get("extras", [])}),
        "options": options or before.get("options", []),
    }


def set_up(extras: tuple, options: list) -> None:
    """Make ``.venv`` what pyproject.toml and constraints.txt ask for, unless it is."""
    check_pip_options(options)
    with only_one_at_a_time():
        wanted, stamp = what_is_wanted(extras, options), read_record(STAMP)
        usable = os.path.exists(venv_python())
        if stamp == wanted and usable:
            return
        check_ours()
        if usable and all(stamp.get(key) == wanted[key] for key in ("root", "python")):
            update(stamp, wanted)
        else:
            build(wanted)
        write_record(STAMP, wanted)
        UNFINISHED.unlink()
        say("The environment is ready.")


def check_ours() -> None:
    """Refuse to touch a .venv of somebody else's making; an empty folder is nobody's."""
    empty = VENV.is_dir() and not any(VENV.iterdir())
    if os.path.lexists(VENV) and not empty and not RECORDS.is_dir():
        raise CourseError(
            ".venv was not made by course.py, which therefore leaves it alone. Move it "
            "away, for example to .venv-mine, and run the same command again."
        )


def build(wanted: dict) -> None:
    """Make the environment from nothing, or leave nothing behind."""
    first = not VENV.exists()
    if RECORDS.is_dir():
        say(".venv is unfinished, moved or of another Python: making it afresh.")
    remove_venv(keep_originals=True)
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES:
        raise CourseError(
            f"this folder's disk has {free:.1f} GB free, but setting up takes "
            f"{GIGABYTES} GB. Make room and run the same command again."
        )
    say("Setting up .venv, once: about two minutes and 1.4 GB for a CPU build of torch;")
    say("a build with CUDA takes several GB more (README.md says how to choose).")
    try:
        RECORDS.mkdir(parents=True, exist_ok=True)
        write_record(UNFINISHED, wanted)
        keep_originals()
        make_venv(wanted["options"])
        pip_install(wanted)
    except BaseException:
        remove_venv(keep_originals=not first)
        raise


def update(stamp: dict, wanted: dict) -> None:
    """Bring a finished environment up to date, or leave it as it was."""
    say("The course or its options changed since .venv was made: updating it.")
    write_record(UNFINISHED, wanted)
    STAMP.unlink()  # pip killed from here on may leave anything: then, build afresh
    # Another build of the same torch counts as installed, unless pip is told not to look.
    again = [] if stamp["options"] == wanted["options"] else ["--force-reinstall"]
    try:
        pip_install(wanted, again)
    except BaseException:  # pip has undone its work by itself
        write_record(STAMP, stamp)
        UNFINISHED.unlink()
        say("The environment from before is kept.")
        raise


def remove_venv(keep_originals: bool) -> None:
    """Delete our environment, the folder that marks it as ours last."""
    if not VENV.exists():
        return
    for path in [STAMP, *(path for path in VENV.iterdir() if path != RECORDS)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not (keep_originals and ORIGINALS.is_dir()):
        if RECORDS.is_dir():
            shutil.rmtree(RECORDS)
        VENV.rmdir()


def keep_originals() -> None:
    """Without git, keep the notebooks as they came, for `reset`."""
    if git_notebooks() or ORIGINALS.is_dir() or not NOTEBOOKS.is_dir():
        return
    part = ORIGINALS.with_name("notebooks.part")
    part.mkdir(exist_ok=True)
    for path in NOTEBOOKS.glob("*.ipynb"):
        shutil.copyfile(path, part / path.name)
    os.replace(part, ORIGINALS)


def make_venv(options: list) -> None:
    """Make an environment that has pip, also with a Python that lacks ensurepip."""
    python = sys.executable
    if Path(sys.prefix).resolve() == VENV:  # called from inside what is made afresh
        python = getattr(sys, "_base_executable", python)
    with contextlib.suppress(ImportError):
        import ensurepip  # noqa: F401

        if not run_quietly([python, "-m", "venv", VENV]).returncode:
            return
    made = run_quietly([python, "-m", "venv", "--without-pip", VENV])
    pip = [python, "-m", "pip", "--python", venv_python()]
    if made.returncode or run_quietly([*pip, "--version"]).returncode:
        raise CourseError(
            "this Python cannot make an environment with pip in it: that takes ensurepip, "
            "or a pip from 22.3 on. On Debian and Ubuntu, install the package "
            f"python3.{sys.version_info[1]}-venv, elsewhere Python from python.org; then "
            "run the same command again. " + made.stderr.decode("utf-8", "replace")
        )
    pip_check(run([*pip, "install", *options, "pip"], **PIP_SETTINGS))


def pip_command() -> list:
    """How to call the environment's pip."""
    return [venv_python(), "-m", "pip"]


def pip_install(wanted: dict, more: tuple = ()) -> None:
    """Install the course with its dependencies as tested, pip's progress in sight."""
    command = [*pip_command(), "install", "-c", "constraints.txt", *more]
    extras = ",".join(wanted["extras"])
    command += [*wanted["options"], "-e", f".[{extras}]" if extras else "."]
    pip_check(run(command, **PIP_SETTINGS))


def pip_check(code: int) -> None:
    """Turn pip's failure into what to do about it."""
    if code:
        raise CourseError(
            f"pip could not install the course (exit code {code}): the lines above tell. "
            "If the connection failed, check it and run the same command again: what was "
            f"downloaded is kept. If no torch was found: {TORCH} is built for 64-bit Linux "
            "(glibc from 2.28 on), 64-bit Windows, and macOS from 14 on with Apple silicon."
        )


# --- The verbs ----------------------------------------------------------------------


def lab(arguments: list) -> int:
    """Open JupyterLab on ``notebooks/``, as ``jupyter lab notebooks/`` does."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    set_up((), arguments[:split])
    command = [venv_python(), "-m", "jupyterlab", "notebooks/"]
    if (NOTEBOOKS / START).exists():
        command.append("--LabApp.default_url=/lab/tree/" + START)
    return hand_over([*command, *arguments[split + 1 :]])


def test(arguments: list) -> int:
    """Run lint, tests and notebooks, all three even if one fails; or what is asked for."""
    steps = tuple(INSTEAD[argument] for argument in arguments if argument in INSTEAD)
    options = [argument for argument in arguments if argument not in INSTEAD]
    set_up((*EXTRAS, "browser") if "--browser" in arguments else EXTRAS, options)
    # There are two pytest workers: more threads than this would fight for the cores.
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 2) // 2))
    results = []
    for name, *commands in steps or STEPS:
        say("\n===== {}: {} =====".format(name, ", then ".join(commands)))
        start, codes = time.time(), []
        for command in commands:
            command = [venv_python(), "-m", *command.split()]
            codes.append(run(command, OMP_NUM_THREADS=threads))
        outcome = "FAILED" if any(codes) else "passed"
        results.append(f"{name} {outcome} ({time.time() - start:.0f} s)")
    say("\n===== course.py test: {} =====".format(", ".join(results)))
    return int(any("FAILED" in result for result in results))


def choose(wanted: str, names: list) -> str:
    """The one notebook whose name starts with a number (3, 03) or a longer beginning."""
    start = wanted.zfill(2) + "_" if wanted.isdigit() else Path(wanted).name
    found = [name for name in names if name.startswith(start)]
    if len(found) == 1:
        return found[0]
    raise CourseError(
        f"{wanted!r} begins the names of {len(found)} notebooks, but must choose one of: "
        + (", ".join(sorted(names)) or "(there are none)")
    )


def git(*arguments: str) -> bytes:
    """What git says in this folder; nothing if there is no git or it refuses."""
    done = run_quietly(["git", *arguments]) if shutil.which("git") else None
    return b"" if done is None or done.returncode else done.stdout


def git_notebooks() -> list:
    """Names of the notebooks in the last commit; none if this is not a checkout."""
    paths = git("ls-tree", "-z", "--name-only", "HEAD", "notebooks/").decode().split("\0")
    return [Path(path).name for path in paths if path.endswith(".ipynb")]


def reset(arguments: list) -> int:
    """Bring notebooks back to the original, keeping a dated copy of the work in them."""
    if not arguments:
        raise CourseError("reset needs a notebook's number: python course.py reset 03")
    with only_one_at_a_time():
        tracked = git_notebooks()
        names = tracked or [path.name for path in ORIGINALS.glob("*.ipynb")]
        if not names:
            raise CourseError(
                "there is no original to go back to: this folder is no git checkout, and "
                "`python course.py lab` has not kept a copy. Download the course again."
            )
        for name in [choose(wanted, names) for wanted in arguments]:
            if tracked:
                original = git("show", "HEAD:./notebooks/" + name)
            else:
                original = (ORIGINALS / name).read_bytes()
            reset_one(NOTEBOOKS / name, original)
    return 0


def reset_one(path: Path, original: bytes) -> None:
    """Replace one notebook once its copy is safe."""
    kept = "there was no work in it to keep"
    if path.exists():
        work = path.read_bytes()
        if work.replace(b"\r\n", b"\n") == original.replace(b"\r\n", b"\n"):
            return say(f"{path.name} is the original, or as last committed: nothing to do.")
        copies = NOTEBOOKS / "my_work"
        copies.mkdir(exist_ok=True)
        stem = path.stem + time.strftime("_%Y-%m-%d_%H%M%S")
        copy, count = copies / f"{stem}.ipynb", 1
        while copy.exists():
            count += 1
            copy = copies / f"{stem}_{count}.ipynb"
        write_atomically(copy, work)
        kept = f"your work is in notebooks/my_work/{copy.name}"
    write_atomically(path, original)
    say(f"{path.name} is back to the original; {kept}.")
    return say("If it is open in JupyterLab, choose File > Reload Notebook from Disk.")


def notebooks(arguments: list) -> int:
    """Run notebooks top to bottom and store them clean; one that fails stays as it was."""
    names = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    chosen = [choose(wanted, names) for wanted in arguments] or names
    set_up((), [])
    failed = [name for name in chosen if not execute(NOTEBOOKS / name)]
    if failed:
        raise CourseError("these notebooks failed and are unchanged: " + ", ".join(failed))
    return 0


def execute(path: Path) -> bool:
    """Run one notebook; store it if no cell failed."""
    say(f"\n===== {path.name} =====")
    command = "-m nbconvert --to notebook --execute --ExecutePreprocessor.timeout=600"
    command += " --ExecutePreprocessor.record_timing=False"
    command += " --ExecutePreprocessor.kernel_name=python3"
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder) / path.name
        where = ["--output-dir", folder, "--output", done.name, str(path)]
        if run([venv_python(), *command.split(), *where]):
            return False
        book = clean(json.loads(done.read_text("utf-8")))
    text = json.dumps(book, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_atomically(path, text.encode("utf-8"))
    return True


def join_streams(outputs: list) -> list:
    """What is printed together in one piece: a kernel sends it in any number of them."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" and output["name"] == last.get("name"):
            last["text"] = last["text"] + output["text"]
        else:
            joined.append(output)
    return joined


def clean(book: dict) -> dict:
    """Take out of an executed notebook what differs between machines and runs."""
    for cell in book["cells"]:
        cell["metadata"].pop("execution", None)
        if "outputs" in cell:
            cell["outputs"] = join_streams(cell["outputs"])
        for output in cell.get("outputs", ()):  # a widget lives only while its kernel does
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    book["metadata"].pop("widgets", None)
    name, shown = "python3", "Python 3 (ipykernel)"
    book["metadata"]["kernelspec"] = {
        "display_name": shown,
        "language": "python",
        "name": name,
    }
    book["metadata"].setdefault("language_info", {"name": "python"}).pop("version", None)
    return book


def main(arguments: list) -> int:
    """Run one verb; return the exit code."""
    verbs = {"lab": lab, "test": test, "reset": reset, "notebooks": notebooks}
    try:
        check_python(sys.version_info)
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            say(USAGE)
            return 0
        if arguments[0] not in verbs:
            raise CourseError(f"there is no verb {arguments[0]!r}.\n\n{USAGE}")
        return verbs[arguments[0]](arguments[1:])
    except CourseError as error:
        message, code = f"course.py: {error}", 1
    except OSError as error:
        message, code = f"course.py: {error}. Check space and permissions there.", 1
    except KeyboardInterrupt:
        message, code = "course.py: stopped. The same command again will go on.", 130
    print(message, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
