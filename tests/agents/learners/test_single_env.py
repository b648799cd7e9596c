"""The environment as Stable-Baselines3 sees it."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from stempilot_agents.learners.single_env import SingleEnv, SpacesOnly


@pytest.fixture
def env(point_env: Any) -> Any:
    return point_env(limit=3)


def test_does_not_reset_by_itself(env: Any) -> None:
    single: Any = SingleEnv(env, reward_scale=1.0)
    assert single.episode_over
    single.reset()
    for _ in range(3):
        assert not single.episode_over
        seen, _, done, (info,) = single.step(np.zeros((1, 2), np.float32))
    assert env.log == ["reset", "step", "step", "step"]
    assert single.episode_over
    assert done.tolist() == [True]
    assert info["TimeLimit.truncated"]
    np.testing.assert_array_equal(info["terminal_observation"], seen[0])


def test_termination_is_not_truncation(env: Any) -> None:
    single = SingleEnv(env, reward_scale=1.0)
    single.reset()
    env.point = np.array([0.0, 0.15])
    _, reward, done, (info,) = single.step(np.array([[0, -0.75]], np.float32))
    assert done.tolist() == [True]
    assert reward.tolist() == [1.0]
    assert not info["TimeLimit.truncated"]


def test_scales_rewards(env: Any) -> None:
    single = SingleEnv(env, reward_scale=0.25)
    single.reset()
    env.point = np.array([0.0, 0.15])
    _, reward, _, _ = single.step(np.array([[0, -0.75]], np.float32))
    assert reward.tolist() == [0.25]


def test_passes_on_nothing_that_cannot_be_copied(env: Any) -> None:
    single = SingleEnv(env, reward_scale=1.0)
    single.reset()
    _, _, _, (info,) = single.step(np.zeros((1, 2), np.float32))
    assert info == {"TimeLimit.truncated": False}


def test_rounding_never_leaves_the_action_space(env: Any) -> None:
    single = SingleEnv(env, reward_scale=1.0)
    single.reset()
    beyond = np.nextafter(np.float32(1), np.float32(2))
    single.step(np.array([[beyond, -beyond]]))
    assert env.actions[-1].tolist() == [1, -1]


def test_copies_spaces_so_that_seeding_them_is_harmless() -> None:
    space = Box(-1, 1, (2,), np.float32)
    space.seed(1)
    expected = space.sample()
    space.seed(1)
    SpacesOnly(space, space).action_space.seed(99)
    np.testing.assert_array_equal(space.sample(), expected)
