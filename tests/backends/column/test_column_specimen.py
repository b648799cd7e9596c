"""What of a specimen moves with the direct beam, and what stays on the camera."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from scipy import ndimage

from stempilot_backends.column import Column, ColumnParameters

from .column_cases import PIXEL, SHIFT, seed

PLAIN = ColumnParameters(
    frame_side_px=500,
    semi_angle_rad=9 * PIXEL,
    rotation_deg=0.0,
    action_noise=0.0,
    probe_current_a=1e-12,
)
BESIDE: dict[str, dict[str, Any]] = {
    "halo": {"halo": 1.0},
    "ring": {"ring": 0.3},
    "grains": {"grains": 50},
    "diffracted": {"diffracted": 1.0},
    "gradient": {"gradient": 2.0},
    "bands": {"bands": 0.6},
    "defects": {"defects": True},
    "beam_stop_radii": {"beam_stop_radii": 1.0},
}


def column(**options: Any) -> Column:
    return Column(evolve(PLAIN, **options), seed(0))


def disks(frame: np.ndarray) -> np.ndarray:
    """Return the centres (x, y) of the bright disks from the frame centre, the leftmost first."""
    bright = frame > 120 + 6 * 7
    labels, count = ndimage.label(ndimage.binary_opening(bright, iterations=2))
    centres = ndimage.center_of_mass(labels > 0, labels, range(1, count + 1))
    places = np.array(centres)[:, ::-1] - (len(frame) - 1) / 2
    return places[np.argsort(places[:, 0])]


@pytest.fixture(scope="module")
def crystal() -> dict[str, Any]:
    """Return the options of a crystal with a handful of bright disks in the frame."""
    for number in range(100):
        options = {"diffracted": 1.0, "spacing_radii": 4.0, "specimen_seed": number}
        found = disks(column(**options).expose(0.17))
        if 4 <= len(found) <= 8 and np.diff(found[:, 0]).min() > 2 and abs(found).max() < 120:
            return options
    raise AssertionError("no such crystal")


def test_diffracted_disks_move_with_the_direct_one(crystal: dict[str, Any]) -> None:
    moving = column(**crystal)
    before = disks(moving.expose(0.17))
    moving.set(SHIFT, (30 * PIXEL, -20 * PIXEL))
    after = disks(moving.expose(0.17))
    assert after - before == pytest.approx(np.tile((30.0, -20.0), (len(before), 1)), abs=0.5)


def test_they_drift_and_shake_with_it(crystal: dict[str, Any]) -> None:
    moving = column(**crystal, drift_px_per_cycle=3.0, vibration_px=4.0)
    before, here = disks(moving.expose(0.17)), moving.truth()["position_px"]
    for _ in range(3):
        moving.advance(0.18)
        after, there = disks(moving.expose(0.17)), moving.truth()["position_px"]
        moved = np.subtract(there, here)
        assert np.hypot(*moved) > 1
        assert after - before == pytest.approx(np.tile(moved, (len(before), 1)), abs=0.5)


def test_the_truth_is_that_of_the_direct_beam(crystal: dict[str, Any]) -> None:
    moving = column(**crystal)
    moving.misalign((12.0, -31.0))
    found = disks(moving.expose(0.17))
    assert moving.truth()["position_px"] == pytest.approx((12.0, -31.0))
    assert np.hypot(*(found - (12.0, -31.0)).T).min() < 0.3


def test_a_pattern_grows_and_turns_with_the_camera_length(crystal: dict[str, Any]) -> None:
    turns = tuple(30.0 * (index == 8) for index in range(21))
    growing = column(**crystal, camera_length_rotation_deg=turns)
    before = disks(growing.expose(0.17))
    growing.set("camera_length_index", (8,))
    after = disks(growing.expose(0.17))
    growth, angle = growing.parameters.magnification, math.radians(30.0)
    assert growth > 1.5
    turned = (
        growth
        * before
        @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    )
    assert after == pytest.approx(turned[np.argsort(turned[:, 0])], abs=1.0)


def test_a_crystals_brightness_changes_while_a_polycrystals_does_not() -> None:
    def spread(**options: Any) -> float:
        seen = column(**options)
        bright = []
        for _ in range(12):
            seen.advance(0.18)
            bright.append(float(seen.expose(0.17).sum(dtype=float)))
        return float(np.std(bright) / np.mean(bright))

    dark = {"background_e_per_px": 0.0, "offset_dn": 0.0, "frame_side_px": 200}
    assert spread(**dark, grains=20) < 0.01
    assert spread(**dark, diffracted=1.0) > 0.02


def read(frame: np.ndarray) -> tuple[bytes, bytes]:
    """Return where pixels are dead, and where they are clipped."""
    return (frame == 0).tobytes(), (frame == 65_535).tobytes()


def test_defects_stay_where_they_are() -> None:
    moving = column(defects=True, specimen_seed=4)
    first = moving.expose(0.17)
    assert (first == 0).any()
    assert (first == 65_535).any()
    moving.set(SHIFT, (90 * PIXEL, 40 * PIXEL))
    moving.advance(0.18)
    assert read(moving.expose(0.17)) == read(first)
    moving.set("camera_length_index", (8,))
    moving.reseed(seed(7))
    moving.beam_blanked = True
    assert read(moving.expose(0.17)) == read(first)


def test_the_beam_stop_stays_where_it_is() -> None:
    def dark(frame: np.ndarray) -> np.ndarray:
        smooth: np.ndarray = ndimage.uniform_filter(frame.astype(float), 3) < 200
        return smooth

    lit = {"halo": 100.0, "halo_radii": 20.0, "background_e_per_px": 0.0}
    moving = column(**lit, beam_stop_radii=1.2, probe_current_a=5e-12)
    first = dark(moving.expose(0.17))
    assert 500 < first.sum() < 12 * 400
    moving.set(SHIFT, (60 * PIXEL, -30 * PIXEL))
    second = dark(moving.expose(0.17))
    assert (first != second).mean() < 0.001


@pytest.mark.parametrize("name", BESIDE)
def test_the_path_of_the_disk_does_not_depend_on_what_is_beside_it(name: str) -> None:
    shaken = {"vibration_px": 2.0, "drift_walk_px": 1.0, "action_noise": 0.1}
    paths = []
    for options in ({}, BESIDE[name]):
        moving, path = column(**shaken, **options), []
        for x in (0.003, -0.01):
            moving.set(SHIFT, (x, 2 * x))
            moving.advance(0.18)
            moving.expose(0.17)
            path.append(moving.truth())
        paths.append(path)
    assert paths[0] == paths[1]


def test_a_frame_of_vacuum_does_not_depend_on_the_specimens_seed() -> None:
    frames = [column(specimen_seed=number).expose(0.17) for number in (0, 9)]
    assert np.array_equal(*frames)


@pytest.mark.parametrize("name", BESIDE)
def test_a_seed_draws_the_same_bytes_again(name: str) -> None:
    first = column(**BESIDE[name], specimen_seed=2)
    again = column(**BESIDE[name], specimen_seed=2)
    again.advance(5.0)
    again.expose(0.17)
    again.reseed(seed(0))
    assert np.array_equal(first.expose(0.17), again.expose(0.17))
    assert first.parameters == again.parameters


@pytest.mark.parametrize("name", ["grains", "diffracted", "bands", "defects", "beam_stop_radii"])
def test_another_specimens_seed_is_another_frame(name: str) -> None:
    # A halo, so that a beam stop shows wherever it is.
    one, other = (
        column(**{"halo": 3.0, **BESIDE[name]}, specimen_seed=number).expose(0.17)
        for number in (1, 2)
    )
    assert (np.abs(one.astype(float) - other) > 100).sum() > 20
