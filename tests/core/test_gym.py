"""Gymnasium knows the environment by name."""

import gymnasium

from stempilot import gym


def test_it_is_registered_by_importing_and_only_once() -> None:
    assert gym.ENV_ID == "stempilot/BFDiskCentering-v0"
    spec = gymnasium.registry[gym.ENV_ID]
    gym.register()
    assert gymnasium.registry[gym.ENV_ID] is spec
    assert spec.entry_point == "stempilot.gym:make_env"


def test_an_environment_that_is_closed_has_put_everything_back() -> None:
    env = gym.make_env(backend={"preset": "random"}, seed=2)
    backend = env.unwrapped._guard.backend  # type: ignore[attr-defined]
    start = backend.read("diffraction_shift")
    env.reset(seed=1)
    env.step(env.action_space.sample())
    assert backend.read("diffraction_shift") != start
    env.close()
    backend.open()
    assert backend.read("diffraction_shift") == start
