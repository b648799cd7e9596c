import copy
import math
import subprocess
import sys

import numpy as np
import pytest
from attrs import evolve, fields

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.parameters import SPECIMEN

from .column_cases import (
    CHANGES,
    PIXEL,
    RESTLESS,
    SHIFT,
    centre,
    column,
    position,
    seed,
    steps,
    used,
)


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


FILMS = ("film", "accelerating", "defocus_", "stigmator_", "coma_", "threefold_", "spherical_")


def test_the_table_of_changes_is_complete() -> None:
    assert set(CHANGES) == {entry.name for entry in fields(ColumnParameters)}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_no_parameter_is_ignored(name: str) -> None:
    base = evolve(RESTLESS, hot_pixels=5, camera_length_index=7)
    if name in (*SPECIMEN, "specimen_seed"):
        base = evolve(base, halo=0.5, ring=0.1, diffracted=0.5, spacing_radii=2.0)
    if name.startswith(FILMS):
        base = evolve(
            base, film=name != "film", semi_angle_rad=30e-3, coma_m=4e-6, threefold_m=4e-6
        )
    assert getattr(base, name) != CHANGES[name]

    def frame(parameters: ColumnParameters) -> np.ndarray:
        played = Column(parameters, seed(1))
        played.set(SHIFT, (0.02, 0.01))
        played.advance(0.18)
        played.set(SHIFT, (0.01, 0.011))
        played.set("stem_defocus", (30e-9,))
        played.set("condenser_stigmator", (0.03, 0.02))
        played.advance(0.18)
        return played.expose(0.17)

    assert np.array_equal(frame(base), frame(base))
    assert not np.array_equal(frame(base), frame(evolve(base, **{name: CHANGES[name]})))


def test_the_column_is_plain_physics() -> None:
    """Of the project it loads what compiles functions, and no environment library."""
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
    compiling = {"stempilot", "stempilot.plugins", "stempilot.plugins.compiled"}
    assert set(ran.stdout.split()) <= compiling
