"""What is told of films without their frames: within limits, with errors of a known size."""

import numpy as np
import pytest

from stempilot_backends.column import ColumnParameters
from stempilot_backends.column.shadows import DARK_E, dose_e, read

N = 4000


def told(c1: float, a1: tuple[float, float], dose: float = 100.0) -> dict[str, np.ndarray]:
    true = np.tile([[c1], [a1[0]], [a1[1]]], N)
    return read(true, np.full(N, dose), np.random.default_rng(0).standard_normal((4, N)))


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_one_common_sign_is_lost(side: float) -> None:
    found = told(side * 200e-9, (side * 30e-9, side * -20e-9))
    assert found["c1_m"].mean() == pytest.approx(200e-9, abs=0.05e-9)
    assert found["a1_m"].mean(axis=0) == pytest.approx([30e-9, -20e-9], abs=0.05e-9)


def test_errors_grow_towards_focus_and_in_the_dark() -> None:
    def spread(c1: float, dose: float = 100.0) -> float:
        return float(np.nanstd(told(c1, (0.0, 0.0), dose)["c1_m"]))

    assert 0.2e-9 < spread(400e-9) < spread(200e-9) < spread(100e-9) < spread(60e-9) < 0.9e-9
    assert spread(100e-9, 20.0) > 1.2 * spread(100e-9, 300.0)


@pytest.mark.parametrize(
    ("c1", "a1", "share"),
    [
        (200e-9, 0.0, 1.0),
        (200e-9, 150e-9, 1.0),
        (200e-9, 170e-9, 0.0),
        (55e-9, 0.0, 0.5),
        (40e-9, 0.0, 0.0),
        (15e-9, 0.0, 0.0),
        (61e-9, 20e-9, 0.5),
        (100e-9, 65e-9, 1.0),
        (900e-9, 0.0, 0.0),
    ],
)
def test_near_focus_in_a_direction_and_far_away_nothing_is_told(
    c1: float, a1: float, share: float
) -> None:
    found = told(c1, (a1, 0.0))
    seen = ~np.isnan(found["c1_m"])
    assert seen.mean() == pytest.approx(share, abs=0.03)
    assert found["lit"].all()
    for name in ("a1_m", "uncertainty_m"):
        assert np.array_equal(~np.isnan(found[name]).any(axis=1), seen)


def test_in_the_dark_nothing_is_lit_nor_told() -> None:
    found = told(200e-9, (0.0, 0.0), 0.9 * DARK_E)
    assert not found["lit"].any()
    assert np.isnan(found["c1_m"]).all()


def test_the_uncertainty_is_not_smaller_than_the_errors_by_much() -> None:
    for c1 in (60e-9, 100e-9, 200e-9, 400e-9):
        found = told(c1, (10e-9, 0.0))
        assert np.nanstd(found["c1_m"]) < 1.5 * np.nanmean(found["uncertainty_m"][:, 0])
        assert np.nanstd(found["a1_m"][:, 0]) < np.nanmean(found["uncertainty_m"][:, 1])


def test_a_pixel_has_its_share_of_the_current() -> None:
    film = ColumnParameters(film=True, semi_angle_rad=30e-3, camera_length_index=15)
    found = dose_e(film, np.array([100e-12]), 0.17)
    assert found == pytest.approx([100e-12 * 0.17 / 1.602e-19 / (np.pi * 398.23**2)], rel=1e-3)
