"""Values cannot be changed, and specs that make no sense cannot be made."""

import dataclasses
from typing import Any

import attrs
import numpy as np
import pytest
from tests.core.fakes import FOCUS, SHIFT

from stempilot.contract import values as model


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1, 2], np.float32), range(1, 3)])
def test_readings_are_plain_floats(value: Any) -> None:
    reading = model.as_knob_value(value)
    assert reading == (1.0, 2.0)
    assert all(type(item) is float for item in reading)


def test_a_scalar_is_a_reading_of_one() -> None:
    assert model.as_knob_value(np.float32(0.5)) == (0.5,)
    assert model.SetPoint("focus", 3).value == (3.0,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"upper": (1.0,)}, "upper has 1 components, lower has 2"),
        ({"max_change": (1.0, 1.0, 1.0)}, "max_change has 3 components, lower has 2"),
        ({"resolution": ()}, "resolution has 0 components"),
        ({"upper": (1.0, np.nan)}, "upper .* holds NaN"),
        ({"lower": (np.nan, 0.0)}, "lower .* holds NaN"),
        ({"max_change": (np.nan, 0.1)}, "max_change .* holds NaN"),
        ({"lower": (2.0, 0.0)}, "component 0: lower = 2 exceeds upper = 1 m"),
        ({"max_change": (0.1, 0.0)}, "max_change .* must be above 0"),
        ({"max_change": (-0.1, 0.1)}, "max_change .* must be above 0"),
        ({"resolution": (0.0, -1e-9)}, "resolution .* must not be negative"),
    ],
)
def test_specs_that_make_no_sense_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attrs.evolve(SHIFT, **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"largest_step": (0.1,)}, "largest_step has 1 components, size says 2"),
        ({"size": 3}, "largest_step has 2 components, size says 3"),
        ({"largest_step": (0.1, np.nan)}, "must be finite and not negative"),
        ({"largest_step": (np.inf, 0.1)}, "must be finite and not negative"),
        ({"largest_step": (0.1, -0.1)}, "must be finite and not negative"),
    ],
)
def test_needs_that_make_no_sense_are_refused(change: dict[str, Any], said: str) -> None:
    good = {"unit": "m", "size": 2, "largest_step": (0.1, 0.0)}
    model.KnobNeed(**good)
    with pytest.raises(ValueError, match=said):
        model.KnobNeed(**{**good, **change})


def test_a_spec_knows_its_size() -> None:
    assert (SHIFT.size, FOCUS.size) == (2, 1)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        SHIFT.unit = "rad"  # type: ignore[misc]
    assert not dataclasses.is_dataclass(SHIFT)


def test_mappings_are_copied_and_read_only() -> None:
    knobs = {"shift": SHIFT}
    offers = model.Offers(knobs=knobs)
    knobs["focus"] = FOCUS
    assert list(offers.knobs) == ["shift"]
    with pytest.raises(TypeError, match="does not support item assignment"):
        offers.knobs["focus"] = FOCUS  # type: ignore[index]


def test_pixels_of_a_frame_cannot_be_changed_through_it() -> None:
    mine = np.zeros((2, 3))
    frame = model.Frame(pixels=mine, exposure_s=0.1, taken_at_s=0.0)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 1
    mine[0, 0] = 1  # the backend's own buffer stays its own


def test_an_exposure_cannot_be_negative() -> None:
    with pytest.raises(ValueError, match="exposure_s"):
        model.Frame(pixels=np.zeros((1, 1)), exposure_s=-0.1, taken_at_s=0.0)
