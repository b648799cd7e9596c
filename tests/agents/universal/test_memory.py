"""What the policy knows of an instrument, against the same sums done plainly, move by move."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.agents.centring_plant import goal

from stempilot_agents.universal.features import DOUBT, SIZE, WANTED, features
from stempilot_agents.universal.memory import LAGS, Field, Memory, complexes

KEPT, SKEW, GAIN2 = 0.95, 0.06, 4.0


def episode(seed: int = 3, moves: int = 7, hand: bool = False) -> tuple[Any, Any]:
    """Return residuals (moves + 1,) and actions (moves,), complex, of a lagless instrument."""
    rng = np.random.default_rng(seed)
    full = goal().full_action / (2 * 499.6 / 520 / 2)
    actions = rng.uniform(-1, 1, moves) + 1j * rng.uniform(-1, 1, moves)
    m1, m2 = 1.3 * np.exp(0.7j), 0.04 + 0.02j
    steps = actions * full
    moved = m1 * steps.conj() + m2 * steps if hand else m1 * steps + m2 * steps.conj()
    noise = 0.003 * (rng.standard_normal(moves) + 1j * rng.standard_normal(moves))
    residuals = np.concatenate([[0.5 - 0.3j], 0.5 - 0.3j + np.cumsum(moved + noise)])
    return residuals, actions


def remembered(residuals: Any, actions: Any) -> Memory:
    memory = Memory(Field.of(goal()))
    memory.observe(residuals[:1].astype(np.complex64))
    for action, residual in zip(actions, residuals[1:], strict=True):
        memory.act(np.array([action], np.complex64))
        memory.observe(np.array([residual], np.complex64))
    return memory


class Plain:
    """The regressions from a list of all moves, solved as least squares with extra rows."""

    def __init__(self, residuals: Any, actions: Any) -> None:
        field = Field.of(goal())
        self.full, self.reading2 = float(field.full[0]), float(field.reading2[0])
        self.moves: list[tuple[complex, float, float]] = []
        self.score = np.zeros((len(LAGS), 2))
        self.gain2 = GAIN2
        commands = np.cumsum(np.concatenate([[0], actions * self.full]))
        self.settled = self.settle(commands)
        for number, action in enumerate(actions):
            self.add(number, residuals[number + 1] - residuals[number], action)

    @staticmethod
    def settle(commands: Any) -> Any:
        settled = np.zeros((len(commands), len(LAGS)), complex)
        for number in range(1, len(commands)):
            settled[number] = LAGS * settled[number - 1] + (1 - LAGS) * commands[number]
        return settled

    def add(self, number: int, moved: complex, action: complex) -> None:
        asked2 = abs(action) ** 2 * self.full**2
        gain2 = self.gain2 if self.moves else min(abs(moved) ** 2 / asked2, 4 * GAIN2)
        largest = max(abs(action.real), abs(action.imag)) * self.full
        variance = self.reading2 + gain2 * (0.05 * largest) ** 2
        foreseen, doubt = self.foresee(number)
        total = doubt + variance + 0.05**2 * np.abs(foreseen) ** 2
        density = -0.5 * np.abs(moved - foreseen) ** 2 / total - np.log(total)
        self.score = KEPT * self.score + np.maximum(density - density.max(), -15)
        self.moves.append((moved, asked2, 1 / variance))
        age = KEPT ** np.arange(len(self.moves))[::-1]
        seen = sum(a * w * abs(d) ** 2 for a, (d, _, w) in zip(age, self.moves, strict=True))
        asked = sum(a * w * u2 for a, (_, u2, w) in zip(age, self.moves, strict=True))
        self.gain2 = min(seen / asked, GAIN2)

    def foresee(self, number: int) -> tuple[Any, Any]:
        foreseen, doubt = np.zeros((len(LAGS), 2), complex), np.zeros((len(LAGS), 2))
        for lag in range(len(LAGS)):
            x = self.settled[number + 1, lag] - self.settled[number, lag]
            for hand in range(2):
                m, covariance = self.solve(lag, hand)
                first, second = (x.conjugate(), x) if hand else (x, x.conjugate())
                foreseen[lag, hand] = m[0] * first + m[1] * second
                doubt[lag, hand] = abs(x) ** 2 * np.trace(covariance).real
        return foreseen, doubt

    def solve(self, lag: int, hand: int) -> tuple[Any, Any]:
        rows, right = [], []
        for number, (moved, _, weight) in enumerate(self.moves):
            x = self.settled[number + 1, lag] - self.settled[number, lag]
            scale = np.sqrt(weight * KEPT ** (len(self.moves) - 1 - number))
            rows.append(scale * np.array([x.conjugate(), x] if hand else [x, x.conjugate()]))
            right.append(scale * moved)
        rows += [[1 / np.sqrt(2 * GAIN2), 0], [0, 1 / np.sqrt(max(SKEW**2 * self.gain2, 1e-7))]]
        design = np.array(rows, complex)
        solution = np.linalg.lstsq(design, np.array([*right, 0, 0], complex), rcond=None)[0]
        return solution, np.linalg.inv(design.conj().T @ design)


@pytest.mark.parametrize("hand", [False, True], ids=["first hand", "second hand"])
@pytest.mark.parametrize("moves", [1, 2, 7])
def test_statistics_are_those_of_all_moves(hand: bool, moves: int) -> None:
    residuals, actions = episode(moves=moves, hand=hand)
    memory, plain = remembered(residuals, actions), Plain(residuals, actions)
    np.testing.assert_allclose(memory.score[0], plain.score, rtol=2e-3, atol=5e-3)
    np.testing.assert_allclose(memory.response.gain2[0], plain.gain2, rtol=1e-4)
    for lag in range(len(LAGS)):
        for side in range(2):
            (m1, m2), covariance = plain.solve(lag, side)
            assert memory.response.m1[0, lag, side] == pytest.approx(m1, rel=1e-3, abs=1e-3)
            assert memory.response.m2[0, lag, side] == pytest.approx(m2, rel=1e-3, abs=1e-3)
            variance = np.trace(covariance).real
            assert memory.response.variance[0, lag] == pytest.approx(variance, rel=2e-3)


def test_finds_the_hand_and_asks_for_the_right_move() -> None:
    residuals, actions = episode(hand=True)
    # Within reach of one action.
    residuals += 0.05 - 0.03j - residuals[-1]
    told, unit = features(remembered(residuals, actions))
    odds = told[0, WANTED[0][0] - 3]
    assert odds > 0.9
    asked = complex(*told[0, list(WANTED[0])]) * unit[0]
    leads = 1.3 * np.exp(0.7j) * np.conj(asked) + (0.04 + 0.02j) * asked
    left = residuals[-1] + leads
    assert abs(left) < 0.1 * abs(residuals[-1])


def test_doubt_goes_as_the_response_is_found() -> None:
    residuals, actions = episode()
    doubts = [
        features(remembered(residuals[: moves + 1], actions[:moves]))[0][0, DOUBT]
        for moves in (0, 1, 2, 7)
    ]
    assert doubts[0] == 1
    assert doubts[1] > 0.9
    assert doubts[3] < 0.4
    assert doubts == sorted(doubts, reverse=True)


def test_lagged_moves_are_known_by_their_lag() -> None:
    rng = np.random.default_rng(5)
    full = float(Field.of(goal()).full[0])
    actions = rng.uniform(-1, 1, 8) + 1j * rng.uniform(-1, 1, 8)
    commands = np.cumsum(np.concatenate([[0], actions * full]))
    settled = Plain.settle(commands)[:, 2]
    memory = remembered(0.2 + 0.1j + 1.5j * settled, actions)
    assert memory.score[0].argmax() == 2 * 2  # lag 0.4, first hand
    assert memory.response.m1[0, 2, 0] == pytest.approx(1.5j, rel=0.02, abs=0.02)


def test_rows_do_not_depend_on_each_other() -> None:
    episodes = [episode(seed, hand=bool(seed % 2)) for seed in range(4)]
    field = Field.joined([Field.of(goal())] * 4)
    together = Memory(field)
    together.observe(np.array([r[0] for r, _ in episodes], np.complex64))
    for step in range(7):
        together.act(np.array([a[step] for _, a in episodes], np.complex64))
        together.observe(np.array([r[step + 1] for r, _ in episodes], np.complex64))
    told, unit = features(together)
    for row, (residuals, actions) in enumerate(episodes):
        alone, alone_unit = features(remembered(residuals, actions))
        np.testing.assert_allclose(told[row], alone[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(unit[row], alone_unit[0], rtol=1e-5)


def test_a_new_episode_leaves_nothing_behind() -> None:
    memory = remembered(*episode())
    memory.begin(np.array([True]))
    fresh = Memory(Field.of(goal()))
    for each in (memory, fresh):
        each.observe(np.array([0.1 + 0.2j], np.complex64))
    for one, other in zip(features(memory), features(fresh), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_episode_on_the_same_instrument_keeps_the_response() -> None:
    memory = remembered(*episode())
    m1, score, count = memory.response.m1.copy(), memory.score.copy(), memory.count.copy()
    memory.begin_again(np.array([True]))
    memory.observe(np.array([-0.6 + 0.2j], np.complex64))
    np.testing.assert_array_equal(memory.response.m1, m1)
    np.testing.assert_array_equal(memory.score, score)
    np.testing.assert_array_equal(memory.count, count)
    assert memory.moved[0] == memory.last[0] == memory.command[0] == 0


def test_numbers_are_finite_and_as_many_as_promised() -> None:
    for residual in (0j, 1e-9 + 0j, 0.999 + 0.999j, 2 - 3j):
        memory = remembered(np.full(6, residual), np.array([0, 1, 0, 1j, -1], complex))
        told, unit = features(memory)
        assert told.shape == (1, SIZE)
        assert told.dtype == np.float32
        assert np.isfinite(told).all()
        assert np.isfinite(unit).all()
        assert (unit > 0).all()


def test_field_is_measured_in_half_fields() -> None:
    bins = goal(
        tolerance=3.0,
        edges=((-126.5, -130.5), (118.5, 114.5)),
        resolution=1.0,
        full_action=10.0,
    )
    field, halves = Field.of(bins), Field.of(goal())
    assert field.unit[0] == pytest.approx(122.5)
    assert field.full[0] == pytest.approx(halves.full[0], rel=2e-3)
    assert field.tolerance[0] == pytest.approx(halves.tolerance[0], rel=2e-3)
    assert field.upper[0] == pytest.approx((118.5 + 114.5j) / 122.5)
    assert field.reading2[0] > halves.reading2[0]


def test_the_nearest_edge_comes_first() -> None:
    field = evolve(Field.of(goal()), upper=np.array([1 + 0.5j], np.complex64))
    memory = Memory(field)
    memory.observe(complexes(np.array([[0.2, 0.1]])))
    told, _ = features(memory)
    np.testing.assert_allclose(told[0, 8:10], [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(np.exp(3 * told[0, 10:12]), [0.4, 0.8], rtol=1e-5)
