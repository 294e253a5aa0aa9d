"""The glossary: in order, without doubles, and each word really where it points to."""

import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from slowfast_edu.config import FUSIONS, ClipConfig, SlowFastConfig

FOLDER = Path(__file__).parent.parent / "notebooks"
PAGE = (FOLDER / "glossary.md").read_text(encoding="utf-8")
MOST_SENTENCES = 4  # the last of them often says what the word is not
# Each field of a configuration, and the glossary's word for it.
FIELDS = {
    "T": "T",
    "tau": "tau",
    "alpha": "alpha",
    "frame_rule": "linspace",
    "clip": "clip",
    "pathways": "pathway",
    "depth": "R50",
    "width": "conv1",
    "beta": "beta",
    "fusion": "fusion",
    "fusion_kernel": "T-conv",
    "res4_temporal_blocks": "temporal kernel",
    "non_local": "non-local",
    "fast_input": "time difference",
    "dropout": "dropout",
    "head": "head",
}


class Entry(NamedTuple):
    """One word: what it is called, what is said of it, and where it leads."""

    name: str
    aliases: tuple[str, ...]
    text: str
    links: tuple[str, ...]


def entry_of(paragraph: str) -> Entry:
    whole = re.fullmatch(r"\*\*(.+?)\*\*(?: \(([^)]*)\))?\. (.+)", paragraph)
    assert whole, paragraph
    name, aliases, rest = whole.groups()
    text, links = re.fullmatch(r"(.+?) \((\[.+\]\(.+?\))\)", rest).groups()
    places = re.findall(r"\[[^]]+\]\(([^)]+)\)", links)
    return Entry(name, tuple((aliases or "").split(", ")), text, tuple(places))


PARAGRAPHS = [" ".join(p.split()) for p in PAGE.strip().split("\n\n")]
ENTRIES = [entry_of(p) for p in PARAGRAPHS if p.startswith("**")]
NAMES = [entry.name for entry in ENTRIES]


@cache
def words_of(path: Path) -> str:
    """What a reader of a page sees, in one line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells)
    return " ".join(re.sub(r"[*#>|`]", " ", text).split()).lower()


def occurs(word: str, text: str) -> bool:
    """A word or its plural; other endings only of words that are not a letter or two."""
    ending = r"(s|'s)?(?!\w)" if len(word) < 4 else ""
    return re.search(rf"(?<!\w){re.escape(word.lower())}{ending}", text) is not None


def test_there_are_enough_words_and_none_twice():
    assert len(NAMES) >= 60
    every = [name.lower() for name in NAMES]
    assert len(set(every)) == len(every)


def test_they_stand_in_the_order_of_the_alphabet_under_their_letters():
    assert sorted(NAMES, key=str.casefold) == NAMES
    letter = None
    for paragraph in PARAGRAPHS:
        if paragraph.startswith("## "):
            letter = paragraph.removeprefix("## ")
        elif paragraph.startswith("**"):
            first = paragraph[2].upper()
            assert letter == ("0 to 9" if first.isdigit() else first), paragraph


def test_every_paragraph_is_a_heading_or_a_word_but_for_the_first():
    others = [p for p in PARAGRAPHS if not p.startswith(("#", "**"))]
    assert others == PARAGRAPHS[1:2]
    assert PARAGRAPHS[0] == "# Glossary"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_word_is_explained_shortly_and_stands_in_each_page_it_points_to(entry):
    assert entry.text.endswith((".", ".)", "?"))
    assert 1 <= len(re.findall(r"[.?]\)?(?= |$)", entry.text)) <= MOST_SENTENCES
    for place in entry.links:
        path = FOLDER / place
        assert path.is_file(), place
        called = [entry.name, *filter(None, entry.aliases)]
        assert any(occurs(name, words_of(path)) for name in called), place


def test_every_field_of_a_model_has_its_word():
    named = {f.name for config in (ClipConfig, SlowFastConfig) for f in fields(config)}
    assert named == set(FIELDS)
    assert [word for word in FIELDS.values() if word not in NAMES] == []
    fusion = next(e for e in ENTRIES if e.name == "fusion").text
    for name in FUSIONS:  # "t_conv" is T-conv there, "ttoc_sum" a TtoC
        written = name.removesuffix("_sum").removesuffix("_concat").replace("_", "-")
        assert written in fusion.lower()


def test_symbols_are_written_as_in_the_paper_too():
    greek = {"alpha": "α", "beta": "β", "tau": "τ"}
    aliases = {entry.name: entry.aliases for entry in ENTRIES}
    assert {name: aliases[name][0] for name in greek} == greek


@pytest.mark.parametrize("name", ["4x16", "tau", "fps", "T", "beta", "clip", "GFLOPs"])
def test_what_a_word_is_taken_for_is_denied(name):
    text = next(entry.text for entry in ENTRIES if entry.name == name)
    assert "*not*" in text
