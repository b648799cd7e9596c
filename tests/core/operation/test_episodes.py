"""Episodes are scored against the truth and the oracle, and the figures say what they say."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.core.fakes import Desk, ExactAgent

from stempilot.contract.agent import Brief
from stempilot.operation.episodes import evaluate, run_episode, run_oracle
from stempilot.operation.scores import Episode, score
from stempilot.operation.session import open_session
from stempilot.operation.task_env import TaskEnv
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyWalker

NAN = math.nan


def episode(steps: int = 3, *, success: bool = True, **more: Any) -> Episode:
    return Episode(steps=steps, success=success, **{"reward": 1.0, **more})


def brief() -> Brief:
    task = ToyCentring()
    return Brief(
        observation_space=task.observation_space,
        action_space=task.action_space,
        goal=task.goal,
        seed=0,
    )


@pytest.fixture
def envs() -> Iterator[tuple[TaskEnv, TaskEnv]]:
    """Yield an environment and one with the same starts on a twin."""
    with open_session(ToyBackend(), [ToyCentring()], name="toy") as session:
        twin = session.twin_env(ToyCentring(), seed=4, max_timesteps=20)
        assert twin is not None
        yield session.env(ToyCentring(), seed=4, max_timesteps=20), twin


def test_an_episode_is_played_to_its_end(envs: tuple[TaskEnv, TaskEnv]) -> None:
    env, _ = envs
    played = run_episode(env, ExactAgent(brief()).policy())
    assert env.last.ended
    assert played.success
    assert played.steps == env.last.step
    assert played.reward >= 10.0
    assert env.last.truth is not None
    assert played.error_px == pytest.approx(math.hypot(*env.last.truth["position_px"]))
    assert math.isnan(played.error_mrad)
    assert played.measured_error_px == pytest.approx(
        env.task.summary(env.last.state)["distance_px"]
    )


class Noted:
    """A policy that notes which instruments it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def reset(self, instrument_id: str) -> None:
        self.told.append(instrument_id)

    def act(self, observation: Any) -> Any:
        return np.zeros(2, np.float32)


def test_a_policy_is_told_the_instrument_at_each_episode(envs: tuple[TaskEnv, TaskEnv]) -> None:
    env, _ = envs
    policy = Noted()
    evaluate(env, policy, 3)
    assert len(policy.told) == 3
    assert len(set(policy.told)) == 1


def test_the_oracle_starts_where_the_policy_did(envs: tuple[TaskEnv, TaskEnv]) -> None:
    env, twin = envs
    starts = []
    for _ in range(3):
        run_episode(env, Noted())
        oracle = run_oracle(twin)
        assert oracle is not None
        assert oracle.success
        starts.append((env.last.episode, twin.last.episode))
    assert starts == [(0, 0), (1, 1), (2, 2)]
    played, best = evaluate(env, ExactAgent(brief()).policy(), 4, oracle_env=twin)
    assert [e.steps for e in played] == pytest.approx([e.steps for e in best], abs=2)


def test_without_truth_there_is_no_oracle_and_no_true_error() -> None:
    desk = Desk(simulated=True)
    with open_session(desk, [ToyCentring()], name="desk") as session:
        env = session.env(ToyCentring(), seed=4, max_timesteps=20)
        assert run_oracle(env) is None
        played = run_episode(env, ExactAgent(brief()).policy())
        assert math.isnan(played.error_px)
        assert played.measured_error_px < 10


def test_an_evaluation_gives_up_after_so_many_failures(envs: tuple[TaskEnv, TaskEnv]) -> None:
    env, _ = envs
    played, _ = evaluate(env, Noted(), 50, give_up_after_failures=3)
    assert sum(not one.success for one in played) == 3
    assert not played[-1].success


def test_an_evaluation_can_be_stopped(envs: tuple[TaskEnv, TaskEnv]) -> None:
    env, _ = envs
    told: list[Episode] = []

    def on_episode(one: Episode) -> bool:
        told.append(one)
        return len(told) < 2

    played, _ = evaluate(env, ToyWalker(brief()).policy(), 9, on_episode=on_episode)
    assert played == told
    assert len(played) == 2


def test_an_evaluation_ends_with_the_budget_of_writes(envs: tuple[TaskEnv, TaskEnv]) -> None:
    env, _ = envs
    env._guard._budget = 2
    assert evaluate(env, Noted(), 9) == ([], []), "cut off is no verdict of the task"
    assert env.last.budget_spent
    assert env.last.step == 3


def test_no_episodes_give_no_figures() -> None:
    figures = score([], [])
    assert figures.pop("episodes") == 0
    assert set(figures.values()) == {None}


def test_figures_say_what_they_say() -> None:
    played = [
        episode(3, reward=5.0, error_px=3.0, error_mrad=1.0, measured_error_px=3.5),
        episode(200, success=False, reward=-100.0, error_px=4.0, measured_error_px=NAN),
        episode(5, reward=6.0, error_px=NAN, error_mrad=2.0, measured_error_px=4.5),
    ]
    best = [episode(2), episode(7), episode(4, success=False)]
    figures = score(played, best)
    assert figures["episodes"] == 3
    assert figures["success_rate"] == pytest.approx(2 / 3)
    assert (figures["steps_mean"], figures["steps_std"]) == (4.0, 1.0), "of successes alone"
    assert (figures["frames_mean"], figures["frames_median"]) == (5.0, 5.0)
    assert figures["reward_mean"] == pytest.approx((5 - 100 + 6) / 3), "of all"
    assert figures["error_px_rms"] == pytest.approx(math.sqrt((9 + 16) / 2)), "failures included"
    assert figures["error_mrad_rms"] == pytest.approx(math.sqrt((1 + 4) / 2))
    assert figures["measured_error_px_rms"] == pytest.approx(math.sqrt((3.5**2 + 4.5**2) / 2))
    assert figures["oracle_success_rate"] == pytest.approx(2 / 3)
    assert figures["oracle_steps_mean"] == 2.0, "over starts that both solve"
    assert figures["paired_steps_mean"] == 3.0
    assert figures["oracle_ratio"] == 1.5


def test_figures_from_the_second_episode_leave_out_the_first() -> None:
    figures = score([episode(9), episode(4), episode(6)], [episode(3), episode(2), episode(3)])
    assert figures["oracle_ratio"] == pytest.approx(19 / 8)
    assert figures["oracle_ratio_from_second"] == pytest.approx(10 / 5)
    assert figures["paired_steps_mean_from_second"] == 5.0
    assert figures["oracle_steps_mean_from_second"] == 2.5


def test_an_oracle_of_no_steps_has_no_ratio() -> None:
    assert score([episode(0)], [episode(0)])["oracle_ratio"] is None
    assert score([episode(2)], [])["oracle_ratio"] is None
    assert score([episode(2, success=False)], [episode(2)])["oracle_ratio"] is None
