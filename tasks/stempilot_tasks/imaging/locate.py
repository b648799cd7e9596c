"""Finds the bright-field disk in a camera frame."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from stempilot_tasks.imaging.arc import edge_points, fit_circle
from stempilot_tasks.imaging.coarse import Blob, Search, block_means, robust_block_means
from stempilot_tasks.imaging.refine import refine, without_hot_pixels
from stempilot_tasks.imaging.shape import calmed, is_clipped, is_resolved, is_round, is_steep

COARSE_SIDE = 128
"""The coarse search sees a frame as about so many blocks a side."""

SMALLEST_SIDE_PX = 64
SMALLEST_RADIUS_PX = 2.5
LARGEST_SHARE = 0.45
"""Largest radius of a disk over the frame's shorter side."""

_CANDIDATES = 8
_COARSE_SIGNIFICANCE = 6.0
_SIGNIFICANCE = 10.0
_INSIDE = 0.5
"""A cut disk has a centre when it lies so many radii inside the frame."""

_RAGGED = 0.12
"""Largest RMS distance of edge points from their circle, over its radius."""

_FINE_BLOCKS = 6
"""Blocks to a radius when a blob is measured again."""


@frozen
class DiskLocation:
    """Where the disk is. Positions in pixels, integers at pixel centres, origin top left.

    Attributes:
        visible: a disk, or a part of one, was found.
        cut: it touches the frame's edge.
        saturated: clipped pixels lie in it, or the whole frame is clipped.
        x_px: column of its centre; NaN where there is no centre to be trusted.
        y_px: row of its centre; NaN likewise.
        radius_px: its radius; NaN where unknown.
    """

    visible: bool
    cut: bool
    saturated: bool
    x_px: float = math.nan
    y_px: float = math.nan
    radius_px: float = math.nan


def locate_disk(pixels: npt.NDArray[Any], *, saturation: float | None = None) -> DiskLocation:
    """Return where the bright-field disk is in a frame.

    Coarse: blocks, threshold, the brightest compact blob. Fine: centre of mass in a round region of
    interest with the local background subtracted. A disk that the frame's edge cuts is centred by
    its visible arc, if enough of it shows.

    Args:
        pixels: (rows, cols), any real numbers, at least 64 x 64.
        saturation: value from which a pixel is clipped; the largest of its type when ``None``.

    Raises:
        TypeError: the pixels are not real numbers.
        ValueError: not a two-dimensional frame of at least 64 x 64 pixels.
    """
    frame = _checked(pixels)
    if frame is None:
        return DiskLocation(visible=False, cut=False, saturated=False)
    limit = _limit(pixels.dtype, saturation)
    block = max(1, round(min(frame.shape) / COARSE_SIDE))
    search = Search(robust_block_means(frame, block), block, _COARSE_SIGNIFICANCE)
    for _ in range(_CANDIDATES):
        blob = search.next()
        if blob is None:
            break
        found = _examine(frame, blob, block, limit)
        if found is not None:
            return found
    clipped = limit is not None and bool(np.mean(frame[::7, ::7] >= limit) > 0.5)  # noqa: PLR2004
    return DiskLocation(visible=False, cut=False, saturated=clipped)


