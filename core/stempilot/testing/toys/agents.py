"""An agent that acts at random, and one that learns the response of the residual."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from stempilot.contract.agent import Agent, Brief, Learner, LearnReport, Policy, Report
from stempilot.errors import IncompatibleError, RunDirError

Floats = npt.NDArray[np.float64]

_SCHEMA: Final = 1
_RECORD: Final = "learner.json"
_RESPONSE: Final = "response.npy"


class ToyWalker(Agent):
    """Acts at random in any action space."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief

    def policy(self) -> Policy:
        """Return a walk that begins with the seed."""
        return _Walk(self._brief)


class _Walk:
    def __init__(self, brief: Brief) -> None:
        # A copy, because sampling changes a space and this one belongs to the environment.
        self._space = deepcopy(brief.action_space)
        self._space.seed(brief.seed)

    def reset(self, instrument_id: str) -> None:
        """Go on walking."""

    def act(self, observation: npt.NDArray[Any]) -> Any:
        """Return any action."""
        del observation
        return self._space.sample()


class ToyLearner(Learner):
    """Learns what an action does to the residual, by normalised least mean squares.

    Explores with normal noise. Takes the entries that the goal calls the residual, or the whole
    observation where it centres nothing.

    Raises:
        IncompatibleError: the actions are not a vector of numbers.
    """

    def __init__(self, brief: Brief) -> None:
        actions, observations = brief.action_space, brief.observation_space
        if not isinstance(actions, Box) or len(actions.shape) != 1:
            problem = f"the toy learner acts with a vector of numbers, not in {actions}"
            raise IncompatibleError([problem])
        if not isinstance(observations, Box) or len(observations.shape) != 1:
            problem = f"the toy learner observes a vector of numbers, not {observations}"
            raise IncompatibleError([problem])
        size = observations.shape[0]
        self._low, self._high = actions.low.copy(), actions.high.copy()
        self._observed = size
        self._entries = list(range(size) if brief.centre is None else brief.centre.residual)
        self._rng = np.random.default_rng(brief.seed)
        self._response = 0.1 * self._rng.normal(size=(len(self._entries), actions.shape[0]))
        self._timesteps = 0

    def policy(self) -> Policy:
        """Return the policy that cancels the residual, as far as the response is known."""
        gain = np.asarray(-np.linalg.pinv(self._response), dtype=np.float64)
        return _Cancelling(gain, self._entries, self._low.copy(), self._high.copy())

    def learn(self, env: gymnasium.Env[Any, Any], *, steps: int, report: Report) -> LearnReport:
        """Learn from every timestep."""
        observation: npt.NDArray[Any] | None = None
        done = 0
        numbers: dict[str, float] = {}
        while done < steps:
            if observation is None:
                observation, _ = env.reset()
            action = self._explore(observation)
            after, _, terminated, truncated, _ = env.step(action)
            numbers = {"error": self._update(observation, action, after)}
            observation = None if terminated or truncated else after
            done += 1
            self._timesteps += 1
            if not report(numbers):
                break
        return LearnReport(timesteps=self._timesteps, numbers=numbers)

    def _explore(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        wanted = self.policy().act(observation) + self._rng.normal(0.0, 0.3, self._low.shape)
        return _clipped(wanted, self._low, self._high)

    def _update(
        self, before: npt.NDArray[Any], action: npt.NDArray[Any], after: npt.NDArray[Any]
    ) -> float:
        change = (after - before)[self._entries].astype(float)
        action = action.astype(float)
        error: Floats = change - self._response @ action
        self._response += 0.5 * np.outer(error, action) / (1e-6 + action @ action)
        return float(np.abs(error).max())

    def save(self, folder: Path) -> None:
        """Write the response as NPY and all else as JSON."""
        record = {
            "schema": _SCHEMA,
            "observed": self._observed,
            "timesteps": self._timesteps,
            "rng": self._rng.bit_generator.state,
        }
        (folder / _RECORD).write_text(json.dumps(record), encoding="utf-8")
        np.save(folder / _RESPONSE, self._response, allow_pickle=False)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote; raises as `Learner.load` does."""
        rng = np.random.default_rng()
        try:
            record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            response = np.load(folder / _RESPONSE, allow_pickle=False)
            schema, observed = int(record["schema"]), int(record["observed"])
            timesteps = int(record["timesteps"])
            rng.bit_generator.state = record["rng"]
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            msg = f"{folder} holds no toy learner: {error!r}"
            raise RunDirError(msg) from error
        if schema != _SCHEMA:
            msg = f"{folder / _RECORD} has schema {schema}; this toy reads schema {_SCHEMA}"
            raise RunDirError(msg)
        if observed != self._observed or response.shape != self._response.shape:
            found, wanted = (observed, response.shape), (self._observed, self._response.shape)
            raise IncompatibleError([f"the toy was saved for sizes {found}, not {wanted}"])
        self._response, self._timesteps, self._rng = response, timesteps, rng

    def relearn(self) -> tuple[str, ...]:
        """Keep everything."""
        return ("kept the response",)


class _Cancelling:
    def __init__(
        self, gain: Floats, entries: list[int], low: npt.NDArray[Any], high: npt.NDArray[Any]
    ) -> None:
        self._gain, self._entries, self._low, self._high = gain, entries, low, high

    def reset(self, instrument_id: str) -> None:
        """Do nothing: the response is kept whatever the instrument."""

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the action that is expected to cancel the residual."""
        wanted = self._gain @ observation[self._entries].astype(float)
        return _clipped(wanted, self._low, self._high)


def _clipped(wanted: Floats, low: npt.NDArray[Any], high: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the nearest action inside the bounds, in their type."""
    inside: npt.NDArray[Any] = np.clip(wanted, low, high).astype(low.dtype)
    return inside
