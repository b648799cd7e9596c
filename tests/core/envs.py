"""Environments on toys."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from attrs import evolve, field, frozen
from tests.core.fakes import Desk

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import KnobValue, SetPoint, Snapshot
from stempilot.instrument.envelope import Envelope, KnobLimits, open_envelope
from stempilot.operation.session import open_session
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import Timestep
from stempilot.testing.toys import ToyBackend, ToyCentring

FULL = np.array([1.0, 0.0], np.float32)
BACK = np.array([-1.0, 0.0], np.float32)
REST = np.zeros(2, np.float32)


@frozen
class Kept:
    """A recorder that keeps all."""

    steps: list[Timestep] = field(factory=list)
    snapshots: list[Snapshot | None] = field(factory=list)

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        self.steps.append(step)
        self.snapshots.append(snapshot)


def envelope(desk: Desk, **row: Any) -> Envelope:
    made = open_envelope("desk", desk.offers())
    limits = made.knobs[BEAM_SHIFT]
    reach = row.pop("reach", None)
    return evolve(
        made, knobs={BEAM_SHIFT: KnobLimits(spec=evolve(limits.spec, **row), reach=reach)}
    )


@contextlib.contextmanager
def on_desk(
    desk: Desk, task: ToyCentring | None = None, limits: Envelope | None = None, **options: Any
) -> Iterator[TaskEnv]:
    task = task or ToyCentring(tolerance=0.01)
    with open_session(desk, [task], name="desk", envelope=limits or envelope(desk)) as session:
        yield session.env(task, **options)


@contextlib.contextmanager
def on_toy(serial: int = 0, task: ToyCentring | None = None, **options: Any) -> Iterator[TaskEnv]:
    task = task or ToyCentring()
    with open_session(ToyBackend(serial), [task], name="toy") as session:
        yield session.env(task, **options)


class HomeTask(ToyCentring):
    """Starts at home."""

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        return ()
