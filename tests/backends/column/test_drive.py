"""Backlash, lag, action noise and drift, each by itself."""

import math
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.drive import Drive

QUIET = ColumnParameters(action_noise=0.0)
Pair = tuple[float, float]


def pair(vectors: np.ndarray) -> Pair:
    """Return the vector of the one column."""
    assert vectors.shape == (2, 1)
    return (float(vectors[0, 0]), float(vectors[1, 0]))


class One:
    """A drive of one column, with its random numbers; vectors are pairs."""

    def __init__(self, parameters: ColumnParameters, seed: int) -> None:
        self.drive = Drive(np.zeros((Drive.FIELDS, 1)), parameters)
        self.parameters = parameters
        self.rest(seed)

    def rest(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        angle = self.rng.uniform(0.0, 2.0 * math.pi)
        self.drive.rest(np.array([[math.cos(angle)], [math.sin(angle)]]))

    def adopt(self, parameters: ColumnParameters) -> None:
        self.parameters = parameters
        self.drive.adopt(parameters)

    def move(self, command: Pair) -> None:
        self.drive.move(np.array(command)[:, None], self.rng.standard_normal((2, 1)))

    def advance(self, dt_s: float) -> None:
        cycles, pixel_rad = dt_s / self.parameters.cycle_s, self.parameters.pixel_rad_in_use
        self.drive.advance(cycles, self.rng.standard_normal((2, 1)), pixel_rad)

    @property
    def command(self) -> Pair:
        return pair(self.drive.command)

    @property
    def deflection(self) -> Pair:
        return pair(self.drive.deflection)

    @property
    def resting_deflection(self) -> Pair:
        return pair(self.drive.resting_deflection)

    @property
    def pending(self) -> Pair:
        return pair(self.drive.pending)

    @property
    def play(self) -> Pair:
        return pair(self.drive.play)

    @property
    def drift_rad(self) -> Pair:
        return pair(self.drive.drift)


def drive(seed: int = 0, **parameters: Any) -> One:
    """Return a drive without action noise, unless asked for."""
    return One(evolve(QUIET, **parameters), seed)


def test_without_lag_the_deflection_is_there_at_once() -> None:
    still = drive()
    still.move((0.01, -0.02))
    assert still.deflection == (0.01, -0.02)
    assert still.pending == (0.0, 0.0)


def test_lag_leaves_its_fraction_of_the_move_after_a_cycle() -> None:
    lagged = drive(lag=0.4)
    lagged.move((0.01, -0.02))
    assert lagged.deflection == (0.0, 0.0)
    lagged.advance(0.18)
    assert lagged.pending == pytest.approx((0.004, -0.008))
    assert lagged.deflection == pytest.approx((0.006, -0.012))
    assert lagged.resting_deflection == pytest.approx((0.01, -0.02))


def test_lag_is_first_order_in_time() -> None:
    lagged = drive(lag=0.4)
    lagged.move((0.01, 0.0))
    for _ in range(6):
        lagged.advance(0.09)
    assert lagged.pending[0] == pytest.approx(0.01 * 0.4**3)


def test_a_shorter_cycle_settles_faster() -> None:
    lagged = drive(lag=0.4, cycle_s=0.09)
    lagged.move((0.01, 0.0))
    lagged.advance(0.18)
    assert lagged.pending[0] == pytest.approx(0.01 * 0.4**2)


def test_no_time_settles_nothing() -> None:
    lagged = drive(lag=0.4)
    lagged.move((0.01, 0.0))
    lagged.advance(0.0)
    assert lagged.pending == pytest.approx((0.01, 0.0))


def test_backlash_swallows_twice_its_half_width_on_reversal() -> None:
    loose = drive(backlash_rad=0.001)
    loose.move((0.010, -0.010))
    assert loose.deflection == pytest.approx((0.009, -0.009))
    assert loose.play == pytest.approx((0.001, -0.001))
    loose.move((0.0081, -0.0081))
    assert loose.deflection == pytest.approx((0.009, -0.009))
    loose.move((0.0, 0.0))
    assert loose.deflection == pytest.approx((0.001, -0.001))


@given(st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)), max_size=20))
def test_the_play_never_exceeds_the_backlash(commands: list[tuple[float, float]]) -> None:
    loose = drive(backlash_rad=0.004)
    for command in commands:
        loose.move(command)
        assert max(map(abs, loose.play)) <= 0.004 + 1e-15
        assert loose.command == command


def test_backlash_and_lag_add_up() -> None:
    both = drive(backlash_rad=0.001, lag=0.5)
    both.move((0.011, 0.0))
    both.advance(0.18)
    assert both.deflection[0] == pytest.approx(0.005)
    assert both.play[0] == pytest.approx(0.001)
    assert both.pending[0] == pytest.approx(0.005)


def errors_of(moves: list[tuple[float, float]], noise: float) -> np.ndarray:
    """Return (400, 2) errors of the deflection after the moves, over their seeds."""
    found = []
    for seed in range(400):
        noisy = drive(seed, action_noise=noise)
        for move in moves:
            noisy.move(move)
        last = moves[-1]
        found.append((noisy.deflection[0] - last[0], noisy.deflection[1] - last[1]))
    return np.array(found)


def test_action_noise_is_a_fraction_of_the_larger_component_on_both_axes() -> None:
    rms = errors_of([(0.002, -0.020)], 0.1).std(axis=0)
    assert rms == pytest.approx((0.002, 0.002), rel=0.15)


