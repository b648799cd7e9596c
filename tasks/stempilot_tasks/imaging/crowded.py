"""Disks in a crowded frame: among others of the same radius, halos, structure and defects."""

from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import evolve

from stempilot_tasks.imaging.rim import Rim, fit_rim
from stempilot_tasks.imaging.votes import FINE_SIDE, Edges, Place, coarser, edges_of, places

Frame = npt.NDArray[np.float32]

MOST_DISKS: Final = 24

_SMALLEST_RADIUS_PX: Final = 4.0
LARGEST_SEARCHED_SHARE: Final = 0.15
"""Largest radius to look for where none is known, over the frame's shorter side."""

_RADIUS_STEP: Final = 0.1
_BANDS, _FIRST_PLACES = 5, 4
"""Radii are looked for in so many bands, and so many places of each are examined."""

_FINE: Final = 8
"""Least radius in blocks that is looked for in blocks of twice the side."""

_NEAR: Final = (0.94, 1.0, 1.06)
"""Radii to look for, over the known one."""

_SAME_RADIUS: Final = 0.12
"""Largest difference of two radii that are the same, as a share."""

_LEAST_COVERAGE, _LEAST_COVERAGE_OF_SMALL, _SMALL_PX = 0.58, 0.8, 8.0
"""Least coverage, and that of radii below a limit, where chance makes many circles."""

_LEAST_COVERAGE_OF_EXACT, _EXACT = 0.48, 0.012
"""Least coverage of an edge that a beam stop hides, and how near to a circle the rest lies, as
a share of its radius."""

_RAGGED: Final = 0.06
"""Largest RMS distance of a rim's points from its circle, over its radius, beside half a pixel."""

_SHARP, _BLURRED_PX = 0.78, 15.0
"""Least sharpness of an edge; below that radius a pixel's own blur is a part of it."""

_FAINTEST: Final = 0.01
"""Least contrast over that of the most marked disk."""

_PEELS: Final = 2
"""How often the disks found are taken away to look for those that they hide."""

_LEFT_OVER: Final = 0.1
"""Least contrast of a disk found so, over that of the most marked one."""

_TWICE: Final = 0.35
"""Two disks whose centres are nearer, in radii, are one."""


def disks_in(
    frame: Frame,
    bad: npt.NDArray[np.bool_],
    radius_px: float | None = None,
    near_px: tuple[float, float] | None = None,
) -> list[Rim]:
    """Return the disks of one radius in a frame, the one of the most contrast first.

    Args:
        frame: (rows, cols).
        bad: pixels that say nothing, likewise.
        radius_px: the disks' radius; otherwise that of the disk with the most marked edge.
        near_px: column and row of a place to look at in any case.
    """
    side = min(frame.shape)
    block = max(1, round(side / FINE_SIDE))
    edges = edges_of(frame, bad, block)
    if radius_px is None:
        least, most = _SMALLEST_RADIUS_PX, LARGEST_SEARCHED_SHARE * side
        radii = np.exp(np.arange(np.log(least), np.log(most), _RADIUS_STEP))
        coarse = coarser(edges)
        first = [
            fit_rim(frame, bad, place.x, place.y, place.radius)
            for band in np.array_split(radii, _BANDS)
            for place in places(
                coarse if band[0] >= _FINE * block else edges, band, _FIRST_PLACES, 1.2
            )
        ]
        sound = [rim for rim in first if rim is not None and _is_disk(rim)]
        if not sound:
            return []
        radius_px = max(sound, key=_markedness).radius
    found = _of_radius(frame, bad, edges, radius_px, near_px, [])
    for _ in range(_PEELS):
        # Where disks overlap, the edge of a bright one hides that of its neighbour.
        rest = _without(frame, found)
        more = _of_radius(rest, bad, edges_of(rest, bad, block), radius_px, near_px, found)
        new = [rim for rim in more if _is_new(rim, found)]
        if not new:
            break
        found += new
    found.sort(key=lambda rim: -rim.contrast)
    return [rim for rim in found if rim.contrast >= _FAINTEST * found[0].contrast]


