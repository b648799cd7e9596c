"""Whether what a task says it needs can be understood by others."""

import inspect
import math
import re
from collections.abc import Iterator

from stempilot.contract.names import KNOB_UNITS, NUMBER_UNITS, SOURCES, STATES, UNITS
from stempilot.contract.values import Needs

_SHARED = {
    "knob": tuple(KNOB_UNITS),
    "source": SOURCES,
    "state": STATES,
    "number": tuple(NUMBER_UNITS),
}


def knob_problems(needs: Needs) -> Iterator[str]:
    """Yield what is wrong with units, sizes and largest steps."""
    for name, need in needs.knobs.items():
        if need.unit not in UNITS:
            yield f"{name} is planned in {need.unit}, which is none of {', '.join(UNITS)}"
        unit, size = KNOB_UNITS.get(name, (need.unit, need.size))
        if (need.unit, need.size) != (unit, size):
            yield f"the shared knob {name} has {size} x {unit}, not {need.size} x {need.unit}"
        if len(need.largest_step) != need.size:
            yield f"{name} has {need.size} components and {len(need.largest_step)} largest steps"
        if not all(math.isfinite(step) and step > 0 for step in need.largest_step):
            yield f"the largest step of {name} is {need.largest_step}, not finite and above 0"


def name_problems(needs: Needs, task: type[object]) -> Iterator[str]:
    """Yield names that are spelt unlike the shared ones, or neither shared nor documented.

    Documented means: named in the docstring of the task's class or of its ``needs``.
    """
    described = "\n".join(filter(None, (inspect.getdoc(task), inspect.getdoc(task.needs))))  # type: ignore[attr-defined]
    named = {
        "knob": (*needs.knobs, *needs.reads),
        "source": needs.sources,
        "state": tuple(needs.states),
        "number": tuple(needs.numbers),
    }
    for kind, names in named.items():
        spelling = {_plain(shared): shared for shared in _SHARED[kind]}
        for name in names:
            shared = spelling.get(_plain(name))
            if shared not in {None, name}:
                yield f"{kind} {name!r} is spelt {shared!r} by everybody else"
            elif shared is None and not re.search(rf"\b{re.escape(name)}\b", described):
                yield (
                    f"{kind} {name!r} is neither shared ({', '.join(_SHARED[kind])}) nor named in "
                    f"the docstring of {task.__name__} or of its needs"
                )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
