"""Snapshots for the checks of a task: starts, and places around them."""

from typing import Any

import numpy as np
from numpy.random import SeedSequence

from stempilot.contract.backend import Backend, Reseedable
from stempilot.contract.task import Task
from stempilot.contract.values import KnobNeed, KnobSpec, KnobValue, SetPoint, Snapshot
from stempilot.instrument.envelope import open_envelope
from stempilot.instrument.opening import open_instrument
from stempilot.instrument.putting_back import savepoint

_SPREAD = 4
"""How far around home snapshots are taken, in largest steps."""


def draw_snapshots(
    task: Task[Any, Any], backend: Backend, rng: np.random.Generator, count: int
) -> list[Snapshot]:
    """Return what a task would see, every third time at a start of an episode.

    Opens the backend, moves the knobs that the task needs to places within four of its largest
    steps around where they stand, and puts them back.

    Raises:
        IncompatibleError: the backend does not offer what the task needs.
        BackendError: the instrument failed.
    """
    found = []
    name = type(backend).__name__
    with open_instrument(
        backend,
        [(type(task).__name__, task.needs)],
        name=name,
        envelope=open_envelope(name, backend.offers()),
        locks=False,
    ) as instrument:
        guard = instrument.guard
        with savepoint(guard, keep=False) as home:
            for number in range(count):
                if number % 3 == 0 and isinstance(backend, Reseedable):
                    guard.ramp([SetPoint(knob, value) for knob, value in home.items()])
                    backend.reseed(SeedSequence(int(rng.integers(2**32))), timestep=number)
                elif number % 3 == 0:
                    guard.ramp(task.scramble(home, rng))
                else:
                    guard.ramp(_anywhere(task, guard.limits, home, rng))
                found.append(take_snapshot(task, backend))
    return found


def take_snapshot(task: Task[Any, Any], backend: Backend) -> Snapshot:
    """Return what the framework would show the task now."""
    needs, offers = task.needs, backend.offers()
    knobs = [*needs.knobs, *(knob for knob in needs.reads if knob in offers.knobs)]
    return Snapshot(
        frames={source: backend.acquire(source) for source in needs.sources},
        knobs={knob: backend.read(knob) for knob in knobs},
        states={name: backend.state(name) for name in needs.states},
        numbers={name: backend.number(name) for name in needs.numbers},
    )


def _anywhere(
    task: Task[Any, Any],
    limits: dict[str, KnobSpec],
    home: dict[str, KnobValue],
    rng: np.random.Generator,
) -> list[SetPoint]:
    return [
        SetPoint(knob, _around(home[knob], need, limits[knob], rng))
        for knob, need in task.needs.knobs.items()
    ]


def _around(
    centre: KnobValue, need: KnobNeed, spec: KnobSpec, rng: np.random.Generator
) -> KnobValue:
    reach = _SPREAD * np.array(need.largest_step)
    low = np.maximum(spec.lower, np.array(centre) - reach)
    high = np.minimum(spec.upper, np.array(centre) + reach)
    target = rng.uniform(low, high)
    return tuple(np.round(target) if spec.unit == "index" else target)
