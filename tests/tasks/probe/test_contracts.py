"""The tasks of the probe keep the contract, on an instrument that draws no frames."""

from typing import Any

import pytest
from tests.tasks.probe.film import Film, quick

from stempilot import Backend, Task
from stempilot.testing import TaskContract, run_contract

WHERE: dict[str, tuple[Any, ...]] = {
    "stigmator": (),
    "stigmate-and-focus": ((120.0, 300.0), 60.0, -1),
    "stem-focus": ((15.0, 450.0), 2.0),
    "read-aberrations": (),
}


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
