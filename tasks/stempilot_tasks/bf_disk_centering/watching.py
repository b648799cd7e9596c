"""Which disk is the direct beam, told by standing still: a crystal's disks change, it does not.

A drifting or bent crystal changes its diffracted disks from frame to frame. Where all disks change,
the direct beam too, or none does, this tells nothing.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stempilot_tasks.bf_disk_centering.choosing import RIVAL, again, close_px
from stempilot_tasks.bf_disk_centering.config import LEAST_WATCHED
from stempilot_tasks.bf_disk_centering.state import Disk, Point

Floats = npt.NDArray[np.float64]
Frames = Sequence[Sequence[Disk]]

_STEADY, _CHANGES = 0.02, 0.03
"""Most standard deviation of the logarithm of a steady disk's contrast, and least of one that
changes."""

_EXCHANGE: Final = 0.15
"""Disks of which the sum changes by less than this share of what they do one by one exchange their
intensity: the direct beam may be among them."""


def steady(frames: Frames, half_px: Point, *, last: bool) -> Disk | None:
    """Return the one disk that does not change, where it is in the last frame.

    Args:
        frames: the disks of each frame, while nothing was moved.
        half_px: half the field.
        last: no more frames will come, so that disks that were often missing stay unknown.

    Returns:
        ``None`` where nothing, or not yet, is told.
    """
    rivals = [disk for disk in frames[0] if disk.contrast >= RIVAL * frames[0][0].contrast]
    found = [_found(frames[0], rivals, frame, half_px) for frame in frames]
    contrasts = np.array([[disk.contrast if disk else np.nan for disk in each] for each in found])
    seen = np.isfinite(contrasts).sum(axis=0) >= LEAST_WATCHED
    # A disk that is clipped looks steady, whatever it does.
    ways = zip(*found, strict=True)
    clipped = np.array([any(disk and disk.clipped for disk in way) for way in ways])
    if not (seen | clipped | last).all():
        return None
    spread = np.full(len(rivals), np.nan)
    spread[seen] = np.nanstd(np.log(contrasts[:, seen]), axis=0, ddof=1)
    changing, still = spread >= _CHANGES, (spread <= _STEADY) & ~clipped
    unknown = clipped | ~seen
    if not (changing | still | unknown).all() or np.count_nonzero(still) != 1:
        return None
    if not changing.any() or _exchange(contrasts[:, changing]):
        return None
    return found[-1][int(still.argmax())]


def _found(
    first: Sequence[Disk], rivals: Sequence[Disk], frame: Sequence[Disk], half_px: Point
) -> list[Disk | None]:
    """Return what each rival of the first frame is in another; ``None`` where it is missing."""
    moved = _moved(first, rivals, frame, half_px)
    if moved is None:
        return [None] * len(rivals)
    found: list[Disk | None] = []
    for rival in rivals:
        place = np.add(rival.position_px, moved)
        nearest = min(frame, key=lambda disk: math.dist(disk.position_px, place))
        close = math.dist(nearest.position_px, place) <= close_px(rival.radius_px)
        found.append(nearest if close else None)
    return found


def _moved(
    first: Sequence[Disk], rivals: Sequence[Disk], frame: Sequence[Disk], half_px: Point
) -> Floats | None:
    """Return how far the pattern has drifted or shaken; ``None`` where that is not certain."""
    for rival in rivals:
        lead = again(rival, first, frame, half_px=half_px, expected_px=(0.0, 0.0)).disk
        if lead is not None:
            return np.subtract(lead.position_px, rival.position_px)
    return None


def _exchange(contrasts: Floats) -> bool:
    """Return whether several disks, (frames, disks), brighten at the cost of each other."""
    filled = np.where(np.isfinite(contrasts), contrasts, np.nanmean(contrasts, axis=0))
    alone = filled.var(axis=0).sum()
    return bool(filled.sum(axis=1).var() < _EXCHANGE * alone)
