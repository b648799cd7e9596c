"""Agents to compare with: ``proportional`` assumes a response, ``random`` knows nothing."""

import copy
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import Agent, Brief, Centre, IncompatibleError
from stempilot_agents.response.centring import centring_problems


@frozen(kw_only=True)
class ProportionalConfig:
    """Options of ``proportional``.

    Attributes:
        gain: share of the residual that one action is meant to remove, above 0.
    """

    gain: float = field(default=1.0, validator=validators.gt(0))


@frozen(kw_only=True)
class RandomConfig:
    """Options of ``random``; it has none."""


def make_proportional(config: ProportionalConfig, brief: Brief) -> Agent:
    """Return an agent that assumes the nominal response, along axes that agree.

    Raises:
        IncompatibleError: the task does not centre anything or has no nominal response.
    """
    problems = centring_problems("proportional", brief)
    goal, actions = brief.centre, brief.action_space
    if goal is not None and not goal.full_action:
        problems.append(
            f"proportional needs the nominal response, goal.full_action is {goal.full_action}"
        )
    if problems or goal is None or not goal.full_action or not isinstance(actions, Box):
        raise IncompatibleError(problems)
    return _Proportional(goal, config.gain / goal.full_action, actions)


def make_random(config: RandomConfig, brief: Brief) -> Agent:
    """Return an agent that draws uniform actions from any action space, by the brief's seed."""
    del config
    return _Random(brief.action_space, brief.seed)


class _Proportional(Agent):
    """Also its own policy, because it keeps nothing."""

    def __init__(self, goal: Centre, per_residual: float, actions: Box) -> None:
        self._entries = np.array(goal.residual)
        self._per_residual = per_residual
        self._actions = actions

    def policy(self) -> "_Proportional":
        """Return the agent itself."""
        return self

    def reset(self, instrument_id: str) -> None:
        """Forget nothing: nothing is remembered."""
        del instrument_id

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the action that would remove the residual under the nominal response."""
        residual = np.asarray(observation, dtype=float)[self._entries]
        action: npt.NDArray[Any] = np.clip(-self._per_residual * residual, -1.0, 1.0)
        return action.astype(self._actions.dtype)


class _Random(Agent):
    def __init__(self, actions: gymnasium.Space[Any], seed: int) -> None:
        self._actions = actions
        self._seed = seed

    def policy(self) -> "_RandomPolicy":
        """Return a policy that starts at the beginning of the seed's sequence."""
        return _RandomPolicy(self._actions, self._seed)


class _RandomPolicy:
    def __init__(self, actions: gymnasium.Space[Any], seed: int) -> None:
        # A copy, so that neither its drawing nor its seeding is felt by whoever shares the space.
        self._actions = copy.deepcopy(actions)
        self._actions.seed(seed)

    def reset(self, instrument_id: str) -> None:
        """Go on with the sequence: an episode does not repeat the one before."""
        del instrument_id

    def act(self, observation: npt.NDArray[Any]) -> Any:
        """Return a uniform action, whatever is observed."""
        del observation
        return self._actions.sample()
