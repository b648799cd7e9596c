"""Which of the disks in a frame is the direct beam, and which one it has become in the next frame.

Pure functions. One frame alone cannot tell a direct from a diffracted disk of the same radius where
their intensities are alike. Then nothing is chosen: a wrong disk must never look centred.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from stempilot_tasks.bf_disk_centering.reference import Reference
from stempilot_tasks.bf_disk_centering.state import Disk, Point

Rows = npt.NDArray[np.float64]

_REMEMBERED: Final = 24
"""Disks out of sight that are remembered."""

RIVAL: Final = 0.2
"""A disk of less than this share of the most marked one's contrast is a diffracted one."""

_RING, _ON_RING, _MOST = 3, 0.06, 0.75
"""Least disks to a ring, how much their distances from its centre differ, in radii, and the least
share of the disks that lie on one."""

_MANY, _CROWDED = 10, 0.8
"""Least grains of which there are more than spots of a crystal; and the distance of a middling one
from its neighbour over the smallest ring's radius, which a lattice's spots are not below."""

_FAINT, _PILED, _PILED_OF_MANY = 0.3, 0.5, 0.8
"""Most contrast of a grain over the direct disk's: of two on one place, of more of them, and of any
beside a direct disk that is clipped."""

_STANDS_OUT: Final = 0.5
"""A disk stands out where every other has at most this share of its contrast."""

_ALIKE: Final = math.log(1.35)
"""Largest logarithm of the ratio of two contrasts of one disk: crystals flicker."""

_NEAR_RADII, _NEAR_PX = 0.4, 4.0
"""Where a disk was expected: within so many radii, and pixels."""

_HIDES_RADII: Final = 3.0
"""Within so many radii of another disk the direct one may be hidden."""

_FLICKER: Final = 0.25
"""Standard deviation of the logarithm of a disk's contrast from frame to frame."""

_MATCH, _DECIDED = 3.0, 3.0
"""What a disk that is found again counts for, or one that is not against; and by how much the best
match must lead."""


_SURPRISE: Final = 2.5
"""Most standard deviations that a move counts as unexpected: enough to decide where all else is
equal, not enough to deny what most disks show."""


@frozen(kw_only=True)
class Choice:
    """The disk that was chosen; ``None`` where none fits, or, `ambiguous`, more than one."""

    disk: Disk | None
    ambiguous: bool = False


NONE: Final = Choice(disk=None)
AMBIGUOUS: Final = Choice(disk=None, ambiguous=True)


def first(
    disks: Sequence[Disk],
    shift_rad: Point,
    *,
    picked_px: Point | None,
    reference: Reference | None,
) -> Choice:
    """Return the direct beam in the first frame of an episode.

    Args:
        disks: in the frame, of one radius, the one of the most contrast first.
        shift_rad: read-back of the diffraction shift.
        picked_px: where a person says that it is.
        reference: what it was without a specimen.
    """
    if not disks:
        return NONE
    if picked_px is not None:
        return _only([disk for disk in disks if _far(disk, picked_px) <= disk.radius_px])
    if reference is not None:
        return _by_reference(disks, shift_rad, reference)
    strong = [disk for disk in disks if disk.contrast >= RIVAL * disks[0].contrast]
    return _only(disks[:1] if _is_centre_of_rings(disks[0], disks[1:]) else strong or disks)


def _is_centre_of_rings(disk: Disk, others: Sequence[Disk]) -> bool:
    """Return whether a disk is the direct beam of a polycrystal.

    It is by far the brightest, and the others lie on rings about it: all on one, or more of them
    than a lattice has, or more closely than its spots can.
    """
    if len(others) < _RING:
        return False
    places = np.array([one.position_px for one in others]) - disk.position_px
    far = np.linalg.norm(places, axis=1)
    alike = np.abs(far[:, None] - far) <= _ON_RING * disk.radius_px + 1.0
    if np.mean(np.count_nonzero(alike, axis=1) >= _RING) < _MOST:
        return False
    brightest = others[0].contrast / disk.contrast
    many = len(others) >= _MANY
    if brightest <= _FAINT:
        return bool(alike.all()) or many
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(apart, np.inf)
    crowded = bool(np.median(apart.min(axis=1)) < _CROWDED * far.min())
    return crowded and brightest <= (_PILED_OF_MANY if many else _PILED)


def _only(disks: Sequence[Disk]) -> Choice:
    return Choice(disk=disks[0]) if len(disks) == 1 else AMBIGUOUS


def _far(disk: Disk, place_px: Point) -> float:
    return math.dist(disk.position_px, place_px)


def _by_reference(disks: Sequence[Disk], shift_rad: Point, reference: Reference) -> Choice:
    """Return the disk of the reference's contrast at its place; one of the two may be missing."""
    alike = [disk for disk in disks if _is_alike(disk.contrast, reference.contrast)]
    place_px = reference.place_px(shift_rad)
    near = sorted(disks, key=lambda disk: _far(disk, place_px))
    close = _NEAR_RADII * reference.radius_px + _NEAR_PX
    if _far(near[0], place_px) > close:
        # Beside its place the direct beam may hide; elsewhere the place may have changed.
        hidden = _far(near[0], place_px) <= _HIDES_RADII * reference.radius_px
        return AMBIGUOUS if hidden else _only(alike)
    clear = len(near) == 1 or _far(near[1], place_px) > 2 * _far(near[0], place_px) + _NEAR_PX
    # What is near its place but of another contrast is the direct beam if no other disk has that.
    return Choice(disk=near[0]) if clear and (near[0] in alike or not alike) else AMBIGUOUS


