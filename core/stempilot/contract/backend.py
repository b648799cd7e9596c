"""The contract of a microscope: the only thing with side effects.

A backend is a blocking object with absolute, idempotent writes. The framework alone holds it,
calls it from one thread, and guards every write (`stempilot.instrument.guard.GuardedBackend`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from numpy.random import SeedSequence

from stempilot.contract.values import Frame, KnobValue, Offers, SetPoint, as_knob_value
from stempilot.errors import BackendError

Purpose = Literal["train", "evaluate", "run", "restore"]


@frozen(kw_only=True)
class Opening:
    """What a backend's factory is told beside its configuration.

    Attributes:
        purpose: what the session is for. ``run`` works from where the instrument stands;
            ``restore`` only puts knobs back, so nothing that a frame needs may be required.
        seed: the run's seed.
        instrument_seed: seed that stands for "this instrument" wherever a backend draws one: the
            run's own, or that of the run in which the agent in use was trained.
        trained_here: the agent in use was trained on the instrument of `instrument_seed`.
    """

    purpose: Purpose = "run"
    seed: int = 0
    instrument_seed: int = 0
    trained_here: bool = False


class Backend(ABC):
    """A microscope, real or simulated.

    Life cycle: construction is cheap and touches nothing; `open` connects and reads; then any
    number of `read`, `state`, `write` and `acquire` from one thread; then `close`.
    """

    @abstractmethod
    def open(self) -> None:
        """Connect and read what is needed. MUST NOT write to the instrument.

        Called once, before anything else but `offers`.

        Raises:
            BackendError: the instrument cannot be reached or is in a state that the operator
                must change first; all that is wrong is listed at once.
        """

    @abstractmethod
    def close(self) -> None:
        """Disconnect. Called once at the end, also after errors; harmless when repeated."""

    @abstractmethod
    def offers(self) -> Offers:
        """Return what the instrument offers. May be called before `open`; never changes."""

    @abstractmethod
    def identity(self) -> Mapping[str, str]:
        """Return what tells this instrument from others: model, serial number, versions.

        Read at open and at each reset. Where a value changes between resets it is another
        instrument (a simulator that drew a new one), and agents forget what they learnt of it.
        """

    @abstractmethod
    def state(self, name: str) -> str:
        """Return the present value of the state ``name``.

        Raises:
            BackendError: no such state, or the instrument did not answer.
        """

    @abstractmethod
    def read(self, knob: str) -> KnobValue:
        """Return the read-back of ``knob``, in the unit of its `KnobSpec`.

        Raises:
            BackendError: no such knob, or the instrument did not answer.
        """

    @abstractmethod
    def write(self, knob: str, value: KnobValue) -> None:
        """Move ``knob`` to ``value`` and return once it has settled.

        Called between two acquisitions, never concurrently. ``value`` is absolute, in the unit
        of the knob's `KnobSpec`, and already inside the envelope. Repeating the call must be
        harmless.

        Raises:
            BackendError: the instrument refused, timed out or vanished.
        """

    @abstractmethod
    def acquire(self, source: str) -> Frame:
        """Return a frame exposed entirely after the last write, never a stale buffer.

        Blocks for the exposure.

        Raises:
            BackendError: no such source, or the instrument did not answer.
        """

    def number(self, name: str) -> float:
        """Return the present value of the number ``name``, in the unit of its `NumberSpec`.

        Raises:
            BackendError: no such number, or the instrument did not answer.
        """
        known = ", ".join(self.offers().numbers) or "none"
        msg = f"no number {name!r}; known: {known}"
        raise BackendError(msg)

    def __enter__(self) -> Self:
        """Open and return the backend; what opened half way is closed."""
        with ExitStack() as opening:
            opening.callback(self.close)
            self.open()
            opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the backend."""
        self.close()


@runtime_checkable
class Reseedable(Protocol):
    """A backend whose randomness is an argument (simulators)."""

    def reseed(self, seed: SeedSequence, *, timestep: int = 0) -> None:
        """Forget ALL hidden state (backlash, drift, noise) and draw it again from ``seed``.

        Called at each reset after the knobs are home, with
        ``SeedSequence(seed, spawn_key=(episode, attempt))``, so that an episode depends on
        nothing before it.

        Args:
            seed: where all randomness of the episode comes from.
            timestep: timesteps of this run before the episode, for an instrument that changes
                during a run.
        """


@runtime_checkable
class Twinnable(Protocol):
    """A backend that can be copied (simulators)."""

    def twin(self) -> Backend:
        """Return an independent, opened copy of the same instrument as it is now.

        Agents are evaluated on it while training goes on undisturbed. It does not change by
        itself during later timesteps.
        """


@runtime_checkable
class Truthful(Protocol):
    """A backend that knows what an instrument could not tell (simulators)."""

    def truth(self) -> Mapping[str, KnobValue]:
        """Return the truth of the last exposure.

        Recorded and scored against; never given to a task's measurement or to an agent.
        """


Rows = npt.NDArray[np.intp]
"""(m,) which instruments of a batch, none of them twice."""


