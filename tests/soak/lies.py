"""Runs sessions on a backend that lies: is a knob ever displaced in silence, or sent too far?

    python -m tests.soak.lies --cases 20000 --seed 1

Each case draws knobs with limits, what a run does with them, how it ends, and how the backend lies:
noise above the resolution, drift, quantisation, NaN, wrong lengths, exceptions of any class at the
n-th call, before or after it took effect, writes that end elsewhere, and side effects on other
knobs.

Whatever happens, no write lies outside bounds and reach, none steps farther than allowed from what
was read before, none comes too soon; but for the one write to the nearest allowed value of a knob
that was found outside (docs/safety.md). A knob that is not where it began is told of.
"""

import argparse
import contextlib
import logging
import math
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field

from stempilot.contract.backend import Backend
from stempilot.contract.values import Frame, KnobNeed, KnobSpec, KnobValue, Needs, Offers, SetPoint
from stempilot.errors import (
    BackendError,
    BudgetSpentError,
    EnvelopeError,
    HandsOffError,
    RecordError,
    RestoreError,
)
from stempilot.instrument import putting_back
from stempilot.instrument.envelope import Envelope, KnobLimits, effective_limits
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.putting_back import savepoint

CLASSES: Sequence[type[BaseException]] = (
    *(BackendError, EnvelopeError, BudgetSpentError, RecordError, OSError, ZeroDivisionError),
    *(MemoryError, StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit, AssertionError),
)


@define
class Lies:
    """How a backend lies; numbers are in resolutions of the knob."""

    noise: float = 0.0
    drift: float = 0.0
    grid: float = 0.0
    simulated: bool = True
    at_call: dict[int, str] = field(factory=dict)
    """What happens at which call."""


EVENTS = ("nan", "length", "raise before", "raise after", "raise always", "fling", "side effect")


class Liar(Backend):
    """Knobs that do not always do or say what they should, on a clock of their own."""

    def __init__(self, knobs: Mapping[str, KnobSpec], lies: Lies, chance: random.Random) -> None:
        self.knobs, self.lies, self.chance = knobs, lies, chance
        self.true = {
            knob: tuple(map(chance.uniform, spec.lower, spec.upper)) for knob, spec in knobs.items()
        }
        self.told: dict[str, KnobValue] = {}
        self.sent: list[tuple[str, KnobValue, KnobValue, float]] = []
        self.now_s = 0.0
        self.calls = 0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def offers(self) -> Offers:
        return Offers(knobs=dict(self.knobs), simulated=self.lies.simulated)

    def identity(self) -> Mapping[str, str]:
        return {"model": "liar"}

    def state(self, name: str) -> str:
        raise BackendError(name)

    def acquire(self, source: str) -> Frame:
        raise BackendError(source)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def clock(self) -> float:
        return self.now_s

    def read(self, knob: str) -> KnobValue:
        event = self._call(knob)
        spec, draw = self.knobs[knob], self.chance.uniform
        found = [
            place + draw(-1, 1) * self.lies.noise * grain
            for place, grain in zip(self.true[knob], spec.resolution, strict=True)
        ]
        if self.lies.grid:
            found = [
                round(item / (self.lies.grid * grain)) * self.lies.grid * grain
                for item, grain in zip(found, spec.resolution, strict=True)
            ]
        if event == "nan":
            found[0] = self.chance.choice([math.nan, math.inf])
        if event == "length":
            found = [*found, 0.0] if self.chance.random() < 0.5 else found[1:]
        self._raise_after(event, knob)
        self.told[knob] = tuple(found)
        return tuple(found)

    def write(self, knob: str, value: KnobValue) -> None:
        self.sent.append((knob, tuple(value), self.told.get(knob, ()), self.now_s))
        event = self._call(knob)
        self.true[knob] = tuple(value)
        if event == "fling":
            self._fling(knob)
        if event == "side effect":
            self._fling(self.chance.choice(list(self.knobs)))
        self._raise_after(event, knob)

    def _fling(self, knob: str) -> None:
        """Bring a knob anywhere, also outside its bounds."""
        spec = self.knobs[knob]
        self.true[knob] = tuple(
            self.chance.uniform(low - (high - low), high + (high - low))
            for low, high in zip(spec.lower, spec.upper, strict=True)
        )

    def _call(self, knob: str) -> str:
        self.calls += 1
        self.now_s += self.chance.uniform(0.0, 0.02)
        for name, spec in self.knobs.items():
            self.true[name] = tuple(
                place + self.lies.drift * grain
                for place, grain in zip(self.true[name], spec.resolution, strict=True)
            )
        event = self.lies.at_call.get(self.calls, "")
        if "raise always" in self.lies.at_call.values() and not event:
            first = min(n for n, what in self.lies.at_call.items() if what == "raise always")
            event = "raise before" if self.calls > first else ""
        if event in {"raise before", "raise always"}:
            self._raise(knob)
        return event

    def _raise_after(self, event: str, knob: str) -> None:
        if event == "raise after":
            self._raise(knob)

    def _raise(self, knob: str) -> None:
        if self.chance.random() < 0.1:
            which = self.chance.choice([knob, self.chance.choice(list(self.knobs))])
            msg = f"{which} was moved by another user"
            raise HandsOffError(msg, knob=which)
        raise self.chance.choice(CLASSES)("x")


