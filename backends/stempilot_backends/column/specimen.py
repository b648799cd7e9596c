"""What an instrument has in the beam: its diffracted disks, and the structure of the direct one.

Lengths are in radii of the disk, directions turn with the pattern.
"""

import math
from functools import lru_cache

import numpy as np
from attrs import frozen
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from stempilot_backends.column.parameters import SPECIMEN, ColumnParameters

Floats = NDArray[np.float64]

RINGS = (1, 4)
RING_RADII = (2.5, 8.0)
GRAIN_SHARES = (0.005, 0.1)
"""Rings of a polycrystal, their radii, and the brightness of its disks over the direct one."""

BEAMS = (2, 10)
OBLIQUE_DEG = (60.0, 120.0)
LONGER_AXIS = 1.5
FAINTEST = 0.03
"""Beams of a crystal with the direct one, the angle between the pattern's shortest vectors, the
second of them over the first at most, and the faintest diffracted disk over the strongest."""

FLICKER = 1.2
TILT = 0.3
TILT_CYCLES = (50.0, 400.0)
"""By which factor a crystal's disks change from one frame to the next at most, the logarithm of
that by which the tilt changes them, and the cycles of the column that it takes to come back."""

BANDS = (1, 4)
BAND_RADII = (0.1, 0.5)
"""Bands across the direct disk, and how wide they are."""

_GRAINS, _CRYSTAL, _STRUCTURE = range(3)
_REACH = 4


@frozen(kw_only=True, eq=False)
class Specimen:
    """The beams of a specimen, the direct one first, and the structure of its disk.

    Attributes:
        places: (n, 2) of the beams from the direct one, x and y, in radii.
        shares: (n,) brightness over that of the direct disk in vacuum.
        leans: (n,) from -1 to 1, how the tilt acts on each beam; 0 for one that does not change.
        tilt_cycles: cycles of the column that the tilt takes to come back.
        tilt_phase: where it begins, in rad.
        flickers: whether intensities change from frame to frame.
        slope: (2,) by what part of itself the direct disk brightens in a radius, in x and y.
        bands: (m, 5) of bands across it: normal (x, y), start and end along it in radii, factor.
    """

    places: Floats
    shares: Floats
    leans: Floats
    tilt_cycles: float
    tilt_phase: float
    flickers: bool
    slope: Floats
    bands: Floats


def is_bare(parameters: ColumnParameters) -> bool:
    """Return whether frames show the disk alone."""
    return all(getattr(parameters, name) == getattr(_BARE, name) for name in SPECIMEN)


_BARE = ColumnParameters()


@lru_cache(maxsize=16)
def specimen(parameters: ColumnParameters) -> Specimen:
    """Return the specimen of an instrument; the same parameters give the same one."""
    rng = stream(parameters, _CRYSTAL)
    lattice, shares = _lattice(parameters, rng)
    grains, faint = _grains(parameters, stream(parameters, _GRAINS))
    towards = _direction(rng.uniform(0.0, 2.0 * math.pi))
    leans = lattice @ towards / max(float(np.hypot(*lattice.T).max(initial=0.0)), 1e-9)
    slope, bands = _structure(parameters, stream(parameters, _STRUCTURE))
    return Specimen(
        places=np.vstack([np.zeros((1, 2)), lattice, grains]),
        shares=np.concatenate([[1.0], shares, faint]),
        leans=np.concatenate([[0.0], leans, np.zeros(len(faint))]),
        tilt_cycles=rng.uniform(*TILT_CYCLES),
        tilt_phase=rng.uniform(0.0, 2.0 * math.pi),
        flickers=len(lattice) > 0,
        slope=slope,
        bands=bands,
    )


def shares_now(of: Specimen, cycles: float, rng: Generator) -> Floats:
    """Return the brightness of the beams in a frame, (n,), over the direct disk's in vacuum.

    The disks beside the direct one change, and not the direct one.

    Args:
        of: the specimen.
        cycles: cycles of the column that have passed.
        rng: draws the change from frame to frame.
    """
    if not of.flickers:
        return of.shares
    swing = TILT * math.sin(2.0 * math.pi * cycles / of.tilt_cycles + of.tilt_phase)
    flicker = FLICKER ** rng.uniform(-0.5, 0.5, len(of.shares))
    flicker[0] = 1.0
    return of.shares * np.exp(swing * of.leans) * flicker


def stream(parameters: ColumnParameters, part: int) -> Generator:
    """Return what a part of what stands beside the disk is drawn from."""
    return np.random.default_rng(SeedSequence(parameters.specimen_seed, spawn_key=(part,)))


def _grains(parameters: ColumnParameters, rng: Generator) -> tuple[Floats, Floats]:
    """Return the places of the disks on rings, (n, 2), and their brightness."""
    count = parameters.grains
    radii = rng.uniform(*RING_RADII, rng.integers(RINGS[0], RINGS[1] + 1))
    radius, angle = rng.choice(radii, count), rng.uniform(0.0, 2.0 * math.pi, count)
    low, high = GRAIN_SHARES
    shares = low * (high / low) ** rng.random(count)
    return (radius * _direction(angle)).T, shares


def _lattice(parameters: ColumnParameters, rng: Generator) -> tuple[Floats, Floats]:
    """Return the places of the excited disks of a crystal, (n, 2), and their brightness.

    They are those of the lattice that lie nearest to a point not far from the direct beam.
    """
    if parameters.diffracted == 0.0:
        return np.empty((0, 2)), np.empty(0)
    turn = rng.uniform(0.0, 2.0 * math.pi)
    between = math.radians(rng.uniform(*OBLIQUE_DEG))
    axes = np.stack([_direction(turn), rng.uniform(1.0, LONGER_AXIS) * _direction(turn + between)])
    count = int(rng.integers(BEAMS[0], BEAMS[1] + 1)) - 1
    steps = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1].reshape(2, -1).T
    points = steps[np.any(steps != 0, axis=1)] @ axes
    middle = rng.uniform(0.0, 1.5) * _direction(rng.uniform(0.0, 2.0 * math.pi))
    excited = points[np.argsort(np.hypot(*(points - middle).T), kind="stable")[:count]]
    shares = FAINTEST ** rng.random(count)
    shares[rng.integers(count)] = 1.0
    return parameters.spacing_radii * excited, parameters.diffracted * shares


def _structure(parameters: ColumnParameters, rng: Generator) -> tuple[Floats, Floats]:
    """Return the slope and the bands of the direct disk."""
    steep = (parameters.gradient - 1.0) / (parameters.gradient + 1.0)
    slope = steep * _direction(rng.uniform(0.0, 2.0 * math.pi))
    if parameters.bands == 0.0:
        return slope, np.empty((0, 5))
    count = int(rng.integers(BANDS[0], BANDS[1] + 1))
    normal = _direction(rng.uniform(0.0, 2.0 * math.pi))
    middle, width = rng.uniform(-0.9, 0.9, count), rng.uniform(*BAND_RADII, count)
    factor = 1.0 + parameters.bands * rng.choice([-1.0, 1.0], count)
    normals = np.tile(normal, (count, 1))
    return slope, np.column_stack([normals, middle - width / 2, middle + width / 2, factor])


def _direction(angle: float | Floats) -> Floats:
    """Return the unit vector at an angle, x and y; (2, n) for n angles."""
    return np.array([np.cos(angle), np.sin(angle)])
