"""After a sleep of this computer nobody else is blamed."""

import ctypes
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.core.fakes import KNOBS, START, Bench, bench_envelope, bench_task, focus

from stempilot.errors import BackendError, HandsOffError, RestoreError
from stempilot.instrument import asleep
from stempilot.instrument.asleep import LONG_S, Sleep, slept_s
from stempilot.instrument.guard import GuardedBackend
from stempilot.operation.session import open_session

SLEPT = "this computer slept for 312 s while it drove the instrument"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(asleep, "slept_s", lambda: now[0])
    return now


def test_a_computer_that_is_awake_did_not_sleep() -> None:
    sleep, began_s = Sleep(), slept_s()
    time.sleep(0.05)
    assert sleep.sentence() == ""
    assert abs(slept_s() - began_s) < 0.04


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no such clock here")
def test_the_clock_that_goes_on_in_sleep_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_BOOTTIME: 50.0, time.CLOCK_MONOTONIC: 20.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert slept_s() == 30.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a clock of its own")
def test_elsewhere_the_clock_on_the_wall_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr(time, "time", lambda: 50.0)
    monkeypatch.setattr(time, "monotonic", lambda: 20.0)
    assert slept_s() == 30.0


def test_the_clock_of_windows_that_stands_still_in_sleep_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Kernel:
        @staticmethod
        def QueryUnbiasedInterruptTime(told: Any) -> None:  # noqa: N802 - its name there
            told._obj.value = 200_000_000  # of 100 ns

    monkeypatch.setattr(asleep, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=Kernel), raising=False)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    assert slept_s() == 30.0


def test_a_knob_that_moved_meanwhile_was_not_moved_by_another_user(clock: list[float]) -> None:
    bench = Bench()
    guard = GuardedBackend(bench, KNOBS, standing=START)
    bench.standing["focus"] = (3.5,)
    with pytest.raises(HandsOffError, match="another user moved it"):
        guard.send([focus(4.0)])
    clock[0] += 312
    with pytest.raises(HandsOffError, match=SLEPT) as caught:
        guard.send([focus(4.0)])
    assert "another user" not in str(caught.value)


def test_the_clock_may_be_set_a_little(clock: list[float]) -> None:
    sleep = Sleep()
    clock[0] += 0.9 * LONG_S
    assert sleep.sentence() == ""


@pytest.mark.parametrize("kind", [BackendError, RestoreError])
def test_whatever_fails_after_it_begins_with_it(clock: list[float], kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        with open_session(Bench(), [bench_task()], name="bench", envelope=bench_envelope()):
            clock[0] += 312
            msg = "another client may be holding the server"
            raise kind(msg)
    assert str(caught.value).startswith(SLEPT)
    assert str(caught.value).endswith(f"What failed then: {msg}")


def test_what_fails_without_it_is_as_it_was(clock: list[float]) -> None:
    with pytest.raises(BackendError) as caught:
        with open_session(Bench(), [bench_task()], name="bench", envelope=bench_envelope()):
            raise BackendError("it broke")
    assert str(caught.value) == "it broke"
