"""The environment: what is sent, priced and told."""

import contextlib
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
from attrs import evolve
from gymnasium.utils.env_checker import check_env as check_gymnasium
from stable_baselines3.common.env_checker import check_env as check_stable_baselines
from tests.core.envs import FULL, REST, HomeTask, Kept, envelope, on_desk, on_toy
from tests.core.fakes import Desk

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Frame, Needs, Outcome, Snapshot
from stempilot.errors import EnvelopeError, IncompatibleError
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import instrument_id
from stempilot.testing.toys import ToyBackend, ToyCentring

# --- the checkers --------------------------------------------------------------------------------


def make_toy(actions: Any) -> TaskEnv:
    """Return an environment that owns its session."""
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(on_toy(task=ToyCentring(actions)))
        env.closing = stack.pop_all()
    return env


@pytest.mark.parametrize("actions", ["box", "discrete"])
def test_the_checkers_are_content(actions: Any) -> None:
    name = f"stempilot-test/{actions}-v0"
    gymnasium.register(name, entry_point=lambda **_: make_toy(actions))
    try:
        env = gymnasium.make(name, disable_env_checker=True)
        check_gymnasium(env.unwrapped)
        check_stable_baselines(env.unwrapped)
        env.close()
    finally:
        del gymnasium.registry[name]


# --- a timestep ----------------------------------------------------------------------------------


def test_a_step_writes_looks_and_tells() -> None:
    desk = Desk()
    kept = Kept()
    with on_desk(desk, recorder=kept, seed=3) as env:
        first, info = env.reset()
        assert info["outcome"] == "running"
        before = desk.toy.read(BEAM_SHIFT)
        desk.log.clear()
        calls: list[str] = []
        desk.before = lambda what, name: calls.append(what)
        second, reward, terminated, truncated, info = env.step(FULL)
        desk.before = lambda what, name: None
        assert desk.log == [(before[0] + 3.2e-7, before[1])]
        assert calls.index("write") < calls.index("acquire")
    assert np.hypot(*(second - first)) == pytest.approx(0.4, abs=0.05)
    assert reward == pytest.approx(np.hypot(*first) - np.hypot(*second), abs=1e-6)
    assert (terminated, truncated) == (False, False)
    assert info["is_success"] is False
    last = kept.steps[-1]
    assert (last.episode, last.step, last.timestep) == (0, 1, 1)
    assert [(w.knob, w.before) for w in last.writes] == [(BEAM_SHIFT, before)]
    assert kept.snapshots[-1] is not None


def test_a_step_before_the_first_reset_is_a_bug_and_sends_nothing() -> None:
    desk = Desk()
    with on_desk(desk) as env, pytest.raises(RuntimeError, match="reset\\(\\) must be called"):
        env.step(FULL)
    assert desk.log == []


def test_success_terminates() -> None:
    with on_toy(seed=5) as env:
        env.reset()
        terminated = False
        while not terminated:
            assert env.last.truth is not None
            action = ToyCentring().oracle_action(env.last.state, env.last.truth)
            _, reward, terminated, truncated, info = env.step(action)
    assert (reward, truncated) == (10.0, False)
    assert (info["outcome"], info["is_success"]) == ("success", True)


def test_failure_terminates() -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.develop = lambda frame: evolve(frame, pixels=frame.pixels % 7)
        _, reward, terminated, truncated, info = env.step(REST)
    assert (reward, terminated, truncated) == (-10.0, True, False)
    assert info["outcome"] == "failure"


def test_the_budget_of_timesteps_truncates_and_is_not_priced() -> None:
    kept = Kept()
    with on_desk(Desk(), seed=3, max_timesteps=3, recorder=kept) as env:
        env.reset()
        ends = [env.step(REST)[1:4] for _ in range(3)]
    assert [(terminated, truncated) for _, terminated, truncated in ends] == [
        (False, False),
        (False, False),
        (False, True),
    ]
    assert abs(ends[-1][0]) < 0.1, "only the task's own price of a step"
    assert kept.steps[-1].outcome is Outcome.RUNNING
    assert kept.steps[-1].ended


def test_an_end_within_the_last_timestep_is_the_tasks_and_not_the_budgets() -> None:
    desk = Desk()
    with on_desk(desk, seed=3, max_timesteps=1) as env:
        env.reset()
        desk.develop = lambda frame: evolve(frame, pixels=frame.pixels % 7)
        assert env.step(REST)[2:4] == (True, False)


