"""The library's own rules: imports point one way, everything public is documented."""

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import slowfast_edu

ROOT = Path(slowfast_edu.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = sorted(
    info.name for info in pkgutil.walk_packages(slowfast_edu.__path__, "slowfast_edu.")
)
MAX_FILE_LINES = 260  # that are not blank
MAX_FUNCTION_LINES = 45  # without the docstring
MAX_ARGUMENTS = 8

# Who may import whom, from the bottom up. A new part of the library is added here.
MAY_IMPORT = {
    "checks": set(),
    "files": set(),
    "config": {"checks"},
    "results": set(),
    "sampling": {"checks", "config"},
    "models": {"checks", "config", "sampling"},
    "data": {"checks", "config", "files", "sampling"},
    "analysis": {"checks", "config", "sampling", "models", "results"},
    "checkpoints": {"checks", "config", "files", "models"},
    "training": {"checks", "config", "files", "models", "data", "analysis", "checkpoints"},
    "applications": {
        "checks",
        "config",
        "files",
        "sampling",
        "models",
        "checkpoints",
        "data",
        "training",
    },
    "claims": {"config", "files", "models", "data", "training", "checkpoints"},
    "bench": {"config", "models", "data", "training"},
    "viz": {"checks", "config", "sampling", "data", "models", "analysis"},
    "exercises": {
        "checks",
        "config",
        "files",
        "sampling",
        "models",
        "data",
        "analysis",
        "training",
        "applications",
        "claims",
    },
    "instructor": {"checks", "files", "exercises"},
}
TOP = {"cli", "__init__", "__main__"}  # may import any part; no part imports cli


def short(path):
    return path.relative_to(ROOT).as_posix()


def part_of(path):
    """The part of the library that a file belongs to: "config", "models", ..."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(path)}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_parts(path):
    modules = [name.split(".") for name in imported_modules(path)]
    parts = {names[1] for names in modules if names[0] == "slowfast_edu" and names[1:]}
    return {
        part for part in parts if (ROOT / part).is_dir() or (ROOT / f"{part}.py").is_file()
    }


@pytest.mark.parametrize("path", FILES, ids=short)
def test_imports_point_one_way(path):
    part, imported = part_of(path), imported_parts(path)
    assert part in TOP or part in MAY_IMPORT, f"{part} is new: say what it may import"
    if part not in TOP:
        assert imported - MAY_IMPORT[part] - {part} == set()
    assert part in TOP or "cli" not in imported


@pytest.mark.parametrize("name", ["config", "sampling"])
def test_the_lowest_parts_need_no_torch(name):
    imported = {module.split(".")[0] for module in imported_modules(ROOT / f"{name}.py")}
    assert "torch" not in imported


def public_nodes(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


@pytest.mark.parametrize("path", FILES, ids=short)
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = [node.name for node in public_nodes(tree) if not ast.get_docstring(node)]
    assert ast.get_docstring(tree), "the module"
    assert bare == []


@pytest.mark.parametrize("path", FILES, ids=short)
def test_files_and_functions_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert code_lines(node) <= MAX_FUNCTION_LINES, node.name
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            given = [a for a in arguments if a.arg not in ("self", "cls")]
            assert len(given) <= MAX_ARGUMENTS, node.name


def code_lines(function):
    """Lines of a function without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = first.end_lineno - first.lineno + 1 if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    results = doctest.testmod(importlib.import_module(name), verbose=False)
    assert results.failed == 0


def test_there_are_examples_to_run():
    finder = doctest.DocTestFinder()
    tests = [t for n in MODULES for t in finder.find(importlib.import_module(n))]
    assert sum(bool(test.examples) for test in tests) >= 12


@pytest.mark.parametrize("name", ["slowfast_edu", *MODULES])
def test_what_all_names_exists(name):
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert [n for n in names if not hasattr(module, n)] == []
    assert len(names) == len(set(names))
