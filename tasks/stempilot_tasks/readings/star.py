"""Where the knob goes next: a star of moves, out and back, as long as the response allows."""

from typing import Final

import numpy as np
from attrs import frozen

from stempilot_tasks.readings.fit import Fit, Floats

FRAMES: Final = 16
"""The first one, seven moves out and back, and one without a move."""

REST: Final = 6
"""The frame that is taken without a move, at the end of an arm whose length is well known."""

ARMS: Final = ((1, 1), (-1, -1), (1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
"""Directions, in components of the knob. Both move at once: an error that a move leaves behind goes
with its larger component, so that a diagonal tells most."""

_LENGTHS: Final = np.geomspace(4.0, 0.03, 32)
"""Lengths of an arm that are tried, in largest moves."""

_SURE: Final = 2.5
"""So many standard deviations the disk must stay inside the field."""

_KNOWN: Final = 0.3
"""Largest relative uncertainty of a response that places can be told from."""


@frozen(kw_only=True, eq=False)
class Field:
    """Where the disk may go.

    Attributes:
        room_px: (2,) largest distance of its centre from that of the frame.
        reach_px: how far it is to be moved.
    """

    room_px: Floats
    reach_px: float


def arm(number: int, found: Fit, at_px: Floats, field: Field, longest: float) -> Floats:
    """Return (2,) the move out of an arm, in largest moves.

    Args:
        number: of the arm.
        found: what is known of the response.
        at_px: (2,) where the disk stands.
        field: where it may go.
        longest: largest component.
    """
    direction = np.array(ARMS[number], dtype=float)
    there, opposite = (
        _length(way, found, at_px, field, longest) for way in (direction, -direction)
    )
    return direction * (there if there >= 0.5 * opposite else -opposite)


def _length(way: Floats, found: Fit, at_px: Floats, field: Field, longest: float) -> float:
    """Return the longest move in a direction that keeps the disk in the field, and near."""
    lengths = np.minimum(_LENGTHS, longest)
    moved = found.response @ way
    unsure = np.sqrt(np.einsum("m,imj,j->i", way, found.covariance, way))
    far = np.hypot(*(np.abs(moved) + unsure))
    noise = _SURE * found.noise_px
    for length in lengths:
        beyond = np.abs(at_px + length * moved) + _SURE * length * unsure + noise
        if length * far <= field.reach_px and (beyond <= field.room_px).all():
            return float(length)
    return float(lengths[-1])


def middle(found: Fit, home_px: Floats, field: Field) -> Floats:
    """Return (2,) where the knob stands between the arms, from home, in largest moves.

    That is home, unless the disk stands so near to the edge of the field that there is no room for
    the star; then it is far enough inside.
    """
    wanted = np.maximum(field.room_px - field.reach_px, 0.0)
    inward = np.clip(home_px, -wanted, wanted) - home_px
    error = np.sqrt(np.trace(found.covariance.sum(axis=0)))
    known = error <= _KNOWN * np.linalg.norm(found.response)
    if not known or not inward.any():
        return np.zeros(2)
    moves = np.linalg.solve(found.response, inward)
    far = float(np.abs(moves).max() / _LENGTHS[0])
    return np.array(moves / max(1.0, far))
