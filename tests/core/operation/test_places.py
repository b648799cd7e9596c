"""Where starts are drawn around on an instrument that drifts."""

import numpy as np
import pytest
from tests.core.envs import REST, envelope, on_desk, on_toy
from tests.core.fakes import Desk

from stempilot.contract.names import BEAM_SHIFT
from stempilot.contract.values import Outcome
from stempilot.errors import StartError
from stempilot.operation.places import MAX_STARTS, Starts
from stempilot.operation.task_env import TaskEnv
from stempilot.testing.toys import ToyCentring, ToyState

DRIFT_PX = 9.0
"""What the dot moves to the right between two episodes: less than a start is away from the goal."""


class Counted(ToyCentring):
    """Counts the starts that it was asked about, and refuses all where ``blind``."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.blind = False

    def is_start(self, state: ToyState) -> bool:
        self.asked += 1
        return not self.blind and super().is_start(state)


def centre(env: TaskEnv, desk: Desk) -> None:
    """Play an episode by the true response; it has to succeed."""
    observation, _ = env.reset()
    response = np.array(desk.toy.truth()["response_px_per_m"]).reshape(2, 2)
    for _ in range(12):
        away_px = 32 * observation.astype(float)
        action = np.linalg.solve(response, -away_px) / 320e-9
        observation, *_ = env.step(action.clip(-1, 1).astype(np.float32))
        if env.last.ended:
            break
    assert env.last.outcome is Outcome.SUCCESS


def drift(desk: Desk) -> None:
    desk.toy._misaligned_px = desk.toy._misaligned_px + np.array([DRIFT_PX, 0.0])


def drifting(task: Counted, episodes: int) -> list[int]:
    """Play on a desk that drifts; return how many starts each episode tried."""
    desk, tried = Desk(), []
    with on_desk(desk, task) as env:
        home = desk.toy.read(BEAM_SHIFT)
        for _ in range(episodes):
            centre(env, desk)
            tried.append(task.asked)
            task.asked = 0
            drift(desk)
    assert desk.log[-1] == home
    return tried


def test_on_an_instrument_that_drifts_starts_follow_the_last_success() -> None:
    tried = drifting(Counted(), 12)
    # The dot has gone three times the half width of the frame from where it was.
    left_home = [number > MAX_STARTS for number in tried]
    assert 2 <= left_home.index(True) <= 8
    # Having left home they do not try it again, but where they went is lost in time, too.
    assert sum(left_home) <= 4


def test_a_success_moves_no_start_as_long_as_home_will_do() -> None:
    desk = Desk()
    task = Counted()
    with on_desk(desk, task) as env:
        home = np.array(desk.toy.read(BEAM_SHIFT))
        for _ in range(5):
            centre(env, desk)
            env.reset()
            assert np.abs(np.array(desk.toy.read(BEAM_SHIFT)) - home).max() <= 320e-9 * 1.001


def test_where_each_episode_has_an_instrument_of_its_own_none_is_drawn_elsewhere() -> None:
    task = Counted()
    with on_toy(task=task) as env:
        env.reset()
        task._tolerance = 10.0
        env.step(REST)
        assert env.last.outcome is Outcome.SUCCESS
        task.blind, task.asked = True, 0
        with pytest.raises(StartError, match="in 100 attempts"):
            env.reset()
    assert task.asked == MAX_STARTS


def test_starts_outside_the_envelope_are_drawn_again() -> None:
    desk = Desk()
    half = 5e-7
    task = Counted()
    with on_desk(desk, task, envelope(desk, reach=(half, half))) as env:
        home = np.array(desk.toy.read(BEAM_SHIFT))
        starts = env._starts
        assert starts is not None
        # The last success was at the edge: half of what is drawn around it lies outside.
        starts.found = {BEAM_SHIFT: tuple((home + half).tolist())}
        starts.around = starts.found
        for _ in range(20):
            env.reset()
            assert np.abs(np.array(desk.toy.read(BEAM_SHIFT)) - home).max() <= half * 1.001


def test_both_places_are_tried_a_hundred_times() -> None:
    starts = Starts({"a": (0.0,)}, moves=True)
    assert len(list(starts.attempts())) == MAX_STARTS
    starts.succeeded({"a": (1.0,)})
    tried = list(starts.attempts())
    assert [number for number, _ in tried] == list(range(2 * MAX_STARTS))
    assert [place["a"] for _, place in tried] == [(0.0,)] * MAX_STARTS + [(1.0,)] * MAX_STARTS
