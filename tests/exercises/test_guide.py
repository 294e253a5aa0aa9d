"""The instructor's guide says what the notebooks and the exercises say."""

import re
from pathlib import Path

import nbformat
import pytest

from slowfast_edu.exercises import EXERCISES, Exercise

FOLDER = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
GUIDE = (FOLDER / "instructors_guide.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = GUIDE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [line.strip("|").strip().split(" | ") for line in lines[2:]]


def opening(path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source


def test_objectives_and_their_exercises_are_those_of_the_notebooks():
    told = [row[-3:] for row in rows("Exercises and objectives")]
    wanted = [
        [path.stem[:2], objective, exercises]
        for path in PATHS
        for objective, exercises in re.findall(
            r"^\| (.*?) \| [\d, ]+ \| (.*?) \|$", opening(path), re.MULTILINE
        )
    ]
    assert told == wanted


@pytest.mark.parametrize("row", rows("Plan"), ids=lambda row: row[0][1:3])
def test_minutes_and_points_are_those_of_notebook_and_exercises(row):
    name, needs, reading, minutes, points = row
    title, file = re.fullmatch(r"\[(.*)\]\((.*)\)", name).groups()
    text = opening(FOLDER / file)
    assert text.startswith(f"# {title}\n")
    assert f"**Time** about {reading} minutes, and {minutes} more" in text
    own = [e for e in EXERCISES.values() if e.notebook == title[:2]]
    assert sum(e.minutes for e in own) == int(minutes)
    assert sum(e.points for e in own) == int(points)
    assert all(n < title[:2] or n == "PyTorch" for n in needs.split(", "))


def test_every_notebook_is_planned():
    assert [row[0].split("](")[1][:-1] for row in rows("Plan")] == [p.name for p in PATHS]


def test_wrong_answers_belong_to_exercises_and_every_notebook_has_one():
    told = [row[0] for row in rows("Common wrong answers, and what they reveal")]
    assert all(isinstance(EXERCISES[name], Exercise) for name in told)
    assert {name[:2] for name in told} == {path.stem[:2] for path in PATHS}
    assert told == sorted(set(told), key=list(EXERCISES).index)


def test_the_numbers_of_exercises_are_counted():
    checked = sum(isinstance(e, Exercise) for e in EXERCISES.values())
    assert f"There are {checked} exercises that check themselves" in GUIDE
    assert f"and {len(EXERCISES) - checked} to be answered in prose" in GUIDE


def test_links_lead_somewhere_and_guide_and_glossary_are_found_from_the_start():
    for target in re.findall(r"\]\(([^)#]+)\)", GUIDE):
        assert target.startswith("https://") or (FOLDER / target).exists(), target
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for page in ("glossary.md", "instructors_guide.md"):
        assert f"({page})" in opening(FOLDER / "00_start_here.ipynb")
        assert f"(notebooks/{page})" in readme


def test_the_readme_asks_for_the_same_beforehand_and_as_many_minutes():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for name, needs, reading, *_ in rows("Plan"):
        file = name.split("](")[1][:-1]
        assert re.search(rf"\(notebooks/{file}\) \| {needs} \| {reading} \|", readme), name
