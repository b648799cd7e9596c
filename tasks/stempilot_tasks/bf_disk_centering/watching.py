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


def steady(frames: Frames, half_px: Point) -> Disk | None:
    """Return the one disk that does not change, where it is in the last frame.

    Args:
        frames: the disks of each frame, while nothing was moved.
        half_px: half the field.

    Returns:
        ``None`` where more frames may tell.
    """
    rivals = [disk for disk in frames[0] if disk.contrast >= RIVAL * frames[0][0].contrast]
    seen = [found for frame in frames if (found := _found(frames[0], rivals, frame, half_px))]
    if len(seen) < LEAST_WATCHED:
        return None
    contrasts = np.array([[disk.contrast for disk in found] for found in seen])
    spread = np.log(contrasts).std(axis=0, ddof=1)
    # A disk that is clipped looks steady, whatever it does.
    clipped = np.array([[disk.clipped for disk in found] for found in seen]).any(axis=0)
    changing, still = spread >= _CHANGES, (spread <= _STEADY) & ~clipped
    told = changing | still | clipped
    if not told.all() or np.count_nonzero(still) != 1 or not changing.any():
        return None
    if _exchange(contrasts[:, changing]):
        return None
    last = _found(frames[0], rivals, frames[-1], half_px)
    return last[int(still.argmax())] if last else None


def _found(
    first: Sequence[Disk], rivals: Sequence[Disk], frame: Sequence[Disk], half_px: Point
) -> list[Disk]:
    """Return what the rivals of the first frame are in another; empty where one is missing."""
    lead = again(rivals[0], first, frame, half_px=half_px, expected_px=(0.0, 0.0)).disk
    if lead is None:
        return []
    moved = np.subtract(lead.position_px, rivals[0].position_px)
    found = []
    for rival in rivals:
        place = np.add(rival.position_px, moved)
        nearest = min(frame, key=lambda disk: math.dist(disk.position_px, place))
        if math.dist(nearest.position_px, place) > close_px(rival.radius_px):
            return []
        found.append(nearest)
    return found


def _exchange(contrasts: Floats) -> bool:
    """Return whether several disks, (frames, disks), brighten at the cost of each other."""
    alone = contrasts.var(axis=0).sum()
    return bool(contrasts.sum(axis=1).var() < _EXCHANGE * alone)
