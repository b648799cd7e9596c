"""Learners that work from a task's goal hand out policies that notice another response."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.agents.conftest import LEARNERS, SMALL, PointEnv

from stempilot.contract.agent import Brief, NoticesChange
from stempilot.contract.goals import Centre
from stempilot.plugins.options import build

GOAL = Centre(
    residual=(0, 1),
    unit="fields",
    tolerance=0.1,
    edges=((-1, -1), (1, 1)),
)
KINDS = tuple(LEARNERS)


class TurningEnv(PointEnv):
    """The point, moved another way round from some timestep on."""

    turned = False

    def step(self, action: Any) -> Any:
        if not self.turned:
            return super().step(action)
        # Of the four numbered moves two are along each axis.
        other = (action + 2) % 4 if self.discrete else -np.asarray(action)[::-1]
        return super().step(other.astype(self.action_space.dtype))


def learnt(kind: str, steps: int = 60, task_goal: Centre | None = GOAL) -> Any:
    env = TurningEnv(discrete=kind == "dqn")
    config, make = LEARNERS[kind]
    narrow = {"critic_hidden_sizes": [8, 8]} if kind == "crossq" else {}
    options = build(config, SMALL | {"gradient_steps": 0} | narrow, section="agent")
    learner = make(
        options,
        Brief(
            observation_space=env.observation_space,
            action_space=env.action_space,
            goal=task_goal,
            seed=1,
        ),
    )
    learner.learn(env, steps=steps, report=lambda _: True)
    return learner, env


def moves(policy: Any, env: TurningEnv, count: int) -> list[str]:
    """Return what a policy says over some moves of random episodes."""
    said: list[str] = []
    over = True
    for _ in range(count):
        if over:
            observation, _ = env.reset()
            policy.reset("one")
        action = policy.act(observation)
        said.append(policy.changed())
        observation, _, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
        if over:
            policy.ended(observation)
            said.append(policy.changed())
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_turned_response_is_noticed_and_none_where_there_is_none(kind: str) -> None:
    learner, env = learnt(kind)
    policy = learner.policy()
    assert isinstance(policy, NoticesChange)
    assert not any(moves(policy, env, 60))
    env.turned = True
    assert sum(map(bool, moves(policy, env, 12))) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_after_relearning_the_new_response_is_the_normal_one(kind: str) -> None:
    learner, env = learnt(kind)
    env.turned = True
    learner.relearn()
    learner.learn(env, steps=60, report=lambda _: True)
    policy = learner.policy()
    assert not any(moves(policy, env, 60))
    env.turned = False
    assert any(moves(policy, env, 12))


@pytest.mark.parametrize("kind", ["sac", "dqn"])
def test_a_loaded_learner_knows_what_was_normal(kind: str, tmp_path: Path) -> None:
    learner, env = learnt(kind)
    learner.save(tmp_path)
    loaded, _ = learnt(kind, steps=0)
    loaded.load(tmp_path)
    env.turned = True
    episode = env.episode
    said = [moves(learner.policy(), env, 12)]
    env.episode = episode
    said.append(moves(loaded.policy(), env, 12))
    assert said[0] == said[1]
    assert any(said[0])


def test_without_hints_there_is_nothing_to_watch() -> None:
    learner, _ = learnt("sac", task_goal=None)
    assert not isinstance(learner.policy(), NoticesChange)


def test_hints_may_name_any_entries() -> None:
    learner, env = learnt("sac", task_goal=evolve(GOAL, residual=(1, 0)))
    policy = learner.policy()
    assert not any(moves(policy, env, 30))
    env.turned = True
    assert any(moves(policy, env, 12))
