"""`TaskVecEnv`: episodes, limits and errors, on the built-in task and simulator."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from attrs import evolve
from gymnasium.vector import AutoresetMode
from tests.core.envs import on_toy

import stempilot
from stempilot.contract.agent import Brief
from stempilot.contract.backend import Opening
from stempilot.contract.values import SetPoint
from stempilot.errors import ConfigError, EnvelopeError, IncompatibleError, StartError
from stempilot.instrument.checks import check_set_point
from stempilot.instrument.envelope import KnobLimits, open_envelope
from stempilot.operation.episodes import evaluate, successes_at_once
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.task_vec_env import TaskVecEnv, instruments_of
from stempilot.plugins.parts import part

SHIFT = "diffraction_shift"
REGISTRY = stempilot.discover()


@contextlib.contextmanager
def single(
    task: dict[str, Any] | None = None,
    backend: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[TaskEnv]:
    chosen = part(REGISTRY, "task", "bf-disk-centering", task or {})
    simulator = part(REGISTRY, "backend", "simulator", {"redraw": "episode"} | (backend or {}))
    made = chosen.load()
    microscope = simulator.load(Opening(purpose="train"))
    envelope = open_envelope("simulator", microscope.offers())
    spec = evolve(envelope.knobs[SHIFT].spec, **(limits or {}))
    envelope = evolve(envelope, knobs={SHIFT: KnobLimits(spec=spec)})
    with stempilot.open_session(microscope, [made], name="simulator", envelope=envelope) as session:
        yield session.env(made, seed=0, **options)


def vector(count: int = 64, seed: int = 3, **options: Any) -> TaskVecEnv:
    with single(**options) as env:
        return env.vector(count, seed)


def played(env: TaskVecEnv, steps: int = 30, seed: int = 0) -> list[Any]:
    """Return all that an environment says during random actions, reset included."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(-1, 1, (steps, env.num_envs, 2)).astype(np.float32)
    return [env.reset(), *map(env.step, drawn)]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.array_equal(one, other))


