"""The thorough search: where could circular edges of one radius have their centres?

Each place where the frame falls off steeply votes for the centres of the disks whose edge it may
be: those that lie up the slope, one for each radius. Where many votes meet lies a disk, whatever
else lies in the frame, above it or across it (Ballard, Pattern Recognit. 13 (1981) 111-122).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot import compiled

FloatImage = npt.NDArray[np.float32]

FINE_SIDE: Final = 520
"""A frame is searched as about so many blocks a side."""

_COARSER: Final = 2
"""Blocks to a cell in which votes are counted, a side."""

_STEEP, _STEEP_SHARE = 3.0, 0.1
"""An edge is this many times steeper than half of the frame, and has this share of the slope from
which on an edge counts no more."""

_STEEPEST, _STEEPEST_OF_FEW = 99.5, 12.0
"""That slope: so many per cent of the frame stay below it. A small disk has fewer edges than the
rest; then it is so many times the slope that half of the frame stays below."""

_FEWEST_VOTES: Final = 0.2
"""Votes per circumference over those of the best place."""

_FAVOUR: Final = 0.5
"""Votes are divided by this power of the radius: by less than the circumference, for a long edge
that agrees on a centre is better evidence than a short one."""

_FLOOR: Final = 10.0
"""Per cent of a frame that are darker than what counts as no light."""


@frozen(kw_only=True)
class Place:
    """A possible disk, in pixels of the frame."""

    x: float
    y: float
    radius: float


@frozen(kw_only=True, eq=False)
class Edges:
    """Where and how steeply a frame falls off, in blocks.

    Attributes:
        roots: (rows, cols) square root of the light.
        dx: slope along the columns.
        dy: slope along the rows.
        size: of the slope.
        least: slope from which on there is an edge.
        most: slope from which on an edge counts no more.
        block: side of a block in pixels.
    """

    roots: FloatImage
    dx: FloatImage
    dy: FloatImage
    size: FloatImage
    least: float
    most: float
    block: int


@compiled
def _roots(
    frame: FloatImage,
    bad: npt.NDArray[np.bool_],
    block: int,
    floor: np.float32,
    noise: np.float32,
) -> FloatImage:
    """Return the square root of the light in each block, which makes shot noise alike everywhere.

    Blocks without a sound pixel take the mean of the nearest ones in their row, or column.
    """
    rows, cols = frame.shape[0] // block, frame.shape[1] // block
    out = np.empty((rows, cols), np.float32)
    sums, counts = np.empty(cols * block, np.float32), np.empty(cols * block, np.int32)
    for y in range(rows):
        sums[:], counts[:] = 0.0, 0
        for i in range(y * block, (y + 1) * block):
            line, flags = frame[i], bad[i]
            # Written so that many columns are summed up at once.
            for j in range(cols * block):
                sums[j] += np.float32(0.0) if flags[j] else line[j]
                counts[j] += np.int32(0) if flags[j] else np.int32(1)
        for x in range(cols):
            total, count = np.float32(0.0), 0
            for j in range(x * block, (x + 1) * block):
                total += sums[j]
                count += counts[j]
            light = max(total / np.float32(count if count else 1) - floor, np.float32(0.0))
            out[y, x] = np.sqrt(light + noise * noise) if count else np.float32(-1.0)
    _bridge(out)
    _bridge(out.T)
    return out


@compiled
def _bridge(image: FloatImage) -> None:
    """Fill what is negative from the nearest numbers on both sides of its row."""
    rows, cols = image.shape
    for y in range(rows):
        x = 0
        while x < cols:
            if image[y, x] >= 0:
                x += 1
                continue
            end = x
            while end < cols and image[y, end] < 0:
                end += 1
            # A row that is bad all along is filled from the columns.
            if x > 0 and end < cols:
                fill = 0.5 * (image[y, x - 1] + image[y, end])
            elif x > 0:
                fill = image[y, x - 1]
            elif end < cols:
                fill = image[y, end]
            else:
                fill = image[y, x]
            for at in range(x, end):
                image[y, at] = fill
            x = end


@compiled
def _halved(image: FloatImage) -> FloatImage:
    """Return the mean of each 2 x 2 blocks."""
    rows, cols = image.shape[0] // 2, image.shape[1] // 2
    out = np.empty((rows, cols), np.float32)
    for y in range(rows):
        upper, lower = image[2 * y], image[2 * y + 1]
        for x in range(cols):
            left, right = upper[2 * x] + lower[2 * x], upper[2 * x + 1] + lower[2 * x + 1]
            out[y, x] = np.float32(0.25) * (left + right)
    return out


@compiled
def _slopes(image: FloatImage) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Return the slope (Sobel): along the columns, along the rows, and its size."""
    rows, cols = image.shape
    dx, dy = np.zeros((rows, cols), np.float32), np.zeros((rows, cols), np.float32)
    size = np.zeros((rows, cols), np.float32)
    for y in range(1, rows - 1):
        for x in range(1, cols - 1):
            corner = image[y + 1, x + 1] - image[y - 1, x - 1]
            other = image[y - 1, x + 1] - image[y + 1, x - 1]
            dx[y, x] = corner + other + 2 * (image[y, x + 1] - image[y, x - 1])
            dy[y, x] = corner - other + 2 * (image[y + 1, x] - image[y - 1, x])
            size[y, x] = np.sqrt(dx[y, x] ** 2 + dy[y, x] ** 2)
    return dx, dy, size


