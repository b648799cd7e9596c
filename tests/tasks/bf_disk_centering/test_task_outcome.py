from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest

from stempilot.contract.values import Outcome
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
See = Callable[..., Measured]

BIN = 1040 / 255
FULL_X = np.array([1, 0], dtype=np.float32)
RUNNING, SUCCESS, FAILURE = Outcome.RUNNING, Outcome.SUCCESS, Outcome.FAILURE


def priced(task: BfDiskCentering, before: CenteringState, after: CenteringState) -> float:
    return task.reward(before, FULL_X, after, task.outcome(after))


@pytest.mark.parametrize(
    ("options", "x_px", "outcome"),
    [
        ({}, 12.23, SUCCESS),
        ({}, 12.24, RUNNING),
        ({"tolerance_px": 2}, 2.0, SUCCESS),
        ({"tolerance_px": 2}, 2.01, RUNNING),
        ({"goal_px": (100, 0)}, 100.0, SUCCESS),
        ({"tolerance_mrad": 1}, 1.76, SUCCESS),
        ({"tolerance_mrad": 1}, 1.78, RUNNING),
        ({"tolerance_mrad": 1, "pixel_mrad": 0.5}, 1.99, SUCCESS),
        # 3.49 bins are rounded to 3, which is centred; 3.51 to 4, which is not.
        ({"observation": "paper"}, 3.49 * BIN, SUCCESS),
        ({"observation": "paper"}, 3.51 * BIN, RUNNING),
        ({"observation": "paper", "binning": 1}, 12.49 * BIN / 4, SUCCESS),
        ({"observation": "paper", "binning": 1}, 12.51 * BIN / 4, RUNNING),
        ({"observation": "paper", "tolerance_px": 0}, 0.4 * BIN, SUCCESS),
        ({"observation": "paper", "tolerance_px": 0}, 0.6 * BIN, RUNNING),
        ({}, 499.6, RUNNING),
        ({}, 499.7, FAILURE),
        ({}, -499.7, FAILURE),
        ({"edge_threshold_px": 0}, 519.9, RUNNING),
        ({"edge_threshold_px": 0}, 520.1, FAILURE),
        ({"edge_threshold_px": 100}, 420.1, FAILURE),
        ({"camera_shape": (520, 520)}, 250.0, FAILURE),
        # Bins of the goal: 100 px are 24.52 bins, so the goal is 25 bins = 101.96 px.
        ({"observation": "paper", "goal_px": (100, 0), "tolerance_px": 0}, 103.9, SUCCESS),
    ],
)
def test_outcome_follows_from_the_position(
    make_task: MakeTask, see: See, options: dict[str, Any], x_px: float, outcome: Outcome
) -> None:
    task = make_task(**options)
    assert task.outcome(task.initial(see(x_px))) is outcome
    start = task.initial(see(200.0))
    assert task.outcome(task.advance(start, FULL_X, see(x_px))) is outcome


def test_frames_calibration_decides_on_a_tolerance_in_mrad(make_task: MakeTask, see: See) -> None:
    task = make_task(tolerance_mrad=1)
    assert task.outcome(task.initial(see(3.9, pixel_rad=0.25e-3))) is SUCCESS
    assert task.outcome(task.initial(see(4.1, pixel_rad=0.25e-3))) is RUNNING


def test_a_disk_out_of_sight_is_lost_even_over_the_goal(
    make_task: MakeTask, see: See, unseen: Measured
) -> None:
    task = make_task()
    after = task.advance(task.initial(see(0.0)), FULL_X, unseen)
    assert after.position_px == (0.0, 0.0)
    assert task.outcome(after) is FAILURE


def test_a_disk_never_seen_is_lost_and_does_not_look_centred(
    make_task: MakeTask, unseen: Measured
) -> None:
    task = make_task()
    state = task.initial(unseen)
    assert task.outcome(state) is FAILURE
    assert not task.sees(unseen, "flucam")
    assert task.observe(state).tolist() == [1, 1]
    assert not task.is_start(state)


def test_a_visible_disk_without_a_centre_is_lost_but_seen(make_task: MakeTask, see: See) -> None:
    task, measured = make_task(), see(position_px=None)
    assert task.outcome(task.initial(measured)) is FAILURE
    assert task.sees(measured, "flucam")


