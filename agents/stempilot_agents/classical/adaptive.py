"""Agent ``adaptive``: probes, estimates the response as it goes, and takes the direct way.

It works from the task's goal alone, so on any task that drives a residual to zero with as many
action components as the residual has entries.
"""

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import Agent, Brief, Centre, IncompatibleError
from stempilot_agents.classical.steering import Caution, Place, is_unclear, probe, steer
from stempilot_agents.response.beliefs import (
    ACTION_NOISE,
    LAGS,
    READING_NOISE,
    Belief,
    FloatArray,
    Moves,
    Prior,
    beliefs,
    reading_variance,
    traces,
    variances,
)
from stempilot_agents.response.centring import centring_problems
from stempilot_agents.response.change import Odds, evidence

_SHARE = [validators.gt(0.0), validators.le(1.0)]
# Near an edge more mistrust is safer; here less notices a changed instrument sooner.
_SURPRISE = 0.2


@frozen(kw_only=True)
class AdaptiveConfig:
    """Options of ``adaptive``.

    Attributes:
        memory: ``kept`` keeps the response found while the instrument is the same; ``fresh``
            forgets it at the start of every episode.
        probe: largest component of a probe, 0 to 1.
        largest_gain: largest response expected, in multiples of the task's nominal one. Probes
            near an edge are made small enough for it.
        first_probe: length of the first probe, 0 to 1, where the task has no nominal response;
            it grows from there.
        room: share of the distance to the edge that a move may use, 0 to 1.
        deviations: standard deviations by which a predicted move must stay within that room.
        mistrust: share of a predicted move by which the linear model may be wrong.
        skew: how far a two-by-two response is expected to be from a rotation and a scale, as a
            share of its gain.
        forgetting: share of their weight that moves lose with each further move, 0 to 1.
        action_noise: scatter expected of a move, as a share of it.
        reading_noise: scatter expected of a displacement, as a share of the tolerance.
        change_odds: odds, at each move, that the instrument has changed.
    """

    memory: Literal["kept", "fresh"] = field(
        default="kept", validator=validators.in_(("kept", "fresh"))
    )
    probe: float = field(default=0.7, validator=_SHARE)
    largest_gain: float = field(default=4.0, validator=validators.gt(0))
    first_probe: float = field(default=0.01, validator=_SHARE)
    room: float = field(default=0.9, validator=_SHARE)
    deviations: float = field(default=2.0, validator=validators.gt(0))
    mistrust: float = field(default=0.2, validator=validators.ge(0))
    skew: float = field(default=0.05, validator=validators.gt(0))
    forgetting: float = field(default=0.05, validator=[validators.ge(0), validators.lt(1)])
    action_noise: float = field(default=ACTION_NOISE, validator=validators.ge(0))
    reading_noise: float = field(default=READING_NOISE, validator=validators.gt(0))
    change_odds: float = field(default=1e-4, validator=[validators.ge(0), validators.lt(1)])


def make_adaptive(config: AdaptiveConfig, brief: Brief) -> Agent:
    """Return the agent.

    Raises:
        IncompatibleError: the task does not centre anything, or not in a way the agent can use.
    """
    problems = _problems(brief)
    if problems or brief.centre is None or not isinstance(brief.action_space, Box):
        raise IncompatibleError(problems)
    return _Adaptive(config, brief.centre, brief.action_space)


def _problems(brief: Brief) -> list[str]:
    problems = centring_problems("adaptive", brief)
    goal = brief.centre
    if goal is None or goal.full_action is not None:
        return problems
    if not all(map(math.isfinite, (*goal.edges[0], *goal.edges[1]))):
        problems.append(
            "adaptive needs goal.full_action or finite edges to know how large a probe may be, "
            f"the edges are {goal.edges[0]} and {goal.edges[1]}"
        )
    return problems


class _Adaptive(Agent):
    """Makes policies; has nothing of its own to learn."""

    def __init__(self, config: AdaptiveConfig, goal: Centre, actions: Box) -> None:
        self._parts = (config, goal, actions)

    def policy(self) -> "_AdaptivePolicy":
        """Return a policy that knows nothing yet."""
        return _AdaptivePolicy(*self._parts)


