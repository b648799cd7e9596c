"""Built-in plug-ins use what every package may use: the public door, and nothing behind it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import stempilot

ROOT = Path(__file__).parents[2]
DOORS = {"stempilot", "stempilot.testing", "stempilot.faults"}
EMULATORS = ROOT / "backends" / "stempilot_backends" / "usetem" / "emulator"
TO_COPY = ("examples/stempilot-example", "core/stempilot/scaffold/template")
"""What authors copy from."""
INSTRUMENT = (".contract.backend", ".instrument", ".operation", ".runs")
"""Where the door's names live that tasks and agents must not have."""


def sources(*roots: str) -> list[Path]:
    return sorted(path for root in roots for path in (ROOT / root).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of each import of stempilot, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def of_core(path: Path) -> set[tuple[str, str]]:
    return {(m, n) for m, n in imported(path) if m.partition(".")[0] == "stempilot"}


def behind_the_door() -> set[str]:
    """Return the public names with which an instrument can be moved."""
    stub = ast.parse(Path(stempilot.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.name
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom) and f".{node.module}".startswith(INSTRUMENT)
        for alias in node.names
    }


@pytest.mark.parametrize(
    "path", sources("agents", "backends", "tasks", *TO_COPY), ids=lambda p: p.stem
)
def test_built_ins_import_through_the_public_door_only(path: Path) -> None:
    doors = DOORS if path.is_relative_to(EMULATORS) else DOORS - {"stempilot.faults"}
    assert {module for module, _ in of_core(path)} <= doors
    # A package of the core is no name of the door, though Python would hand it out.
    assert {name for module, name in of_core(path) if module == "stempilot"} <= {
        *stempilot.__all__,
        "",
    }


@pytest.mark.parametrize("path", sources("agents", "tasks"), ids=lambda p: p.stem)
def test_tasks_and_agents_have_nothing_that_moves_an_instrument(path: Path) -> None:
    assert {"Backend", "Session", "open_session", "execute"} <= behind_the_door()
    uses = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "stempilot"
    }
    assert not behind_the_door() & ({name for _, name in of_core(path)} | uses)