def test_it_is_a_vector_environment_of_the_task() -> None:
    with single() as env:
        many = env.vector(5, 0)
        assert isinstance(many, gymnasium.vector.VectorEnv)
        assert many.num_envs == 5
        assert many.single_observation_space == env.observation_space
        assert many.single_action_space == env.action_space
        assert many.observation_space.shape == (5, 2)
        assert many.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize(
    ("count", "seed", "said"),
    [
        (0, 1, "count 0 must be 1 or more"),
        (2.5, 1, "count 2.5 is not a whole number"),
        (2, -1, "seed -1 must be 0 or more"),
    ],
)
def test_no_instruments_and_no_seeds_are_refused(count: int, seed: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        vector(count, seed)


@pytest.mark.parametrize("preset", ["paper", "everything"])
def test_a_seed_reproduces_everything_to_the_bit(preset: str) -> None:
    one, other = (vector(backend={"preset": preset}) for _ in range(2))
    assert same(played(one), played(other))
    first = played(one)
    one.reset(seed=3)
    other.reset(seed=3)
    assert same(played(one), played(other))
    assert not same(first, played(vector(seed=4, backend={"preset": preset})))


def test_a_seed_at_a_reset_is_that_of_a_new_environment() -> None:
    one, other = vector(seed=8), vector(seed=1)
    played(other, 5)
    assert same(one.reset(), other.reset(seed=8))


def test_instruments_of_one_batch_do_not_move_alike() -> None:
    env = vector(500)
    observation, _ = env.reset()
    assert len(np.unique(observation[:, 0])) == 500


@pytest.mark.parametrize("task", [{}, {"preset": "paper"}, {"actions": "discrete"}])
def test_what_is_told_keeps_the_contract_of_gymnasium(task: dict[str, Any]) -> None:
    env = vector(task=task, backend={"preset": "everything"})
    observation, info = env.reset(seed=1)
    env.action_space.seed(0)
    for _ in range(60):
        assert env.observation_space.contains(observation)
        assert set(info) == {"is_success", "_is_success", "is_blocked", "_is_blocked"}
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert reward.shape == terminated.shape == truncated.shape == (64,)
        assert reward.dtype == np.float64
        assert terminated.dtype == truncated.dtype == np.bool_
        assert not (terminated & truncated).any()
        won, blocked = info["is_success"], info["is_blocked"]
        assert not (won & blocked).any()
        assert terminated[won | blocked].all()
        assert info["_is_success"].all()
        assert info["_is_blocked"].all()


def test_an_episode_that_ended_begins_anew_in_the_step_after() -> None:
    env = vector(task={"preset": "paper"})
    env.reset()
    rng, ended = np.random.default_rng(0), np.zeros(64, bool)
    begun = 0
    for _ in range(80):
        actions = rng.uniform(-1, 1, (64, 2)).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(actions)
        assert (reward[ended] == 0.0).all()
        assert not (terminated | truncated)[ended].any()
        assert not (info["is_success"] | info["is_blocked"])[ended].any()
        length = np.hypot(*observation[ended][:, 1:3].T)
        assert (length > 3).all()  # published bins: nobody starts at the goal
        begun += ended.sum()
        ended = terminated | truncated
        assert (np.abs(reward[terminated]) == 100.0).all()
    assert begun > 30


def test_an_action_of_the_step_that_begins_an_episode_is_ignored() -> None:
    one, other = (vector(task={"step_limit": 1}) for _ in range(2))
    for env in (one, other):
        env.reset()
        env.step(np.zeros((64, 2), np.float32))
    still = one.step(np.zeros((64, 2), np.float32))[0]
    moved = other.step(np.ones((64, 2), np.float32))[0]
    assert np.array_equal(still, moved)


def test_the_framework_truncates_and_the_count_begins_anew() -> None:
    env = vector(max_timesteps=3, backend={"start_range": 0.5})
    env.reset()
    rest = np.zeros((64, 2), np.float32)
    for _ in range(2):
        for number in (1, 2, 3):
            _, reward, terminated, truncated, info = env.step(rest)
            assert not terminated.any()
            assert truncated.tolist() == [number == 3] * 64
            assert not (info["is_success"] | info["is_blocked"]).any()
            assert (reward > -10).all()
        assert not env.step(rest)[3].any()


def test_limits_refuse_what_they_refuse_a_single_instrument() -> None:
    limits = {"lower": (-0.03, -0.5), "upper": (0.5, 0.04), "max_change": (0.024, 0.024)}
    env = vector(256, limits=limits)
    env.reset()
    spec = env._limits
    assert set(spec) == {SHIFT}
    with single(limits=limits) as one:
        allowed_by = one._guard.limits
    rng = np.random.default_rng(0)
    refused_in_all = 0
    ended = np.zeros(256, bool)
    for _ in range(12):
        actions = rng.uniform(-1, 1, (256, 2)).astype(np.float32)
        state, standing = env._state, env._instruments.read(SHIFT)
        assert state is not None
        plan = env._task.targets(state, actions, {})[SHIFT]
        before = env._task.observe(state)
        expected = []
        for values, now in zip(plan.tolist(), standing.tolist(), strict=True):
            try:
                check_set_point(SetPoint(SHIFT, tuple(values)), allowed_by, tuple(now))
                expected.append(False)
            except EnvelopeError:
                expected.append(True)
        observation, reward, terminated, _, info = env.step(actions)
        blocked = info["is_blocked"]
        assert np.array_equal(blocked, np.array(expected) & ~ended)
        assert terminated[blocked].all()
        assert (reward[blocked] == -100.0).all()
        assert np.array_equal(observation[blocked], before[blocked])
        assert np.array_equal(env._instruments.read(SHIFT)[blocked], standing[blocked])
        refused_in_all += int(blocked.sum())
        ended = terminated
    assert refused_in_all > 50


def test_knobs_that_the_limits_do_not_list_are_not_moved() -> None:
    with single() as env:
        source = instruments_of(env._guard.backend, env.task)
        many = TaskVecEnv(env.task, source.batch(4, {}), seed=0, limits={}, max_timesteps=9)
    many.reset()
    with pytest.raises(IncompatibleError, match=f"do not list {SHIFT}"):
        many.step(np.zeros((4, 2), np.float32))


@pytest.mark.parametrize(
    "actions",
    [
        np.full((64, 2), 1.5, np.float32),
        np.full((64, 2), np.nan, np.float32),
        np.zeros((63, 2), np.float32),
        np.zeros(2, np.float32),
    ],
)
def test_an_action_outside_its_space_is_an_error(actions: Any) -> None:
    env = vector()
    env.reset()
    with pytest.raises(IncompatibleError, match="outside"):
        env.step(actions)


def test_steps_before_a_reset_are_an_error() -> None:
    env = vector()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros((64, 2), np.float32))
    with pytest.raises(IncompatibleError, match="before reset"):
        env.oracle_actions()


