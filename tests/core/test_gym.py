"""Gymnasium knows the environment by name."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from gymnasium.wrappers import ClipAction, RecordVideo, RescaleAction
from stable_baselines3.common.env_checker import check_env as check_stable_baselines
from tests.core.kinds import kinds_registry

from stempilot import ConfigError, IncompatibleError, TaskEnv, gym

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


# --- habits of Gymnasium --------------------------------------------------------------------------

TOYS = {"stempilot-test/Centring-v0": "centring", "stempilot-test/Brighter-v0": "brighter"}


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return ids of toy tasks that act: one with frames, one without."""
    monkeypatch.setattr(gym, "discover", kinds_registry)
    for name, task in TOYS.items():
        on = {"on": "lamp"} if task == "brighter" else {}
        gymnasium.register(name, entry_point="stempilot.gym:make_env", kwargs={"name": task, **on})
    yield list(TOYS)
    for name in TOYS:
        gymnasium.registry.pop(name)


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("wrapper", [None, ClipAction, RescaleAction])
def test_actions_of_twice_the_width_are_taken_behind_wrappers_too(
    toys: list[str], name: str, wrapper: Any
) -> None:
    env = gymnasium.make(name, seed=1)
    made = env
    if wrapper is not None:
        made = (
            ClipAction(env)
            if wrapper is ClipAction
            else RescaleAction(env, np.float32(-2), np.float32(2))
        )
    made.reset(seed=1)
    for value in (0.3, -1.0, 1.0):
        made.step(np.full(env.action_space.shape or (), value, np.float64))
    made.close()


def starts(envs: Any, **options: Any) -> list[list[float]]:
    observations, _ = envs.reset(**options)
    envs.close()
    return [row.tolist() for row in observations]


def test_without_a_seed_every_environment_draws_its_own(toys: list[str]) -> None:
    many = [starts(gymnasium.make_vec(toys[0], num_envs=3)) for _ in range(2)]
    assert len({tuple(row) for rows in many for row in rows}) == 6


def test_a_seed_says_how_every_environment_starts(toys: list[str]) -> None:
    one, other = (starts(gymnasium.make_vec(toys[0], num_envs=2), seed=7) for _ in range(2))
    assert one == other
    alike = starts(gymnasium.make_vec(toys[0], num_envs=2, seed=7))
    assert alike[0] == alike[1], "they were asked for alike"


@pytest.mark.parametrize("name", TOYS)
def test_both_checkers_are_silent_for_each_task_that_acts(
    toys: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    env = gymnasium.make(name, disable_env_checker=True)
    check_gymnasium(env.unwrapped)
    check_stable_baselines(env.unwrapped)
    env.close()


@pytest.mark.parametrize("name", TOYS)
def test_what_is_seen_is_drawn(toys: list[str], name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array", seed=1)
    env.reset(seed=1)
    first = env.render()
    assert isinstance(first, np.ndarray)
    assert (first.dtype, first.shape[2]) == (np.uint8, 3)
    assert not any(side % 2 for side in first.shape[:2]), "as videos must be"
    env.step(np.full(env.action_space.shape or (), 0.5, np.float32))
    second = env.render()
    assert isinstance(second, np.ndarray)
    assert second.shape == first.shape
    assert (second != first).any()
    env.close()


def test_without_a_mode_nothing_is_drawn_and_an_unknown_one_is_refused(toys: list[str]) -> None:
    with pytest.raises(ConfigError, match="'ansi' is neither rgb_array nor human"):
        gymnasium.make(toys[0], render_mode="ansi")
    env = gymnasium.make(toys[0])
    env.reset(seed=1)
    assert env.unwrapped.render() is None
    env.close()


@pytest.mark.parametrize("shown", [False, True])
def test_a_window_shows_each_timestep_where_there_can_be_one(
    toys: list[str], shown: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    pyplot.switch_backend("agg")
    pauses: list[float] = []
    monkeypatch.setattr(pyplot, "pause", pauses.append)
    if shown:
        monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "toys")
    env = gymnasium.make(toys[0], render_mode="human")
    env.reset(seed=1)
    env.step(np.zeros(2, np.float32))
    assert env.render() is None
    (figure,) = map(pyplot.figure, pyplot.get_fignums())
    (image,) = figure.gca().images
    assert np.asarray(image.get_array()).any()
    env.close()
    assert pyplot.get_fignums() == []
    assert len(pauses) == (3 if shown else 0)
    assert ("nothing is shown" in caplog.text) is not shown


def test_videos_are_recorded(
    toys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With moviepy, or with a stand-in that takes what moviepy would get."""
    taken: list[Any] = []

    class Clip:
        def __init__(self, frames: list[Any], fps: float) -> None:
            taken.append((frames, fps))

        def write_videofile(self, path: str, **_: Any) -> None:
            Path(path).write_bytes(b"video")

        def close(self) -> None:
            """Have nothing open."""

    names = ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip")
    for name in names:
        module = ModuleType(name)
        module.ImageSequenceClip = Clip  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    env = RecordVideo(gymnasium.make(toys[0], render_mode="rgb_array"), str(tmp_path / "videos"))
    env.reset(seed=1)
    for _ in range(3):
        env.step(np.zeros(2, np.float32))
    env.close()
    (frames, fps), *_ = taken
    assert len(frames) == 4
    assert {frame.shape for frame in frames} == {frames[0].shape}
    assert fps == TaskEnv.metadata["render_fps"]
    assert len(list(tmp_path.rglob("*.mp4"))) == 1
