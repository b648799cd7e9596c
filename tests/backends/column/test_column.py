"""The column as a whole: commands, time, exposures, hidden state and what it says of itself."""

import copy
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from attrs import evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from stempilot_backends.column import Column, ColumnParameters

SMALL = ColumnParameters(
    frame_side_px=128, semi_angle_rad=12 * 0.565e-3, rotation_deg=0.0, action_noise=0.0
)
RESTLESS = evolve(
    SMALL,
    action_noise=0.1,
    backlash_rad=1e-3,
    lag=0.3,
    drift_px_per_cycle=0.5,
    drift_walk_px=1.0,
    vibration_px=2.0,
)
PIXEL = 0.565e-3
SHIFT = "diffraction_shift"


def seed(number: int = 0, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(number, spawn_key=key)


def column(parameters: ColumnParameters = SMALL, number: int = 0, **changes: Any) -> Column:
    return Column(evolve(parameters, **changes), seed(number))


def position(of: Column) -> tuple[float, ...]:
    """Expose and return the true position."""
    of.expose(0.17)
    return of.truth()["position_px"]


def centre(frame: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass (x, y) of what is well above the background."""
    light = np.where(frame > 300, frame.astype(float) - 101, 0.0)
    rows, columns = np.indices(frame.shape) - (len(frame) - 1) / 2
    return float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())


# Commands


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


# Screen and blanking


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


# Misalignment, changes and reseeding


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
    changing.change(rotation_deg=90.0, response_scale=0.5)
    assert changing.parameters.rotation_deg == 90.0
    assert position(changing) == pytest.approx((10.0, 25.0))
    changing.change(mirrored=True)
    changing.set(SHIFT, (0.0, 10 * PIXEL))
    assert position(changing) == pytest.approx((15.0, 20.0))


def test_a_refused_change_changes_nothing() -> None:
    still = column()
    with pytest.raises(ValueError, match="lag"):
        still.change(response_scale=2.0, lag=2.0)
    with pytest.raises(TypeError, match="rotation"):
        still.change(rotation=2.0)
    assert still.parameters == SMALL


def used(number: int) -> Column:
    """Return a column with a past of its own."""
    old = column(RESTLESS, number)
    rng = np.random.default_rng(number)
    old.misalign((30.0 * number, -5.0))
    for _ in range(number + 1):
        old.set(SHIFT, (float(rng.uniform(-0.02, 0.02)), 0.01))
        old.advance(0.1)
        old.expose(0.17)
    return old


def steps(of: Column) -> list[tuple[bytes, dict[str, tuple[float, ...]]]]:
    """Drive a column through the same commands and return all it shows."""
    shown = []
    for x in (0.003, -0.01, -0.004):
        of.set(SHIFT, (x, 2 * x))
        of.advance(0.18)
        shown.append((of.expose(0.17).tobytes(), of.truth()))
    return shown


def test_reseed_makes_the_past_immaterial() -> None:
    first, second = used(1), used(2)
    for each in (first, second):
        each.set(SHIFT, (0.005, 0.005))
        each.reseed(seed(9, 4))
        assert each.get(SHIFT) == (0.005, 0.005)
    assert steps(first) == steps(second)


def test_reseed_settles_at_the_knob_without_misalignment() -> None:
    old = used(2)
    old.set(SHIFT, (8 * PIXEL, 4 * PIXEL))
    old.reseed(seed(1))
    old.change(vibration_px=0.0)
    assert position(old) == pytest.approx((8.0, 4.0))
    truth = old.truth()
    assert truth["pending_rad"] == (0.0, 0.0)
    assert truth["play_rad"] == (0.0, 0.0)


def test_reseed_keeps_parameters_screen_and_blanking() -> None:
    old = used(1)
    old.screen, old.beam_blanked = "up", True
    old.reseed(seed(3))
    assert (old.screen, old.beam_blanked, old.parameters) == ("up", True, RESTLESS)


def test_the_same_seed_twice_is_the_same_again() -> None:
    key = seed(5)
    first = steps(Column(RESTLESS, key))
    again = Column(RESTLESS, key)
    assert steps(again) == first
    again.set(SHIFT, (0.0, 0.0))
    again.reseed(key)
    assert steps(again) == first


def test_seeds_and_spawn_keys_differ() -> None:
    shown = [steps(Column(RESTLESS, key))[0][0] for key in (seed(5), seed(6), seed(5, 1))]
    assert len(set(shown)) == 3


def test_the_path_of_the_disk_does_not_depend_on_what_the_camera_draws() -> None:
    lit, dark = column(RESTLESS), column(RESTLESS)
    dark.beam_blanked = True
    assert [truth for _, truth in steps(lit)] == [truth for _, truth in steps(dark)]


def test_a_copy_goes_on_alike_and_apart() -> None:
    original = used(1)
    twin = copy.deepcopy(original)
    shown = steps(original)
    assert steps(twin) == shown


# Exposures


def test_vibration_is_drawn_for_each_exposure() -> None:
    shaking = column(vibration_px=2.0, frame_side_px=32)
    seen = np.array([position(shaking) for _ in range(600)])
    assert seen.std(axis=0) == pytest.approx((2.0, 2.0), rel=0.12)
    assert abs(np.corrcoef(seen[1:, 0], seen[:-1, 0])[0, 1]) < 0.17
    assert abs(np.corrcoef(seen[:, 0], seen[:, 1])[0, 1]) < 0.17


def test_a_lagged_disk_is_seen_on_its_way() -> None:
    lagged = column(lag=0.4)
    lagged.set(SHIFT, (20 * PIXEL, 0.0))
    lagged.advance(0.18)
    frame = lagged.expose(0.17)
    assert centre(frame) == pytest.approx((12.0, 0.0), abs=0.1)
    assert lagged.truth()["pending_rad"] == pytest.approx((8 * PIXEL, 0.0))


def test_drift_is_seen_as_pixels_per_cycle() -> None:
    drifting = column(drift_px_per_cycle=0.5)
    drifting.advance(10 * 0.18)
    assert math.hypot(*position(drifting)) == pytest.approx(5.0)


def test_an_exposure_takes_no_time_of_the_column() -> None:
    drifting = column(RESTLESS, vibration_px=0.0)
    assert position(drifting) == position(drifting)


# Truth


def test_truth_of_the_jacobian_is_the_slope_of_the_position() -> None:
    bent = column(distortion_gain=0.2, distortion_swirl_rad=0.2, rotation_deg=40.0, shear_deg=3.0)
    bent.misalign((30.0, -20.0))
    bent.set(SHIFT, (0.004, -0.002))
    bent.expose(0.17)
    a, b, c, d = bent.truth()["jacobian_px_per_rad"]
    step = 1e-6
    origin = np.array(position(bent))
    bent.set(SHIFT, (0.004 + step, -0.002))
    assert (np.array(position(bent)) - origin) / step == pytest.approx((a, c), rel=1e-3, abs=1)
    bent.set(SHIFT, (0.004, -0.002 + step))
    assert (np.array(position(bent)) - origin) / step == pytest.approx((b, d), rel=1e-3, abs=1)


def test_truth_has_the_documented_entries() -> None:
    loose = column(backlash_rad=1e-3, lag=0.25)
    loose.set(SHIFT, (0.01, 0.0))
    loose.advance(0.18)
    loose.expose(0.17)
    truth = loose.truth()
    sizes = {name: len(value) for name, value in truth.items()}
    assert sizes == {
        "position_px": 2,
        "jacobian_px_per_rad": 4,
        "lag": 1,
        "pending_rad": 2,
        "backlash_rad": 1,
        "play_rad": 2,
        "radius_px": 1,
        "pixel_rad": 1,
    }
    assert all(type(number) is float for value in truth.values() for number in value)
    assert (truth["lag"], truth["backlash_rad"]) == ((0.25,), (1e-3,))
    assert truth["play_rad"] == pytest.approx((1e-3, 0.0))
    assert truth["pending_rad"] == pytest.approx((0.25 * 0.009, 0.0))
    assert truth["radius_px"] == pytest.approx((12.0,))
    assert truth["pixel_rad"] == pytest.approx((PIXEL,))


def test_truth_is_that_of_the_last_exposure() -> None:
    moved = column()
    assert moved.truth()["position_px"] == (0.0, 0.0)
    moved.set(SHIFT, (PIXEL, 0.0))
    assert moved.truth()["position_px"] == pytest.approx((1.0, 0.0))
    moved.expose(0.17)
    moved.set(SHIFT, (2 * PIXEL, 0.0))
    assert moved.truth()["position_px"] == pytest.approx((1.0, 0.0))
    moved.truth()["position_px"] = (7.0, 7.0)
    assert moved.truth()["position_px"] == pytest.approx((1.0, 0.0))


def test_reseed_forgets_the_last_exposure() -> None:
    old = column()
    old.set(SHIFT, (PIXEL, 0.0))
    old.expose(0.17)
    old.set(SHIFT, (2 * PIXEL, 0.0))
    old.reseed(seed(1))
    assert old.truth()["position_px"] == pytest.approx((2.0, 0.0))


# Every parameter counts

CHANGES: dict[str, Any] = {
    "frame_side_px": 64,
    "pixel_rad": 0.6e-3,
    "camera_lengths_m": tuple(0.01 * (i + 1) ** 2 for i in range(21)),
    "camera_length_index": 8,
    "reference_camera_length_index": 8,
    "camera_length_rotation_deg": (10.0,) * 21,
    "rotation_deg": 10.0,
    "response_scale": 1.5,
    "axis_ratio": 1.2,
    "shear_deg": 5.0,
    "mirrored": True,
    "action_noise": 0.2,
    "backlash_rad": 2e-3,
    "lag": 0.5,
    "cycle_s": 0.3,
    "drift_px_per_cycle": 2.0,
    "drift_walk_px": 3.0,
    "vibration_px": 1.0,
    "distortion_gain": 0.2,
    "distortion_swirl_rad": 0.2,
    "probe_current_a": 9e-12,
    "semi_angle_rad": 10 * PIXEL,
    "gain_dn_per_electron": 0.9,
    "read_noise_e": 5.0,
    "background_e_per_px": 2.0,
    "offset_dn": 101.0,
    "hot_pixels": 6,
    "hot_pixel_seed": 1,
    "vignetting": 0.1,
}


def test_the_table_of_changes_is_complete() -> None:
    assert set(CHANGES) == {entry.name for entry in fields(ColumnParameters)}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_no_parameter_is_ignored(name: str) -> None:
    base = evolve(RESTLESS, hot_pixels=5, camera_length_index=7)
    assert getattr(base, name) != CHANGES[name]

    def frame(parameters: ColumnParameters) -> np.ndarray:
        played = Column(parameters, seed(1))
        played.set(SHIFT, (0.02, 0.01))
        played.advance(0.18)
        played.set(SHIFT, (0.01, 0.011))
        played.advance(0.18)
        return played.expose(0.17)

    assert np.array_equal(frame(base), frame(base))
    assert not np.array_equal(frame(base), frame(evolve(base, **{name: CHANGES[name]})))


def test_the_column_is_plain_physics() -> None:
    """Nothing of the project and no environment library is loaded with it."""
    code = (
        "import sys, stempilot_backends.column as column\n"
        "print(*sorted(n for n in sys.modules if n.split('.')[0] in"
        " {'stempilot', 'gymnasium', 'torch', 'xmlrpc'}))"
    )
    path = [entry for entry in sys.path if entry]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == ""
