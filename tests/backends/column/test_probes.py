"""Many probes at once move as those of single columns do."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from tests.backends.column.column_cases import seed

from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.parameters import DRAWN, PROBE
from stempilot_backends.column.probes import KNOBS, ProbeBatch

N = 5
FOCUS, STIGMATOR = KNOBS
QUIET = ColumnParameters(film=True, semi_angle_rad=30e-3, camera_length_index=15, action_noise=0.0)
DIFFERENT: dict[str, list[Any]] = {
    "stigmator_rotation_deg": [0.0, 70.0, 130.0, 250.0, 300.0],
    "stigmator_mirrored": [False, True, True, False, True],
    "stigmator_scale": [0.25, 1.0, 4.0, 0.5, 2.0],
    "stigmator_focus_x": [0.0, 0.05, -0.05, 0.02, 0.07],
    "stigmator_focus_y": [0.07, 0.0, 0.03, -0.06, 0.01],
    "defocus_scale": [1.0, 0.9, 1.1, 1.05, 0.95],
}
CONDITIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "lag": {"lag": 0.4},
    "play": {"defocus_backlash_m": 5e-9, "stigmator_backlash": 0.01},
    "all": {"lag": 0.2, "defocus_backlash_m": 5e-9, "stigmator_backlash": 0.01},
}


def batch_of(common: ColumnParameters, count: int, start_m: np.ndarray, **own: Any) -> ProbeBatch:
    batch = ProbeBatch(common, count, np.random.default_rng(0), exposure_s=0.17)
    drawn = {name: getattr(common, name) for name in (*DRAWN, *PROBE)} | own
    home = {FOCUS: np.full((1, 1), 10e-9), STIGMATOR: np.array([[0.01], [-0.02]])}
    batch.reset(drawn, home, start_m)
    return batch


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_probe_is_that_of_a_single_column_after_every_move(condition: str) -> None:
    common = evolve(QUIET, **CONDITIONS[condition])
    rng = np.random.default_rng(3)
    start = rng.uniform(-200e-9, 200e-9, (3, N))
    batch = batch_of(common, N, start, **{k: np.array(v) for k, v in DIFFERENT.items()})
    columns = []
    for row in range(N):
        single = Column(evolve(common, **{k: v[row] for k, v in DIFFERENT.items()}), seed(row))
        single.set(FOCUS, (10e-9,))
        single.set(STIGMATOR, (0.01, -0.02))
        single.reseed(seed(row))
        single.misfocus(float(start[0, row]), (float(start[1, row]), float(start[2, row])))
        columns.append(single)
    focus, stigmator = np.full((1, N), 10e-9), np.tile([[0.01], [-0.02]], N)
    for step in range(12):
        size = (1.0, 0.1, 0.0)[step % 3]
        focus = focus + size * rng.uniform(-50e-9, 50e-9, (1, N))
        stigmator = stigmator + size * rng.uniform(-0.1, 0.1, (2, N))
        batch.move(FOCUS, focus)
        batch.move(STIGMATOR, stigmator)
        batch.expose()
        assert np.array_equal(batch.command(FOCUS), focus)
        assert np.array_equal(batch.command(STIGMATOR), stigmator)
        found = batch.truth()
        for row, single in enumerate(columns):
            single.set(FOCUS, tuple(focus[:, row].tolist()))
            single.set(STIGMATOR, tuple(stigmator[:, row].tolist()))
            single.advance(single.parameters.cycle_s)
            expected = single.truth()
            for name, values in found.items():
                assert values[row] == pytest.approx(expected[name], rel=1e-9, abs=1e-15), name


def test_moves_leave_errors_of_their_size() -> None:
    count = 4000
    common = evolve(QUIET, stigmator_rotation_deg=0.0)
    batch = batch_of(common, count, np.zeros((3, count)), action_noise=0.05)
    batch.move(FOCUS, np.full((1, count), 110e-9))
    batch.move(STIGMATOR, np.tile([[0.11], [-0.02]], count))
    batch.expose()
    truth = batch.truth()
    assert truth["defocus_m"].std() == pytest.approx(5e-9, rel=0.05)
    assert truth["astigmatism_m"].std(axis=0) == pytest.approx([5e-9, 5e-9], rel=0.05)


def test_put_replaces_some_instruments() -> None:
    batch = batch_of(QUIET, 4, np.zeros((3, 4)))
    others = batch_of(QUIET, 2, np.full((3, 2), 50e-9), stigmator_scale=2.0)
    batch.put(np.array([3, 1]), others, np.array([0, 1]))
    assert batch.truth()["defocus_m"][:, 0].tolist() == [0.0, 50e-9, 0.0, 50e-9]
    gains = batch.truth()["aberration_response"].reshape(4, 3, 3)
    assert np.hypot(gains[:, 1, 1], gains[:, 2, 1]) == pytest.approx([1e-6, 2e-6, 1e-6, 2e-6])
