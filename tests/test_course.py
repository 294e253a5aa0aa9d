"""course.py: what it sets up, mends and refuses. Offline; pip mostly is a stand-in."""

import ast
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

REPO = Path(__file__).resolve().parent.parent
posix = pytest.mark.skipif(os.name == "nt", reason="signals and exec as POSIX has them")

FAKE_PIP = """
import json, os, pathlib, sys, time
root = pathlib.Path(__file__).parent
with open(root / "pip.log", "a") as log:
    log.write(json.dumps({"pid": os.getpid(), "arguments": sys.argv[1:]}) + "\\n")
orders = root / "pip.orders"
seconds, code = json.loads(orders.read_text()) if orders.exists() else (0, 0)
time.sleep(seconds)
sys.exit(code)
"""
DRIVER = """
import pathlib, sys
sys.path.insert(0, {root!r})
import course
def make_venv(options):
    python = course.VENV / pathlib.Path(course.venv_python()).relative_to(course.VENV)
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("a stand-in")
course.make_venv = make_venv
course.pip_command = lambda: [sys.executable, {fake_pip!r}]
course.hand_over = lambda command: print("handed over", *command[1:]) or 0
if __name__ == "__main__":
    sys.exit(course.main(sys.argv[1:]))
"""


def book(source="1 + 1", **metadata):
    """Bytes of a notebook with one code cell."""
    cell = {"cell_type": "code", "id": "one", "execution_count": None, "outputs": []}
    cell |= {"metadata": metadata, "source": [source]}
    contents = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(contents, indent=1) + "\n").encode()


@pytest.fixture
def folder(tmp_path):
    """A copy of course.py in a small course of its own, whose pip is a stand-in."""
    root = (tmp_path / "a course").resolve()
    (root / "notebooks").mkdir(parents=True)
    shutil.copy(REPO / "course.py", root)
    (root / "pyproject.toml").write_text("[project]\nname = 'slowfast-edu'\n")
    (root / "constraints.txt").write_text("torch==2.13.0\n")
    for name in ("00_start_here", "03_two_pathways"):
        (root / "notebooks" / f"{name}.ipynb").write_bytes(book())
    (root / "fake_pip.py").write_text(FAKE_PIP)
    driver = DRIVER.format(root=str(root), fake_pip=str(root / "fake_pip.py"))
    (root / "driver.py").write_text(driver)
    return root


def load(folder, file="driver.py"):
    """The folder's course.py as a module, with stand-ins for venv and pip."""
    sys.modules.pop("course", None)
    spec = importlib.util.spec_from_file_location("driver", folder / file)
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return sys.modules.pop("course", module)


@pytest.fixture
def course(folder):
    return load(folder)


def orders(folder, seconds=0, code=0):
    (folder / "pip.orders").write_text(json.dumps([seconds, code]))


