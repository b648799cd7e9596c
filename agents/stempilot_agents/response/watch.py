"""Notices that a response is no longer what it was while an agent learnt."""

import math
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete

from stempilot import Centre, Policy, Transitions
from stempilot_agents.response.beliefs import LAGS, FloatArray, Prediction, traces
from stempilot_agents.response.change import Odds, evidence
from stempilot_agents.response.fit import FittedResponse, fit_response

_THRESHOLD = 12.0
# No move counts for more. One frame that went wrong makes two odd moves, there and back, and is
# no change.
_MOST_EVIDENCE = 5.0
# Where the predicted end of a move is nearer to an edge than this many standard deviations, what
# became of it is no evidence: the feature may be lost, and then its place is unknown.
_EDGE_DEVIATIONS = 2.0


class Watch:
    """Compares moves with what a response was.

    Args:
        response: as it was.
    """

    def __init__(self, response: FittedResponse) -> None:
        self._response = response
        self._odds = Odds(_THRESHOLD, _MOST_EVIDENCE)
        self._found = False
        self._misses: list[float] = []
        self.begin()

    def begin(self) -> None:
        """Begin another episode."""
        self._traces = np.zeros((len(LAGS), self._response.belief.matrix.shape[1]))

    def take(
        self, before: npt.NDArray[Any], action: npt.NDArray[Any], after: npt.NDArray[Any]
    ) -> str:
        """Take one move; return, for people, what is found, and nothing most of the time.

        A change is found once. The next one can only be found after moves have been as they were.

        Args:
            before: observation before the move.
            action: the action.
            after: observation after it.
        """
        place = self._response.place
        start, end = place.residuals(np.stack([before, after]))
        command = place.commands(np.asarray(action)[np.newaxis])
        features = place.features(start[np.newaxis], command)[0]
        self._traces = traces(features, self._traces)
        expected = self._response.predict(self._traces)
        miss = end - start - expected.displacement
        if not np.isfinite(miss).all():
            self.begin()
            return ""
        if self._may_be_lost(start, expected):
            return ""
        is_other = self._odds.take(evidence(end - start, expected))
        if not self._odds.sums.any():
            self._found = False
            self._misses.clear()
            return ""
        if self._found:
            return ""
        length = max(float(np.linalg.norm(expected.own)), math.sqrt(expected.variance))
        self._misses.append(float(np.linalg.norm(miss)) / length)
        if not is_other:
            return ""
        self._found = True
        return self._sentence()

    def _may_be_lost(self, start: FloatArray, expected: Prediction) -> bool:
        place = self._response.place
        if not len(place.reach):
            return False
        left = place.reach - np.abs(start + expected.displacement - place.centre)
        return bool(left.min() < _EDGE_DEVIATIONS * math.sqrt(expected.variance))

    def _sentence(self) -> str:
        count, miss = len(self._misses), float(np.median(self._misses))
        return (
            f"the response is no longer what it was: over {count} moves, a move ended "
            f"{miss:.0%} of its length from where it used to lead"
        )


class Watching:
    """A policy, and a watch over where it leads (`stempilot.NoticesChange`).

    Args:
        policy: what acts.
        watch: what compares.
    """

    def __init__(self, policy: Policy, watch: Watch) -> None:
        self._policy = policy
        self._watch = watch
        self._last: tuple[npt.NDArray[Any], Any] | None = None
        # Compared only when `changed` is asked for, which an evaluation does not do.
        self._moves: list[tuple[npt.NDArray[Any], Any, npt.NDArray[Any]]] = []

    def reset(self, instrument_id: str) -> None:
        """Begin another episode; what the response was does not depend on the instrument."""
        self._policy.reset(instrument_id)
        self._last = None
        self._moves.clear()
        self._watch.begin()

    def act(self, observation: npt.NDArray[Any]) -> Any:
        """Return what the policy does."""
        self.ended(observation)
        action = self._policy.act(observation)
        self._last = (np.array(observation), action)
        return action

    def ended(self, observation: npt.NDArray[Any]) -> None:
        """Take where the last action led."""
        if self._last:
            self._moves.append((*self._last, np.array(observation)))
        self._last = None

    def changed(self) -> str:
        """Return what was found since it was last asked for; mostly empty."""
        found = [self._watch.take(*move) for move in self._moves]
        self._moves.clear()
        return next(filter(None, found[::-1]), "")


def normal_response(
    seen: Transitions, *, goal: Centre | None, action_space: gymnasium.Space[Any]
) -> FittedResponse | None:
    """Return what the response was; ``None`` where no watch over it is possible.

    It is not where the transitions are too few to say.

    Args:
        seen: transitions, in order, by which the response was normal.
        goal: says what the residual is; without, there is no watch.
        action_space: a Box or Discrete; in others there is no watch.
    """
    if goal is None or not goal.residual or not isinstance(action_space, Box | Discrete):
        return None
    return fit_response(seen, goal, action_space)


def watched(policy: Policy, response: FittedResponse | None) -> Policy:
    """Return the policy with a watch over its response; the policy itself where there is none."""
    return policy if response is None else Watching(policy, Watch(response))
