"""Whether a blob is a disk: round, filled, with an edge; and whether it is clipped."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot_tasks.imaging.coarse import Blob, smooth
from stempilot_tasks.imaging.refine import radial_means

_STEEPNESS, _STEEPNESS_OF_LARGE, _LARGE = 0.3, 0.5, 0.1
"""Least drop across the edge, over the disk's contrast: lower for small disks, whose halo and blur
take their share, than for those beyond a tenth of the frame, where a smooth hump (0.35) is only an
uneven background."""

_EDGE_RINGS = (0.0, 0.6, 0.7, 0.85, 1.15, 1.3)
"""Radii, over the disk's, between which core, shoulder and outside are compared."""

_FULLNESS = (0.7, 1.2)
"""Area over that of the ellipse with the same extents; a square has 1.27."""

_RESOLVED_BLOCKS = 3.5
"""A blob of a smaller radius, in blocks, has no shape yet."""

_ASPECT = 1.6
_CALM = 12.0
"""Contrast over noise at which an edge shows clearly."""

_MOST_SMOOTHING = 8
_SMALL_RADIUS_PX = 10.0


def is_resolved(blob: Blob, block: int) -> bool:
    """Return whether a blob is large enough, in blocks, to have a shape."""
    return blob.radius > _RESOLVED_BLOCKS * block


def is_round(blob: Blob, block: int) -> bool:
    """Return whether a blob may be a disk by its shape; small ones have none to go by."""
    fullness = blob.radius**2 / (0.25 * blob.width * blob.height)
    aspect = max(blob.width, blob.height) / min(blob.width, blob.height)
    looser = 1.0 if is_resolved(blob, block) else 1.4
    low, high = _FULLNESS[0] / looser, _FULLNESS[1] * looser
    return low <= fullness <= high and aspect <= _ASPECT * looser


def is_steep(
    image: npt.NDArray[np.float64],
    x: float,
    y: float,
    radius: float,
    *,
    background: float,
    side: int,
) -> bool:
    """Return whether light fills a circle and falls off at its edge.

    Args:
        image: (rows, cols).
        x: column of the centre.
        y: row of the centre.
        radius: of the circle.
        background: of the whole frame, per pixel.
        side: shorter side of the whole frame.
    """
    # A small disk's edge is blurred over a pixel, which is a large part of its radius.
    blur = np.array([0.0, 0.0, -0.5, -0.5, 1.0, 2.0])
    rings = np.maximum.accumulate(np.array(_EDGE_RINGS) * radius + blur)
    core, _, shoulder, _, outside = radial_means(image, x, y, rings)
    contrast = core - background
    least = _STEEPNESS if radius < _LARGE * side else _STEEPNESS_OF_LARGE
    return bool(contrast > 0 and shoulder - outside >= least * contrast)


def calmed(
    image: npt.NDArray[np.float64], contrast: float, radius: float
) -> npt.NDArray[np.float64]:
    """Return the image smoothed until its noise no longer hides where the disk's edge is."""
    calm = smooth(image)
    for _ in range(_MOST_SMOOTHING):
        noise = float(np.std(np.diff(calm[::4, ::16], axis=1))) / math.sqrt(2)
        if noise < contrast / _CALM or radius < _SMALL_RADIUS_PX:
            break
        calm = smooth(calm)
    return calm


def clipping(
    frame: npt.NDArray[Any], x: float, y: float, radius: float, limit: float | None
) -> tuple[bool, float]:
    """Return whether more than a stray pixel of a disk is clipped, and what share of them is."""
    reach = 0.7 * radius
    rows = slice(max(0, int(y - reach)), int(y + reach) + 2)
    if limit is None and frame.dtype.kind == "f":
        return False, 0.0
    core = frame[rows, max(0, int(x - reach)) : int(x + reach) + 2]
    top = core.max()
    clipped = int(np.count_nonzero(core >= (top if limit is None else limit)))
    # Without a known limit, a plateau of equal largest values says that there is one.
    some = clipped > (max(4, 0.1 * core.size) if limit is None else 2)
    return some, clipped / core.size if some else 0.0
