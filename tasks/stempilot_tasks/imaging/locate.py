"""Finds the disks in a camera frame.

A frame with one disk and nothing else is quick: coarse blocks, threshold, the brightest compact
blob, and the centre of mass in a round region about it, with the local background subtracted. Any
sign of something else (light elsewhere, or an edge whose circle has another centre) calls the
thorough search, which goes by edges alone (see `crowded`).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from stempilot_tasks.imaging.arc import edge_points, fit_circle
from stempilot_tasks.imaging.blemishes import bad_pixels
from stempilot_tasks.imaging.coarse import Blob, Search, block_means, robust_block_means
from stempilot_tasks.imaging.crowded import LARGEST_SEARCHED_SHARE, disks_in, faint_disks_in
from stempilot_tasks.imaging.refine import refine, without_hot_pixels
from stempilot_tasks.imaging.rim import Rim, fit_rim
from stempilot_tasks.imaging.shape import calmed, clipping, is_resolved, is_round, is_steep

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

_ELSEWHERE = 0.02
"""Light elsewhere in the frame that does not matter, over the disk's contrast."""

_AROUND = 1.4
"""Elsewhere begins so many radii from the disk's centre."""

_CENTRES_AGREE, _PIXELS = 0.005, 0.1
"""Largest distance of the centre of mass from that of the edge, in radii, beside noise and what
the pixels make of a small disk's edge."""

_EVEN = 0.85
"""Least coverage of a disk that nothing lies across."""

_RAGGED = 0.12
"""Largest RMS distance of edge points from their circle, over its radius."""

_FINE_BLOCKS = 6
"""Blocks to a radius when a blob is measured again."""


@frozen
class DiskLocation:
    """Where a disk is. Positions in pixels, integers at pixel centres, origin top left.

    Attributes:
        visible: a disk, or a part of one, was found.
        cut: it touches the frame's edge.
        saturated: clipped pixels lie in it, or the whole frame is clipped.
        x_px: column of its centre; NaN where there is no centre to be trusted.
        y_px: row of its centre; NaN likewise.
        radius_px: its radius; NaN where unknown.
        contrast: how much it adds to a pixel of what lies under it; NaN where unknown.
        error_px: RMS distance of the points of its edge from a circle; NaN where it was not fitted.
        coverage: share of its edge inside the frame that lies on that circle; NaN likewise.
        clipped: share of its pixels that are clipped.
    """

    visible: bool
    cut: bool
    saturated: bool
    x_px: float = math.nan
    y_px: float = math.nan
    radius_px: float = math.nan
    contrast: float = math.nan
    error_px: float = math.nan
    coverage: float = math.nan
    clipped: float = 0.0


def locate_disk(pixels: npt.NDArray[Any], *, saturation: float | None = None) -> DiskLocation:
    """Return the most marked disk of a frame; arguments and errors as `find_disks` has them."""
    found = find_disks(pixels, saturation=saturation)
    if found:
        return found[0]
    limit = _limit(pixels.dtype, saturation)
    clipped = limit is not None and bool(np.mean(pixels[::7, ::7] >= limit) > 0.5)  # noqa: PLR2004
    return DiskLocation(visible=False, cut=False, saturated=clipped)


def find_disks(
    pixels: npt.NDArray[Any],
    *,
    saturation: float | None = None,
    radius_px: float | None = None,
    near_px: tuple[float, float] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
) -> tuple[DiskLocation, ...]:
    """Return the disks in a frame, the one with the most contrast first.

    They are of one radius, with a centre each. Where only a part of a disk shows, it is the only
    one that is returned, with a centre if enough of its edge shows.

    Args:
        pixels: (rows, cols), any real numbers, at least 64 x 64.
        saturation: value from which a pixel is clipped; the largest of its type when ``None``.
        radius_px: the disks' radius where it is known.
        near_px: column and row where one should be, if that is known: its neighbours may hide it.
        mask: (rows, cols) pixels that are known to be bad.

    Raises:
        TypeError: the pixels are not real numbers.
        ValueError: not a two-dimensional frame of at least 64 x 64 pixels.
    """
    frame = _checked(pixels)
    if frame is None:
        return ()
    limit = _limit(pixels.dtype, saturation)
    block = max(1, round(min(frame.shape) / COARSE_SIDE))
    search = Search(robust_block_means(frame, block), block, _COARSE_SIGNIFICANCE)
    found = _first_compact(frame, search, block, limit)
    if found and mask is None and _is_alone(frame, found, search):
        return (found,)
    bad = bad_pixels(frame, limit, mask)
    image = frame.astype(np.float32)
    rims = disks_in(image, bad, radius_px, near_px)
    if not rims and search.brightest_elsewhere() > search.threshold:
        rims = faint_disks_in(image, bad, radius_px, near_px)
    if rims:
        return tuple(_more_precise(_of_rim(frame, rim, limit), rim, found) for rim in rims)
    # What the frame's edge cuts, and what is too large for the thorough search, has no rim.
    large = found is not None and found.radius_px > LARGEST_SEARCHED_SHARE * min(frame.shape)
    return (found,) if found and (found.cut or large) else ()