def drawn_knobs(chance: random.Random) -> dict[str, KnobSpec]:
    """Return one to three knobs of one or two components."""
    knobs = {}
    for name in ("shift", "focus", "tilt")[: chance.randint(1, 3)]:
        size = chance.randint(1, 2)
        centre = [chance.uniform(-5, 5) for _ in range(size)]
        half = [10 ** chance.uniform(-2, 1) for _ in range(size)]
        step = [h * chance.uniform(0.05, 1.5) for h in half]
        knobs[name] = KnobSpec(
            unit="m",
            lower=[c - h for c, h in zip(centre, half, strict=True)],
            upper=[c + h for c, h in zip(centre, half, strict=True)],
            max_change=step,
            resolution=[s * 10 ** chance.uniform(-4, -1) for s in step],
        )
    return knobs


def drawn_lies(chance: random.Random) -> Lies:
    """Return lies, of which there may be none."""
    lies = Lies(simulated=chance.random() < 0.5)
    if chance.random() < 0.3:
        lies.noise = chance.choice([0.1, 0.4, 0.9, 3.0])
    if chance.random() < 0.2:
        lies.drift = chance.choice([1e-4, 1e-2, 0.3])
    if chance.random() < 0.2:
        lies.grid = chance.choice([0.1, 1.0, 5.0])
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        lies.at_call[chance.randint(1, 60)] = chance.choice(EVENTS)
    return lies


