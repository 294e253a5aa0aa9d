"""What in a submission a person should look at: used or copied references, odd tools."""

import ast
from collections.abc import Iterator

import nbformat

LEAST_NODES = 40  # of a function's syntax tree: shorter ones are alike by chance
ODD = {
    "ast_transformers": "changes code before it runs",
    "get_ipython": "talks to IPython",
    "importlib": "imports by name",
    "__import__": "imports by name",
    "modules": "reaches into loaded modules",
    "exec": "runs text as code",
    "eval": "runs text as code",
    "inspect": "looks into functions",
    "gc": "looks into memory",
    "signal": "changes signals",
    "subprocess": "starts programs",
    "fork": "starts processes",
    "system": "starts programs",
    "Popen": "starts programs",
    "socket": "uses the network",
    "urllib": "uses the network",
    "requests": "uses the network",
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
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Name):
            names = [node.id]
        for name in names:
            if name.split(".")[0] == "slowfast_edu":
                yield f"uses {name}"
            elif (first := name.split(".")[0]) in ODD:
                yield f"{ODD[first]} ({first})"


def _copied(tree: ast.AST, solutions: dict[str, str]) -> Iterator[str]:
    """The functions in a cell that are published solutions, names apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (shape := _shape(node)) in solutions:
            yield f"has the published solution of {solutions[shape]}"


def _solutions(source: nbformat.NotebookNode) -> dict[str, str]:
    """{shape: cell} of the solutions that are too long to be found twice by chance."""
    found = {}
    for cell in source.cells:
        if cell.cell_type == "code" and cell.metadata.nbgrader.solution:
            function = _parsed(cell.source).body[-1]
            if len(list(ast.walk(function))) >= LEAST_NODES:
                found[_shape(function)] = cell.id
    return found


def _shape(function: ast.FunctionDef) -> str:
    """A function's syntax tree without its names, its docstring and its comments."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    copy = ast.parse("\n".join(map(ast.unparse, body)))
    names: dict[str, str] = {}
    for node in ast.walk(copy):
        if isinstance(node, ast.Name):
            node.id = names.setdefault(node.id, f"n{len(names)}")
        elif isinstance(node, ast.arg):
            node.arg = names.setdefault(node.arg, f"n{len(names)}")
    return ast.dump(copy)