def _checked(pixels: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """Return the frame in one of three types, or ``None`` when it holds NaN or infinity."""
    if pixels.ndim != 2 or min(pixels.shape) < SMALLEST_SIDE_PX:  # noqa: PLR2004 - rows, cols
        msg = f"a frame must be 2-D and at least 64 x 64 pixels, not {pixels.shape}"
        raise ValueError(msg)
    if pixels.dtype.kind not in "uif":
        msg = f"a frame must hold real numbers, not {pixels.dtype}"
        raise TypeError(msg)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        return None
    if pixels.dtype in (np.uint16, np.int32):
        return np.ascontiguousarray(pixels)
    small = pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= 2  # noqa: PLR2004 - bytes
    return np.ascontiguousarray(pixels, np.int32 if small else np.float64)


def _limit(dtype: np.dtype[Any], saturation: float | None) -> float | None:
    if saturation is not None:
        return saturation
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else None


@frozen
class _View:
    """A blob and the part of the frame around it, without hot pixels."""

    frame: npt.NDArray[Any]
    image: npt.NDArray[np.float64]
    left: int
    top: int
    blob: Blob
    limit: float | None

    @property
    def side(self) -> int:
        return int(min(self.frame.shape))

    def located(self, x: float, y: float, radius: float, *, cut: bool) -> DiskLocation:
        """Return a disk centred at a position of the view."""
        return DiskLocation(
            True, cut, is_clipped(self.frame, self.blob, self.limit),
            x + self.left, y + self.top, radius,
        )  # fmt: skip


def _examine(
    frame: npt.NDArray[Any], blob: Blob, block: int, limit: float | None
) -> DiskLocation | None:
    """Return the disk that a blob belongs to, ``None`` where it is none."""
    if blob.radius > 1.5 * LARGEST_SHARE * min(frame.shape):
        return None
    if is_resolved(blob, block) and not (blob.touches or is_round(blob, block)):
        return None
    view, at_edge = _view(frame, blob, block, limit), _meets_frame_edge(frame, blob, block)
    # A blob of a few blocks only says where to look: measure it again in finer blocks.
    finer = max(1, int(blob.radius / _FINE_BLOCKS))
    if finer < block:
        again = Search(block_means(view.image, finer), finer, 0.0).next()
        if again is None or (again.touches and not at_edge):
            return None
        blob, block = evolve(again, x=again.x + view.left, y=again.y + view.top), finer
        view = evolve(view, blob=blob)
        at_edge = at_edge or _meets_frame_edge(frame, blob, block)
    if blob.radius < SMALLEST_RADIUS_PX:
        return None
    if at_edge:
        return _near_the_edge(view)
    return _whole(view, blob.x, blob.y, blob.radius) if is_round(blob, block) else None


def _view(frame: npt.NDArray[Any], blob: Blob, block: int, limit: float | None) -> _View:
    reach = 2.2 * blob.radius + 2 * block + 4
    rows, cols = frame.shape
    left, top = max(0, int(blob.x - reach)), max(0, int(blob.y - reach))
    right, bottom = min(cols, int(blob.x + reach) + 2), min(rows, int(blob.y + reach) + 2)
    image = frame[top:bottom, left:right].astype(np.float64)
    threshold = blob.level - blob.background + 8 * max(blob.noise, 1e-12) * block
    return _View(frame, without_hot_pixels(image, threshold), left, top, blob, limit)


def _meets_frame_edge(frame: npt.NDArray[Any], blob: Blob, block: int) -> bool:
    rows, cols = frame.shape
    room = min(blob.x, blob.y, cols - 1 - blob.x, rows - 1 - blob.y)
    # Less than a block at the border is left out, and what reaches into the last one touches it.
    return bool(room < blob.radius + 2 * block)


def _whole(view: _View, x: float, y: float, radius: float) -> DiskLocation | None:
    """Return the disk of which a centre in the frame and a radius are roughly known."""
    centre = refine(view.image, x - view.left, y - view.top, radius)
    if centre is None:
        return None
    area = math.pi * radius**2
    significant = centre.signal >= _SIGNIFICANCE * centre.noise * math.sqrt(area)
    steep = is_steep(
        view.image, centre.x, centre.y, radius, background=view.blob.background, side=view.side
    )
    return view.located(centre.x, centre.y, radius, cut=False) if significant and steep else None


def _near_the_edge(view: _View) -> DiskLocation | None:
    """Return a disk near the frame's edge: whole after all, cut with or without a centre."""
    blob, image = view.blob, view.image
    inside_x, inside_y = blob.x - view.left, blob.y - view.top
    calm = calmed(image, 2 * (blob.level - blob.background), blob.radius)
    circle = fit_circle(edge_points(calm, inside_x, inside_y, blob.level, 2.5 * blob.radius))
    if circle is None or not (
        circle.residual <= _RAGGED * circle.radius + 0.5
        and SMALLEST_RADIUS_PX <= circle.radius <= LARGEST_SHARE * view.side
        # The part that shows cannot be larger than the whole.
        and circle.radius >= 0.85 * blob.radius
        and is_steep(
            image, circle.x, circle.y, circle.radius, background=blob.background, side=view.side
        )
    ):
        return None
    x, y = circle.x + view.left, circle.y + view.top
    rows, cols = view.frame.shape
    room = min(x + 0.5, y + 0.5, cols - 0.5 - x, rows - 0.5 - y)
    if room >= circle.radius + 1.0:
        return _whole(view, x, y, circle.radius)
    if room < _INSIDE * circle.radius:
        return evolve(view.located(0, 0, math.nan, cut=True), x_px=math.nan, y_px=math.nan)
    return view.located(circle.x, circle.y, circle.radius, cut=True)