def test_action_noise_accumulates_over_moves() -> None:
    there_and_back = [(0.02, 0.0), (0.0, 0.0)] * 8
    rms = errors_of(there_and_back, 0.1).std(axis=0)
    assert rms == pytest.approx((0.008, 0.008), rel=0.15)


def test_repeating_a_command_adds_nothing() -> None:
    noisy = drive(action_noise=0.1)
    noisy.move((0.01, 0.01))
    before = noisy.deflection
    assert before != (0.01, 0.01)
    noisy.move((0.01, 0.01))
    assert noisy.deflection == before


def test_drift_is_steady_in_one_direction_of_the_seed() -> None:
    drifting = drive(3, drift_px_per_cycle=0.5)
    drifting.advance(0.18)
    once = np.array(drifting.drift_rad)
    for _ in range(9):
        drifting.advance(0.18)
    assert math.hypot(*once) == pytest.approx(0.5 * 0.565e-3)
    assert np.array(drifting.drift_rad) == pytest.approx(10 * once)
    other = drive(4, drift_px_per_cycle=0.5)
    other.advance(0.18)
    assert not np.allclose(other.drift_rad, once)


def test_drift_directions_are_spread_evenly() -> None:
    found = []
    for seed in range(400):
        drifting = drive(seed, drift_px_per_cycle=1.0)
        drifting.advance(0.18)
        found.append(np.array(drifting.drift_rad) / 0.565e-3)
    assert np.mean(found, axis=0) == pytest.approx((0.0, 0.0), abs=0.12)
    assert np.mean(np.square(found), axis=0) == pytest.approx((0.5, 0.5), abs=0.07)


@pytest.mark.parametrize(("steps", "dt_s"), [(1, 0.72), (16, 0.045)])
def test_the_walk_grows_with_the_square_root_of_time(steps: int, dt_s: float) -> None:
    found = []
    for seed in range(400):
        walking = drive(seed, drift_walk_px=1.5)
        for _ in range(steps):
            walking.advance(dt_s)
        found.append(np.array(walking.drift_rad) / 0.565e-3)
    assert np.std(found, axis=0) == pytest.approx((3.0, 3.0), rel=0.12)


def test_drift_is_in_pixels_of_the_camera_length_in_use() -> None:
    drifting = drive(drift_px_per_cycle=1.0, camera_length_index=11)
    drifting.advance(0.18)
    assert math.hypot(*drifting.drift_rad) == pytest.approx(0.565e-3 / 3)


def test_reset_forgets_everything_but_the_command() -> None:
    used = drive(
        1, action_noise=0.1, backlash_rad=0.001, lag=0.5, drift_px_per_cycle=1, drift_walk_px=1
    )
    for command in ((0.02, 0.01), (-0.01, 0.03)):
        used.move(command)
        used.advance(0.18)
    used.rest(2)
    assert used.command == (-0.01, 0.03)
    assert used.deflection == used.command
    assert (used.pending, used.play, used.drift_rad) == ((0.0, 0.0),) * 3


def test_adopting_less_backlash_takes_up_the_play() -> None:
    loose = drive(backlash_rad=0.002)
    loose.move((0.01, 0.0))
    loose.adopt(evolve(QUIET, backlash_rad=0.0005))
    assert loose.play == pytest.approx((0.0005, 0.0))


def test_adopting_no_lag_settles() -> None:
    lagged = drive(lag=0.5)
    lagged.move((0.01, 0.0))
    lagged.adopt(QUIET)
    assert lagged.pending == (0.0, 0.0)


def test_taking_up_lag_begins_where_the_knob_is() -> None:
    changed = drive()
    changed.move((0.01, 0.0))
    changed.adopt(evolve(QUIET, lag=0.5))
    assert (changed.deflection, changed.pending) == ((0.01, 0.0), (0.0, 0.0))
    changed.move((0.02, 0.0))
    assert changed.pending == pytest.approx((0.01, 0.0))


@pytest.mark.parametrize("loose", [{}, {"lag": 0.3}, {"lag": 0.3, "backlash_rad": 1e-3}])
def test_n_columns_move_to_the_bit_as_each_by_itself(loose: dict[str, float]) -> None:
    parameters = evolve(QUIET, drift_px_per_cycle=0.5, drift_walk_px=1.0, **loose)
    noises, rng = np.array([0.0, 0.05, 0.1]), np.random.default_rng(0)
    directions = rng.standard_normal((2, 3))
    many = Drive(np.zeros((Drive.FIELDS, 3)), parameters, {"action_noise": noises})
    many.rest(directions)
    singles = [
        Drive(np.zeros((Drive.FIELDS, 1)), evolve(parameters, action_noise=noise))
        for noise in noises.tolist()
    ]
    for row, single in enumerate(singles):
        single.rest(directions[:, [row]])
    for _ in range(10):
        command, jolts, walk = rng.standard_normal((3, 2, 3)) * 0.01
        for row, single in enumerate(singles):
            single.move(command[:, [row]], jolts[:, [row]])
            single.advance(1.0, walk[:, [row]], 1e-3)
        many.move(command, jolts)
        many.advance(1.0, walk, 1e-3)
        for name in ("command", "deflection", "resting_deflection", "pending", "play", "drift"):
            each = np.hstack([getattr(single, name) for single in singles])
            assert np.array_equal(getattr(many, name), each), name
