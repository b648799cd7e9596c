"""Whether displacements depend on where they begin, from what was observed alone.

That they do not is the prior of centring's symmetry. Two linear models of the displacement are
compared: one of the action and the displacement before it (what lags behind), and one in which the
response may bend with the place as well. How much better the second one is gets compared with how
much better chance alone makes it: the residuals of the first, permuted (Freedman and Lane, J. Bus.
Econ. Stat. 1 (1983) 292-298), which asks nothing of the noise but that its order does not matter.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot.model import Transitions
from stempilot.task import TaskHints

FloatArray = npt.NDArray[np.float64]

_DRAWS: Final = 999
MOST: Final = 500
"""More transitions than this are not needed; the latest ones count."""
_SPARE: Final = 10
"""Transitions needed beyond one for each term of the larger model."""

_EXACT: Final = 1e-5
"""What the smaller model leaves unexplained is rounding below this share of a displacement."""


@frozen(kw_only=True)
class Dependence:
    """What displacements have to do with the place.

    Attributes:
        p: how often chance alone would let them depend on it so much, above 0 to 1.
        share: part of a typical displacement that the place accounts for, beyond chance.
    """

    p: float
    share: float


def dependence_on_place(met: Transitions, hints: TaskHints) -> Dependence | None:
    """Return how displacements of the residual depend on where they began.

    Args:
        met: transitions in order, with actions that are vectors of numbers.
        hints: which entries are the residual, and where the feature is lost.

    Returns:
        ``None`` where there are too few transitions to say, or none with a displacement.
    """
    if len(met) < _SPARE:
        return None
    entries = list(hints.residual)
    was = met.observations[:, entries].astype(np.float64)
    shift = met.next_observations[:, entries] - was
    known = _knows_shift(met, was + shift, shift, hints)
    plain, bent = _terms(met, was, shift, hints)
    shift, plain, bent = (each[known] for each in (shift, plain, bent))
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


def _knows_shift(
    met: Transitions, residual: FloatArray, shift: FloatArray, hints: TaskHints
) -> npt.NDArray[np.bool_]:
    """Return (n,), whether the displacement was seen; ``residual`` is the one after it."""
    inside = (residual > hints.edge_lower) & (residual < hints.edge_upper)
    stopped = (met.terminated | met.truncated) & ~shift.any(axis=1)
    known: npt.NDArray[np.bool_] = inside.all(axis=1) & ~stopped
    return known


def _terms(
    met: Transitions, was: FloatArray, shift: FloatArray, hints: TaskHints
) -> tuple[FloatArray, FloatArray]:
    """Return the terms of the smaller model, (n, k), and what the larger one has beside them."""
    count = len(was)
    follows = np.zeros(count, dtype=bool)
    follows[1:] = (met.observations[1:] == met.next_observations[:-1]).reshape(count - 1, -1).all(1)
    follows[1:] &= ~(met.terminated | met.truncated)[:-1]
    previous = np.zeros_like(shift)
    previous[1:] = shift[:-1]
    previous[~follows] = 0.0
    half = (np.array(hints.edge_upper) - np.array(hints.edge_lower)) / 2
    place = was / half
    pairs = np.triu_indices(place.shape[1])
    curved = np.concatenate([place, place[:, pairs[0]] * place[:, pairs[1]]], axis=1)
    moves = np.concatenate([np.ones((count, 1)), met.actions.reshape(count, -1)], axis=1)
    bent = (curved[:, :, np.newaxis] * moves[:, np.newaxis, :]).reshape(count, -1)
    return np.concatenate([moves, previous], axis=1), bent


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
