"""The tasks of the probe keep the contract, without frames and on drawn ones."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from benchmarks.focusing import STARTS
from tests.tasks.instruments import small_frames
from tests.tasks.probe.film import Film, quick

from stempilot import Backend, Opening, Snapshot, Task, discover
from stempilot.plugins.options import build
from stempilot.testing import TaskContract, run_contract
from stempilot_backends.simulator.backend import Simulator
from stempilot_backends.simulator.options import SimulatorConfig

REGISTRY = discover()
WHERE: dict[str, tuple[Any, ...]] = {
    "stigmator": (),
    "stigmate-and-focus": ((120.0, 300.0), 60.0, -1),
    "stem-focus": ((15.0, 450.0), 2.0),
    "read-aberrations": (),
}
SEEN = (
    "measuring_is_pure",
    "measurements_hold_no_pixels",
    "states_hold_no_pixels",
    "observations_are_inside_their_space",
    "questions_are_answered_by_bools",
    "its_own_moves_are_small_and_end",
    "episodes_repeat_with_their_seed",
    "many_episodes_are_each_its_own",
)
"""Checks whose answer depends on what is measured of a frame, and how."""


@pytest.mark.parametrize("name", WHERE)
def test_keeps_the_contract(name: str) -> None:
    class Suite(TaskContract):
        def make(self) -> Task[Any, Any]:
            return quick(name)  # type: ignore[no-any-return]

        def make_backend(self) -> Backend:
            return Film(*WHERE[name], drawn=False)

    results = run_contract(Suite)
    assert [f"{result.check}: {result.message}" for result in results if not result.passed] == []
    assert sum(result.applies for result in results) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", WHERE)
def test_keeps_the_contract_on_drawn_frames(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Suite(TaskContract):
        snapshot_count = 4

        def make(self) -> Task[Any, Any]:
            return REGISTRY.task(name)

        def make_backend(self) -> Backend:
            return Simulator(build(SimulatorConfig, STARTS[name], section="backend"), Opening())

        def snapshots(self, rng: np.random.Generator) -> Sequence[Snapshot]:
            del rng
            return drawn()

    @cache
    def drawn() -> Sequence[Snapshot]:
        """Return the snapshots of all checks, which would be the same ones each time."""
        return TaskContract.snapshots(Suite(), np.random.default_rng(0))

    small_frames(monkeypatch)
    measured = [REGISTRY.task(name).measure(snapshot) for snapshot in drawn()]
    assert sum(one.c1_m is not None for one in measured) >= 2, "frames tell the aberrations"
    results = [result for check in SEEN for result in run_contract(Suite, check)]
    assert [result.check for result in results] == list(SEEN)
    assert [f"{result.check}: {result.message}" for result in results if not result.passed] == []
