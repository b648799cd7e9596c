"""The light of a specimen: how much there is, where, and how noisy it is."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.frame.camera import Camera, scene
from stempilot_backends.column.frame.pattern import NO_PATTERN, pattern
from stempilot_backends.column.frame.scene import Pattern, Scene
from stempilot_backends.column.specimen import specimen

ELECTRONS = 10e-12 * 0.170 / 1.602176634e-19
UPRIGHT = (1.0, 0.0, 0.0, 1.0)
RADIUS = 20
PLAIN = ColumnParameters(
    frame_side_px=300, semi_angle_rad=RADIUS * 0.565e-3, background_e_per_px=0.0
)
DENSITY = ELECTRONS / (math.pi * RADIUS**2)


def drawn(
    parameters: ColumnParameters,
    number: int = 1,
    light: Pattern | None = None,
    position: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Return (number, side, side) frames in electrons, by default with the parameters' pattern."""
    camera = Camera(np.random.default_rng(0))
    seen: Scene = scene(parameters, position, 0.170)
    if light is None:
        light = pattern(parameters, seen, specimen(parameters), np.empty((0, 3)), UPRIGHT)
    frames = np.stack([camera.expose(parameters, seen, light) for _ in range(number)])
    return (frames.astype(float) - parameters.offset_dn) / parameters.gain_dn_per_electron


def distance(side: int = PLAIN.frame_side_px) -> np.ndarray:
    """Return the distance of each pixel from the frame's centre."""
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    found: np.ndarray = np.hypot(rows, columns)
    return found


@pytest.mark.parametrize(("share", "radii"), [(0.2, 2.0), (3.0, 2.0), (3.0, 8.0)])
def test_a_halo_is_a_gaussian_of_so_many_electrons(share: float, radii: float) -> None:
    # The frame is larger than the halo, and the current so small that nothing is clipped.
    wide = evolve(PLAIN, frame_side_px=1400, halo=share, halo_radii=radii)
    seen = drawn(wide, light=None)[0]
    apart = distance(1400)
    assert seen.sum() == pytest.approx((1 + share) * ELECTRONS, rel=0.005)
    outside = apart > RADIUS + 1
    sigma = radii * RADIUS
    peak = share * ELECTRONS / (2 * math.pi * sigma**2)
    expected = peak * np.exp(-0.5 * (apart / sigma) ** 2)
    deviation = (seen - expected)[outside] / np.sqrt(expected[outside] + 36 + 1 / 12)
    assert (deviation**2).mean() == pytest.approx(1.0, abs=0.01)
    assert abs(deviation.mean()) < 0.005


def test_a_ring_is_as_bright_as_it_says_where_it_says() -> None:
    seen = drawn(evolve(PLAIN, ring=0.3, ring_radii=5.0), 4).mean(axis=0)
    apart = distance()
    on = np.abs(apart - 5 * RADIUS) < 1
    assert seen[on].mean() == pytest.approx(0.3 * DENSITY, rel=0.01)
    assert abs(seen[(apart > RADIUS + 1) & (apart < 1.9 * RADIUS)].mean()) < 0.2
    profile = [seen[np.abs(apart - r) < 0.5].mean() for r in range(50, 150)]
    assert abs(int(np.argmax(profile)) + 50 - 100) <= 3


@pytest.mark.parametrize("gradient", [1.5, 3.0])
def test_a_gradient_keeps_the_electrons_of_the_disk(gradient: float) -> None:
    for seed in range(4):
        steep = evolve(PLAIN, gradient=gradient, specimen_seed=seed)
        seen = drawn(steep)[0]
        assert seen.sum() == pytest.approx(ELECTRONS, rel=0.002)
        slope = specimen(steep).slope
        rows, columns = np.indices(seen.shape) - 149.5
        along = (columns * slope[0] + rows * slope[1]) / np.hypot(*slope)
        inside = distance() < RADIUS - 2
        fitted = np.polynomial.Polynomial.fit(along[inside], seen[inside], 1)
        assert fitted(RADIUS) / fitted(-RADIUS) == pytest.approx(gradient, rel=0.02)


def test_bands_are_as_deep_as_they_say() -> None:
    banded = evolve(PLAIN, bands=0.6, specimen_seed=2)
    levels = set()
    for seed in range(6):
        seen = drawn(evolve(banded, specimen_seed=seed))[0] / DENSITY
        inside = distance() < RADIUS - 2
        levels |= set((seen[inside] * 5).round().astype(int).tolist())
    assert {2, 5, 8} <= levels


def test_diffracted_disks_are_added_to_all_else() -> None:
    disks = np.array([[100.3, 200.6, 0.5], [110.3, 200.6, 0.25], [300.0, -5.0, 1.0]])
    light = NO_PATTERN._replace(disks=disks * (1.0, 1.0, DENSITY))
    seen = drawn(PLAIN, light=light)[0]
    assert seen[200, 105] == pytest.approx(0.75 * DENSITY, abs=6 * math.sqrt(DENSITY))
    assert seen[200, 83] == pytest.approx(0.5 * DENSITY, abs=6 * math.sqrt(DENSITY))
    assert seen[200, 128] == pytest.approx(0.25 * DENSITY, abs=6 * math.sqrt(DENSITY))
    left = seen[150:250, 50:150].sum() - drawn(PLAIN, light=NO_PATTERN)[0][150:250, 50:150].sum()
    assert left == pytest.approx(0.75 * ELECTRONS, rel=0.03)


