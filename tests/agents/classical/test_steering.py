"""Which action is taken, given beliefs made by hand."""

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from stempilot_agents.classical.steering import Caution, Place, is_unclear, probe, steer
from stempilot_agents.response.beliefs import LAGS, Belief

FloatArray = npt.NDArray[np.float64]

CAUTION = Caution(probe=0.5, room=1.0, deviations=2.0, mistrust=0.0)
PLACE = Place(
    residual=np.array([0.4, -0.2]),
    coming=np.zeros((len(LAGS), 2)),
    last=np.zeros(2),
    lower=-np.ones(2),
    upper=np.ones(2),
    tolerance=0.01,
    reading=1e-6,
)
NO_MATRIX = np.zeros((2, 2))


def belief(matrix: npt.ArrayLike, *, spread: float = 1e-6, **changes: Any) -> Belief:
    response = np.array(matrix, dtype=float)
    size = len(response)
    made = Belief(
        matrix=response,
        lag=0,
        kind=0,
        rows=np.tile(spread**2 * np.eye(size), (size, 1, 1)),
        weight=1.0,
        noise=1.0,
        similar=True,
    )
    return attrs.evolve(made, **changes)


def test_known_response_is_inverted_and_clipped() -> None:
    action = steer(PLACE, [belief(0.3 * np.eye(2))], CAUTION)
    assert action == pytest.approx([-1.0, 2 / 3])


def test_what_is_still_to_come_is_counted() -> None:
    coming = np.zeros((len(LAGS), 2))
    coming[1] = [-0.1, 0.05]
    place = attrs.evolve(PLACE, coming=coming)
    action = steer(place, [belief(np.eye(2), lag=1)], CAUTION)
    assert action == pytest.approx([-0.3, 0.15])


@pytest.mark.parametrize("residual", [[0.9, 0.0], [0.0, -0.95], [0.7, 0.7]])
def test_probe_stays_inside_whatever_the_direction(residual: list[float]) -> None:
    place = attrs.evolve(PLACE, residual=np.array(residual))
    action = probe(place, [belief(NO_MATRIX, spread=4.0)], CAUTION)
    room = 1 - np.abs(residual).max()
    assert 2 * 4.0 * np.linalg.norm(action) == pytest.approx(room)


def test_probe_is_no_larger_than_wanted_and_goes_against_the_residual() -> None:
    action = probe(PLACE, [belief(NO_MATRIX, spread=0.01)], CAUTION)
    assert action == pytest.approx([-0.5 * math.tan(math.radians(33)), 0.5])


def test_next_probe_turns_round() -> None:
    place = attrs.evolve(PLACE, last=np.array([-0.02, 0.01]))
    action = probe(place, [belief(NO_MATRIX, spread=0.01)], CAUTION)
    assert action == pytest.approx([0.5, -0.25])


@pytest.mark.parametrize(("spread", "unclear"), [(0.01, False), (4.0, True)])
def test_a_move_within_the_noise_is_unclear(spread: float, unclear: bool) -> None:
    place = attrs.evolve(PLACE, last=np.array([0.1, 0.0]))
    assert is_unclear(place, [belief(np.eye(2), spread=spread)]) is unclear


def test_neither_of_two_hands_loses_the_feature() -> None:
    """Towards the goal under one hand is over the edge under the other."""
    place = attrs.evolve(PLACE, residual=np.array([0.1, 0.9]))
    hands = [
        belief([[0.0, -1.0], [1.0, 0.0]], weight=0.5),
        belief([[0.0, -1.0], [-1.0, 0.0]], weight=0.5, kind=1),
    ]
    action = steer(place, hands, CAUTION)
    for hand in hands:
        assert np.abs(place.residual + hand.matrix @ action).max() <= 1 + 1e-9
    # And it moves so that the two can be told apart.
    assert np.linalg.norm((hands[0].matrix - hands[1].matrix) @ action) > 0.1


def test_goes_all_the_way_on_a_guess_that_is_safe() -> None:
    hands = [belief(np.eye(2), weight=0.5), belief(np.diag([1.0, -1.0]), weight=0.5, kind=1)]
    action = steer(PLACE, hands, CAUTION)
    assert action == pytest.approx([-0.4, 0.2])


def test_an_improbable_hypothesis_still_limits_the_step() -> None:
    place = attrs.evolve(PLACE, residual=np.array([0.9, 0.0]))
    sure = belief(np.eye(2), weight=0.95)
    free = steer(place, [sure], CAUTION)
    held = steer(place, [sure, belief(-np.eye(2), weight=0.05, kind=1)], CAUTION)
    assert free == pytest.approx([-0.9, 0.0])
    assert held == pytest.approx([-0.1, 0.0], abs=1e-5)


def test_mistrust_leaves_room() -> None:
    place = attrs.evolve(PLACE, residual=np.array([0.9, 0.8]))
    crossing = belief([[-0.5, 0.0], [0.0, 1.0]], similar=False)
    wary = attrs.evolve(CAUTION, mistrust=0.5)
    action = steer(place, [crossing], wary)
    assert np.all(place.residual + crossing.matrix @ action < 1)


def test_unknown_direction_of_any_response_is_tried() -> None:
    rows = np.tile(np.diag([1e-6, 4.0]), (2, 1, 1))
    half_known = belief([[0.1, 0.0], [0.0, 0.0]], rows=rows, similar=False)
    action = steer(PLACE, [half_known], CAUTION)
    assert abs(action[1]) > 0.01
    known = belief([[0.1, 0.0], [0.0, 0.1]], similar=False)
    assert steer(PLACE, [known], CAUTION) == pytest.approx([-1.0, 1.0])