class Remarks(logging.Handler):
    """What was said beside."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


@contextlib.contextmanager
def listening() -> Iterator[Remarks]:
    """Take what is said beside."""
    remarks, logger = Remarks(), logging.getLogger("stempilot")
    logger.addHandler(remarks)
    propagates, logger.propagate = logger.propagate, False
    try:
        yield remarks
    finally:
        logger.removeHandler(remarks)
        logger.propagate = propagates


def guarded(
    liar: Liar, chance: random.Random
) -> tuple[GuardedBackend, dict[str, KnobValue], float]:
    """Return the guard of a session, where its knobs stood, and the shortest time of two writes."""
    knobs = liar.knobs
    rows = {
        knob: KnobLimits(
            spec=spec,
            reach=tuple(
                chance.uniform(0.1, 2) * (u - c)
                for u, c in zip(spec.upper, spec.lower, strict=True)
            )
            if chance.random() < 0.5
            else None,
        )
        for knob, spec in knobs.items()
    }
    rate = chance.choice([None, None, 25.0, 2.0])
    standing = {knob: tuple(liar.true[knob]) for knob in knobs}
    needs = Needs(
        knobs={
            knob: KnobNeed(unit="m", size=spec.size, largest_step=(0.0,) * spec.size)
            for knob, spec in knobs.items()
        }
    )
    limits = effective_limits(Envelope(backend="liar", knobs=rows), liar.offers(), needs, standing)
    guard = GuardedBackend(
        liar,
        limits,
        writes_per_s=rate,
        standing=standing,
        approaches={
            knob: tuple(chance.uniform(-1.3, 1.3) * step for step in spec.max_change)
            for knob, spec in knobs.items()
            if chance.random() < 0.3
        },
        clock=liar.clock,
        sleep=liar.sleep,
    )
    return guard, standing, 0.0 if rate is None else 1 / rate


def act(guard: GuardedBackend, chance: random.Random) -> None:
    """Do what a run might do; that a plan is refused does not end it."""
    limits = guard.limits
    for _ in range(chance.randint(1, 8)):
        what = chance.choice(["send", "send", "send", "ramp", "read"])
        if what == "read":
            guard.read(chance.choice(list(limits)))
            continue
        plan = []
        for knob in chance.sample(list(limits), chance.randint(1, len(limits))):
            spec = limits[knob]
            now = guard.writes[-1].value if guard.writes and guard.writes[-1].knob == knob else None
            near = now or tuple(map(chance.uniform, spec.lower, spec.upper))
            step = chance.choice([0.5, 1.0, 1.2])
            plan.append(
                SetPoint(
                    knob,
                    tuple(
                        item + chance.uniform(-step, step) * largest
                        for item, largest in zip(near, spec.max_change, strict=True)
                    ),
                )
            )
        with contextlib.suppress(EnvelopeError, BudgetSpentError):
            getattr(guard, what)(plan)


def play(seed: int) -> tuple[list[str], str]:
    """Play a case; return what is wrong, and how it ended."""
    chance = random.Random(seed)  # noqa: S311 - cases, not secrets
    liar = Liar(drawn_knobs(chance), drawn_lies(chance), chance)
    guard, start, period_s = guarded(liar, chance)
    end = chance.choice([None, None, KeyboardInterrupt, SystemExit, MemoryError, BackendError])
    raised: BaseException | None = None
    with listening() as remarks:
        try:
            with savepoint(guard, keep=False, may_park=False):
                act(guard, chance)
                if end is not None:
                    raise end("the end")
        except BaseException as error:
            raised = error
    wrong = [*forbidden(liar, guard, period_s), *silent(liar, start, raised, remarks.text)]
    return wrong, type(raised).__name__


def forbidden(liar: Liar, guard: GuardedBackend, period_s: float) -> Iterator[str]:
    """Yield the writes that must not have been sent."""
    before_s = -math.inf
    for (knob, value, told, at_s), write in zip(liar.sent, guard.writes, strict=True):
        spec = guard.limits[knob]
        if not all(
            low <= item <= high
            for item, low, high in zip(value, spec.lower, spec.upper, strict=True)
        ):
            yield f"{knob}: {value} outside {spec.lower} to {spec.upper}"
        if at_s - before_s < period_s - 1e-9:
            yield f"{knob}: {at_s - before_s} s after the write before"
        before_s = at_s
        too_far = [
            abs(item - was) > largest * (1 + 1e-9) + 2 * grain + 1e-12
            for item, was, largest, grain in zip(
                value, told, spec.max_change, spec.resolution, strict=True
            )
        ]
        nearest = tuple(
            min(max(was, low), high)
            for was, low, high in zip(told, spec.lower, spec.upper, strict=True)
        )
        by_rule = write.origin == "restore" and nearest != told and value == nearest
        if any(too_far) and not by_rule:
            yield f"{knob}: from {told} to {value}, more than {spec.max_change}"


def silent(
    liar: Liar, start: Mapping[str, KnobValue], raised: BaseException | None, remarks: str
) -> Iterator[str]:
    """Yield the knobs that do not stand where they began without anybody being told."""
    said = remarks
    if isinstance(raised, RestoreError | HandsOffError):
        said += str(raised)
    written = {knob for knob, *_ in liar.sent}
    for knob, spec in liar.knobs.items():
        slack = 1.0 + liar.lies.noise + liar.lies.grid + liar.lies.drift * 40
        at_home = all(
            abs(item - was) <= slack * grain + 1e-9 * max(abs(item), abs(was))
            for item, was, grain in zip(liar.true[knob], start[knob], spec.resolution, strict=True)
        )
        if at_home or knob in said or not written:
            continue
        yield f"{knob} stands at {liar.true[knob]} and began at {start[knob]}; {raised!r}"


def check(cases: int, seed: int) -> tuple[list[str], Counter[str]]:
    """Play so many cases; return what is wrong, and how often each end came."""
    wrong: list[str] = []
    ends: Counter[str] = Counter()
    pauses, putting_back.PAUSES_S = putting_back.PAUSES_S, (0.2, 0.5)
    try:
        for number in range(seed, seed + cases):
            found, end = play(number)
            ends[end] += 1
            wrong += [f"case {number}: {each}" for each in found]
    finally:
        putting_back.PAUSES_S = pauses
    return wrong, ends


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="Run sessions on a backend that lies.")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    wrong, ends = check(given.cases, given.seed)
    lines = [
        *wrong[:50],
        f"seed {given.seed}: {given.cases} cases, {len(wrong)} wrong; {dict(ends)}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
