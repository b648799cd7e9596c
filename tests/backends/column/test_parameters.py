"""The default instrument is the published one, and impossible instruments are refused."""

import math
from typing import Any, cast

import pytest
from attrs import fields
from attrs.exceptions import FrozenInstanceError

from stempilot_backends.column import ColumnParameters


def test_defaults_are_the_published_instrument() -> None:
    parameters = ColumnParameters()
    assert parameters.frame_side_px == 1040
    assert parameters.pixel_rad_in_use == pytest.approx(0.565e-3)
    assert parameters.radius_px == pytest.approx(30.2)
    # 10 pA at 0.0035 pA per pixel is a disk of this radius.
    assert parameters.radius_px == pytest.approx(math.sqrt(10 / 0.0035 / math.pi), rel=2e-3)
    assert parameters.camera_lengths_m[parameters.camera_length_index] == 0.160
    assert (len(parameters.camera_lengths_m), parameters.camera_lengths_m[-1]) == (21, 4.1)


def test_a_semi_angle_of_17_mrad_is_a_radius_of_30_px() -> None:
    assert ColumnParameters(semi_angle_rad=17e-3).radius_px == pytest.approx(30.09, abs=0.01)


def test_twice_the_camera_length_is_twice_the_radius_and_half_the_pixel() -> None:
    parameters = ColumnParameters(
        camera_lengths_m=(0.1, 0.2), camera_length_index=1, reference_camera_length_index=0
    )
    assert parameters.magnification == pytest.approx(2.0)
    assert parameters.radius_px == pytest.approx(60.4)
    assert parameters.pixel_rad_in_use == pytest.approx(0.2825e-3)


def test_the_rotation_table_is_as_long_as_the_camera_lengths() -> None:
    parameters = ColumnParameters(
        camera_lengths_m=(0.1, 0.2), camera_length_index=1, reference_camera_length_index=1
    )
    assert parameters.camera_length_rotation_deg == (0.0, 0.0)


def test_parameters_are_frozen_and_keyword_only() -> None:
    with pytest.raises(FrozenInstanceError):
        # The assignment that the type checker refuses must fail at run time, too.
        ColumnParameters().lag = 0.5  # type: ignore[misc]
    with pytest.raises(TypeError):
        # As must the call.
        ColumnParameters(1040)  # type: ignore[call-arg]


def test_numbers_become_plain_floats() -> None:
    assert type(ColumnParameters(lag=0).lag) is float


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frame_side_px", 4),
        ("frame_side_px", 10_000),
        ("pixel_rad", 0.0),
        ("camera_lengths_m", ()),
        ("camera_lengths_m", (0.1,) * 20 + (0.0,)),
        ("camera_length_index", 21),
        ("camera_length_index", -1),
        ("reference_camera_length_index", 21),
        ("camera_length_rotation_deg", (0.0,)),
        ("camera_length_rotation_deg", (math.nan,) * 21),
        ("rotation_deg", math.inf),
        ("scale", 0.0),
        ("axis_ratio", 0.0),
        ("shear_deg", 90.0),
        ("action_noise", -0.1),
        ("backlash_rad", -1e-3),
        ("lag", 1.0),
        ("lag", -0.1),
        ("cycle_s", 0.0),
        ("drift_px_per_cycle", -1.0),
        ("drift_walk_px", -1.0),
        ("vibration_px", -1.0),
        ("distortion_gain", -0.2),
        ("distortion_swirl_rad", math.inf),
        ("probe_current_a", -1e-12),
        ("semi_angle_rad", 0.0),
        ("gain_dn_per_electron", 0.0),
        ("read_noise_e", -1.0),
        ("background_e_per_px", -1.0),
        ("offset_dn", 70_000.0),
        ("hot_pixels", -1),
        ("hot_pixels", 1040**2 + 1),
        ("hot_pixel_seed", -1),
        ("vignetting", 1.1),
    ],
)
def test_an_impossible_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        ColumnParameters(**{name: value})


FLOATS = [entry.name for entry in fields(ColumnParameters) if entry.type is float]


@pytest.mark.parametrize("name", FLOATS)
def test_no_parameter_takes_nan(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} = nan"):
        ColumnParameters(**{name: cast("Any", math.nan)})


@pytest.mark.parametrize("name", ["frame_side_px", "camera_length_index", "hot_pixels"])
def test_a_count_takes_no_fraction(name: str) -> None:
    with pytest.raises(TypeError):
        ColumnParameters(**{name: cast("Any", 12.5)})


def test_mirrored_is_a_truth_value() -> None:
    with pytest.raises(TypeError, match="mirrored"):
        # A configuration file may hold the wrong type.
        ColumnParameters(mirrored=1)  # type: ignore[arg-type]
