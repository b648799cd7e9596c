"""Offering plug-ins takes a few lines of data."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/stempilot-example/src/stempilot_example/hooks.py"
BUILT_IN = [*ROOT.glob("*/stempilot_*/hooks.py")]


def code_lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    docstring = ast.parse(text).body[0]
    assert docstring.end_lineno is not None
    return [line for line in text.splitlines()[docstring.end_lineno :] if line.strip()]


def test_a_backend_a_task_and_an_agent_need_twelve_lines() -> None:
    assert len(code_lines(EXAMPLE)) <= 12


@pytest.mark.parametrize("path", [EXAMPLE, *BUILT_IN], ids=lambda path: path.parent.name)
def test_hooks_hold_no_function(path: Path) -> None:
    assert len(BUILT_IN) == 3
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    assert not [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, functions)]
