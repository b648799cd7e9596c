"""Episodes are scored against the truth and the oracle, and the figures say what they say."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.core.fakes import Desk, ExactAgent

from stempilot.contract.agent import Brief
from stempilot.contract.goals import Product, Quantity
from stempilot.operation.episodes import evaluate, run_episode, run_oracle
from stempilot.operation.scores import Episode, score
from stempilot.operation.session import open_session
from stempilot.operation.task_env import TaskEnv
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyState, ToyWalker

NAN = math.nan


def episode(steps: int = 3, *, success: bool = True, **more: Any) -> Episode:
    return Episode(steps=steps, success=success, **{"reward": 1.0, **more})


CENTRING = (
    Quantity(name="distance_px", unit="px", better="lower", error="error_px"),
    Quantity(name="x_px", unit="px"),
    Quantity(name="error_mrad", unit="mrad", better="lower", error="error_mrad"),
)


def ended(steps: int, at_end: tuple[float, float, float], **more: Any) -> Episode:
    """Return an episode with its true errors in px and mrad and the measured distance."""
    error_px, error_mrad, distance_px = at_end
    errors = {"error_px": error_px, "error_mrad": error_mrad}
    return episode(steps, errors=errors, measured={"distance_px": distance_px, "x_px": 1.0}, **more)


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
    true = math.hypot(*env.last.truth["position_px"])
    assert played.errors == pytest.approx({"miss_px": true})
    assert played.measured == {"offset_px": env.task.summary(env.last.state)["offset_px"]}


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
        assert played.errors == {}
        assert played.measured["offset_px"] < 10


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
    figures = score([], [], CENTRING)
    assert figures.pop("episodes") == 0
    assert set(figures.values()) == {None}


def test_figures_say_what_they_say() -> None:
    played = [
        ended(3, (3.0, 1.0, 3.5), reward=5.0),
        ended(200, (4.0, NAN, NAN), success=False, reward=-100.0),
        ended(5, (NAN, 2.0, 4.5), reward=6.0),
    ]
    best = [episode(2), episode(7), episode(4, success=False)]
    figures = score(played, best, CENTRING)
    assert figures["episodes"] == 3
    assert figures["success_rate"] == pytest.approx(2 / 3)
    assert (figures["steps_mean"], figures["steps_std"]) == (4.0, 1.0), "of successes alone"
    assert (figures["frames_mean"], figures["frames_median"]) == (5.0, 5.0)
    assert figures["reward_mean"] == pytest.approx((5 - 100 + 6) / 3), "of all"
    assert figures["error_px_rms"] == pytest.approx(math.sqrt((9 + 16) / 2)), "failures included"
    assert figures["error_px_rms_success"] == 3.0
    assert figures["error_mrad_rms"] == pytest.approx(math.sqrt((1 + 4) / 2))
    assert figures["measured_error_px_rms"] == pytest.approx(math.sqrt((3.5**2 + 4.5**2) / 2))
    assert figures["oracle_success_rate"] == pytest.approx(2 / 3)
    assert figures["oracle_steps_mean"] == 2.0, "over starts that both solve"
    assert figures["paired_steps_mean"] == 3.0
    assert figures["oracle_ratio"] == 1.5


FIXED = {
    *("episodes", "success_rate", "steps_mean", "steps_std", "frames_mean", "frames_median"),
    *("reward_mean", "oracle_success_rate", "oracle_ratio", "oracle_ratio_from_second"),
    *("oracle_steps_mean", "oracle_steps_mean_from_second"),
    *("paired_steps_mean", "paired_steps_mean_from_second"),
}


def test_a_centring_task_has_these_figures_with_truth_and_without() -> None:
    errors = {"error_px_rms", "error_mrad_rms", "measured_error_px_rms"}
    errors |= {"error_px_rms_success", "error_mrad_rms_success"}
    for played in (ended(3, (3.0, 1.0, 3.5)), episode(3)):
        assert set(score([played], [], CENTRING)) == FIXED | errors


def test_quantities_without_an_error_are_averaged_at_the_end() -> None:
    declared = (
        Quantity(name="sharpness", better="higher"),
        Quantity(name="drift_m", unit="m", better="lower"),
        Quantity(name="defocus_m", unit="m"),
        Quantity(name="steps", better="lower"),
    )
    played = [
        episode(3, measured={"sharpness": 1.0, "defocus_m": 5.0, "steps": 90.0}),
        episode(5, measured={"sharpness": 2.0, "drift_m": NAN, "steps": 90.0}),
    ]
    figures = score(played, [], declared)
    assert set(figures) == FIXED | {"sharpness_mean", "drift_m_mean"}
    assert figures["sharpness_mean"] == 1.5
    assert figures["drift_m_mean"] is None
    assert figures["steps_mean"] == 4.0, "no quantity replaces a figure of all tasks"


def test_errors_that_no_quantity_declares_are_kept() -> None:
    assert score([episode(3, errors={"error_nm": 2.0})], [], ())["error_nm_rms"] == 2.0


class Handing(ToyCentring):
    """Hands on the offset at its end."""

    def products(self, state: ToyState) -> dict[str, Product]:
        return {"offset": Product(value=state.offset[0], unit="32 px", uncertainty=0.1)}


@pytest.mark.parametrize("success", [True, False])
def test_an_episode_hands_on_its_products_when_it_succeeds(success: bool) -> None:
    policy = ExactAgent(brief()).policy() if success else Noted()
    with open_session(ToyBackend(), [Handing()], name="toy") as session:
        env = session.env(Handing(), seed=4, max_timesteps=20)
        played = run_episode(env, policy)
    assert played.success is success
    assert bool(played.products) is success
    if success:
        assert played.products["offset"].value == env.last.state.offset[0]


def test_figures_from_the_second_episode_leave_out_the_first() -> None:
    figures = score([episode(9), episode(4), episode(6)], [episode(3), episode(2), episode(3)], ())
    assert figures["oracle_ratio"] == pytest.approx(19 / 8)
    assert figures["oracle_ratio_from_second"] == pytest.approx(10 / 5)
    assert figures["paired_steps_mean_from_second"] == 5.0
    assert figures["oracle_steps_mean_from_second"] == 2.5


def test_an_oracle_of_no_steps_has_no_ratio() -> None:
    assert score([episode(0)], [episode(0)], ())["oracle_ratio"] is None
    assert score([episode(2)], [], ())["oracle_ratio"] is None
    assert score([episode(2, success=False)], [episode(2)], ())["oracle_ratio"] is None