def pip_calls(folder):
    """The calls of pip so far, as lists of arguments."""
    log = folder / "pip.log"
    return (
        [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    )


def start(folder, *arguments):
    """Start course.py with the stand-ins, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-u", str(folder / "driver.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


# --- Which Python, which words ------------------------------------------------------


def test_old_pythons_can_read_the_file_as_far_as_the_message():
    ast.parse((REPO / "course.py").read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 13), (3, 15, 0), (4, 0, 0)])
def test_other_pythons_are_refused_before_anything_else(
    course, folder, version, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "version_info", version)
    before = sorted(folder.rglob("*"))
    assert course.main(["lab"]) == 1
    captured = capsys.readouterr()
    assert f"this is Python {version[0]}.{version[1]}," in captured.err
    assert "needs Python 3.11 to 3.14" in captured.err
    assert captured.err.rstrip().endswith("course.py lab")
    assert captured.out == ""
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_supported_pythons_pass(course, minor):
    course.check_python((3, minor, 0))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_usage_lists_the_verbs(course, arguments, capsys):
    assert course.main(arguments) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {verb} " in out for verb in ("lab", "test", "reset", "notebooks"))


@pytest.mark.parametrize(
    "line",
    [
        "labb",
        "test 03",
        "lab --help",
        "lab -v --target=/x",
        "lab --targ=/x",
        "lab -t/x",
        "test --dry-run",
        "reset",
    ],
)
def test_wrong_words_get_the_usage_and_never_reach_pip(course, folder, line, capsys):
    assert course.main(line.split()) == 1
    err = capsys.readouterr().err
    assert line.split()[-1] in err.splitlines()[0] and "python course.py" in err
    assert pip_calls(folder) == [] and not course.VENV.exists()


# --- Setting up ---------------------------------------------------------------------


def test_first_call_installs_and_second_hands_over_without_pip(course, folder, capsys):
    assert course.main(["lab", "--", "--no-browser"]) == 0
    out = capsys.readouterr().out
    assert "two minutes and 1.4 GB" in out
    handed = "handed over -m jupyterlab notebooks/ "
    handed += "--LabApp.default_url=/lab/tree/00_start_here.ipynb --no-browser"
    assert handed in out
    [call] = pip_calls(folder)
    assert call["arguments"] == ["install", "-c", "constraints.txt", "-e", "."]
    begin = time.monotonic()
    assert course.main(["lab", "--", "--no-browser"]) == 0
    assert time.monotonic() - begin < 3
    assert capsys.readouterr().out == handed + "\n"
    assert len(pip_calls(folder)) == 1


def test_an_environment_for_test_also_serves_lab_but_not_the_reverse(course, folder):
    course.set_up((), [])
    course.set_up(("dev",), [])
    assert [call["arguments"][-1] for call in pip_calls(folder)] == [".", ".[dev]"]
    course.set_up((), [])
    course.set_up(("dev",), [])
    assert len(pip_calls(folder)) == 2


def test_pip_options_pass_through_and_are_remembered(course, folder):
    options = ["--extra-index-url", "file:///nowhere"]
    course.set_up((), options)
    course.set_up((), [])
    assert len(pip_calls(folder)) == 1
    (folder / "constraints.txt").write_text("torch==2.13.1\n")
    course.set_up((), [])
    course.set_up((), ["--pre"])
    course.set_up((), ["--pre"])
    first, changed, other = (call["arguments"] for call in pip_calls(folder))
    assert first[3:] == changed[3:] == [*options, "-e", "."]
    assert other[3:] == ["--force-reinstall", "--pre", "-e", "."]


def test_the_environment_keeps_pip_inside(course, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"):
        monkeypatch.setenv(name, "/elsewhere")
    env = course.environment(**course.PIP_SETTINGS)
    assert "/elsewhere" not in env.values()
    assert env["PIP_USER"] == "0"
    assert env["PATH"].split(os.pathsep)[0] == os.path.dirname(course.venv_python())


def test_failed_first_installation_leaves_nothing(course, folder, capsys):
    orders(folder, code=1)
    assert course.main(["lab"]) == 1
    err = capsys.readouterr().err
    assert "exit code 1" in err and "run the same command again" in err
    assert not course.VENV.exists()
    orders(folder)
    assert course.main(["lab"]) == 0


def test_failed_update_keeps_the_environment_and_is_tried_again(course, folder, capsys):
    course.set_up((), [])
    stamp, mine = course.STAMP.read_bytes(), course.VENV / "mine"
    mine.write_text("kept")
    (folder / "constraints.txt").write_text("torch==2.13.1\n")
    orders(folder, code=1)
    for calls in (2, 3):
        assert course.main(["lab"]) == 1
        assert course.STAMP.read_bytes() == stamp
        assert mine.exists() and not course.UNFINISHED.exists()
        assert len(pip_calls(folder)) == calls
    assert "kept" in capsys.readouterr().out
    orders(folder)
    assert course.main(["lab"]) == 0
    assert mine.exists() and course.STAMP.read_bytes() != stamp
    assert len(pip_calls(folder)) == 4


def test_full_disk_is_told_before_anything_is_made(course, monkeypatch, capsys):
    nearly_full = SimpleNamespace(total=9e9, used=8.7e9, free=0.3e9)
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: nearly_full)
    assert course.main(["lab"]) == 1
    assert "0.3 GB free" in capsys.readouterr().err
    assert not course.VENV.exists()


def test_unwritable_folder_gives_a_message(course, monkeypatch, capsys):
    def refuse(path, record):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(course, "write_record", refuse)
    assert course.main(["lab"]) == 1
    err = capsys.readouterr().err
    assert "Permission denied" in err and "unfinished.json" in err and err.count("\n") == 1
    assert not course.VENV.exists()


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_foreign_venv_is_left_alone(course, folder, kind, capsys):
    if kind == "folder":
        course.VENV.mkdir()
        (course.VENV / "pyvenv.cfg").write_text("home = elsewhere")
    elif kind == "file":
        course.VENV.write_text("not an environment")
    else:
        try:
            course.VENV.symlink_to(folder / "gone")
        except OSError:  # Windows wants a privilege for it
            pytest.skip("no right to make symbolic links")
    assert course.main(["lab"]) == 1
    assert "was not made by course.py" in capsys.readouterr().err
    assert os.path.lexists(course.VENV) and pip_calls(folder) == []
    assert kind != "folder" or [path.name for path in course.VENV.iterdir()] == [
        "pyvenv.cfg"
    ]


@pytest.mark.parametrize("stage", ["mkdir", "records", "venv", "pip", "update", "removal"])
def test_what_a_kill_leaves_behind_is_mended(course, folder, stage):
    if stage == "update":
        course.set_up((), ["--pre"])
        course.UNFINISHED.write_bytes(course.STAMP.read_bytes())
        course.STAMP.unlink()
    else:
        course.VENV.mkdir()
    if stage in ("records", "venv", "pip", "removal"):
        course.RECORDS.mkdir()
    if stage in ("venv", "pip"):
        course.write_record(course.UNFINISHED, course.what_is_wanted((), ["--pre"]))
        (course.VENV / "half").mkdir()
    if stage in ("pip", "removal"):
        (course.VENV / "bin").mkdir()
    assert course.main(["lab"]) == 0
    assert not (course.VENV / "half").exists() and not course.UNFINISHED.exists()
    remembered = ["--pre"] if stage in ("venv", "pip", "update") else []
    assert course.read_record(course.STAMP)["options"] == remembered
    assert "--force-reinstall" not in pip_calls(folder)[-1]["arguments"]


def test_a_removal_cut_short_does_not_pass_for_an_environment(course, monkeypatch):
    course.set_up((), [])

    def refuse(path):
        raise PermissionError(13, "in use", str(path))

    monkeypatch.setattr(course.shutil, "rmtree", refuse)
    with pytest.raises(PermissionError):
        course.remove_venv(keep_originals=True)
    assert not course.STAMP.exists() and course.RECORDS.is_dir()


def test_moved_folder_and_other_python_are_built_afresh(
    course, folder, monkeypatch, capsys
):
    course.set_up((), [])
    moved = folder.rename(folder.with_name("moved"))
    driver = DRIVER.format(root=str(moved), fake_pip=str(moved / "fake_pip.py"))
    (moved / "driver.py").write_text(driver)
    course = load(moved)
    old = course.VENV / "of the old place"
    old.write_text("x")
    assert course.main(["lab"]) == 0
    assert "moved" in capsys.readouterr().out
    assert not old.exists() and len(pip_calls(moved)) == 2
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert course.main(["lab"]) == 0
    assert len(pip_calls(moved)) == 3
    Path(course.venv_python()).unlink()  # as when the Python below it was uninstalled
    assert course.main(["lab"]) == 0
    assert len(pip_calls(moved)) == 4 and Path(course.venv_python()).exists()


@posix
@pytest.mark.parametrize("calls", [1, 2], ids=["first installation", "update"])
def test_kill_9_then_the_next_call_waits_for_the_orphaned_pip_and_mends(
    folder, course, calls
):
    if calls == 2:
        course.set_up((), [])
        (folder / "constraints.txt").write_text("torch==2.13.1\n")
    orders(folder, seconds=60)
    first = start(folder, "lab")
    wait_for(lambda: len(pip_calls(folder)) == calls)
    os.kill(first.pid, signal.SIGKILL)
    first.wait(5)
    assert course.UNFINISHED.exists() and not course.STAMP.exists()
    (course.VENV / "half").write_text("left over")
    orders(folder)
    second = start(folder, "lab")
    try:
        assert "waiting" in second.stdout.readline()
        time.sleep(0.5)
        assert second.poll() is None and (course.VENV / "half").exists()
    finally:
        os.kill(pip_calls(folder)[-1]["pid"], signal.SIGKILL)
    out, err = second.communicate(timeout=20)
    assert (second.returncode, err) == (0, "")
    assert "afresh" in out and "handed over" in out
    assert not (course.VENV / "half").exists() and course.STAMP.exists()


@posix
def test_ctrl_c_prints_one_line_and_leaves_nothing(folder, course):
    orders(folder, seconds=60)
    process = start(folder, "lab")
    wait_for(lambda: pip_calls(folder))
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: pip gets it too
    _, err = process.communicate(timeout=20)
    lines = [line for line in err.splitlines() if line.startswith("course.py: ")]
    assert process.returncode == 130
    assert lines == ["course.py: stopped. The same command again will go on."]
    assert 'course.py", line' not in err
    assert not course.VENV.exists()


def test_two_at_once_install_once(folder):
    orders(folder, seconds=1)
    one = start(folder, "lab")
    wait_for(lambda: pip_calls(folder))
    two = start(folder, "lab")
    outputs = [process.communicate(timeout=20)[0] for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0]
    assert "waiting" in outputs[1] and "waiting" not in outputs[0]
    assert "handed over" in outputs[0] and "handed over" in outputs[1]
    assert len(pip_calls(folder)) == 1


# --- Making the environment ---------------------------------------------------------


def test_without_ensurepip_pip_comes_from_the_running_python(folder, monkeypatch):
    course = load(folder, "course.py")
    monkeypatch.setitem(sys.modules, "ensurepip", None)  # import gives ImportError
    commands = []
    monkeypatch.setattr(
        course, "run", lambda command, **extra: commands.append(command) or 0
    )
    course.make_venv(["--pre"])
    python = course.venv_python()
    assert Path(python).exists() and not list(course.VENV.rglob("pip"))
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--pre", "pip"]
    assert commands == [install]


def test_with_neither_ensurepip_nor_pip_the_package_is_named(folder, monkeypatch, capsys):
    course = load(folder, "course.py")
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    quietly = course.run_quietly

    def no_pip(command):
        if "pip" in command:
            return subprocess.CompletedProcess(command, 1, b"", b"No module named pip")
        return quietly(command)

    monkeypatch.setattr(course, "run_quietly", no_pip)
    assert course.main(["lab"]) == 1
    assert f"the package python3.{sys.version_info[1]}-venv" in capsys.readouterr().err
    assert not course.VENV.exists()


BACKEND = """
import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name, info = "slowfast_edu-0.1-py3-none-any.whl", "slowfast_edu-0.1.dist-info/"
    about = "Metadata-Version: 2.1\\nName: slowfast-edu\\nVersion: 0.1\\n"
    wheel = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    lab = "import sys, time\\nprint('LAB', sys.prefix, *sys.argv[1:], time.time())\\n"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as file:
        file.writestr("jupyterlab.py", lab)
        file.writestr(info + "METADATA", about)
        file.writestr(info + "WHEEL", wheel)
        file.writestr(info + "RECORD", "")
    return name
"""


@posix
@pytest.mark.timeout(120)
def test_for_real_with_a_small_project(folder, monkeypatch):
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'slowfast-edu'\nversion = '0.1'\n"
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    command = [sys.executable, "course.py", "lab"]
    first = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Successfully installed slowfast-edu" in first.stdout
    begin = time.time()
    second = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100
    )
    [line] = second.stdout.splitlines()
    word, *where, handed_over = line.split(" ")
    assert word == "LAB" and float(handed_over) - begin < 3
    assert " ".join(where).startswith(f"{folder / '.venv'} notebooks/ ")


# --- The other verbs ----------------------------------------------------------------


@pytest.mark.parametrize("broken", ["none", "ruff format", "tests/", "--nbval"])
def test_test_runs_all_three_and_tells_which_failed(course, broken, monkeypatch, capsys):
    course.set_up(("dev", "instructor"), [])
    ran = []

    def run(command, **extra):
        ran.append(" ".join(command[2:]))
        return int(broken in ran[-1])

    monkeypatch.setattr(course, "run", run)
    assert course.main(["test"]) == int(broken != "none")
    assert ran == [
        "ruff check .",
        "ruff format --check .",
        "pytest -n 2 --dist loadscope tests/",
        "pytest -n 2 --dist loadscope --nbval notebooks/",
    ]
    summary = capsys.readouterr().out.splitlines()[-1]
    steps = {"ruff format": "lint", "tests/": "tests", "--nbval": "notebooks"}
    for words, step in steps.items():
        assert f"{step} {'FAILED' if words == broken else 'passed'} (" in summary


@pytest.mark.parametrize(
    ("name", "command", "extras"),
    [
        ("browser", "pytest tests/browser/", ".[browser,dev,instructor]"),
        ("grading", "pytest -s tests/grading/", ".[dev,instructor]"),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
def test_test_can_run_something_else_instead(
    course, folder, name, command, extras, code, monkeypatch, capsys
):
    ran = []
    run = course.run

    def run_all_but_pytest(command, **extra):
        if "pytest" not in command:
            return run(command, **extra)
        ran.append(" ".join(command[2:]))
        return code

    monkeypatch.setattr(course, "run", run_all_but_pytest)
    assert course.main(["test", f"--{name}", "--pre"]) == code
    assert ran == [command]
    [call] = pip_calls(folder)
    wanted = ["--pre", "-e", extras]
    assert call["arguments"] == ["install", "-c", "constraints.txt", *wanted]
    outcome = "FAILED" if code else "passed"
    assert f"{name} {outcome} (" in capsys.readouterr().out.splitlines()[-1]


def commit(folder):
    who = [
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    for arguments in (["init", "-q"], ["add", "notebooks"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.mark.parametrize("kind", ["git", "zip", "zip inside a checkout"])
def test_reset_brings_back_the_original_and_keeps_dated_copies(
    course, folder, kind, monkeypatch, capsys
):
    monkeypatch.setattr(course.time, "strftime", lambda form: "_2026-11-22_140501")
    path, work = folder / "notebooks/03_two_pathways.ipynb", folder / "notebooks/my_work"
    original = path.read_bytes()
    if kind == "git":
        commit(folder)
    else:
        if kind == "zip inside a checkout":
            (folder.parent / "notebooks").mkdir()
            (folder.parent / "notebooks" / "03_other.ipynb").write_text("{}")
            commit(folder.parent)
        course.set_up((), [])
        path.write_bytes(book("my work 0"))
        for code in (1, 0):  # built afresh, in vain at first: the originals stay
            Path(course.venv_python()).unlink(missing_ok=True)
            orders(folder, code=code)
            assert course.main(["lab"]) == code
        path.write_bytes(original)
    assert course.ORIGINALS.exists() == (kind != "git")
    assert course.main(["reset", "03"]) == 0
    assert "nothing to do" in capsys.readouterr().out and not work.exists()
    for count, number in ((1, "03"), (2, "3"), (3, "03_two_pathways.ipynb")):
        path.write_bytes(book(f"my work {count}"))
        assert course.main(["reset", number]) == 0
        assert path.read_bytes() == original
        assert len(list(work.iterdir())) == count
    copy = "03_two_pathways_2026-11-22_140501"
    for count, name in ((1, copy), (2, copy + "_2"), (3, copy + "_3")):
        assert (work / f"{name}.ipynb").read_bytes() == book(f"my work {count}")
    assert f"my_work/{copy}_3.ipynb" in capsys.readouterr().out
    path.unlink()
    assert course.main(["reset", "03"]) == 0
    assert path.read_bytes() == original and len(list(work.iterdir())) == 3


@pytest.mark.parametrize("number", ["07", "0", "03", "../00_start_here", "", "_"])
def test_reset_of_no_or_two_notebooks_lists_them(course, folder, number, capsys):
    (folder / "notebooks/03_again.ipynb").write_bytes(book())
    commit(folder)
    before = {path: path.read_bytes() for path in (folder / "notebooks").iterdir()}
    expected = 0 if number in ("0", "../00_start_here") else 1
    assert course.main(["reset", number]) == expected
    err = capsys.readouterr().err
    listed = "00_start_here.ipynb, 03_again.ipynb, 03_two_pathways.ipynb"
    assert (listed in err) == bool(expected)
    assert before == {path: path.read_bytes() for path in (folder / "notebooks").iterdir()}


def test_reset_without_git_or_set_up_says_so(course, capsys):
    assert course.main(["reset", "03"]) == 1
    assert "no original" in capsys.readouterr().err


def test_reset_that_cannot_keep_the_work_changes_nothing(
    course, folder, monkeypatch, capsys
):
    commit(folder)
    path = folder / "notebooks/03_two_pathways.ipynb"
    path.write_bytes(book("my work"))

    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(course.os, "replace", full)
    assert course.main(["reset", "03"]) == 1
    assert "No space left" in capsys.readouterr().err
    assert path.read_bytes() == book("my work")
    assert list((folder / "notebooks").rglob("*.part")) == []


def test_notebooks_are_run_and_cleaned_and_a_failing_one_is_unchanged(
    course, folder, monkeypatch, capfd
):
    course.set_up((), [])
    monkeypatch.setattr(course, "venv_python", lambda: sys.executable)
    good, bad = sorted((folder / "notebooks").iterdir())
    source = "import time; from pathlib import Path; print(Path.cwd().name, flush=True)"
    source += "; time.sleep(0.3); print('é')"  # two messages, one output
    good.write_bytes(book(source, execution={"iopub.execute_input": "2026"}, tags=["x"]))
    bad.write_bytes(book("print('before'); 1 / 0"))
    assert course.main(["notebooks"]) == 1
    assert "unchanged: 03_two_pathways.ipynb" in capfd.readouterr().err
    assert bad.read_bytes() == book("print('before'); 1 / 0")
    done = json.loads(good.read_text("utf-8"))
    [cell] = done["cells"]
    [output] = cell["outputs"]
    assert output["text"] == ["notebooks\n", "é\n"]
    assert cell["execution_count"] == 1 and cell["metadata"] == {"tags": ["x"]}
    assert done["metadata"]["kernelspec"]["name"] == "python3"
    assert done["metadata"]["language_info"]["name"] == "python"
    assert "version" not in done["metadata"]["language_info"]


def test_cleaning_takes_out_a_widget_s_state_and_keeps_its_sentence(course):
    view = {"model_id": "2026", "version_major": 2}
    shown = {"application/vnd.jupyter.widget-view+json": view, "text/plain": ["Dials."]}
    cell = {"metadata": {}, "outputs": [{"data": shown, "output_type": "execute_result"}]}
    prose = {"metadata": {}, "cell_type": "markdown"}
    book = {"cells": [prose, cell], "metadata": {"widgets": {"state": {"2026": {}}}}}
    cleaned = course.clean(book)
    assert cleaned["cells"][1]["outputs"][0]["data"] == {"text/plain": ["Dials."]}
    assert "2026" not in str(cleaned)
