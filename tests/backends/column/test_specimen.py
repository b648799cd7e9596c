"""A specimen keeps to the ranges that its constants say, and fills them."""

import math

import numpy as np
import pytest
from attrs import evolve

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.parameters import SPECIMEN
from stempilot_backends.column.specimen import (
    BAND_RADII,
    BANDS,
    BEAMS,
    FAINTEST,
    FLICKER,
    GRAIN_SHARES,
    RING_RADII,
    RINGS,
    TILT,
    Specimen,
    is_bare,
    shares_now,
    specimen,
)

MANY = 300


def specimens(**options: float) -> list[Specimen]:
    """Return those of many instruments that differ in their seed alone."""
    plain = ColumnParameters(**options)
    return [specimen(evolve(plain, specimen_seed=seed)) for seed in range(MANY)]


def fills(values: np.ndarray | list[float], low: float, high: float) -> bool:
    """Return whether values lie between two ends and come near both of them."""
    near = 0.05 * (high - low)
    return bool(
        low - 1e-9 <= np.min(values) <= low + near and high - near <= np.max(values) <= high + 1e-9
    )


def distances(of: Specimen) -> np.ndarray:
    """Return the distances between beams, (n, n), in radii; that of a beam to itself is far."""
    apart: np.ndarray = np.hypot(*(of.places[:, np.newaxis] - of.places).T)
    return apart + 99.0 * np.eye(len(apart))


def test_the_ranges_are_those_that_are_to_be_coped_with() -> None:
    assert (RINGS, RING_RADII, GRAIN_SHARES) == ((1, 4), (2.5, 8.0), (0.005, 0.1))
    assert (BEAMS, FLICKER) == ((2, 10), 1.2)
    assert BAND_RADII == (0.1, 0.5)


def test_a_polycrystal_is_faint_disks_on_rings() -> None:
    found = specimens(grains=100)
    radii = [np.unique(np.hypot(*one.places[1:].T).round(9)) for one in found]
    assert all(len(one.places) == 101 for one in found)
    assert {len(each) for each in radii} == set(range(RINGS[0], RINGS[1] + 1))
    assert fills(np.concatenate(radii), *RING_RADII)
    assert fills(np.concatenate([one.shares[1:] for one in found]), *GRAIN_SHARES)
    angles = np.concatenate([np.arctan2(*one.places[1:].T) for one in found])
    assert fills(angles, -math.pi, math.pi)
    assert not any(one.flickers for one in found)


@pytest.mark.parametrize("spacing", [0.8, 2.2, 8.0])
def test_a_crystal_is_a_lattice_of_disks(spacing: float) -> None:
    found = specimens(diffracted=1.7, spacing_radii=spacing)
    assert {len(one.places) for one in found} == set(range(BEAMS[0], BEAMS[1] + 1))
    for one in found:
        assert (one.places[0] == 0.0).all()
        assert one.shares[0] == 1.0
        assert one.shares[1:].max() == pytest.approx(1.7)
        assert one.shares[1:].min() >= 1.7 * FAINTEST * (1 - 1e-9)
        assert distances(one).min() >= spacing * (1 - 1e-9)


def test_the_spacing_is_the_shortest_distance_of_the_lattice_at_any_rotation() -> None:
    ten = [one for one in specimens(diffracted=1.0, spacing_radii=3.0) if len(one.places) > 7]
    assert [distances(one).min() for one in ten] == pytest.approx([3.0] * len(ten))
    angles = []
    for one in ten:
        first, second = np.unravel_index(np.argmin(distances(one)), distances(one).shape)
        x, y = one.places[first] - one.places[second]
        angles.append(math.atan2(y, x) % math.pi)
    assert fills(angles, 0.0, math.pi)