def faint_disks_in(
    frame: Frame,
    bad: npt.NDArray[np.bool_],
    radius_px: float | None = None,
    near_px: tuple[float, float] | None = None,
) -> list[Rim]:
    """Return the disks of a frame with few counts, seen in pixels of twice the side.

    Arguments as `disks_in` has them.
    """
    rows, cols = frame.shape[0] // 2, frame.shape[1] // 2
    fours = (rows, 2, cols, 2)
    sound = ~bad[: 2 * rows, : 2 * cols]
    light = np.where(sound, frame[: 2 * rows, : 2 * cols], 0).reshape(fours).sum((1, 3))
    count = sound.reshape(fours).sum((1, 3))
    found = disks_in(
        (light / np.maximum(count, 1)).astype(np.float32),
        count == 0,
        None if radius_px is None else radius_px / 2,
        None if near_px is None else (near_px[0] / 2 - 0.25, near_px[1] / 2 - 0.25),
    )
    return [
        evolve(
            rim, x=2 * rim.x + 0.5, y=2 * rim.y + 0.5, radius=2 * rim.radius, error=2 * rim.error
        )
        for rim in found
    ]


def _of_radius(
    frame: Frame,
    bad: npt.NDArray[np.bool_],
    edges: Edges,
    radius_px: float,
    near_px: tuple[float, float] | None,
    known: list[Rim],
) -> list[Rim]:
    found: list[Rim] = []
    where = places(edges, radius_px * np.array(_NEAR), MOST_DISKS, _TWICE)
    if near_px is not None:
        where.append(Place(x=near_px[0], y=near_px[1], radius=radius_px))
    for place in where:
        if not _is_apart(place, known):
            continue
        rim = fit_rim(frame, bad, place.x, place.y, radius_px)
        if rim is None or not (_is_disk(rim) and _is_alike(rim, radius_px)):
            continue
        if _is_apart(rim, found):
            found.append(rim)
    return found


def _is_apart(one: Rim | Place, others: list[Rim]) -> bool:
    least = _TWICE * one.radius
    return all(np.hypot(one.x - other.x, one.y - other.y) > least for other in others)


def _is_new(rim: Rim, found: list[Rim]) -> bool:
    """Return whether a disk in what is left of a frame is more than what a bad fit leaves."""
    strongest = max((one.contrast for one in found), default=0.0)
    return _is_apart(rim, found) and rim.contrast >= _LEFT_OVER * strongest


def _without(frame: Frame, disks: list[Rim]) -> Frame:
    """Return a frame less what disks add to it."""
    rest = frame.copy()
    for disk in disks:
        reach = disk.radius + 2
        left, top = max(0, int(disk.x - reach)), max(0, int(disk.y - reach))
        view = rest[top : int(disk.y + reach) + 1, left : int(disk.x + reach) + 1]
        rows, cols = (np.arange(size, dtype=np.float32) for size in view.shape)
        far = np.hypot(cols + left - disk.x, (rows + top - disk.y)[:, None])
        view -= np.float32(disk.contrast) * np.clip(disk.radius + 0.5 - far, 0, 1)
    return rest


def _is_disk(rim: Rim) -> bool:
    return (
        rim.coverage >= _least_coverage(rim)
        and rim.error <= _RAGGED * rim.radius + 0.5
        and rim.contrast > 0
        and (rim.sharpness >= _SHARP or rim.radius < _BLURRED_PX)
    )


def _least_coverage(rim: Rim) -> float:
    if rim.radius < _SMALL_PX:
        return _LEAST_COVERAGE_OF_SMALL
    exact = rim.error <= _EXACT * rim.radius + 0.1
    return _LEAST_COVERAGE_OF_EXACT if exact else _LEAST_COVERAGE


def _is_alike(rim: Rim, radius_px: float) -> bool:
    return abs(rim.radius - radius_px) <= _SAME_RADIUS * radius_px


def _markedness(rim: Rim) -> tuple[bool, float]:
    """Return how sure a rim is: large rather than a spot, with many rays that agree on it."""
    marked = rim.coverage**8 * rim.shown * rim.contrast * rim.radius**0.5
    return rim.radius >= _SMALL_PX, float(marked)
