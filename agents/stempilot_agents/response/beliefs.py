"""What a few moves tell of an instrument's response.

A move is an action and the displacement of the residual that was seen after it. The model is
linear: ``displacement = matrix @ action + lag * previous displacement + noise``. Two-by-two
responses of lenses and deflectors are close to a rotation and a scale, mirrored or not, so that
one move nearly gives them away; this is kept as two of three hypotheses, and the third, that any
matrix will do, takes over when the moves contradict both. All of it is recursive least squares:
only sums over the moves are kept.
"""

import math
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

FloatArray = npt.NDArray[np.float64]

# How many moves the assumed noise is worth against the noise that the moves show.
_NOISE_MOVES = 1.0
# Odds of a rotation and scale, the same mirrored, and anything at all, before the first move.
_ODDS = (0.45, 0.45, 0.1)
# A lag cannot be told from the other unknowns of two columns before so many (fading) moves.
_LAG_MOVES = 3.3
_NO_LAG = 1e-4


@frozen(kw_only=True, eq=False)
class Moves:
    """Weighted sums over the moves seen, older ones fading.

    A regressor is the action and the displacement before it, one after the other.

    Attributes:
        squares: (2n, 2n) sum of regressor times regressor.
        products: (n, 2n) sum of displacement times regressor.
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
        return cls(squares=np.zeros((2 * size, 2 * size)), products=np.zeros((size, 2 * size)))

    def add(self, move: "Move", *, variance: float, kept: float) -> "Moves":
        """Return the sums with one more move.

        Args:
            move: the move.
            variance: noise variance of one component of its displacement.
            kept: what the older moves keep of their weight, 0 to 1.
        """
        regressor = np.concatenate([move.action, move.previous])
        return Moves(
            squares=kept * self.squares + np.outer(regressor, regressor) / variance,
            products=kept * self.products + np.outer(move.displacement, regressor) / variance,
            energy=kept * self.energy + float(move.displacement @ move.displacement) / variance,
            count=kept * self.count + 1.0,
        )

    @property
    def gain(self) -> float:
        """Typical displacement per unit of action; 0 before anything moved."""
        size = len(self.products)
        power = float(np.trace(self.squares[:size, :size]))
        return math.sqrt(self.energy / power) if power > 0 else 0.0


@frozen(kw_only=True, eq=False)
class Move:
    """One action and what it did to the residual.

    Attributes:
        action: (n,) the action.
        previous: (n,) displacement one move earlier, 0 at the start of an episode.
        displacement: (n,) displacement seen.
    """

    action: FloatArray
    previous: FloatArray
    displacement: FloatArray


@frozen(kw_only=True)
class Prior:
    """The belief about a response before the first move.

    Attributes:
        gain: standard deviation of one component of the displacement by an action of length 1.
        skew: how far a response is from a rotation and a scale, as a share of its gain.
        lag: standard deviation of the lag.
    """

    gain: float
    skew: float
    lag: float


@frozen(kw_only=True, eq=False)
class Belief:
    """One hypothesis about the response and what the moves made of it.

    Attributes:
        matrix: (n, n) displacement per action, without what is still to come of earlier moves.
        lag: share of the previous displacement that is still to come.
        rows: (n, n, n) covariance of each row of the matrix.
        weight: probability of the hypothesis.
        noise: noise variance found, as a multiple of the one assumed.
        similar: it is the hypothesis of a rotation and a scale.
    """

    matrix: FloatArray
    lag: float
    rows: FloatArray = field(repr=False)
    weight: float
    noise: float
    similar: bool

    def spread(self, action: FloatArray) -> FloatArray:
        """Return the standard deviation of each component of the action's displacement."""
        variance: FloatArray = np.maximum((self.rows @ action) @ action, 0.0)
        return np.sqrt(variance)

    def inverse(self) -> FloatArray:
        """Return the (n, n) matrix that turns a displacement into the action that causes it.

        Of all matrices it leaves the smallest mean square error, given how little is known.
        """
        size = len(self.matrix)
        normal = self.matrix.T @ self.matrix + self.rows.sum(axis=0)
        floor = 1e-12 * float(np.trace(normal)) + np.finfo(float).tiny
        inverse: FloatArray = np.linalg.solve(normal + floor * np.eye(size), self.matrix.T)
        return inverse

    def log_density(self, move: Move, *, variance: float, mistrust: float) -> float:
        """Return the logarithm of how probable the move is, up to a constant.

        Args:
            move: the move.
            variance: assumed noise variance of one component of its displacement.
            mistrust: share by which a prediction may be wrong for reasons not in the model.
        """
        moved = self.matrix @ move.action
        error = move.displacement - moved - self.lag * move.previous
        doubt = mistrust**2 * float(moved @ moved)
        # Noise that turned out smaller than assumed must not make a small surprise a large one.
        total = self.spread(move.action) ** 2 + max(self.noise, 0.3) * variance + doubt
        density = -0.5 * float(np.sum(error**2 / total + np.log(total)))
        return density + math.log(max(self.weight, np.finfo(float).tiny))


