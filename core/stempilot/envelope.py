"""The safety envelope: what may be written, how far, how often.

Limits are refused, never clipped: an agent must not learn a world that does not exist.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from stempilot.backend import Backend
from stempilot.errors import BackendError, BudgetSpentError, EnvelopeError, HandsOffError
from stempilot.model import Capabilities, KnobSpec, Needs, Reading, SetPoint, read_only


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
    """

    backend: str
    knobs: Mapping[str, KnobLimits] = field(converter=read_only)
    writes_per_s: float | None = None
    max_writes: int | None = None
    may_park: bool = False


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
    _check_bounds(SetPoint(knob, start), lower, upper, offer.unit, "stands at the start")
    if row.reach is not None:
        lower = [max(a, b - r) for a, b, r in zip(lower, start, row.reach, strict=True)]
        upper = [min(a, b + r) for a, b, r in zip(upper, start, row.reach, strict=True)]
    max_step = list(map(min, offer.max_step, row.spec.max_step))
    resolution = list(map(max, offer.resolution, row.spec.resolution))
    return evolve(offer, lower=lower, upper=upper, max_step=max_step, resolution=resolution)


def _check_bounds(
    point: SetPoint, lower: Sequence[float], upper: Sequence[float], unit: str, verb: str
) -> None:
    for index, (item, low, high) in enumerate(zip(point.value, lower, upper, strict=True)):
        if not low <= item <= high:
            where = f"{point.knob}[{index}] {verb} = {item:.6g} {unit}"
            msg = f"{where} outside [{low:.6g}, {high:.6g}]"
            raise EnvelopeError(msg, knob=point.knob)


def check_set_point(point: SetPoint, limits: Mapping[str, KnobSpec], standing: Reading) -> None:
    """Check one set point against the limits and the present read-back.

    Raises:
        EnvelopeError: knob not allowed, wrong size, not finite, out of bounds or too large a step.
    """
    knob = point.knob
    spec = limits.get(knob)
    if spec is None:
        msg = f"{knob} may not be written; allowed: {', '.join(limits) or 'nothing'}"
        raise EnvelopeError(msg, knob=knob)
    if len(point.value) != spec.size:
        msg = f"{knob} takes {spec.size} components, not {len(point.value)}"
        raise EnvelopeError(msg, knob=knob)
    if not all(map(math.isfinite, point.value)):
        msg = f"{knob} = {point.value} is not finite"
        raise EnvelopeError(msg, knob=knob)
    _check_bounds(point, spec.lower, spec.upper, spec.unit, "planned")
    for index, (target, now, limit, grain) in enumerate(
        zip(point.value, standing, spec.max_step, spec.resolution, strict=True)
    ):
        # Turned round so that a NaN among them refuses.
        if not abs(target - now) <= limit * (1 + 1e-9) + grain:
            msg = (
                f"{knob}[{index}] would step {target - now:+.6g} {spec.unit} from {now:.6g}, "
                f"more than {limit:.6g} {spec.unit} at once"
            )
            raise EnvelopeError(msg, knob=knob)


def differs(one: Reading, other: Reading, spec: KnobSpec) -> bool:
    """Return whether two readings of a knob differ by more than its resolution; NaN always does."""
    return any(
        not abs(a - b) <= grain + 1e-9 * max(abs(a), abs(b))
        for a, b, grain in zip(one, other, spec.resolution, strict=True)
    )


def read_back(backend: Backend, knob: str, spec: KnobSpec) -> Reading:
    """Return where a knob stands.

    Raises:
        BackendError: the instrument failed, or what it says cannot be the reading of this knob.
    """
    found = backend.read(knob)
    if len(found) != spec.size or not all(map(math.isfinite, found)):
        msg = f"{knob} reads {found}, not {spec.size} finite components in {spec.unit}"
        raise BackendError(msg)
    return found


def ramp_steps(start: Reading, target: Reading, max_step: Reading) -> Iterator[Reading]:
    """Yield the set points of a straight ramp: none farther than ``max_step``, ending at target."""
    distance = [b - a for a, b in zip(start, target, strict=True)]
    share = max(abs(d) / limit for d, limit in zip(distance, max_step, strict=True))
    count = max(1, math.ceil(share * (1 - 1e-12)))
    for index in range(1, count):
        yield tuple(a + d * index / count for a, d in zip(start, distance, strict=True))
    yield target


