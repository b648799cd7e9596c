"""Many columns at once move as single ones do."""

import math

import numpy as np
import pytest
from attrs import evolve
from tests.backends.column.column_cases import SHIFT, seed

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.columns import ColumnBatch
from stempilot_backends.column.normal import draw_normal
from stempilot_backends.column.parameters import DRAWN

N = 6
EXPOSURE_S = 0.17
QUIET = ColumnParameters(action_noise=0.0)
DIFFERENT = {
    "rotation_deg": [30.0, 0.0, 123.0, 200.0, 359.0, 77.0],
    "mirrored": [False, True, True, False, True, False],
    "scale": [1.0, 0.25, 4.0, 0.5, 2.0, 1.3],
    "axis_ratio": [1.0, 0.9, 1.1, 0.95, 1.05, 1.0],
    "shear_deg": [0.0, 5.0, -5.0, 2.0, -1.0, 3.0],
    "semi_angle_rad": [0.017, 0.005, 0.03, 0.01, 0.02, 0.008],
}
CONDITIONS = {
    "nothing": {},
    "lag": {"lag": 0.4},
    "backlash": {"backlash_rad": 1.2e-3},
    "lag and backlash": {"lag": 0.2, "backlash_rad": 1.2e-3},
    "distortion": {"distortion_gain": 0.2, "distortion_swirl_rad": 0.2},
    "drift": {"drift_px_per_cycle": 0.5},
    "camera length": {"camera_length_index": 8, "camera_length_rotation_deg": (20.0,) * 21},
    "all": {
        "lag": 0.2,
        "backlash_rad": 1.2e-3,
        "distortion_gain": 0.2,
        "distortion_swirl_rad": 0.2,
        "drift_px_per_cycle": 0.25,
    },
}


def generator(number):
    return np.random.default_rng(number)


def singles(common):
    """Return columns that differ in what is drawn, each standing somewhere."""
    made, starts = [], generator(5).uniform(-300, 300, (2, N))
    for row in range(N):
        own = {name: values[row] for name, values in DIFFERENT.items()}
        single = Column(evolve(common, **own), seed(row))
        single.misalign(tuple(starts[:, row].tolist()))
        made.append(single)
    return made, starts


def batch_of(common, columns, starts, noise=0):
    batch = ColumnBatch(
        common, len(columns), generator(noise), hidden=generator(1), exposure_s=EXPOSURE_S
    )
    drawn = {name: np.array([getattr(c.parameters, name) for c in columns]) for name in DRAWN}
    directions = [math.atan2(*c._drive._direction[::-1, 0]) for c in columns]
    batch.reset(
        drawn,
        command_rad=np.array([c.get(SHIFT) for c in columns]).T,
        start_px=starts,
        drift_angle_rad=np.array(directions),
    )
    return batch


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_column_is_where_a_single_one_would_be_after_every_move(condition):
    common = evolve(QUIET, **CONDITIONS[condition])
    columns, starts = singles(common)
    batch = batch_of(common, columns, starts)
    moves, command = generator(9), np.zeros((2, N))
    for step in range(25):
        # Some moves are zero, some turn round within the play of the backlash.
        command = command + moves.uniform(-1, 1, (2, N)) * (0.01, 1e-3, 0.0)[step % 3]
        batch.move(command)
        batch.expose()
        found = batch.truth()
        for row, single in enumerate(columns):
            single.set(SHIFT, tuple(command[:, row].tolist()))
            single.advance(single.parameters.cycle_s)
            expected = single._look((0.0, 0.0))
            for name, numbers in expected.items():
                scale = 1.0 if name == "position_px" else max(1e-9, *map(abs, numbers))
                assert found[name][row] == pytest.approx(numbers, abs=1e-9 * scale), (name, row)


def test_the_knobs_read_what_was_commanded():
    columns, starts = singles(QUIET)
    batch = batch_of(QUIET, columns, starts)
    command = generator(3).uniform(-0.1, 0.1, (2, N))
    batch.move(command)
    assert np.array_equal(batch.command(), command)


def spread_of(changes, moves, count=4000, **drawn):
    """Return the RMS of true positions about where they would be without noise, by step."""
    common = evolve(QUIET, **changes)
    batch = ColumnBatch(common, count, generator(0), hidden=generator(1), exposure_s=EXPOSURE_S)
    own = {name: getattr(common, name) for name in DRAWN} | drawn
    batch.reset(
        own,
        command_rad=np.zeros((2, count)),
        start_px=np.zeros((2, count)),
        drift_angle_rad=np.zeros(count),
    )
    rms = []
    for move in moves:
        batch.move(np.broadcast_to(np.array(move)[:, None], (2, count)))
        batch.expose()
        rms.append(batch.truth()["position_px"].std(axis=0))
    return np.array(rms)


