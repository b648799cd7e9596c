"""Frames hold the right light in the right place, and fresh noise everywhere."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.frame.camera import Camera, scene
from stempilot_backends.column.frame.kernels import coverage

PUBLISHED = ColumnParameters()
ELECTRONS = 10e-12 * 0.170 / 1.602176634e-19
SMALL = evolve(PUBLISHED, frame_side_px=96, semi_angle_rad=9.4 * 0.565e-3)


def frames(
    number: int,
    position_px: tuple[float, float] | None = (0.0, 0.0),
    parameters: ColumnParameters = PUBLISHED,
    exposure_s: float = 0.170,
    seed: int = 0,
) -> np.ndarray:
    """Return (number, side, side) frames in DN above the offset."""
    camera = Camera(np.random.default_rng(seed))
    content = scene(parameters, position_px, exposure_s)
    drawn = np.stack([camera.expose(parameters, content) for _ in range(number)])
    return drawn.astype(float) - parameters.offset_dn


def centre(image: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass (x, y) from the frame centre."""
    place = np.arange(len(image)) - (len(image) - 1) / 2
    total = image.sum()
    return float(image.sum(axis=0) @ place / total), float(image.sum(axis=1) @ place / total)


def expectation(parameters: ColumnParameters, position_px: tuple[float, float]) -> np.ndarray:
    """Return the mean electrons of a 170 ms exposure, pixel by pixel."""
    side, radius = parameters.frame_side_px, parameters.radius_px
    middle = (side - 1) / 2
    x, y = position_px
    covered = [
        [coverage(column - middle - x, row - middle - y, radius) for column in range(side)]
        for row in range(side)
    ]
    density = parameters.probe_current_a * 0.170 / 1.602176634e-19 / (math.pi * radius**2)
    return parameters.background_e_per_px + density * np.array(covered)


def test_the_disk_holds_the_electrons_of_the_published_current() -> None:
    assert pytest.approx(1.06e7, rel=2e-3) == ELECTRONS
    found = frames(1)[0]
    light = found.sum() - found.size * 1.0
    noise = math.sqrt(ELECTRONS + found.size * 37.1)
    assert light == pytest.approx(ELECTRONS, abs=4 * noise)


@pytest.mark.parametrize(
    ("parameters", "factor"),
    [
        ({"probe_current_a": 20e-12}, 2.0),
        ({"gain_dn_per_electron": 0.5}, 0.5),
        ({"semi_angle_rad": 2 * 9.4 * 0.565e-3}, 1.0),
        ({"background_e_per_px": 0.0}, 1.0),
    ],
)
def test_the_light_of_a_frame(parameters: dict[str, Any], factor: float) -> None:
    changed = evolve(SMALL, probe_current_a=1e-12, gain_dn_per_electron=1.0)
    changed = evolve(changed, **{"probe_current_a": 1e-12, **parameters})
    if "probe_current_a" in parameters:
        changed = evolve(changed, probe_current_a=2e-12)
    found = frames(1, (5.3, -7.1), changed)[0]
    background = changed.background_e_per_px * changed.gain_dn_per_electron
    assert found.sum() - found.size * background == pytest.approx(
        factor * ELECTRONS / 10, rel=0.005
    )


def test_exposure_multiplies_disk_and_background() -> None:
    dim = evolve(SMALL, probe_current_a=1e-12)
    found = frames(1, (0.0, 0.0), dim, exposure_s=0.34)[0]
    assert found[:30].mean() == pytest.approx(2.0, abs=4 * math.sqrt(38 / (30 * 96)))
    assert found.sum() - 2.0 * found.size == pytest.approx(2 * ELECTRONS / 10, rel=0.005)


def test_every_pixel_has_its_mean_and_variance() -> None:
    """Also fails when rows and columns are swapped."""
    dim = evolve(SMALL, probe_current_a=2e-13, frame_side_px=48)
    mean = expectation(dim, (6.25, -3.4))
    found = frames(4000, (6.25, -3.4), dim)
    variance = mean + 36 + 1 / 12
    deviation = (found.mean(axis=0) - mean) / np.sqrt(variance / len(found))
    assert np.abs(deviation).max() < 5
    assert (deviation**2).mean() == pytest.approx(1.0, abs=5 * math.sqrt(2 / mean.size))
    ratio = found.var(axis=0, ddof=1) / variance
    assert np.abs(ratio - 1).max() < 6 * math.sqrt(2.2 / len(found))