def test_a_disk_of_the_pattern_is_where_it_belongs() -> None:
    x, y = 120.37, 140.81
    light = NO_PATTERN._replace(disks=np.array([[x, y, 30_000.0]]))
    quiet = evolve(PLAIN, gain_dn_per_electron=1.0, probe_current_a=1e-18)
    seen = drawn(quiet, light=light)[0][100:180, 80:160]
    rows, columns = np.indices(seen.shape)
    assert (seen * columns).sum() / seen.sum() + 80 == pytest.approx(x, abs=0.02)
    assert (seen * rows).sum() / seen.sum() + 100 == pytest.approx(y, abs=0.02)
    assert seen.sum() == pytest.approx(30_000 * math.pi * RADIUS**2, rel=0.002)


def test_the_beam_stop_takes_all_light_and_no_other() -> None:
    light = NO_PATTERN._replace(
        halo=np.full((2, 300), 20.0), stop=np.array([150.0, 150.0, 1.0, 0.0, 10.0])
    )
    seen = drawn(PLAIN, light=light)[0]
    assert abs(seen[142:159, 153:].mean()) < 0.1
    left = np.delete(seen, slice(138, 163), axis=0)
    away = distance()[np.r_[0:138, 163:300]] > RADIUS + 1
    assert left[away].mean() == pytest.approx(400, abs=1)
    assert seen[150, :120].mean() == pytest.approx(400, abs=12)


@pytest.mark.parametrize(
    ("changes", "frames"),
    [
        ({}, 3000),
        ({"read_noise_e": 5.0, "gain_dn_per_electron": 3.0}, 3000),
        # Drawn exactly.
        ({"read_noise_e": 0.5}, 1500),
        ({"vignetting": 0.5}, 3000),
    ],
)
def test_noise_acts_on_the_sum(changes: dict[str, Any], frames: int) -> None:
    dim = evolve(PLAIN, frame_side_px=32, semi_angle_rad=8 * 0.565e-3, probe_current_a=2e-15)
    dim = evolve(dim, background_e_per_px=2.0, **changes)
    halo = np.tile(np.linspace(0.0, 9.0, 32), (2, 1))
    found = drawn(dim, frames, NO_PATTERN._replace(halo=halo), (99.0, 0.0))
    rows, columns = np.indices((32, 32)) - 15.5
    lost = dim.vignetting * (rows**2 + columns**2) / (2 * 15.5**2)
    mean = (1 - lost) * (2.0 + np.outer(halo[1], halo[0]))
    noise_e, gain = dim.read_noise_e, dim.gain_dn_per_electron
    variance = mean + noise_e**2 + 1 / 12 / gain**2
    deviation = (found.mean(axis=0) - mean) / np.sqrt(variance / frames)
    assert np.abs(deviation).max() < 5
    assert (deviation**2).mean() == pytest.approx(1.0, abs=5 * math.sqrt(2 / 1024))
    ratio = found.var(axis=0) / variance
    assert np.abs(ratio - 1).max() < 6 * math.sqrt(2.2 / frames)
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    third = ((found - mean) ** 3).mean(axis=0)
    assert third.sum() == pytest.approx(mean.sum(), rel=0.15)


def test_a_pixel_has_no_memory_of_its_neighbours() -> None:
    seen = drawn(evolve(PLAIN, halo=1.0, frame_side_px=600, probe_current_a=1e-13), 2)
    rough = (seen - seen.mean(axis=0))[0] / seen.std()
    for axis in (0, 1):
        shifted = np.roll(rough, 1, axis=axis)
        assert abs((rough * shifted).mean()) < 4 * (rough**2).mean() / 600


def test_a_strong_pattern_saturates_and_does_not_wrap() -> None:
    light = NO_PATTERN._replace(halo=np.full((2, 300), 1e4))
    assert (drawn(PLAIN, light=light)[0] + PLAIN.offset_dn == 65_535).all()


@pytest.mark.parametrize("place", [math.inf, -1e300, 1e9])
def test_a_pattern_far_away_is_not_drawn(place: float) -> None:
    all_of_it = evolve(PLAIN, ring=0.3, gradient=2.0, bands=0.5, specimen_seed=1)
    seen = scene(all_of_it, (place, 0.0), 0.170)
    disks = np.array([[place, 150.0, 1.0]])
    light = pattern(all_of_it, seen, specimen(all_of_it), disks, UPRIGHT)
    assert drawn(all_of_it, light=light, position=(place, 0.0)).max() < 60


def test_a_blanked_beam_leaves_the_beam_stop_alone() -> None:
    full = evolve(PLAIN, halo=1.0, ring=0.3, beam_stop_radii=1.0)
    dark = pattern(full, scene(full, None, 0.17), specimen(full), np.ones((1, 3)), UPRIGHT)
    assert len(dark.disks) == dark.halo.size == dark.ring.size == 0
    assert dark.stop[4] == RADIUS / 2
