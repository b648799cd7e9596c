"""Options and behaviour of the deep Q-network alone."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from stempilot.contract.agent import Brief
from stempilot.errors import ConfigError, IncompatibleError
from stempilot.plugins.options import build, plain
from stempilot_agents.learners.dqn import DqnConfig, make_dqn

SEEN = Box(-1, 1, (2,), np.float32)


def go_on(_: Any) -> Any:
    return True


@pytest.mark.parametrize("space", [SEEN, Discrete(4, start=1), MultiDiscrete([2, 2])], ids=str)
def test_action_spaces_that_it_cannot_use_are_refused(space: Any) -> None:
    brief = Brief(observation_space=SEEN, action_space=space, goal=None, seed=1)
    with pytest.raises(IncompatibleError, match="needs a Discrete action space that starts at 0"):
        make_dqn(DqnConfig(), brief)


def test_config_is_plain_json() -> None:
    config = build(DqnConfig, {"hidden_sizes": [4], "exploration_final": 0.0}, section="agent")
    assert build(DqnConfig, plain(config), section="agent") == config


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("preset", "paper"),
        ("hidden_sizes", [-1]),
        ("activation", "elu"),
        ("learning_rate", -1.0),
        ("gamma", 1.0),
        ("tau", 0.0),
        ("target_update_interval", 0),
        ("batch_size", 0),
        ("buffer_size", 0),
        ("learning_starts", -1),
        ("gradient_steps", -1),
        ("exploration_initial", 1.5),
        ("exploration_final", -0.5),
        ("exploration_timesteps", 0),
        ("reward_scale", 0.0),
        ("relearn_learning_starts", -1),
        ("relearn_exploration", 2.0),
    ],
)
def test_options_out_of_range_are_refused(option: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        build(DqnConfig, {option: value}, section="agent")


def shares(learner: Any, env: Any, steps: Any) -> Any:
    found = []

    def report(numbers: Any) -> bool:
        found.append(numbers["exploration_rate"])
        return True

    learner.learn(env, steps=steps, report=report)
    return found


@pytest.mark.parametrize("steps", [12, 30])
def test_exploration_falls_by_timesteps_whatever_the_length(
    new_learner: Any, point_env: Any, steps: Any
) -> None:
    learner = new_learner(
        "dqn",
        exploration_initial=0.9,
        exploration_final=0.1,
        exploration_timesteps=20,
        gradient_steps=0,
    )
    found = shares(learner, point_env(discrete=True), steps)
    expected = [max(0.9 - 0.04 * step, 0.1) for step in range(1, steps + 1)]
    assert found == pytest.approx(expected)


def test_relearning_explores_again_and_is_remembered(
    new_learner: Any, point_env: Any, tmp_path: Any
) -> None:
    options = {"exploration_final": 0.1, "exploration_timesteps": 10, "relearn_exploration": 0.5}
    learner = new_learner("dqn", gradient_steps=0, **options)
    learner.learn(point_env(discrete=True), steps=30, report=go_on)
    said = learner.relearn()
    assert said[-1] == "Exploration starts again with 50% random actions."
    learner.save(tmp_path)
    loaded = new_learner("dqn", gradient_steps=0, **options)
    loaded.load(tmp_path)
    found = shares(loaded, point_env(discrete=True), 12)
    assert found == pytest.approx([0.5 - 0.04 * step for step in range(1, 11)] + [0.1] * 2)


def test_exploration_shares_are_honoured(new_learner: Any, point_env: Any) -> None:
    def actions(share: Any) -> Any:
        env = point_env(discrete=True)
        learner = new_learner(
            "dqn",
            exploration_initial=share,
            exploration_final=share,
            learning_starts=0,
            gradient_steps=0,
        )
        learner.learn(env, steps=60, report=go_on)
        return env, learner

    env, learner = actions(0.0)
    env.actions.clear()
    seen = env.reset()[0]
    assert learner.policy().act(seen) == learner._model.predict(seen, deterministic=True)[0]
    greedy = {int(action) for action in actions(0.0)[0].actions}
    explored = [int(action) for action in actions(1.0)[0].actions]
    assert len(greedy) < 4
    assert min(explored.count(action) for action in range(4)) >= 5


@pytest.mark.parametrize(("interval", "moved"), [(1, True), (20, False), (12, True)])
def test_target_network_follows_at_its_interval(
    new_learner: Any, point_env: Any, interval: Any, moved: Any
) -> None:
    learner = new_learner("dqn", target_update_interval=interval, tau=1.0, learning_starts=5)
    before = learner.numbers["policy.q_net_target.q_net.0.weight"]
    learner.learn(point_env(discrete=True), steps=15, report=go_on)
    after = learner.numbers["policy.q_net_target.q_net.0.weight"]
    assert (not np.array_equal(before, after)) == moved


@pytest.mark.slow
def test_learns_to_reach_the_target(point_env: Any) -> None:
    env = point_env(discrete=True, limit=30)
    brief = Brief(
        observation_space=env.observation_space,
        action_space=env.action_space,
        goal=None,
        seed=1,
    )
    options = {"reward_scale": 1.0, "exploration_timesteps": 400, "hidden_sizes": [32, 32]}
    learner = make_dqn(build(DqnConfig, options, section="agent"), brief)
    learner.learn(env, steps=1200, report=go_on)
    policy, judged, reached = learner.policy(), point_env(discrete=True, first_episode=9000), 0
    judged.limit = 30
    for _ in range(50):
        seen, over = judged.reset()[0], False
        while not over:
            seen, reward, terminated, truncated, _ = judged.step(policy.act(seen))
            over = terminated or truncated
        reached += reward == 1.0
    # Of tolerance 0.1 and moves of 0.2 along the axes, nearly every start can be served.
    assert reached >= 40