class InstrumentBatch(Protocol):
    """n instruments that move and measure together, without frames (`MeasuresDirectly`)."""

    @property
    def count(self) -> int:
        """How many they are, n."""

    def reseed(self, seed: SeedSequence) -> None:
        """Draw all that comes from ``seed``. Called first; then all are put in place."""

    def fresh(self, count: int) -> Self:
        """Return others, drawn and standing as after `Reseedable.reseed`, with knobs at home.

        What they draw comes from this batch's seed too, but changes nothing that instruments in
        place will draw while they move and measure.
        """

    def put(self, rows: Rows, fresh: Self, which: Rows) -> None:
        """Replace some instruments by as many of ``fresh``, as these stand now.

        Args:
            rows: (m,) which are replaced.
            fresh: what `fresh` returned.
            which: (m,) which of ``fresh`` take their places, in this order.
        """

    def read(self, knob: str) -> npt.NDArray[np.float64]:
        """Return the read-backs of a knob, (n, components)."""

    def write(self, knob: str, values: npt.NDArray[np.float64]) -> None:
        """Move a knob of all instruments, (n, components); an equal value moves nothing."""

    def measure(self) -> Mapping[str, npt.NDArray[Any]]:
        """Expose, and return what the backend's `MeasuresDirectly.measurements` promise.

        New arrays, by name, (n, ...). What the knobs read is among them, by the knob's name.
        """

    def truth(self) -> Mapping[str, npt.NDArray[np.float64]]:
        """Return what `Truthful.truth` gives, (n, numbers) by name."""


@runtime_checkable
class MeasuresDirectly(Protocol):
    """A simulator that knows what would be measured on its frames, without drawing them."""

    def measurements(self) -> frozenset[str]:
        """Return the names of what `InstrumentBatch.measure` gives, beside knobs."""

    def batch(self, count: int, home: Mapping[str, KnobValue]) -> InstrumentBatch:
        """Return instruments as the episodes of this backend meet them, as it is now.

        Whether they differ from each other is for the backend's options to say. They go on when
        the backend is closed, and nothing that they do changes it.

        Args:
            count: how many.
            home: where the knobs stand after a reset; knobs that are missing stay as they are.

        Raises:
            IncompatibleError: an option has no counterpart without frames.
        """


@runtime_checkable
class StartsEpisodes(Protocol):
    """A backend that knows where each episode begins: one that plays a recorded run.

    Nothing but what was recorded may be written to it. It is neither reseeded nor scrambled.
    """

    def start_of(self, episode: int) -> tuple[SetPoint, ...]:
        """Leave the episode before; return where the knobs stood when ``episode`` began.

        The caller then moves there, and looks.

        Raises:
            BackendError: there is no such episode.
        """


@runtime_checkable
class Lockable(Protocol):
    """A backend of which one computer may reach several instruments."""

    def lock_name(self) -> str:
        """Return what tells the instrument from the others that this backend can reach.

        Two runs whose names are equal never drive at the same time (`stempilot.instrument.lock`).
        Called before `Backend.open`, so it comes from the configuration: usually host and port, as
        `stempilot.network_address` writes them, so that ``localhost`` and ``127.1`` are not two
        instruments.
        """


@runtime_checkable
class Parkable(Protocol):
    """A backend with a safest state that is always within reach."""

    def park(self) -> None:
        """Go to the safest reachable state, for example blank the beam.

        Called once, when putting the instrument back has failed and the envelope allows it.

        Raises:
            BackendError: that failed too.
        """


def _as_entry(value: Sequence[float] | float | bool) -> KnobValue | float | bool:
    return as_knob_value(value) if isinstance(value, Sequence) else value


@frozen
class Suggested:
    """One value of a suggested envelope.

    Attributes:
        value: the value, in the unit of the entry.
        because: where it comes from, in a sentence or two.
        measure: what to measure at the instrument to replace it. Given exactly for guesses.
    """

    value: KnobValue | float | bool = field(converter=_as_entry)
    because: str
    measure: str = ""


@frozen(kw_only=True)
class EnvelopeSuggestion:
    """What a careful site might allow on an instrument that is not measured yet.

    Attributes:
        knobs: by knob and entry of its row (``lower``, ``upper``, ``max_change``, ``resolution``,
            ``reach``); entries that are missing come from the `KnobSpec`. Knobs that are missing
            are left out of the file and so never moved.
        writes_per_s: highest rate of writes.
        max_writes: run budget.
        may_park: whether the backend may be parked when a knob could not be put back.
        notes: what to know before all, one paragraph each.
    """

    knobs: Mapping[str, Mapping[str, Suggested]]
    writes_per_s: Suggested | None = None
    max_writes: Suggested | None = None
    may_park: Suggested | None = None
    notes: tuple[str, ...] = ()


@runtime_checkable
class SuggestsEnvelope(Protocol):
    """A backend that knows more of its instrument than its `KnobSpec` says."""

    def suggest_envelope(self) -> EnvelopeSuggestion:
        """Return what ``stempilot envelope init`` writes. Called before `Backend.open`."""