class _AdaptivePolicy:
    """Keeps the moves of one instrument and steers by what they tell.

    It says what contradicts them (`stempilot.NoticesChange`), and begins to probe again.
    """

    _moves: Moves
    _prior: Prior | None
    _beliefs: tuple[Belief, ...]
    _place: Place | None
    _last: FloatArray
    _traces: FloatArray

    def __init__(self, config: AdaptiveConfig, goal: Centre, actions: Box) -> None:
        self._config = config
        self._goal = goal
        self._actions = actions
        self._size = len(goal.residual)
        self._entries = np.array(goal.residual)
        self._lower = np.array(goal.edges[0])
        self._upper = np.array(goal.edges[1])
        self._caution = Caution(
            probe=config.probe,
            room=config.room,
            deviations=config.deviations,
            mistrust=config.mistrust,
        )
        self._reading = reading_variance(goal, config.reading_noise)
        self._instrument: str | None = None
        self._found = ""
        self._forget()

    def reset(self, instrument_id: str) -> None:
        """Prepare for a new episode; keep the response found if that is wanted and plausible."""
        if instrument_id != self._instrument or self._config.memory == "fresh":
            self._forget()
        elif self._ended_unexpectedly():
            self._found = (
                "an episode ended where the response that was found does not lead; probing again"
            )
            self._forget()
        self._instrument = instrument_id
        self._place = None
        self._traces = np.zeros((len(LAGS), self._size))

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the action for the observation, inside the action space."""
        residual = np.asarray(observation, dtype=float)[self._entries]
        if self._place is not None:
            self._learn(residual - self._place.residual)
        if self._prior is None:
            self._prior = self._expected(residual)
        self._beliefs = beliefs(self._moves, self._prior)
        self._place = Place(
            residual=residual,
            coming=LAGS[:, np.newaxis] * self._traces,
            last=self._last,
            lower=self._lower,
            upper=self._upper,
            tolerance=self._goal.tolerance,
            reading=self._reading,
        )
        unknown = not self._moves.count or is_unclear(self._place, self._beliefs)
        choose = probe if unknown else steer
        action = choose(self._place, self._beliefs, self._caution)
        taken = np.clip(action, -1.0, 1.0).astype(self._actions.dtype)
        self._last = taken.astype(float)
        self._traces = traces(self._last, self._traces)
        return taken

    def ended(self, observation: npt.NDArray[Any]) -> None:
        """Do nothing: the next reset judges from what was seen before."""

    def changed(self) -> str:
        """Return what was found since it was last asked for; mostly empty."""
        found, self._found = self._found, ""
        return found

    def _forget(self) -> None:
        self._moves = Moves.none(self._size)
        self._odds = self._even()
        self._prior = None
        self._beliefs = ()
        self._place = None
        self._last = np.zeros(self._size)
        self._traces = np.zeros((len(LAGS), self._size))

    def _expected(self, residual: FloatArray) -> Prior:
        """Return the prior: from the nominal response, or from what a tiny probe may not do."""
        config = self._config
        if self._goal.full_action is not None:
            largest = config.largest_gain * self._goal.full_action
        else:
            edge = float(np.min([self._upper - residual, residual - self._lower]))
            largest = config.room * max(edge, self._goal.tolerance) / config.first_probe
        gain = largest / config.deviations
        return Prior(gain=gain, skew=config.skew)

    def _learn(self, displacement: FloatArray) -> None:
        if self._moves.count and self._odds.take(self._evidence(displacement)):
            self._found = (
                "the response is no longer what was found: a move is better explained by another "
                "instrument; probing again"
            )
            # This move is the first of the changed instrument, so it is worth keeping.
            self._moves, self._odds = Moves.none(self._size), self._even()
        length = float(np.linalg.norm(self._last))
        own = float(np.linalg.norm(displacement)) / length if length else 0.0
        noise = np.array([self._variance(self._moves.gain or own)])
        move = Moves.of(self._traces[np.newaxis], displacement[np.newaxis], noise)
        self._moves = self._moves.then(move, kept=1 - self._config.forgetting)

    def _even(self) -> Odds:
        odds = self._config.change_odds
        return Odds(-math.log(odds) if odds else math.inf)

    def _variance(self, gain: float) -> float:
        scatter = self._config.action_noise
        return float(variances(self._last, gain, reading=self._reading, scatter=scatter))

    def _evidence(self, displacement: FloatArray) -> FloatArray:
        """Return the log odds of another response against the belief that explains a move best.

        One of the same direction and another length is no other: further moves correct the length.
        """
        variance, mistrust = self._variance(self._moves.gain), _SURPRISE * self._config.mistrust
        odds = [
            evidence(displacement, belief.predict(self._traces, variance, mistrust))
            - math.log(max(belief.weight, np.finfo(float).tiny))
            for belief in self._beliefs
        ]
        return np.asarray(np.min(odds, axis=0)[:1])

    def _ended_unexpectedly(self) -> bool:
        """Return whether the last episode ended although the model expected it to go on.

        The policy never sees where the last action led. An end far from the goal was a loss.
        """
        if self._place is None or not self._beliefs:
            return False
        belief = max(self._beliefs, key=lambda item: item.weight)
        mistrust = self._config.mistrust / math.sqrt(self._size)
        expected = belief.predict(self._traces, self._variance(self._moves.gain), mistrust)
        left = float(np.linalg.norm(self._place.residual + expected.displacement))
        margin = self._config.deviations * math.sqrt(self._size * expected.variance)
        return left > self._goal.tolerance + margin
