"""The quantities and the goal of a task, as the record of a run holds them."""

from typing import Any

from stempilot.contract.goals import Centre, Quantity, Raise
from stempilot.contract.task import Task

CENTRE, RAISE = "centre", "raise"

UNDECLARED = (
    Quantity(name="distance_px", unit="px", better="lower", symbol="distance", error="error_px"),
    Quantity(name="x_px", unit="px", symbol="x"),
    Quantity(name="y_px", unit="px", symbol="y"),
)
"""The quantities of runs that were recorded before tasks declared theirs."""


def goal_kind(task: Task[Any, Any]) -> str | None:
    """Return `CENTRE`, `RAISE`, or ``None`` where the task has no goal."""
    kinds: dict[type[Any], str] = {Centre: CENTRE, Raise: RAISE}
    return kinds.get(type(getattr(task, "goal", None)))
