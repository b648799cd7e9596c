"""The edge of a disk: a circle through the places where rays from its centre fall off.

What lies across the disk (structure, a beam stop, a neighbour) gives some rays another fall; these
are left out. What a disk adds to what lies under it is the height of the fall.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from numba import njit

_ROUNDS: Final = 4
_SPREADS: Final = 6
"""Circles fitted to the falls of one round, each with less weight on what the last one missed."""

_FEWEST: Final = 12
"""Rays that a circle needs."""

_LEAST_FALL: Final = 0.35
"""Least height of a fall over the middle one's."""

_CLEAR: Final = 2.0
"""Least height of a fall over what a quarter of the rays rise by at most: where there is no disk,
they rise as they fall."""


@frozen
class Rim:
    """A disk's edge, in pixels of the frame.

    Attributes:
        x: column of its centre.
        y: row of its centre.
        radius: its radius.
        error: RMS distance of its points from the circle.
        coverage: share of the rays with a fall on the circle, of those that stay in the frame.
        shown: share of the rays that stay in the frame.
        contrast: how much the disk adds to a pixel.
        sharpness: contrast over half the distance, as a share: half of it on a slope, all of it at
            an edge.
        rays: how many rays have a fall on the circle.
    """

    x: float
    y: float
    radius: float
    error: float
    coverage: float
    shown: float
    contrast: float
    sharpness: float
    rays: int


