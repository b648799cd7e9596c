import math

import numpy as np
import pytest
from tests.core.report.toy import GOAL_PX, PIXEL_RAD, event

from stempilot.record.quantities import UNDECLARED
from stempilot.report.series import Series, as_number, series


def three_episodes() -> Series:
    """Return a success of two steps, one given up after a step, and a failure of one."""
    return series(
        [
            event(0, 0, 0, (100, 0)),
            event(0, 1, 1, (50, 0), action=[1.0, 0.0], reward=0.5),
            event(0, 2, 2, (20, 30), action=[1.0, 0.5], reward=100.0, outcome="success"),
            event(1, 0, 2, (0, 0)),
            event(1, 1, 3, (5, 5), action=[0.0, 0.0], reward=-1.0),
            event(2, 0, 3, (400, 0)),
            event(2, 1, 4, (600, 0), action=[-1.0, 0.0], reward=-100.0, outcome="failure"),
        ],
        UNDECLARED,
    )


def test_only_episodes_that_ended_are_complete() -> None:
    found = three_episodes()
    assert [episode.complete for episode in found.episodes] == [True, False, True]
    assert [episode.success for episode in found.complete] == [True, False]


def test_ends_steps_and_rewards_are_those_of_complete_episodes() -> None:
    found = three_episodes()
    assert found.ends() == [2, 4]
    assert found.steps() == [2, 1]
    assert found.rewards() == [100.5, -100.0]


def test_running_out_of_steps_completes_an_episode_without_success() -> None:
    events = [event(0, 0, 0, (1, 1)), event(0, 1, 1, (1, 1), reward=0.0, truncated=True)]
    (episode,) = series(events, UNDECLARED).complete
    assert not episode.success


def test_goal_and_truth_come_from_summary_and_truth() -> None:
    found = series([event(0, 0, 0, (100, -7), error_px=(0.25, 0.5))], UNDECLARED)
    np.testing.assert_allclose(found.goal[0], GOAL_PX)
    np.testing.assert_allclose(found.true[0], (100.25, -6.5))
    assert found.pixel_rad[0] == PIXEL_RAD


def test_what_is_not_told_is_nan() -> None:
    bare = {"e": 0, "k": 0, "t": 0, "outcome": "running", "truncated": False, "summary": {}}
    found = series([bare], UNDECLARED)
    assert np.isnan(found.position).all()
    assert np.isnan(found.true).all()
    assert not found.has_positions


@pytest.mark.parametrize("value", [None, True, "3", [3], {}, 10**400, -1e300])
def test_what_is_no_number_to_draw_is_nan(value: object) -> None:
    assert math.isnan(as_number(value))


def test_nothing_recorded_is_an_empty_series() -> None:
    found = series([], ())
    assert found.timesteps == 0
    assert found.complete == ()
    assert found.position.shape == (0, 2)
