"""Whatever a backend raises or reads, the knobs are back, or somebody is told."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.fakes import KNOBS, START, Bench, fails, focus

from stempilot.contract.values import KnobValue, Offers, SetPoint
from stempilot.errors import BackendError, EnvelopeError, HandsOffError, RestoreError
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.putting_back import put_back, savepoint

CLASSES = [SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit, ZeroDivisionError]
MOVES = [SetPoint("shift", (0.3, 0.1)), focus(4.5), SetPoint("tilt", 0.05)]


class RealBench(Bench):
    def offers(self) -> Offers:
        return Offers(knobs=self.knobs)


def guarded(bench: Bench | None = None, **options: Any) -> tuple[Bench, GuardedBackend]:
    bench = bench or Bench()
    return bench, GuardedBackend(bench, KNOBS, standing=START, **options)


def raising(
    error: type[BaseException], *what: str, times: int = 1000
) -> Callable[[str, str], None]:
    """Return trouble of any class, so many times."""
    left = [times]

    def trouble(kind: str, knob: str) -> None:
        if f"{kind} {knob}" in what and left[0]:
            left[0] -= 1
            raise error("x")

    return trouble


@pytest.mark.parametrize("what", ["write focus", "read focus"])
@pytest.mark.parametrize("error", CLASSES)
def test_what_the_backend_raises_while_putting_back_is_told_and_the_others_go_back(
    error: type[BaseException], what: str
) -> None:
    bench, guard = guarded()
    with pytest.raises(RestoreError) as caught, savepoint(guard, keep=False):
        guard.send(MOVES)
        bench.trouble = raising(error, what)
    assert bench.standing == {**START, "focus": (4.5,)}
    assert caught.value.left[0].startswith(f"focus should read (3.0,): {error.__name__}(")


@pytest.mark.parametrize("error", CLASSES)
@pytest.mark.parametrize("what", ["write focus", "read focus"])
def test_what_the_backend_raises_during_the_run_ends_at_home(
    error: type[BaseException], what: str
) -> None:
    bench, guard = guarded()
    with pytest.raises(error), savepoint(guard, keep=True):
        guard.send(MOVES)
        bench.trouble = raising(error, what, times=1)
        guard.send([focus(5.0)])
    assert bench.standing == START


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_what_passes_on_a_real_instrument_is_tried_again(error: type[BaseException]) -> None:
    bench, guard = guarded(RealBench())
    with savepoint(guard, keep=False):
        guard.send(MOVES)
        bench.trouble = raising(error, "write focus", times=1)
    assert bench.standing == START


@pytest.mark.parametrize("error", CLASSES)
def test_parking_may_raise_anything(error: type[BaseException]) -> None:
    class Bursting(Bench):
        def park(self) -> None:
            raise error

    bench, guard = guarded(Bursting())
    with pytest.raises(RestoreError, match="parking failed too") as caught:
        with savepoint(guard, keep=False, may_park=True):
            guard.send(MOVES)
            bench.trouble = fails("write focus")
    assert len(caught.value.left) == 2


# --- outside its bounds --------------------------------------------------------------------------


def flung(bench: Bench, knob: str, to: KnobValue) -> Callable[[str, str], None]:
    """Return trouble in which a write ends somewhere else."""

    def trouble(what: str, which: str) -> None:
        if (what, which) == ("write", knob):
            bench.trouble = lambda what, which: None
            bench.standing[knob] = to
            msg = f"{knob} was flung away"
            raise BackendError(msg)

    return trouble


@pytest.mark.parametrize("to", [10.4, 13.0, -50.0])
def test_a_knob_outside_its_bounds_comes_home_over_the_nearest_allowed_value(to: float) -> None:
    bench, guard = guarded()
    with pytest.raises(BackendError), savepoint(guard, keep=True):
        bench.trouble = flung(bench, "focus", (to,))
        guard.send([focus(4.0)])
    assert bench.standing == START
    (first,), *_ = (value for knob, value in bench.written if knob == "focus")
    assert first == (10.0 if to > 0 else -10.0)
    places = [value for _, (value,) in bench.written]
    assert all(-10.0 <= place <= 10.0 for place in places)
    steps = [abs(b - a) for a, b in zip(places, places[1:], strict=False)]
    assert max(steps) <= KNOBS["focus"].max_change[0] + 1e-9


def test_that_write_is_verified_before_another_follows() -> None:
    bench, guard = guarded()
    with pytest.raises(RestoreError, match="reads .* after .* was written"):
        with savepoint(guard, keep=True):
            bench.trouble = flung(bench, "focus", (13.0,))
            with pytest.raises(BackendError):
                guard.send([focus(4.0)])

            def stuck(what: str, knob: str) -> None:
                if what == "read":
                    bench.standing["focus"] = (13.0,)

            bench.trouble = stuck
            raise ZeroDivisionError
    assert bench.written == [("focus", (10.0,))]


def test_noise_at_the_edge_of_the_bounds_is_not_outside() -> None:
    bench, guard = guarded()
    guard.ramp([focus(10.0)])
    bench.standing["focus"] = (10.005,)
    put_back(guard, START, may_park=False)
    way = [value for _, (value,) in bench.written[4:]]
    assert way == pytest.approx([8.25, 6.5, 4.75, 3.0])


def test_no_other_way_begins_outside_the_bounds() -> None:
    bench, guard = guarded()
    bench.trouble = flung(bench, "focus", (13.0,))
    with pytest.raises(BackendError):
        guard.send([focus(4.0)])
    with pytest.raises(EnvelopeError, match=r"focus\[0\] stands at = 13 m outside \[-10, 10\]"):
        guard.ramp([focus(3.0)])
    assert bench.written == []


# --- one knob moves another ----------------------------------------------------------------------


class Coupled(Bench):
    """Writing the shift moves another knob too."""

    def __init__(self, other: str) -> None:
        super().__init__()
        self.other = other

    def write(self, knob: str, value: KnobValue) -> None:
        super().write(knob, value)
        if knob == "shift":
            self.standing[self.other] = (0.3,)


def test_a_knob_that_was_back_and_moved_with_another_one_is_told() -> None:
    bench, guard = guarded(Coupled("tilt"))
    guard.send([SetPoint("shift", (0.2, -0.2))])
    bench.standing["tilt"] = (0.0,)
    guard.send([SetPoint("tilt", 0.05)])
    with pytest.raises(HandsOffError, match=r"tilt reads \(0.3,\) rad but \(0.0,\) was written"):
        put_back(guard, START, may_park=False)


def test_a_knob_that_was_never_written_and_moved_with_another_one_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, guard = guarded(Coupled("tilt"))
    with caplog.at_level(logging.WARNING), savepoint(guard, keep=False):
        guard.send([SetPoint("shift", (0.2, -0.2))])
    assert "tilt reads (0.3,) and read (0.0,) at the start. This run never wrote it" in caplog.text
    assert bench.standing == {**START, "tilt": (0.3,)}


def test_after_a_pause_for_the_rate_a_knob_is_read_again() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        bench.standing["tilt"] = (0.2,)

    bench, guard = guarded(writes_per_s=1.0, clock=lambda: now[0], sleep=sleep)
    with pytest.raises(HandsOffError) as caught:
        guard.send([focus(4.0), SetPoint("tilt", 0.05)])
    assert caught.value.knob == "tilt"
    assert bench.written == [("focus", (4.0,))]


def test_a_baseline_that_reads_as_if_behind_the_edge_is_sent_inside() -> None:
    bench, guard = guarded()
    guard.ramp([focus(9.0)])
    put_back(guard, {"focus": (10.004,)}, may_park=False)
    assert bench.written[-1] == ("focus", (10.0,))
