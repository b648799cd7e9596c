"""Ramps keep the limits, early writes wait, a spent budget ends, every write is noted."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import example, given, strategies as st
from tests.core.fakes import (
    QUICK,
    START,
    Bench,
    fails,
    focus,
    guarded,
)

from stempilot.contract.values import SetPoint
from stempilot.errors import BackendError, BudgetSpentError, EnvelopeError, HandsOffError
from stempilot.instrument.checks import ramp_steps

NAN, INF = math.nan, math.inf


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


# --- ramps ---------------------------------------------------------------------------------------

POSITIONS = st.floats(-1e3, 1e3)


@QUICK
@given(
    st.lists(
        st.tuples(POSITIONS, POSITIONS, st.floats(10.0, 1e3) | st.just(INF)),
        min_size=1,
        max_size=3,
    )
)
@example([(0.0, 0.3, 0.1)])
@example([(0.0, 0.0, 10.0), (-1000.0, 1000.0, 10.0)])
def test_ramps_end_exactly_at_the_target_and_no_step_is_too_large(
    knob: Sequence[tuple[float, float, float]],
) -> None:
    start, target, max_change = zip(*knob, strict=True)
    steps = list(ramp_steps(start, target, max_change))
    assert steps[-1] == target
    for before, after in zip([start, *steps], steps, strict=False):
        for a, b, limit, low, high in zip(
            before, after, max_change, map(min, start, target), map(max, start, target), strict=True
        ):
            assert abs(b - a) <= limit * (1 + 1e-9)
            assert low - 1e-9 <= b <= high + 1e-9
    fewest = max(abs(b - a) / limit for a, b, limit in knob)
    assert len(steps) <= max(1, math.ceil(fewest))


def test_a_ramp_goes_in_steps_that_the_limits_allow() -> None:
    bench, guard = guarded()
    guard.ramp([focus(-4.0)])
    assert [value for _, (value,) in bench.written] == pytest.approx([1.25, -0.5, -2.25, -4.0])
    assert bench.standing["focus"] == (-4.0,)


def test_a_ramp_to_where_a_knob_stands_sends_nothing() -> None:
    bench, guard = guarded()
    guard.ramp([focus(3.0)])
    guard.put_back(focus(3.0))
    assert bench.written == []


def test_a_ramp_checks_all_targets_before_it_moves() -> None:
    bench, guard = guarded()
    with pytest.raises(EnvelopeError):
        guard.ramp([focus(4.0), SetPoint("shift", (0.0, 5.0))])
    assert bench.written == []


def test_putting_back_leaves_alone_what_somebody_else_moved() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.standing["focus"] = (9.0,)
    with pytest.raises(HandsOffError, match=r"reads \(9.0,\) m but \(4.0,\) was written"):
        guard.put_back(focus(3.0))
    assert bench.standing["focus"] == (9.0,)


def test_a_knob_of_which_nothing_is_known_is_put_back_from_wherever_it_stands() -> None:
    bench, guard = guarded()
    bench.standing["focus"] = (9.0,)
    guard.put_back(focus(3.0))
    assert [value for _, (value,) in bench.written] == [7.0, 5.0, 3.0]


def test_a_knob_that_was_never_written_is_not_put_back() -> None:
    bench, guard = guarded(standing=START)
    bench.standing["focus"] = (9.0,)
    bench.trouble = fails("read focus")
    guard.put_back(focus(3.0))
    assert bench.written == []


@pytest.mark.parametrize("way", ["ramp", "put_back"])
def test_whoever_takes_a_knob_in_the_middle_of_a_ramp_keeps_it(way: str) -> None:
    bench, guard = guarded()
    reads = []

    def take(what: str, knob: str) -> None:
        reads.append(what)
        # One read to see where it stands, a write, its read-back; the next read is too late.
        if len(reads) == 4:
            bench.standing[knob] = (8.0,)

    bench.trouble = take
    with pytest.raises(HandsOffError):
        guard.ramp([focus(-9.0)]) if way == "ramp" else guard.put_back(focus(-9.0))
    assert bench.standing["focus"] == (8.0,)
    assert len(bench.written) == 1


def off_target(bench: Bench) -> None:
    plain = bench.write
    bench.write = lambda knob, value: plain(knob, (value[0] + 0.02,))  # type: ignore[method-assign]


@pytest.mark.parametrize("way", ["send", "ramp"])
def test_a_write_is_verified_before_anything_is_made_of_it(way: str) -> None:
    bench, guard = guarded()
    off_target(bench)
    with pytest.raises(BackendError, match=r"reads \(4.02,\) m after \(4.0,\) .* may raise"):
        getattr(guard, way)([focus(4.0)])


def test_putting_back_is_verified_by_read_back() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    off_target(bench)
    with pytest.raises(BackendError, match=r"reads \(3.02,\) m after \(3.0,\) was written"):
        guard.put_back(focus(3.0))


def test_a_knob_whose_write_failed_is_still_ours() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.trouble = fails("write focus")
    with pytest.raises(BackendError):
        guard.send([focus(5.0)])
    bench.trouble = lambda what, knob: None
    bench.standing["focus"] = (4.6,)
    guard.put_back(focus(3.0))
    assert bench.standing["focus"] == (3.0,)


# --- rate and budget -----------------------------------------------------------------------------


def test_writes_that_come_too_soon_wait() -> None:
    clock = Clock()
    bench, guard = guarded(writes_per_s=4.0, clock=clock, sleep=clock.sleep)
    guard.send([focus(3.5), SetPoint("tilt", 0.01)])
    assert clock.slept == [0.25]
    clock.now += 0.1
    guard.send([focus(4.0)])
    assert clock.slept == pytest.approx([0.25, 0.15])
    clock.now += 10.0
    guard.send([focus(4.5)])
    assert len(clock.slept) == 2
    times = [write.at_s for write in guard.writes]
    assert min(b - a for a, b in zip(times, times[1:], strict=False)) >= 0.25 - 1e-9
    assert len(bench.written) == 4


def test_ramps_and_putting_back_keep_the_rate_too() -> None:
    clock = Clock()
    bench, guard = guarded(writes_per_s=10.0, clock=clock, sleep=clock.sleep)
    guard.ramp([focus(9.0)])
    guard.put_back(focus(3.0))
    assert len(bench.written) == 6
    assert sum(clock.slept) == pytest.approx(0.5)


def test_without_a_rate_nothing_waits() -> None:
    clock = Clock()
    _, guard = guarded(clock=clock, sleep=clock.sleep)
    guard.ramp([focus(9.0)])
    assert clock.slept == []


def test_a_plan_that_the_budget_does_not_allow_is_not_sent() -> None:
    bench, guard = guarded(max_writes=3)
    guard.send([focus(3.5), SetPoint("tilt", 0.01)])
    assert guard.remaining_writes() == 1
    with pytest.raises(BudgetSpentError, match="leaves 1 writes; the plan has 2"):
        guard.send([focus(4.0), SetPoint("tilt", 0.02)])
    assert len(bench.written) == 2
    guard.send([focus(4.0)])
    with pytest.raises(BudgetSpentError):
        guard.send([focus(4.5)])


def test_a_refused_plan_costs_nothing() -> None:
    _, guard = guarded(max_writes=1)
    with pytest.raises(EnvelopeError):
        guard.send([focus(99.0)])
    assert guard.remaining_writes() == 1


def test_ways_home_are_not_charged_and_not_refused() -> None:
    bench, guard = guarded(max_writes=1)
    guard.send([focus(4.0)])
    guard.ramp([focus(-4.0)])
    guard.put_back(focus(3.0))
    assert bench.standing["focus"] == (3.0,)
    assert guard.remaining_writes() == 0


def test_without_a_budget_there_is_no_end() -> None:
    assert guarded()[1].remaining_writes() == INF


# --- the audit -----------------------------------------------------------------------------------


def test_every_write_is_noted_even_one_that_fails() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.trouble = fails("write focus")
    with pytest.raises(BackendError):
        guard.send([focus(4.5)])
    assert [(w.knob, w.value, w.before) for w in guard.writes] == [
        ("focus", (4.0,), (3.0,)),
        ("focus", (4.5,), (4.0,)),
    ]
