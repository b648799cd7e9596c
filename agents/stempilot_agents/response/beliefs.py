"""What a few moves tell of an instrument's response.

A move is an action and the displacement of the residual that was seen after it. The model is
linear: ``displacement = matrix @ trace + noise``, where the trace is the action and a share of the
trace before it, the lag: that much of a move is still to come when the frame is taken. A few lags
are hypotheses. Two-by-two responses of lenses and deflectors are close to a rotation and a scale,
mirrored or not, so that one move nearly gives them away; these are two more hypotheses for each
lag, and a third, that any matrix will do, takes over when the moves contradict both. An action may
have further columns, such as its products with the place; then any matrix is the only hypothesis
for each lag. All of it is recursive least squares: only sums over the moves are kept.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from stempilot import Centre

FloatArray = npt.NDArray[np.float64]

LAGS: FloatArray = np.array([0.0, 0.2, 0.4])
"""Shares of a move that may still be to come at the frame after it."""

READING_NOISE, ACTION_NOISE = 0.2, 0.05
"""Scatter to expect before it shows: of a displacement, as a share of the tolerance; of a move."""

# Where in a bin a rounded residual lies is known to this many bins (standard deviation).
_ROUNDING = 0.3
# Noise that turned out smaller than assumed must not make a small surprise a large one.
_LEAST_NOISE = 0.3
# Most instruments have no lag.
_LAG_ODDS = np.array([0.7, 0.15, 0.15])
# How many moves the assumed noise is worth against the noise that the moves show.
_NOISE_MOVES = 1.0
# Odds of a rotation and scale, the same mirrored, and anything at all, before the first move.
_ODDS = (0.45, 0.45, 0.1)


def traces(action: FloatArray, before: FloatArray) -> FloatArray:
    """Return the traces (lags, n) after an action, given those before it."""
    return np.asarray(action + LAGS[:, np.newaxis] * before)


def reading_variance(goal: Centre, noise: float = READING_NOISE) -> float:
    """Return the variance of a component of a displacement without any move."""
    scatter = math.hypot(noise * goal.tolerance, _ROUNDING * goal.resolution)
    return float(max(scatter**2, np.finfo(float).tiny ** 0.5))


def variances(
    actions: FloatArray, gain: float, *, reading: float, scatter: float = ACTION_NOISE
) -> FloatArray:
    """Return the noise variance of a component of the displacements by actions (..., n).

    Args:
        actions: what moves the residual.
        gain: displacement per unit of action.
        reading: variance without any move.
        scatter: standard deviation of a move, as a share of it.
    """
    return np.asarray(reading + (scatter * gain * np.abs(actions).max(axis=-1)) ** 2)


@frozen(kw_only=True, eq=False)
class Moves:
    """Weighted sums over the moves seen, older ones fading.

    Attributes:
        squares: (lags, f, f) sum of trace times trace.
        products: (lags, n, f) sum of displacement times trace.
        energy: sum of squared displacements.
        count: number of moves, faded.
    """

    squares: FloatArray
    products: FloatArray
    energy: float = 0.0
    count: float = 0.0

    @classmethod
    def none(cls, size: int) -> "Moves":
        """Return the sums over no moves of ``size`` components."""
        return cls.of(np.zeros((0, len(LAGS), size)), np.zeros((0, size)), np.zeros(0))

    @classmethod
    def of(cls, traces: FloatArray, displacements: FloatArray, variances: FloatArray) -> "Moves":
        """Return the sums over moves.

        Args:
            traces: (m, lags, f) actions with what each lag has left of earlier ones.
            displacements: (m, n) displacements seen.
            variances: (m,) noise variance of one component of each.
        """
        weighted = traces / variances[:, np.newaxis, np.newaxis]
        return cls(
            squares=np.einsum("mla,mlb->lab", weighted, traces),
            products=np.einsum("mi,mla->lia", displacements, weighted),
            energy=float(np.sum(displacements**2 / variances[:, np.newaxis])),
            count=float(len(traces)),
        )

    def then(self, later: "Moves", kept: float) -> "Moves":
        """Return the sums with later moves; these keep a share of their weight, 0 to 1."""
        return Moves(
            squares=kept * self.squares + later.squares,
            products=kept * self.products + later.products,
            energy=kept * self.energy + later.energy,
            count=kept * self.count + later.count,
        )

    @property
    def gain(self) -> float:
        """Typical displacement per unit of action; 0 before anything moved."""
        power = float(np.trace(self.squares[0]))
        return math.sqrt(self.energy / power) if power > 0 else 0.0


@frozen(kw_only=True)
class Prior:
    """The belief about a response before the first move.

    Attributes:
        gain: standard deviation of one component of the displacement by an action of length 1.
        skew: how far a response is from a rotation and a scale, as a share of its gain.
    """

    gain: float
    skew: float


@frozen(kw_only=True, eq=False)
class Belief:
    """One hypothesis about the response and what the moves made of it.

    Attributes:
        matrix: (n, f) displacement per action, without what is still to come of earlier moves.
        lag: which of the lags it assumes.
        kind: which kind of response it assumes; rotations with a scale come first.
        rows: (n, f, f) covariance of each row of the matrix.
        weight: probability of the hypothesis.
        noise: noise variance found, as a multiple of the one assumed.
        similar: it is the hypothesis of a rotation and a scale.
    """

    matrix: FloatArray
    lag: int
    kind: int
    rows: FloatArray = field(repr=False)
    weight: float
    noise: float
    similar: bool

    def spread(self, actions: FloatArray) -> FloatArray:
        """Return the standard deviation of each component of displacements by actions (..., f)."""
        variance = np.einsum("...i,aij,...j->...a", actions, self.rows, actions)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def inverse(self) -> FloatArray:
        """Return the (n, n) matrix that turns a displacement into the action that causes it.

        Of all matrices it leaves the smallest mean square error, given how little is known.
        """
        size = len(self.matrix)
        normal = self.matrix.T @ self.matrix + self.rows.sum(axis=0)
        floor = 1e-12 * float(np.trace(normal)) + np.finfo(float).tiny
        inverse: FloatArray = np.linalg.solve(normal + floor * np.eye(size), self.matrix.T)
        return inverse

    def predict(self, traces: FloatArray, variance: float, mistrust: float = 0.0) -> "Prediction":
        """Return what to expect of a move.

        Args:
            traces: (lags, f) of the move.
            variance: assumed noise variance of one component of its displacement.
            mistrust: share by which it may be wrong for reasons not in the model.
        """
        trace = traces[self.lag]
        own, displacement = self.matrix @ traces[0], self.matrix @ trace
        unknown = float(np.mean(self.spread(trace) ** 2)) + mistrust**2 * float(own @ own)
        return Prediction(
            displacement=displacement,
            own=own,
            variance=max(self.noise, _LEAST_NOISE) * variance + unknown,
        )


@frozen(kw_only=True, eq=False)
class Prediction:
    """What to expect of a move.

    Attributes:
        displacement: (n,) how far the residual goes.
        own: (n,) the part of it that the action itself makes, and not those before.
        variance: of each component: noise, and what is not known of the response.
    """

    displacement: FloatArray
    own: FloatArray
    variance: float


@frozen(kw_only=True, eq=False)
class _Family:
    """The kinds of a response of one size, as coordinates in an orthonormal basis.

    Attributes:
        basis: (q, n, f) matrices that the coordinates multiply.
        free: (h, q) coordinates that each kind leaves free.
        odds: (lags, h) prior probabilities.
    """

    basis: FloatArray
    free: npt.NDArray[np.bool_]
    odds: FloatArray


@cache
def _family(size: int, columns: int) -> _Family:
    if size == columns == 2:  # noqa: PLR2004  a rotation and a scale needs a plane
        half = math.sqrt(0.5)
        turned = [[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]]
        basis = half * np.array(turned, dtype=float)
        free = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=bool)
        odds = np.array(_ODDS)
    else:
        basis = np.eye(size * columns).reshape(-1, size, columns)
        free = np.ones((1, size * columns), dtype=bool)
        odds = np.ones(1)
    return _Family(basis=basis, free=free, odds=_LAG_ODDS[:, np.newaxis] * odds)


def _variances(moves: Moves, prior: Prior, family: _Family) -> FloatArray:
    """Return the (h, q) prior variances of the coordinates."""
    # A kind with fewer free coordinates puts the same gain into them.
    free = prior.gain**2 * family.basis[0].size / family.free.sum(axis=1, keepdims=True)
    gain = min(moves.gain, prior.gain) if moves.count else prior.gain
    bound = max((prior.skew * gain) ** 2, 1e-12 * prior.gain**2)
    return np.asarray(np.where(family.free, free, bound))


def beliefs(moves: Moves, prior: Prior) -> tuple[Belief, ...]:
    """Return what each hypothesis makes of the moves, with probabilities that add up to 1.

    The assumed noise is itself corrected by the moves, the more of them there are.
    """
    size, columns = moves.products.shape[1:]
    family = _family(size, columns)
    flat = family.basis.reshape(len(family.basis), -1)
    normal = (family.basis @ moves.squares[:, np.newaxis]).reshape(-1, *flat.shape) @ flat.T
    normal = normal[:, np.newaxis]
    right = (moves.products.reshape(len(LAGS), -1) @ flat.T)[:, np.newaxis]
    variances = _variances(moves, prior, family)
    certainty = np.eye(len(flat)) / variances[:, np.newaxis, :]
    precision = normal + certainty
    covariance = np.linalg.inv(precision)
    coordinates = (covariance @ right[..., np.newaxis])[..., 0]
    misfit = np.maximum(moves.energy - np.sum(coordinates * right, axis=-1), 0.0)
    fitted = np.sum(normal * covariance, axis=(-2, -1))
    freedom = np.maximum(size * moves.count - fitted, 0.0)
    noise = (_NOISE_MOVES + misfit) / (_NOISE_MOVES + freedom)
    evidence = (
        np.log(family.odds)
        - 0.5 * np.linalg.slogdet(precision)[1]
        - 0.5 * np.log(variances).sum(axis=1)
        - 0.5 * (_NOISE_MOVES + size * moves.count) * np.log(_NOISE_MOVES + misfit)
    )
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    corrected = np.linalg.inv(normal / noise[..., np.newaxis, np.newaxis] + certainty)
    matrices = np.tensordot(coordinates, family.basis, axes=1)
    basis = family.basis
    rows = np.einsum("kia,...kl,lib->...iab", basis, corrected, basis, optimize=False)
    return tuple(
        Belief(
            matrix=matrices[lag, kind],
            lag=lag,
            kind=kind,
            rows=rows[lag, kind],
            weight=float(weights[lag, kind]),
            noise=float(noise[lag, kind]),
            similar=not family.free[kind].all(),
        )
        for lag, kind in np.ndindex(weights.shape)
    )
