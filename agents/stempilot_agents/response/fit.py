"""What an instrument's response was while an agent learnt: fitted to its transitions.

The displacement of the residual is modelled as linear in the action, with a response that may
change with the square of the place (distortion), plus a share of the previous displacement (lag),
plus noise that grows with the move. All of it is what was normal then, so that
`stempilot_agents.response.watch` can tell when something no longer is.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from gymnasium.spaces import Box, Discrete

from stempilot import Centre, Transitions

FloatArray = npt.NDArray[np.float64]

TAILS = 4.0
"""Degrees of freedom of the noise (Student's t): how far out a normal move may lie at times."""

MOST = 1000
"""More recent transitions are not needed, and older ones may be of another response."""

# Fewer transitions than this tell too little of the noise.
_FEWEST = 20
_ROUNDS = 12
# Prior standard deviations: of the response and of its change from the centre to the edge, as
# multiples of the typical gain, and of the lag.
_GAIN, _BENDING, _LAG = 10.0, 0.3, 0.3
# Smaller surprises are no change worth noticing: a share of the tolerance, a share of the move.
_LEAST_READING, _LEAST_SHARE = 0.05, 0.02
# Variance of the difference of two rounded numbers.
_ROUNDING = 1 / 6


@frozen(kw_only=True, eq=False)
class Field:
    """Where residuals lie, between which edges, and what moves them.

    Attributes:
        actions: space of the actions.
        entries: (n,) observation entries that are the residual.
        centre: (n,) residual at the middle between the edges.
        reach: (n,) from there to the edge; empty where an edge is infinite.
    """

    actions: Box | Discrete
    entries: npt.NDArray[np.intp]
    centre: FloatArray
    reach: FloatArray

    @classmethod
    def of(cls, goal: Centre, actions: Box | Discrete) -> "Field":
        """Return the field that the goal of a task describes."""
        lower, upper = np.array(goal.edges[0]), np.array(goal.edges[1])
        finite = bool(np.isfinite([lower, upper]).all() and (lower < upper).all())
        return cls(
            actions=actions,
            entries=np.array(goal.residual, dtype=np.intp),
            centre=(lower + upper) / 2 if finite else np.zeros(len(lower)),
            reach=(upper - lower) / 2 if finite else np.zeros(0),
        )

    def residuals(self, observations: npt.NDArray[Any]) -> FloatArray:
        """Return the residuals (m, n) of observations (m, ...)."""
        flat = np.asarray(observations, dtype=np.float64).reshape(len(observations), -1)
        residuals: FloatArray = flat[:, self.entries]
        return residuals

    def commands(self, actions: npt.NDArray[Any]) -> FloatArray:
        """Return actions (m, ...) as vectors (m, k) that a displacement can be linear in.

        Numbers are taken as they are; of numbered actions, each has a component of its own.
        """
        taken = np.asarray(actions)
        if isinstance(self.actions, Discrete):
            one_of: FloatArray = np.eye(int(self.actions.n))
            return np.asarray(one_of[taken.reshape(-1) - int(self.actions.start)])
        return taken.reshape(len(taken), -1).astype(np.float64)

    def features(
        self, residuals: FloatArray, commands: FloatArray, previous: FloatArray
    ) -> FloatArray:
        """Return what displacements are linear in, (m, f).

        They are the previous displacement, the command, and the command times each product of two
        coordinates of the place, in which the edges are at -1 and 1.

        Args:
            residuals: (m, n) before the moves.
            commands: (m, k) actions as `commands` returns them.
            previous: (m, n) displacements one move earlier, 0 at the start of an episode.
        """
        if not len(self.reach):
            return np.hstack([previous, commands])
        places = (residuals - self.centre) / self.reach
        one, other = np.triu_indices(len(self.reach))
        products = places[:, one] * places[:, other]
        bent = commands[:, :, np.newaxis] * products[:, np.newaxis, :]
        return np.hstack([previous, commands, bent.reshape(len(commands), -1)])


@frozen(kw_only=True, eq=False)
class Expected:
    """Expected displacements of m moves of n components.

    Attributes:
        displacements: (m, n).
        awaited: (m, n) the part of them that was still to come of the move before.
        variances: (m,) of each component: noise, and what is not known of the response.
    """

    displacements: FloatArray
    awaited: FloatArray
    variances: FloatArray

    @property
    def lengths(self) -> FloatArray:
        """(m,) how far the actions themselves move the residual."""
        lengths: FloatArray = np.linalg.norm(self.displacements - self.awaited, axis=1)
        return lengths


@frozen(kw_only=True, eq=False)
class FittedResponse:
    """A response as it was, in the units of the residual.

    Attributes:
        place: what its features are made of.
        weights: (n, f) displacement per feature.
        covariance: (f, f) how well each row of the weights is known.
        reading_variance: noise variance of one component whatever the move.
        share_variance: further noise variance, as a multiple of the squared length of the move.
    """

    place: Field
    weights: FloatArray
    covariance: FloatArray = field(repr=False)
    reading_variance: float
    share_variance: float

    def expect(self, residuals: FloatArray, commands: FloatArray, previous: FloatArray) -> Expected:
        """Return what to expect of moves; arguments as `Field.features` takes them."""
        seen = self.place.features(residuals, commands, previous)
        awaited = seen[:, : len(self.weights)] @ self.weights[:, : len(self.weights)].T
        displacements = seen @ self.weights.T
        unknown = np.sum((seen @ self.covariance) * seen, axis=1)
        moved = np.sum((displacements - awaited) ** 2, axis=1)
        noise = self.reading_variance + self.share_variance * moved
        return Expected(displacements=displacements, awaited=awaited, variances=noise + unknown)


@frozen(kw_only=True, eq=False)
class Moves:
    """Moves whose displacement was seen, m of them.

    Attributes:
        residuals: (m, n) before the moves.
        commands: (m, k) actions as `Field.commands` returns them.
        previous: (m, n) displacements one move earlier, 0 at the start of an episode.
        displacements: (m, n).
    """

    residuals: FloatArray
    commands: FloatArray
    previous: FloatArray
    displacements: FloatArray


def fit_response(seen: Transitions, goal: Centre, actions: Box | Discrete) -> FittedResponse | None:
    """Return the response that transitions show; ``None`` where too few do, or nothing moved.

    The fit is by least squares, with less weight on moves that others make improbable (Student's
    t), and with noise that turns out as large as what the model leaves unexplained.

    Args:
        seen: transitions in order; of many, the last `MOST` count.
        goal: says what the residual is.
        actions: space of the actions.
    """
    place = Field.of(goal, actions)
    moves = moves_seen(seen, place, goal.tolerance)
    if len(moves.commands) < _FEWEST or not moves.displacements.any():
        return None
    return _fit(moves, place, goal)


def moves_seen(seen: Transitions, place: Field, tolerance: float) -> Moves:
    """Return the moves of transitions in order; of many, the last `MOST`.

    Left out is what was not seen: where a lost feature went, where a refused action would have led.

    Args:
        seen: transitions in order.
        place: where residuals lie.
        tolerance: largest length of a residual that an episode ends well with.
    """
    before, after = place.residuals(seen.observations), place.residuals(seen.next_observations)
    displacements = after - before
    # A row goes on from the one before unless an episode ended, or ran out, in between.
    follows = ~(seen.terminated | seen.truncated)[:-1] & (after[:-1] == before[1:]).all(axis=1)
    previous = np.zeros_like(displacements)
    previous[1:][follows] = displacements[:-1][follows]
    known = ~seen.terminated | (np.linalg.norm(after, axis=1) <= tolerance)
    known &= np.isfinite(displacements).all(axis=1) & np.isfinite(previous).all(axis=1)
    rows = np.flatnonzero(known)[-MOST:]
    return Moves(
        residuals=before[rows],
        commands=place.commands(seen.actions)[rows],
        previous=previous[rows],
        displacements=displacements[rows],
    )


def _fit(moves: Moves, place: Field, goal: Centre) -> FittedResponse:
    size, count = moves.displacements.shape[1], moves.commands.shape[1]
    regressors = place.features(moves.residuals, moves.commands, moves.previous)
    lengths = np.linalg.norm(moves.displacements, axis=1)
    gain = float(np.linalg.norm(lengths)) / max(float(np.linalg.norm(moves.commands)), 1e-9)
    least = (_LEAST_READING * goal.tolerance) ** 2 + _ROUNDING * goal.resolution**2
    prior = np.full(regressors.shape[1], _BENDING * gain)
    prior[:size], prior[size : size + count] = _LAG, _GAIN * gain
    precision = np.diag(1.0 / np.maximum(prior, 1e-9) ** 2)
    variances = np.full(len(lengths), float(np.mean(lengths**2)) + least)
    trust = np.ones(len(lengths))
    for _ in range(_ROUNDS):
        weighted = regressors * (trust / variances)[:, np.newaxis]
        covariance = np.linalg.inv(weighted.T @ regressors + precision)
        weights = (covariance @ (weighted.T @ moves.displacements)).T
        misses = np.sum((moves.displacements - regressors @ weights.T) ** 2, axis=1)
        moved = np.sum((regressors[:, size:] @ weights[:, size:].T) ** 2, axis=1)
        used = float(np.sum((weighted @ covariance) * regressors))
        freedom = max(1.0 - used / len(lengths), 0.2)
        noise = _noise(trust * misses / (size * freedom), moved, variances, least)
        variances = noise[0] + noise[1] * moved
        trust = (TAILS + size) / (TAILS + misses / variances)
    return FittedResponse(
        place=place,
        weights=weights,
        covariance=covariance,
        reading_variance=noise[0],
        share_variance=noise[1],
    )


def _noise(
    squares: FloatArray, moved: FloatArray, variances: FloatArray, least: float
) -> tuple[float, float]:
    """Return the variances, at rest and per squared move, that explain squared misses best."""
    weights = 1.0 / variances**2
    columns = np.column_stack([np.ones_like(moved), moved])
    normal = columns.T @ (columns * weights[:, np.newaxis])
    right = columns.T @ (squares * weights)
    floor = 1e-9 * np.diag(np.diag(normal))
    rest, share = np.linalg.solve(normal + floor, right)
    if share < _LEAST_SHARE**2:
        share = _LEAST_SHARE**2
        rest = (right[0] - normal[0, 1] * share) / normal[0, 0]
    if rest < least:
        rest = least
        share = max((right[1] - normal[0, 1] * rest) / max(normal[1, 1], 1e-300), _LEAST_SHARE**2)
    return float(rest), float(share)
