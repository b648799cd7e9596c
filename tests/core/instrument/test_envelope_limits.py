"""Effective limits are the narrower of what is offered and what the site allows."""

import math

import pytest
from attrs import evolve
from tests.core.fakes import (
    FOCUS,
    KNOBS,
    SHIFT,
    START,
    TILT,
    bench_envelope,
)

from stempilot.contract.values import KnobNeed, KnobSpec, KnobValue, Needs, Offers
from stempilot.errors import EnvelopeError
from stempilot.instrument.envelope import Envelope, KnobLimits, effective_limits, open_envelope

NAN, INF = math.nan, math.inf


OFFERS = Offers(knobs=KNOBS)
NEEDS = Needs(
    knobs={
        "shift": KnobNeed(unit="m", size=2, largest_step=(0.2, 0.2)),
        "focus": KnobNeed(unit="m", size=1, largest_step=(1.0,)),
    }
)


def limits(
    needs: Needs = NEEDS, start: dict[str, KnobValue] | None = None, **rows: KnobLimits
) -> dict[str, KnobSpec]:
    envelope = bench_envelope()
    envelope = evolve(envelope, knobs={**envelope.knobs, **rows})
    return effective_limits(envelope, OFFERS, needs, START if start is None else start)


def test_a_resolution_that_only_together_exceeds_the_step_is_refused() -> None:
    rows = {"focus": KnobLimits(spec=evolve(FOCUS, resolution=0.5, max_change=0.6))}
    offers = Offers(knobs={"focus": evolve(FOCUS, max_change=0.4)})
    needs = Needs(knobs={"focus": KnobNeed(unit="m", size=1, largest_step=0.1)})
    with pytest.raises(EnvelopeError, match=r"focus\[0\]: resolution = 0.5 m exceeds max_step"):
        effective_limits(Envelope(backend="b", knobs=rows), offers, needs, {"focus": (0.0,)})


def test_only_the_knobs_of_the_task_may_be_written() -> None:
    assert list(limits()) == ["shift", "focus"]


def test_the_narrower_of_offer_and_envelope_holds_either_way() -> None:
    wide = evolve(FOCUS, lower=-99, upper=5.0, max_change=50.0, resolution=0.001)
    found = limits(focus=KnobLimits(spec=wide))["focus"]
    assert (found.lower, found.upper) == ((-10.0,), (5.0,))
    assert (found.max_change, found.resolution) == ((2.0,), (0.01,))
    narrow = evolve(FOCUS, lower=2.5, upper=99, max_change=1.5, resolution=0.2)
    found = limits(focus=KnobLimits(spec=narrow))["focus"]
    assert (found.lower, found.upper) == ((2.5,), (10.0,))
    assert (found.max_change, found.resolution) == ((1.5,), (0.2,))


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
        (KnobLimits(spec=evolve(FOCUS, max_change=0.9)), "a full action moves 1 m, the envelope"),
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
    with pytest.raises(EnvelopeError, match=r"does not list shift, .*; it lists tilt"):
        effective_limits(envelope, OFFERS, NEEDS, START)
    nothing = Envelope(backend="bench", knobs={})
    with pytest.raises(EnvelopeError, match=r"it lists none"):
        effective_limits(nothing, OFFERS, NEEDS, START)


@pytest.mark.parametrize("start", [(NAN,), (INF,), (10.5,)])
def test_a_start_outside_is_refused(start: KnobValue) -> None:
    with pytest.raises(EnvelopeError, match="stands at the start"):
        limits(start={**START, "focus": start})


def test_a_start_behind_a_bound_by_less_than_the_resolution_is_at_the_bound() -> None:
    narrow = KnobLimits(spec=evolve(FOCUS, upper=2.995, resolution=0.0), reach=(0.001,))
    found = limits(focus=narrow)["focus"]
    assert (found.lower, found.upper) == ((2.994,), (2.995,))


def test_a_start_behind_two_bounds_is_further_off_than_one_resolution() -> None:
    grain = FOCUS.resolution[0]
    row = KnobLimits(spec=evolve(FOCUS, upper=FOCUS.upper[0] - 0.7 * grain))
    with pytest.raises(EnvelopeError, match="stands at the start"):
        limits(start={**START, "focus": (FOCUS.upper[0] + 0.7 * grain,)}, focus=row)
