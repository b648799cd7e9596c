"""What is read of Ronchigrams, without the frame: its noise and its limits, for n films at once.

The numbers are those of a fit to the rings in the power spectrum of the lit part, with coma and
threefold astigmatism up to 60 nm. Tests hold them against such a fit on frames.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stempilot import compiled
from stempilot_backends.column.drive import Floats
from stempilot_backends.column.frame.camera import ELEMENTARY_CHARGE_C
from stempilot_backends.column.parameters import ColumnParameters

CLEAR_M: Final = (55e-9, 4e-9)
_ROUNDER: Final = 0.3
"""How far from focus a film must be for rings to show, mean and spread; astigmatism takes away so
much of itself."""

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
    count = len(dose)
    lit, c1 = np.empty(count, np.bool_), np.empty(count)
    a1, unsure = np.empty((count, 2)), np.empty((count, 3))
    _read(aberrations, dose, normals, lit, c1, a1, unsure)
    return {"lit": lit, "c1_m": c1, "a1_m": a1, "uncertainty_m": unsure}


@compiled
def _read(
    aberrations: Floats,
    dose: Floats,
    normals: Floats,
    lit: NDArray[np.bool_],
    c1: Floats,
    a1: Floats,
    unsure: Floats,
) -> None:
    """Fill what `read` returns."""
    for i in range(dose.size):
        focus, x, y = aberrations[0, i], aberrations[1, i], aberrations[2, i]
        size, wide = abs(focus), math.sqrt(x * x + y * y)
        near = size - wide
        lit[i] = dose[i] > DARK_E
        told = lit[i] and size - _ROUNDER * wide > CLEAR_M[0] + CLEAR_M[1] * normals[3, i]
        if not (told and wide <= LARGEST_RATIO * size and size <= FARTHEST_M):
            c1[i] = np.nan
            a1[i, :], unsure[i, :] = np.nan, np.nan
            continue
        weak = (1.0 + _WEAK_E / dose[i]) / (near * near)
        of_c1 = math.sqrt(_FLOORS_M[0] ** 2 + _NEAR_M2[0] ** 2 * weak)
        of_a1 = math.sqrt(_FLOORS_M[1] ** 2 + _NEAR_M2[1] ** 2 * weak)
        sign = math.copysign(1.0, focus)
        c1[i] = abs(size + of_c1 * normals[0, i])
        a1[i, 0] = sign * x + of_a1 * normals[1, i]
        a1[i, 1] = sign * y + of_a1 * normals[2, i]
        unsure[i, :] = math.sqrt(of_a1 * of_a1 + _MODEL_M**2)
