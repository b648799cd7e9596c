"""Updates beside the instrument: how many, on which data, and the same numbers every time."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.agents.conftest import PointEnv

from stempilot.errors import ConfigError
from stempilot.operation.meanwhile import Meanwhile
from stempilot.plugins.options import build
from stempilot_agents.learners.dqn_config import DqnConfig
from stempilot_agents.learners.sac_config import SacConfig

STARTS, UPDATES = 10, 3


class SlowPoint(PointEnv):
    """The point on an instrument that keeps one waiting."""

    waits = True
    nap_s = 0.0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.meanwhile_work = Meanwhile()
        self.asked: list[int] = []

    def meanwhile(self, work: Callable[[], object], times: int) -> None:
        self.asked.append(times)
        self.meanwhile_work.ask(work, times)

    def step(self, action: Any) -> Any:
        with self.meanwhile_work.running():
            time.sleep(self.nap_s)
            return super().step(action)


class Napping(SlowPoint):
    nap_s = 0.003


@pytest.fixture(params=["sac", "sac-rapid", "tqc", "crossq", "dqn"])
def kind(request: Any) -> Any:
    return request.param


@pytest.fixture
def learner(new_learner: Any, kind: Any) -> Callable[..., Any]:
    def make(**options: Any) -> Any:
        values = {"learning_starts": STARTS, "gradient_steps": UPDATES, **options}
        return new_learner(kind, **values)

    return make


def env_of(made: type[PointEnv], kind: str, **options: Any) -> Any:
    return made(discrete=kind == "dqn", **options)


def assert_equal(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_the_same_numbers_whether_or_not_there_is_latency(learner: Any, kind: Any) -> None:
    ends = []
    for made in (PointEnv, SlowPoint, Napping):
        env, one = env_of(made, kind), learner(meanwhile=True)
        one.learn(env, steps=45, report=lambda _: True)
        ends.append((one.numbers, np.array(env.actions)))
    for numbers, actions in ends[1:]:
        assert_equal(ends[0][0], numbers)
        np.testing.assert_array_equal(ends[0][1], actions)


def test_exactly_n_updates_beside_each_timestep(learner: Any, kind: Any) -> None:
    env, one = env_of(SlowPoint, kind), learner()
    one.learn(env, steps=30, report=lambda _: True)
    # As without: none before there are more timesteps than learning_starts.
    assert env.asked == [0] * (STARTS + 1) + [UPDATES] * (30 - STARTS - 1)
    assert one._model.progress.updates == env.meanwhile_work.calls == UPDATES * (30 - STARTS - 1)


def test_updates_see_the_transitions_up_to_the_one_before(
    learner: Any, kind: Any, monkeypatch: Any
) -> None:
    env, one = env_of(SlowPoint, kind), learner()
    seen, train = [], one._model.train

    def watched(**options: Any) -> None:
        seen.append((len(env.actions), one._model.buffer.size(), threading.get_ident()))
        train(**options)

    # The action counts as carried out only when the updates have ended.
    def step(self: Any, action: Any) -> Any:
        with self.meanwhile_work.running():
            pass
        return PointEnv.step(self, action)

    monkeypatch.setattr(SlowPoint, "step", step)
    monkeypatch.setattr(one._model, "train", watched)
    one.learn(env, steps=20, report=lambda _: True)
    assert [size for _, size, _ in seen] == [size for size, _, _ in seen]
    assert [size for _, size, _ in seen] == [
        size for size in range(STARTS + 1, 20) for _ in range(UPDATES)
    ]
    assert threading.get_ident() not in {thread for *_, thread in seen}


@pytest.mark.parametrize(
    ("asked", "made", "beside"),
    [
        ("auto", PointEnv, False),
        ("auto", SlowPoint, True),
        (False, SlowPoint, False),
        (True, SlowPoint, True),
    ],
)
def test_auto_is_for_instruments_that_keep_one_waiting(
    learner: Any, kind: Any, asked: Any, made: Any, beside: bool
) -> None:
    env, one = env_of(made, kind), learner(meanwhile=asked)
    one.learn(env, steps=20, report=lambda _: True)
    assert bool(getattr(env, "asked", [])) is beside
    # One timestep's updates fewer: those of the last one belong to the next.
    assert one._model.progress.updates == UPDATES * (20 - STARTS - beside)


def test_auto_follows_the_environment_on_simulators(learner: Any, kind: Any) -> None:
    env, one = env_of(SlowPoint, kind), learner()
    env.waits = False
    one.learn(env, steps=20, report=lambda _: True)
    assert env.asked == []


def test_saved_loaded_and_continued_equals_going_on(learner: Any, kind: Any, tmp_path: Any) -> None:
    first, saved = env_of(Napping, kind), learner()
    saved.learn(
        first, steps=500, report=lambda _: not (first.over and first.log.count("step") >= 25)
    )
    before = saved._model.num_timesteps
    saved.save(tmp_path)
    resumed = learner(seed=99)
    resumed.load(tmp_path)
    second = env_of(SlowPoint, kind, first_episode=first.episode)
    resumed.learn(second, steps=15, report=lambda _: True)

    whole, env = learner(), env_of(Napping, kind)
    whole.learn(env, steps=before + 15, report=lambda _: True)
    assert_equal(whole.numbers, resumed.numbers)
    assert whole._model.progress == resumed._model.progress
    actions = [*first.actions, *second.actions]
    np.testing.assert_array_equal(np.array(env.actions), np.array(actions))


def test_one_more_update_after_loading_equals_not_having_saved(
    learner: Any, kind: Any, tmp_path: Any
) -> None:
    one = learner()
    one.learn(env_of(SlowPoint, kind), steps=25, report=lambda _: True)
    one.save(tmp_path)
    loaded = learner(seed=8)
    loaded.load(tmp_path)
    for each in (one, loaded):
        with each._random.installed():
            each._model.update_once()
    assert_equal(one.numbers, loaded.numbers)


def test_failing_updates_end_learning(learner: Any, kind: Any, monkeypatch: Any) -> None:
    def fail(**_: Any) -> None:
        msg = "diverged"
        raise ArithmeticError(msg)

    one = learner()
    monkeypatch.setattr(one._model, "train", fail)
    with pytest.raises(ArithmeticError, match="diverged"):
        one.learn(env_of(SlowPoint, kind), steps=25, report=lambda _: True)


@pytest.mark.parametrize("config", [SacConfig, DqnConfig])
def test_option_is_checked(config: Any) -> None:
    assert build(config, {}, section="agent").meanwhile == "auto"
    with pytest.raises(ConfigError, match="meanwhile"):
        build(config, {"meanwhile": "yes"}, section="agent")
    with pytest.raises(ConfigError, match="meanwhile"):
        build(config, {"meanwhile": 1}, section="agent")
