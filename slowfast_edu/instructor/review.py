"""What in a submission a person should look at: used or copied references, odd tools."""

import ast
from collections.abc import Iterator

import nbformat

LEAST_NODES = 30  # of a body's syntax tree: shorter ones are alike by chance
LONG_NODES = 60  # and from here on other names do not make it another one
NAMED = ((ast.Name, "id"), (ast.arg, "arg"))
NAMED += ((ast.FunctionDef, "name"), (ast.ClassDef, "name"))
ODD = {
    ".ast_transformers": "changes code before it runs",
    "get_ipython": "talks to IPython",
    "import importlib": "imports by name",
    "__import__": "imports by name",
    "sys.modules": "reaches into loaded modules",
    "._getframe": "looks into who called it",
    ".f_locals": "looks into who called it",
    ".f_globals": "looks into who called it",
    ".__globals__": "looks into functions",
    ".__closure__": "looks into functions",
    "exec": "runs text as code",
    "eval": "runs text as code",  # the name: a network's .eval() is none of these
    "import inspect": "looks into functions",
    "import gc": "looks into memory",
    "import ctypes": "looks into memory",
    "import signal": "changes signals",
    "import subprocess": "starts programs",
    ".system": "starts programs",
    ".popen": "starts programs",
    ".fork": "starts processes",
    "import multiprocessing": "starts processes",
    "import socket": "uses the network",
    "import urllib": "uses the network",
    "import requests": "uses the network",
}


def review(
    notebook: nbformat.NotebookNode,
    release: nbformat.NotebookNode,
    source: nbformat.NotebookNode,
) -> list[str]:
    """Say what a student's own cells import of the library, copy of it, or tamper with.

    It is a hint to look, not a proof, either way: who hides it well is not found.

    Args:
        notebook: the student's.
        release: the one that was handed out; what it uses, students may use.
        source: the instructor's, with solutions.
    """
    given = {cell.source for cell in release.cells if cell.cell_type == "code"}
    allowed = {what for source in given for what in _odd(_parsed(source))}
    solutions = _solutions(source)
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code" or cell.source in given:
            continue
        tree = _parsed(cell.source)
        found += [f"cell {number} {what}" for what in _odd(tree) if what not in allowed]
        found += [f"cell {number} {what}" for what in _copied(tree, solutions)]
    return list(dict.fromkeys(found))


def _parsed(source: str) -> ast.AST:
    """A cell's syntax tree without IPython's commands; empty if it is no Python."""
    lines = source.splitlines()
    plain = ["pass" if line.startswith(("%", "!")) else line for line in lines]
    try:
        return ast.parse("\n".join(plain))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _odd(tree: ast.AST) -> Iterator[str]:
    """What a cell uses that an answer does not need."""
    for node in ast.walk(tree):
        for name in _names(node):
            if name.split(".")[0] == "slowfast_edu":
                yield f"uses {name}"
            elif name in ODD:
                yield f"{ODD[name]} ({name})"


def _names(node: ast.AST) -> list[str]:
    """The names in one part of a syntax tree, written as in ``ODD``."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [f"{getattr(node.value, 'id', '')}.{node.attr}", f".{node.attr}"]
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        names += [f".{alias.name}" for alias in node.names]
    else:
        return []
    return [*names, *(f"import {name.split('.')[0]}" for name in names)]


def _copied(tree: ast.AST, solutions: dict[str, str]) -> Iterator[str]:
    """The functions in a cell that are published solutions."""
    for node in ast.walk(tree):
        for shape in _shapes(node) & solutions.keys():
            yield f"has the published solution of {solutions[shape]}"


def _solutions(source: nbformat.NotebookNode) -> dict[str, str]:
    """{shape: cell} of the solutions that are too long to be found twice by chance."""
    found = {}
    for cell in source.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            for node in _parsed(cell.source).body:
                found |= dict.fromkeys(_shapes(node), cell.id)
    return found


def _shapes(node: ast.AST) -> set[str]:
    """What a function does: all of its body, and what is not a class or an import in it.

    Those may stand outside of it, as in the published notebooks.
    """
    if not isinstance(node, ast.FunctionDef):
        return set()
    body = node.body[ast.get_docstring(node) is not None :]
    outside = ast.Import | ast.ImportFrom | ast.ClassDef
    own = [part for part in body if not isinstance(part, outside)]
    return {_shape(body), _shape(own)} - {""}


def _shape(body: list[ast.stmt]) -> str:
    """Statements without comments, and long ones without their names.

    "" if they are too short to tell, or too deep.
    """
    try:
        copy = ast.parse("\n".join(map(ast.unparse, body)))
        size = len(list(ast.walk(copy)))
        if size >= LONG_NODES:
            _rename(copy)
        return ast.dump(copy) if size >= LEAST_NODES else ""
    except (RecursionError, ValueError, SyntaxError):
        return ""


def _rename(tree: ast.AST) -> None:
    """Number the names in a syntax tree as they come."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        for kind, field in NAMED:
            if isinstance(node, kind):
                new = names.setdefault(getattr(node, field), f"n{len(names)}")
                setattr(node, field, new)
