"""What a replay buffer remembers comes back as its owner met it."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from stable_baselines3.common.buffers import ReplayBuffer

from stempilot.contract.agent import Transitions
from stempilot_agents.learners.model_arrays import recall, remember

SEEN = Box(-3, 3, (2,), np.float32)
SCALE = 0.01


def met(count: int, actions: Any) -> Transitions:
    rng = np.random.default_rng(0)
    return Transitions(
        observations=rng.uniform(-1, 1, (count, 2)).astype(np.float32),
        actions=actions,
        rewards=rng.normal(0, 10, count),
        next_observations=rng.uniform(-1, 1, (count, 2)).astype(np.float32),
        terminated=rng.random(count) < 0.3,
        truncated=rng.random(count) < 0.2,
    )


def buffer(space: Any, size: int = 8) -> ReplayBuffer:
    return ReplayBuffer(size, SEEN, space, device="cpu")


SPACES = {
    "vector": Box(-0.5, 2.0, (3,), np.float32),
    "column": Box(-1, 1, (2, 1), np.float32),
    "numbers": Discrete(5),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(("count", "most", "expected"), [(5, 9, 5), (13, 99, 8), (13, 3, 3)])
def test_the_latest_come_back_in_order(name: str, count: int, most: int, expected: int) -> None:
    space = SPACES[name]
    space.seed(1)
    kept, seen = buffer(space), met(count, np.array([space.sample() for _ in range(count)]))
    remember(kept, seen, reward_scale=SCALE)
    back = recall(kept, most, reward_scale=SCALE)
    assert len(back) == expected
    last = slice(count - expected, count)
    assert np.array_equal(back.observations, seen.observations[last])
    assert np.array_equal(back.next_observations, seen.next_observations[last])
    assert back.actions.shape == (expected, *(space.shape or ()))
    assert back.actions == pytest.approx(seen.actions[last], abs=1e-6)
    assert back.rewards == pytest.approx(seen.rewards[last], rel=1e-5)
    assert np.array_equal(back.terminated, seen.terminated[last])
    only_truncated = seen.truncated & ~seen.terminated
    assert np.array_equal(back.truncated, only_truncated[last])


def test_an_empty_buffer_has_nothing_to_tell() -> None:
    back = recall(buffer(SPACES["column"]), 9, reward_scale=SCALE)
    assert len(back) == 0
    assert back.observations.shape == (0, 2)
