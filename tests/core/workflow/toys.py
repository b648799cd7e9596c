"""A toy column with a film, tasks and agents for workflows on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, field, frozen
from tests.core.fakes import ExactAgent, NoOptions, blank, plugin, toy_registry

from stempilot.contract.agent import Agent, Policy
from stempilot.contract.goals import Product
from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.task import Reading
from stempilot.contract.values import (
    Frame,
    Needs,
    NumberSpec,
    Offers,
    Outcome,
    SetPoint,
    Snapshot,
    StateSpec,
)
from stempilot.errors import BackendError
from stempilot.instrument.envelope import Envelope, open_envelope
from stempilot.plugins.registry import Registry
from stempilot.testing.toys import ToyBackend, ToyCentring

FILM, LENGTH = "film", "camera_length_m"


class Column(ToyBackend):
    """The toy with a film that an operator moves in and out, and a camera length to read.

    Attributes:
        film: ``in`` or ``out``.
        length_m: what the camera length reads.
        dark: the camera shows nothing at all.
        writes: where the knob was sent, in their order.
        before_write: called before each write.
    """

    def __init__(self, serial: int = 0, *, real: bool = False) -> None:
        super().__init__(serial)
        self.film, self.length_m, self.dark, self.real = "out", 0.3, False, real
        self.writes: list[tuple[float, ...]] = []
        self.before_write: Any = lambda count: None

    def offers(self) -> Offers:
        offers = super().offers()
        return evolve(
            offers,
            states={**offers.states, FILM: StateSpec(values=("in", "out"))},
            numbers={LENGTH: NumberSpec(unit="m")},
            misaligns=not self.real,
            simulated=not self.real,
        )

    def state(self, name: str) -> str:
        return self.film if name == FILM else super().state(name)

    def number(self, name: str) -> float:
        return self.length_m if name == LENGTH else super().number(name)

    def acquire(self, source: str) -> Frame:
        frame = super().acquire(source)
        return blank(frame) if self.dark else frame

    def write(self, knob: str, value: Any) -> None:
        self.before_write(len(self.writes))
        self.writes.append(tuple(value))
        super().write(knob, value)

    @property
    def place(self) -> tuple[float, ...]:
        """Where the knob stands."""
        return tuple(self._shift.tolist())


@frozen(kw_only=True)
class CentreOptions:
    """Options of the task.

    Attributes:
        tolerance: as of `ToyCentring`.
        film: where the film must be.
        broken: the instrument fails when it is looked at.
    """

    tolerance: float = 0.1
    film: str = ""
    broken: bool = False


class Centre(ToyCentring):
    """Centring with the film where it should be."""

    def __init__(self, options: CentreOptions) -> None:
        super().__init__(tolerance=options.tolerance)
        self._options = options

    @property
    def needs(self) -> Needs:
        needs, film = super().needs, self._options.film
        return evolve(needs, states={**needs.states, **({FILM: film} if film else {})})

    def measure(self, snapshot: Snapshot) -> Any:
        if self._options.broken:
            msg = "the camera is gone"
            raise BackendError(msg)
        return super().measure(snapshot)

    def products(self, state: Any) -> Mapping[str, Product]:
        return {"offset": Product(value=float(np.hypot(*state.offset)), unit="", uncertainty=0.01)}

    def explain(self, state: Any) -> str:
        return "the dot is gone" if state.lost else ""


@frozen(kw_only=True)
class LookOptions:
    """Options of the reading.

    Attributes:
        value: what it hands on; what is negative is no number.
        away: how far it moves, and does not return by itself.
    """

    value: float = 0.5
    away: float = 0.0


class Look(Reading[Any, int]):
    """Hands on a number."""

    needs = ToyCentring().needs

    def __init__(self, options: LookOptions) -> None:
        self._options = options

    def measure(self, snapshot: Snapshot) -> Any:
        return snapshot.knobs[BEAM_SHIFT]

    def initial(self, measured: Any) -> int:
        return 0

    def own_moves(self, state: int, standing: Any) -> tuple[SetPoint, ...] | None:
        x, y = standing[BEAM_SHIFT]
        return None if state else (SetPoint(BEAM_SHIFT, (x + self._options.away, y)),)

    def advance(self, state: int, action: Any, measured: Any) -> int:
        return state + 1

    def outcome(self, state: int) -> Outcome:
        return Outcome.SUCCESS if state else Outcome.RUNNING

    def products(self, state: int) -> Mapping[str, Product]:
        value = self._options.value
        number = np.nan if value < 0 else value
        return {"width": Product(value=number, unit="", uncertainty=0.1)}


class Lost(Agent):
    """Walks out of the field."""

    def __init__(self, _: Any = None) -> None:
        pass

    def policy(self) -> Policy:
        return _Away()


class _Away:
    def reset(self, instrument_id: str) -> None:
        pass

    def act(self, observation: Any) -> Any:
        return np.ones(2, dtype=np.float32)


class Moody(ExactAgent):
    """Is lost in its first tries.

    Args:
        brief: of the task.
        bad: how many these are.
    """

    def __init__(self, brief: Any, bad: int = 1) -> None:
        super().__init__(brief)
        self.bad, self.tries = bad, 0

    def policy(self) -> Policy:
        self.tries += 1
        return _Away() if self.tries <= self.bad else super().policy()


@frozen(kw_only=True)
class ColumnOptions:
    """Options of the column."""

    serial: int = field(default=0)


def column_registry(column: Column | None = None) -> Registry:
    """Return the toys and these; one particular column where it is given."""
    return toy_registry(
        ("backend", plugin("column", ColumnOptions, lambda c, _: column or Column(c.serial))),
        ("task", plugin("centre", CentreOptions, Centre)),
        ("task", plugin("look", LookOptions, Look)),
        ("agent", plugin("lost", NoOptions, lambda _, brief: Lost(brief))),
        ("agent", plugin("moody", NoOptions, lambda _, brief: Moody(brief))),
    )


def column_envelope(**changes: Any) -> Envelope:
    """Return an envelope that allows all that the column offers."""
    return evolve(open_envelope("column", Column().offers()), **changes)


def lines(folder: Path) -> list[str]:
    """Return the log of a workflow as ``step event then``."""
    from stempilot.workflow.log import read_log

    return shown(read_log(folder))


def shown(log: Any) -> list[str]:
    """Return lines of a log as ``step event then``."""
    return [
        " ".join(filter(None, (line.get("step"), line["event"], line.get("then")))) for line in log
    ]