def test_places_lie_on_one_lattice() -> None:
    for one in specimens(diffracted=1.0, spacing_radii=1.0)[:50]:
        places = one.places[np.argsort(np.hypot(*one.places.T))]
        if len(places) < 5:
            continue
        first = places[1]
        crosses = np.abs(places[1:, 0] * first[1] - places[1:, 1] * first[0])
        if crosses.max() < 1e-9:
            continue
        second = places[1:][np.flatnonzero(crosses > 1e-9)[0]]
        steps = places @ np.linalg.inv(np.stack([first, second]))
        # A cell of the nearest two may hold more than one point of the lattice, though few.
        assert np.abs(12 * steps - (12 * steps).round()).max() < 1e-6


def test_a_crystal_changes_by_a_fifth_from_frame_to_frame() -> None:
    (one, *_) = (each for each in specimens(diffracted=1.0) if len(each.places) == BEAMS[1])
    rng = np.random.default_rng(0)
    frames = np.array([shares_now(one, 0.0, rng) for _ in range(2000)])
    assert (frames[:, 0] == 1.0).all()  # the direct beam
    changes = frames[1:, 1:] / frames[:-1, 1:]
    assert fills(np.log(changes).ravel(), -math.log(FLICKER), math.log(FLICKER))
    apart = np.corrcoef(frames[:, 1:].T) - np.eye(len(one.shares) - 1)
    assert np.abs(apart).max() < 0.1


def test_a_slow_tilt_makes_one_side_brighter_and_the_other_fainter() -> None:
    one = next(each for each in specimens(diffracted=1.0) if np.abs(each.leans).max() > 0.9)
    rng = np.random.default_rng(0)
    cycles = np.linspace(0.0, one.tilt_cycles, 200)
    seen = np.array([shares_now(one, now, rng) for now in cycles]) / one.shares
    swing = np.sin(2 * math.pi * cycles / one.tilt_cycles + one.tilt_phase)
    for lean, shares in zip(one.leans, seen.T, strict=True):
        left = np.log(shares) - TILT * lean * swing
        assert np.abs(left).max() <= math.log(FLICKER) / 2 + 1e-9
    assert min(each.tilt_cycles for each in specimens(diffracted=1.0)) >= 50.0


def test_what_is_no_crystal_does_not_change() -> None:
    one = specimen(ColumnParameters(grains=50, halo=1.0, bands=0.5))
    first, second = (shares_now(one, 7.0 * i, np.random.default_rng(i)) for i in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("gradient", [1.0, 1.5, 3.0])
def test_the_gradient_is_the_ratio_of_the_edges(gradient: float) -> None:
    found = specimens(gradient=gradient)
    steep = np.array([np.hypot(*one.slope) for one in found])
    assert (1 + steep) / (1 - steep) == pytest.approx(np.full(MANY, gradient))
    if gradient > 1.0:
        assert fills([math.atan2(*one.slope) for one in found], -math.pi, math.pi)


def test_bands_are_bright_or_dark() -> None:
    found = specimens(bands=0.6)
    assert {len(one.bands) for one in found} == set(range(BANDS[0], BANDS[1] + 1))
    bands = np.concatenate([one.bands for one in found])
    assert fills(bands[:, 3] - bands[:, 2], *BAND_RADII)
    assert np.hypot(bands[:, 0], bands[:, 1]) == pytest.approx(np.ones(len(bands)))
    assert set(bands[:, 4].round(9)) == {0.4, 1.6}
    # Each lies at least in part across the disk.
    assert np.abs(bands[:, 2:4].mean(axis=1)).max() < 1.0


def test_vacuum_is_bare_and_any_row_of_a_specimen_is_not() -> None:
    vacuum = ColumnParameters()
    assert is_bare(vacuum)
    assert is_bare(evolve(vacuum, specimen_seed=5, hot_pixels=4, vignetting=0.2))
    for name in SPECIMEN:
        changed = getattr(vacuum, name) + 1
        assert not is_bare(
            evolve(vacuum, **{name: bool(changed) if name == "defects" else changed})
        )
