import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.tasks.imaging.shadow import PIXEL_RAD, WAVELENGTH_M, ronchigram

from stempilot_tasks.imaging.ronchigram import Shadow, read_ronchigram, wavelength_m

HALF, NM = 520, 1e-9


def read(pixels: npt.NDArray[Any]) -> Shadow:
    return read_ronchigram(pixels, PIXEL_RAD * 1040 / pixels.shape[0], WAVELENGTH_M)


@cache
def drawn(seed: int, c1_nm: float, a1_nm: complex = 0j, **more: Any) -> npt.NDArray[np.uint16]:
    """Return a frame with coma, threefold and spherical aberration as instruments have them."""
    rng = np.random.default_rng(seed)
    coma, threefold = 60e-9 * rng.random(2) * np.exp(2j * math.pi * rng.random(2))
    side = more.pop("side", HALF)
    return ronchigram(
        rng,
        c1_nm * NM,
        (a1_nm.real * NM, a1_nm.imag * NM),
        b2=complex(coma),
        a2=complex(threefold),
        c3=rng.uniform(-5e-7, 5e-7),
        side=side,
        pixel_rad=PIXEL_RAD * 1040 / side,
        **more,
    )


@pytest.mark.parametrize("seed", range(8))
def test_tells_defocus_and_astigmatism_up_to_a_common_sign(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    c1 = float(rng.choice([-1, 1]) * rng.uniform(100, 480))
    a1 = complex(abs(c1) * rng.uniform(0, 0.5) * np.exp(2j * math.pi * rng.random()))
    found = read(drawn(seed, c1, a1, electrons=float(rng.uniform(2e7, 2e8)))).aberrations
    assert found is not None
    sign = math.copysign(1, c1)
    errors = np.array([found.c1 - abs(c1) * NM, *(np.array(found.a1) / NM - [
        sign * a1.real, sign * a1.imag]) * NM]) / NM  # fmt: skip
    assert np.abs(errors).max() < 1.5
    assert np.all(np.abs(errors) < 4 * np.array(found.uncertainty) / NM)


def test_the_uncertainty_is_that_of_many_frames() -> None:
    errors, told = [], []
    for seed in range(8):
        found = read(drawn(seed, -200, 40 + 0j)).aberrations
        assert found is not None
        errors.append([found.c1 / NM - 200, found.a1[0] / NM + 40, found.a1[1] / NM])
        told.append(np.array(found.uncertainty) / NM)
    scatter = np.sqrt(np.mean(np.square(errors), axis=0))
    assert np.all(scatter < 1.6 * np.mean(told, axis=0))
    assert np.all(scatter > 0.25 * np.mean(told, axis=0))


def test_a_large_frame_is_binned_and_nothing_is_lost() -> None:
    found = read(drawn(1, 250, 60 + 30j, side=1040)).aberrations
    assert found is not None
    assert np.array([found.c1, *found.a1]) / NM == pytest.approx([250, 60, 30], abs=1.2)


def test_the_disk_need_not_lie_in_the_middle() -> None:
    found = read(drawn(1, 250, 60 + 30j, centre=(30.0, -25.0))).aberrations
    assert found is not None
    assert np.array([found.c1, *found.a1]) / NM == pytest.approx([250, 60, 30], abs=1.5)


def noise(level: float) -> npt.NDArray[np.uint16]:
    rng = np.random.default_rng(7)
    return np.clip(rng.normal(level, 5, (HALF, HALF)).round(), 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("level", [0.0, 100.0, 5000.0])
def test_a_frame_without_a_disk_shows_no_light(level: float) -> None:
    assert read(noise(level)) == Shadow(lit=False)


def test_nothing_is_told_of_vacuum() -> None:
    for seed in range(4):
        assert read(drawn(seed, 200, has_film=False)) == Shadow(lit=True)


def test_nothing_is_told_of_a_diffraction_disk() -> None:
    for aperture_rad in (0.002, 0.005, 0.012):
        frame = drawn(0, 200, has_film=False, aperture_rad=aperture_rad)
        assert read(frame) == Shadow(lit=True)


def test_a_frame_of_a_few_pixels_tells_nothing() -> None:
    assert read(np.full((8, 8), 7, np.uint16)) == Shadow(lit=False)


@pytest.mark.parametrize("ratio", [0.9, 1.1, 2.0])
def test_nothing_is_told_where_a_direction_is_near_focus(ratio: float) -> None:
    for seed in range(3):
        turn = complex(np.exp(1j * seed))
        assert read(drawn(seed, 150, 150 * ratio * turn)) == Shadow(lit=True)


def test_rings_that_fit_by_chance_beside_a_line_focus_are_not_believed() -> None:
    """C1 = 148 nm and A1 of the same size were taken for C1 = 323 nm, by its rings alone."""
    rng = np.random.default_rng(7020)
    c1 = rng.uniform(30, 200) * rng.choice([-1, 1])
    size = rng.uniform(0.75, 1.1) * abs(c1)
    turn = rng.uniform(0, 2 * math.pi)
    a1 = (size * math.cos(turn) * NM, size * math.sin(turn) * NM)
    b2, a2 = 60e-9 * rng.random(), 60e-9 * rng.random()
    electrons = float(np.exp(rng.uniform(np.log(2e7), np.log(2e8))))
    pixel_rad = PIXEL_RAD * 2
    frame = ronchigram(
        rng, c1 * NM, a1, b2=b2, a2=a2, side=HALF, pixel_rad=pixel_rad, electrons=electrons
    )
    assert read(frame) == Shadow(lit=True)


@pytest.mark.parametrize("c1", [0.0, 12.0])
def test_nothing_is_told_near_focus(c1: float) -> None:
    for seed in range(3):
        assert read(drawn(seed, c1, 1 + 1j)) == Shadow(lit=True)


def test_nothing_is_told_of_a_disk_that_the_frame_cuts_in_half() -> None:
    found = read(drawn(0, 200, centre=(230.0, 0.0))).aberrations
    assert found is None or found.c1 / NM == pytest.approx(200, abs=5)


def test_hot_pixels_do_not_matter() -> None:
    frame = drawn(2, 300, 50j).copy()
    at = np.random.default_rng(1).integers(100, 400, (2, 30))
    frame[at[0], at[1]] = 65535
    found = read(frame).aberrations
    assert found is not None
    assert np.array([found.c1, *found.a1]) / NM == pytest.approx([300, 0, 50], abs=1.5)


def test_the_frame_stays_as_it_was() -> None:
    frame = drawn(1, 250, 60 + 30j)
    before = frame.copy()
    frame.flags.writeable = False
    assert read(frame) == read(frame)
    assert np.array_equal(frame, before)


def test_the_wavelength_is_relativistic() -> None:
    assert wavelength_m(300e3) == pytest.approx(1.9687e-12, rel=1e-4)
    assert wavelength_m(80e3) == pytest.approx(4.1757e-12, rel=1e-4)