def of_singles(changes, moves, count=300):
    """Return the same of as many single columns."""
    met = np.empty((count, len(moves), 2))
    for row in range(count):
        single = Column(evolve(QUIET, **changes), seed(row, 7))
        single._drive._direction[:, 0] = (1.0, 0.0)
        for step, move in enumerate(moves):
            single.set(SHIFT, move)
            single.advance(single.parameters.cycle_s)
            shake = single._mechanics.standard_normal(2) * single.parameters.vibration_px
            met[row, step] = single._look(tuple(shake.tolist()))["position_px"]
    return met.std(axis=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"action_noise": 0.1},
        {"vibration_px": 2.0},
        {"drift_walk_px": 1.0},
        {"action_noise": 0.1, "vibration_px": 2.0, "drift_walk_px": 1.0, "lag": 0.3},
    ],
)
def test_noise_spreads_as_far_as_that_of_single_columns(changes):
    moves = [(0.0, 0.0), (0.02, 0.01), (0.0, 0.0), (0.0, 0.0), (-0.01, 0.02)]
    many, few = spread_of(changes, moves), of_singles(changes, moves)
    # An RMS of 300 is known to 4 per cent; 4 of those, and what is zero is zero.
    assert many == pytest.approx(few, rel=0.16, abs=1e-9)


def test_what_stays_behind_of_a_move_stays():
    batch_moves = [(0.02, 0.0), (0.02, 0.0), (0.02, 0.0)]
    rms = spread_of({"action_noise": 0.1}, batch_moves)
    assert rms[0] == pytest.approx(rms[2], abs=1e-9)


def test_what_was_found_is_the_truth_and_the_locators_error():
    count = 20_000
    common = evolve(QUIET, vibration_px=0.02)
    batch = ColumnBatch(common, count, generator(0), hidden=generator(1), exposure_s=EXPOSURE_S)
    batch.reset(
        {name: getattr(common, name) for name in DRAWN} | {"probe_current_a": 1e-13},
        command_rad=np.zeros((2, count)),
        start_px=np.zeros((2, count)),
        drift_angle_rad=np.zeros(count),
    )
    found = batch.expose()["position_px"]
    true = batch.truth()["position_px"]
    miss = found - true
    assert true.std() == pytest.approx(0.02, rel=0.02)
    assert abs(np.corrcoef(true[:, 0], miss[:, 0])[0, 1]) < 0.03
    assert found.std() == pytest.approx(math.hypot(true.std(), miss.std()), rel=0.02)
    assert np.array_equal(batch.truth()["position_px"], true)


def test_asking_for_the_truth_changes_nothing_that_follows():
    def played(asked):
        columns, starts = singles(QUIET)
        batch = batch_of(QUIET, columns, starts)
        seen = []
        for _ in range(4):
            batch.move(np.full((2, N), 0.001))
            seen.append(batch.expose()["position_px"])
            if asked:
                batch.truth()
        return np.array(seen)

    assert np.array_equal(played(asked=True), played(asked=False))


def test_columns_that_are_put_in_place_go_on_there():
    common = evolve(QUIET, lag=0.4)
    columns, starts = singles(common)
    here, there = (batch_of(common, columns, starts) for _ in range(2))
    there.move(np.full((2, N), 0.01))
    there.expose()
    rows, which = np.array([1, 4]), np.array([5, 0])
    before, others = here.truth()["position_px"], there.truth()["position_px"]
    here.put(rows, there, which)
    after = here.truth()["position_px"]
    assert np.allclose(after[rows], others[which], atol=1e-9)
    kept = [0, 2, 3, 5]
    assert np.allclose(after[kept], before[kept], atol=1e-9)
    assert np.allclose(here.truth()["pending_rad"][rows], there.truth()["pending_rad"][which])


@pytest.mark.parametrize("shape", [(2, 1), (2, 7), (4, 512)])
def test_normal_numbers_fill_any_shape(shape):
    out = np.full(shape, np.nan)
    assert draw_normal(generator(0), out) is out
    assert np.isfinite(out).all()


def test_normal_numbers_are_normal_and_independent():
    out = draw_normal(np.random.default_rng(1), np.empty((4, 500_000)))
    assert np.abs(out.mean(axis=1)).max() < 0.006
    assert out.var(axis=1) == pytest.approx(1.0, abs=0.01)
    assert (out**4).mean(axis=1) == pytest.approx(3.0, abs=0.06)
    for edge in (0.5, 1.0, 2.0, 3.0, 4.0):
        share = math.erfc(edge / math.sqrt(2))
        assert (np.abs(out) > edge).mean() == pytest.approx(share, rel=0.25 if edge > 3 else 0.03)
    both = np.corrcoef(np.concatenate([out, out**2]))
    assert np.abs(both - np.eye(8)).max() < 0.008