@pytest.mark.parametrize("radius", [9.0, 9.4, 30.2, 60.0])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.5), (0.21, -0.37), (-0.13, 0.48)])
def test_a_bright_disk_is_where_it_belongs(radius: float, offset: tuple[float, float]) -> None:
    """With so many electrons that the noise hardly moves the centre of mass."""
    bright = evolve(
        PUBLISHED,
        frame_side_px=144,
        semi_angle_rad=radius * 0.565e-3,
        probe_current_a=2e-7 * (radius / 30) ** 2,
        gain_dn_per_electron=5e-4,
        offset_dn=0.0,
        read_noise_e=0.0,
        background_e_per_px=0.0,
    )
    position = (3 + offset[0], -5 + offset[1])
    assert centre(frames(1, position, bright)[0]) == pytest.approx(position, abs=0.002)


def test_the_centre_of_mass_is_as_noisy_as_the_photons_allow() -> None:
    """RMS^2 = r^2 / 4N + v L^2 (L^2 - 1) / 12 / N^2 per axis, in a region of interest of side L."""
    side = 91
    region = evolve(PUBLISHED, frame_side_px=side)
    found = np.array([centre(image - 1.0) for image in frames(800, (0.3, -0.2), region)])
    radius = region.radius_px
    variance = 37 + 1 / 12
    photons = radius**2 / 4 / ELECTRONS
    electronics = variance * side**2 * (side**2 - 1) / 12 / ELECTRONS**2
    expected = math.sqrt(photons + electronics)
    assert expected == pytest.approx(0.005, abs=0.001)
    assert found.std(axis=0) == pytest.approx((expected, expected), rel=0.11)
    assert found.mean(axis=0) == pytest.approx((0.3, -0.2), abs=0.002)


def test_the_full_frame_centre_of_mass_is_as_noisy_as_its_background() -> None:
    found = np.array([centre(image - 1.0) for image in frames(40, (40.0, -25.0))])
    side = 1040
    expected = math.sqrt(37.1 * side**2 * (side**2 - 1) / 12) / ELECTRONS
    assert expected == pytest.approx(0.18, abs=0.01)
    assert (found - (40.0, -25.0)).std() == pytest.approx(expected, rel=0.35)


def test_the_background_has_its_mean_and_variance_over_the_full_frame() -> None:
    found = frames(2, None)
    variance = 37 + 1 / 12
    for image in found:
        assert image.mean() == pytest.approx(1.0, abs=4 * math.sqrt(variance / image.size))
        assert image.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / image.size))


def test_noise_is_fresh_in_every_frame_everywhere() -> None:
    first, second = frames(2)
    tiles_first = first.reshape(26, 40, 26, 40).swapaxes(1, 2).reshape(676, -1)
    tiles_second = second.reshape(26, 40, 26, 40).swapaxes(1, 2).reshape(676, -1)
    same = (tiles_first == tiles_second).mean(axis=1)
    # Independent pixels of 6.1 DN RMS agree in 1 / (2 sqrt(pi) 6.1) of the cases.
    assert same.mean() == pytest.approx(0.0464, abs=0.002)
    assert same.max() < 0.08


def test_noise_of_neighbouring_rows_is_unrelated() -> None:
    image = frames(1, None)[0] - 1.0
    assert abs((image[1:] * image[:-1]).mean()) / 37.1 < 4 / 1040
    assert abs((image[:, 1:] * image[:, :-1]).mean()) / 37.1 < 4 / 1040


def test_read_noise_and_offset() -> None:
    quiet = evolve(SMALL, read_noise_e=2.0, offset_dn=500.0, background_e_per_px=0.0)
    image = frames(8, None, quiet)
    assert image.mean() == pytest.approx(0.0, abs=4 * math.sqrt(4.1 / image.size))
    assert image.var() == pytest.approx(4 + 1 / 12, rel=0.03)


def test_a_strong_disk_saturates_and_does_not_wrap() -> None:
    bright = evolve(SMALL, probe_current_a=100e-12)
    image = frames(1, (0.0, 0.0), bright)[0] + bright.offset_dn
    assert image.max() == 65_535
    assert (image == 65_535).sum() == pytest.approx(math.pi * 9.4**2, rel=0.15)
    inside = expectation(bright, (0.0, 0.0)) > 80_000
    assert np.all(image[inside] == 65_535)


