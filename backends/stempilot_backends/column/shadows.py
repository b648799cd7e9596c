"""What is read of Ronchigrams, without the frame: its noise and its limits, for n films at once.

The numbers are those of a fit to the rings in the power spectrum of the lit part, with coma and
threefold astigmatism up to 60 nm. Tests hold them against such a fit on frames.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.drive import Floats
from stempilot_backends.column.frame.camera import ELEMENTARY_CHARGE_C
from stempilot_backends.column.parameters import ColumnParameters

CLEAR_M: Final = (35e-9, 5e-9)
"""How far from focus the nearer of two directions must be for rings to show: mean and spread."""

LARGEST_RATIO: Final = 0.8
FARTHEST_M: Final = 8e-7
"""Largest astigmatism over the defocus, and largest defocus, that are told."""

DARK_E: Final = 3.0
"""Electrons of a pixel below which the disk does not stand out."""

_FLOORS_M = (0.25e-9, 0.15e-9)
_NEAR_M2 = (33e-18, 24e-18)
"""Errors of C1 and of A1's components far from focus, and their products with the nearer
direction's distance from it."""

_WEAK_E = 20.0
"""Electrons of a pixel from which their noise hardly matters."""

_MODEL_M = 0.3e-9
"""What a fit says that its model leaves out, beside what it sees."""


def dose_e(common: ColumnParameters, current_a: Floats, exposure_s: float) -> Floats:
    """Return the mean electrons of a pixel in the disk, (n,)."""
    electrons = current_a * (exposure_s / ELEMENTARY_CHARGE_C)
    return electrons / (math.pi * common.radius_px**2)


def read(aberrations: Floats, dose: Floats, normals: Floats) -> dict[str, NDArray[Any]]:
    """Return what is read, up to one common sign of C1 and A1, and NaN where nothing is told.

    Args:
        aberrations: (3, n) true C1, A1x and A1y in m.
        dose: (n,) of `dose_e`.
        normals: (4, n) standard normal numbers.

    Returns:
        lit: (n,) whether the disk shows.
        c1_m: (n,) defocus, not negative.
        a1_m: (n, 2) twofold astigmatism in x and y.
        uncertainty_m: (n, 3) standard uncertainties of C1, A1x and A1y as the fit says them.
    """
    size = np.abs(aberrations[0])
    wide = np.sqrt(aberrations[1] ** 2 + aberrations[2] ** 2)
    near, lit = size - wide, dose > DARK_E
    told = near > CLEAR_M[0] + CLEAR_M[1] * normals[3]
    told &= (wide <= LARGEST_RATIO * size) & (size <= FARTHEST_M) & lit
    weak = (1.0 + _WEAK_E / np.maximum(dose, DARK_E)) / np.maximum(near, 1e-9) ** 2
    of_c1, of_a1 = (
        np.sqrt(floor**2 + product**2 * weak)
        for floor, product in zip(_FLOORS_M, _NEAR_M2, strict=True)
    )
    found = np.copysign(1.0, aberrations[0]) * aberrations
    found[0] += of_c1 * normals[0]
    found[1:] += of_a1 * normals[1:3]
    unsure = np.sqrt(of_a1**2 + _MODEL_M**2)
    for values in (found, unsure):
        np.copyto(values, np.nan, where=~told)
    return {
        "lit": lit,
        "c1_m": np.abs(found[0]),
        "a1_m": found[1:].T,
        "uncertainty_m": np.broadcast_to(unsure, (3, len(unsure))).T.copy(order="K"),
    }
