import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.values import KnobValue, Outcome
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
See = Callable[..., Measured]

BIN = 1040 / 255
FULL_X = np.array([1, 0], dtype=np.float32)
RUNNING, SUCCESS, FAILURE = Outcome.RUNNING, Outcome.SUCCESS, Outcome.FAILURE


def priced(task: BfDiskCentering, before: CenteringState, after: CenteringState) -> float:
    return task.reward(before, FULL_X, after, task.outcome(after))


def truth_at(position_px: npt.NDArray[Any]) -> dict[str, KnobValue]:
    return {
        "position_px": tuple(position_px),
        "jacobian_px_per_rad": tuple(JACOBIAN.ravel()),
        "lag": (0.0,),
        "pending_rad": (0.0, 0.0),
        "backlash_rad": (0.0,),
        "play_rad": (0.0, 0.0),
        "pixel_rad": (0.565e-3,),
    }


ANGLE = np.deg2rad(30)
JACOBIAN = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]]) / 0.565e-3


@pytest.mark.parametrize("observation", ["unrounded", "paper"])
@pytest.mark.parametrize("actions", ["continuous", "discrete"])
@pytest.mark.parametrize("reward", ["informative", "non-informative", "sparse"])
def test_the_oracle_centres_the_disk_and_all_stays_in_its_space(
    make_task: MakeTask, see: See, observation: str, actions: str, reward: str
) -> None:
    task = make_task(observation=observation, actions=actions, reward=reward, goal_px=(60, -30))
    space, action_space = task.observation_space, task.action_space
    position = np.array([-310.0, 250.0])
    state = task.initial(see(*position))
    total = 0.0
    for _ in range(60):
        action = task.oracle_action(state, truth_at(position))
        assert action_space.contains(action)
        shift = np.array(task.targets(state, action, {})[0].value)
        position = position + JACOBIAN @ (shift - state.target_rad)
        before, state = state, task.advance(state, action, see(*position))
        assert space.contains(task.observe(state))
        total += priced(task, before, state)
        if task.outcome(state) is not RUNNING:
            break
    assert task.outcome(state) is SUCCESS
    assert total >= 100 - 2 * state.steps
    assert task.true_error(state, truth_at(position))["error_px"] < 4 * BIN


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_functions_are_pure(make_task: MakeTask, see: See, preset: str) -> None:
    task = make_task(preset=preset)
    start, action = task.initial(see(200.0, 90.0)), np.array([0.3, -0.7], dtype=np.float32)
    kept = copy.deepcopy(start)
    one, two = (task.advance(start, action, see(150.0, 80.0)) for _ in range(2))
    assert one == two
    assert task.observe(one).tobytes() == task.observe(two).tobytes()
    task.observe(one)[:] = 9
    assert task.observe(one).tobytes() == task.observe(two).tobytes()
    assert priced(task, start, one) == priced(task, start, two)
    assert task.summary(one) == task.summary(two)
    assert start == kept
    assert action.tolist() == np.array([0.3, -0.7], dtype=np.float32).tolist()


@pytest.mark.parametrize("observation", ["unrounded", "paper"])
def test_a_centre_beyond_the_frame_is_lost_and_observed_at_its_edge(
    make_task: MakeTask, see: See, observation: str
) -> None:
    task = make_task(observation=observation, edge_threshold_px=0)
    state = task.initial(see(530.0, -540.0))
    assert task.outcome(state) is FAILURE
    assert state.position_px == (520.0, -520.0)
    assert task.observation_space.contains(task.observe(state))
