"""What an instrument's response was while an agent learnt: the belief that its transitions make.

The response may change with the square of the place (distortion). All of it is what was normal
then, so that `stempilot_agents.response.watch` can tell when something no longer is.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from gymnasium.spaces import Box, Discrete

from stempilot import Centre, Transitions
from stempilot_agents.response.beliefs import (
    LAGS,
    Belief,
    FloatArray,
    Moves,
    Prediction,
    Prior,
    beliefs,
    reading_variance,
    traces,
    variances,
)
from stempilot_agents.response.change import TAILS

MOST = 1000
"""More recent transitions are not needed, and older ones may be of another response."""

# Fewer transitions than this tell too little of the noise.
_FEWEST = 20
_ROUNDS = 5
# Prior standard deviation of the response, as a multiple of the typical gain; of its change from
# the centre to the edge, as a share of that; and how far it is from a rotation and a scale.
_GAIN, _BENDING, _SKEW = 3.0, 0.1, 0.05


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

    def features(self, residuals: FloatArray, commands: FloatArray) -> FloatArray:
        """Return what displacements are linear in, (m, f).

        It is the command and the command times each product of two coordinates of the place, in
        which the edges are at -1 and 1.

        Args:
            residuals: (m, n) before the moves.
            commands: (m, k) actions as `commands` returns them.
        """
        if not len(self.reach):
            return commands
        places = (residuals - self.centre) / self.reach
        one, other = np.triu_indices(len(self.reach))
        products = _BENDING * places[:, one] * places[:, other]
        bent = commands[:, :, np.newaxis] * products[:, np.newaxis, :]
        return np.hstack([commands, bent.reshape(len(commands), -1)])


@frozen(kw_only=True, eq=False)
class FittedResponse:
    """A response as it was, in the units of the residual.

    Attributes:
        place: what its features are made of.
        belief: what the transitions made of it.
        reading: variance assumed of a component of a displacement without any move.
        gain: typical displacement per unit of action.
    """

    place: Field
    belief: Belief
    reading: float
    gain: float

    def predict(self, traces: FloatArray) -> Prediction:
        """Return what to expect of a move of traces (lags, f) of the features."""
        variance = float(variances(traces[0], self.gain, reading=self.reading))
        return self.belief.predict(traces, variance)


@frozen(kw_only=True, eq=False)
class Seen:
    """Moves whose displacement was seen, m of them.

    Attributes:
        residuals: (m, n) before the moves.
        commands: (m, k) actions as `Field.commands` returns them.
        previous: (m, n) displacements one move earlier, 0 where that was not seen.
        traces: (m, lags, f) features with what each lag has left of earlier ones.
        displacements: (m, n).
    """

    residuals: FloatArray
    commands: FloatArray
    previous: FloatArray
    traces: FloatArray
    displacements: FloatArray


def fit_response(seen: Transitions, goal: Centre, actions: Box | Discrete) -> FittedResponse | None:
    """Return the response that transitions show; ``None`` where too few do, or nothing moved.

    Moves that others make improbable (Student's t) weigh less.

    Args:
        seen: transitions in order; of many, the last `MOST` count.
        goal: says what the residual is.
        actions: space of the actions.
    """
    place = Field.of(goal, actions)
    moves = moves_seen(seen, place, goal.tolerance)
    moved = moves.displacements
    if len(moved) < _FEWEST or not moved.any():
        return None
    gain = float(np.linalg.norm(moved)) / max(float(np.linalg.norm(moves.commands)), 1e-9)
    prior, reading = Prior(gain=_GAIN * gain, skew=_SKEW), reading_variance(goal)
    assumed = variances(moves.commands, gain, reading=reading)
    trust = np.ones(len(moved))
    for _ in range(_ROUNDS):
        sums = Moves.of(moves.traces, moved, assumed / trust)
        belief = max(beliefs(sums, prior), key=lambda item: item.weight)
        misses = moved - moves.traces[:, belief.lag] @ belief.matrix.T
        far = np.sum(misses**2, axis=1) / (belief.noise * assumed)
        trust = (TAILS + moved.shape[1]) / (TAILS + far)
    return FittedResponse(place=place, belief=belief, reading=reading, gain=gain)


def moves_seen(seen: Transitions, place: Field, tolerance: float) -> Seen:
    """Return the moves of transitions in order; of many, the last `MOST`.

    Left out is what was not seen: where a lost feature went, where a refused action would have led.

    Args:
        seen: transitions in order.
        place: where residuals lie.
        tolerance: largest length of a residual that an episode ends well with.
    """
    before, after = place.residuals(seen.observations), place.residuals(seen.next_observations)
    displacements = after - before
    measured = np.asarray(np.isfinite(displacements).all(axis=1))
    # A row goes on from the one before unless an episode ended, or ran out, in between.
    follows = ~(seen.terminated | seen.truncated)[:-1] & (after[:-1] == before[1:]).all(axis=1)
    follows &= measured[:-1]
    previous = np.zeros_like(displacements)
    previous[1:][follows] = displacements[:-1][follows]
    commands = place.commands(seen.actions)
    features = place.features(before, commands)
    traced = np.repeat(features[:, np.newaxis], len(LAGS), axis=1)
    for row in np.flatnonzero(follows) + 1:
        traced[row] = traces(features[row], traced[row - 1])
    known = ~seen.terminated | (np.linalg.norm(after, axis=1) <= tolerance)
    rows = np.flatnonzero(known & measured)[-MOST:]
    return Seen(
        residuals=before[rows],
        commands=commands[rows],
        previous=previous[rows],
        traces=traced[rows],
        displacements=displacements[rows],
    )
