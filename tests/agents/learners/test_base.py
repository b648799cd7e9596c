"""What both learners promise: see `stempilot.Learner`."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from stempilot.errors import IncompatibleError

KINDS = ("sac", "sac-rapid", "tqc", "crossq", "dqn")


@pytest.fixture(params=KINDS)
def kind(request: Any) -> Any:
    return request.param


@pytest.fixture
def learner(kind: Any, new_learner: Any) -> Any:
    return new_learner(kind)


@pytest.fixture
def env(kind: Any, point_env: Any) -> Any:
    return point_env(discrete=kind == "dqn")


class Reports(list[dict[str, float]]):
    """Counts timesteps; stops after ``stop`` of them, does ``then`` in each."""

    def __init__(self, stop: Any = None, then: Any = None) -> None:
        self.stop, self.then = stop, then

    def __call__(self, numbers: Any) -> Any:
        self.append(dict(numbers))
        if self.then is not None:
            self.then(len(self))
        return len(self) != self.stop


def disturb_generators() -> None:
    torch.manual_seed(5)
    np.random.seed(6)  # noqa: NPY002 - the one that Stable-Baselines3 uses
    random.seed(7)


def assert_equal(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_learns_exactly_the_steps_and_reports_each(learner: Any, env: Any) -> None:
    reports = Reports()
    report = learner.learn(env, steps=37, report=reports)
    assert env.log.count("step") == 37
    assert len(reports) == 37
    assert report.timesteps == 37


def test_reports_a_timestep_after_its_updates(new_learner: Any, kind: Any, env: Any) -> None:
    learner = new_learner(kind, learning_starts=10, gradient_steps=3)
    updates = []
    learner.learn(
        env,
        steps=14,
        report=Reports(then=lambda _: updates.append(learner._model.progress.updates)),
    )
    assert updates == [0] * 10 + [3, 6, 9, 12]


def test_reports_losses_as_soon_as_there_are_any(learner: Any, env: Any) -> None:
    reports = Reports()
    learner.learn(env, steps=12, report=reports)
    losses = {"actor_loss", "critic_loss", "ent_coef", "loss"}
    assert not losses & reports[9].keys()
    assert losses & reports[10].keys()
    assert all(np.isfinite(value) for numbers in reports for value in numbers.values())


def test_stops_at_once_when_told_to(learner: Any, env: Any) -> None:
    reports = Reports(stop=15)
    report = learner.learn(env, steps=100, report=reports)
    assert (env.log.count("step"), len(reports), report.timesteps) == (15, 15, 15)


def test_no_steps_do_not_touch_the_environment(learner: Any, env: Any) -> None:
    assert learner.learn(env, steps=0, report=Reports()).timesteps == 0
    assert env.log == []


def test_resets_only_when_another_step_follows(learner: Any, env: Any) -> None:
    at_report = []
    learner.learn(env, steps=40, report=Reports(then=lambda _: at_report.append(env.log[-1])))
    assert set(at_report) == {"step"}
    assert env.log.count("reset") == len(env.ends) + (not env.over)


def test_does_not_reset_after_the_last_step(new_learner: Any, kind: Any, env: Any) -> None:
    learner = new_learner(kind, gradient_steps=0)
    learn_to_an_episode_s_end(learner, env, at_least=1)
    assert env.log.count("reset") == len(env.ends) == 1


def test_prints_nothing(learner: Any, env: Any, capsys: Any) -> None:
    learner.learn(env, steps=30, report=Reports())
    assert capsys.readouterr() == ("", "")


def test_refuses_another_environment_s_spaces(learner: Any, kind: Any, point_env: Any) -> None:
    other = point_env(discrete=kind != "dqn")
    with pytest.raises(IncompatibleError) as caught:
        learner.learn(other, steps=5, report=Reports())
    assert len(caught.value.problems) == 1
    assert "action space" in caught.value.problems[0]


def test_remembers_how_episodes_ended(new_learner: Any, kind: Any, env: Any) -> None:
    learner = new_learner(kind, gradient_steps=0)
    learner.learn(env, steps=60, report=Reports())
    buffer = learner._model.buffer
    ends = np.flatnonzero(buffer.dones[:60, 0])
    assert len(ends) == len(env.ends) > 3
    for row, (seen, truncated) in zip(ends, env.ends, strict=True):
        np.testing.assert_array_equal(buffer.next_observations[row, 0], seen)
        assert buffer.timeouts[row, 0] == truncated
    assert {truncated for _, truncated in env.ends} == {True, False}


def test_seed_decides_everything(new_learner: Any, kind: Any, point_env: Any) -> None:
    runs = []
    for seed in (4, 4, 5):
        disturb_generators()
        env = point_env(discrete=kind == "dqn")
        learner = new_learner(kind, seed=seed)
        first = learner.numbers
        learner.learn(env, steps=25, report=Reports())
        runs.append((first, learner.numbers, np.array(env.actions)))
        torch.rand(3)
    assert_equal(runs[0][0], runs[1][0])
    assert_equal(runs[0][1], runs[1][1])
    np.testing.assert_array_equal(runs[0][2], runs[1][2])
    assert not np.array_equal(runs[0][2], runs[2][2])
    assert any(not np.array_equal(runs[0][0][name], runs[2][0][name]) for name in runs[0][0])


def test_leaves_everybody_else_s_generators_alone(new_learner: Any, kind: Any, env: Any) -> None:
    def draw() -> Any:
        return (torch.rand(1).item(), np.random.rand(), random.random())  # noqa: NPY002, S311

    disturb_generators()
    expected = draw()
    disturb_generators()
    learner = new_learner(kind)
    learner.learn(env, steps=30, report=Reports())
    assert draw() == expected


def test_use_of_generators_within_report_changes_nothing(
    new_learner: Any, kind: Any, point_env: Any
) -> None:
    ends = []
    for then in (None, lambda _: disturb_generators()):
        learner = new_learner(kind)
        learner.learn(point_env(discrete=kind == "dqn"), steps=25, report=Reports(then=then))
        ends.append(learner.numbers)
    assert_equal(*ends)


def test_saving_and_evaluating_within_report_changes_nothing(
    new_learner: Any, kind: Any, point_env: Any, tmp_path: Any
) -> None:
    def intrude(step: Any) -> None:
        folder = tmp_path / str(step)
        folder.mkdir()
        learners[-1].save(folder)
        learners[-1].policy().act(np.zeros(2, np.float32))

    learners = []
    for then in (None, intrude):
        learners.append(new_learner(kind))
        learners[-1].learn(point_env(discrete=kind == "dqn"), steps=25, report=Reports(then=then))
    assert_equal(learners[0].numbers, learners[1].numbers)


def learn_to_an_episode_s_end(learner: Any, env: Any, *, at_least: Any) -> Any:
    """Learn until the first episode end from ``at_least`` timesteps on."""
    return learner.learn(
        env, steps=500, report=lambda _: not (env.over and env.log.count("step") >= at_least)
    ).timesteps


@pytest.mark.parametrize("buffer_size", [500, 32])
def test_saved_loaded_and_continued_equals_going_on(
    new_learner: Any, kind: Any, point_env: Any, tmp_path: Any, buffer_size: Any
) -> None:
    discrete = kind == "dqn"
    options = {"buffer_size": buffer_size, "learning_starts": 30}
    first_env = point_env(discrete=discrete)
    saved = new_learner(kind, **options)
    before = learn_to_an_episode_s_end(saved, first_env, at_least=35)
    saved.save(tmp_path)

    disturb_generators()
    resumed = new_learner(kind, seed=99, **options)
    resumed.load(tmp_path)
    assert_equal(saved.numbers, resumed.numbers)
    second_env = point_env(discrete=discrete, first_episode=first_env.episode)
    resumed.learn(second_env, steps=15, report=Reports())

    whole_env = point_env(discrete=discrete)
    whole = new_learner(kind, **options)
    whole.learn(whole_env, steps=before + 15, report=Reports())

    assert_equal(whole.numbers, resumed.numbers)
    assert whole._model.progress == resumed._model.progress
    actions = [*first_env.actions, *second_env.actions]
    np.testing.assert_array_equal(np.array(whole_env.actions), np.array(actions))
    again = tmp_path / "again"
    again.mkdir()
    resumed.save(again)
    other = tmp_path / "other"
    other.mkdir()
    whole.save(other)
    for name in ("agent.json", "tensors.safetensors", "replay.safetensors"):
        assert (again / name).read_bytes() == (other / name).read_bytes()


def test_one_more_update_after_loading_equals_not_having_saved(
    new_learner: Any, learner: Any, kind: Any, env: Any, tmp_path: Any
) -> None:
    learner.learn(env, steps=30, report=Reports())
    learner.save(tmp_path)
    loaded = new_learner(kind, seed=8)
    loaded.load(tmp_path)
    for each in (learner, loaded):
        with each._random.installed():
            each._model.train(gradient_steps=1, batch_size=8)
    assert_equal(learner.numbers, loaded.numbers)


def test_policy_is_a_snapshot_of_the_deterministic_policy(
    new_learner: Any, kind: Any, env: Any
) -> None:
    learner = new_learner(kind, **({"policy_tau": 1.0} if kind != "dqn" else {}))
    learner.learn(env, steps=20, report=Reports())
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    policy = learner.policy()
    policy.reset("instrument")
    actions = np.array([policy.act(seen) for seen in observations])
    expected, _ = learner._model.predict(observations, deterministic=True)
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    assert all(env.action_space.contains(policy.act(seen)) for seen in observations)
    learner.learn(env, steps=5, report=Reports())
    np.testing.assert_array_equal(actions, [policy.act(seen) for seen in observations])


def test_gradient_steps_of_zero_never_learn(new_learner: Any, kind: Any, env: Any) -> None:
    learner = new_learner(kind, gradient_steps=0)
    layers = learner.policy()._network.layers
    learner.learn(env, steps=30, report=Reports())
    for before, after in zip(layers, learner.policy()._network.layers, strict=True):
        np.testing.assert_array_equal(before[0], after[0])


@pytest.mark.parametrize("size", [10, 25])
def test_remembers_no_more_than_the_buffer_size(
    new_learner: Any, kind: Any, env: Any, size: Any
) -> None:
    learner = new_learner(kind, buffer_size=size, gradient_steps=0)
    learner.learn(env, steps=40, report=Reports())
    assert learner._model.buffer.size() == size


def test_first_actions_are_uniform_until_learning_starts(
    new_learner: Any, kind: Any, env: Any
) -> None:
    space = new_learner(kind)._model.action_space
    expected = [space.sample() for _ in range(26)]
    new_learner(kind, learning_starts=25).learn(env, steps=26, report=Reports())
    np.testing.assert_allclose(np.array(env.actions[:25]), np.array(expected[:25]), atol=1e-6)


def test_rewards_are_scaled_before_they_are_remembered(
    new_learner: Any, kind: Any, point_env: Any
) -> None:
    rewards = []
    for scale in (1.0, 0.25):
        learner = new_learner(kind, reward_scale=scale)
        learner.learn(point_env(discrete=kind == "dqn"), steps=10, report=Reports())
        rewards.append(learner._model.buffer.rewards[:10, 0].copy())
    np.testing.assert_allclose(rewards[1], 0.25 * rewards[0], rtol=1e-6)
    assert np.abs(rewards[0]).max() > 0.01


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("learning_rate", 0.01),
        ("gamma", 0.5),
        ("batch_size", 16),
        ("gradient_steps", 2),
        ("reward_scale", 3.0),
        ("activation", "tanh"),
        ("hidden_sizes", [8, 4]),
    ],
)
def test_option_changes_what_is_learnt(
    new_learner: Any, kind: Any, point_env: Any, option: Any, value: Any
) -> None:
    ends = []
    for options in ({}, {option: value}):
        learner = new_learner(kind, learning_starts=4, **options)
        learner.learn(point_env(discrete=kind == "dqn"), steps=8, report=Reports())
        ends.append(np.concatenate([array.ravel() for array in learner.numbers.values()]))
    assert ends[0].shape != ends[1].shape or not np.allclose(ends[0], ends[1])


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("sac", "tau", 0.5),
        ("sac-rapid", "tau", 0.5),
        ("dqn", "tau", 0.5),
        ("tqc", "tau", 0.5),
        ("tqc", "critics", 3),
        ("tqc", "quantiles", 7),
        ("tqc", "dropped_quantiles", 9),
        ("crossq", "critic_hidden_sizes", [8, 4]),
        ("crossq", "policy_delay", 1),
        ("crossq", "renorm_momentum", 0.3),
        ("crossq", "renorm_from", 1),
    ],
)
def test_option_of_its_own_changes_what_is_learnt(
    new_learner: Any, kind: Any, point_env: Any, option: Any, value: Any
) -> None:
    test_option_changes_what_is_learnt(new_learner, kind, point_env, option, value)


def test_relearning_drops_the_transitions_and_keeps_the_networks(
    new_learner: Any, kind: Any, env: Any
) -> None:
    kept = {"relearn_entropy_coefficient": 0.0} if kind == "sac-rapid" else {}
    learner = new_learner(kind, relearn_learning_starts=0, **kept)
    learner.learn(env, steps=20, report=Reports())
    before, done = learner.numbers, learner._model.progress.updates
    said = learner.relearn()
    assert learner._model.buffer.size() == 0
    assert_equal(before, learner.numbers)
    assert "20 remembered transitions" in said[0]
    assert learner.learn(env, steps=5, report=Reports()).timesteps == 25
    assert learner._model.buffer.size() == 5
    assert learner._model.progress.updates == done + 5


def test_relearning_collects_transitions_before_it_updates(
    new_learner: Any, kind: Any, env: Any, tmp_path: Any
) -> None:
    options = {"relearn_learning_starts": 60, "buffer_size": 200}
    learner = new_learner(kind, **options)
    learner.learn(env, steps=15, report=Reports())
    assert any("after 60 timesteps" in sentence for sentence in learner.relearn())
    done = learner._model.progress.updates
    learner.learn(env, steps=40, report=Reports())
    learner.save(tmp_path)
    resumed = new_learner(kind, **options)
    resumed.load(tmp_path)
    resumed.learn(env, steps=20, report=Reports())
    assert resumed._model.progress.updates == done
    resumed.learn(env, steps=1, report=Reports())
    assert resumed._model.progress.updates == done + 1


@pytest.mark.parametrize("finished", [0, 1])
def test_until_then_every_second_episode_is_played_as_learnt(
    new_learner: Any, kind: Any, env: Any, tmp_path: Any, finished: int
) -> None:
    options = {"relearn_learning_starts": 200}
    learner = new_learner(kind, **options)
    learner.learn(env, steps=15, report=lambda _: learner._model._episode_num < finished)
    assert learner._model._episode_num == finished
    learner.relearn()
    learner.save(tmp_path)
    resumed = new_learner(kind, **options)
    resumed.load(tmp_path)
    as_learnt = np.array([1]) if kind == "dqn" else np.array([[0.25, -0.25]], dtype=np.float32)
    resumed._model.predict = lambda *_, **__: (as_learnt, None)
    env.actions.clear()
    env.log.clear()
    resumed.learn(env, steps=150, report=Reports())
    by_episode: list[list[bool]] = []
    actions = iter(env.actions)
    for what in env.log:
        if what == "reset":
            by_episode.append([])
        elif what == "step":
            by_episode[-1].append(bool(np.array_equal(next(actions), as_learnt[0])))
    played = [np.mean(episode) for episode in by_episode]
    assert len(played) >= 4
    assert np.mean(played[::2]) < 0.6, "the first one is random, however many there were before"
    assert np.mean(played[1::2]) == 1.0


def test_says_for_how_long_it_relearns_as_a_rule(new_learner: Any, kind: Any) -> None:
    within = {"sac-rapid": 42}.get(kind, 500)
    assert new_learner(kind, relearn_learning_starts=7).relearn_steps == 7 + within