def _first_compact(
    frame: npt.NDArray[Any], search: Search, block: int, limit: float | None
) -> DiskLocation | None:
    for _ in range(_CANDIDATES):
        blob = search.next()
        if blob is None:
            break
        found = _examine(frame, blob, block, limit)
        if found is not None:
            return found
    return None


def _is_alone(frame: npt.NDArray[Any], found: DiskLocation, search: Search) -> bool:
    """Return whether a disk is all that lies in a frame, and evenly lit up to a round edge."""
    if math.isnan(found.x_px):
        return search.brightest_elsewhere() <= search.threshold
    # What is clipped may be a flaw of the camera, beside which a disk is faint.
    share = 0.0 if found.saturated else _ELSEWHERE
    least = max(search.threshold, search.background + share * found.contrast)
    where = (found.x_px, found.y_px, _AROUND * found.radius_px)
    if search.brightest_elsewhere(where) > least:
        return False
    if found.cut or found.radius_px > LARGEST_SEARCHED_SHARE * min(frame.shape):
        return True
    reach = int(1.5 * found.radius_px) + 4
    left, top = max(0, int(found.x_px) - reach), max(0, int(found.y_px) - reach)
    view = frame[top : int(found.y_px) + reach, left : int(found.x_px) + reach].astype(np.float32)
    x, y = found.x_px - left, found.y_px - top
    rim = fit_rim(view, np.zeros(view.shape, np.bool_), x, y, found.radius_px, rounds=1)
    if rim is None:
        return False
    return rim.coverage > _EVEN and _agrees(rim, x, y)


def _agrees(rim: Rim, x: float, y: float) -> bool:
    """Return whether a centre of mass is as near to that of the edge as noise lets it be."""
    known_px = _PIXELS + _CENTRES_AGREE * rim.radius + 3 * rim.error / math.sqrt(rim.rays)
    return math.hypot(rim.x - x, rim.y - y) <= known_px


def _more_precise(disk: DiskLocation, rim: Rim, found: DiskLocation | None) -> DiskLocation:
    """Return a disk with its centre of mass, where that has been found and agrees with its edge."""
    if found is None or disk.cut or not _agrees(rim, found.x_px, found.y_px):
        return disk
    return evolve(disk, x_px=found.x_px, y_px=found.y_px)


def _of_rim(frame: npt.NDArray[Any], rim: Rim, limit: float | None) -> DiskLocation:
    rows, cols = frame.shape
    room = min(rim.x + 0.5, rim.y + 0.5, cols - 0.5 - rim.x, rows - 0.5 - rim.y)
    trusted = room >= _INSIDE * rim.radius
    saturated, clipped = clipping(frame, rim.x, rim.y, rim.radius, limit)
    return DiskLocation(
        visible=True,
        cut=room < rim.radius + 1.0,
        saturated=saturated,
        clipped=clipped,
        x_px=rim.x if trusted else math.nan,
        y_px=rim.y if trusted else math.nan,
        radius_px=rim.radius if trusted else math.nan,
        contrast=rim.contrast,
        error_px=rim.error,
        coverage=rim.coverage,
    )


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
        blob = self.blob
        saturated, clipped = clipping(self.frame, blob.x, blob.y, blob.radius, self.limit)
        return DiskLocation(
            visible=True,
            cut=cut,
            saturated=saturated,
            clipped=clipped,
            x_px=x + self.left,
            y_px=y + self.top,
            radius_px=radius,
            contrast=2 * (blob.level - blob.background),
        )


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
