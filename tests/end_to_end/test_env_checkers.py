"""The environment of the built-in task on the simulator keeps Gymnasium's contract, however set."""

from collections.abc import Iterator
from itertools import chain, product
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_stable_baselines

from stempilot.errors import ConfigError

NAME = "stempilot.gym:stempilot/BFDiskCentering-v0"
TASKS: tuple[dict[str, Any], ...] = (
    {},
    {"preset": "paper"},
    {"preset": "paper", "binning": 1, "tolerance_px": 0.0},
    {"preset": "paper", "actions": "discrete", "reward": "sparse"},
    {"observation": "paper", "binning": 2, "reward": "non-informative"},
    {"actions": "discrete", "step_limit": 1},
    {"goal_px": [150.0, -80.0], "tolerance_mrad": 2.0, "start_range": 0.6},
)
BACKENDS: tuple[dict[str, Any], ...] = (
    {},
    {"preset": "random"},
    {"preset": "lagged"},
    {"preset": "backlash"},
    {"preset": "distorted"},
    {"preset": "drifting"},
    {"preset": "low-dose"},
    {"preset": "everything", "redraw": "episode"},
    {"preset": "random", "redraw": "run", "hot_pixels": 20, "vignetting": 0.3},
    {"shift_limit_rad": 0.05},
    {"changes": [{"at_timestep": 3, "rotation_deg": 90.0}]},
)
COMBINATIONS = list(chain(product(TASKS, BACKENDS[:2]), product(TASKS[:1], BACKENDS[2:])))


def named(options: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in options.items()) or "default"


@pytest.fixture
def env(request: pytest.FixtureRequest) -> Iterator[gymnasium.Env[Any, Any]]:
    task, backend = request.param
    made = gymnasium.make(NAME, task=task, backend=backend, seed=5)
    yield made
    made.close()


@pytest.mark.parametrize(
    "env", COMBINATIONS, indirect=True, ids=[f"{named(t)}-{named(b)}" for t, b in COMBINATIONS]
)
def test_both_checkers_are_content(env: gymnasium.Env[Any, Any]) -> None:
    check_gymnasium(env.unwrapped)
    check_stable_baselines(env.unwrapped)


@pytest.mark.parametrize("env", [({}, {"preset": "everything"})], indirect=True, ids=["everything"])
def test_wrapped_as_it_comes_it_plays_episodes(env: gymnasium.Env[Any, Any]) -> None:
    env.action_space.seed(0)
    for seed in (3, None, 3):
        env.reset(seed=seed)
        ended = False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            assert env.observation_space.contains(observation)
            assert np.isfinite(float(reward))
            ended = terminated or truncated


def test_the_same_seed_makes_the_same_episode() -> None:
    starts = []
    for seed in (3, 3, 4):
        made = gymnasium.make(NAME, backend={"preset": "random"}, seed=seed)
        observation, _ = made.reset()
        after, *_ = made.step(np.array([0.5, -0.5], np.float32))
        starts.append((observation.tolist(), after.tolist()))
        made.close()
    assert starts[0] == starts[1]
    assert starts[0] != starts[2]


def test_the_budget_of_timesteps_is_an_option() -> None:
    made = gymnasium.make(
        NAME, max_timesteps=2, task={"tolerance_px": 0.01, "edge_threshold_px": 0.0}
    )
    made.reset(seed=1)
    rest = np.zeros(2, np.float32)
    assert made.step(rest)[3] is False
    assert made.step(rest)[3] is True
    made.close()


@pytest.mark.parametrize(
    "options",
    [
        {"task": {"tolerence_px": 1}},
        {"backend": {"preset": "radnom"}},
        {"task": {"tolerance_px": -1}},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        gymnasium.make(NAME, **options)
