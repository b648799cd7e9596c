"""A point that is pushed about in the plane: small enough to learn on within a test."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.spaces import Box, Discrete

from stempilot.contract.agent import Brief, Learner
from stempilot.plugins.options import build
from stempilot_agents.learners.crossq import CrossqConfig, make_crossq
from stempilot_agents.learners.dqn import DqnConfig, make_dqn
from stempilot_agents.learners.sac import SacConfig, make_sac
from stempilot_agents.learners.tqc import TqcConfig, make_tqc
from stempilot_agents.sac_rapid.agent import RapidConfig, make_rapid

MOVES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)], dtype=float)


class PointEnv(gymnasium.Env[npt.NDArray[np.float32], Any]):
    """Drive a residual to zero; each episode has a random state of its own, as with the real one.

    An episode succeeds within 0.1, is lost beyond 1 and is truncated after ``limit`` steps.
    """

    def __init__(self, *, discrete: bool = False, limit: int = 12, first_episode: int = 0) -> None:
        self.observation_space = Box(-2, 2, (2,), np.float32)
        self.action_space = Discrete(4) if discrete else Box(-1, 1, (2,), np.float32)
        self.discrete = discrete
        self.limit = limit
        self.episode = first_episode
        self.log: list[str] = []
        self.actions: list[Any] = []
        self.ends: list[tuple[npt.NDArray[np.float32], bool]] = []
        self.over = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        assert seed is None, "the seeding belongs to the framework"
        self.rng = np.random.default_rng([17, self.episode])
        self.episode += 1
        self.steps = 0
        self.over = False
        self.point = self.rng.uniform(-0.8, 0.8, 2)
        self.log.append("reset")
        return self.point.astype(np.float32), {}

    def step(
        self, action: Any
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.actions.append(np.array(action))
        self.log.append("step")
        before = np.hypot(*self.point)
        move = MOVES[action] if self.discrete else np.asarray(action)
        self.point = self.point + 0.2 * move + self.rng.normal(0, 0.01, 2)
        self.steps += 1
        after = np.hypot(*self.point)
        terminated = bool(after < 0.1 or after > 1)
        reward = (1.0 if after < 0.1 else -1.0) if terminated else float(before - after)
        truncated = not terminated and self.steps >= self.limit
        seen = np.clip(self.point, -2, 2).astype(np.float32)
        self.over = terminated or truncated
        if self.over:
            self.ends.append((seen, truncated))
        return seen, reward, terminated, truncated, {"frame": memoryview(b"cannot be copied")}


LEARNERS: dict[str, tuple[type[Any], Callable[..., Learner]]] = {
    "sac": (SacConfig, make_sac),
    "sac-rapid": (RapidConfig, make_rapid),
    "tqc": (TqcConfig, make_tqc),
    "crossq": (CrossqConfig, make_crossq),
    "dqn": (DqnConfig, make_dqn),
}
SMALL = {"hidden_sizes": [8, 8], "batch_size": 8, "buffer_size": 500, "learning_starts": 10}


def make_learner(kind: str, *, seed: int = 1, **options: Any) -> Learner:
    """Make a tiny learner of a kind for `PointEnv`."""
    env = PointEnv(discrete=kind == "dqn")
    brief = Brief(
        observation_space=env.observation_space,
        action_space=env.action_space,
        goal=None,
        seed=seed,
    )
    config, make = LEARNERS[kind]
    own: dict[str, Any] = {
        "crossq": {"critic_hidden_sizes": [8, 8]},
        "sac-rapid": {"relearn_gradient_steps": 1},
    }.get(kind, {})
    values = SMALL | {"gradient_steps": 1} | own | options
    return make(build(config, values, section="agent"), brief)


@pytest.fixture
def point_env() -> type[PointEnv]:
    return PointEnv


@pytest.fixture
def new_learner() -> Any:
    return make_learner
