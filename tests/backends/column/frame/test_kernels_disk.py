"""The antialiased disk is exact in area and true in position."""

import math

import numpy as np
import pytest

from stempilot_backends.column.frame.kernels import coverage


def image(centre_x: float, centre_y: float, radius: float) -> np.ndarray:
    """Return the coverage of all pixels that the disk may touch, with 3 px of margin."""
    side = 2 * math.ceil(radius + 3) + 1
    middle = side // 2
    return np.array(
        [
            [coverage(column - middle - centre_x, row - middle - centre_y, radius)
             for column in range(side)]
            for row in range(side)
        ]
    )  # fmt: skip


OFFSETS = [(0.0, 0.0), (0.5, 0.5), (0.25, 0.0), (0.1, -0.37), (-0.49, 0.21), (0.333, 0.5)]


@pytest.mark.parametrize("radius", [0.3, 0.7, 1.0, 2.5, 9.0, 30.2, 60.0])
@pytest.mark.parametrize(("x", "y"), OFFSETS)
def test_the_area_is_that_of_the_circle(x: float, y: float, radius: float) -> None:
    assert image(x, y, radius).sum() == pytest.approx(math.pi * radius**2, rel=1e-9)


@pytest.mark.parametrize("radius", [9.0, 9.37, 13.3, 30.2, 45.5, 60.0])
@pytest.mark.parametrize(("x", "y"), OFFSETS)
def test_the_centre_of_mass_is_the_centre(x: float, y: float, radius: float) -> None:
    drawn = image(x, y, radius)
    middle = len(drawn) // 2
    rows, columns = np.indices(drawn.shape) - middle
    assert (drawn * columns).sum() / drawn.sum() == pytest.approx(x, abs=0.002)
    assert (drawn * rows).sum() / drawn.sum() == pytest.approx(y, abs=0.002)


@pytest.mark.parametrize(("x", "y", "radius"), [(4.1, 3.3, 5.0), (0.2, -9.1, 9.0), (0.0, 0.0, 0.4)])
def test_a_pixel_is_covered_as_finer_pixels_count(x: float, y: float, radius: float) -> None:
    fine = (np.arange(2000) + 0.5) / 2000 - 0.5
    inside = (x + fine[None, :]) ** 2 + (y + fine[:, None]) ** 2 <= radius**2
    assert coverage(x, y, radius) == pytest.approx(inside.mean(), abs=2e-4)


def test_pixels_are_whole_inside_and_empty_outside() -> None:
    assert coverage(3.0, 4.0, 9.0) == 1.0
    assert coverage(9.0, 9.0, 9.0) == 0.0
    assert coverage(9.0, 0.0, 9.0) == pytest.approx(0.5, abs=0.01)
