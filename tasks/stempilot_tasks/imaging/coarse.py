"""The coarse search: where in a frame are compact bright blobs, and how big are they?

A frame is reduced to blocks, without the brightest pixel of each, so that hot pixels vanish. A blob
is what stands above the level half way between the background and the brightest block.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot import compiled

FloatImage = npt.NDArray[np.float64]

TRIMMED_BLOCK = 4
"""From this block side on, blocks lose their brightest pixel; below, pixels take a median."""

_SAMPLES = 1500
"""Blocks that background and noise are estimated from."""


@frozen
class Blob:
    """A connected group of bright blocks, in pixels of the image that it was found in.

    Attributes:
        x: intensity-weighted centre, column.
        y: intensity-weighted centre, row.
        radius: radius of the circle with the blob's area.
        width: extent in columns.
        height: extent in rows.
        level: half way between background and peak, per pixel.
        background: per pixel.
        noise: standard deviation of the background of one smoothed block, per pixel.
        touches: whether it reaches the image's border.
    """

    x: float
    y: float
    radius: float
    width: float
    height: float
    level: float
    background: float
    noise: float
    touches: bool


@compiled
def _blocks(
    pixels: npt.NDArray[Any], block: int, stride: int, sums: npt.NDArray[Any], trim: int
) -> FloatImage:
    """Return the mean of each block over every ``stride``-th row.

    Args:
        pixels: (rows, cols).
        block: side of a block.
        stride: rows to advance.
        sums: work space of a number per column, wide enough for the sum of a block.
        trim: 1 to leave out each block's brightest pixel, else 0.
    """
    rows, cols = pixels.shape[0] // block, pixels.shape[1] // block
    width = cols * block
    means = np.empty((rows, cols))
    tops = np.empty(width, pixels.dtype)
    count = block * ((block + stride - 1) // stride) - trim
    for row in range(rows):
        first = pixels[row * block]
        for x in range(width):
            sums[x] = first[x]
            tops[x] = first[x]
        for inner in range(stride, block, stride):
            line = pixels[row * block + inner]
            for x in range(width):
                sums[x] += line[x]
                tops[x] = max(tops[x], line[x])
        for col in range(cols):
            total = 0.0
            top = tops[col * block]
            for x in range(col * block, (col + 1) * block):
                total += sums[x]
                top = max(top, tops[x])
            means[row, col] = (total - trim * top) / count
    return means


@compiled
def _medians(pixels: npt.NDArray[Any], block: int) -> FloatImage:
    """Return the mean of each block of the 3 x 3 median of the pixels."""
    height, width = pixels.shape
    rows, cols = height // block, width // block
    means = np.zeros((rows, cols))
    near = np.empty(9)
    for y in range(rows * block):
        for x in range(cols * block):
            count = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    yy, xx = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                    value = float(pixels[yy, xx])
                    at = count
                    while at > 0 and near[at - 1] > value:
                        near[at] = near[at - 1]
                        at -= 1
                    near[at] = value
                    count += 1
            means[y // block, x // block] += near[4]
    return means / (block * block)


@compiled
def smooth(image: FloatImage) -> FloatImage:
    """Return the 3 x 3 mean, with the border repeated."""
    rows, cols = image.shape
    out = np.empty((rows, cols))
    for y in range(rows):
        up, down = max(y - 1, 0), min(y + 1, rows - 1)
        for x in range(cols):
            left, right = max(x - 1, 0), min(x + 1, cols - 1)
            out[y, x] = (
                image[up, left] + image[up, x] + image[up, right]
                + image[y, left] + image[y, x] + image[y, right]
                + image[down, left] + image[down, x] + image[down, right]
            ) / 9.0  # fmt: skip
    return out


@compiled
def _fill(
    image: FloatImage, taken: npt.NDArray[np.bool_], y: int, x: int, level: float, base: float
) -> npt.NDArray[np.float64]:
    """Flood the blob around (y, x); return its count, first moments and extents."""
    rows, cols = image.shape
    stack = np.empty((rows * cols, 2), np.int32)
    stack[0, 0], stack[0, 1] = y, x
    taken[y, x] = True
    size = 1
    count = weight = wx = wy = 0.0
    low_x, high_x, low_y, high_y = x, x, y, y
    while size:
        size -= 1
        cy, cx = stack[size, 0], stack[size, 1]
        value = image[cy, cx] - base
        count += 1.0
        weight += value
        wx += value * cx
        wy += value * cy
        low_x, high_x = min(low_x, cx), max(high_x, cx)
        low_y, high_y = min(low_y, cy), max(high_y, cy)
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            ny, nx = cy + dy, cx + dx
            if 0 <= ny < rows and 0 <= nx < cols and not taken[ny, nx] and image[ny, nx] > level:
                taken[ny, nx] = True
                stack[size, 0], stack[size, 1] = ny, nx
                size += 1
    return np.array([count, wx / weight, wy / weight, low_x, high_x, low_y, high_y])


def block_means(pixels: npt.NDArray[Any], block: int) -> FloatImage:
    """Return the mean of each block."""
    means: FloatImage = _blocks(pixels, block, 1, _work_space(pixels), 0)
    return means


def robust_block_means(pixels: npt.NDArray[Any], block: int) -> FloatImage:
    """Return block means that isolated hot pixels do not disturb."""
    means: FloatImage
    if block < TRIMMED_BLOCK:
        means = _medians(pixels, block)
    else:
        stride = 2 if block >= 2 * TRIMMED_BLOCK else 1
        means = _blocks(pixels, block, stride, _work_space(pixels), 1)
    return means


def _work_space(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a number per column; 32 bit hold the sums of 16-bit pixels and are fastest."""
    if pixels.dtype.kind == "u":
        return np.empty(pixels.shape[1], np.int32)
    return np.empty(pixels.shape[1], np.int64 if pixels.dtype.kind == "i" else np.float64)


