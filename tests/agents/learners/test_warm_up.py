"""Relearning that begins with recorded transitions."""

from typing import Any

import numpy as np
import pytest

from stempilot.contract.agent import RelearnsFromRecord, Transitions


@pytest.fixture(params=["sac", "sac-rapid", "tqc", "crossq", "dqn"])
def kind(request: Any) -> Any:
    return request.param


def lived(env: Any, learner: Any, steps: int) -> Transitions:
    """Let a learner live in an environment, and return what it met."""
    rows: list[Any] = []
    step, reset = env.step, env.reset
    seen = [None]

    def watched_reset() -> Any:
        seen[0], info = reset()
        return seen[0], info

    def watched_step(action: Any) -> Any:
        after, reward, terminated, truncated, info = step(action)
        rows.append((seen[0], np.array(action), reward, after, terminated, truncated))
        seen[0] = after
        return after, reward, terminated, truncated, info

    env.reset, env.step = watched_reset, watched_step
    learner.learn(env, steps=steps, report=lambda _: True)
    before, actions, rewards, after, terminated, truncated = map(np.array, zip(*rows, strict=True))
    return Transitions(
        observations=before,
        actions=actions,
        rewards=rewards,
        next_observations=after,
        terminated=terminated,
        truncated=truncated,
    )


@pytest.fixture
def taught(new_learner: Any, kind: Any, point_env: Any) -> Any:
    def make(**options: Any) -> Any:
        values = {"warm_up_updates": 7, "relearn_learning_starts": 30, **options}
        learner = new_learner(kind, **values)
        learner.learn(point_env(discrete=kind == "dqn"), steps=15, report=lambda _: True)
        return learner

    return make


@pytest.fixture
def recorded(new_learner: Any, kind: Any, point_env: Any) -> Any:
    def make(steps: int = 40) -> Any:
        learner = new_learner(kind, seed=3, gradient_steps=0)
        return lived(point_env(discrete=kind == "dqn"), learner, steps), learner

    return make


def test_the_buffer_is_as_if_it_had_been_lived(taught: Any, recorded: Any) -> None:
    learner = taught()
    transitions, other = recorded()
    learner.relearn_from(transitions)
    ours, theirs = learner._model.buffer, other._model.buffer
    assert ours.size() == theirs.size() == 40
    for name in ("observations", "next_observations", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(ours, name)[:40], getattr(theirs, name)[:40])
    np.testing.assert_allclose(ours.actions[:40], theirs.actions[:40], atol=1e-6)
    assert theirs.dones[:40].any()
    assert theirs.timeouts[:40].any()


def test_it_can_be_asked_for(taught: Any) -> None:
    assert isinstance(taught(), RelearnsFromRecord)


def test_updates_come_before_the_first_action(taught: Any, recorded: Any) -> None:
    learner = taught()
    before, done = learner.numbers, learner._model.progress.updates
    said = learner.relearn_from(recorded()[0])
    assert learner._model.progress.updates == done + 7
    assert any(not np.array_equal(before[name], a) for name, a in learner.numbers.items())
    assert "Took 40 recorded transitions and made 7 updates on them." in said
    assert "Dropped 15 remembered transitions: they show the old response." in said


@pytest.mark.parametrize(("steps", "wait"), [(10, 20), (30, 0), (40, 0)])
def test_recorded_transitions_stand_for_random_actions(
    taught: Any, recorded: Any, steps: int, wait: int
) -> None:
    learner = taught()
    said = learner.relearn_from(recorded(steps)[0])
    assert learner._model.learning_starts == learner._model.num_timesteps + wait
    assert any(f"after {wait} timesteps" in sentence for sentence in said) is (wait > 0)


def test_the_newest_are_kept_where_there_are_too_many(taught: Any, recorded: Any) -> None:
    learner, (transitions, _) = taught(buffer_size=25), recorded()
    learner.relearn_from(transitions)
    found = learner._model.buffer.next_observations[:, 0]
    np.testing.assert_array_equal(found, transitions.next_observations[-25:])


def test_without_updates_nothing_is_learnt(taught: Any, recorded: Any, kind: Any) -> None:
    # It would raise its entropy coefficient otherwise, which is no learning.
    options = {"relearn_entropy_coefficient": 0.0} if kind == "sac-rapid" else {}
    learner = taught(warm_up_updates=0, **options)
    before = learner.numbers
    learner.relearn_from(recorded()[0])
    for name, array in learner.numbers.items():
        np.testing.assert_array_equal(before[name], array)


def test_the_same_every_time_and_saved(
    taught: Any, recorded: Any, new_learner: Any, kind: Any, tmp_path: Any, point_env: Any
) -> None:
    ends = []
    for number in range(3):
        learner = taught()
        np.random.seed(number)  # noqa: NPY002 - somebody else's generator
        learner.relearn_from(recorded()[0])
        if number == 2:
            learner.save(tmp_path)
            learner = new_learner(kind, warm_up_updates=7, relearn_learning_starts=30)
            learner.load(tmp_path)
        env = point_env(discrete=kind == "dqn", first_episode=50)
        learner.learn(env, steps=20, report=lambda _: True)
        ends.append((learner.numbers, np.array(env.actions)))
    for numbers, actions in ends[1:]:
        np.testing.assert_array_equal(actions, ends[0][1])
        for name, array in numbers.items():
            np.testing.assert_array_equal(array, ends[0][0][name])
