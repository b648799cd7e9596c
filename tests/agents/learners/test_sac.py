"""Options and behaviour of the soft actor-critic alone."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from stempilot.contract.agent import Brief
from stempilot.errors import ConfigError, IncompatibleError
from stempilot.plugins.options import build, plain
from stempilot_agents.learners.sac import SacConfig, make_sac


def brief(observation_space: Any, action_space: Any) -> Any:
    return Brief(observation_space=observation_space, action_space=action_space, goal=None, seed=1)


SEEN = Box(-1, 1, (2,), np.float32)


def go_on(_: Any) -> Any:
    return True


def test_paper_preset_is_the_published_choice() -> None:
    config = build(SacConfig, {"preset": "paper"}, section="agent")
    model: Any = make_sac(config, brief(SEEN, SEEN))._model
    # Everything but layers, activation and discount is Stable-Baselines3's own default.
    assert config.hidden_sizes == (128, 128)
    assert config.activation == "tanh"
    assert (model.gamma, model.tau, model.batch_size) == (0.99, 0.005, 256)
    assert (model.learning_starts, model.gradient_steps) == (100, 1)
    assert (model.learning_rate, model.buffer_size) == (3e-4, 1_000_000)
    assert model.target_entropy == -2
    assert model.log_ent_coef.item() == 0
    assert config.reward_scale == 1


def test_what_the_user_sets_goes_before_the_preset() -> None:
    config = build(SacConfig, {"preset": "paper", "gamma": 0.5}, section="agent")
    assert (config.gamma, config.activation) == (0.5, "tanh")


def test_config_is_plain_json() -> None:
    config = build(SacConfig, {"entropy_coefficient": 0.3, "target_entropy": -4}, section="agent")
    assert build(SacConfig, plain(config), section="agent") == config


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("preset", "papr"),
        ("hidden_sizes", []),
        ("hidden_sizes", [0]),
        ("hidden_sizes", [8, 2.5]),
        ("activation", "elu"),
        ("learning_rate", 0.0),
        ("gamma", 1.0),
        ("gamma", -0.1),
        ("tau", 0.0),
        ("tau", 1.5),
        ("batch_size", 0),
        ("buffer_size", 0),
        ("learning_starts", -1),
        ("gradient_steps", -1),
        ("entropy_coefficient", "automatic"),
        ("entropy_coefficient", -0.1),
        ("initial_entropy_coefficient", 0.0),
        ("target_entropy", float("inf")),
        ("reward_scale", 0.0),
        ("policy_tau", 0.0),
        ("policy_tau", 1.1),
        ("relearn_learning_starts", -1),
    ],
)
def test_options_out_of_range_are_refused(option: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        build(SacConfig, {option: value}, section="agent")


@pytest.mark.parametrize(
    ("observation_space", "action_space", "problems"),
    [
        (SEEN, Discrete(4), ["Box of floats to act in"]),
        (SEEN, Box(0, 9, (2,), np.int64), ["Box of floats to act in"]),
        (SEEN, Box(-np.inf, 1, (2,), np.float32), ["bounded actions"]),
        (Discrete(4), SEEN, ["Box of numbers to observe"]),
        (Box(0, 255, (8, 8, 3), np.uint8), SEEN, ["no network for images"]),
        (Dict({"a": SEEN}), Discrete(4), ["Box of numbers to observe", "Box of floats to act in"]),
    ],
)
def test_spaces_that_it_cannot_use_are_refused(
    observation_space: Any, action_space: Any, problems: Any
) -> None:
    with pytest.raises(IncompatibleError) as caught:
        make_sac(SacConfig(), brief(observation_space, action_space))
    assert len(caught.value.problems) == len(problems)
    for found, expected in zip(caught.value.problems, problems, strict=True):
        assert expected in found


def test_action_bounds_and_shapes_other_than_one_are_served(new_learner: Any) -> None:
    space = Box(np.array([[0.0], [-3.0]]), np.array([[0.3], [5.0]]), dtype=np.float64)
    learner = make_sac(SacConfig(hidden_sizes=(8,)), brief(SEEN, space))
    seen = np.array([0.3, -0.2], np.float32)
    action = learner.policy().act(seen)
    assert space.contains(action)
    expected, _ = learner._model.predict(seen, deterministic=True)
    np.testing.assert_allclose(action, expected, atol=1e-5)


def test_entropy_coefficient_starts_where_asked_and_is_learnt(
    new_learner: Any, point_env: Any
) -> None:
    learner = new_learner("sac", initial_entropy_coefficient=0.3)
    found = []

    def report(numbers: Any) -> bool:
        found.extend([numbers["ent_coef"]] if "ent_coef" in numbers else [])
        return True

    learner.learn(point_env(), steps=13, report=report)
    assert found[0] == pytest.approx(0.3, rel=1e-6)
    assert found[0] != found[1] != found[2]


def test_a_fixed_entropy_coefficient_stays(new_learner: Any, point_env: Any, tmp_path: Any) -> None:
    learner = new_learner("sac", entropy_coefficient=0.125)
    report = learner.learn(point_env(), steps=14, report=go_on)
    assert report.numbers["ent_coef"] == 0.125
    assert not any("entropy" in name for name in learner.numbers)
    learner.save(tmp_path)
    loaded = new_learner("sac", seed=7, entropy_coefficient=0.125)
    loaded.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.policy().act(np.zeros(2)), learner.policy().act(np.zeros(2))
    )


def test_target_entropy_is_honoured(new_learner: Any, point_env: Any) -> None:
    coefficients = []
    for target in (-8.0, None, 4.0):
        learner = new_learner("sac", target_entropy=target, learning_rate=0.01)
        coefficients.append(learner.learn(point_env(), steps=15, report=go_on).numbers["ent_coef"])
    assert coefficients[0] < coefficients[1] < coefficients[2]


def test_the_policy_handed_out_is_the_running_average(new_learner: Any, point_env: Any) -> None:
    learner = new_learner("sac", policy_tau=0.25, gradient_steps=2)
    name = "policy.actor.mu.weight"
    averages = [learner.numbers[name]]
    updates = [0]

    def report(_: Any) -> bool:
        done = learner._model.progress.updates
        share = 1 - 0.75 ** (done - updates[-1])
        averages.append(averages[-1] + share * (learner.numbers[name] - averages[-1]))
        updates.append(done)
        return True

    learner.learn(point_env(), steps=20, report=report)
    handed_out = learner.policy()._network.layers[-1][0]
    assert updates[-1] > 4
    assert np.abs(averages[-1] - learner.numbers[name]).max() > 1e-4
    assert any(np.allclose(handed_out, one, atol=1e-6) for one in (averages[-1], averages[-1].T))


@pytest.mark.slow
def test_learns_to_reach_the_target(point_env: Any) -> None:
    def success(act: Any) -> Any:
        env = point_env(limit=30, first_episode=10_000)
        reached = 0
        for _ in range(50):
            seen, over = env.reset()[0], False
            while not over:
                seen, reward, terminated, truncated, _ = env.step(act(seen))
                over = terminated or truncated
            reached += reward == 1.0
        return reached / 50

    env = point_env(limit=30)
    options = {"reward_scale": 1.0, "hidden_sizes": [32, 32], "gradient_steps": 1}
    config = build(SacConfig, options, section="agent")
    learner = make_sac(config, brief(env.observation_space, env.action_space))
    untrained = success(learner.policy().act)
    learner.learn(env, steps=400, report=go_on)
    assert success(learner.policy().act) >= 0.9 > untrained + 0.2
