"""The instructor's guide, followed literally from an empty folder to a table of grades."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slowfast_edu.exercises import EXERCISES
from slowfast_edu.instructor.sandbox import why_no_sandbox

GUIDE = Path(__file__).parents[2] / "notebooks" / "instructors_guide.md"
SECTION = GUIDE.read_text(encoding="utf-8").split("### From an empty folder")[1]
COMMANDS = re.findall(r"```bash\n(.*?)```", SECTION.split("\n### ")[0], re.DOTALL)
NO_SANDBOX = why_no_sandbox(3 * 2**30)
SECONDS = 240


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What the commands printed, and the folder that they left."""
    if NO_SANDBOX and not os.environ.get("CI"):
        pytest.skip(NO_SANDBOX)
    folder = tmp_path_factory.mktemp("empty")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-eu"],
        input="".join(COMMANDS),
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, folder / "hw"


def rows(folder):
    with (folder / "hw1_grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def test_the_commands_are_all_there():
    words = " ".join(COMMANDS).split()
    for verb in ("assign", "preflight", "grade", "report"):
        assert words.count(verb) == 1


def test_it_ends_with_a_table_of_grades(followed):
    grades = rows(followed[1])
    by_tests = EXERCISES["02.frames"].points + EXERCISES["02.nyquist"].points
    by_hand = EXERCISES["02.why_tau"].points
    assert list(grades) == ["s001", "s002", "s003"]
    assert float(grades["s001"]["score"]) == by_tests
    assert float(grades["s001"]["to_mark"]) == by_hand
    assert float(grades["s001"]["max_score"]) == by_tests + by_hand
    assert (float(grades["s002"]["score"]), float(grades["s002"]["to_mark"])) == (0, 0)
    assert grades["s003"]["score"] == ""
    assert grades["s003"]["reason"] == "nothing was handed in"


def test_what_it_says_comes_on_the_way_comes(followed):
    printed, folder = followed
    assert "Success!" in printed
    assert "has the published solution" in rows(folder)["s001"]["review"]
    assert rows(folder)["s002"]["review"] == ""
    for file in re.findall(r"^\| `([^|]*)` \|", SECTION, re.MULTILINE):
        for name in re.findall(r"[\w/]+\.\w+", file):
            assert (folder / name).is_file(), name
    pages = sorted(path.parts[-3] for path in folder.glob("feedback/*/hw1/hw1.html"))
    assert pages == ["s001", "s002"]