def at_its_place(disks: Sequence[Disk], shift_rad: Point, reference: Reference) -> Disk | None:
    """Return the disk that lies just where the reference says, as bright as it says."""
    place_px = reference.place_px(shift_rad)
    near = sorted(disks, key=lambda disk: _far(disk, place_px))
    close = close_px(reference.radius_px)
    if not near or _far(near[0], place_px) > close:
        return None
    clear = len(near) == 1 or _far(near[1], place_px) > 2 * close
    return near[0] if clear and _is_alike(near[0].contrast, reference.contrast) else None


def close_px(radius_px: float) -> float:
    """Return how far a disk may lie from where it is expected."""
    return 0.15 * radius_px + 2.0


def _is_alike(one: float, other: float) -> bool:
    return abs(math.log(one / other)) <= _ALIKE


def _stands_out(disk: Disk, disks: Sequence[Disk]) -> bool:
    return all(one is disk or one.contrast <= _STANDS_OUT * disk.contrast for one in disks)


def again(
    chosen: Disk,
    before: Sequence[Disk],
    after: Sequence[Disk],
    *,
    half_px: Point,
    expected_px: Point | None,
) -> Choice:
    """Return what has become of the chosen disk after a move of unknown length.

    All disks move alike, so that the move is the one by which most disks are found again, as bright
    as they were. Where several moves do, it is told by how earlier moves went. A disk that stands
    out before and after is the same one.

    Args:
        chosen: the disk, one of those before.
        before: disks in the frame before.
        after: disks in the frame after the move.
        half_px: half the field.
        expected_px: how far the disk should have moved, where earlier moves tell.
    """
    if not after:
        return NONE
    if len(before) == len(after) == 1:
        return Choice(disk=after[0])
    brightest = after[0]
    if (
        _stands_out(chosen, before)
        and _stands_out(brightest, after)
        and _is_alike(brightest.contrast, chosen.contrast)
    ):
        return Choice(disk=brightest)
    was, now = _arrays(before), _arrays(after)
    scores = np.array(
        [_score(was, now, _moved(chosen, disk), half_px, chosen.radius_px) for disk in after]
    )
    if expected_px is not None:
        spread = 0.3 * math.hypot(*expected_px) + 0.3 * chosen.radius_px + _NEAR_PX
        off = np.array([math.dist(_moved(chosen, disk), expected_px) for disk in after])
        scores -= 0.5 * np.minimum(off / spread, _SURPRISE) ** 2
    order = np.argsort(-scores, kind="stable")
    if len(order) > 1 and scores[order[0]] - scores[order[1]] < _DECIDED:
        return AMBIGUOUS
    return Choice(disk=after[order[0]]) if scores[order[0]] > 0 else NONE


def _moved(one: Disk, other: Disk) -> Point:
    (x, y), (to_x, to_y) = one.position_px, other.position_px
    return to_x - x, to_y - y


def _arrays(disks: Sequence[Disk]) -> Rows:
    return np.array([(*disk.position_px, math.log(disk.contrast)) for disk in disks])


def _score(
    was: Rows,
    now: Rows,
    moved_px: Point,
    half_px: Point,
    radius_px: float,
) -> float:
    """Return how well a move explains where the disks are now, x, y and logarithm of contrast."""
    expected = was[:, :2] + moved_px
    inside = (np.abs(expected) < np.array(half_px) - radius_px).all(axis=1)
    close = close_px(radius_px)
    apart = np.linalg.norm(now[None, :, :2] - expected[:, None], axis=-1)
    nearest = apart.argmin(axis=1)
    found = apart[np.arange(len(was)), nearest] <= close
    other = np.minimum(np.abs(now[nearest, 2] - was[:, 2]) / _FLICKER, 4.0)
    told = _MATCH - 0.5 * other**2
    scores = _weight(was) * np.where(found, told, np.where(inside, -_MATCH, 0.0))
    # Nor does a disk come from nowhere.
    came = now[:, :2] - moved_px
    within = (np.abs(came) < np.array(half_px) - radius_px).all(axis=1)
    new = within & (apart.min(axis=0) > close)
    return float(np.sum(scores) - np.sum(_weight(now) * np.where(new, _MATCH, 0.0)))


def _weight(disks: Rows) -> Rows:
    """Return how much disks count: a faint one may come above and go below what is seen."""
    weights: Rows = np.exp(0.5 * (disks[:, 2] - disks[:, 2].max()))
    return weights


def outside(
    before: Sequence[Disk], moved_px: Point, half_px: Point, after: Sequence[Disk]
) -> tuple[Disk, ...]:
    """Return the disks that a move took, or left, out of sight, where they are now.

    Args:
        before: disks before the move, out of sight or not.
        moved_px: how far all of them moved.
        half_px: half the field.
        after: disks in sight after it.
    """
    moved = [_shifted(disk, moved_px) for disk in before]
    gone = [disk for disk in moved if _is_out(disk, half_px)]
    new = [
        disk for disk in gone if all(_far(disk, one.position_px) > disk.radius_px for one in after)
    ]
    return tuple(sorted(new, key=lambda disk: -disk.contrast)[:_REMEMBERED])


def _shifted(disk: Disk, moved_px: Point) -> Disk:
    (x, y), (dx, dy) = disk.position_px, moved_px
    return evolve(disk, position_px=(x + dx, y + dy))


def _is_out(disk: Disk, half_px: Point) -> bool:
    (x, y), (half_x, half_y) = disk.position_px, half_px
    return abs(x) > half_x - disk.radius_px or abs(y) > half_y - disk.radius_px