@frozen(kw_only=True)
class Write:
    """The audit of one write: what was sent, what the knob read before, when."""

    knob: str
    value: Reading
    before: Reading
    at_s: float


class GuardedBackend:
    """A backend behind its limits: all writes of a session go through here.

    Args:
        backend: the opened backend.
        limits: what may be written (`effective_limits`).
        writes_per_s: highest rate of writes; waits to keep it.
        max_writes: how many writes the run may make; ramps home are not refused.
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
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.backend = backend
        self.limits = dict(limits)
        self.audit: list[Write] = []
        self._period_s = 0.0 if writes_per_s is None else 1.0 / writes_per_s
        self._budget = max_writes
        self._clock = clock
        self._sleep = sleep
        self._next_write_s = -math.inf
        self._last: dict[str, Reading] = {}

    def remaining_writes(self) -> float:
        """Return how many writes the run budget still allows."""
        return math.inf if self._budget is None else self._budget

    def send(self, plan: Sequence[SetPoint]) -> None:
        """Check the whole plan, then send all of it.

        Raises:
            EnvelopeError: the plan is refused; nothing was sent.
            HandsOffError: somebody else moved one of the knobs; nothing was sent.
            BudgetSpentError: the run budget does not allow the plan; nothing was sent.
            BackendError: the instrument failed.
        """
        standing = {point.knob: self._standing(point.knob) for point in plan}
        before = []
        for point in plan:
            check_set_point(point, self.limits, standing[point.knob])
            before.append(standing[point.knob])
            standing[point.knob] = point.value
        if self._budget is not None:
            if len(plan) > self._budget:
                msg = f"the run budget leaves {self._budget} writes; the plan has {len(plan)}"
                raise BudgetSpentError(msg)
            self._budget -= len(plan)
        for point, stood in zip(plan, before, strict=True):
            self._write(point.knob, point.value, stood)

    def ramp(self, plan: Sequence[SetPoint]) -> None:
        """Move to the set points in steps that the limits allow. Not charged to the run budget.

        Raises:
            EnvelopeError: a target is not allowed; nothing was sent.
            HandsOffError: somebody else moved one of the knobs.
            BackendError: the instrument failed.
        """
        for point in plan:
            check_set_point(point, self.limits, point.value)
        for point in plan:
            self._ramp_one(point)

    def _ramp_one(self, point: SetPoint) -> None:
        start = self._standing(point.knob)
        for value in ramp_steps(start, point.value, self.limits[point.knob].max_step):
            if value != start:
                self._write(point.knob, value, start)

    def put_back(self, point: SetPoint) -> None:
        """Ramp a knob to its baseline, whoever moved it, and verify it by read-back.

        Raises:
            BackendError: the instrument failed or the knob does not read what it should.
        """
        spec = self.limits[point.knob]
        start = read_back(self.backend, point.knob, spec)
        for value in ramp_steps(start, point.value, spec.max_step):
            if value != start:
                self._write(point.knob, value, start)
        found = read_back(self.backend, point.knob, spec)
        if differs(found, point.value, spec):
            msg = f"{point.knob} reads {found} {spec.unit} after {point.value} was written"
            raise BackendError(msg)

    def _standing(self, knob: str) -> Reading:
        """Return the read-back of a knob, having made sure that nobody else moved it."""
        if knob not in self.limits:
            return ()
        found = read_back(self.backend, knob, self.limits[knob])
        last = self._last.get(knob)
        if last is not None and differs(found, last, self.limits[knob]):
            unit = self.limits[knob].unit
            msg = (
                f"{knob} reads {found} {unit} but {last} was written: somebody else moved it. "
                "Stopping; start again when the instrument is free"
            )
            raise HandsOffError(msg, knob=knob)
        return found

    def _write(self, knob: str, value: Reading, before: Reading) -> None:
        now = self._clock()
        if now < self._next_write_s:
            self._sleep(self._next_write_s - now)
            now = self._clock()
        self._next_write_s = now + self._period_s
        # Noted before it is sent: a write that fails half way is still ours to put back.
        self.audit.append(Write(knob=knob, value=value, before=before, at_s=now))
        self.backend.write(knob, value)
        self._last[knob] = value
