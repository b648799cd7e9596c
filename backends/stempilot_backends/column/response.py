"""From knob to frame: the linear response and the distortion of the projector, as pure functions.

Positions are (x, y) from the frame centre, in pixels; x runs along columns and y down the rows.
Numbers are those of one column, or arrays for n columns at once.
"""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from stempilot_backends.column.matrix import Matrix, Numbers, Vector, apply, product, rotation
from stempilot_backends.column.parameters import ROWS, ColumnParameters
from stempilot_backends.column.rows import NOTHING

_NEWTON_STEPS = 60


def pattern_matrix(parameters: ColumnParameters) -> Matrix:
    """Return pixels per radian of the pattern: the camera length's magnification and rotation."""
    scale = 1.0 / parameters.pixel_rad_in_use
    a, b, c, d = rotation(math.radians(parameters.pattern_turn_deg))
    return (scale * a, scale * b, scale * c, scale * d)


def response_matrix(parameters: ColumnParameters, drawn: Mapping[str, Any] = NOTHING) -> Matrix:
    """Return pixels per radian of the knob, before distortion.

    The parts of the rows apply one after the other, then the knob is imaged. A full published
    action of 23.04 mrad moves the disk of the default instrument by 40.78 px.

    Args:
        parameters: of the column.
        drawn: for n columns, (n,) values in place of the parameters'.
    """
    parts = (
        row.response(drawn.get(name, getattr(parameters, name)))
        for name, row in ROWS.items()
        if row.response is not None
    )
    return product(
        pattern_matrix(parameters), reduce(lambda done, part: product(part, done), parts)
    )


def distort(ideal_px: Vector, parameters: ColumnParameters) -> Vector:
    """Return where a beam that belongs at ``ideal_px`` is observed.

    With r the distance from the centre and R half the frame side, the radius is magnified by
    1 + distortion_gain (r/R)^2 and the direction turned by distortion_swirl_rad (r/R)^2.
    """
    square = _relative_square(ideal_px, parameters)
    magnification = 1.0 + parameters.distortion_gain * square
    x, y = apply(rotation(parameters.distortion_swirl_rad * square), ideal_px)
    return (magnification * x, magnification * y)


def undistort(observed_px: Vector, parameters: ColumnParameters) -> Vector:
    """Return the ideal position that `distort` takes to ``observed_px``.

    Raises:
        ValueError: a negative ``distortion_gain`` never reaches as far out as ``observed_px``.
    """
    x, y = observed_px
    ratio = 1.0 / (1.0 + _curvature(parameters) * _ideal_radius(np.hypot(x, y), parameters) ** 2)
    shrunk = (ratio * x, ratio * y)
    turn = parameters.distortion_swirl_rad * _relative_square(shrunk, parameters)
    return apply(rotation(-turn), shrunk)


def distortion_jacobian(ideal_px: Vector, parameters: ColumnParameters) -> Matrix:
    """Return the derivative of `distort` at ``ideal_px``."""
    square = _relative_square(ideal_px, parameters)
    gain, swirl = parameters.distortion_gain, parameters.distortion_swirl_rad
    magnification = 1.0 + gain * square
    turn = rotation(swirl * square)
    x, y = ideal_px
    # d(observed) / d((r/R)^2), to be chained with the gradient of (r/R)^2.
    u, v = apply(turn, (gain * x - magnification * swirl * y, gain * y + magnification * swirl * x))
    half = parameters.frame_side_px / 2
    gx, gy = 2.0 * x / half**2, 2.0 * y / half**2
    a, b, c, d = turn
    return (
        magnification * a + u * gx,
        magnification * b + u * gy,
        magnification * c + v * gx,
        magnification * d + v * gy,
    )


def _relative_square(position_px: Vector, parameters: ColumnParameters) -> Numbers:
    """Return the squared distance from the centre, in half frame sides."""
    x, y = position_px
    return (x * x + y * y) / (parameters.frame_side_px / 2) ** 2


def _curvature(parameters: ColumnParameters) -> float:
    return parameters.distortion_gain / (parameters.frame_side_px / 2) ** 2


def _ideal_radius(distance_px: Numbers, parameters: ColumnParameters) -> Numbers:
    """Solve r (1 + gain (r/R)^2) = distance by Newton's method, monotone from r = distance."""
    curvature = _curvature(parameters)
    radius = distance_px
    for _ in range(_NEWTON_STEPS):
        slope = 1.0 + 3.0 * curvature * radius**2
        if np.any(slope <= 0.0):
            break
        step = (radius * (1.0 + curvature * radius**2) - distance_px) / slope
        radius = radius - step
        if np.all(np.abs(step) <= 1e-14 * radius):
            return radius
    raise ValueError(
        f"distance {np.max(distance_px):.1f} px from the centre is not reached with "
        f"distortion_gain = {parameters.distortion_gain:g}; choose a position nearer to the centre"
    )