@frozen(kw_only=True, eq=False)
class _Family:
    """The hypotheses about a response of one size, as coordinates in an orthonormal basis.

    Attributes:
        basis: (q, n, 2n) matrices that the coordinates multiply; the last one is the lag.
        free: (h, q - 1) coordinates that each hypothesis leaves free.
        odds: (h,) prior probabilities.
    """

    basis: FloatArray
    free: npt.NDArray[np.bool_]
    odds: FloatArray


@cache
def _family(size: int) -> _Family:
    if size == 2:  # noqa: PLR2004  a rotation and a scale needs a plane
        half = math.sqrt(0.5)
        turned = [[[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]]
        matrices = half * np.array(turned, dtype=float)
        free = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=bool)
        odds = np.array(_ODDS)
    else:
        matrices = np.eye(size * size).reshape(-1, size, size)
        free = np.ones((1, size * size), dtype=bool)
        odds = np.ones(1)
    lag = np.hstack([np.zeros((size, size)), np.eye(size)])[np.newaxis]
    padded = np.concatenate([matrices, np.zeros_like(matrices)], axis=2)
    return _Family(basis=np.concatenate([padded, lag]), free=free, odds=odds)


def _variances(moves: Moves, prior: Prior, family: _Family) -> FloatArray:
    """Return the (h, q) prior variances of the coordinates."""
    count, size = len(family.free), len(moves.products)
    # A hypothesis with fewer free coordinates puts the same gain into them.
    free = prior.gain**2 * size**2 / family.free.sum(axis=1, keepdims=True)
    gain = min(moves.gain, prior.gain) if moves.count else prior.gain
    bound = max((prior.skew * gain) ** 2, 1e-12 * prior.gain**2)
    lag = prior.lag if moves.count > _LAG_MOVES else _NO_LAG
    matrix = np.where(family.free, free, bound)
    return np.hstack([matrix, np.full((count, 1), lag**2)])


def beliefs(moves: Moves, prior: Prior) -> tuple[Belief, ...]:
    """Return what each hypothesis makes of the moves, with probabilities that add up to 1.

    The assumed noise is itself corrected by the moves, the more of them there are.
    """
    size = len(moves.products)
    family = _family(size)
    flat = family.basis.reshape(len(family.basis), -1)
    normal = (family.basis @ moves.squares).reshape(flat.shape) @ flat.T
    right = flat @ moves.products.ravel()
    variances = _variances(moves, prior, family)
    certainty = np.eye(len(flat)) / variances[:, np.newaxis, :]
    precision = normal + certainty
    covariance = np.linalg.inv(precision)
    coordinates = covariance @ right
    misfit = np.maximum(moves.energy - coordinates @ right, 0.0)
    fitted = np.sum(normal * covariance, axis=(1, 2))
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
    corrected = np.linalg.inv(normal / noise[:, np.newaxis, np.newaxis] + certainty)
    matrices = np.tensordot(coordinates[:, :-1], family.basis[:-1, :, :size], axes=1)
    rows = np.einsum(
        "kia,hkl,lib->hiab",
        family.basis[:-1, :, :size],
        corrected[:, :-1, :-1],
        family.basis[:-1, :, :size],
        optimize=False,
    )
    return tuple(
        Belief(
            matrix=matrices[index],
            lag=float(coordinates[index, -1]),
            rows=rows[index],
            weight=float(weights[index]),
            noise=float(noise[index]),
            similar=not free.all(),
        )
        for index, free in enumerate(family.free)
    )


@lru_cache(maxsize=8)
def prior_beliefs(size: int, prior: Prior) -> tuple[Belief, ...]:
    """Return what each hypothesis says before the first move of ``size`` components."""
    return beliefs(Moves.none(size), prior)
