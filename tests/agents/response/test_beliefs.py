"""What moves tell of a response."""

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from stempilot_agents.response.beliefs import (
    LAGS,
    Belief,
    Move,
    Moves,
    Prior,
    beliefs,
    prior_beliefs,
    traces,
)

FloatArray = npt.NDArray[np.float64]

PRIOR = Prior(gain=2.0, skew=0.05)
ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
MIRROR = np.array([[0.6, 0.8], [0.8, -0.6]])
VARIANCE = 1e-4


def moves_of(
    response: FloatArray, actions: npt.ArrayLike, *, lag: float = 0.0, noise: float = 0.0
) -> Moves:
    rng = np.random.default_rng(1)
    size = len(response)
    moves, before, coming = Moves.none(size), np.zeros((len(LAGS), size)), np.zeros(size)
    for action in np.asarray(actions, dtype=float):
        before = traces(action, before)
        carried = action + coming
        coming = lag * carried
        displacement = response @ carried + rng.normal(0, noise, size)
        move = Move(traces=before, displacement=displacement)
        moves = moves.add(move, variance=VARIANCE, kept=1.0)
    return moves


def alone(action: npt.ArrayLike) -> FloatArray:
    """Return the traces of a first action."""
    first = np.array(action, dtype=float)
    return traces(first, np.zeros((len(LAGS), len(first))))


def best(moves: Moves) -> Belief:
    return max(beliefs(moves, PRIOR), key=lambda belief: belief.weight)


def test_before_the_first_move_everything_is_open() -> None:
    believed = prior_beliefs(2, PRIOR)
    assert sum(belief.weight for belief in believed) == pytest.approx(1)
    assert [belief.similar for belief in believed] == [True, True, False] * len(LAGS)
    for belief in believed:
        assert not belief.matrix.any()
        assert belief.spread(np.array([0.6, 0.8])) == pytest.approx([2.0, 2.0], rel=0.01)


def test_one_move_gives_a_rotation_away_up_to_its_hand() -> None:
    first, second, anything = beliefs(moves_of(ROTATION, [[0.3, 0.1]]), PRIOR)[:3]
    assert first.matrix == pytest.approx(ROTATION, abs=0.01)
    assert np.linalg.det(second.matrix) == pytest.approx(-1, abs=0.02)
    assert first.weight == pytest.approx(second.weight, rel=1e-3)
    across = np.array([-0.1, 0.3])
    assert anything.spread(across).max() > 10 * first.spread(across).max()


@pytest.mark.parametrize("response", [ROTATION, MIRROR], ids=["rotation", "mirrored"])
def test_two_moves_tell_the_hand(response: FloatArray) -> None:
    belief = best(moves_of(response, [[0.3, 0.1], [0.0, 0.2]]))
    assert belief.similar
    assert belief.lag == 0
    assert belief.matrix == pytest.approx(response, abs=0.02)


def test_moves_that_contradict_a_rotation_are_believed() -> None:
    response = np.array([[3.0, 0.2], [0.0, 0.4]])
    belief = best(moves_of(response, [[0.5, 0.0], [0.0, 0.5], [0.5, 0.5]]))
    assert not belief.similar
    assert belief.matrix == pytest.approx(response, abs=0.01)


def test_many_moves_agree_with_least_squares() -> None:
    actions = np.random.default_rng(2).uniform(-1, 1, (40, 3))
    response = np.random.default_rng(3).normal(size=(3, 3))
    moves = moves_of(response, actions, noise=0.01)
    belief = beliefs(moves, attrs.evolve(PRIOR, gain=100.0))[0]
    direct = np.linalg.solve(moves.squares[0], moves.products[0].T).T
    assert belief.matrix == pytest.approx(direct, abs=0.01)
    assert belief.noise == pytest.approx(1.0, abs=0.4)


def test_lag_is_told_from_the_response() -> None:
    actions = np.random.default_rng(4).uniform(-1, 1, (10, 2))
    belief = best(moves_of(ROTATION, actions, lag=0.4, noise=0.001))
    assert LAGS[belief.lag] == 0.4
    assert belief.weight > 0.9
    assert belief.matrix == pytest.approx(ROTATION, abs=0.02)


def test_older_moves_fade() -> None:
    moves = moves_of(ROTATION, [[0.5, 0.0], [0.0, 0.5]])
    for step in range(60):
        action = np.eye(2)[step % 2]
        move = Move(traces=alone(action), displacement=1.3 * MIRROR @ action)
        moves = moves.add(move, variance=VARIANCE, kept=0.9)
    assert best(moves).matrix == pytest.approx(1.3 * MIRROR, abs=0.02)
    assert moves.count == pytest.approx(10, abs=0.1)


def test_noise_is_corrected_both_ways() -> None:
    actions = np.random.default_rng(5).uniform(-1, 1, (30, 2))
    assert best(moves_of(ROTATION, actions)).noise < 0.1
    assert best(moves_of(ROTATION, actions, noise=0.1)).noise > 30


def test_gain_is_that_of_the_moves() -> None:
    assert Moves.none(2).gain == 0
    assert moves_of(1.7 * ROTATION, [[0.2, 0.4]]).gain == pytest.approx(1.7)


def test_inverse_is_careful_where_little_is_known() -> None:
    unknown = prior_beliefs(3, PRIOR)[0]
    assert not unknown.inverse().any()
    known = best(moves_of(ROTATION, np.tile(np.eye(2), (20, 1))))
    assert known.inverse() @ ROTATION == pytest.approx(np.eye(2), abs=0.01)


@pytest.mark.parametrize(
    ("displacement", "plausible"),
    [([0.6, 0.8], True), ([0.65, 0.75], True), ([-0.4, 0.9], False), ([2.0, 2.5], False)],
)
def test_a_changed_instrument_explains_a_surprise_better(
    displacement: Any, plausible: bool
) -> None:
    known = best(moves_of(ROTATION, np.tile(np.eye(2), (5, 1))))
    move = Move(traces=alone([1.0, 0.0]), displacement=np.array(displacement))
    old = known.log_density(move, variance=VARIANCE, mistrust=0.05)
    new = prior_beliefs(2, PRIOR)[0].log_density(move, variance=VARIANCE, mistrust=0.0)
    assert (old > new + math.log(1e-4)) is plausible
