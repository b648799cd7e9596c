"""Relabelled transitions are those that the task itself would have made at their new starts."""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.task import Symmetric
from stempilot.contract.values import Outcome, Transitions
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
See = Callable[..., Measured]
FULL_X = np.array([1, 0], dtype=np.float32)
COLUMNS = [field.name for field in attrs.fields(Transitions)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"preset": "paper"},
    {"goal_px": (-300.0, 420.0), "tolerance_px": 5.0},
    {"observation": "paper", "tolerance_px": 0.0, "goal_px": (100.0, 0.0)},
    {"camera_shape": (520, 1040), "reward": "sparse"},
    {"reward": "non-informative", "tolerance_mrad": 3.0},
    {"region": (-400.0, -300.0, 450.0, 450.0)},
]


def batch(task: BfDiskCentering, *lived: tuple[CenteringState, CenteringState]) -> Transitions:
    """Return transitions between states, all by a full action in x."""
    outcomes = [task.outcome(after) for _, after in lived]
    rewards = [
        task.reward(before, FULL_X, after, outcome)
        for (before, after), outcome in zip(lived, outcomes, strict=True)
    ]
    return Transitions(
        observations=np.stack([task.observe(before) for before, _ in lived]),
        actions=np.stack([FULL_X for _ in lived]),
        rewards=np.array(rewards, dtype=np.float32),
        next_observations=np.stack([task.observe(after) for _, after in lived]),
        terminated=np.array([outcome is not Outcome.RUNNING for outcome in outcomes]),
        truncated=np.zeros(len(lived), dtype=bool),
    )


@pytest.fixture
def moves(see: See) -> Callable[..., Transitions]:
    """Make transitions between positions in px from the frame's centre."""

    def make(task: BfDiskCentering, *ends: tuple[Any, Any], steps: int = 0) -> Transitions:
        lived = []
        for start, end in ends:
            before = attrs.evolve(task.initial(see(*start)), steps=steps)
            measured = see(position_px=None, visible=False) if end is None else see(*end)
            lived.append((before, task.advance(before, FULL_X, measured)))
        return batch(task, *lived)

    return make


def rows(met: Transitions, which: npt.NDArray[Any]) -> Transitions:
    return Transitions(**{name: getattr(met, name)[which] for name in COLUMNS})


def many(met: Transitions, times: int = 400) -> Transitions:
    return rows(met, np.tile(np.arange(len(met)), times))


def assert_same(one: Transitions, other: Transitions) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def was_moved(met: Transitions, found: Transitions) -> npt.NDArray[np.bool_]:
    moved: npt.NDArray[np.bool_] = (met.observations != found.observations).any(axis=1)
    return moved


@pytest.mark.parametrize("options", OPTIONS)
def test_the_task_itself_would_have_made_them(
    make_task: MakeTask, see: See, moves: Any, options: dict[str, Any]
) -> None:
    task = make_task(**options)
    met = many(moves(task, ((100.0, 50.0), (141.0, 30.0)), ((-60.0, 9.0), (-53.0, -190.0))), 120)
    found = task.relabel(met, np.random.default_rng(3))
    moved = np.flatnonzero(was_moved(met, found))
    assert len(moved) > len(met) / 4
    aim = task.geometry.aim_px()
    entries = list(task.goal.residual)
    ends = {Outcome.RUNNING: 0, Outcome.SUCCESS: 0, Outcome.FAILURE: 0}
    for row in moved:
        residuals = (found.observations[row, entries], found.next_observations[row, entries])
        start, end = (residual * task.geometry.unit_px + aim for residual in residuals)
        if (np.abs(np.abs(end) - task.geometry.edge_px) <= task.geometry.unit_px).any() and (
            task.geometry.rounded
        ):
            continue  # what was rounded does not say on which side of the edge it is
        before = task.initial(see(*start.tolist()))
        assert task.outcome(before) is Outcome.RUNNING
        after = task.advance(before, FULL_X, see(*end.tolist()))
        outcome = task.outcome(after)
        ends[outcome] += 1
        np.testing.assert_allclose(task.observe(before), found.observations[row], atol=1e-6)
        np.testing.assert_allclose(task.observe(after), found.next_observations[row], atol=1e-6)
        assert found.terminated[row] == (outcome is not Outcome.RUNNING)
        expected = task.reward(before, FULL_X, after, outcome)
        assert found.rewards[row] == pytest.approx(expected, abs=1e-4)
    assert ends[Outcome.RUNNING] > 50
    assert ends[Outcome.FAILURE] > 3
    assert ends[Outcome.SUCCESS] > 0 or task.geometry.tolerance() * task.geometry.unit_px < 8