def test_running_out_of_steps_is_failure(make_task: MakeTask, see: See) -> None:
    task = make_task(step_limit=2)
    state = task.initial(see())
    outcomes = []
    for _ in range(2):
        state = task.advance(state, FULL_X, see())
        outcomes.append(task.outcome(state))
    assert outcomes == [RUNNING, FAILURE]
    assert task.outcome(task.advance(task.initial(see()), FULL_X, see(0.0))) is SUCCESS


def test_starts_within_the_range_on_both_axes(make_task: MakeTask, see: See) -> None:
    task = make_task(start_range=0.5)
    assert task.is_start(task.initial(see(259.0, -259.0)))
    assert not task.is_start(task.initial(see(261.0, 0.0)))
    assert not task.is_start(task.initial(see(0.0, -261.0)))
    assert not task.is_start(task.initial(see(0.0, 0.0)))
    assert make_task().is_start(task.initial(see(261.0, 0.0)))


def test_range_of_starts_is_taken_from_the_frames_centre(make_task: MakeTask, see: See) -> None:
    task = make_task(start_range=0.1, goal_px=(300, 0))
    assert task.is_start(task.initial(see(50.0)))
    assert not task.is_start(task.initial(see(320.0)))


@pytest.mark.parametrize("observation", ["unrounded", "paper"])
def test_informative_reward_is_equation_1(make_task: MakeTask, see: See, observation: str) -> None:
    task = make_task(observation=observation)
    far, near = (task.initial(see(bins * BIN)) for bins in (64, 32))
    assert priced(task, far, near) == pytest.approx(1 - 32 / 128)
    assert priced(task, near, far) == pytest.approx(-1 - 64 / 128)
    assert priced(task, near, near) == pytest.approx(1 - 32 / 128)


def test_size_in_the_reward_does_not_depend_on_the_binning(make_task: MakeTask, see: See) -> None:
    task = make_task(observation="paper", binning=1)
    far, near = (task.initial(see(bins * BIN)) for bins in (64, 32))
    assert priced(task, far, near) == pytest.approx(1 - 32 / 128)


def test_paper_reward_does_not_see_moves_within_a_bin(make_task: MakeTask, see: See) -> None:
    nearer, farther = see(31.8 * BIN), see(32.2 * BIN)
    for observation, reward in (("unrounded", -1 - 32.2 / 128), ("paper", 1 - 32 / 128)):
        task = make_task(observation=observation)
        value = priced(task, task.initial(nearer), task.initial(farther))
        assert value == pytest.approx(reward)


@pytest.mark.parametrize("reward", ["informative", "non-informative", "sparse"])
def test_ends_are_priced_the_same_whatever_the_reward(
    make_task: MakeTask, see: See, unseen: Measured, reward: str
) -> None:
    task = make_task(reward=reward, step_limit=5)
    start = task.initial(see())
    assert priced(task, start, task.advance(start, FULL_X, see(0.0))) == 100
    assert priced(task, start, task.advance(start, FULL_X, unseen)) == -100
    assert priced(task, start, attrs.evolve(start, steps=5)) == -100
    assert task.reward(start, FULL_X, start, Outcome.BLOCKED) == -100


@pytest.mark.parametrize(("reward", "steps"), [("non-informative", (1, -1)), ("sparse", (0, 0))])
def test_other_rewards_have_no_distance_in_them(
    make_task: MakeTask, see: See, reward: str, steps: tuple[float, float]
) -> None:
    task = make_task(reward=reward)
    far, near = task.initial(see(300.0)), task.initial(see(200.0))
    assert (priced(task, far, near), priced(task, near, far)) == steps


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({"x_px": 200.0}, "disk 200 px from the goal at timestep 1"),
        ({"x_px": 510.0}, "disk nearer than 20.4 px to the frame's edge"),
        ({"position_px": None, "visible": False}, "disk not visible"),
        ({"position_px": None, "cut": True}, "disk cut by the frame's edge"),
        (
            {"position_px": None, "saturated": True, "visible": False},
            "disk not visible, pixels are clip",
        ),
    ],
)
def test_a_failure_is_explained(
    make_task: MakeTask, see: See, measured: dict[str, Any], words: str
) -> None:
    task = make_task()
    after = task.advance(task.initial(see(300.0)), FULL_X, see(**measured))
    assert task.explain(after).startswith(words)
