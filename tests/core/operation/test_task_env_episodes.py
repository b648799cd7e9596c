"""Where episodes start, and what they depend on."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.core.envs import BACK, FULL, HomeTask, on_desk, on_toy
from tests.core.fakes import Desk

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import KnobValue
from stempilot.errors import StartError
from stempilot.operation.places import MAX_STARTS
from stempilot.operation.session import open_session
from stempilot.operation.task_env import TaskEnv
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyState


def test_resets_go_home_in_steps_that_the_limits_allow() -> None:
    desk = Desk()
    task = HomeTask(tolerance=0.01)
    with on_desk(desk, task, seed=3) as env:
        env.reset()
        home = desk.toy.read(BEAM_SHIFT)
        for _ in range(3):
            env.step(FULL)
            if env.last.ended:
                break
        start = desk.toy.read(BEAM_SHIFT)
        desk.log.clear()
        env.reset()
        way = [start, *desk.log]
        assert way[-1] == home
        assert len(way) > 2
        assert max(abs(b[0] - a[0]) for a, b in zip(way, way[1:], strict=False)) <= 4e-7 * (
            1 + 1e-9
        )


def test_a_plain_run_starts_where_the_instrument_stands() -> None:
    desk = Desk()
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, (2e-7, 1e-7))
    with on_desk(desk, plain=True) as env:
        env.reset()
        env.reset()
        assert desk.log == []
        assert desk.toy.read(BEAM_SHIFT) == (2e-7, 1e-7)


def test_without_scrambling_each_episode_begins_at_the_baseline() -> None:
    desk, baseline = Desk(), (2e-7, 1e-7)
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, baseline)
    with on_desk(desk, scramble=False) as env:
        for _ in range(2):
            env.reset()
            assert desk.toy.read(BEAM_SHIFT) == baseline
            env.step(np.ones(2, np.float32))
            assert desk.toy.read(BEAM_SHIFT) != baseline


class Choosy(ToyCentring):
    """Refuses the first starts, and counts."""

    def __init__(self, refuse: int) -> None:
        super().__init__()
        self.refuse = refuse
        self.asked = 0

    def is_start(self, state: ToyState) -> bool:
        self.asked += 1
        return self.asked > self.refuse


def test_refused_starts_are_drawn_again() -> None:
    task = Choosy(refuse=MAX_STARTS - 1)
    with on_toy(task=task) as env:
        env.reset()
    assert task.asked == MAX_STARTS


def test_after_a_hundred_refused_starts_the_run_stops() -> None:
    task = Choosy(refuse=MAX_STARTS)
    with on_toy(task=task) as env, pytest.raises(StartError, match="in 100 attempts") as caught:
        env.reset()
    assert task.asked == MAX_STARTS == 100
    assert caught.value.exit_code == 1


# --- what an episode depends on ------------------------------------------------------------------

Episode = list[tuple[list[float], float, str]]
ACTIONS = [0.5 * FULL, 0.2 * BACK, np.array([0.1, -0.7], np.float32)]


def play(env: TaskEnv, actions: list[npt.NDArray[np.float32]], **reset: Any) -> Episode:
    observation, info = env.reset(**reset)
    told = [(observation.tolist(), 0.0, info["outcome"])]
    for action in actions:
        if env.last.ended:
            break
        observation, reward, _, _, info = env.step(action)
        told.append((observation.tolist(), reward, info["outcome"]))
    return told


def test_the_same_seed_gives_the_same_episodes() -> None:
    with on_toy(seed=7) as one, on_toy(seed=7) as other:
        for _ in range(3):
            assert play(one, ACTIONS) == play(other, ACTIONS)


def test_another_seed_or_episode_starts_elsewhere() -> None:
    with on_toy(seed=7) as one, on_toy(seed=8) as other:
        starts = [play(env, [])[0][0] for env in (one, other, one, other)]
    assert len({tuple(start) for start in starts}) == 4


def test_an_episode_does_not_depend_on_what_was_before() -> None:
    with on_toy(seed=7) as idle, on_toy(seed=7) as busy:
        play(idle, [])
        play(busy, ACTIONS * 4)
        idle.timestep = busy.timestep = 0
        assert play(idle, ACTIONS) == play(busy, ACTIONS)


def test_a_run_can_be_continued_at_any_episode() -> None:
    with on_toy(seed=7) as whole:
        play(whole, ACTIONS)
        play(whole, ACTIONS)
        timestep = whole.timestep
        expected = play(whole, ACTIONS)
    with on_toy(seed=7, first_episode=2, first_timestep=timestep) as rest:
        assert play(rest, ACTIONS) == expected
        assert rest.last.episode == 2
        assert rest.timestep == timestep + len(expected) - 1


def test_reset_with_a_seed_begins_anew() -> None:
    with on_toy(seed=99) as one, on_toy(seed=7) as other:
        play(one, ACTIONS)
        for episode in range(2):
            seed = {"seed": 7} if episode == 0 else {}
            assert play(one, ACTIONS, **seed) == play(other, ACTIONS)
            assert one.last.episode == other.last.episode == episode
            assert one.timestep == other.timestep


def test_scrambles_of_a_real_instrument_are_seeded_too() -> None:
    starts = []
    for seed in (7, 7, 8):
        desk = Desk()
        with on_desk(desk, seed=seed) as env:
            env.reset()
            first = desk.toy.read(BEAM_SHIFT)
            env.reset()
            starts.append((first, desk.toy.read(BEAM_SHIFT)))
    assert starts[0] == starts[1]
    assert starts[0] != starts[2]
    assert starts[0][0] != starts[0][1]


class Reseeded(ToyBackend):
    """Notes what it is reseeded with."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, tuple[int, ...], int, KnobValue]] = []

    def reseed(self, seed: np.random.SeedSequence, *, timestep: int = 0) -> None:
        where = self.read(BEAM_SHIFT)
        self.noted.append((seed.entropy, seed.spawn_key, timestep, where))
        super().reseed(seed, timestep=timestep)


def test_a_simulator_is_reseeded_at_home_by_seed_episode_attempt_and_timestep() -> None:
    toy = Reseeded()
    task = Choosy(refuse=1)
    with open_session(toy, [task], name="toy") as session:
        env = session.env(task, seed=7, first_episode=4, first_timestep=30)
        env.reset()
        env.step(0.1 * FULL)
        env.reset()
    home = (0.0, 0.0)
    assert toy.noted == [(7, (4, 0), 30, home), (7, (4, 1), 30, home), (7, (5, 0), 31, home)]