@pytest.mark.parametrize("options", OPTIONS)
def test_displacements_stay_what_they_were(
    make_task: MakeTask, moves: Any, options: dict[str, Any]
) -> None:
    task = make_task(**options)
    met = many(moves(task, ((100.0, 50.0), (141.0, 30.0))))
    found = task.relabel(met, np.random.default_rng(3))
    inside = ~found.terminated
    entries = list(task.goal.residual)
    shifts = (found.next_observations - found.observations)[inside][:, entries]
    expected = (met.next_observations - met.observations)[0, entries]
    np.testing.assert_allclose(shifts, np.broadcast_to(expected, shifts.shape), atol=1e-6)
    assert len(shifts) > 100


@pytest.mark.parametrize("options", OPTIONS)
def test_starts_are_all_over_the_field_and_about_the_goal(
    make_task: MakeTask, moves: Any, options: dict[str, Any]
) -> None:
    task = make_task(**options)
    met = many(moves(task, ((100.0, 50.0), (101.0, 51.0))), 4000)
    found = task.relabel(met, np.random.default_rng(3))
    moved = was_moved(met, found)
    residual = found.observations[moved][:, list(task.goal.residual)].astype(float)
    position = residual * task.geometry.unit_px + task.geometry.aim_px()
    inside, margin_px = task.config.visible, task.geometry.margin_px
    low = np.array((inside.left, inside.top)) + margin_px
    high = np.array((inside.right, inside.bottom)) - margin_px
    reach = (position - (low + high) / 2) / ((high - low) / 2)
    np.testing.assert_allclose(np.abs(reach).max(axis=0), 1.0, atol=0.03)
    distance = np.hypot(*residual.T) * task.geometry.unit_px
    assert np.mean(distance < 60) > 0.05
    assert np.mean(distance < 60) < 0.5
    assert found.observations.dtype == met.observations.dtype


def test_a_lost_disk_stays_where_it_was(make_task: MakeTask, moves: Any) -> None:
    task = make_task(preset="paper")
    met = moves(
        task, ((480.0, 0.0), (519.0, 0.0)), ((480.0, 0.0), None), ((480.0, 0.0), (9.0, 9.0))
    )
    assert met.rewards.tolist() == [-100.0, -100.0, pytest.approx(0.78, abs=0.3)]
    found = task.relabel(many(met), np.random.default_rng(3))
    lost = np.arange(len(found)) % 3 < 2
    assert_same(rows(found, lost), rows(many(met), lost))
    assert was_moved(rows(many(met), ~lost), rows(found, ~lost)).mean() > 0.8


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_disk_that_went_out_of_the_frame_stays_where_it_was(
    make_task: MakeTask, moves: Any, preset: str
) -> None:
    task = make_task(preset=preset, edge_threshold_px=0.0)
    inside, outside = task.geometry.half_px[0] - 5.0, task.geometry.half_px[0] + 60.0
    met = moves(task, ((inside, 0.0), (outside, 0.0)), ((inside, 0.0), (inside - 40.0, 0.0)))
    assert met.terminated.tolist() == [True, False]
    found = task.relabel(many(met), np.random.default_rng(3))
    gone = np.arange(len(found)) % 2 == 0
    assert_same(rows(found, gone), rows(many(met), gone))
    assert was_moved(rows(many(met), ~gone), rows(found, ~gone)).mean() > 0.8


def test_a_refused_plan_stays_where_it_was(make_task: MakeTask, see: See) -> None:
    task = make_task()
    state = task.initial(see(100.0, 0.0))
    met = attrs.evolve(
        batch(task, (state, state)), rewards=np.array([-100.0]), terminated=np.array([True])
    )
    assert_same(task.relabel(many(met), np.random.default_rng(3)), many(met))


def test_a_timestep_in_which_the_steps_ran_out_goes_on_elsewhere(
    make_task: MakeTask, moves: Any
) -> None:
    task = make_task(preset="paper", step_limit=7)
    met = moves(task, ((200.0, 0.0), (210.0, 0.0)), steps=6)
    assert met.rewards.tolist() == [-100.0]
    found = task.relabel(many(met), np.random.default_rng(3))
    moved = was_moved(many(met), found)
    assert moved.mean() > 0.8
    assert found.terminated[moved].mean() < 0.3
    assert found.terminated[~moved].all()


def test_truncation_is_kept_unless_the_task_ends_it(make_task: MakeTask, moves: Any) -> None:
    task = make_task()
    met = attrs.evolve(moves(task, ((100.0, 0.0), (141.0, 0.0))), truncated=np.array([True]))
    found = task.relabel(many(met), np.random.default_rng(3))
    assert (found.truncated == ~found.terminated).all()
    assert found.terminated.any()


def test_discrete_actions_are_kept(make_task: MakeTask, moves: Any) -> None:
    task = make_task(actions="discrete")
    met = attrs.evolve(
        moves(make_task(), ((100.0, 0.0), (141.0, 0.0))), actions=np.array([3], dtype=np.int64)
    )
    found = task.relabel(many(met), np.random.default_rng(3))
    assert found.actions.dtype == np.int64
    assert (found.actions == 3).all()
    assert was_moved(many(met), found).mean() > 0.8


def test_the_task_declares_it(make_task: MakeTask) -> None:
    assert isinstance(make_task(), Symmetric)
