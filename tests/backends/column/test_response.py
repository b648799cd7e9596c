"""The response matrix and the distortion, against geometry and finite differences."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.matrix import Vector, apply, inverse, product
from stempilot_backends.column.response import (
    distort,
    distortion_jacobian,
    pattern_matrix,
    response_matrix,
    undistort,
)

FULL_ACTION_PX = 10 * 1040 / 255
FULL_ACTION_RAD = FULL_ACTION_PX * 0.565e-3


def matrix(**parameters: Any) -> np.ndarray:
    """Return the response in units of the calibrated one."""
    found = response_matrix(ColumnParameters(**{"rotation_deg": 0.0, **parameters}))
    return np.array(found).reshape(2, 2) * 0.565e-3


def test_a_full_published_action_moves_40_px_at_30_degrees() -> None:
    assert pytest.approx(23.04e-3, abs=5e-6) == FULL_ACTION_RAD
    x, y = apply(response_matrix(ColumnParameters()), (FULL_ACTION_RAD, 0.0))
    assert math.hypot(x, y) == pytest.approx(40.78, abs=0.01)
    assert math.degrees(math.atan2(y, x)) == pytest.approx(30.0)


def test_without_rotation_the_response_is_the_calibration() -> None:
    assert matrix() == pytest.approx(np.eye(2))


def test_rotation_turns_x_towards_y() -> None:
    assert matrix(rotation_deg=90.0) == pytest.approx(np.array([[0, -1], [1, 0]]))


def test_scale_multiplies_the_response() -> None:
    assert matrix(scale=0.75) == pytest.approx(0.75 * np.eye(2))


def test_axis_ratio_is_x_over_y_at_the_same_area() -> None:
    found = matrix(axis_ratio=1.21)
    assert found == pytest.approx(np.diag([1.1, 1 / 1.1]))


def test_shear_leans_the_y_axis() -> None:
    found = matrix(shear_deg=5.0)
    assert found == pytest.approx(np.array([[1.0, math.tan(math.radians(5))], [0.0, 1.0]]))


def test_mirrored_turns_the_y_axis_round() -> None:
    assert matrix(mirrored=True) == pytest.approx(np.diag([1.0, -1.0]))


def test_the_parts_apply_in_the_documented_order() -> None:
    tilt = math.radians(70)
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    shear = np.array([[1.0, math.tan(math.radians(4))], [0.0, 1.0]])
    expected = 2 * turn @ shear @ np.diag([1.2, 1 / 1.2]) @ np.diag([1.0, -1.0])
    found = matrix(rotation_deg=70.0, shear_deg=4.0, axis_ratio=1.44, mirrored=True, scale=2.0)
    assert found == pytest.approx(expected)


def test_a_longer_camera_length_magnifies_the_response() -> None:
    found = matrix(camera_length_index=11)
    assert found == pytest.approx(np.eye(2) * 0.480 / 0.160)


def test_each_camera_length_may_turn_the_pattern() -> None:
    turns = tuple(10.0 * i for i in range(21))
    found = matrix(camera_length_rotation_deg=turns, rotation_deg=30.0)
    assert found == pytest.approx(matrix(rotation_deg=90.0))
    pattern = pattern_matrix(ColumnParameters(camera_length_rotation_deg=turns))
    assert math.degrees(math.atan2(pattern[2], pattern[0])) == pytest.approx(60.0)


def test_inverse_undoes_a_matrix() -> None:
    some = (3.0, -1.0, 0.5, 2.0)
    assert product(inverse(some), some) == pytest.approx((1.0, 0.0, 0.0, 1.0))


def test_without_distortion_nothing_moves() -> None:
    assert distort((300.0, -200.0), ColumnParameters()) == (300.0, -200.0)


def test_distortion_at_half_the_frame_side_is_its_parameters() -> None:
    parameters = ColumnParameters(distortion_gain=0.2, distortion_swirl_rad=0.3)
    x, y = distort((520.0, 0.0), parameters)
    assert math.hypot(x, y) == pytest.approx(1.2 * 520)
    assert math.atan2(y, x) == pytest.approx(0.3)


def test_distortion_grows_with_the_square_of_the_radius() -> None:
    parameters = ColumnParameters(distortion_gain=0.2, distortion_swirl_rad=-0.4)
    x, y = distort((0.0, 260.0), parameters)
    assert math.hypot(x, y) == pytest.approx(1.05 * 260)
    assert math.atan2(y, x) == pytest.approx(math.pi / 2 - 0.1)


distances = st.floats(-1.3 * 520 / math.sqrt(2), 1.3 * 520 / math.sqrt(2))
gains = st.floats(-0.07, 2.0)
swirls = st.floats(-2.0, 2.0)


@given(x=distances, y=distances, gain=gains, swirl=swirls)
def test_undistort_undoes_distort(x: float, y: float, gain: float, swirl: float) -> None:
    parameters = ColumnParameters(distortion_gain=gain, distortion_swirl_rad=swirl)
    found = undistort(distort((x, y), parameters), parameters)
    assert found == pytest.approx((x, y), abs=1e-9, rel=0)


@given(x=distances, y=distances, gain=st.floats(0.0, 2.0), swirl=swirls)
def test_distort_undoes_undistort(x: float, y: float, gain: float, swirl: float) -> None:
    parameters = ColumnParameters(distortion_gain=gain, distortion_swirl_rad=swirl)
    found = distort(undistort((x, y), parameters), parameters)
    assert found == pytest.approx((x, y), abs=1e-9, rel=0)


def test_a_position_that_distortion_never_reaches_is_refused() -> None:
    with pytest.raises(ValueError, match=r"distance 900\.0 px"):
        undistort((900.0, 0.0), ColumnParameters(distortion_gain=-0.07))


@given(x=distances, y=distances, gain=gains, swirl=swirls)
def test_distortion_jacobian_is_the_derivative(
    x: float, y: float, gain: float, swirl: float
) -> None:
    parameters = ColumnParameters(distortion_gain=gain, distortion_swirl_rad=swirl)
    step = 1e-3

    def slope(forward: Vector, backward: Vector) -> tuple[float, float]:
        a, b = distort(forward, parameters), distort(backward, parameters)
        return ((a[0] - b[0]) / (2 * step), (a[1] - b[1]) / (2 * step))

    along_x = slope((x + step, y), (x - step, y))
    along_y = slope((x, y + step), (x, y - step))
    expected = (along_x[0], along_y[0], along_x[1], along_y[1])
    assert distortion_jacobian((x, y), parameters) == pytest.approx(expected, abs=1e-6)
