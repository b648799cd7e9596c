"""Gymnasium knows the environment by name."""

import gymnasium
import pytest
from tests.core.kinds import kinds_registry

from stempilot import IncompatibleError, gym

NAME = "stempilot/BFDiskCentering-v0"


def test_it_is_registered_by_importing_and_only_once() -> None:
    spec = gymnasium.registry[NAME]
    gym.register()
    assert gymnasium.registry[NAME] is spec
    assert spec.entry_point == "stempilot.gym:make_env"
    assert spec.kwargs == {"name": "bf-disk-centering"}


def test_every_installed_task_has_an_id() -> None:
    gym.register(kinds_registry())
    try:
        assert "stempilot/TwoCameras-v0" in gymnasium.registry
        assert "stempilot/Brighter-v0" in gymnasium.registry
    finally:
        for name in kinds_registry().names("task"):
            gymnasium.registry.pop(gym.env_id(name))


def test_a_task_that_only_measures_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym, "discover", kinds_registry)
    with pytest.raises(IncompatibleError, match="read-slope only measures"):
        gym.make_env(name="read-slope", on="lamp")
    env = gym.make_env(name="brighter", on="lamp")
    env.reset(seed=1)
    env.close()


def test_an_environment_that_is_closed_has_put_everything_back() -> None:
    env = gym.make_env(name="bf-disk-centering", backend={"preset": "random"}, seed=2)
    backend = env.unwrapped._guard.backend  # type: ignore[attr-defined]
    start = backend.read("diffraction_shift")
    env.reset(seed=1)
    env.step(env.action_space.sample())
    assert backend.read("diffraction_shift") != start
    env.close()
    backend.open()
    assert backend.read("diffraction_shift") == start
