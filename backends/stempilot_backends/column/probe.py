"""The aberrations of the probe: what the knobs bring, and what the instrument has of its own.

Those with a direction are complex, x along columns and y down the rows of the camera.
"""

import cmath
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.matrix import apply, mirror, product, rotation_by_degrees, scale
from stempilot_backends.column.parameters import ColumnParameters
from stempilot_backends.column.rows import NOTHING

STIGMATOR_M = 1e-6
"""Astigmatism that a unit of the stigmator brings at a scale of 1."""

Floats = NDArray[np.float64]


class Aberrations(NamedTuple):
    """Coefficients of the aberration function, in metres.

    With w = x + iy, an angle, and Re the real part, it is
    2 pi / wavelength Re{C1 |w|^2 / 2 + A1 conj(w)^2 / 2 + conj(B2) |w|^2 w + A2 conj(w)^3 / 3
    + C3 |w|^4 / 4}.

    Attributes:
        c1: Defocus; negative under focus.
        a1: Twofold astigmatism.
        b2: Axial coma.
        a2: Threefold astigmatism.
        c3: Spherical aberration.
    """

    c1: float
    a1: complex
    b2: complex = 0.0
    a2: complex = 0.0
    c3: float = 0.0

    def turned(self, angle_rad: float) -> "Aberrations":
        """Return what they are in a pattern that is turned from x to y."""
        turn = cmath.exp(1j * angle_rad)
        return Aberrations(self.c1, self.a1 * turn**2, self.b2 * turn, self.a2 * turn**3, self.c3)


def probe_response(parameters: ColumnParameters, drawn: Mapping[str, Any] = NOTHING) -> Floats:
    """Return what C1, A1x and A1y gain in metres per unit of the knobs, (3, 3) or (3, 3, n).

    The columns are the focus knob, in metres, and the two of the stigmator.

    Args:
        parameters: of the column.
        drawn: for n columns, (n,) values in place of the parameters'.
    """

    def of(name: str) -> Any:
        return drawn.get(name, getattr(parameters, name))

    size = scale(STIGMATOR_M * of("stigmator_scale"))
    axes = product(
        rotation_by_degrees(of("stigmator_rotation_deg")),
        product(mirror(1.0 * of("stigmator_mirrored")), size),
    )
    focus = apply(size, (of("stigmator_focus_x"), of("stigmator_focus_y")))
    rows = ((of("defocus_scale"), *focus), (0.0, *axes[:2]), (0.0, *axes[2:]))
    return np.array([np.broadcast_arrays(*row, *axes)[:3] for row in rows], np.float64)


def aberrations(parameters: ColumnParameters, settled: Floats) -> Aberrations:
    """Return all aberrations as the camera shows them.

    Args:
        parameters: of the column.
        settled: (3,) what C1, A1x and A1y are, before the pattern is turned.
    """
    c1, a1x, a1y = settled.tolist()
    return Aberrations(
        c1,
        complex(a1x, a1y),
        cmath.rect(parameters.coma_m, math.radians(parameters.coma_deg)),
        cmath.rect(parameters.threefold_m, math.radians(parameters.threefold_deg)),
        parameters.spherical_m,
    ).turned(math.radians(parameters.pattern_turn_deg))


def turned_astigmatism(parameters: ColumnParameters) -> Floats:
    """Return what turns (C1, A1x, A1y) with the pattern, (3, 3)."""
    a, b, c, d = rotation_by_degrees(2.0 * parameters.pattern_turn_deg)
    return np.array([[1.0, 0.0, 0.0], [0.0, a, b], [0.0, c, d]])
