import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from .column_cases import PIXEL, RESTLESS, SHIFT, SMALL, centre, column, position, seed, steps, used


def test_a_command_moves_the_disk_as_the_frame_shows() -> None:
    moved = column()
    moved.set(SHIFT, (20 * PIXEL, -7.5 * PIXEL))
    frame = moved.expose(0.17)
    assert frame.shape == (128, 128)
    assert frame.dtype == np.uint16
    assert moved.truth()["position_px"] == pytest.approx((20.0, -7.5))
    assert centre(frame) == pytest.approx((20.0, -7.5), abs=0.1)


def test_commands_are_read_back_exactly() -> None:
    moved = column(RESTLESS)
    moved.set(SHIFT, (0.0123, -0.0456))
    assert moved.get(SHIFT) == (0.0123, -0.0456)
    moved.set("camera_length_index", (8,))
    assert moved.get("camera_length_index") == (8.0,)
    assert moved.parameters.camera_length_index == 8
    assert moved.get(SHIFT) == (0.0123, -0.0456)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        (SHIFT, (0.1,)),
        (SHIFT, (0.1, 0.2, 0.3)),
        (SHIFT, (math.nan, 0.0)),
        (SHIFT, (0.0, math.inf)),
        (SHIFT, (2000.0, 0.0)),
        ("camera_length_index", (21,)),
        ("camera_length_index", (-1,)),
        ("camera_length_index", (2.5,)),
        ("camera_length_index", (math.nan,)),
        ("camera_length_index", (1, 2)),
        ("stage", (0.0,)),
    ],
)
def test_an_impossible_command_is_refused_and_changes_nothing(
    knob: str, value: tuple[float, ...]
) -> None:
    still = column()
    with pytest.raises(ValueError, match=knob):
        still.set(knob, value)
    assert still.get(SHIFT) == (0.0, 0.0)
    assert still.get("camera_length_index") == (6.0,)


def test_an_unknown_knob_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="'stage' is unknown"):
        column().get("stage")


@pytest.mark.parametrize("dt_s", [-0.1, math.nan, math.inf])
def test_time_does_not_run_backwards(dt_s: float) -> None:
    with pytest.raises(ValueError, match="dt_s"):
        column().advance(dt_s)


@pytest.mark.parametrize("exposure_s", [0.0, -0.1, math.nan, math.inf])
def test_an_exposure_takes_time(exposure_s: float) -> None:
    with pytest.raises(ValueError, match="exposure_s"):
        column().expose(exposure_s)


def test_without_beam_or_screen_only_the_background_is_seen() -> None:
    dark = column()
    assert dark.expose(0.17).max() > 1000
    dark.beam_blanked = True
    assert 60 < dark.expose(0.17).mean() < 110
    assert dark.expose(0.17).max() < 150
    dark.beam_blanked = False
    dark.screen = "up"
    assert dark.screen == "up"
    assert dark.expose(0.17).max() < 150
    dark.screen = "down"
    assert dark.expose(0.17).max() > 1000


def test_the_screen_is_up_or_down() -> None:
    with pytest.raises(ValueError, match="sideways"):
        column().screen = "sideways"


@settings(max_examples=30)
@given(
    x=st.floats(-60, 60),
    y=st.floats(-60, 60),
    gain=st.floats(-0.05, 0.5),
    swirl=st.floats(-1, 1),
    index=st.integers(4, 9),
    mirrored=st.booleans(),
)
def test_misalign_puts_the_settled_disk_where_it_says(
    x: float, y: float, gain: float, swirl: float, index: int, mirrored: bool
) -> None:
    placed = column(
        RESTLESS,
        distortion_gain=gain,
        distortion_swirl_rad=swirl,
        camera_length_index=index,
        camera_length_rotation_deg=tuple(7.0 * i for i in range(21)),
        mirrored=mirrored,
        vibration_px=0.0,
    )
    placed.set(SHIFT, (0.02, -0.01))
    placed.advance(0.18)
    placed.set(SHIFT, (0.01, 0.005))
    placed.misalign((x, y))
    placed.change(drift_px_per_cycle=0.0, drift_walk_px=0.0)
    placed.advance(20.0)
    assert position(placed) == pytest.approx((x, y), abs=1e-6)


def test_misalign_refuses_what_is_no_position() -> None:
    with pytest.raises(ValueError, match="position_px"):
        column().misalign((math.nan, 0.0))


def test_the_knob_moves_a_misaligned_disk_from_there() -> None:
    placed = column()
    placed.misalign((10.0, 20.0))
    placed.set(SHIFT, (5 * PIXEL, 0.0))
    assert position(placed) == pytest.approx((15.0, 20.0))


def test_a_longer_camera_length_magnifies_everything() -> None:
    long = column()
    long.set(SHIFT, (5 * PIXEL, 0.0))
    long.misalign((10.0, -4.0))
    long.set("camera_length_index", (11,))
    assert position(long) == pytest.approx((30.0, -12.0))
    truth = long.truth()
    assert truth["radius_px"] == pytest.approx((36.0,))
    assert truth["pixel_rad"] == pytest.approx((PIXEL / 3,))
    assert truth["jacobian_px_per_rad"] == pytest.approx((3 / PIXEL, 0.0, 0.0, 3 / PIXEL))
    assert long.get(SHIFT) == (5 * PIXEL, 0.0)


def test_a_camera_length_turns_the_whole_pattern() -> None:
    turning = column(camera_length_rotation_deg=tuple(90.0 * (i == 8) for i in range(21)))
    turning.misalign((10.0, 0.0))
    turning.change(camera_length_index=8)
    scale = 0.245 / 0.160
    assert position(turning) == pytest.approx((0.0, 10.0 * scale))
    turning.set(SHIFT, (PIXEL, 0.0))
    assert position(turning) == pytest.approx((0.0, 11.0 * scale))


def test_a_changed_response_keeps_knob_and_misalignment() -> None:
    changing = column()
    changing.misalign((10.0, 20.0))
    changing.set(SHIFT, (10 * PIXEL, 0.0))
    changing.change(rotation_deg=90.0, scale=0.5)
    assert changing.parameters.rotation_deg == 90.0
    assert position(changing) == pytest.approx((10.0, 25.0))
    changing.change(mirrored=True)
    changing.set(SHIFT, (0.0, 10 * PIXEL))
    assert position(changing) == pytest.approx((15.0, 20.0))


def test_a_refused_change_changes_nothing() -> None:
    still = column()
    with pytest.raises(ValueError, match="lag"):
        still.change(scale=2.0, lag=2.0)
    with pytest.raises(TypeError, match="rotation"):
        still.change(rotation=2.0)
    assert still.parameters == SMALL


def test_reseed_makes_the_past_immaterial() -> None:
    first, second = used(1), used(2)
    for each in (first, second):
        each.set(SHIFT, (0.005, 0.005))
        each.reseed(seed(9, 4))
        assert each.get(SHIFT) == (0.005, 0.005)
    assert steps(first) == steps(second)
