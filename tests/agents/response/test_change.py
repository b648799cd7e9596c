"""Log odds of other responses, and their sums."""

import math
from typing import Any

import numpy as np
import pytest

from stempilot_agents.response.beliefs import Prediction
from stempilot_agents.response.change import Odds, evidence

OWN = np.array([1.0, 0.0])


def weighed(displacement: Any, awaited: Any = (0.0, 0.0)) -> list[float]:
    expected = Prediction(displacement=OWN + np.array(awaited), own=OWN, variance=0.05**2)
    return list(evidence(np.array(displacement), expected))


def test_a_move_that_ends_where_it_should_speaks_for_the_response_as_it_was() -> None:
    assert max(weighed([1.02, -0.04])) < 0


def test_another_direction_and_another_length_are_told_apart() -> None:
    turned, stretched = weighed([0.5, 0.87]), weighed([1.3, 0.0])
    assert turned[0] > 10 > turned[1]
    assert stretched[1] > stretched[0] > 0


def test_what_is_still_to_come_of_earlier_moves_is_expected() -> None:
    assert weighed([1.4, 0.3], awaited=[0.4, 0.3]) == pytest.approx(weighed(OWN))


def test_a_sum_reaches_its_threshold_and_never_falls_below_zero() -> None:
    odds = Odds(threshold=6.0, most=3.0)
    assert not odds.take(np.array([-50.0, -50.0]))
    assert not odds.take(np.array([50.0, 1.0]))
    assert list(odds.sums) == [3.0, 1.0]
    assert odds.take(np.array([50.0, 1.0]))


def test_without_a_limit_one_move_is_enough_and_without_a_threshold_none_is() -> None:
    assert Odds(9.2).take(np.array([10.0]))
    assert not Odds(math.inf).take(np.array([1e6]))
