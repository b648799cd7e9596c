"""What moves cost, given hypotheses made by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot_agents.classical.weighing import Rivals, cost
from stempilot_agents.response.beliefs import Belief

FloatArray = npt.NDArray[np.float64]


def belief(matrix: npt.ArrayLike, *, kind: int, weight: float = 0.5, lag: int = 0) -> Belief:
    return Belief(
        matrix=np.array(matrix, dtype=float),
        lag=lag,
        kind=kind,
        rows=np.tile(1e-12 * np.eye(2), (2, 1, 1)),
        weight=weight,
        noise=1.0,
        similar=True,
    )


HAND, OTHER = belief(np.eye(2), kind=0), belief(np.diag([1.0, -1.0]), kind=1)
# The residual (0.4, 0.3) as either hand asks for it to be undone.
HANDS = Rivals.of([HAND, OTHER], np.array([[-0.4, -0.3], [-0.4, 0.3]]))


def costs(moves: Any, rivals: Rivals, reading: float = 1e-6) -> FloatArray:
    return cost(np.array(moves, dtype=float), rivals, tolerance=0.02, reading=reading)


def test_the_move_that_arrives_is_cheapest() -> None:
    sure = Rivals.of([HAND], np.array([[-0.4, -0.3]]))
    arrives, falls_short, does_nothing = costs([[-0.4, -0.3], [-0.2, -0.15], [0, 0]], sure)
    assert arrives < falls_short < does_nothing


def test_one_step_is_dear_if_it_may_not_be_seen_to_arrive() -> None:
    sure = Rivals.of([HAND], np.array([[-0.4, -0.3]]))
    (quiet,) = costs([[-0.4, -0.3]], sure)
    (noisy,) = costs([[-0.4, -0.3]], sure, reading=0.02**2)
    assert noisy > quiet


def test_telling_the_hands_apart_is_worth_something() -> None:
    along, across = costs([[0.01, 0.0], [0.0, 0.01]], HANDS)
    assert across < along


def test_a_guess_is_worth_its_chance() -> None:
    guessed, agreed, both_wrong = costs([[-0.4, -0.3], [-0.4, 0.0], [0.4, 0.0]], HANDS)
    assert guessed < agreed < both_wrong


def test_the_first_of_equals_is_chosen() -> None:
    one, other = costs([[-0.4, -0.3], [-0.4, 0.3]], HANDS)
    assert one < other
    assert other - one < 0.001


def test_lags_of_a_kind_are_averaged() -> None:
    lagged = belief(np.eye(2), kind=0, weight=0.25, lag=2)
    rivals = Rivals.of([lagged, HAND, OTHER], np.array([[-1.0, 0.0], [-0.4, 0.0], [-0.4, 0.0]]))
    assert [first.kind for first in rivals.firsts] == [0, 1]
    assert rivals.firsts[0] is HAND
    assert rivals.means == pytest.approx(np.array([[-0.6, 0.0], [-0.4, 0.0]]))
    assert rivals.others
