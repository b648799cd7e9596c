import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.sampling import sampled

from stempilot_tasks.imaging import locate_disk

from .conftest import FULL, disk, exposed

ELECTRON_C = 1.602e-19
EXPOSURE_S = 0.170
SATURATION = 65535


def missed(found, x, y):
    return float(np.hypot(found.x_px - x, found.y_px - y))


def electrons(current_pa):
    return current_pa * 1e-12 * EXPOSURE_S / ELECTRON_C


def formula_px(current_pa, radius):
    """Noise per axis of the centre of mass in a square region of 1.5 radii either way."""
    count, side = electrons(current_pa), 3 * radius
    return np.sqrt(radius**2 / 4 / count + 37 * side**2 * (side**2 - 1) / 12 / count**2)


def rms_error(current_pa, radius, frames, rng):
    errors = []
    for _ in range(frames):
        x, y = rng.uniform(radius + 3, 1036 - radius, 2)
        lit = disk(x, y, radius, fine=15) * electrons(current_pa) / (np.pi * radius**2)
        found = locate_disk(exposed(lit, rng))
        errors.append((found.x_px - x, found.y_px - y))
    return float(np.sqrt(np.mean(np.square(errors))))


def test_published_dose_is_located_to_a_fiftieth_of_a_pixel(rng):
    assert rms_error(10, 30, 12, rng) <= 0.02


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("radius", sampled([9, 15, 30, 45, 60], 2))
@pytest.mark.parametrize("current_pa", sampled([0.1, 0.3, 1, 3, 10, 30, 100], 3))
def test_error_is_within_twice_the_formula_at_every_dose(current_pa, radius, rng):
    level = electrons(current_pa) / (np.pi * radius**2)
    if level + 6 * np.sqrt(level) + 200 > SATURATION:
        lit = disk(500.3, 400.6, radius) * level
        found = locate_disk(exposed(lit, rng))
        assert found.saturated
        assert missed(found, 500.3, 400.6) < 0.1
        return
    assert rms_error(current_pa, radius, 16, rng) <= 2 * formula_px(current_pa, radius)


@pytest.mark.parametrize("radius", [9, 30, 60])
def test_no_bias_with_the_subpixel_phase(radius):
    for phase in np.linspace(0, 1, 7):
        x, y = 500 + phase, 400 + 0.37 * phase
        found = locate_disk(disk(x, y, radius, fine=25) * 4000.0)
        assert missed(found, x, y) < 0.003


