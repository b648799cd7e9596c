"""The edge of a disk: a circle through the places where rays from its centre fall off.

What lies across the disk (structure, a beam stop, a neighbour) gives some rays another fall; these
are left out. What a disk adds to what lies under it is the height of the fall.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot import compiled

Floats = npt.NDArray[np.float64]

_HOPELESS: Final = ((0.15, 0.3), (0.1, 0.4), None)
"""The rounds of a fit; in the first ones, least share of the rays whose fall must lie within so
many radii of the circle."""

_SPREADS: Final = 6
"""Circles fitted to the falls of one round, each with less weight on what the last one missed."""

_FEWEST: Final = 12
"""Rays that a circle needs."""

_SMALLEST_RADIUS: Final = 2.0

_LEAST_FALL: Final = 0.35
"""Least height of a fall over the middle one's."""

_CLEAR: Final = 2.0
"""Least height of a fall over what a quarter of the rays rise by at most: where there is no disk,
they rise as they fall."""


@frozen(kw_only=True)
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
            an edge; NaN after a single round.
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


@compiled
def _along(
    frame: npt.NDArray[Any],
    bad: npt.NDArray[np.bool_],
    start: tuple[float, float],
    ray: tuple[float, float, float],
    steps: tuple[float, float],
    sums: Floats,
    known: Floats,
) -> None:
    """Sum up the light along a ray, three pixels wide, and how many of its steps show.

    Args:
        frame: (rows, cols).
        bad: pixels that say nothing, likewise.
        start: column and row that the ray comes from.
        ray: its direction, and how far its outer pixels lie beside it.
        steps: distance of the first step from the start, and that between two.
        sums: (n + 1,) sums up to each step.
        known: likewise.
    """
    rows, cols = frame.shape
    along, across, aside = ray
    for i in range(sums.size - 1):
        out, total, seen = steps[0] + i * steps[1], 0.0, 0
        for side in range(-1, 2):
            col = round(start[0] + out * along - side * aside * across)
            row = round(start[1] + out * across + side * aside * along)
            if 0 <= col < cols and 0 <= row < rows and not bad[row, col]:
                total += frame[row, col]
                seen += 1
        sums[i + 1] = sums[i] + (total / seen if seen else 0.0)
        known[i + 1] = known[i] + (1.0 if seen else 0.0)


@compiled
def _steepest(sums: Floats, known: Floats, wide: int) -> tuple[float, float, float]:
    """Return at which step a ray falls most, by how much, and how much it rises at most.

    Compared are the means of ``wide`` steps before and after. The step is NaN where it never falls.
    """
    count = sums.size - 1 - 2 * wide
    falls, best, rise = np.full(count, np.nan), -1, 0.0
    for i in range(count):
        inner, outer = known[i + wide] - known[i], known[i + 2 * wide] - known[i + wide]
        if 2 * inner < wide or 2 * outer < wide:
            continue
        after = (sums[i + 2 * wide] - sums[i + wide]) / outer
        falls[i] = (sums[i + wide] - sums[i]) / inner - after
        rise = max(rise, -falls[i])
        if falls[i] > 0 and (best < 0 or falls[i] > falls[best]):
            best = i
    if best < 0:
        return np.nan, 0.0, rise
    offset = 0.0
    if 0 < best < count - 1:
        bend = falls[best - 1] - 2 * falls[best] + falls[best + 1]
        if bend < 0:
            offset = 0.5 * (falls[best - 1] - falls[best + 1]) / bend
    return best - 0.5 + offset, falls[best], rise


@compiled
def _falls(
    frame: npt.NDArray[Any],
    bad: npt.NDArray[np.bool_],
    circle: tuple[float, float, float],
    reach: float,
    rays: int,
    width: float,
) -> tuple[Floats, Floats, Floats]:
    """Return where each ray falls most, from the circle, by how much, and how much one rises.

    Where a ray does not fall, or leaves the frame, the place is NaN.
    """
    x, y, radius = circle
    step = 0.5 if radius < 30.0 else 1.0  # noqa: PLR2004  a large disk's points are many
    wide = max(1, round(width / step))
    low = max(0.35 * radius, radius - reach)
    count = int((radius + reach - low) / step) + 1 + 2 * wide
    where, height, rise = np.full(rays, np.nan), np.zeros(rays), np.zeros(rays)
    sums, known = np.zeros(count + 1), np.zeros(count + 1)
    for ray in range(rays):
        angle = 2 * math.pi * ray / rays
        direction = math.cos(angle), math.sin(angle), radius * math.pi / rays / 3
        _along(frame, bad, (x, y), direction, (low - wide * step, step), sums, known)
        at, height[ray], rise[ray] = _steepest(sums, known, wide)
        where[ray] = low + at * step - radius
    return where, height, rise


@compiled
def _nudge(where: Floats, weights: Floats) -> tuple[float, float, float, bool]:
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


