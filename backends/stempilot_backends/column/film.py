"""An amorphous film of carbon, as the phase that it gives to the electrons.

The film is periodic over wavelength / pixel angle: then its diffraction lies on the camera's own
pixels, and nothing is approximated.
"""

import math
from functools import lru_cache

import numpy as np
from attrs import frozen
from numpy.random import Generator
from numpy.typing import NDArray

from stempilot_backends.column.parameters import REST_V, ColumnParameters

THICKNESS_M = 5e-9
ATOMS_PER_M3 = 1.0e29
"""Carbon of 2 g/cm^3."""

SOURCE_M = 0.03e-9
"""RMS size of the source on the film, per axis. It damps what the film shows."""

PIECES = 4
"""Different films, each with room for any number of fresh areas. They are kept."""

# Doyle and Turner, Acta Cryst. A 24 (1968) 390: carbon, in Angstrom and its square.
_HEIGHTS = (0.7307, 1.1951, 0.4563, 0.1247)
_WIDTHS = (36.9951, 11.2966, 2.8139, 0.3456)


@frozen
class Area:
    """Where on which film the probe stands.

    Attributes:
        piece: which film.
        place_m: (x, y) of the probe on it; periodic.
    """

    piece: int
    place_m: tuple[float, float]


def fresh_area(rng: Generator) -> Area:
    """Return an area that was drawn at random."""
    x, y = rng.random(2).tolist()
    return Area(int(rng.integers(PIECES)), (x * _FAR_M, y * _FAR_M))


_FAR_M = 1e-6
"""Much longer than a film's period."""


def scattering_m(frequency_per_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scattering factor of a carbon atom for electrons at rest, in metres.

    Args:
        frequency_per_m: spatial frequency g, that is 2 sin(theta) / wavelength.
    """
    square = (frequency_per_m * 1e-10 / 2.0) ** 2
    parts = np.exp(-np.multiply.outer(square, _WIDTHS))
    factor: NDArray[np.float64] = parts @ (1e-10 * np.array(_HEIGHTS))
    return factor


def film(parameters: ColumnParameters, piece: int) -> NDArray[np.complex64]:
    """Return how a piece of film transmits the electrons, (side, side) over one period. Read-only.

    Args:
        parameters: of the column; the camera's grid and the wavelength matter.
        piece: which one.
    """
    return _film(
        piece,
        parameters.frame_side_px,
        parameters.wavelength_m / parameters.pixel_rad_in_use,
        parameters.wavelength_m * (1.0 + parameters.accelerating_voltage_v / REST_V),
    )


@lru_cache(maxsize=PIECES)
def _film(piece: int, side: int, period_m: float, strength_m: float) -> NDArray[np.complex64]:
    from scipy import fft

    cell = (period_m / side) ** 2
    atoms = np.random.default_rng(piece).poisson(ATOMS_PER_M3 * THICKNESS_M * cell, (side, side))
    along = fft.rfftfreq(side, period_m / side)
    down = fft.fftfreq(side, period_m / side)[:, np.newaxis]
    frequency = np.hypot(along, down)
    factor = scattering_m(frequency) * np.exp(-2.0 * (math.pi * SOURCE_M * frequency) ** 2)
    seen = fft.rfft2(atoms.astype(np.float32)) * factor.astype(np.float32)
    phase = fft.irfft2(seen, (side, side)) * np.float32(strength_m / cell)
    through: NDArray[np.complex64] = np.exp(1j * phase).astype(np.complex64)
    through.setflags(write=False)
    return through
