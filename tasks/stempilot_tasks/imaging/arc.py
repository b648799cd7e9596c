"""Disks that the frame's edge cuts: a circle through the part of their edge that shows."""

import numpy as np
import numpy.typing as npt
from attrs import frozen

RAYS = 180
_ROUNDS = 3
_OUTLIER = 2.5


@frozen
class Circle:
    """A circle fitted to edge points, in pixels of the image.

    Attributes:
        x: column of its centre.
        y: row of its centre.
        radius: its radius.
        residual: RMS distance of the points from it.
        coverage: share of the full circle that the points cover.
    """

    x: float
    y: float
    radius: float
    residual: float
    coverage: float


def edge_points(
    image: npt.NDArray[np.float64], x: float, y: float, level: float, reach: float
) -> npt.NDArray[np.float64]:
    """Return (n, 2) points (x, y) where rays from a bright inside point first fall below a level.

    Rays that leave the image before that give no point.

    Args:
        image: (rows, cols), smoothed.
        x: column of the inside point.
        y: row of the inside point.
        level: half way between background and disk.
        reach: how far to follow a ray, in pixels.
    """
    rows, cols = image.shape
    angles = np.linspace(0.0, 2 * np.pi, RAYS, endpoint=False)
    steps = np.arange(0.0, reach, 0.5)
    xs = x + np.cos(angles)[:, None] * steps
    ys = y + np.sin(angles)[:, None] * steps
    col, row = np.rint(xs).astype(int), np.rint(ys).astype(int)
    # The outermost pixels belong to the frame's border, where a cut disk has no edge.
    inside = (col >= 1) & (row >= 1) & (col <= cols - 2) & (row <= rows - 2)
    values = np.where(inside, image[row.clip(0, rows - 1), col.clip(0, cols - 1)], np.nan)
    fallen = values < level
    left = np.isnan(values)
    first_fall = np.where(fallen.any(1), fallen.argmax(1), steps.size)
    first_left = np.where(left.any(1), left.argmax(1), steps.size)
    good = (first_fall < first_left) & (first_fall > 0) & (first_fall < steps.size)
    index = first_fall[good]
    ray = np.flatnonzero(good)
    before, after = values[ray, index - 1], values[ray, index]
    share = (before - level) / np.maximum(before - after, 1e-12)
    distance = steps[index - 1] + 0.5 * share
    return np.stack(
        [x + np.cos(angles[ray]) * distance, y + np.sin(angles[ray]) * distance], axis=1
    )


def fit_circle(points: npt.NDArray[np.float64]) -> Circle | None:
    """Return the circle that fits points best, outliers left out; ``None`` for too few points."""
    kept = points
    for _ in range(_ROUNDS):
        if len(kept) < RAYS // 10:
            return None
        origin = kept.mean(0)
        local = kept - origin
        design = np.column_stack([2 * local, np.ones(len(local))])
        solution, _, rank, _ = np.linalg.lstsq(design, (local**2).sum(1), rcond=None)
        square = solution[2] + solution[0] ** 2 + solution[1] ** 2
        if rank < design.shape[1] or square <= 0:
            return None
        centre, radius = solution[:2] + origin, float(np.sqrt(square))
        off = np.hypot(*(kept - centre).T) - radius
        residual = float(np.sqrt(np.mean(off**2)))
        good = np.abs(off) <= _OUTLIER * max(residual, 0.05)
        if good.all():
            break
        kept = kept[good]
    bearing = np.arctan2(*(kept - centre).T)
    sectors = np.unique(((bearing + np.pi) / (2 * np.pi) * 36).astype(int) % 36)
    return Circle(float(centre[0]), float(centre[1]), radius, residual, len(sectors) / 36)
