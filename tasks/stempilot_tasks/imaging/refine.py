"""The fine search: the centre of mass in a round region of interest, background subtracted.

Its noise per axis is about sqrt(r^2 / 4N + v pi R^4 / 4N^2), N electrons in a disk of radius r, v
the variance of a background pixel and R the radius of the region.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot import compiled
from stempilot_tasks.imaging.coarse import median_and_spread

REGION = 1.25
"""Radius of the region of interest over that of the disk."""

RING = (1.4, 1.9)
"""Ring that the local background is taken from, over the disk's radius."""

_ROUNDS = 8
_SETTLED_PX = 5e-4


@frozen
class Centre:
    """A refined centre.

    Attributes:
        x: column, in pixels of the image.
        y: row.
        signal: sum over the region, background subtracted.
        background: per pixel.
        noise: standard deviation of a background pixel.
    """

    x: float
    y: float
    signal: float
    background: float
    noise: float


@compiled
def without_hot_pixels(image: npt.NDArray[Any], threshold: float) -> npt.NDArray[np.float64]:
    """Return the image with pixels that stick out of all but one neighbour set to the third one.

    Args:
        image: (rows, cols).
        threshold: how far a pixel must stick out.
    """
    rows, cols = image.shape
    out = np.empty((rows, cols))
    for y in range(rows):
        for x in range(cols):
            value = float(image[y, x])
            out[y, x] = value
            # Nearly every pixel has two neighbours beside it that are bright enough.
            if 0 < x < cols - 1:
                left, right = float(image[y, x - 1]), float(image[y, x + 1])
                if value - left <= threshold and value - right <= threshold:
                    continue
            first = second = -np.inf
            for ny in range(max(y - 1, 0), min(y + 2, rows)):
                for nx in range(max(x - 1, 0), min(x + 2, cols)):
                    if ny == y and nx == x:
                        continue
                    near = float(image[ny, nx])
                    if near > first:
                        first, second = near, first
                    elif near > second:
                        second = near
            if value - second > threshold:
                out[y, x] = second
    return out


@compiled
def _ring(
    image: npt.NDArray[np.float64], x: float, y: float, inner: float, outer: float
) -> npt.NDArray[np.float64]:
    """Return the pixels between two circles, at most a few thousand of them."""
    rows, cols = image.shape
    stride = max(1, int(outer / 20))
    found = np.empty(rows * cols)
    count = 0
    for row in range(max(0, int(y - outer)), min(rows, int(y + outer) + 2), stride):
        for col in range(max(0, int(x - outer)), min(cols, int(x + outer) + 2), stride):
            square = (row - y) ** 2 + (col - x) ** 2
            if inner * inner <= square <= outer * outer:
                found[count] = image[row, col]
                count += 1
    return found[:count]


@compiled
def _moments(
    image: npt.NDArray[np.float64], x: float, y: float, radius: float, background: float
) -> tuple[float, float, float]:
    """Return sum and centre of mass inside a circle; pixels on the circle count by their share."""
    rows, cols = image.shape
    total = sx = sy = 0.0
    full, none = max(radius - 0.5, 0.0) ** 2, (radius + 0.5) ** 2
    for row in range(max(0, int(y - radius - 1)), min(rows, int(y + radius) + 3)):
        for col in range(max(0, int(x - radius - 1)), min(cols, int(x + radius) + 3)):
            square = (row - y) ** 2 + (col - x) ** 2
            if square >= none:
                continue
            value = image[row, col] - background
            if square > full:
                value *= radius + 0.5 - np.sqrt(square)
            total += value
            sx += value * (col - x)
            sy += value * (row - y)
    if total <= 0.0:
        return total, x, y
    return total, x + sx / total, y + sy / total


def refine(image: npt.NDArray[np.float64], x: float, y: float, radius: float) -> Centre | None:
    """Return the centre of mass around a coarse centre, ``None`` where it does not settle.

    Args:
        image: (rows, cols), without hot pixels.
        x: coarse centre, column.
        y: coarse centre, row.
        radius: radius of the disk.
    """
    rows, cols = image.shape
    ring = _ring(image, x, y, RING[0] * radius + 1, RING[1] * radius + 3)
    if ring.size == 0:
        return None
    background, noise = median_and_spread(ring)
    start_x, start_y = x, y
    total = 0.0
    for _ in range(_ROUNDS):
        # Near the frame's edge the region shrinks, so that it stays round about the disk.
        room = min(x, y, cols - 1 - x, rows - 1 - y) + 0.5
        region = max(min(REGION * radius + 1.0, room), radius)
        total, new_x, new_y = _moments(image, x, y, region, background)
        moved = max(abs(new_x - x), abs(new_y - y))
        x, y = new_x, new_y
        if total <= 0 or np.hypot(x - start_x, y - start_y) > radius:
            return None
        if moved < _SETTLED_PX:
            break
    return Centre(x=x, y=y, signal=total, background=background, noise=noise)


@compiled
def radial_means(
    image: npt.NDArray[np.float64], x: float, y: float, radii: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the mean of the image between successive circles; NaN where no pixel lies."""
    rows, cols = image.shape
    sums, counts = np.zeros(radii.size - 1), np.zeros(radii.size - 1)
    squares = radii**2
    outer = radii[-1]
    stride = max(1, int(outer / 20))
    for row in range(max(0, int(y - outer)), min(rows, int(y + outer) + 2), stride):
        for col in range(max(0, int(x - outer)), min(cols, int(x + outer) + 2), stride):
            square = (row - y) ** 2 + (col - x) ** 2
            for ring in range(sums.size):
                if squares[ring] <= square < squares[ring + 1]:
                    sums[ring] += image[row, col]
                    counts[ring] += 1.0
    means = np.full(sums.size, np.nan)
    for ring in range(sums.size):
        if counts[ring] > 0:
            means[ring] = sums[ring] / counts[ring]
    return means
