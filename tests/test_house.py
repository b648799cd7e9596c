"""The size of what is built: packages, modules and functions that can be read at one sitting."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import stempilot
import stempilot_agents
import stempilot_backends
import stempilot_tasks
from stempilot import discover
from stempilot.plugins.registry import KINDS

CORE = Path(stempilot.__file__).parent
PRODUCT = [
    CORE,
    *(
        Path(each.__file__).parent
        for each in (stempilot_agents, stempilot_backends, stempilot_tasks)
    ),
]
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50
MOST_PACKAGES, MOST_MODULES = 13, 5
"""At the top of core."""

WORDS = {"adaptive", "proportional", "random", "recorded", "replay"}
"""Names of plug-ins that are words of the language too."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has, without its docstring."""
    first, last = function.body[0], function.end_lineno or function.lineno
    documented = ast.get_docstring(function) is not None
    text = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return last - function.lineno + 1 - text


@pytest.mark.parametrize("folder", PRODUCT, ids=lambda folder: folder.name)
def test_no_module_is_long(folder: Path) -> None:
    lengths = {
        str(path.relative_to(folder)): len(path.read_text(encoding="utf-8").splitlines())
        for path in folder.rglob("*.py")
    }
    assert lengths
    assert {name: count for name, count in lengths.items() if count > LONGEST_MODULE} == {}


@pytest.mark.parametrize("folder", PRODUCT, ids=lambda folder: folder.name)
def test_no_function_is_long(folder: Path) -> None:
    lengths = {
        f"{path.relative_to(folder)}: {function.name}": lines_of(function)
        for path in folder.rglob("*.py")
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert lengths
    assert {name: count for name, count in lengths.items() if count > LONGEST_FUNCTION} == {}


def test_core_has_few_rooms() -> None:
    packages = [path.parent for path in CORE.glob("*/__init__.py")]
    assert len(packages) <= MOST_PACKAGES
    assert len(list(CORE.glob("*.py"))) <= MOST_MODULES


def test_core_names_no_plug_in() -> None:
    """No text that core shows or compares is the name of a built-in plug-in.

    Names with a hyphen may stand nowhere at all. Docstrings may use words of the language, such as
    "a simulator", and texts those that say something else there.
    """
    registry = discover(only="")
    names = {name for kind in KINDS for name in registry.names(kind)}
    assert {"simulator", "sac", "bf-disk-centering"} <= names
    found = set()
    for path in CORE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        found |= {f"{path.name}: {name}" for name in names if "-" in name and name in source}
        for text in texts(ast.parse(source)):
            words = {word.strip("`'\"().,;:[]=") for word in text.split()} - WORDS
            found |= {f"{path.name}: {text}" for name in names if name in {text, *words}}
    assert found == set()


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield all strings but docstrings."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.value
