"""The envelope refuses, never clips, and nothing is sent of a plan that it refuses."""

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, strategies as st
from tests.core.fakes import (
    FOCUS,
    KNOBS,
    QUICK,
    SHIFT,
    Bench,
    focus,
    guarded,
)

from stempilot.contract.values import KnobValue, SetPoint
from stempilot.errors import BackendError, EnvelopeError, HandsOffError
from stempilot.instrument.checks import as_allowed, check_set_point, differs, read_back

NAN, INF = math.nan, math.inf


# --- what is let through -------------------------------------------------------------------------


def watch(bench: Bench) -> Callable[[], list[tuple[str, KnobValue, KnobValue]]]:
    """Note each write with where its knob stood, on the instrument's own side."""
    seen: list[tuple[str, KnobValue, KnobValue]] = []
    plain = bench.write

    def write(knob: str, value: KnobValue) -> None:
        seen.append((knob, bench.standing.get(knob, ()), value))
        plain(knob, value)

    bench.write = write  # type: ignore[method-assign]
    return lambda: seen


def assert_allowed(knob: str, before: KnobValue, value: KnobValue) -> None:
    """Say the limits in another way than the envelope does."""
    spec = KNOBS[knob]
    assert len(value) == spec.size
    for index, item in enumerate(value):
        assert math.isfinite(item)
        assert spec.lower[index] <= item <= spec.upper[index]
        allowed = spec.max_change[index] + spec.resolution[index]
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
def test_a_read_back_that_is_none_stops_everything(found: KnobValue) -> None:
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
    with pytest.raises(HandsOffError, match="another user moved it") as caught:
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
    one: KnobValue, other: KnobValue, expected: bool
) -> None:
    assert differs(one, other, FOCUS) is expected


def test_any_component_may_differ() -> None:
    assert differs((0.0, 0.0), (0.0, 0.0011), SHIFT)
    assert not differs((0.0, 0.0), (0.0009, 0.0009), SHIFT)


@pytest.mark.parametrize(
    ("found", "expected"),
    [(10.009, 10.0), (-10.009, -10.0), (10.02, 10.02), (9.999, 9.999), (INF, INF), (-INF, -INF)],
)
def test_a_read_back_behind_a_bound_by_less_than_the_resolution_is_the_bound(
    found: float, expected: float
) -> None:
    assert as_allowed((found,), FOCUS) == (expected,)
