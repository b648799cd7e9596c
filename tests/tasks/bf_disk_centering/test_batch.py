"""The task on many episodes at once is the task on each of them."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.names import DIFFRACTION_SHIFT
from stempilot.contract.values import Outcome
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
Arrays = dict[str, npt.NDArray[Any]]
N = 400
PIXEL_RAD = 0.565e-3
OPTIONS = [
    {"preset": preset, "observation": observation, "actions": actions, "reward": reward, **rest}
    for (preset, rest), observation, actions, reward in product(
        [
            ("default", {"step_limit": 3, "start_range": 0.6}),
            ("paper", {"step_limit": 2}),
            (
                "default",
                {"tolerance_mrad": 20.0, "goal_px": [150.0, -80.0], "region": [9.0, 9.0, 400.0]},
            ),
        ],
        ["unrounded", "paper"],
        ["continuous", "discrete"],
        ["informative", "non-informative", "sparse"],
    )
]
NAMES = ["-".join(map(str, options.values())) for options in OPTIONS]


def measured_of(rng: np.random.Generator, task: BfDiskCentering) -> Arrays:
    """Return measurements from the goal to beyond the edge, some without a disk."""
    position = rng.uniform(-560, 560, (N, 2))
    position[: N // 4] = 0.03 * position[: N // 4] + task.geometry.goal_px
    position[rng.random(N) < 0.1] = np.nan
    return {
        "position_px": position,
        "pixel_rad": rng.uniform(0.5, 2.0, N) * PIXEL_RAD,
        DIFFRACTION_SHIFT: rng.uniform(-0.1, 0.1, (N, 2)),
    }


def single(measured: Arrays, row: int) -> Measured:
    x_px, y_px = measured["position_px"][row].tolist()
    found = not np.isnan(x_px)
    x_rad, y_rad = measured[DIFFRACTION_SHIFT][row].tolist()
    return Measured(
        position_px=(x_px, y_px) if found else None,
        radius_px=30.0 if found else None,
        visible=found,
        cut=False,
        saturated=False,
        pixel_rad=float(measured["pixel_rad"][row]),
        shift_rad=(x_rad, y_rad),
    )


def actions_of(task: BfDiskCentering, rng: np.random.Generator) -> npt.NDArray[Any]:
    if task.config.actions == "discrete":
        return rng.integers(0, 8, N)
    return rng.uniform(-1, 1, (N, 2)).astype(np.float32)


def expect_equal(batch: Arrays, singles: list[CenteringState]) -> None:
    assert set(batch) == {
        "position_px", "residual", "distance", "tolerance", "lost", "steps", "target_rad"
    }  # fmt: skip
    for name, rows in batch.items():
        assert np.array_equal(rows, np.array([getattr(state, name) for state in singles])), name


@pytest.fixture(params=OPTIONS, ids=NAMES)
def task(request: pytest.FixtureRequest, make_task: MakeTask) -> BfDiskCentering:
    return make_task(**request.param)


def test_every_function_gives_what_the_task_gives_row_by_row(task: BfDiskCentering) -> None:
    rng, many = np.random.default_rng(0), task.batched()
    first, later = measured_of(rng, task), measured_of(rng, task)
    state = many.initial(first)
    states = [task.initial(single(first, row)) for row in range(N)]
    expect_equal(state, states)
    starts = many.is_start(state)
    assert starts.tolist() == [task.is_start(one) for one in states]
    assert 0 < starts.sum() < N
    seen = set()
    for _ in range(3):
        actions = actions_of(task, rng)
        targets = many.targets(state, actions, {})[DIFFRACTION_SHIFT]
        planned = [task.targets(*pair, {})[0] for pair in zip(states, actions, strict=True)]
        assert np.array_equal(targets, np.array([point.value for point in planned]))
        after = many.advance(state, actions, later)
        afters = [
            task.advance(one, action, single(later, row))
            for row, (one, action) in enumerate(zip(states, actions, strict=True))
        ]
        expect_equal(after, afters)
        success, failure = many.outcome(after)
        outcomes = [task.outcome(one) for one in afters]
        assert success.tolist() == [one is Outcome.SUCCESS for one in outcomes]
        assert failure.tolist() == [one is Outcome.FAILURE for one in outcomes]
        seen |= set(outcomes)
        rewards = many.reward(state, actions, after, success=success, failure=failure)
        told = zip(states, actions, afters, outcomes, strict=True)
        assert rewards.tolist() == [task.reward(*row) for row in told]
        observations = many.observe(after)
        assert np.array_equal(observations, np.array([task.observe(one) for one in afters]))
        assert observations.dtype == task.observation_space.dtype
        state, states, later = after, afters, measured_of(rng, task)
    assert seen == {Outcome.SUCCESS, Outcome.FAILURE, Outcome.RUNNING}


def test_a_refused_plan_costs_what_it_costs_the_task(task: BfDiskCentering) -> None:
    rng, many = np.random.default_rng(1), task.batched()
    first = measured_of(rng, task)
    state, actions = many.initial(first), actions_of(task, rng)
    none, every = np.zeros(N, bool), np.ones(N, bool)
    price = many.reward(state, actions, state, success=none, failure=every)
    one = task.initial(single(first, 0))
    assert price.tolist() == [task.reward(one, actions[0], one, Outcome.BLOCKED)] * N


def test_oracle_and_errors_are_those_of_the_task(task: BfDiskCentering) -> None:
    rng, many = np.random.default_rng(2), task.batched()
    width = rng.uniform(0, 1e-3, (N, 1))
    truth = {
        "position_px": rng.uniform(-400, 400, (N, 2)),
        "jacobian_px_per_rad": rng.uniform(500, 3000, (N, 4)) * [1, -0.5, 0.5, 1],
        "lag": rng.uniform(0, 0.5, (N, 1)),
        "pending_rad": rng.uniform(-0.01, 0.01, (N, 2)),
        "backlash_rad": width,
        "play_rad": width * rng.uniform(-1, 1, (N, 2)),
        "radius_px": rng.uniform(9, 60, (N, 1)),
        "pixel_rad": np.full((N, 1), PIXEL_RAD),
    }
    rows = [
        {name: tuple(values[row].tolist()) for name, values in truth.items()} for row in range(N)
    ]
    state = many.initial(measured_of(rng, task))
    actions = many.oracle_actions(state, truth)
    expected = np.array([task.oracle_action(None, row) for row in rows])
    assert actions == pytest.approx(expected, abs=1e-6)
    errors = many.true_errors(state, truth)
    singles = [task.true_error(None, row) for row in rows]
    assert set(errors) == set(singles[0])
    for name, values in errors.items():
        assert values == pytest.approx(np.array([one[name] for one in singles])), name


def test_arguments_stay_as_they_were_and_results_are_new(make_task: MakeTask) -> None:
    rng = np.random.default_rng(3)
    task = make_task()
    many, first, later = task.batched(), measured_of(rng, task), measured_of(rng, task)
    actions = rng.uniform(-1, 1, (N, 2)).astype(np.float32)
    state = many.initial(first)
    held = [*first.values(), *later.values(), *state.values(), actions]
    kept = [array.copy() for array in held]
    after = many.advance(state, actions, later)
    after = {name: np.array(array) for name, array in after.items()}
    many.targets(state, actions, {})[DIFFRACTION_SHIFT][:] = 0.0
    many.observe(state)[:] = 0.0
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(held, kept, strict=True))
    again = many.advance(state, actions, later)
    assert all(np.array_equal(again[name], array) for name, array in after.items())
