"""The envelope refuses, never clips, and nothing is sent of a plan that it refuses."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.fakes import FOCUS, KNOBS, QUICK, SHIFT, START, TILT, Bench, bench_envelope, fails

from stempilot.envelope import (
    Envelope,
    GuardedBackend,
    KnobLimits,
    check_set_point,
    differs,
    effective_limits,
    open_envelope,
    ramp_steps,
    read_back,
)
from stempilot.errors import (
    BackendError,
    BudgetSpentError,
    EnvelopeError,
    HandsOffError,
)
from stempilot.model import Capabilities, KnobNeed, KnobSpec, Needs, Reading, SetPoint

NAN, INF = math.nan, math.inf
OFFERS = Capabilities(knobs=KNOBS)
NEEDS = Needs(
    knobs={
        "shift": KnobNeed(unit="m", size=2, largest_step=(0.2, 0.2)),
        "focus": KnobNeed(unit="m", size=1, largest_step=(1.0,)),
    }
)


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


def guarded(**options: Any) -> tuple[Bench, GuardedBackend]:
    bench = Bench()
    return bench, GuardedBackend(bench, KNOBS, **options)


def focus(value: float) -> SetPoint:
    return SetPoint("focus", value)


# --- what is let through -------------------------------------------------------------------------


def watch(bench: Bench) -> Callable[[], list[tuple[str, Reading, Reading]]]:
    """Note each write with where its knob stood, on the instrument's own side."""
    seen: list[tuple[str, Reading, Reading]] = []
    plain = bench.write

    def write(knob: str, value: Reading) -> None:
        seen.append((knob, bench.standing.get(knob, ()), value))
        plain(knob, value)

    bench.write = write  # type: ignore[method-assign]
    return lambda: seen


def assert_allowed(knob: str, before: Reading, value: Reading) -> None:
    """Say the limits in another way than the envelope does."""
    spec = KNOBS[knob]
    assert len(value) == spec.size
    for index, item in enumerate(value):
        assert math.isfinite(item)
        assert spec.lower[index] <= item <= spec.upper[index]
        allowed = spec.max_step[index] + spec.resolution[index]
        assert abs(item - before[index]) <= allowed * (1 + 1e-8)


ODD = st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, -2.0, 10.0, 0.5])
NUMBERS = st.floats(-1.2, 1.2) | st.floats(-12, 12) | ODD
POINTS = st.builds(
    SetPoint,
    st.sampled_from(["shift", "shift", "focus", "focus", "tilt", "stage"]),
    st.lists(NUMBERS, min_size=1, max_size=3) | st.tuples(NUMBERS, NUMBERS),
)
PLANS = st.lists(st.lists(POINTS, max_size=3), min_size=1, max_size=6)


@QUICK
@given(PLANS)
@example([[SetPoint("focus", 5.0), SetPoint("focus", 1.0)]])
@example([[SetPoint("focus", 4.0), SetPoint("shift", (NAN, 0.0))]])
def test_no_value_that_breaks_a_limit_is_ever_sent(plans: Sequence[Sequence[SetPoint]]) -> None:
    bench, guard = guarded()
    seen = watch(bench)
    for plan in plans:
        count = len(seen())
        try:
            guard.send(plan)
        except EnvelopeError:
            assert len(seen()) == count, "something of a refused plan was sent"
        else:
            assert [(k, v) for k, _, v in seen()[count:]] == [(p.knob, p.value) for p in plan]
    for knob, before, value in seen():
        assert_allowed(knob, before, value)


@QUICK
@given(PLANS)
def test_a_ramp_breaks_no_limit_either(plans: Sequence[Sequence[SetPoint]]) -> None:
    bench, guard = guarded()
    seen = watch(bench)
    for plan in plans:
        count = len(seen())
        try:
            guard.ramp(plan)
        except EnvelopeError:
            assert len(seen()) == count
        else:
            for point in {p.knob: p for p in plan}.values():
                assert bench.standing[point.knob] == point.value
    for knob, before, value in seen():
        assert_allowed(knob, before, value)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (SetPoint("stage", 1.0), "stage may not be written; allowed: shift, focus, tilt"),
        (SetPoint("focus", (1.0, 2.0)), "focus takes 1 components, not 2"),
        (SetPoint("shift", 0.1), "shift takes 2 components, not 1"),
        (SetPoint("shift", (0.1, NAN)), "is not finite"),
        (SetPoint("shift", (INF, 0.1)), "is not finite"),
        (SetPoint("shift", (0.1, 2.1)), "shift[1] planned = 2.1 m outside [-2, 2]"),
        (SetPoint("shift", (-1.01, 0.0)), "shift[0] planned = -1.01 m outside [-1, 1]"),
        (SetPoint("shift", (0.1, 0.4)), "shift[1] would step +0.6 m from -0.2, more than 0.5 m"),
        (SetPoint("focus", 0.9), "focus[0] would step -2.1 m from 3, more than 2 m at once"),
    ],
)
def test_what_is_wrong_with_a_set_point_is_said(point: SetPoint, said: str) -> None:
    bench, guard = guarded()
    with pytest.raises(EnvelopeError) as caught:
        guard.send([SetPoint("tilt", 0.05), point])
    assert said in str(caught.value)
    assert caught.value.knob == point.knob
    assert bench.written == []


