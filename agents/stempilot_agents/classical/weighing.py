"""What moves cost while several hypotheses about a response are plausible.

Moves are weighed by the steps that each hypothesis would still need after them, and by what they
leave unknown of whether the response is mirrored.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from attrs import frozen

from stempilot_agents.response.beliefs import Belief, FloatArray

# Share of the tolerance within which the next frame is more likely than not to show success.
_ARRIVED = 0.9
# Share of the tolerance that the count of steps aims at.
_AIM = 0.7
# What an expected end costs, in steps: it may not come.
_LAST = 0.3
# What is left costs so much more for each full action, so that no axis is forgotten.
_LEFT = 0.05
# What it costs to know no more of the mirror than before, in steps.
_UNTOLD = 0.5
# Share of a displacement by which it may differ from what is expected.
_SCATTER = 0.07
# What each move costs more than the one before, in steps: rounding must not decide between equals.
_TIE = 0.0002
# Logistic functions this steep are near enough to the normal distribution; limited to be finite.
_STEEP, _FARTHEST = 1.7, 30.0


@frozen(kw_only=True, eq=False)
class Rivals:
    """Hypotheses to steer by, the best one first, and what they ask for.

    Attributes:
        beliefs: the hypotheses.
        needed: (h, n) the action that each asks for, not limited.
        firsts: the most probable one of each kind of response.
        means: (kinds, n) what the hypotheses of each kind ask for on the average.
    """

    beliefs: Sequence[Belief]
    needed: FloatArray
    firsts: Sequence[Belief]
    means: FloatArray

    @classmethod
    def of(cls, beliefs: Sequence[Belief], needed: FloatArray) -> Self:
        """Return them, with what is common to each kind."""
        weights = np.array([belief.weight for belief in beliefs])
        kinds = np.array([belief.kind for belief in beliefs])
        firsts, means = [], []
        for kind in dict.fromkeys(kinds.tolist()):
            same = np.flatnonzero(kinds == kind)
            firsts.append(beliefs[same[weights[same].argmax()]])
            means.append(weights[same] @ needed[same] / weights[same].sum())
        return cls(beliefs=beliefs, needed=needed, firsts=firsts, means=np.array(means))

    @property
    def others(self) -> bool:
        """Whether there is more than one kind."""
        return len(self.firsts) > 1


def cost(moves: FloatArray, rivals: Rivals, *, tolerance: float, reading: float) -> FloatArray:
    """Return what moves (m, n) cost, in steps.

    Args:
        moves: actions, the boldest first.
        rivals: hypotheses to weigh them by.
        tolerance: length of a residual that is good enough.
        reading: variance of a component of a displacement without any move.
    """
    costs = _TIE * np.arange(len(moves)) + _steps(moves, rivals, tolerance, reading)
    return costs + _untold(moves, rivals, reading) if rivals.others else costs


def _steps(moves: FloatArray, rivals: Rivals, tolerance: float, reading: float) -> FloatArray:
    """Return how many steps are expected after moves."""
    total = np.zeros(len(moves))
    for rival, need in zip(rivals.beliefs, rivals.needed, strict=True):
        left = need - moves
        far = np.linalg.norm(left @ rival.matrix.T, axis=-1)
        share = np.maximum(far - _AIM * tolerance, 0) / np.maximum(far, 1e-12)
        moved = np.sum((moves @ rival.matrix.T) ** 2, axis=-1)
        doubt = np.sqrt(2 * reading + _SCATTER**2 * moved)
        inside = (_ARRIVED * tolerance - far) / np.maximum(doubt, np.finfo(float).tiny)
        missed = 1 / (1 + np.exp(np.clip(_STEEP * inside, -_FARTHEST, _FARTHEST)))
        further = np.maximum(np.abs(left).max(axis=-1) * share + 0.5, 1)
        steps = missed * further + (1 - missed) * _LAST
        total += rival.weight * (steps + _LEFT * np.linalg.norm(left, axis=-1))
    return total


def _untold(moves: FloatArray, rivals: Rivals, reading: float) -> FloatArray:
    """Return the cost of what moves leave unknown of the two best kinds of response."""
    one, two = rivals.firsts[:2]
    first, second = moves @ one.matrix.T, moves @ two.matrix.T
    doubt = 2 * reading + 1.5 * _SCATTER**2 * np.sum(first**2, axis=-1)
    doubt += np.sum(one.spread(moves) ** 2, axis=-1)
    odds = [sum(b.weight for b in rivals.beliefs if b.kind == kind.kind) for kind in (one, two)]
    even = 4 * odds[0] * odds[1] / sum(odds)
    apart = np.sum((first - second) ** 2, axis=-1)
    told: FloatArray = np.exp(-apart / np.maximum(8 * doubt, np.finfo(float).tiny))
    return _UNTOLD * even * told
