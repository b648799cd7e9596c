"""What the statistics of `universal_memory` say of either hand, averaged over the lags."""

import numpy as np
from attrs import frozen

from stempilot_agents.universal.memory import LAGS, Floats, Memory, Vectors, squared

_EXPECTED = np.array([0.0, -1.5, -1.5], np.float32)
"""Logarithms of how often each lag is met; most instruments have none."""


@frozen(kw_only=True, eq=False)
class Hands:
    """What is known of the response on either hand, averaged over the lags; (n, hands).

    Attributes:
        odds: how likely the hand is.
        within: (n, lags, hands) how likely each lag is on it.
        m1: larger part of the response.
        m2: smaller part.
        variance: of both parts.
        lag: share of a move still to come.
        wanted: the change of the command that would centre, in half fields.
        unlagged: the same if nothing of a move is still to come.
    """

    odds: Floats
    within: Floats
    m1: Vectors
    m2: Vectors
    variance: Floats
    lag: Floats
    wanted: Vectors
    unlagged: Vectors

    @property
    def power(self) -> Floats:
        """Squared gain, (n, hands)."""
        return squared(self.m1) + squared(self.m2)


def hands_of(memory: Memory) -> Hands:
    """Return what the statistics say of both hands."""
    known = memory.response
    score = memory.score + _EXPECTED[:, None]
    wanted = _wanted(memory)
    likely = np.exp(score - score.max((1, 2), keepdims=True))
    likely /= likely.sum((1, 2), keepdims=True)
    odds = likely.sum(1)
    within = likely / np.maximum(odds, np.float32(1e-9))[:, None, :]
    return Hands(
        odds=odds,
        within=within,
        m1=(within * known.m1).sum(1),
        m2=(within * known.m2).sum(1),
        variance=(within * known.variance[..., None]).sum(1),
        lag=(within * LAGS[:, None]).sum(1),
        wanted=(within * wanted).sum(1),
        unlagged=wanted[:, 0],
    )


def _wanted(memory: Memory) -> Vectors:
    """Return the change of the command that each hypothesis asks for, (n, lags, hands)."""
    known, residual = memory.response, memory.before[:, None]
    m1, m2 = known.m1, known.m2
    g1, g2 = squared(m1), squared(m2)
    # Against dividing by what may well be zero.
    power = np.maximum(g1 - g2, np.float32(0.05) * g1) + 2 * known.variance1[..., None]
    power = power + np.float32(1e-9)
    one = -(m1[..., 0].conj() * residual - m2[..., 0] * residual.conj()) / power[..., 0]
    two = -(m1[..., 1] * residual.conj() - m2[..., 1].conj() * residual) / power[..., 1]
    pending = memory.command[:, None] - memory.settled
    wanted = np.stack([one, two], -1) / (1 - LAGS)[:, None] - pending[..., None]
    return np.asarray(wanted, np.complex64)
