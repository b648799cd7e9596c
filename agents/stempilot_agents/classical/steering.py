"""Which action to take, given what is believed of the response.

Pure functions. All vectors have one component per residual entry, in the residual's unit;
actions lie in -1 to 1.
"""

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen

from stempilot_agents.response.beliefs import Belief, FloatArray

# A hypothesis this much less probable than the best one is still worth steering by.
_RIVAL = 0.3
# And one this probable must not lose the feature.
_CONCEIVABLE = 0.03
# A response of any kind is believed only when a rotation and a scale is clearly worse.
_ANY_RESPONSE = 0.3
# How much of the way that two rivals do not agree on is tried, the boldest first.
_DARING = (1.0, 0.7, 0.5, 0.3, 0.15)
# An action expected to end within this share of the tolerance is expected to succeed.
_ARRIVED = 0.7
# Smallest room, as a share of the tolerance, so that a feature at the edge can still be moved.
_LEAST_ROOM = 0.1
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
        previous: (n,) its last displacement.
        last: (n,) the last action, 0 if there was none.
        lower: (n,) residual at which the feature is lost on the low side.
        upper: (n,) residual at which the feature is lost on the high side.
        tolerance: length of the residual that is good enough.
    """

    residual: FloatArray
    previous: FloatArray
    last: FloatArray
    lower: FloatArray = field(repr=False)
    upper: FloatArray = field(repr=False)
    tolerance: float

    def awaited(self, belief: Belief) -> FloatArray:
        """Return where the residual goes by itself, by what is still to come of the last move."""
        where: FloatArray = self.residual + belief.lag * self.previous
        return where


def _kept_inside(
    action: FloatArray, place: Place, held: Sequence[Belief], caution: Caution
) -> FloatArray:
    """Return the action, shortened until no belief held expects it to reach the edge."""
    share = 1.0
    for belief in held:
        moved = belief.matrix @ action
        doubt = belief.spread(action) ** 2 + caution.mistrust**2 * float(moved @ moved)
        margin = caution.deviations * np.sqrt(doubt)
        where, least = place.awaited(belief), _LEAST_ROOM * place.tolerance
        above = np.maximum(caution.room * (place.upper - where), least)
        below = np.maximum(caution.room * (where - place.lower), least)
        share = min(share, float(np.min(above / np.maximum(above, margin + moved))))
        share = min(share, float(np.min(below / np.maximum(below, margin - moved))))
    return share * action


def probe(place: Place, believed: Sequence[Belief], caution: Caution) -> FloatArray:
    """Return a probe, as large as the edge allows.

    The first one goes where the residual would shrink if action and residual had the same axes,
    which costs nothing when they do not. When nothing moved, the next one turns round.
    """
    way = -place.last if place.last.any() else -place.residual
    if not way.any():
        way = np.eye(len(way))[0]
    action = caution.probe * way / np.abs(way).max()
    return _kept_inside(action, place, _plausible(believed), caution)


def _plausible(believed: Sequence[Belief]) -> list[Belief]:
    """Return the rotations with a scale, or everything where there are none."""
    similar = [belief for belief in believed if belief.similar]
    return similar or list(believed)


def _best(believed: Sequence[Belief]) -> Belief:
    """Return the belief to steer by; the first of equals."""

    def merit(belief: Belief) -> float:
        return belief.weight * (1.0 if belief.similar else _ANY_RESPONSE)

    # Rounding must not choose between the two hands before anything told them apart.
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
    return bool(moved @ moved <= np.sum(best.spread(place.last) ** 2))


def steer(place: Place, believed: Sequence[Belief], caution: Caution) -> FloatArray:
    """Return the action that is expected to leave the fewest steps.

    It is a clipped Newton step. Where two hypotheses are equally good (a response and its mirror
    image), the part that they agree on is combined with as much of the rest as is safe for both.
    """
    rivals = _rivals(believed)
    held = _conceivable(believed, rivals)
    needed = [-rival.inverse() @ place.awaited(rival) for rival in rivals]
    wanted = [np.clip(action, -1.0, 1.0) for action in needed]
    agreed = np.mean(wanted, axis=0)
    tried = [
        (rival, agreed + daring * (action - agreed))
        for rival, action in zip(rivals, wanted, strict=True)
        for daring in (_DARING if len(rivals) > 1 else (1.0,))
    ]
    if not rivals[0].similar:
        # Clipping bends the way, and with a skewed response the bend can lead over the edge.
        tried.append((rivals[0], needed[0] / max(1.0, float(np.abs(needed[0]).max()))))
    candidates = [
        _kept_inside(_exciting(action, rival, caution), place, held, caution)
        for rival, action in tried
    ]
    return min(candidates, key=lambda action: _steps_left(action, needed, rivals, place.tolerance))


def _steps_left(
    action: FloatArray,
    needed: Sequence[FloatArray],
    rivals: Sequence[Belief],
    tolerance: float,
) -> float:
    """Return how many more steps are expected after the action."""
    total = 0.0
    for rival, need in zip(rivals, needed, strict=True):
        left = need - action
        if np.linalg.norm(rival.matrix @ left) > _ARRIVED * tolerance:
            total += rival.weight * max(1.0, float(np.abs(left).max()))
    # Rounding must not decide between equals: the first is the bolder one.
    return round(total, 9)


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