def test_starts_that_the_task_refuses_all_are_an_error() -> None:
    env = vector(task={"edge_threshold_px": 0.0}, backend={"start_range": 0.0})
    with pytest.raises(StartError, match="starting range is too narrow or already at the goal"):
        env.reset()


def test_starts_are_spread_as_those_of_a_single_instrument() -> None:
    options = {"task": {"start_range": 0.5}, "backend": {"start_range": 0.85}}
    many = vector(4000, **options).reset()[0]
    assert np.abs(many).max() <= 0.5 + 1e-6
    assert np.abs(many).max() > 0.49
    assert many.std(axis=0) == pytest.approx(0.5 / np.sqrt(3), rel=0.03)


def test_the_single_environment_is_left_alone() -> None:
    def story(with_vector: bool) -> list[Any]:
        with single(backend={"preset": "everything"}) as env:
            seen = [env.reset()[0]]
            for step in range(6):
                if with_vector and step == 2:
                    many = env.vector(8, 0)
                    played(many, 3)
                seen.append(env.step(np.full(2, 0.1, np.float32))[0])
            return seen

    assert same(story(with_vector=False), story(with_vector=True))


def test_it_goes_on_when_the_session_is_closed() -> None:
    env = vector()
    assert len(played(env, 3)) == 4


def test_tasks_and_backends_that_cannot_say_so() -> None:
    with on_toy() as env:
        with pytest.raises(IncompatibleError) as caught:
            env.vector(4, 0)
    message = str(caught.value)
    assert "ToyCentring does not take many episodes at once (Batchable)" in message
    assert "ToyBackend does not measure without frames (MeasuresDirectly)" in message


def test_measurements_that_the_backend_does_not_give_are_named() -> None:
    class Elsewhere:
        def measurements(self) -> frozenset[str]:
            return frozenset({"pixel_rad"})

        def batch(self, count: int, home: Any) -> Any:
            raise AssertionError

    with single() as env:
        with pytest.raises(IncompatibleError, match="needs position_px measured"):
            instruments_of(Elsewhere(), env.task)


def test_the_oracle_centres_on_many_at_once() -> None:
    env = vector(500, backend={"preset": "random"})
    env.reset()
    lost = won = 0
    for _ in range(40):
        _, _, terminated, _, info = env.step(env.oracle_actions())
        won += info["is_success"].sum()
        lost += (terminated & ~info["is_success"]).sum()
        errors = env.true_errors()["error_px"]
        assert (errors[info["is_success"]] < 12.3 + 5 * 4).all()
    assert won > 500
    assert lost < 0.01 * won


def test_episodes_played_at_once_succeed_as_those_on_frames_do() -> None:
    """Of a fixed guess of the response, which goes wrong on most of the instruments."""
    chosen = {"start_range": 0.5}
    with single(task=chosen, backend={"preset": "random"}, max_timesteps=60) as env:
        agent = part(REGISTRY, "agent", "proportional", {}).load(Brief.of(env.task, seed=0))
        policies = [agent.policy() for _ in range(400)]
        at_once = successes_at_once(env.vector(400, 5), policies)
        on_frames, _ = evaluate(env, agent.policy(), 60)
        seldom = successes_at_once(env.vector(400, 5), policies, should_stop=lambda: True)
    assert 0.05 < at_once / 400 < 0.3
    assert sum(episode.success for episode in on_frames) / 60 == pytest.approx(
        at_once / 400, abs=4 * (0.15 * 0.85 / 60) ** 0.5
    )
    assert seldom == 0