@pytest.mark.parametrize("position", [(47.0, 0.0), (0.0, -47.5), (-46.3, 48.0), (55.0, 3.0)])
def test_a_disk_cut_by_the_edge_keeps_what_is_inside(position: tuple[float, float]) -> None:
    dim = evolve(SMALL, probe_current_a=1e-12)
    mean = expectation(dim, position)
    found = frames(20, position, dim)
    deviation = (found.mean(axis=0) - mean) / np.sqrt((mean + 36.1) / 20)
    assert np.abs(deviation).max() < 5.5


@pytest.mark.parametrize(
    "position", [(58.0, 0.0), (0.0, -60.0), (1e9, 0.0), (-1e300, 1e300), (0.0, math.inf)]
)
def test_a_disk_outside_the_frame_is_not_drawn(position: tuple[float, float]) -> None:
    assert frames(1, position, SMALL)[0].max() < 60


def test_without_a_position_there_is_no_disk() -> None:
    assert frames(1, None, SMALL)[0].max() < 60


def test_a_disk_larger_than_the_frame_fills_it() -> None:
    wide = evolve(SMALL, semi_angle_rad=200 * 0.565e-3)
    image = frames(1, (10.0, 5.0), wide)[0]
    density = ELECTRONS / (math.pi * 200**2)
    assert image.mean() == pytest.approx(density + 1, abs=5 * math.sqrt((density + 37) / 96**2))


@pytest.mark.parametrize("side", [8, 33, 256, 1040])
def test_frames_are_square_and_new(side: int) -> None:
    parameters = evolve(SMALL, frame_side_px=side)
    camera = Camera(np.random.default_rng(0))
    content = scene(parameters, (0.0, 0.0), 0.17)
    first = camera.expose(parameters, content)
    assert first.shape == (side, side)
    assert first.dtype == np.uint16
    kept = first.copy()
    assert camera.expose(parameters, content) is not first
    assert np.array_equal(first, kept)


def test_vignetting_takes_light_from_the_corners_only() -> None:
    dark = evolve(SMALL, vignetting=0.6, semi_angle_rad=300 * 0.565e-3, probe_current_a=2e-9)
    image = frames(1, (0.0, 0.0), dark)[0]
    density = 200 * ELECTRONS / (math.pi * 300**2)
    middle = (96 - 1) / 2
    rows, columns = np.indices(image.shape) - middle
    light = 1 - 0.6 * (rows**2 + columns**2) / (2 * middle**2)
    assert light[0, 0] == pytest.approx(0.4)
    mean = light * (density + 1)
    deviation = (image - mean) / np.sqrt(mean + 36.1)
    assert (deviation**2).mean() == pytest.approx(1.0, abs=5 * math.sqrt(2 / 96**2))
    assert np.abs(deviation).max() < 5.5


def test_vignetted_frames_hold_the_disk_in_its_place() -> None:
    dim = evolve(SMALL, vignetting=1e-6, probe_current_a=1e-12)
    mean = expectation(dim, (6.25, -3.4))
    deviation = (frames(50, (6.25, -3.4), dim).mean(axis=0) - mean) / np.sqrt((mean + 36.1) / 50)
    assert np.abs(deviation).max() < 5.5


def test_hot_pixels_stay_in_place_near_saturation_and_flicker() -> None:
    hot = evolve(SMALL, hot_pixels=12, hot_pixel_seed=3)
    first, second = frames(2, None, hot)
    places = np.flatnonzero(first > 1000)
    assert len(places) == 12
    assert np.array_equal(places, np.flatnonzero(second > 1000))
    values = first.flat[places] + hot.offset_dn
    assert values.min() > 0.88 * 65_535
    assert not np.array_equal(first.flat[places], second.flat[places])


def test_hot_pixels_are_those_of_their_seed() -> None:
    def places(seed: int) -> np.ndarray:
        hot = evolve(SMALL, hot_pixels=12, hot_pixel_seed=seed)
        return np.flatnonzero(frames(1, None, hot, seed=seed)[0] > 1000)

    assert not np.array_equal(places(1), places(2))


def test_the_same_seed_draws_the_same_bytes() -> None:
    parameters = evolve(SMALL, hot_pixels=3)
    assert np.array_equal(
        frames(3, seed=5, parameters=parameters), frames(3, seed=5, parameters=parameters)
    )
    assert not np.array_equal(
        frames(1, seed=5, parameters=parameters), frames(1, seed=6, parameters=parameters)
    )
