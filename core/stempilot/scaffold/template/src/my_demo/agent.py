"""The agent ``my-demo``: finds out what each action does, then goes straight to the goal."""

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import Agent, Brief, IncompatibleError, Policy

Floats = npt.NDArray[np.float64]


@frozen(kw_only=True)
class MyDemoAgentConfig:
    """Options of the agent.

    Attributes:
        probe: size of the first moves, in full actions.
    """

    probe: float = field(default=0.3, validator=[validators.gt(0), validators.le(1)])


class MyDemoAgent(Agent):
    """Centres what a task calls its residual, with any number of knobs.

    Args:
        config: the options.
        brief: spaces, goal and seed of what it is made for.

    Raises:
        IncompatibleError: there is nothing to centre, or the actions are not numbers.
    """

    def __init__(self, config: MyDemoAgentConfig, brief: Brief) -> None:
        actions, goal = brief.action_space, brief.centre
        problems = []
        if not (isinstance(actions, Box) and len(actions.shape) == 1):
            problems.append(f"my-demo acts with a vector of numbers, not in {actions}")
        if goal is None:
            problems.append(f"my-demo centres a residual; the task's goal is {brief.goal}")
        if problems or goal is None or not isinstance(actions, Box):
            raise IncompatibleError(problems)
        self._residual, self._actions, self._probe = list(goal.residual), actions, config.probe

    def policy(self) -> Policy:
        """Return a policy that knows nothing of the instrument yet."""
        return _Policy(self._residual, self._actions, self._probe)


class _Policy:
    """Learns a matrix: the change of the residual by a full action of each knob."""

    def __init__(self, residual: list[int], actions: Box, probe: float) -> None:
        self._residual, self._low, self._high = residual, actions.low, actions.high
        self._probes = list(probe * np.eye(len(self._low)))
        self._forget("")

    def reset(self, instrument_id: str) -> None:
        """Begin an episode; what was learnt of the same instrument is kept."""
        self._before: Floats | None = None
        if instrument_id != self._instrument:
            self._forget(instrument_id)

    def _forget(self, instrument_id: str) -> None:
        self._instrument = instrument_id
        self._response = np.zeros((len(self._residual), len(self._low)))
        self._to_probe = list(self._probes)
        self._before = None
        self._action = np.zeros(len(self._low))

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a probe of a knob that was not tried yet, else the way to the goal."""
        residual = observation[self._residual].astype(np.float64)
        if self._before is not None:
            self._learn(residual - self._before)
        wanted = -np.linalg.pinv(self._response, rcond=1e-3) @ residual
        if self._to_probe:
            wanted = self._to_probe.pop(0)
        action: npt.NDArray[Any] = np.clip(wanted, self._low, self._high).astype(self._low.dtype)
        self._before, self._action = residual, action.astype(np.float64)
        return action

    def _learn(self, change: Floats) -> None:
        """Correct the matrix as little as explains the last move (Broyden's method)."""
        error = change - self._response @ self._action
        self._response += np.outer(error, self._action) / (1e-9 + self._action @ self._action)
