"""When a learner has converged, by both definitions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.core.fakes import QUICK

from stempilot.contract.goals import Centre, Raise
from stempilot.record.figures import (
    Evaluation,
    converged_at,
    convergence,
    episode_columns,
    is_due,
    reward_converged_at,
    smoothed,
)
from stempilot.record.quantities import CENTRE, RAISE, goal_kind
from stempilot.testing.toys import ToyCentring


def at(timestep: int, successes: int, episodes: int = 100) -> Evaluation:
    return Evaluation(timestep=timestep, episodes=episodes, successes=successes)


@pytest.mark.parametrize(
    ("episodes", "successes", "passed"),
    [(100, 100, True), (100, 96, True), (100, 95, False), (5, 0, False), (60, 55, False)],
)
def test_an_evaluation_passes_at_96_percent(episodes: int, successes: int, passed: bool) -> None:
    assert at(10, successes, episodes).passed is passed


def test_evaluations_are_dense_at_first() -> None:
    due = [timestep for timestep in range(1001) if is_due(timestep)]
    assert due == [*range(10, 501, 10), *range(600, 1001, 100)]


def test_converged_from_the_first_evaluation_after_which_all_passed() -> None:
    assert converged_at([]) is None
    assert converged_at([at(10, 50)]) is None
    assert converged_at([at(10, 97)]) == 10
    assert converged_at([at(10, 97), at(20, 90), at(30, 99), at(40, 96)]) == 30
    assert converged_at([at(10, 97), at(20, 99), at(30, 95)]) is None


def test_smoothing_is_exponential_over_25_episodes_and_unbiased_at_the_start() -> None:
    assert smoothed([4.0]) == pytest.approx([4.0])
    old, new = 1 - 2 / 26, 2 / 26
    weights = np.array([old * new, new])
    assert smoothed([4.0, 1.0])[1] == pytest.approx(float(weights @ [4.0, 1.0] / weights.sum()))


@QUICK
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
def test_smoothing_stays_within_what_was_seen(values: list[float]) -> None:
    averages = smoothed(values)
    assert len(averages) == len(values)
    for index, average in enumerate(averages):
        seen = values[: index + 1]
        assert min(seen) - 1e-9 <= average <= max(seen) + 1e-9


def test_the_papers_measure_is_from_where_the_reward_stays_above_zero() -> None:
    timesteps = list(range(100, 1100, 100))
    rewards = [-100.0] * 3 + [100.0] * 7
    averages = smoothed(rewards)
    first = next(i for i in range(10) if all(average > 0 for average in averages[i:]))
    assert reward_converged_at(timesteps, rewards) == timesteps[first]
    assert timesteps[first] > 400, "not at the first good episode"
    assert reward_converged_at(timesteps, [-1.0] * 10) is None
    assert reward_converged_at(timesteps, [0.0] * 10) is None
    assert reward_converged_at([], []) is None


@pytest.mark.parametrize(("goal", "at_timestep"), [(CENTRE, 20), (None, 20), (RAISE, 9)])
def test_a_task_that_raises_a_value_converges_by_its_reward(
    goal: str | None, at_timestep: int
) -> None:
    found = convergence(goal, [at(10, 90), at(20, 99)], [4, 9, 14], [-1.0, 5.0, 5.0])
    assert found == {"converged_at": at_timestep, "reward_converged_at": 9}


@pytest.mark.parametrize(
    ("goal", "kind"),
    [
        (Centre(residual=(0,), unit="px", tolerance=1.0, edges=((0.0,), (1.0,))), CENTRE),
        (Raise(entry=0, noise=0.1), RAISE),
        (None, None),
    ],
)
def test_the_goal_of_a_task_has_a_kind(
    monkeypatch: pytest.MonkeyPatch, goal: object, kind: str | None
) -> None:
    monkeypatch.setattr(ToyCentring, "goal", goal, raising=False)
    assert goal_kind(ToyCentring()) == kind


def event(
    t: int, k: int, reward: float, outcome: str = "running", **more: object
) -> dict[str, Any]:
    return {"t": t, "k": k, "reward": reward, "outcome": outcome, "truncated": False, **more}


def test_episodes_are_those_that_have_ended() -> None:
    events = [
        event(0, 0, 0.0),
        event(1, 1, -1.0),
        event(2, 2, 3.0, "success"),
        event(2, 0, 0.0),
        event(3, 1, -2.0, truncated=True),
        # It goes back to its best place, and is judged there.
        event(4, 2, 0.0, "success", by="return"),
        event(4, 0, 0.0),
        event(5, 1, 7.0, "failure", budget_spent=True),
        event(6, 1, 1.0),
    ]
    assert episode_columns(events) == {
        "t": [2, 4],
        "steps": [2, 2],
        "reward": [2.0, -2.0],
        "success": [True, True],
    }
