"""One Gymnasium environment as Stable-Baselines3's vector of one."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import DummyVecEnv


class SpacesOnly(gymnasium.Env[Any, Any]):
    """An environment that has spaces and nothing else, to build networks for."""

    def __init__(
        self, observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
    ) -> None:
        # Copies, because seeding a space changes it and the originals belong to the caller.
        self.observation_space = deepcopy(observation_space)
        self.action_space = deepcopy(action_space)


class SingleEnv(DummyVecEnv):
    """A vector of one environment that is reset when asked to, never inside a step.

    Stable-Baselines3's own vector resets within the step that ends an episode. On an instrument
    that would move it once more after the last timestep, and before the timestep is reported.
    The last observation stands in for the next episode's first one until `reset` is called.
    Only what learning needs of the environment's ``info`` is passed on.

    Args:
        env: the environment.
        reward_scale: what rewards are multiplied by.
        before_step: called once the action of a step is decided, before it is carried out.

    Attributes:
        episode_over: whether `reset` must be called before the next step.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        reward_scale: float,
        before_step: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__([lambda: env])
        self._before_step = before_step
        self._reward_scale = reward_scale
        self._dtype = env.observation_space.dtype
        self.episode_over = True

    def reset(self) -> npt.NDArray[Any]:
        """Begin an episode, leaving the seeding to the environment; return (1, ...)."""
        observation, _ = self.envs[0].reset()
        self.episode_over = False
        return self._batched(observation)

    def step_wait(
        self,
    ) -> tuple[
        npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.bool_], list[dict[str, Any]]
    ]:
        """Carry out the action; return observation (1, ...), scaled reward, done and info."""
        action = self.actions[0]
        if isinstance(self.action_space, gymnasium.spaces.Box):
            # Scaling to the bounds may round a full action one bit outside.
            action = np.clip(action, self.action_space.low, self.action_space.high)
        self._before_step()
        observation, reward, terminated, truncated, _ = self.envs[0].step(action)
        self.episode_over = bool(terminated or truncated)
        info: dict[str, Any] = {"TimeLimit.truncated": bool(truncated and not terminated)}
        if self.episode_over:
            info["terminal_observation"] = np.array(observation, dtype=self._dtype)
        return (
            self._batched(observation),
            np.array([float(reward) * self._reward_scale], dtype=np.float32),
            np.array([self.episode_over]),
            [info],
        )

    def _batched(self, observation: Any) -> npt.NDArray[Any]:
        return np.array(observation, dtype=self._dtype)[np.newaxis]
