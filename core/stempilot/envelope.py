"""The safety envelope: what may be written, how far, how often.

Limits are refused, never clipped: an agent must not learn a world that does not exist.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from attrs import Factory, evolve, field, frozen

from stempilot.backend import Backend
from stempilot.errors import (
    BackendError,
    BudgetSpentError,
    EnvelopeError,
    HandsOffError,
    RecordError,
)
from stempilot.limits import (
    check_bounds,
    check_set_point,
    differs,
    ramp_steps,
    read_back,
    require_fine_resolution,
)
from stempilot.model import Capabilities, Frame, KnobSpec, Needs, Reading, SetPoint, read_only
from stempilot.signals import raise_held_back
from stempilot.vocabulary import CAMERA_LENGTH_INDEX

PixelAngles = Mapping[str, Mapping[int, float]]
"""Angle of a pixel in mrad by source and camera length index."""

Origin = Literal["agent", "reset", "restore"]
"""Who asked for a write: the agent, a ramp to the start of an episode, or putting back."""


def _read_only_tables(tables: PixelAngles) -> PixelAngles:
    return read_only({source: read_only(table) for source, table in tables.items()})


@frozen(kw_only=True)
class KnobLimits:
    """A row of an envelope file.

    Attributes:
        spec: unit, bounds, largest step and resolution.
        reach: largest distance of each component from the baseline; ``None`` for no such limit.
    """

    spec: KnobSpec
    reach: Reading | None = None


@frozen(kw_only=True)
class Envelope:
    """What a site allows on one instrument (see `stempilot.envelope_file`).

    Attributes:
        backend: name of the backend it was written for.
        knobs: limits by knob; a knob that is not listed may not be written.
        writes_per_s: highest rate of writes; a write that comes sooner waits.
        max_writes: run budget; when it is spent the run ends cleanly.
        may_park: whether the backend may go to its safest state when putting back failed.
        pixel_mrad: angle of a pixel by source and camera length index, for frames whose backend
            does not know it.
    """

    backend: str
    knobs: Mapping[str, KnobLimits] = field(converter=read_only)
    writes_per_s: float | None = None
    max_writes: int | None = None
    may_park: bool = False
    pixel_mrad: PixelAngles = field(converter=_read_only_tables, factory=dict)


def open_envelope(backend: str, offers: Capabilities) -> Envelope:
    """Return the envelope that allows all that a backend offers; for simulators."""
    knobs = {name: KnobLimits(spec=spec) for name, spec in offers.knobs.items()}
    return Envelope(backend=backend, knobs=knobs)


def effective_limits(
    envelope: Envelope, offers: Capabilities, needs: Needs, baseline: Mapping[str, Reading]
) -> dict[str, KnobSpec]:
    """Return what may be written: offers and envelope together, for the task's knobs only.

    Raises:
        EnvelopeError: a needed knob is not listed, in another unit, or stands outside its limits
            at the start, or a full action exceeds the largest step.
    """
    limits = {}
    for knob, need in needs.knobs.items():
        offer = offers.knobs[knob]
        row = envelope.knobs.get(knob)
        if row is None:
            listed = ", ".join(envelope.knobs) or "nothing"
            msg = f"the envelope does not list {knob} (it lists {listed}), so it must not be moved"
            raise EnvelopeError(msg, knob=knob)
        if (row.spec.unit, row.spec.size) != (offer.unit, offer.size):
            msg = (
                f"{knob}: the envelope says {row.spec.size} x {row.spec.unit}, "
                f"the backend takes {offer.size} x {offer.unit}; correct the envelope file"
            )
            raise EnvelopeError(msg, knob=knob)
        limits[knob] = _intersect(offer, row, baseline[knob], knob)
        for index, step in enumerate(need.largest_step):
            allowed = limits[knob].max_step[index]
            if step > allowed * (1 + 1e-9):
                msg = (
                    f"{knob}[{index}]: a full action moves {step:.4g} {offer.unit}, the envelope "
                    f"allows {allowed:.4g} {offer.unit} a step; lower the task's step size"
                )
                raise EnvelopeError(msg, knob=knob)
    return limits


def _intersect(offer: KnobSpec, row: KnobLimits, start: Reading, knob: str) -> KnobSpec:
    lower = list(map(max, offer.lower, row.spec.lower))
    upper = list(map(min, offer.upper, row.spec.upper))
    check_bounds(SetPoint(knob, start), lower, upper, offer.unit, "stands at the start")
    if row.reach is not None:
        lower = [max(a, b - r) for a, b, r in zip(lower, start, row.reach, strict=True)]
        upper = [min(a, b + r) for a, b, r in zip(upper, start, row.reach, strict=True)]
    max_step = list(map(min, offer.max_step, row.spec.max_step))
    resolution = list(map(max, offer.resolution, row.spec.resolution))
    limits = evolve(offer, lower=lower, upper=upper, max_step=max_step, resolution=resolution)
    require_fine_resolution(knob, limits)
    return limits


@frozen(kw_only=True)
class Write:
    """The audit of one write.

    Attributes:
        knob: what was moved.
        value: what was sent.
        before: the read-back just before.
        at_s: the guard's clock when it was sent.
        origin: who asked for it.
        requested: the set point that it leads to; that of a ramp lies behind its last write.
        read_back: the read-back just after; ``None`` where there was none.
        duration_s: how long the write took; ``None`` before it has ended.
        error: why it failed.
    """

    knob: str
    value: Reading
    before: Reading
    at_s: float
    origin: Origin = "agent"
    requested: Reading = Factory(lambda self: self.value, takes_self=True)
    read_back: Reading | None = None
    duration_s: float | None = None
    error: str | None = None


class Journal(Protocol):
    """Keeps the audit of all writes; see `stempilot.audit`."""

    def begin(self, write: Write) -> None:
        """Note a write that is about to be sent."""

    def end(self, write: Write) -> None:
        """Note how the last write ended."""


class GuardedBackend:
    """A backend behind its limits: all writes of a session go through here.

    Args:
        backend: the opened backend.
        limits: what may be written (`effective_limits`).
        writes_per_s: highest rate of writes; waits to keep it.
        max_writes: how many writes the run may make; ramps home are not refused.
        standing: where the knobs stood at the start; who moved one since was somebody else.
        journal: told of each write.
        pixel_mrad: calibration of frames that have none.
        clock: seconds since any fixed moment.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        backend: Backend,
        limits: Mapping[str, KnobSpec],
        *,
        writes_per_s: float | None = None,
        max_writes: int | None = None,
        standing: Mapping[str, Reading] | None = None,
        journal: Journal | None = None,
        pixel_mrad: PixelAngles | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.backend = backend
        self.limits = dict(limits)
        self.audit: list[Write] = []
        self.clock = clock
        self.sleep = sleep
        self._period_s = 0.0 if writes_per_s is None else 1.0 / writes_per_s
        self._budget = max_writes
        self._next_write_s = -math.inf
        self._journal = journal
        self._pixel_mrad = pixel_mrad or {}
        self._untouched = set(standing or ())
        self._last: dict[str, Reading] = dict(standing or {})
        # Knobs of which a write failed: nobody knows where they stand, but it was this run's doing.
        self._unsure: set[str] = set()

    def remaining_writes(self) -> float:
        """Return how many writes the run budget still allows."""
        return math.inf if self._budget is None else self._budget

    def read(self, knob: str) -> Reading:
        """Return the read-back of any knob.

        Raises:
            HandsOffError: it is a knob that this session writes, and somebody else moved it.
            BackendError: the instrument failed.
        """
        return self._standing(knob) if knob in self.limits else self.backend.read(knob)

    def acquire(self, source: str) -> Frame:
        """Return a frame, calibrated by the envelope where the backend did not do it.

        Raises:
            BackendError: the instrument failed.
        """
        frame = self.backend.acquire(source)
        table = self._pixel_mrad.get(source)
        if not table or frame.pixel_rad is not None:
            return frame
        index = round(self.backend.read(CAMERA_LENGTH_INDEX)[0])
        return evolve(frame, pixel_rad=1e-3 * table[index]) if index in table else frame

    def send(self, plan: Sequence[SetPoint]) -> None:
        """Check the whole plan, then send all of it, reading each knob back.

        Raises:
            EnvelopeError: the plan is refused; nothing was sent.
            HandsOffError: somebody else moved one of the knobs; nothing was sent.
            BudgetSpentError: the run budget does not allow the plan; nothing was sent.
            BackendError: the instrument failed or a knob does not read what was written.
            RecordError: a write could not be noted, and was not sent.
        """
        if plan:
            self._wait()
        standing = {point.knob: self._standing(point.knob) for point in plan}
        before = []
        for point in plan:
            check_set_point(point, self.limits, standing[point.knob])
            before.append(standing[point.knob])
            standing[point.knob] = point.value
        if self._budget is not None:
            if len(plan) > self._budget:
                msg = (
                    f"the run budget leaves {self._budget} writes; the plan has {len(plan)}; "
                    "raise max_writes in the envelope file"
                )
                raise BudgetSpentError(msg)
            self._budget -= len(plan)
        for point, stood in zip(plan, before, strict=True):
            self._wait()
            self._write(point, point.value, stood, "agent")

    def ramp(self, plan: Sequence[SetPoint]) -> None:
        """Move to the set points in steps that the limits allow. Not charged to the run budget.

        Raises:
            EnvelopeError: a target is not allowed; nothing was sent.
            HandsOffError: somebody else moved one of the knobs.
            BackendError: the instrument failed or a knob does not read what was written.
            RecordError: a write could not be noted, and was not sent.
        """
        for point in plan:
            check_set_point(point, self.limits, point.value)
        for point in plan:
            self._walk(point, "reset")

    def put_back(self, point: SetPoint) -> None:
        """Ramp a knob to its baseline and verify it by read-back, if this session wrote it.

        Raises:
            HandsOffError: somebody else moved it: it is theirs, and stays.
            BackendError: the instrument failed or the knob does not read what it should.
        """
        knob = point.knob
        if knob in self._untouched:
            return
        self._walk(point, "restore")
        self._unsure.add(knob)
        self._require_at(knob, read_back(self.backend, knob, self.limits[knob]), point.value)
        self._unsure.discard(knob)
        self._last[knob] = point.value

    def _walk(self, point: SetPoint, origin: Origin) -> None:
        """Go to a set point in allowed steps; before each, make sure that nobody else moves it."""
        knob, moved = point.knob, False
        before = self._standing(knob)
        for value in ramp_steps(before, point.value, self.limits[knob].max_step):
            if self._wait() or moved:
                before = self._standing(knob)
            if value != before:
                self._write(point, value, before, origin)
                moved = True

    def _standing(self, knob: str) -> Reading:
        """Return the read-back of a knob, having made sure that nobody else moved it."""
        if knob not in self.limits:
            return ()
        found = read_back(self.backend, knob, self.limits[knob])
        last = self._last.get(knob)
        ours = knob in self._unsure or last is None
        if not ours and differs(found, last or (), self.limits[knob]):
            unit = self.limits[knob].unit
            msg = (
                f"{knob} reads {found} {unit} but {last} was written: somebody else moved it. "
                "Stopping; start again when the instrument is free"
            )
            raise HandsOffError(msg, knob=knob)
        return found

    def _wait(self) -> bool:
        """Keep the rate of writes; return whether that took time."""
        early_s = self._next_write_s - self.clock()
        if early_s > 0:
            self.sleep(early_s)
        return early_s > 0

    def _write(self, point: SetPoint, value: Reading, before: Reading, origin: Origin) -> None:
        if origin != "restore":
            raise_held_back()
        knob = point.knob
        started_s = self.clock()
        write = Write(
            knob=knob,
            value=value,
            before=before,
            at_s=started_s,
            origin=origin,
            requested=point.value,
        )
        # What cannot be noted is not sent, unless it is on the way back.
        self._note("begin", write, must=origin != "restore")
        self.audit.append(write)
        self._next_write_s = started_s + self._period_s
        self._untouched.discard(knob)
        # Until it is verified: a write that fails half way is still ours to put back.
        known = knob not in self._unsure
        self._unsure.add(knob)
        ended_s, found, failure = None, None, None
        try:
            self.backend.write(knob, value)
            ended_s = self.clock()
            found = read_back(self.backend, knob, self.limits[knob])
            self._require_at(knob, found, value)
        except BaseException as error:
            failure = repr(error)
            if known and isinstance(error, HandsOffError):
                # The backend saw it first and sent nothing: it is theirs.
                self._unsure.discard(knob)
            raise
        finally:
            took_s = (self.clock() if ended_s is None else ended_s) - started_s
            write = evolve(write, read_back=found, duration_s=took_s, error=failure)
            self.audit[-1] = write
            self._note("end", write, must=origin != "restore" and write.error is None)
        self._last[knob] = value
        self._unsure.discard(knob)

    def _require_at(self, knob: str, found: Reading, value: Reading) -> None:
        spec = self.limits[knob]
        if differs(found, value, spec):
            msg = (
                f"{knob} reads {found} {spec.unit} after {value} was written; either it is stuck, "
                f"or its read-back is coarser than the resolution of {spec.resolution} "
                f"{spec.unit}, which the envelope file may raise"
            )
            raise BackendError(msg)

    def _note(self, what: Literal["begin", "end"], write: Write, *, must: bool) -> None:
        if self._journal is None:
            return
        try:
            getattr(self._journal, what)(write)
        except RecordError:
            if must:
                raise
