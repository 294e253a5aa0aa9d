"""The published notebooks, as the exercises in them and the code those need."""

import ast
import builtins
import re
import symtable
from dataclasses import dataclass
from pathlib import Path

import nbformat

import slowfast_edu
from slowfast_edu.checks import check_choice
from slowfast_edu.exercises import EXERCISES, Exercise

NOTEBOOKS = Path(slowfast_edu.__file__).parent.parent / "notebooks"
OWN = "slowfast_edu"  # the key of a cell's metadata
CHECK = "check"  # what the course's notebooks call and an assignment does not
FIRST_LINE = "# Solution (click to open)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One exercise as a notebook has it.

    Attributes:
        prompt: Markdown that asks for it.
        stub: source of the function to be written; "" where prose is asked for.
        solution: source of the function that solves it, or what a good answer says.
        needs: top-level statements that stub and solution need, in their order.
        title: of its notebook.
    """

    prompt: str
    stub: str
    solution: str
    needs: tuple[str, ...]
    title: str


def published(name: str, notebooks: Path = NOTEBOOKS) -> Published:
    """An exercise out of its notebook.

    Args:
        name: of the exercise, such as "02.nyquist".
        notebooks: the folder of the course's notebooks.

    Raises:
        ValueError: there is no such exercise, or its cells are not as published.
        FileNotFoundError: the folder has not its notebook.
    """
    check_choice("exercise", name, EXERCISES)
    paths = sorted(notebooks.glob(f"{name.split('.')[0]}_*.ipynb"))
    if not paths:
        raise FileNotFoundError(
            f"{notebooks} has no notebook of exercise {name}; install the library from "
            "its repository (pip install -e), where the notebooks are"
        )
    book = nbformat.read(paths[0], 4)
    parts = {role: "" for role in ("prompt", "stub", "solution")}
    before: list[str] = []  # code that comes before the stub
    for cell in book.cells:
        own = cell.metadata.get(OWN, {})
        if own.get("exercise") == name and own["role"] in parts:
            parts[own["role"]] = cell.source
        elif cell.cell_type == "code" and "role" not in own and not parts["stub"]:
            before.append(cell.source)
    title = book.cells[0].source.splitlines()[0].lstrip("# ")
    if not _is_whole(parts, isinstance(EXERCISES[name], Exercise)):
        raise ValueError(
            f"{paths[0]} has not the published cells of {name}: somebody has worked in it; "
            f"python course.py reset {paths[0].name[:2]} brings it back"
        )
    code = [parts["stub"], parts["solution"], *_called(parts["prompt"])]
    needs = needed(code, before) if parts["stub"] else []
    return Published(**parts, needs=tuple(needs), title=title)


def _is_whole(parts: dict[str, str], is_code: bool) -> bool:
    """Whether an exercise has its prompt and solution, and a stub that nobody filled in."""
    there = bool(parts["prompt"] and parts["solution"])
    if not there or not is_code:
        return there
    try:
        function = ast.parse(parts["stub"]).body[-1]
    except (SyntaxError, IndexError):
        return False
    if not isinstance(function, ast.FunctionDef):
        return False
    about, *body = map(ast.unparse, function.body)
    return about.startswith(('"', "'")) and body == ["raise NotImplementedError"]


def _called(prompt: str) -> list[str]:
    """The functions that a prompt's code calls: learners are told to try them."""
    calls = []
    for span in re.findall("`([^`]+)`", prompt):
        try:
            nodes = ast.walk(ast.parse(span))
        except SyntaxError:  # no Python
            continue
        calls += [
            n.func.id for n in nodes if isinstance(n, ast.Call) and hasattr(n.func, "id")
        ]
    return calls


def needed(code: list[str], before: list[str]) -> list[str]:
    """The statements that bind the names which some code takes from the code before it.

    Args:
        code: sources whose free names are wanted.
        before: sources of cells that ran earlier, in their order.

    Returns:
        Top-level statements out of ``before``, in their order, and what those need.

    >>> needed(["print(half(8))"], ["two = 2; x = 1", "def half(n): return n / two"])
    ['two = 2', 'def half(n): return n / two']
    """
    statements = [part for source in before for part in _statements(source)]
    wanted = set().union(*map(_taken, code)) - set().union(*map(_bound, code)) - {CHECK}
    kept = []
    for source, binds in reversed(statements):
        if binds & wanted:
            kept.append(source)
            wanted = (wanted - binds) | _taken(source)
    return kept[::-1]


def _statements(source: str) -> list[tuple[str, set[str]]]:
    """Each top-level statement of a cell and the names that it binds."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a command of IPython's, in a cell that somebody added
        return []
    found = []
    for node in body:
        text = ast.get_source_segment(source, node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            binds = {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            text = "\n".join([*(f"@{ast.unparse(d)}" for d in node.decorator_list), text])
            binds = {node.name}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            binds = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        else:
            binds = set()
        found.append((text, binds))
    return found


def _taken(source: str) -> set[str]:
    """Names of the notebook that a source reads, builtins left out."""
    top = symtable.symtable(source, "cell", "exec")
    taken, tables = set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            free = table is top or symbol.is_global()
            if symbol.is_referenced() and free:
                taken.add(symbol.get_name())
    return taken - set(dir(builtins))


def _bound(source: str) -> set[str]:
    """Names that a source binds itself."""
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