@settings(max_examples=20, deadline=None)
@given(dx=st.integers(-80, 80), dy=st.integers(-80, 80))
def test_shifting_the_frame_by_whole_blocks_shifts_the_centre(dx, dy):
    rng = np.random.default_rng(5)
    frame = exposed(disk(510.3, 520.8, 25.0) * 2000, rng)
    moved = np.roll(frame, (8 * (dy // 8), 8 * (dx // 8)), (0, 1))
    one, other = locate_disk(frame), locate_disk(moved)
    assert other.x_px - one.x_px == pytest.approx(8 * (dx // 8), abs=0.005)
    assert other.y_px - one.y_px == pytest.approx(8 * (dy // 8), abs=0.005)


def nothing(name, rng):
    dark = np.zeros(FULL)
    hot = exposed(dark, rng)
    rows, cols = np.mgrid[: FULL[0], : FULL[1]]
    if name == "two hot pixels":
        hot[200, 300], hot[700, 12] = 65535, 60000
        return hot
    if name == "two hot pixels side by side":
        hot[200, 300:302] = 65535
        return hot
    if name == "twenty hot pixels":
        hot[rng.integers(0, 1040, 20), rng.integers(0, 1040, 20)] = 65535
        return hot
    drawn = {
        "noise": dark,
        "half plane": 500.0 * (cols < 520),
        "gradient": cols / 2.0,
        "corner": 500.0 * (cols + rows < 500),
        "wide hump": 500 * np.exp(-((cols - 500) ** 2 + (rows - 400) ** 2) / 2 / 200**2),
        "bar": 500.0 * ((abs(rows - 410) < 10) & (abs(cols - 400) < 90)),
    }
    if name in drawn:
        return exposed(drawn[name], rng)
    return {
        "constant": np.full(FULL, 7, np.uint16),
        "zeros": np.zeros(FULL, np.uint16),
        "saturated all over": np.full(FULL, 65535, np.uint16),
        "NaN": np.full(FULL, np.nan),
        "one NaN beside a disk": np.where(rows + cols == 0, np.nan, disk(500, 500, 30) * 1e3),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "noise",
        "constant",
        "zeros",
        "saturated all over",
        "two hot pixels",
        "two hot pixels side by side",
        "twenty hot pixels",
        "half plane",
        "gradient",
        "corner",
        "wide hump",
        "bar",
        "NaN",
        "one NaN beside a disk",
    ],
)
def test_nothing_is_found_where_there_is_no_disk(name, rng):
    found = locate_disk(nothing(name, rng))
    assert not found.visible
    assert np.isnan([found.x_px, found.y_px, found.radius_px]).all()
    assert found.saturated == (name == "saturated all over")


@pytest.mark.parametrize("current_pa", [0.1, 10])
def test_hot_pixels_beside_and_inside_a_disk_do_not_move_it(current_pa, rng):
    level = electrons(current_pa) / (np.pi * 30**2)
    frame = exposed(disk(400.3, 500.7, 30) * level, rng)
    frame[rng.integers(0, 1040, 20), rng.integers(0, 1040, 20)] = 65535
    frame[500, 410] = frame[505, 380] = 65535
    frame[100, 100:102] = 65535
    assert missed(locate_disk(frame), 400.3, 500.7) < 4 * max(formula_px(current_pa, 30), 0.01)


@pytest.mark.parametrize("level", [37, 3750])
@pytest.mark.parametrize("x", [16, 20.39, 25, 30])
def test_a_cut_disk_is_centred_by_its_arc_while_enough_shows(x, level, rng):
    found = locate_disk(exposed(disk(x, 500.2, 30.2) * level, rng))
    assert found.visible
    assert found.cut
    assert missed(found, x, 500.2) < 0.4


@pytest.mark.parametrize(("x", "y"), [(-10, 500), (0, 500), (5, 500), (500, 1037), (3, 4)])
def test_a_disk_half_outside_has_no_centre(x, y, rng):
    found = locate_disk(exposed(disk(x, y, 30.2) * 3750, rng))
    assert found.visible
    assert found.cut
    assert np.isnan(found.x_px)
    assert np.isnan(found.y_px)


@pytest.mark.parametrize("radius", [43.2, 45.0, 45.5, 60.0])
@pytest.mark.parametrize("room", [1.0, 1.18, 1.19, 1.2, 1.21, 1.24])
def test_a_whole_disk_beside_the_edge_is_found_however_the_blocks_lie(radius, room, rng):
    x = 1039.5 - room * radius
    found = locate_disk(exposed(disk(x, 519.5, radius) * 375, rng))
    assert found.visible
    assert missed(found, x, 519.5) < 0.3


def test_a_large_dim_disk_near_the_edge_is_not_taken_for_a_small_one(rng):
    for x in (20, 35, 50, 62):
        found = locate_disk(exposed(disk(x, 500, 60) * 9.4, rng))
        assert found.visible
        assert found.cut == (x < 60)
        assert np.isnan(found.x_px) or missed(found, x, 500) < 1.5


def test_vignetting_moves_the_centre_by_less_than_a_sixth_of_a_pixel(rng):
    rows, cols = np.mgrid[: FULL[0], : FULL[1]]
    light = 1 - 0.2 * ((cols - 519.5) ** 2 + (rows - 519.5) ** 2) / (2 * 519.5**2)
    found = locate_disk(exposed((disk(800.25, 700.5, 30.2) * 3750 + 20) * light, rng))
    assert missed(found, 800.25, 700.5) < 0.15


@pytest.mark.parametrize(
    ("side", "radius"), [(64, 6), (128, 4), (144, 5.6), (256, 10), (512, 40), (2048, 150)]
)
def test_the_central_disk_is_found_among_weaker_ones(side, radius, rng):
    x, y = side * 0.52 + 0.3, side * 0.47 - 0.2
    lit = 2000 * disk(x, y, radius, (side, side))
    for angle in np.arange(6) * np.pi / 3 + 0.3:
        near = x + 2.6 * radius * np.cos(angle), y + 2.6 * radius * np.sin(angle)
        lit = lit + rng.uniform(100, 500) * disk(*near, radius, (side, side))
    rows, cols = np.mgrid[:side, :side]
    lit = lit + 150 * np.exp(-np.hypot(cols - x, rows - y) / (3 * radius))
    frame = exposed(lit, rng)
    found = locate_disk(frame)
    assert missed(found, x, y) < 0.1
    assert found.radius_px == pytest.approx(radius, rel=0.1)
    clipped = np.clip(frame / 6, 0, 255).astype(np.uint8)
    again = locate_disk(clipped)
    assert again.saturated
    assert missed(again, x, y) < 0.15


def test_pixel_type_and_order_do_not_matter(rng):
    frame = exposed(disk(400.3, 500.7, 30) * 3750, rng)
    expected = locate_disk(frame)
    signed = frame.astype(np.int32)
    for other in (
        signed,
        np.asfortranarray(signed),
        np.asfortranarray(signed.T).T,
        (signed - 500).astype(np.int16),
        frame.astype(np.float32),
        frame / 65535.0,
        frame.astype(np.uint64),
    ):
        found = locate_disk(other)
        assert missed(found, expected.x_px, expected.y_px) < 1e-3


def test_saturation_is_flagged_at_the_given_value(rng):
    frame = exposed(disk(400.3, 500.7, 30) * 3750, rng)
    assert not locate_disk(frame).saturated
    assert locate_disk(frame, saturation=3500).saturated
    plateau = np.minimum(frame.astype(np.int32), 3600)
    assert locate_disk(plateau).saturated


@pytest.mark.parametrize("bad", [np.zeros((3, 80, 80)), np.zeros(80), np.zeros((63, 80))])
def test_wrong_shapes_are_refused(bad):
    with pytest.raises(ValueError, match="64 x 64"):
        locate_disk(bad)


@pytest.mark.parametrize("kind", [bool, complex, object, "U1"])
def test_what_is_not_a_real_number_is_refused(kind):
    with pytest.raises(TypeError, match="real numbers"):
        locate_disk(np.zeros((80, 80), kind))


def recorded():
    beside = Path(__file__).resolve().parents[4] / "shared" / "frames"
    folder = Path(os.environ.get("STEMPILOT_FRAMES", beside))
    index = folder / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    return [pytest.param(folder, entry, id=entry["file"]) for entry in entries] or [
        pytest.param(None, None, marks=pytest.mark.skip(reason="no recorded frames here"))
    ]


@pytest.mark.parametrize(("folder", "entry"), recorded())
def test_recorded_frames(folder, entry):
    with np.load(folder / entry["file"], allow_pickle=False) as stored:
        found = locate_disk(stored["pixels"])
    assert found.visible == entry["disk_visible"]
    if entry["disk_visible"]:
        assert missed(found, *entry["centre_xy_px"]) <= entry["tolerance_px"]
        assert found.saturated == (entry["saturated_pixels"] > 0)
