"""Which action to take, given what is believed of the response.

Pure functions. All vectors have one component per residual entry, in the residual's unit;
actions lie in -1 to 1.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from attrs import field, frozen

from stempilot_agents.classical.weighing import Rivals, cost
from stempilot_agents.response.beliefs import Belief, FloatArray

# A hypothesis this much less probable than the best one is still worth steering by.
_RIVAL = 0.05
# And one this probable must not lose the feature.
_CONCEIVABLE = 0.03
# A response of any kind is believed only when a rotation and a scale is clearly worse.
_ANY_RESPONSE = 0.3
# How much of the way that mirror images do not agree on is tried, the boldest first.
_DARING = (1.0, 0.7, 0.5, 0.3, 0.15)
# Further moves that are weighed along each axis, in what they ask for at most.
_GRID = np.linspace(-1, 1, 5)
# With more axes a grid would be too many moves.
_MOST_AXES = 2
# The move after a first probe is most often along a diagonal; what it does is the same under both
# mirror images along the probe and across it, so the probe points away from both.
_PROBE = np.array([math.cos(math.radians(57)), math.sin(math.radians(57))])
# Smallest room for a probe and for any other move, as shares of the tolerance: a feature at the
# edge can still be moved, and does not stay there until it shakes over it.
_PROBE_ROOM, _LEAST_ROOM = 0.1, 0.6
# A displacement that is so small a share of its own variance says nothing of the response.
_UNCLEAR = 0.1
# A direction whose gain is unknown by more than this share of the whole must be tried.
_UNKNOWN = 0.5


@frozen(kw_only=True)
class Caution:
    """How far to trust a prediction near the edge.

    Attributes:
        probe: largest component of a probe.
        room: share of the distance to the edge that a move may use.
        deviations: standard deviations of the prediction that must fit in.
        mistrust: share of a move by which the model may be wrong beside its own uncertainty.
    """

    probe: float
    room: float
    deviations: float
    mistrust: float


@frozen(kw_only=True, eq=False)
class Place:
    """Where the residual is.

    Attributes:
        residual: (n,) the residual.
        coming: (lags, n) what each lag has left of earlier actions.
        last: (n,) the last action, 0 if there was none.
        lower: (n,) residual at which the feature is lost on the low side.
        upper: (n,) residual at which the feature is lost on the high side.
        tolerance: length of the residual that is good enough.
        reading: variance of a component of a displacement without any move.
    """

    residual: FloatArray
    coming: FloatArray
    last: FloatArray
    lower: FloatArray = field(repr=False)
    upper: FloatArray = field(repr=False)
    tolerance: float
    reading: float

    def awaited(self, belief: Belief) -> FloatArray:
        """Return where the residual goes by itself, by what is still to come of the last move."""
        where: FloatArray = self.residual + belief.matrix @ self.coming[belief.lag]
        return where


def _kept_inside(
    actions: FloatArray,
    place: Place,
    held: Sequence[Belief],
    caution: Caution,
    least: float,
) -> FloatArray:
    """Return the actions (..., n), shortened until no belief held expects one to reach the edge.

    A move always has ``least`` of room.
    """
    share = np.ones(actions.shape[:-1])
    for belief in held:
        moved = actions @ belief.matrix.T
        size = np.sum(moved**2, axis=-1, keepdims=True)
        doubt = belief.spread(actions) ** 2 + caution.mistrust**2 * size
        margin = caution.deviations * np.sqrt(doubt)
        where = place.awaited(belief)
        above = np.maximum(caution.room * (place.upper - where), least)
        below = np.maximum(caution.room * (where - place.lower), least)
        share = np.minimum(share, np.min(above / np.maximum(above, margin + moved), axis=-1))
        share = np.minimum(share, np.min(below / np.maximum(below, margin - moved), axis=-1))
    return share[..., np.newaxis] * actions


def probe(place: Place, believed: Sequence[Belief], caution: Caution) -> FloatArray:
    """Return a probe, as large as the edge allows.

    The first one goes where the residual would shrink if action and residual had the same axes,
    which costs nothing when they do not. When nothing moved, the next one turns round.
    """
    if place.last.any():
        way = -place.last
    elif len(place.residual) == len(_PROBE):
        way = np.copysign(_PROBE, -place.residual)
    else:
        way = -place.residual if place.residual.any() else np.eye(len(place.residual))[0]
    action = caution.probe * way / np.abs(way).max()
    least = _PROBE_ROOM * place.tolerance
    return _kept_inside(action, place, _plausible(believed), caution, least)


def _plausible(believed: Sequence[Belief]) -> list[Belief]:
    """Return the rotations with a scale, or everything where there are none."""
    similar = [belief for belief in believed if belief.similar]
    return similar or list(believed)


def _best(believed: Sequence[Belief]) -> Belief:
    """Return the belief to steer by; the first of equals."""

    def merit(belief: Belief) -> float:
        return belief.weight * (1.0 if belief.similar else _ANY_RESPONSE)

    # Rounding must not choose between mirror images before a move told them apart.
    most = max(merit(belief) for belief in believed)
    return next(belief for belief in believed if merit(belief) >= most * (1 - 1e-6))


def _rivals(believed: Sequence[Belief]) -> list[Belief]:
    """Return the belief to steer by, and after it those that are nearly as good."""
    best = _best(believed)
    return [best] + [
        belief
        for belief in believed
        if belief is not best and belief.similar and belief.weight >= _RIVAL * best.weight
    ]


def _conceivable(believed: Sequence[Belief], rivals: Sequence[Belief]) -> list[Belief]:
    """Return the rivals and whatever else the feature must not be lost under."""
    return [
        *rivals,
        *(
            belief
            for belief in believed
            if belief.similar
            and belief.weight > _CONCEIVABLE
            and not any(belief is rival for rival in rivals)
        ),
    ]


def is_unclear(place: Place, believed: Sequence[Belief]) -> bool:
    """Return whether the last action did nothing that can be told from noise."""
    best = _best(believed)
    moved = best.matrix @ place.last
    return bool(moved @ moved <= _UNCLEAR * np.sum(best.spread(place.last) ** 2))


def steer(place: Place, believed: Sequence[Belief], caution: Caution) -> FloatArray:
    """Return the action that is expected to leave the fewest steps.

    What each hypothesis asks for is weighed, and what mirrored and plain ones ask for on the
    average. While a response and its mirror image are both plausible, so are the part that
    they agree on with some of the rest, and a coarse grid.
    """
    beliefs = _rivals(believed)
    needed = [-rival.inverse() @ place.residual - place.coming[rival.lag] for rival in beliefs]
    rivals = Rivals.of(beliefs, np.array(needed))
    tried = _tried(rivals)
    moves = np.array([_exciting(action, belief, caution) for belief, action in tried])
    size = len(place.residual)
    if rivals.others and size <= _MOST_AXES:
        length = min(1.0, float(np.abs(rivals.needed).max()))
        moves = np.concatenate([moves, length * _grid(size)])
    held = _conceivable(believed, rivals.beliefs)
    moves = _kept_inside(moves, place, held, caution, _LEAST_ROOM * place.tolerance)
    costs = cost(moves, rivals, tolerance=place.tolerance, reading=place.reading)
    chosen: FloatArray = moves[costs.argmin()]
    return chosen


def _tried(rivals: Rivals) -> list[tuple[Belief, FloatArray]]:
    """Return actions worth weighing, each with the belief that asks for it, the boldest first."""
    wanted = np.clip(rivals.means, -1.0, 1.0)
    agreed = wanted.mean(axis=0)
    tried = [
        (first, agreed + daring * (action - agreed))
        for first, action in zip(rivals.firsts, wanted, strict=True)
        for daring in (_DARING if rivals.others else (1.0,))
    ]
    tried += zip(rivals.beliefs, np.clip(rivals.needed, -1.0, 1.0), strict=True)
    best, needed = rivals.beliefs[0], rivals.needed[0]
    if not best.similar:
        # Clipping bends the way, and with a skewed response the bend can lead over the edge.
        tried.append((best, needed / max(1.0, float(np.abs(needed).max()))))
    return tried


@cache
def _grid(size: int) -> FloatArray:
    return np.array(list(product(_GRID, repeat=size)))


def _exciting(action: FloatArray, belief: Belief, caution: Caution) -> FloatArray:
    """Return the action with enough of the least known direction in it to learn it.

    A response that is a rotation and a scale shows itself whatever the direction.
    """
    if belief.similar:
        return action
    variances, directions = np.linalg.eigh(belief.rows.sum(axis=0))
    if variances[-1] < (_UNKNOWN * np.linalg.norm(belief.matrix)) ** 2:
        return action
    direction = directions[:, -1]
    share = float(action @ direction)
    if abs(share) >= caution.probe:
        return action
    aim = caution.probe if share >= 0 else -caution.probe
    excited: FloatArray = np.clip(action + (aim - share) * direction, -1.0, 1.0)
    return excited