@compiled
def _cast(
    counted: FloatImage,
    edges: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    slopes: tuple[FloatImage, FloatImage, FloatImage],
    most: float,
    radius: float,
    cell: int,
) -> None:
    """Add the votes for disks of one radius to cells."""
    ys, xs = edges
    dy, dx, size = slopes
    rows, cols = counted.shape
    for at in range(ys.size):
        y, x = ys[at], xs[at]
        weight, reach = min(size[y, x], most), radius / size[y, x]
        to_x, to_y = (x + reach * dx[y, x]) / cell, (y + reach * dy[y, x]) / cell
        col, row = int(np.floor(to_x)), int(np.floor(to_y))
        if 0 <= col < cols - 1 and 0 <= row < rows - 1:
            east, south = to_x - col, to_y - row
            counted[row, col] += weight * (1 - east) * (1 - south)
            counted[row, col + 1] += weight * east * (1 - south)
            counted[row + 1, col] += weight * (1 - east) * south
            counted[row + 1, col + 1] += weight * east * south


@compiled
def _votes(
    dx: FloatImage,
    dy: FloatImage,
    size: FloatImage,
    least: float,
    most: float,
    radii: npt.NDArray[np.float64],
    cell: int,
    share: float,
) -> tuple[FloatImage, npt.NDArray[np.int32]]:
    """Return the most votes over a power of the radius for each cell, and for which radius."""
    rows, cols = size.shape[0] // cell + 1, size.shape[1] // cell + 1
    best = np.zeros((rows, cols), np.float32)
    which = np.zeros((rows, cols), np.int32)
    counted = np.empty((rows, cols), np.float32)
    ys, xs = np.nonzero(size >= least)
    for k in range(radii.size):
        counted[:] = 0.0
        _cast(counted, (ys, xs), (dy, dx, size), most, radii[k], cell)
        scale = 1.0 / radii[k] ** share
        for y in range(1, rows - 1):
            over, here, under = counted[y - 1], counted[y], counted[y + 1]
            for x in range(1, cols - 1):
                if here[x] <= 0.0:
                    continue
                near = scale * (
                    over[x - 1] + over[x] + over[x + 1]
                    + here[x - 1] + here[x] + here[x + 1]
                    + under[x - 1] + under[x] + under[x + 1]
                )  # fmt: skip
                if near > best[y, x]:
                    best[y, x], which[y, x] = near, k
    return best, which


def edges_of(frame: FloatImage, bad: npt.NDArray[np.bool_], block: int) -> Edges:
    """Return where and how steeply a frame falls off."""
    sample = frame[::8, ::8][~bad[::8, ::8]]
    low, middle = np.percentile(sample, (_FLOOR, 50.0)) if sample.size else (0.0, 0.0)
    noise = np.float32(max(middle - low, 1.0))
    return _edges(_roots(frame, bad, block, np.float32(low), noise), block)


def coarser(edges: Edges) -> Edges:
    """Return the edges in blocks of twice the side."""
    return _edges(_halved(edges.roots), 2 * edges.block)


def _edges(roots: FloatImage, block: int) -> Edges:
    dx, dy, size = _slopes(roots)
    noise, most = np.percentile(size[::4, ::4], (50.0, _STEEPEST)).tolist()
    most = max(most, _STEEPEST_OF_FEW * noise)
    least = max(_STEEP * noise, _STEEP_SHARE * most)
    return Edges(roots=roots, dx=dx, dy=dy, size=size, least=least, most=most, block=block)


def places(edges: Edges, radii: npt.NDArray[np.float64], count: int, apart: float) -> list[Place]:
    """Return the places with the most votes, the best first.

    Args:
        edges: of the frame.
        radii: to look for, in pixels of the frame.
        count: how many places at most.
        apart: least distance of two places over the larger radius.
    """
    if not edges.most > 0:
        return []
    block = edges.block
    best, which = _votes(
        edges.dx, edges.dy, edges.size, edges.least, edges.most, radii / block, _COARSER, _FAVOUR
    )
    middle = best[1:-1, 1:-1]
    top = middle >= _FEWEST_VOTES * middle.max()
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            top &= middle >= best[dy : dy + middle.shape[0], dx : dx + middle.shape[1]]
    ys, xs = np.nonzero(top)
    found: list[Place] = []
    for at in np.argsort(-middle[ys, xs], kind="stable"):
        y, x = int(ys[at]) + 1, int(xs[at]) + 1
        side = _COARSER * block
        place = Place(
            x=(x * side) + 0.5 * (block - 1),
            y=(y * side) + 0.5 * (block - 1),
            radius=float(radii[which[y, x]]),
        )
        if all(_are_apart(place, other, apart) for other in found):
            found.append(place)
            if len(found) == count:
                break
    return found


def _are_apart(one: Place, other: Place, least: float) -> bool:
    distance = float(np.hypot(one.x - other.x, one.y - other.y))
    return distance > least * max(one.radius, other.radius)