@compiled
def _ranked(values: Floats, used: npt.NDArray[np.bool_], share: float) -> float:
    """Return the value below which that share of the used ones lies; 0 where none is used."""
    # By insertion: there are few, and numba takes seconds to compile a sort.
    ordered, count = np.zeros(values.size), 0
    for i in range(values.size):
        if not used[i]:
            continue
        at = count
        while at > 0 and ordered[at - 1] > values[i]:
            ordered[at] = ordered[at - 1]
            at -= 1
        ordered[at] = values[i]
        count += 1
    return ordered[int(share * count)] if count else 0.0


@compiled
def _clear(seen: npt.NDArray[np.bool_], height: Floats, rise: Floats) -> npt.NDArray[np.bool_]:
    """Return which of the falls seen are no noise, and not much less than the others."""
    least = max(_LEAST_FALL * _ranked(height, seen, 0.5), _CLEAR * _ranked(rise, seen, 0.25))
    clear: npt.NDArray[np.bool_] = seen & (height > least)
    return clear


@compiled
def _settled(where: Floats, good: npt.NDArray[np.bool_], scale: float) -> tuple[Floats, bool]:
    """Return the shift in x and y and the change of the radius that most falls agree on.

    Each round gives less weight to the falls that the one before missed (Tukey's biweight).
    """
    rays = where.size
    # The radius may be far off at first; the middle ray says by how much.
    change = np.array([0.0, 0.0, _ranked(where, good, 0.5)])
    for _ in range(_SPREADS):
        left = _left(where, change)
        weights = np.zeros(rays)
        for ray in range(rays):
            if good[ray]:
                weights[ray] = max(1.0 - (left[ray] / scale) ** 2, 0.0) ** 2
        used = weights > 0
        if used.sum() < _FEWEST:
            return change, False
        change[0], change[1], change[2], sound = _nudge(where, weights)
        if not sound:
            return change, False
        scale = max(min(scale, 4.5 * _ranked(np.abs(left), used, 0.5)), 1.0)
    return change, True


@compiled
def _left(where: Floats, change: Floats) -> Floats:
    """Return how far falls lie from the circle that was changed."""
    left = np.empty(where.size)
    for ray in range(where.size):
        angle = 2 * math.pi * ray / where.size
        left[ray] = where[ray] - (
            change[0] * math.cos(angle) + change[1] * math.sin(angle) + change[2]
        )
    return left


def _share_on(
    left: Floats, good: npt.NDArray[np.bool_], seen: npt.NDArray[np.bool_], most: float
) -> float:
    """Return the share of the rays with a fall so near to the circle."""
    on = good & (np.abs(left) < max(most, 1.2))
    return float(np.count_nonzero(on) / np.count_nonzero(seen))


def fit_rim(
    frame: npt.NDArray[Any],
    bad: npt.NDArray[np.bool_],
    x: float,
    y: float,
    radius: float,
    *,
    rounds: int = len(_HOPELESS),
) -> Rim | None:
    """Return the edge of a disk of which centre and radius are roughly known.

    Args:
        frame: (rows, cols).
        bad: pixels that say nothing, likewise.
        x: column of the centre.
        y: row of the centre.
        radius: of the disk.
        rounds: how often its falls are looked for, ever closer to the circle; one is enough where
            centre and radius are known well.

    Returns:
        ``None`` where no circle settles.
    """
    most = min(max(int(4.4 * radius), 64), 120)
    reach, start = 0.3 * radius + 2.0, (x, y)
    for left_out in _HOPELESS[-rounds:]:
        # The first rounds only bring the circle near, or show that there is none.
        rays = most if left_out is None else most // 2
        width = min(max(0.25 * radius, 2.0), 8.0)
        where, height, rise = _falls(frame, bad, (x, y, radius), reach, rays, width)
        seen = np.isfinite(where)
        good = _clear(seen, height, rise)
        if np.count_nonzero(good) < _FEWEST:
            return None
        change, sound = _settled(where, good, max(0.5 * reach, 1.2))
        left = _left(where, change)
        x, y, radius = (np.array((x, y, radius)) + change).tolist()
        gone = math.hypot(x - start[0], y - start[1]) > radius
        if not sound or gone or radius < _SMALLEST_RADIUS:
            return None
        if left_out is not None and _share_on(left, good, seen, left_out[0] * radius) < left_out[1]:
            return None
        reach = max(0.6 * reach, 0.1 * radius + 1.5)
    on = good & (np.abs(left) < max(0.05 * radius, 0.8))
    if np.count_nonzero(on) < _FEWEST:
        return None
    contrast, sharpness = float(np.median(height[on])), math.nan
    if rounds > 1:
        near = _falls(frame, bad, (x, y, radius), 2.0, rays, 0.5 * width)[1]
        sharpness = float(np.median(near[on])) / contrast
    return Rim(
        x=x,
        y=y,
        radius=radius,
        error=float(np.sqrt(np.mean(left[on] ** 2))),
        coverage=float(np.count_nonzero(on) / np.count_nonzero(seen)),
        shown=float(np.mean(seen)),
        contrast=contrast,
        sharpness=sharpness,
        rays=int(np.count_nonzero(on)),
    )