def background_and_noise(image: FloatImage) -> tuple[float, float]:
    """Return the median of an image and its standard deviation as the lower quantile tells it.

    What is bright lies above the median and does not count.
    """
    flat = image.ravel()
    return median_and_spread(flat[:: max(1, flat.size // _SAMPLES)])


def median_and_spread(sample: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and its distance to the quantile one standard deviation below."""
    low, middle = int(0.1587 * (sample.size - 1)), (sample.size - 1) // 2
    ordered = np.partition(sample, (low, middle))
    return float(ordered[middle]), float(ordered[middle] - ordered[low])


class Search:
    """Finds the blobs of an image one after the other, the brightest first.

    Args:
        means: (rows, cols) of blocks.
        block: side of the blocks in pixels.
        significance: how far a blob's peak must stand above the background, in units of its noise.
    """

    def __init__(self, means: FloatImage, block: int, significance: float) -> None:
        self._image: FloatImage = smooth(means)
        self._block = block
        self._significance = significance
        self._taken = np.zeros(self._image.shape, np.bool_)
        self.background, self.noise = background_and_noise(self._image)

    @property
    def threshold(self) -> float:
        """What stands out of the background; in a drawing, which has no noise, that is little."""
        noise = max(self._significance * self.noise, 1e-9 * abs(self.background))
        return self.background + noise

    def brightest_elsewhere(self, circle: tuple[float, float, float] | None = None) -> float:
        """Return the brightest block outside a circle, or outside the blobs that were returned.

        Args:
            circle: column and row of its centre, and its radius, in pixels.
        """
        if circle is None:
            outside = self._image[~self._taken]
            return float(outside.max()) if outside.size else -np.inf
        x, y, radius = ((value + 0.5) / self._block - 0.5 for value in circle)
        reach = radius + 2
        top, left = max(0, int(y - reach)), max(0, int(x - reach))
        rest = self._image.copy()
        box = rest[top : max(0, int(y + reach) + 2), left : max(0, int(x + reach) + 2)]
        rows, cols = (np.arange(size) for size in box.shape)
        box[np.hypot(cols + (left - x), (rows + (top - y))[:, None]) <= reach] = -np.inf
        return float(rest.max())

    def next(self) -> Blob | None:
        """Return the brightest blob that was not returned before, ``None`` when none stands out."""
        image = np.where(self._taken, -np.inf, self._image) if self._taken.any() else self._image
        y, x = divmod(int(np.argmax(image)), image.shape[1])
        peak = float(image[y, x])
        if not peak > self.threshold:
            return None
        level = 0.5 * (peak + self.background)
        count, cx, cy, low_x, high_x, low_y, high_y = _fill(
            self._image, self._taken, y, x, level, self.background
        )
        rows, cols = image.shape
        block = self._block
        return Blob(
            x=(cx + 0.5) * block - 0.5,
            y=(cy + 0.5) * block - 0.5,
            radius=float(np.sqrt(count / np.pi)) * block,
            width=(high_x - low_x + 1) * block,
            height=(high_y - low_y + 1) * block,
            level=level,
            background=self.background,
            noise=self.noise,
            touches=low_x == 0 or low_y == 0 or high_x == cols - 1 or high_y == rows - 1,
        )