@njit(cache=True)
def _falls(
    frame: npt.NDArray[Any],
    bad: npt.NDArray[np.bool_],
    circle: tuple[float, float, float],
    reach: float,
    rays: int,
    width: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return where each ray falls most, from the circle, by how much, and how much one rises.

    Where a ray does not fall, or leaves the frame, the place is NaN.
    """
    x, y, radius = circle
    rows, cols = frame.shape
    step = 0.5 if radius < 30.0 else 1.0  # noqa: PLR2004  a large disk's points are many
    wide = max(1, round(width / step))
    low = max(0.35 * radius, radius - reach)
    count = int((radius + reach - low) / step) + 1
    aside = radius * math.pi / rays / 3
    where, height, rise = np.full(rays, np.nan), np.zeros(rays), np.zeros(rays)
    sums, known = np.zeros(count + 2 * wide + 1), np.zeros(count + 2 * wide + 1)
    falls = np.empty(count)
    for ray in range(rays):
        angle = 2 * math.pi * ray / rays
        along, across = math.cos(angle), math.sin(angle)
        for i in range(count + 2 * wide):
            out, total, seen = low + (i - wide) * step, 0.0, 0
            for side in range(-1, 2):
                col = round(x + out * along - side * aside * across)
                row = round(y + out * across + side * aside * along)
                if 0 <= col < cols and 0 <= row < rows and not bad[row, col]:
                    total += frame[row, col]
                    seen += 1
            sums[i + 1] = sums[i] + (total / seen if seen else 0.0)
            known[i + 1] = known[i] + (1.0 if seen else 0.0)
        best = -1
        for i in range(count):
            inner, outer = known[i + wide] - known[i], known[i + 2 * wide] - known[i + wide]
            if 2 * inner < wide or 2 * outer < wide:
                falls[i] = np.nan
                continue
            falls[i] = (sums[i + wide] - sums[i]) / inner - (
                sums[i + 2 * wide] - sums[i + wide]
            ) / outer
            rise[ray] = max(rise[ray], -falls[i])
            if falls[i] > 0 and (best < 0 or falls[i] > falls[best]):
                best = i
        if best < 0:
            continue
        offset = 0.0
        if 0 < best < count - 1:
            bend = falls[best - 1] - 2 * falls[best] + falls[best + 1]
            if bend < 0:
                offset = 0.5 * (falls[best - 1] - falls[best + 1]) / bend
        where[ray] = low + (best - 0.5 + offset) * step - radius
        height[ray] = falls[best]
    return where, height, rise


@njit(cache=True)
def _nudge(
    where: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> tuple[float, float, float, bool]:
    """Return the weighted least squares of a shift in x and y and a change of the radius."""
    rays = where.size
    m = np.zeros((3, 4))
    for ray in range(rays):
        if weights[ray] <= 0:
            continue
        angle = 2 * math.pi * ray / rays
        row = (math.cos(angle), math.sin(angle), 1.0, where[ray])
        for i in range(3):
            for j in range(4):
                m[i, j] += weights[ray] * row[i] * row[j]
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    for i in range(3):
        m[i, i] += 1e-9 * trace
    for i in range(3):
        if not m[i, i] > 1e-6 * trace:
            return 0.0, 0.0, 0.0, False
        for k in range(i + 1, 3):
            share = m[k, i] / m[i, i]
            for j in range(i, 4):
                m[k, j] -= share * m[i, j]
    wider = m[2, 3] / m[2, 2]
    down = (m[1, 3] - m[1, 2] * wider) / m[1, 1]
    right = (m[0, 3] - m[0, 2] * wider - m[0, 1] * down) / m[0, 0]
    return right, down, wider, True


@njit(cache=True)
def _clear(
    seen: npt.NDArray[np.bool_], height: npt.NDArray[np.float64], rise: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return which of the falls seen are no noise, and not much less than the others."""
    if seen.sum() < _FEWEST:
        return np.zeros(seen.size, np.bool_)
    noise = np.sort(rise[seen])[seen.sum() // 4]
    least = max(_LEAST_FALL * np.median(height[seen]), _CLEAR * noise)
    clear: npt.NDArray[np.bool_] = seen & (height > least)
    return clear


@njit(cache=True)
def _circle(
    frame: npt.NDArray[Any], bad: npt.NDArray[np.bool_], x: float, y: float, radius: float
) -> npt.NDArray[np.float64]:
    """Return the numbers of a `Rim`; NaN where no circle settles."""
    nothing = np.full(9, np.nan)
    rays = min(max(int(4.4 * radius), 64), 120)
    reach = 0.3 * radius + 2.0
    start_x, start_y = x, y
    left, good = np.zeros(rays), np.zeros(rays, np.bool_)
    seen = np.zeros(rays, np.bool_)
    where = np.zeros(rays)
    height = np.zeros(rays)
    for _ in range(_ROUNDS):
        width = min(max(0.25 * radius, 2.0), 8.0)
        where, height, rise = _falls(frame, bad, (x, y, radius), reach, rays, width)
        seen = ~np.isnan(where)
        good = _clear(seen, height, rise)
        if good.sum() < _FEWEST:
            return nothing
        # The radius may be far off at first; the middle ray says by how much.
        right, down, wider = 0.0, 0.0, float(np.median(where[good]))
        scale = max(0.5 * reach, 1.2)
        for _ in range(_SPREADS):
            weights = np.zeros(rays)
            for ray in range(rays):
                if good[ray]:
                    angle = 2 * math.pi * ray / rays
                    left[ray] = where[ray] - (
                        right * math.cos(angle) + down * math.sin(angle) + wider
                    )
                    weights[ray] = max(1.0 - (left[ray] / scale) ** 2, 0.0) ** 2
            used = weights > 0
            if used.sum() < _FEWEST:
                return nothing
            right, down, wider, sound = _nudge(where, weights)
            if not sound:
                return nothing
            scale = max(min(scale, 4.5 * np.median(np.abs(left[used]))), 1.0)
        x, y, radius = x + right, y + down, radius + wider
        if radius < 2.0 or math.hypot(x - start_x, y - start_y) > radius:  # noqa: PLR2004
            return nothing
        reach = max(0.6 * reach, 0.1 * radius + 1.5)
    on = good & (np.abs(left) < max(0.05 * radius, 0.8))
    if on.sum() < _FEWEST:
        return nothing
    error = math.sqrt(np.mean(left[on] ** 2))
    shown, contrast = seen.sum(), np.median(height[on])
    near = _falls(frame, bad, (x, y, radius), 2.0, rays, 0.5 * width)[1]
    sharpness = np.median(near[on]) / contrast
    covered = on.sum() / shown
    return np.array([x, y, radius, error, covered, shown / rays, contrast, sharpness, on.sum()])


def fit_rim(
    frame: npt.NDArray[Any], bad: npt.NDArray[np.bool_], x: float, y: float, radius: float
) -> Rim | None:
    """Return the edge of a disk of which centre and radius are roughly known.

    Args:
        frame: (rows, cols).
        bad: pixels that say nothing, likewise.
        x: column of the centre.
        y: row of the centre.
        radius: of the disk.

    Returns:
        ``None`` where no circle settles.
    """
    numbers = _circle(frame, bad, float(x), float(y), float(radius))
    *most, rays = numbers.tolist()
    return None if np.isnan(numbers[0]) else Rim(*most, int(rays))
