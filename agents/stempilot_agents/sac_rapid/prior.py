"""Whether displacements depend on where they begin, from what was observed alone.

That they do not is the prior of centring's symmetry. Two linear models of the displacement are
compared: one of the action and the displacement before it (what lags behind), and one in which the
response may bend with the place as well. How much better the second one is gets compared with how
much better chance alone makes it: the residuals of the first, permuted (Freedman and Lane, J. Bus.
Econ. Stat. 1 (1983) 292-298), which asks nothing of the noise but that its order does not matter.
"""

from typing import Final

import numpy as np
from attrs import frozen
from gymnasium.spaces import Box

from stempilot import Centre, Transitions
from stempilot_agents.response.beliefs import FloatArray
from stempilot_agents.response.fit import Field, Seen, moves_seen

_DRAWS: Final = 999
MOST: Final = 500
"""More transitions than this are not needed; the latest ones count."""
_SPARE: Final = 10
"""Transitions needed beyond one for each term of the larger model."""

_EXACT: Final = 1e-5
"""Residuals of the smaller model below this share of a displacement are rounding."""


@frozen(kw_only=True)
class Dependence:
    """How far displacements depend on the place.

    Attributes:
        p: how often chance alone would let them depend on it so much, above 0 to 1.
        share: part of a typical displacement that the place accounts for, beyond chance.
    """

    p: float
    share: float


def dependence_on_place(met: Transitions, goal: Centre, actions: Box) -> Dependence | None:
    """Return how displacements of the residual depend on where they began.

    Args:
        met: transitions in order.
        goal: which entries are the residual, and where the feature is lost.
        actions: space of the actions.

    Returns:
        ``None`` where there are too few transitions to say, none with a displacement, or no edges
        that a place can be measured by.
    """
    place = Field.of(goal, actions)
    if not len(met) or not len(place.reach):
        return None
    moves = moves_seen(met, place, goal.tolerance)
    plain, bent = _terms(moves, place)
    shift = moves.displacements
    if len(shift) < plain.shape[1] + bent.shape[1] + _SPARE or not shift.any():
        return None
    of_plain = _basis(plain)
    left = _without(shift, of_plain)
    if np.linalg.norm(left) < _EXACT * np.linalg.norm(shift):
        return Dependence(p=1.0, share=0.0)
    of_bent = _basis(_without(bent, of_plain))
    rng = np.random.default_rng(0)
    drawn = np.stack([left[rng.permutation(len(left))] for _ in range(_DRAWS)])
    found, by_chance = _explained(left, of_plain, of_bent), _explained(drawn, of_plain, of_bent)
    surplus = max(0.0, float(found - by_chance.mean())) * float(np.sum(left * left))
    return Dependence(
        p=float(1 + np.sum(by_chance >= found)) / (1 + _DRAWS),
        share=float(np.sqrt(surplus / np.sum(shift * shift))),
    )


def _terms(moves: Seen, place: Field) -> tuple[FloatArray, FloatArray]:
    """Return the terms of the smaller model, (m, k), and the terms that only the larger one has."""
    count = len(moves.commands)
    where = (moves.residuals - place.centre) / place.reach
    one, other = np.triu_indices(where.shape[1])
    curved = np.concatenate([where, where[:, one] * where[:, other]], axis=1)
    plain = np.concatenate([np.ones((count, 1)), moves.commands], axis=1)
    bent = (curved[:, :, np.newaxis] * plain[:, np.newaxis, :]).reshape(count, -1)
    return np.concatenate([plain, moves.previous], axis=1), bent


def _basis(terms: FloatArray) -> FloatArray:
    """Return an orthonormal basis of what the terms span, (n, rank)."""
    vectors, sizes, _ = np.linalg.svd(terms, full_matrices=False)
    kept: FloatArray = vectors[:, sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-300)]
    return kept


def _without(values: FloatArray, basis: FloatArray) -> FloatArray:
    """Return (..., n, m) values less what the basis explains."""
    rest: FloatArray = values - basis @ (basis.T @ values)
    return rest


def _explained(left: FloatArray, of_plain: FloatArray, of_bent: FloatArray) -> FloatArray:
    """Return (...), the share of (..., n, m) residuals that the larger model explains."""
    rest = _without(left, of_plain)
    total = np.sum(rest * rest, axis=(-2, -1))
    share: FloatArray = np.sum((of_bent.T @ rest) ** 2, axis=(-2, -1)) / np.maximum(total, 1e-300)
    return share
