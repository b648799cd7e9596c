from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from stempilot.contract.values import KnobValue
from stempilot_tasks.bf_disk_centering.actions import DISCRETE_MOVES
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.oracle import exact_change, position_after
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
small = st.floats(-0.02, 0.02)
numbers = st.floats(-400, 400)


def make_truth(**rest: Any) -> dict[str, KnobValue]:
    straight = (1 / 0.565e-3, 0.0, 0.0, 1 / 0.565e-3)
    truth = {
        "position_px": (0.0, 0.0),
        "jacobian_px_per_rad": straight,
        "lag": (0.0,),
        "pending_rad": (0.0, 0.0),
        "backlash_rad": (0.0,),
        "play_rad": (0.0, 0.0),
        "pixel_rad": (0.565e-3,),
    }
    return truth | rest


@st.composite
def truths(draw: st.DrawFn) -> dict[str, KnobValue]:
    angle, scale = draw(st.floats(0, 2 * np.pi)), draw(st.floats(400, 7000))
    mirror = draw(st.sampled_from([-1.0, 1.0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    width = draw(st.floats(0, 0.002))
    return make_truth(
        position_px=(draw(numbers), draw(numbers)),
        jacobian_px_per_rad=tuple((turn * scale * np.array([1, mirror])).ravel()),
        lag=(draw(st.floats(0, 0.8)),),
        pending_rad=(draw(small), draw(small)),
        backlash_rad=(width,),
        play_rad=(width * draw(st.floats(-1, 1)), width * draw(st.floats(-1, 1))),
    )


@given(truths(), numbers, numbers)
def test_the_exact_change_reaches_the_aim(truth: Any, x_px: float, y_px: float) -> None:
    aim = np.array([x_px, y_px])
    after = position_after(exact_change(aim, truth), truth)
    assert after == pytest.approx(aim, abs=1e-6)


def test_jacobian_is_read_by_rows() -> None:
    truth = make_truth(jacobian_px_per_rad=(0.0, 2.0, 1.0, 0.0))
    assert position_after(np.array([3.0, 5.0]), truth) == pytest.approx([10, 3])
    assert exact_change(np.array([10.0, 3.0]), truth) == pytest.approx([3, 5])


def test_lag_leaves_a_part_of_the_pending_move_to_come() -> None:
    truth = make_truth(
        jacobian_px_per_rad=(1.0, 0.0, 0.0, 1.0), lag=(0.4,), pending_rad=(10.0, 0.0)
    )
    assert position_after(np.zeros(2), truth) == pytest.approx([6, 0])
    assert exact_change(np.array([6.0, 6.0]), truth) == pytest.approx([0, 10])


def test_play_swallows_the_command_until_it_is_used_up() -> None:
    truth = make_truth(
        jacobian_px_per_rad=(1.0, 0.0, 0.0, 1.0), backlash_rad=(2.0,), play_rad=(2.0, -2.0)
    )
    assert position_after(np.array([1.0, 1.0]), truth) == pytest.approx([1, 0])
    assert position_after(np.array([-4.0, 4.0]), truth) == pytest.approx([0, 0])
    assert exact_change(np.array([5.0, 5.0]), truth) == pytest.approx([5, 9])


def test_no_move_is_asked_for_where_none_is_needed() -> None:
    truth = make_truth(backlash_rad=(1e-3,), play_rad=(5e-4, -5e-4))
    assert exact_change(np.zeros(2), truth).tolist() == [0, 0]


def test_a_batch_of_changes_equals_the_loop_over_it() -> None:
    rng = np.random.default_rng(4)
    truth = make_truth(
        jacobian_px_per_rad=(900.0, 300.0, -200.0, 1100.0), backlash_rad=(1e-3,), lag=(0.3,)
    )
    changes = rng.normal(0, 5e-3, (4, 3, 2))
    batch = position_after(changes, truth)
    for index in np.ndindex(4, 3):
        assert batch[index] == pytest.approx(position_after(changes[index], truth))


def test_continuous_action_is_the_exact_move_within_a_full_action(
    make_task: MakeTask,
) -> None:
    task = make_task(goal_px=(20.392, -600 / 520))
    truth = make_truth(position_px=(0.0, 300.0))
    action = task.oracle_action(None, truth)
    assert action.dtype == np.float32
    assert task.action_space.contains(action)
    assert action == pytest.approx([0.5, -1], abs=1e-4)


def test_step_size_scales_the_oracle(make_task: MakeTask) -> None:
    truth = make_truth(position_px=(4.0784, 0.0))
    for step_size, share in ((100, -0.1), (20, -0.5)):
        action = make_task(step_size=step_size).oracle_action(None, truth)
        assert action == pytest.approx([share, 0], abs=1e-4)


def test_in_bins_the_oracle_aims_at_the_middle_of_the_goals_bin(make_task: MakeTask) -> None:
    truth = make_truth(position_px=(0.0, 0.0))
    action = make_task(observation="paper", goal_px=(5.0, 0.0)).oracle_action(None, truth)
    assert action == pytest.approx([0.1, 0], abs=1e-5)


@given(truths())
def test_discrete_action_is_the_best_of_all(truth: Any) -> None:
    task = BfDiskCentering(BfDiskCenteringConfig(actions="discrete", goal_px=(50.0, 10.0)))
    action = task.oracle_action(None, truth)
    assert task.action_space.contains(action)
    left = [
        np.linalg.norm(position_after(move * task.config.step_rad, truth) - (50, 10))
        for move in DISCRETE_MOVES
    ]
    assume(sorted(left)[1] - min(left) > 1e-9)
    assert action == np.argmin(left)


def test_true_error_is_taken_from_the_goal_as_it_was_asked_for(make_task: MakeTask) -> None:
    task = make_task(observation="paper", goal_px=(5.0, 0.0))
    truth = make_truth(position_px=(8.0, 4.0), pixel_rad=(0.4e-3,))
    assert task.true_error(None, truth) == pytest.approx({"error_px": 5, "error_mrad": 2})
    del truth["pixel_rad"]
    assert task.true_error(None, truth) == pytest.approx({"error_px": 5})
