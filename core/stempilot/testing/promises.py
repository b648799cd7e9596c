"""What is expected of the values that a task returns."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stempilot.contract.goals import Centre
from stempilot.contract.task import Task
from stempilot.contract.values import KnobValue, SetPoint
from stempilot.instrument.checks import may_change
from stempilot.testing.contract import expect, is_finite
from stempilot.testing.fingerprint import entries

AnyTask = Task[Any, Any]
_ROUNDING = 1e-6
MAX_NUMBERS = 512
"""How many numbers a measurement or a state may hold: a few hundred, never an image."""


def check_centre(goal: Centre) -> None:
    """Check that the numbers of a `Centre` make sense."""
    expect(bool(goal.unit), "the residual's unit has a name", repr(goal.unit))
    expect(0 <= goal.tolerance < math.inf, "the tolerance is at least 0", goal.tolerance)
    expect(goal.resolution >= 0, "the resolution is at least 0", goal.resolution)
    count, sizes = len(goal.residual), {len(edge) for edge in goal.edges}
    expect(sizes == {count}, f"each edge has {count} components", goal.edges)
    ordered = all(low < high for low, high in zip(*goal.edges, strict=True))
    expect(ordered, "the lower edge is below the upper one", goal.edges)


def check_targets(
    task: AnyTask, points: Sequence[SetPoint], standing: Mapping[str, KnobValue], what: str
) -> None:
    """Check that set points are absolute and within one largest step."""
    knobs = task.needs.knobs
    expect(isinstance(points, tuple), f"{what} is a tuple", type(points))
    for point in points:
        expect(isinstance(point, SetPoint), f"{what} is made of SetPoints", repr(point))
        expect(point.knob in knobs, f"{what} moves {', '.join(knobs)} alone", point.knob)
        need, value = knobs[point.knob], point.value
        expect(len(value) == need.size, f"{point.knob} has {need.size} components", value)
        expect(all(map(math.isfinite, value)), "set points are finite", point)
        now = standing[point.knob]
        near = all(
            may_change(target - here, step, _ROUNDING * step)
            for target, here, step in zip(value, now, need.largest_step, strict=True)
        )
        sentence = f"{what} is absolute, at most {need.largest_step} {need.unit} from the read-back"
        expect(near, sentence, f"{point.knob} to {value} from {now}")


def expect_few(what: str, value: object) -> None:
    """Expect a value to hold a few numbers and no frame."""
    counts: Counter[str] = Counter()
    for path, count in entries(value):
        counts[path.lstrip(".[").split(".")[0].split("[")[0]] += count
    found = ", ".join(f"{count} in or behind {name or 'it'}" for name, count in counts.items())
    few = counts.total() <= MAX_NUMBERS
    expect(few, f"{what} holds at most {MAX_NUMBERS} numbers and no frame", found)


def expect_number(what: str, value: object) -> None:
    """Expect a finite number."""
    expect(is_finite(value), f"{what} is a finite number", repr(value))
