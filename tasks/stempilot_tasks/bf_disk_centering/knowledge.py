"""What an episode finds out of the direct beam: which disk it is, whether it follows the knob."""

import math
from typing import Final

import numpy as np
from attrs import evolve

from stempilot_tasks.bf_disk_centering.choosing import (
    AMBIGUOUS,
    Choice,
    again,
    at_its_place,
    first,
    outside,
)
from stempilot_tasks.bf_disk_centering.reference import Reference
from stempilot_tasks.bf_disk_centering.state import Knowledge, Measured, Point
from stempilot_tasks.bf_disk_centering.watching import steady

_MOVES_KEPT: Final = 12
_STILL_PX: Final = 1.0
"""What moves by less under a move of the diffraction shift does not follow it: a flaw of the camera
stays where it is to a hundredth of a pixel."""


def begin(
    measured: Measured, picked_px: Point | None, reference: Reference | None, *, watches: bool
) -> Knowledge:
    """Return what the first frame of an episode tells.

    Args:
        measured: what it shows.
        picked_px: where a person says that the direct beam is.
        reference: what the direct beam was without a specimen.
        watches: what neither of the two tells is to be told by standing still.
    """
    x_rad, y_rad = measured.shift_rad
    choice = first(measured.disks, (x_rad, y_rad), picked_px=picked_px, reference=reference)
    if choice.ambiguous and watches and picked_px is None and reference is None:
        return Knowledge(watched=(measured.disks,))
    return _with(Knowledge(), choice, measured)


def watch(known: Knowledge, measured: Measured, half_px: Point, most_frames: int) -> Knowledge:
    """Return what one more frame without a move tells of which disk is the direct beam.

    Args:
        known: what was known before, with the frames so far.
        measured: what the frame shows.
        half_px: half the field.
        most_frames: after so many it stays ambiguous.
    """
    watched = (*known.watched, measured.disks)
    last = len(watched) >= most_frames
    disk = steady(watched, half_px, last=last)
    if disk is None and not last:
        return evolve(known, watched=watched)
    choice = AMBIGUOUS if disk is None else Choice(disk=disk)
    return _with(Knowledge(), choice, measured)


def follow(
    known: Knowledge,
    measured: Measured,
    moved_rad: Point,
    half_px: Point,
    reference: Reference | None,
) -> Knowledge:
    """Return what a further frame tells.

    Args:
        known: what was known before the move.
        measured: what the frame shows after it.
        moved_rad: how far the diffraction shift was asked to move.
        half_px: half the field.
        reference: what the direct beam was without a specimen.
    """
    if known.disk is None:
        # Nothing is known of where it is; the episode has ended, or this is a recorded one.
        return evolve(
            begin(measured, None, None, watches=False), moves=known.moves, follows=known.follows
        )
    choice = again(
        known.disk,
        known.disks,
        measured.disks,
        half_px=half_px,
        expected_px=_expected_px(known, moved_rad, reference),
    )
    if choice.disk is None and reference is not None:
        x_rad, y_rad = measured.shift_rad
        there = at_its_place(measured.disks, (x_rad, y_rad), reference)
        choice = Choice(disk=there) if there else choice
    found = _with(known, choice, measured)
    if choice.disk is None:
        return found
    (x, y), (was_x, was_y) = choice.disk.position_px, known.disk.position_px
    moved_px = x - was_x, y - was_y
    hidden = outside(known.disks, moved_px, half_px, measured.disks)
    found = evolve(found, disks=(*measured.disks, *hidden))
    if moved_rad == (0.0, 0.0):
        return found
    moves = (*known.moves, (*moved_rad, *moved_px))[-_MOVES_KEPT:]
    follows = known.follows or math.hypot(*moved_px) > _STILL_PX
    return evolve(found, moves=moves, follows=follows)


def _with(known: Knowledge, choice: Choice, measured: Measured) -> Knowledge:
    disks = measured.disks if choice.disk else known.disks
    return evolve(known, disk=choice.disk, disks=disks, ambiguous=choice.ambiguous)


def _expected_px(known: Knowledge, moved_rad: Point, reference: Reference | None) -> Point | None:
    """Return how far the disk should move; ``None`` where nothing tells.

    That is what two moves in different directions showed, or a reference.
    """
    moves = np.array(known.moves).reshape(-1, 4)
    if len(moves) >= 2 and np.linalg.matrix_rank(moves[:, :2], tol=1e-6) == 2:  # noqa: PLR2004
        response = np.linalg.lstsq(moves[:, :2], moves[:, 2:], rcond=None)[0].T
    elif reference is not None and reference.response.any():
        response = reference.response
    else:
        return None
    x, y = (response @ np.array(moved_rad)).tolist()
    return x, y
