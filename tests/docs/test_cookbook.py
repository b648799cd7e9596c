"""Each recipe of the cookbook works in the place of the task that `stempilot new` writes."""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stempilot.contract.backend import Backend
from stempilot.contract.plugin import PROJECT
from stempilot.contract.task import Reading, Task
from stempilot.contract.values import Snapshot
from stempilot.operation.session import open_session
from stempilot.plugins.registry import Registry, discover
from stempilot.runs.plans import Extras
from stempilot.scaffold.write import new_package
from stempilot.testing import TaskContract, run_contract
from stempilot.workflow.file import read_workflow
from stempilot.workflow.plans import plan_workflow
from stempilot.workflow.recorded import run_workflow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
AGENTS = {
    "centre-light": "adaptive",
    "raise-light": "random",
    "light-on-ring": "random",
    "read-light": None,
    "read-step": None,
    "round-film": "adaptive",
    "centre-calibrated": "adaptive",
}
"""The recipes, as the packages are called that they are put into, and who plays each."""


def blocks(language: str) -> list[str]:
    found = rf"^```{language}\n(.*?)^```$"
    return re.findall(found, PAGE.read_text("utf-8"), re.M | re.S)


FIRST, *RECIPES = blocks("python")


def classes_of(text: str) -> dict[str, ast.ClassDef]:
    return {each.name: each for each in ast.parse(text).body if isinstance(each, ast.ClassDef)}


def package_of(name: str) -> str:
    """Return what a package is called that is named after a class."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def recipe_of(package: str) -> str:
    """Return a recipe, its classes named as those of the package that it is put into."""
    (name, recipe), *more = (
        (name, text) for text in RECIPES for name in classes_of(text) if package_of(name) == package
    )
    assert not more
    return re.sub(rf"\b{name}(Config)?\b", rf"{name}Task\1", recipe)


def write(package: str, folder: Path) -> EntryPoint:
    """Write a package, put a recipe into it as the page says, and return its entry point."""
    new_package("task", package, folder / package, discover(only=""))
    module = package.replace("-", "_")
    file = folder / package / "src" / module / "task.py"
    text, recipe = file.read_text("utf-8"), recipe_of(package)
    lines, new = text.splitlines(keepends=True), classes_of(recipe)
    for name, old in reversed(classes_of(text).items()):
        if name in new:
            first = min(each.lineno for each in (old, *old.decorator_list))
            placed = [FIRST, "\n\n", recipe] if name.endswith("Task") else []
            lines[first - 1 : old.end_lineno] = placed
    file.write_text("".join(lines), encoding="utf-8")
    return EntryPoint(name=package, value=f"{module}.hooks", group=PROJECT)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Yield what is installed, and a package with each recipe."""
    folder = tmp_path_factory.mktemp("packages")
    points = [write(package, folder) for package in AGENTS]
    with pytest.MonkeyPatch.context() as patch:
        for package in AGENTS:
            patch.syspath_prepend(folder / package / "src")
        yield discover([*entry_points(group=PROJECT), *points])
    modules = {point.module.partition(".")[0] for point in points}
    for name in [each for each in sys.modules if each.partition(".")[0] in modules]:
        del sys.modules[name]


def simulator(registry: Registry, task: Task[Any, Any]) -> Backend:
    return registry.backend(registry.default("backend"), seed=1, **task.rehearsal)


@pytest.mark.parametrize("package", AGENTS)
def test_each_recipe_keeps_the_contract(
    package: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stempilot.testing.played._EPISODES", 1)
    drawn: list[Snapshot] = []

    class Suite(TaskContract):
        snapshot_count = 4

        def snapshots(self, rng: np.random.Generator) -> Sequence[Snapshot]:
            # Each check asks for the same ones, and a Ronchigram takes its time.
            drawn.extend(() if drawn else super().snapshots(rng))
            return drawn

        def make(self) -> Task[Any, Any]:
            return registry.task(package)

        def make_backend(self) -> Backend:
            return simulator(registry, self.make())

    found = run_contract(Suite)
    assert [f"{one.check}: {one.message}" for one in found if not one.passed] == []
    assert sum(one.applies for one in found) >= 15


@pytest.mark.parametrize("package", AGENTS)
def test_each_recipe_is_played_on_the_simulator(package: str, registry: Registry) -> None:
    task, agent = registry.task(package), AGENTS[package]
    with open_session(simulator(registry, task), [task], name="simulator") as session:
        episode = session.play(task, agent, seed=1, max_timesteps=30)
    assert episode.success or agent == "random"
    assert bool(episode.products) == isinstance(task, Reading)


def test_each_recipe_of_the_page_is_tested() -> None:
    made = {package_of(name) for text in RECIPES for name in classes_of(text)}
    assert {name for name in made if not name.endswith("-config")} == set(AGENTS)


def test_products_are_handed_on(tmp_path: Path, registry: Registry) -> None:
    (steps,) = blocks("toml")
    (tmp_path / "steps.toml").write_text(steps, encoding="utf-8")
    workflow, extras = read_workflow(tmp_path / "steps.toml"), Extras(out=tmp_path / "run", seed=1)
    result = run_workflow(plan_workflow(registry, workflow, extras=extras))
    assert result["success"], result["reason"]
    measured = result["products"]["response.x_per_rad"]
    # A full frame is 1,040 px, and the published response 1,770 px/rad, turned by 30 degrees.
    assert measured["value"] == pytest.approx(
        1770 * np.cos(np.pi / 6) / 520, abs=3 * measured["uncertainty"] + 0.1
    )
    assert measured["unit"] == "1/rad"
