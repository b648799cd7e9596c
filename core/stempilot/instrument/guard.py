"""The guarded backend: every write passes the envelope, or nothing is sent."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from attrs import Factory, evolve, frozen

from stempilot.contract.backend import Backend
from stempilot.contract.names import CAMERA_LENGTH_INDEX
from stempilot.contract.values import (
    Frame,
    KnobSpec,
    KnobValue,
    SetPoint,
)
from stempilot.errors import (
    BackendError,
    BudgetSpentError,
    EnvelopeError,
    HandsOffError,
    RecordError,
)
from stempilot.instrument.asleep import Sleep
from stempilot.instrument.checks import (
    as_allowed,
    check_bounds,
    check_set_point,
    differs,
    nearest_allowed,
    ramp_steps,
    read_back,
)
from stempilot.instrument.envelope import PixelAngles
from stempilot.instrument.signals import in_haste, raise_held_back

_log = logging.getLogger(__name__)

Origin = Literal["agent", "task", "reset", "restore"]
"""Who asked for a write: agent, task, a ramp to the start of an episode, or putting back."""


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
    value: KnobValue
    before: KnobValue
    at_s: float
    origin: Origin = "agent"
    requested: KnobValue = Factory(lambda self: self.value, takes_self=True)
    read_back: KnobValue | None = None
    duration_s: float | None = None
    error: str | None = None


class Audit(Protocol):
    """Keeps the audit of all writes; see `stempilot.instrument.audit`."""

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
        standing: where the knobs stood at the start; whoever moved one since was another user.
        audit: told of each write.
        pixel_mrad: calibration of frames that have none.
        approaches: by knob, how far from home its last move home begins.
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
        standing: Mapping[str, KnobValue] | None = None,
        audit: Audit | None = None,
        pixel_mrad: PixelAngles | None = None,
        approaches: Mapping[str, KnobValue] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.backend = backend
        self.limits = dict(limits)
        self.writes: list[Write] = []
        self.clock = clock
        self.sleep = sleep
        self._sleep = Sleep()
        self._period_s = 0.0 if writes_per_s is None else 1.0 / writes_per_s
        self._budget = max_writes
        self._next_write_s = -math.inf
        self._audit = audit
        self._pixel_mrad = pixel_mrad or {}
        self._approaches = dict(approaches or {})
        # Where knobs were put back to, as long as nothing else has been written to them.
        self._home: dict[str, KnobValue] = {}
        self._untouched = set(standing or ())
        self._last: dict[str, KnobValue] = dict(standing or {})
        # Knobs of which a write failed: where they stand is unknown, but it was this run's doing.
        self._unsure: set[str] = set()

    @contextlib.contextmanager
    def within(self, limits: Mapping[str, KnobSpec], audit: Audit | None) -> Iterator[None]:
        """Let these limits hold inside the block, and no knob count as written at its beginning.

        What was written before is remembered: a knob that stands elsewhere was moved by a person.

        Args:
            limits: what may be written.
            audit: told of each write; who is told before where it is ``None``.
        """
        before, untouched = (self.limits, self._audit), self._untouched
        self.limits, self._audit = dict(limits), audit or self._audit
        self._untouched = untouched | limits.keys()
        try:
            yield
        finally:
            self.limits, self._audit = before
            self._untouched &= untouched

    def places(self) -> dict[str, KnobValue]:
        """Return where this session knows that the knobs stand, as far as it knows."""
        return {knob: value for knob, value in self._last.items() if knob not in self._unsure}

    def expect(self, places: Mapping[str, KnobValue]) -> None:
        """Forget where the knobs stood, and expect them there; whoever moved one was a person."""
        self._last, self._unsure, self._home = dict(places), set(), {}

    def remaining_writes(self) -> float:
        """Return how many writes the run budget still allows."""
        return math.inf if self._budget is None else self._budget

    def read(self, knob: str) -> KnobValue:
        """Return the read-back of any knob, with that of a writable one as `as_allowed` has it.

        Raises:
            HandsOffError: it is a knob that this session writes, and another user moved it.
            BackendError: the instrument failed.
        """
        if knob not in self.limits:
            return self.backend.read(knob)
        return as_allowed(self._standing(knob), self.limits[knob])

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

    def send(self, plan: Sequence[SetPoint], origin: Origin = "agent") -> None:
        """Check the whole plan, then send all of it, reading each knob back.

        Raises:
            EnvelopeError: the plan is refused; nothing was sent.
            HandsOffError: another user moved one of the knobs; nothing was sent.
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
            now = self._standing(point.knob) if self._wait() else stood
            self._write(point, point.value, now, origin)

    def ramp(self, plan: Sequence[SetPoint], origin: Origin = "reset") -> None:
        """Move to the set points in steps that the limits allow. Not charged to the run budget.

        Raises:
            EnvelopeError: a target is not allowed, or a knob stands outside its bounds.
            HandsOffError: another user moved one of the knobs.
            BackendError: the instrument failed or a knob does not read what was written.
            RecordError: a write could not be noted, and was not sent.
        """
        for point in plan:
            check_set_point(point, self.limits, point.value)
        for point in plan:
            self._walk(point, origin)

    def put_back(self, point: SetPoint) -> None:
        """Ramp a knob to its baseline and verify it by read-back, if this session wrote it.

        The one write whose step may be too large is the first of a knob that stands outside its
        bounds, however it came there: it goes to the nearest allowed value.

        Raises:
            HandsOffError: another user moved it: it is theirs, and stays.
            BackendError: the instrument failed or the knob does not read what it should.
        """
        knob, spec = point.knob, self.limits[point.knob]
        if knob in self._untouched:
            return
        # A baseline at the edge of the bounds may read as if it lay behind it.
        home = SetPoint(knob, nearest_allowed(point.value, spec))
        self._approach(home)
        self._walk(home, "restore")
        self._unsure.add(knob)
        self._require_at(knob, read_back(self.backend, knob, spec), home.value)
        self._unsure.discard(knob)
        self._last[knob] = self._home[knob] = home.value

    def _approach(self, home: SetPoint) -> None:
        """Go where the envelope wants the last move home to begin, if that is allowed.

        Nothing is lost where it is not: the way home is straight then, and a remark says so.
        """
        knob = home.knob
        if knob not in self._approaches or self._home.get(knob) == home.value or in_haste():
            return
        away = self._approaches[knob]
        place = SetPoint(knob, [a + b for a, b in zip(home.value, away, strict=True)])
        try:
            check_set_point(place, self.limits, home.value)
            self._walk(place, "restore", give_up=in_haste)
        except HandsOffError:
            raise
        except (EnvelopeError, BackendError) as error:
            _log.warning("%s goes straight home, not by its approach: %s", knob, error)

    def wrote(self, knob: str) -> bool:
        """Return whether this session sent anything to a knob, or may have to put it back."""
        return knob not in self._untouched

    def _walk(
        self, point: SetPoint, origin: Origin, give_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Go to a set point in allowed steps; before each, check that no one else moves it."""
        knob, spec, moved = point.knob, self.limits[point.knob], False
        self._wait()
        before = self._standing(knob)
        start = nearest_allowed(before, spec)
        if differs(before, start, spec):
            if origin != "restore":
                check_bounds(SetPoint(knob, before), spec.lower, spec.upper, spec.unit, "stands at")
            self._write(point, start, before, origin)
            moved = True
        for value in ramp_steps(start, point.value, spec.max_change):
            if give_up():
                return
            if self._wait() or moved:
                before = self._standing(knob)
            if value != before:
                self._write(point, value, before, origin)
                moved = True

    def _standing(self, knob: str) -> KnobValue:
        """Return the read-back of a knob, having made sure that no other user moved it."""
        if knob not in self.limits:
            return ()
        found = read_back(self.backend, knob, self.limits[knob])
        last = self._last.get(knob)
        ours = knob in self._unsure or last is None
        if not ours and differs(found, last or (), self.limits[knob]):
            unit = self.limits[knob].unit
            why = self._sleep.sentence() or "another user moved it"
            msg = (
                f"{knob} reads {found} {unit} but {last} was written: {why}. "
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

    def _write(self, point: SetPoint, value: KnobValue, before: KnobValue, origin: Origin) -> None:
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
        self.writes.append(write)
        self._next_write_s = started_s + self._period_s
        self._untouched.discard(knob)
        if origin != "restore":
            self._home.pop(knob, None)
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
            self.writes[-1] = write
            self._note("end", write, must=origin != "restore" and write.error is None)
        self._last[knob] = value
        self._unsure.discard(knob)

    def _require_at(self, knob: str, found: KnobValue, value: KnobValue) -> None:
        spec = self.limits[knob]
        if differs(found, value, spec):
            msg = (
                f"{knob} reads {found} {spec.unit} after {value} was written; either it is stuck, "
                f"or its read-back is coarser than the resolution of {spec.resolution} "
                f"{spec.unit}, which the envelope file may raise"
            )
            raise BackendError(msg)

    def _note(self, what: Literal["begin", "end"], write: Write, *, must: bool) -> None:
        if self._audit is None:
            return
        try:
            getattr(self._audit, what)(write)
        except RecordError:
            if must:
                raise
