"""The film is carbon: its strength, its spectrum, and its grid."""

import math

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.film import PIECES, Area, film, fresh_area, scattering_m

CAMERA = ColumnParameters(film=True, frame_side_px=256, pixel_rad=0.3e-3)


@pytest.mark.parametrize(("volts", "wavelength_m"), [(300e3, 1.96875e-12), (80e3, 4.17572e-12)])
def test_the_wavelength_is_relativistic(volts: float, wavelength_m: float) -> None:
    parameters = evolve(CAMERA, accelerating_voltage_v=volts)
    assert parameters.wavelength_m == pytest.approx(wavelength_m, rel=1e-5)


def test_an_atom_scatters_electrons_as_its_x_ray_scattering_says() -> None:
    """By Mott and Bethe's formula, with Cromer and Mann's table of carbon."""
    s = np.array([0.1, 0.2, 0.4, 0.8, 1.5])[:, np.newaxis]
    heights, widths = [2.31, 1.02, 1.5886, 0.865], [20.8439, 10.2075, 0.5687, 51.6512]
    x_ray = (heights * np.exp(-np.array(widths) * s**2)).sum(axis=1) + 0.2156
    expected = 0.023934 * (6.0 - x_ray) / s[:, 0] ** 2
    assert scattering_m(2e10 * s[:, 0]) * 1e10 == pytest.approx(expected, rel=0.03)


def test_its_phase_has_the_spectrum_of_random_atoms() -> None:
    phase = np.angle(film(CAMERA, 0).astype(complex))
    period = CAMERA.wavelength_m / 0.3e-3
    power = np.abs(np.fft.fft2(phase)) ** 2 * period**2 / 256**4
    along = np.fft.fftfreq(256, period / 256)
    frequency = np.hypot(along, along[:, np.newaxis])
    atoms_per_m2 = 1e29 * 5e-9
    strength = CAMERA.wavelength_m * (1 + 300e3 / 510998.95)
    for low, high in ((0.5e9, 1.5e9), (2e9, 3e9), (5e9, 6e9)):
        ring = (frequency > low) & (frequency < high)
        damped = np.exp(-((2 * math.pi * 0.03e-9 * frequency[ring]) ** 2))
        expected = atoms_per_m2 * (strength * scattering_m(frequency[ring])) ** 2 * damped
        assert power[ring].mean() == pytest.approx(expected.mean(), rel=0.25)


def test_it_is_a_phase_and_kept() -> None:
    through = film(CAMERA, 1)
    assert np.abs(through) == pytest.approx(np.ones((256, 256)), abs=1e-6)
    assert through.dtype == np.complex64
    assert film(CAMERA, 1) is through
    assert not np.array_equal(film(CAMERA, 2), through)
    assert not through.flags.writeable


def test_fresh_areas_lie_anywhere_on_any_piece() -> None:
    rng = np.random.default_rng(0)
    areas = [fresh_area(rng) for _ in range(200)]
    assert {area.piece for area in areas} == set(range(PIECES))
    period = 6.6e-9
    x, y = np.array([area.place_m for area in areas]).T % period / period
    for place in (x, y):
        assert np.histogram(place, 4, (0, 1))[0].min() > 25
    assert isinstance(areas[0], Area)
