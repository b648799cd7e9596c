"""Needs are held against offers, and every mismatch is named at once."""

from typing import Any

import pytest
from attrs import evolve
from tests.core.fakes import FOCUS, SHIFT

from stempilot.contract.values import KnobNeed, Needs, Offers, SourceSpec, StateSpec
from stempilot.errors import BackendError, IncompatibleError
from stempilot.instrument.fit import check_states, largest_step_problems, require_fit

OFFERS = Offers(
    knobs={"shift": SHIFT, "focus": FOCUS},
    sources={"flucam": SourceSpec(shape=(8, 8), dtype="uint16")},
    states={"screen": StateSpec(values=("up", "down"))},
)


def need(**changes: Any) -> KnobNeed:
    return KnobNeed(**{"unit": "m", "size": 2, "largest_step": (0.25, 0.5), **changes})


def problems(needs: Needs) -> tuple[str, ...]:
    with pytest.raises(IncompatibleError) as caught:
        require_fit(needs, OFFERS, task="centring", backend="desktop")
    return caught.value.problems


def test_what_is_offered_may_be_needed() -> None:
    needs = Needs(knobs={"shift": need()}, sources=("flucam",), states={"screen": "down"})
    require_fit(needs, OFFERS, task="centring", backend="desktop")


def test_all_mismatches_are_named_with_the_nearest_name() -> None:
    found = problems(
        Needs(
            knobs={"shft": need(), "focus": need(unit="rad", size=1, largest_step=(1.0,))},
            sources=("flucan", "eels"),
            states={"screen": "half", "sceen": "down"},
        )
    )
    assert found == (
        "centring needs knob shft; desktop offers shift, focus; did you mean shift?",
        "centring needs source flucan; desktop offers flucam; did you mean flucam?",
        "centring needs source eels; desktop offers flucam",
        "centring needs state sceen; desktop offers screen; did you mean screen?",
        "focus: centring plans in rad, desktop takes m",
        "centring needs screen = half; desktop only knows screen = up, down",
    )


def test_sizes_must_agree() -> None:
    found = problems(Needs(knobs={"shift": need(size=3, largest_step=(0.1,) * 3)}))
    assert found == ("shift: centring plans 3 components, desktop takes 2",)


def test_frames_must_have_the_shape_that_a_task_takes() -> None:
    needs = Needs(sources=("flucam",), shapes={"flucam": (4, 8)})
    assert problems(needs) == (
        "flucam: centring takes frames of (4, 8) (rows, cols), desktop delivers (8, 8); choose "
        "options with which both agree",
    )
    require_fit(
        evolve(needs, shapes={"flucam": (8, 8)}), OFFERS, task="centring", backend="desktop"
    )


def test_only_frames_that_are_looked_at_have_a_shape() -> None:
    with pytest.raises(ValueError, match="shapes names haadf; sources are flucam"):
        Needs(sources=("flucam",), shapes={"haadf": (8, 8)})


def test_a_full_action_must_not_exceed_the_largest_step() -> None:
    found = problems(Needs(knobs={"shift": need(largest_step=(0.26, 0.6))}))
    assert len(found) == 2
    assert found[1] == (
        "shift[1]: a full action of centring moves 0.6 m, more than the largest step of 0.5 m; "
        "lower the task's step size"
    )


def test_rounding_is_not_a_mismatch() -> None:
    step = (0.25 * (1 + 1e-12), 0.5)
    assert list(largest_step_problems("shift", need(largest_step=step), SHIFT, "centring")) == []


def test_nothing_offered_is_said() -> None:
    with pytest.raises(IncompatibleError, match="offers none"):
        require_fit(Needs(sources=("flucam",)), Offers(), task="t", backend="b")


def test_modes_that_are_wrong_are_all_named() -> None:
    needs = Needs(states={"screen": "down", "blanker": "open", "mode": "stem"})
    with pytest.raises(BackendError) as caught:
        check_states(needs, {"screen": "up", "blanker": "blanked", "mode": "stem"})
    assert "screen is up, set it to down; blanker is blanked, set it to open" in str(caught.value)
    check_states(needs, {"screen": "down", "blanker": "open", "mode": "stem"})