def test_bounds_and_steps_may_be_used_up_entirely() -> None:
    bench, guard = guarded()
    for value in (5.0, 7.0, 9.0, 10.0):
        guard.send([focus(value)])
    assert bench.standing["focus"] == (10.0,)


def test_a_step_is_measured_from_the_set_point_before_in_the_same_plan() -> None:
    bench, guard = guarded()
    guard.send([focus(4.9), focus(6.8)])
    assert bench.written == [("focus", (4.9,)), ("focus", (6.8,))]
    with pytest.raises(EnvelopeError, match="would step"):
        guard.send([focus(8.0), focus(5.0)])
    assert len(bench.written) == 2


def test_a_step_is_measured_from_the_read_back() -> None:
    bench, guard = guarded()
    bench.standing["focus"] = (-3.0,)
    with pytest.raises(EnvelopeError, match="from -3,"):
        guard.send([focus(3.0)])
    guard.send([focus(-4.5)])
    assert bench.standing["focus"] == (-4.5,)


def test_a_step_from_nowhere_is_refused() -> None:
    with pytest.raises(EnvelopeError, match="would step"):
        check_set_point(focus(3.0), KNOBS, (NAN,))


@pytest.mark.parametrize("found", [(NAN,), (INF,), (), (1.0, 2.0)])
def test_a_read_back_that_is_none_stops_everything(found: Reading) -> None:
    bench, guard = guarded()
    bench.standing["focus"] = found
    for move in (guard.send, guard.ramp):
        with pytest.raises(BackendError, match="not 1 finite components in m"):
            move([focus(3.0)])
    with pytest.raises(BackendError, match="not 1 finite components in m"):
        guard.put_back(focus(3.0))
    with pytest.raises(BackendError, match="not 1 finite components in m"):
        read_back(bench, "focus", FOCUS)
    assert bench.written == []


def test_no_nan_reaches_a_knob_of_which_one_component_cannot_be_read() -> None:
    bench, guard = guarded()
    bench.standing["shift"] = (0.9, NAN)
    with pytest.raises(BackendError):
        guard.put_back(SetPoint("shift", (0.1, -0.2)))
    assert bench.written == []


# --- hands off -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["send", "ramp"])
def test_a_knob_moved_by_somebody_else_stops_the_run(way: str) -> None:
    bench, guard = guarded()
    guard.send([focus(4.0), SetPoint("tilt", 0.05)])
    bench.standing["focus"] = (4.02,)
    plan = [SetPoint("tilt", 0.06), focus(4.5)] if way == "send" else [focus(4.5)]
    with pytest.raises(HandsOffError, match="somebody else moved it") as caught:
        getattr(guard, way)(plan)
    assert "focus reads (4.02,) m but (4.0,) was written" in str(caught.value)
    assert len(bench.written) == 2


def test_hands_off_goes_before_the_limits() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.standing["focus"] = (-4.0,)
    with pytest.raises(HandsOffError):
        guard.send([focus(4.5)])


def test_what_lies_within_the_resolution_was_moved_by_nobody() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.standing["focus"] = (4.0099,)
    guard.send([focus(4.5)])
    assert bench.standing["focus"] == (4.5,)


def test_other_knobs_may_be_moved_by_anybody() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.standing["shift"] = (0.5, 0.5)
    guard.send([focus(4.5)])
    assert bench.standing["shift"] == (0.5, 0.5)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1.0,), (1.0,), False),
        ((1.0,), (1.0099,), False),
        ((1.0,), (1.0101,), True),
        ((1.0,), (0.9899,), True),
        ((NAN,), (1.0,), True),
        ((1.0,), (NAN,), True),
    ],
)
def test_readings_differ_by_more_than_the_resolution(
    one: Reading, other: Reading, expected: bool
) -> None:
    assert differs(one, other, FOCUS) is expected


