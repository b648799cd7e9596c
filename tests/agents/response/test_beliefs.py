"""What moves tell of a response."""

import attrs
import numpy as np
import numpy.typing as npt
import pytest

from stempilot_agents.response.beliefs import (
    LAGS,
    Belief,
    Moves,
    Prior,
    beliefs,
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
    before, coming = np.zeros((len(LAGS), size)), np.zeros(size)
    traced, seen = [], []
    for action in np.asarray(actions, dtype=float):
        before = traces(action, before)
        carried = action + coming
        coming = lag * carried
        traced.append(before)
        seen.append(response @ carried + rng.normal(0, noise, size))
    return Moves.of(np.array(traced), np.array(seen), np.full(len(seen), VARIANCE))


def alone(action: npt.ArrayLike) -> FloatArray:
    """Return the traces of a first action."""
    first = np.array(action, dtype=float)
    return traces(first, np.zeros((len(LAGS), len(first))))


def best(moves: Moves) -> Belief:
    return max(beliefs(moves, PRIOR), key=lambda belief: belief.weight)


def test_before_the_first_move_everything_is_open() -> None:
    believed = beliefs(Moves.none(2), PRIOR)
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
        seen = 1.3 * MIRROR @ action
        move = Moves.of(alone(action)[np.newaxis], seen[np.newaxis], np.array([VARIANCE]))
        moves = moves.then(move, kept=0.9)
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
    unknown = beliefs(Moves.none(3), PRIOR)[0]
    assert not unknown.inverse().any()
    known = best(moves_of(ROTATION, np.tile(np.eye(2), (20, 1))))
    assert known.inverse() @ ROTATION == pytest.approx(np.eye(2), abs=0.01)


def test_a_response_that_depends_on_the_place_has_more_columns() -> None:
    rng = np.random.default_rng(6)
    actions, places = rng.uniform(-1, 1, (60, 2)), rng.uniform(-1, 1, (60, 1))
    columns = np.hstack([actions, actions * places**2])
    bent = np.hstack([ROTATION, 0.3 * MIRROR])
    traced = np.array([alone(row) for row in columns])
    displacements = columns @ bent.T + rng.normal(0, 0.01, (60, 2))
    believed = beliefs(Moves.of(traced, displacements, np.full(60, VARIANCE)), PRIOR)
    assert [belief.similar for belief in believed] == [False] * len(LAGS)
    assert believed[0].matrix == pytest.approx(bent, abs=0.03)
    assert believed[0].noise == pytest.approx(1.0, abs=0.4)


def test_a_prediction_says_what_the_action_adds_to_what_is_still_to_come() -> None:
    actions = np.random.default_rng(7).uniform(-1, 1, (30, 2))
    belief = best(moves_of(ROTATION, actions, lag=0.4, noise=0.01))
    action, before = np.array([0.5, -0.2]), alone([0.3, 0.8])
    expected = belief.predict(traces(action, before), VARIANCE, mistrust=0.1)
    assert expected.own == pytest.approx(ROTATION @ action, abs=0.02)
    whole = ROTATION @ (action + 0.4 * np.array([0.3, 0.8]))
    assert expected.displacement == pytest.approx(whole, abs=0.02)
    doubt = 0.01 * expected.own @ expected.own
    assert expected.variance == pytest.approx(belief.noise * VARIANCE + doubt, rel=0.1)
