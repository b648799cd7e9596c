"""Matrices of two rows and two columns, for one instrument or for n at once.

A matrix is its four elements, row by row. Elements are numbers, or arrays of n numbers.
"""

import math
from typing import Any

import numpy as np

Numbers = Any
"""A float or an array of floats; results are what the arguments are."""
Vector = tuple[Numbers, Numbers]
Matrix = tuple[Numbers, Numbers, Numbers, Numbers]


def rotation(angle_rad: Numbers) -> Matrix:
    """Return the matrix that turns x towards y."""
    library = _library(angle_rad)
    cosine, sine = library.cos(angle_rad), library.sin(angle_rad)
    return (cosine, -sine, sine, cosine)


def rotation_by_degrees(angle_deg: Numbers) -> Matrix:
    """Return the same for an angle in degrees."""
    return rotation(_library(angle_deg).radians(angle_deg))


def shear_by_degrees(angle_deg: Numbers) -> Matrix:
    """Return the matrix that leans y towards x by an angle."""
    library = _library(angle_deg)
    return (1.0, library.tan(library.radians(angle_deg)), 0.0, 1.0)


def stretch(ratio: Numbers) -> Matrix:
    """Return the matrix that makes x longer than y by a ratio, at the same area."""
    root = _library(ratio).sqrt(ratio)
    return (root, 0.0, 0.0, 1.0 / root)


def mirror(mirrored: Numbers) -> Matrix:
    """Return the matrix that turns y round where ``mirrored`` is true or 1."""
    return (1.0, 0.0, 0.0, 1.0 - 2.0 * mirrored)


def scale(factor: Numbers) -> Matrix:
    """Return the matrix that makes both axes longer."""
    return (factor, 0.0, 0.0, factor)


def apply(matrix: Matrix, vector: Vector) -> Vector:
    """Return ``matrix @ vector``."""
    a, b, c, d = matrix
    x, y = vector
    return (a * x + b * y, c * x + d * y)


def product(left: Matrix, right: Matrix) -> Matrix:
    """Return ``left @ right``."""
    (a, c), (b, d) = apply(left, (right[0], right[2])), apply(left, (right[1], right[3]))
    return (a, b, c, d)


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of a regular matrix."""
    a, b, c, d = matrix
    determinant = a * d - b * c
    return (d / determinant, -b / determinant, -c / determinant, a / determinant)


def _library(value: Numbers) -> Any:
    """Return what computes with it: for one number `math` takes a third of the time."""
    return np if isinstance(value, np.ndarray) else math