@pytest.mark.parametrize(
    "action",
    [
        np.array([1.5, 0.0], np.float32),
        np.array([np.nan, 0.0], np.float32),
        np.array([np.inf, 0.0], np.float32),
        np.zeros(3, np.float32),
        np.array(0.0, np.float32),
        np.array(["up", "down"]),
    ],
)
def test_actions_outside_the_space_are_refused_and_nothing_is_sent(action: Any) -> None:
    desk = Desk()
    with on_desk(desk, seed=3) as env:
        env.reset()
        desk.log.clear()
        with pytest.raises(IncompatibleError, match="lies outside Box"):
            env.step(action)
        assert desk.log == []


# --- BLOCKED -------------------------------------------------------------------------------------


def test_a_plan_that_the_envelope_refuses_is_blocked() -> None:
    desk, kept = Desk(), Kept()
    limits = envelope(desk, reach=(3e-7, 3e-7))
    task = HomeTask(tolerance=0.01)
    with on_desk(desk, task, limits, recorder=kept, seed=3) as env:
        first, _ = env.reset()
        state = env.last.state
        desk.log.clear()
        second, reward, terminated, truncated, info = env.step(FULL)
        assert desk.log == []
        assert (reward, terminated, truncated) == (-10.0, True, False)
        assert info["outcome"] == "blocked"
        assert info["is_success"] is False
        assert "outside" in info["reason"]
        np.testing.assert_array_equal(first, second)
        assert env.last.state is state
        assert env.timestep == 1
        assert kept.snapshots[-1] is None, "nothing was sent, so nothing was looked at"
        assert kept.steps[-1].outcome is Outcome.BLOCKED
        env.reset()
        assert env.step(0.5 * FULL)[4]["outcome"] == "running"


def test_a_scramble_that_the_envelope_refuses_is_an_error_and_not_blocked() -> None:
    desk = Desk()
    limits = envelope(desk, reach=(1e-9, 1e-9))
    with pytest.raises(EnvelopeError, match="outside"), on_desk(desk, limits=limits) as env:
        env.reset()
    assert desk.log == []


# --- what is told --------------------------------------------------------------------------------


def test_the_truth_is_recorded_and_never_told_to_an_agent() -> None:
    kept = Kept()
    with on_toy(recorder=kept) as env:
        _, first = env.reset()
        *_, second = env.step(0.1 * FULL)
    assert set(first) == {"episode_number", "instrument", "outcome", "is_success"}
    assert set(second) == set(first)
    assert kept.steps[-1].truth is not None
    assert "position_px" in kept.steps[-1].truth


def test_the_instrument_is_told_and_changes_with_its_identity() -> None:
    names = []
    for serial in (0, 1, 1):
        with on_toy(serial) as env:
            names.append(env.reset()[1]["instrument"])
    assert names[0] != names[1] == names[2]
    assert names[0] == instrument_id(ToyBackend(0).identity())
    assert instrument_id({"a": "1", "b": "2"}) == instrument_id({"b": "2", "a": "1"})


class Nosy(ToyCentring):
    """Also records another knob where it is offered."""

    @property
    def needs(self) -> Needs:
        return evolve(super().needs, reads=("camera_length_index", "beam_shift"))


def test_further_knobs_are_recorded_only_where_they_are_offered() -> None:
    kept = Kept()
    with on_toy(task=Nosy(), recorder=kept) as env:
        env.reset()
    assert kept.snapshots[0] is not None
    assert set(kept.snapshots[0].knobs) == {BEAM_SHIFT}


def test_no_pixels_outlive_their_timestep() -> None:
    with on_toy() as env:
        env.reset()
        env.step(0.1 * FULL)
        kept = attrs.asdict(env.last, recurse=False).values()
        assert not [value for value in kept if isinstance(value, Snapshot | Frame)]


def test_it_is_a_gymnasium_environment_that_closes_only_its_own() -> None:
    closed: list[str] = []
    with on_toy() as env:
        assert isinstance(env, gymnasium.Env)
        env.closing.callback(closed.append, "own")
        env.reset()
        env.close()
        assert closed == ["own"]
        env.reset()
        env.close()
