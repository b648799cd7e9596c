"""The recipes of the cookbook run as they are printed, and its tasks keep the contract."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stempilot.contract.backend import Backend
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.task import Task
from stempilot.contract.values import Snapshot
from stempilot.plugins.registry import discover
from stempilot.testing import TaskContract, run_contract
from stempilot.testing.contract import does_not_apply

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
TASKS = ("CentreLight", "RaiseLight", "ReadLight", "ReadStep", "TiltAndShift", "CentreCalibrated")


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """Return what the page defines, and what it printed."""
    names: dict[str, Any] = {"__name__": "cookbook", "printed": []}
    names["print"] = lambda *words: names["printed"].append(" ".join(map(str, words)))
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S):
        exec(block, names)  # noqa: S102 - our own page
    return names


def simulator() -> Backend:
    registry = discover(only="")
    return registry.backend(registry.default("backend"))


@pytest.mark.parametrize("name", TASKS)
def test_each_task_keeps_the_contract(name: str, page: dict[str, Any]) -> None:
    class Suite(TaskContract):
        snapshot_count = 4

        def make(self) -> Task[Any, Any]:
            made: Task[Any, Any] = page[name]()
            return made

        def make_backend(self) -> Backend:
            if name == "TiltAndShift":
                raise does_not_apply("the simulator has no beam shift")
            return simulator()

        def snapshots(self, rng: np.random.Generator) -> Sequence[Snapshot]:
            if name != "TiltAndShift":
                return super().snapshots(rng)
            with simulator() as backend:
                frames = [backend.acquire("flucam") for _ in range(3)]
                shift = backend.read("diffraction_shift")
            knobs = {"diffraction_shift": shift, BEAM_SHIFT: (0.0, 0.0)}
            return [Snapshot(frames={"flucam": f}, knobs=knobs, states={}) for f in frames]

    found = run_contract(Suite)
    assert [f"{one.check}: {one.message}" for one in found if not one.passed] == []
    assert sum(one.applies for one in found) >= 15


def test_each_task_of_the_page_is_checked(page: dict[str, Any]) -> None:
    made = {n for n, v in page.items() if isinstance(v, type) and v.__module__ == "cookbook"}
    assert made == set(TASKS)


def test_products_are_handed_on(page: dict[str, Any]) -> None:
    measured, success = page["printed"]
    value, _, uncertainty, unit = measured.split()
    # A full frame is 1,040 px, and the published response 1,770 px/rad, turned by 30 degrees.
    assert float(value) == pytest.approx(
        1770 * np.cos(np.pi / 6) / 520, abs=3 * float(uncertainty) + 0.1
    )
    assert unit == "1/rad"
    assert success == "True"
