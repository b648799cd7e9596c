"""Moves of a task's own: who is asked, what they cost, and where the knobs are when they fail."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from gymnasium.spaces import Box
from tests.core.kinds import STEP_M, Lamp, LampOptions, StrayReading

from stempilot.contract.goals import Raise
from stempilot.contract.names import SCREEN_CURRENT, STEM_DEFOCUS
from stempilot.contract.task import Task
from stempilot.contract.values import KnobNeed, KnobValue, Needs, Outcome, SetPoint, Snapshot
from stempilot.instrument.envelope import open_envelope
from stempilot.operation.episodes import run_episode
from stempilot.operation.session import open_session
from stempilot.operation.timestep import Timestep
from stempilot.record.recorder import FramePolicy, RunRecorder
from stempilot.record.transitions import read_transitions


@frozen
class Walk:
    """Where it is, what it confirmed, and how often it was moved.

    ``pending`` are the moves by which it confirms that it has arrived.
    """

    here_m: float
    pending: tuple[float, ...] = ()
    confirmed: bool = False
    moved: int = 0


class Confirms(Task[float, Walk]):
    """Go to 3 steps from home; arriving is confirmed by one small move and back."""

    needs = Needs(
        knobs={STEM_DEFOCUS: KnobNeed(unit="m", size=1, largest_step=STEP_M)},
        numbers={SCREEN_CURRENT: "A"},
    )
    observation_space = Box(-100.0, 100.0, (1,), dtype=np.float32)
    wiggle = STEP_M / 10
    at_once = False

    def measure(self, snapshot: Snapshot) -> float:
        return snapshot.knobs[STEM_DEFOCUS][0]

    def observe(self, state: Walk) -> Any:
        return np.array([state.here_m / STEP_M], dtype=np.float32)

    def initial(self, measured: float) -> Walk:
        return Walk(measured, pending=(self.wiggle, -self.wiggle) if self.at_once else ())

    def own_moves(
        self, state: Walk, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        if not state.pending:
            return None
        return (SetPoint(STEM_DEFOCUS, standing[STEM_DEFOCUS][0] + state.pending[0]),)

    def advance(self, state: Walk, action: Any, measured: float) -> Walk:
        if action is None:
            left = state.pending[1:]
            return evolve(
                state, here_m=measured, pending=left, confirmed=not left, moved=state.moved + 1
            )
        arrived = measured > 2.5 * STEP_M
        pending = (self.wiggle, -self.wiggle) if arrived else ()
        return Walk(measured, pending=pending, moved=state.moved)

    def outcome(self, state: Walk) -> Outcome:
        return Outcome.SUCCESS if state.confirmed else Outcome.RUNNING


class Leaps(Confirms):
    """Confirms by more than the envelope allows, after a first allowed move."""

    def initial(self, measured: float) -> Walk:
        return Walk(measured, pending=(self.wiggle, 9e-7))


class Forgoes(Leaps):
    """Succeeds without the confirmation that the envelope refuses."""

    def refused(self, state: Walk) -> Walk:
        return evolve(state, pending=(), confirmed=True)

    def explain(self, state: Walk) -> str:
        del state
        return "not confirmed"


class Flat(Confirms):
    goal = Raise(entry=0, noise=0.0)


class Recorder:
    def __init__(self) -> None:
        self.steps: list[Timestep] = []

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        self.steps.append(step)


FORWARD = np.array([1.0], dtype=np.float32)


@pytest.fixture
def lamp() -> Lamp:
    return Lamp(LampOptions(real=True))


def session(lamp: Lamp, task: Task[Any, Any], **more: Any) -> Any:
    envelope = evolve(open_envelope("lamp", lamp.offers()), **more)
    return open_session(lamp, [task], name="lamp", envelope=envelope, keep=True)


def test_the_task_confirms_after_the_agents_move_and_the_agent_is_paid(lamp: Lamp) -> None:
    task, recorder = Confirms(), Recorder()
    with session(lamp, task) as opened:
        env = opened.env(task, plain=True, recorder=recorder)
        env.reset()
        answers = [env.step(FORWARD) for _ in range(3)]
    assert [answer[2] for answer in answers] == [False, False, True]
    assert answers[-1][1] == pytest.approx(100 - 0.2), "the task's timesteps cost, success is paid"
    assert [step.by for step in recorder.steps] == ["agent"] * 4 + ["task"] * 2
    assert [step.timestep for step in recorder.steps] == list(range(6))
    assert lamp.standing == pytest.approx((3 * STEP_M,))
    assert {write.origin for step in recorder.steps[4:] for write in step.writes} == {"task"}


def test_a_refused_move_of_the_task_returns_home_and_ends_the_episode(lamp: Lamp) -> None:
    task = Leaps()
    with session(lamp, task) as opened:
        env = opened.env(task, plain=True)
        _, info = env.reset()
        assert (env.last.outcome, env.last.by) == (Outcome.BLOCKED, "task")
        assert "more than the largest step" in info["reason"] or info["reason"]
    assert lamp.written[0] == pytest.approx(STEP_M / 10)
    assert lamp.standing == pytest.approx((0.0,), abs=1e-15)


def test_a_task_may_do_without_a_refused_move_and_the_knob_is_home_all_the_same(lamp: Lamp) -> None:
    task = Forgoes()
    with session(lamp, task) as opened:
        env = opened.env(task, plain=True)
        env.reset()
        assert env.last.outcome is Outcome.SUCCESS
    assert lamp.written[0] == pytest.approx(STEP_M / 10)
    assert lamp.standing == pytest.approx((0.0,), abs=1e-15)


def test_the_budget_of_writes_counts_them_and_they_return_home(lamp: Lamp) -> None:
    task = Confirms()
    with session(lamp, task, max_writes=4) as opened:
        env = opened.env(task, plain=True)
        env.reset()
        for _ in range(3):
            env.step(FORWARD)
        assert env.budget_spent
        assert env.last.truncated
    assert lamp.standing == pytest.approx((3 * STEP_M,)), "home is where its own moves began"


def test_an_episode_that_ends_at_its_start_moves_nothing(lamp: Lamp) -> None:
    class Arrived(Confirms):
        def outcome(self, state: Walk) -> Outcome:
            return Outcome.SUCCESS

    task = Arrived()
    with session(lamp, task) as opened:
        env = opened.env(task, plain=True)
        env.reset()
        assert env.last.ended
        _, _, terminated, truncated, _ = env.step(FORWARD)
        assert (terminated, truncated) == (True, False)
    assert lamp.written == []


def test_it_is_asked_before_each_of_them_whether_to_stop(lamp: Lamp) -> None:
    class Long(StrayReading):
        def own_moves(self, state: Any, standing: Mapping[str, KnobValue]) -> Any:
            return (SetPoint(STEM_DEFOCUS, standing[STEM_DEFOCUS][0] + STEP_M / 10),)

    asked: list[bool] = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > 2

    task = Long()
    with session(lamp, task) as opened:
        episode = opened.play(task, should_stop=should_stop)
        assert (episode.success, episode.steps) == (False, 2)
        assert lamp.standing == (0.0,), "what was broken off is put back"
        asked.clear()
        env = opened.env(task, plain=True)
        env.should_stop = should_stop
        env.reset()
        assert not env.last.ended
        assert len(lamp.written) > 2
        assert lamp.standing == (0.0,), "by the environment itself"


def test_recorded_transitions_join_the_tasks_moves_to_the_action(
    lamp: Lamp, tmp_path: Path
) -> None:
    task = Confirms()
    recorder = RunRecorder(tmp_path, task, FramePolicy())
    with session(lamp, task) as opened:
        env = opened.env(task, plain=True, recorder=recorder)
        env.reset()
        answers = [env.step(FORWARD) for _ in range(3)]
    recorder.close()
    found = read_transitions(tmp_path, task.observation_space, task.action_space)
    assert len(found) == 3
    assert found.rewards == pytest.approx([answer[1] for answer in answers])
    assert np.array_equal(found.next_observations, [answer[0] for answer in answers])
    assert found.terminated.tolist() == [False, False, True]


def test_a_script_that_plays_a_reading_finds_the_knobs_where_they_were(lamp: Lamp) -> None:
    task = StrayReading()
    with session(lamp, task) as opened:
        episode = opened.play(task)
        assert episode.success
        assert set(episode.products) == {"slope"}
        assert lamp.written[-2] == STEP_M, "it ended away from home"
        assert lamp.standing == (0.0,)


def test_the_way_back_to_the_best_place_is_no_transition(lamp: Lamp, tmp_path: Path) -> None:
    class Walks:
        def reset(self, instrument_id: str) -> None:
            pass

        def act(self, observation: Any) -> Any:
            return FORWARD if observation[0] < 1.5 else -FORWARD

    class Higher(Flat):
        def advance(self, state: Walk, action: Any, measured: float) -> Walk:
            return Walk(measured)

    task = Higher()
    recorder = RunRecorder(tmp_path, task, FramePolicy())
    with session(lamp, task) as opened:
        env = opened.env(task, plain=True, recorder=recorder, max_timesteps=3)
        episode = run_episode(env, Walks())
    recorder.close()
    assert episode.success
    assert lamp.standing == pytest.approx((2 * STEP_M,))
    assert len(read_transitions(tmp_path, task.observation_space, task.action_space)) == 3
