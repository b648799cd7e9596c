"""Whether a response is still what it was: the sum of the log odds of moves.

Each move is evidence for "the response is as it was" or for "it is some other one". The logarithm
of the odds is summed up and never falls below 0 (Page's CUSUM test), so that moves of long ago
count for nothing, and a change is found when a sum reaches a threshold.
"""

import math

import numpy as np

from stempilot_agents.response.beliefs import FloatArray, Prediction

TAILS = 10.0
"""Degrees of freedom of the noise (Student's t): how far out a normal move may lie at times."""

# By how much of its length a move of another scale is expected to be longer or shorter.
_SCALE = 0.4


class Odds:
    """Sums of log odds, one for each of the other responses that `evidence` weighs.

    Args:
        threshold: sum at which a change is found.
        most: no move counts for more.
    """

    def __init__(self, threshold: float, most: float = math.inf) -> None:
        self._threshold, self._most = threshold, most
        self.sums = np.zeros(1)

    def take(self, found: FloatArray) -> bool:
        """Take the evidence of a move; return whether a sum has reached the threshold."""
        counted = np.minimum(found, self._most)
        self.sums = np.clip(self.sums + counted, 0.0, self._threshold)
        return bool(self.sums.max() >= self._threshold)


def evidence(displacement: FloatArray, expected: Prediction) -> FloatArray:
    """Return the log odds of two other responses against the one expected, by one displacement.

    The first is of any direction and of a similar length, the second of the same direction and of
    another length.
    """
    own, variance = expected.own, expected.variance
    length, miss = float(np.linalg.norm(own)), displacement - expected.displacement
    along = float(miss @ own) / length if length else 0.0
    across = max(float(miss @ miss) - along**2, 0.0)
    size = len(miss)
    wide, longer = variance + length**2 / size, variance + (_SCALE * length) ** 2
    distances = np.array(
        [
            miss @ miss / variance,
            (own + miss) @ (own + miss) / wide,
            along**2 / longer + across / variance,
        ]
    )
    spreads = np.log([variance, wide, longer]) + (size - 1) * np.log([variance, wide, variance])
    # Logarithms of the densities of Student's t, up to a constant.
    densities = -0.5 * (spreads + (TAILS + size) * np.log1p(distances / TAILS))
    return np.asarray(densities[1:] - densities[0])
