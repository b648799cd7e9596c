"""A real instrument that falters is put back all the same, within a deadline; persons go first."""

import contextlib
import logging
import signal
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.fakes import KNOBS, START, Bench, fails, focus

from stempilot.contract.values import Offers, SetPoint
from stempilot.errors import BackendError, HandsOffError, RestoreError
from stempilot.instrument import putting_back as module
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.putting_back import put_back, savepoint
from stempilot.instrument.signals import interrupts_once

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)


class Clock:
    """Time that passes only while somebody sleeps, or while a call hangs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class RealBench(Bench):
    def offers(self) -> Offers:
        return Offers(knobs=self.knobs)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", PAUSES_S)


def moved(bench: Bench | None = None, **options: Any) -> tuple[Bench, GuardedBackend, Clock]:
    """Return a bench whose focus and tilt a session has moved."""
    bench, clock = bench or RealBench(), Clock()
    guard = GuardedBackend(bench, KNOBS, standing=START, clock=clock, sleep=clock.sleep, **options)
    guard.send([focus(4.5), SetPoint("tilt", 0.05)])
    return bench, guard, clock


def until(clock: Clock, end_s: float, *what: str) -> Callable[[str, str], None]:
    """Return trouble that passes."""
    return lambda kind, knob: fails(*what)(kind, knob) if clock.now < end_s else None


@pytest.mark.parametrize("what", ["write focus", "read focus"])
@pytest.mark.parametrize("outage_s", [0.1, 3.0, 7.0])
def test_an_outage_that_passes_leaves_nothing_displaced(what: str, outage_s: float) -> None:
    bench, guard, clock = moved()
    bench.trouble = until(clock, outage_s, what)
    put_back(guard, START, may_park=True)
    assert bench.standing == START
    assert outage_s <= clock.now <= 2 * outage_s + 0.2


def test_trying_again_is_said(caplog: pytest.LogCaptureFixture) -> None:
    bench, guard, clock = moved()
    bench.trouble = until(clock, 0.3, "write focus")
    with caplog.at_level(logging.WARNING, logger="stempilot"):
        put_back(guard, START, may_park=False)
    assert "focus is not back yet (write focus timed out); trying again, 1 of 5" in caplog.text


def test_an_outage_that_stays_is_told_and_the_others_are_back() -> None:
    bench, guard, clock = moved()
    bench.trouble = fails("write focus")
    with pytest.raises(RestoreError) as caught:
        put_back(guard, START, may_park=False)
    assert clock.slept == list(PAUSES_S)
    assert bench.standing == {**START, "focus": (4.5,)}
    assert [line.split()[0] for line in caught.value.left[:-1]] == ["focus"]


def test_nothing_is_tried_again_after_the_deadline() -> None:
    bench, guard, clock = moved()
    attempts: list[str] = []

    def hang(what: str, knob: str) -> None:
        if what == "read":
            attempts.append(knob)
            clock.now += 12.0
            msg = "no answer within 12 s"
            raise BackendError(msg)

    bench.trouble = hang
    with pytest.raises(RestoreError):
        put_back(guard, START, may_park=False)
    assert attempts == ["tilt", "tilt", "tilt", "focus"], "each at least once"
    assert clock.now <= module.DEADLINE_S + 2 * 12.0


def test_a_bug_is_not_tried_again() -> None:
    bench, guard, clock = moved()

    def bug(what: str, knob: str) -> None:
        if (what, knob) == ("write", "focus"):
            raise ZeroDivisionError

    bench.trouble = bug
    with pytest.raises(RestoreError, match="ZeroDivisionError"):
        put_back(guard, START, may_park=False)
    assert clock.slept == []


def test_a_simulator_is_not_waited_for() -> None:
    bench, guard, clock = moved(Bench())
    bench.trouble = fails("write focus")
    with pytest.raises(RestoreError):
        put_back(guard, START, may_park=False)
    assert clock.slept == []


def test_a_knob_that_takes_a_write_late_is_written_again() -> None:
    bench, guard, clock = moved()
    plain = bench.write

    def lazy(knob: str, value: Any) -> None:
        if clock.now > 0.5 or knob != "focus":
            plain(knob, value)

    bench.write = lazy  # type: ignore[method-assign]
    put_back(guard, START, may_park=False)
    assert bench.standing == START


def test_the_rate_of_writes_holds_on_the_way_back() -> None:
    bench, guard, clock = moved(writes_per_s=4.0)
    guard.ramp([focus(9.0)])
    started_s, count = clock.now, len(bench.written)
    put_back(guard, START, may_park=False)
    steps = len(bench.written) - count
    assert steps == 4
    assert clock.now - started_s == pytest.approx(0.25 * steps)


# --- hands off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("end", [None, KeyboardInterrupt, BackendError, ZeroDivisionError])
def test_a_knob_that_somebody_took_after_our_last_write_stays_theirs(
    end: type[BaseException] | None, keep: bool
) -> None:
    if end is None and keep:
        return
    bench, guard, _ = moved()
    bench.standing = dict(START)
    guard = GuardedBackend(bench, KNOBS, standing=START)
    with pytest.raises(HandsOffError) as caught, savepoint(guard, keep=keep):
        guard.send([focus(4.5), SetPoint("tilt", 0.05)])
        bench.standing["tilt"] = (0.2,)
        if end is not None:
            raise end
    assert caught.value.knob == "tilt"
    assert caught.value.exit_code == 4
    assert "It was left so; all other knobs were put back" in str(caught.value)
    assert bench.standing == {**START, "tilt": (0.2,)}
    assert (caught.value.__context__ is not None) is (end is not None)


def test_theirs_is_told_where_another_knob_is_not_back() -> None:
    bench, guard, _ = moved(Bench())
    bench.standing["tilt"] = (0.2,)
    bench.trouble = fails("write focus")
    with pytest.raises(RestoreError) as caught:
        put_back(guard, START, may_park=False)
    lines = caught.value.left
    assert lines[0].startswith("focus should read (3.0,)")
    assert lines[1].startswith("tilt reads (0.2,) rad but (0.05,) was written: another user")


def test_a_knob_that_the_run_never_wrote_is_nobodys_business() -> None:
    bench, guard, _ = moved()
    bench.standing["shift"] = (0.5, 0.5)
    bench.trouble = fails("read shift", "write shift")
    put_back(guard, START, may_park=False)
    assert bench.standing == {**START, "shift": (0.5, 0.5)}


def test_hands_off_begins_with_the_session() -> None:
    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, standing=START)
    bench.standing["focus"] = (3.5,)
    with pytest.raises(HandsOffError):
        guard.send([focus(4.0)])
    with pytest.raises(HandsOffError):
        guard.read("focus")
    assert bench.written == []


def test_a_reading_that_is_seen_beside_the_frame_shows_who_moved_the_knob() -> None:
    bench, guard, _ = moved()
    assert guard.read("focus") == (4.5,)
    bench.standing["focus"] = (4.0,)
    with pytest.raises(HandsOffError, match="another user moved it"):
        guard.read("focus")


def test_a_backend_that_sees_it_first_leaves_it_to_them_too() -> None:
    bench, guard, _ = moved()

    def take(what: str, knob: str) -> None:
        if (what, knob) == ("write", "focus"):
            bench.standing["focus"] = (6.0,)
            msg = "another user moved it"
            raise HandsOffError(msg, knob=knob)

    bench.trouble = take
    with pytest.raises(HandsOffError):
        guard.send([focus(5.0)])
    bench.trouble = lambda what, knob: None
    with pytest.raises(HandsOffError):
        put_back(guard, START, may_park=False)
    assert bench.standing == {**START, "focus": (6.0,)}


# --- what had ended the run ----------------------------------------------------------------------


def test_what_had_ended_the_run_is_told_where_putting_back_fails() -> None:
    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, standing=START)
    with pytest.raises(RestoreError, match="run had ended with BackendError.'the camera vanished'"):
        with savepoint(guard, keep=True):
            guard.send([focus(4.0)])
            bench.trouble = fails("write focus")
            msg = "the camera vanished"
            raise BackendError(msg)


def test_a_run_that_swallows_ctrl_c_is_stopped_by_the_next_at_its_next_write() -> None:
    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, standing=START)
    with pytest.raises(KeyboardInterrupt), interrupts_once(), savepoint(guard, keep=True):
        guard.send([focus(4.0)])
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        guard.send([focus(4.5)])
    assert ("focus", (4.5,)) not in bench.written
    assert bench.standing == START


def test_ctrl_c_just_before_putting_back_begins_does_not_prevent_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, standing=START)
    deferred = module.signals_deferred
    early = iter([signal.SIGINT])

    def interrupted_first() -> Any:
        for number in early:
            signal.raise_signal(number)
        return deferred()

    monkeypatch.setattr(module, "signals_deferred", interrupted_first)
    with pytest.raises(KeyboardInterrupt), savepoint(guard, keep=False):
        guard.send([focus(4.0)])
    assert bench.standing == START