def test_any_component_may_differ() -> None:
    assert differs((0.0, 0.0), (0.0, 0.0011), SHIFT)
    assert not differs((0.0, 0.0), (0.0009, 0.0009), SHIFT)


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
    start, target, max_step = zip(*knob, strict=True)
    steps = list(ramp_steps(start, target, max_step))
    assert steps[-1] == target
    for before, after in zip([start, *steps], steps, strict=False):
        for a, b, limit, low, high in zip(
            before, after, max_step, map(min, start, target), map(max, start, target), strict=True
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


def test_putting_back_moves_what_somebody_else_moved_and_verifies_it() -> None:
    bench, guard = guarded()
    guard.send([focus(4.0)])
    bench.standing["focus"] = (9.0,)
    guard.put_back(focus(3.0))
    assert bench.standing["focus"] == (3.0,)
    assert max(abs(b - a) for a, b in zip([9.0], [bench.written[1][1][0]], strict=True)) <= 2.0


def test_putting_back_is_verified_by_read_back() -> None:
    bench, guard = guarded()
    stuck = bench.write
    bench.write = lambda knob, value: stuck(knob, (value[0] + 0.02,))  # type: ignore[method-assign]
    guard.send([focus(4.0)])
    with pytest.raises(BackendError, match=r"reads \(3.02,\) m after \(3.0,\) was written"):
        guard.put_back(focus(3.0))


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
    times = [write.at_s for write in guard.audit]
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
    assert [(w.knob, w.value, w.before) for w in guard.audit] == [
        ("focus", (4.0,), (3.0,)),
        ("focus", (4.5,), (4.0,)),
    ]


# --- effective limits ----------------------------------------------------------------------------


def limits(
    needs: Needs = NEEDS, start: dict[str, Reading] | None = None, **rows: KnobLimits
) -> dict[str, KnobSpec]:
    envelope = bench_envelope()
    envelope = evolve(envelope, knobs={**envelope.knobs, **rows})
    return effective_limits(envelope, OFFERS, needs, START if start is None else start)


def test_only_the_knobs_of_the_task_may_be_written() -> None:
    assert list(limits()) == ["shift", "focus"]


def test_the_narrower_of_offer_and_envelope_holds_either_way() -> None:
    wide = evolve(FOCUS, lower=-99, upper=5.0, max_step=50.0, resolution=0.001)
    found = limits(focus=KnobLimits(spec=wide))["focus"]
    assert (found.lower, found.upper) == ((-10.0,), (5.0,))
    assert (found.max_step, found.resolution) == ((2.0,), (0.01,))
    narrow = evolve(FOCUS, lower=2.5, upper=99, max_step=1.5, resolution=0.2)
    found = limits(focus=KnobLimits(spec=narrow))["focus"]
    assert (found.lower, found.upper) == ((2.5,), (10.0,))
    assert (found.max_step, found.resolution) == ((1.5,), (0.2,))


def test_the_reach_is_measured_from_the_start() -> None:
    found = limits(shift=KnobLimits(spec=SHIFT, reach=(0.3, 5.0)))["shift"]
    assert found.lower == pytest.approx((-0.2, -2.0))
    assert found.upper == pytest.approx((0.4, 2.0))


def test_an_open_envelope_allows_what_is_offered() -> None:
    envelope = open_envelope("bench", OFFERS)
    assert effective_limits(envelope, OFFERS, NEEDS, START) == {"shift": SHIFT, "focus": FOCUS}
    assert not envelope.may_park


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (KnobLimits(spec=evolve(FOCUS, lower=3.5)), "focus[0] stands at the start = 3 m outside"),
        (KnobLimits(spec=evolve(FOCUS, upper=2.5)), "focus[0] stands at the start = 3 m outside"),
        (KnobLimits(spec=evolve(FOCUS, unit="rad")), "the envelope says 1 x rad, the backend"),
        (KnobLimits(spec=SHIFT), "the envelope says 2 x m, the backend takes 1 x m"),
        (KnobLimits(spec=evolve(FOCUS, max_step=0.9)), "a full action moves 1 m, the envelope"),
    ],
)
def test_envelopes_that_do_not_fit_are_refused(row: KnobLimits, said: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        limits(focus=row)
    assert said in str(caught.value)
    assert caught.value.knob == "focus"
    assert caught.value.exit_code == 4


def test_a_knob_that_is_not_listed_must_not_be_moved() -> None:
    envelope = Envelope(backend="bench", knobs={"tilt": KnobLimits(spec=TILT)})
    with pytest.raises(EnvelopeError, match=r"does not list shift \(it lists tilt\)"):
        effective_limits(envelope, OFFERS, NEEDS, START)
    nothing = Envelope(backend="bench", knobs={})
    with pytest.raises(EnvelopeError, match=r"it lists nothing"):
        effective_limits(nothing, OFFERS, NEEDS, START)


@pytest.mark.parametrize("start", [(NAN,), (INF,), (10.5,)])
def test_a_start_outside_is_refused(start: Reading) -> None:
    with pytest.raises(EnvelopeError, match="stands at the start"):
        limits(start={**START, "focus": start})
