"""The distribution of a pixel and its table, against an independent calculation."""

import math

import numpy as np
import pytest
from scipy import stats

from stempilot_backends.column.frame.level import distribution, level_table
from stempilot_backends.column.frame.scene import Electronics, LevelTable

PUBLISHED = Electronics(1.0, 6.0, 100.0)
CASES = [
    (1.0, PUBLISHED),
    (0.0, PUBLISHED),
    (3700.0, PUBLISHED),
    (64_800.0, PUBLISHED),
    (100_000.0, Electronics(0.1, 6.0, 100.0)),
    (37.5, Electronics(0.37, 2.0, 12.3)),
    (1.0, Electronics(2.7, 0.6, 3.0)),
    (2.0, Electronics(1.0, 0.0, 100.0)),
    (5.0, Electronics(3.0, 0.0, 0.0)),
    (0.5, Electronics(1.0, 6.0, 0.0)),
    (2e9, Electronics(1e-5, 6.0, 100.0)),
]


def dense(mean_e: float, electronics: Electronics) -> np.ndarray:
    """Return the probabilities of all 65,536 digital numbers."""
    first, probabilities = distribution(mean_e, electronics)
    result = np.zeros(65_536)
    result[first : first + len(probabilities)] = probabilities
    return result


def expected(mean_e: float, electronics: Electronics) -> np.ndarray:
    """Return the same by summing normal probabilities over electrons."""
    gain, read, offset = electronics
    spread = gain * math.sqrt(mean_e + read**2)
    centre = gain * mean_e + offset
    low = max(0, math.floor(centre - 12 * spread - 20 * gain))
    high = min(65_535, math.ceil(centre + 12 * spread + 30 * gain))
    bounds = np.arange(low, high) + 0.5
    cdf = np.zeros(len(bounds))
    if mean_e > 1e9:
        cdf = stats.norm.cdf((bounds - centre) / spread)
    else:
        reach = 10 * math.sqrt(mean_e)
        electrons = np.arange(max(0, math.floor(mean_e - reach)), math.ceil(mean_e + reach) + 40)
        for k, weight in zip(electrons, stats.poisson.pmf(electrons, mean_e), strict=True):
            distance = (bounds - offset) / gain - k
            cdf += weight * (stats.norm.cdf(distance / read) if read > 0 else distance > 0)
    result = np.zeros(65_536)
    result[low : high + 1] = np.diff(np.concatenate([[0.0], cdf, [1.0]]))
    return result


@pytest.mark.parametrize(("mean_e", "electronics"), CASES)
def test_distribution_is_the_sum_over_electrons(mean_e: float, electronics: Electronics) -> None:
    found, right = dense(mean_e, electronics), expected(mean_e, electronics)
    # The logarithm of a large factorial costs the independent sum some digits.
    assert np.abs(found - right).max() < 1e-9
    likely = right > 1e-9
    assert found[likely] == pytest.approx(right[likely], rel=1e-4)


@pytest.mark.parametrize("mean_e", [1.0, 3700.0])
def test_mean_and_variance_are_those_of_the_camera(mean_e: float) -> None:
    probabilities = dense(mean_e, PUBLISHED)
    values = np.arange(65_536)
    mean = float(probabilities @ values)
    variance = float(probabilities @ (values - mean) ** 2)
    assert mean == pytest.approx(100 + mean_e, abs=1e-9)
    # Poisson, read noise and rounding: about 37 for the published background.
    assert variance == pytest.approx(mean_e + 36 + 1 / 12, rel=1e-9)


@pytest.mark.parametrize("mean_e", [4e5, 1e12, 1e30])
def test_a_strong_signal_saturates(mean_e: float) -> None:
    first, probabilities = distribution(mean_e, PUBLISHED)
    assert (first, probabilities.tolist()) == (65_535, [1.0])


def test_half_the_pixels_saturate_at_the_limit() -> None:
    assert dense(65_435.0, PUBLISHED)[65_535] == pytest.approx(0.5, abs=0.01)


def test_clipping_piles_up_at_zero() -> None:
    found = dense(0.0, Electronics(1.0, 6.0, 0.0))
    assert found[0] == pytest.approx(stats.norm.cdf(0.5 / 6))


def composed(table: LevelTable) -> np.ndarray:
    """Return the distribution that a table and its remainder draw from together."""
    counts = np.bincount(table.cells, minlength=65_536)
    result = (1 - table.rest) * counts / len(table.cells)
    last = table.first_dn + len(table.rest_cdf)
    result[table.first_dn : last] += table.rest * np.diff(table.rest_cdf, prepend=0.0)
    return result


@pytest.mark.parametrize(("mean_e", "electronics"), CASES)
def test_table_and_remainder_are_exactly_the_distribution(
    mean_e: float, electronics: Electronics
) -> None:
    table = level_table(mean_e, electronics)
    assert np.abs(composed(table) - dense(mean_e, electronics)).max() < 1e-13
    assert math.log2(len(table.cells)).is_integer()


def test_the_table_of_the_background_leaves_little_over() -> None:
    table = level_table(1.0, PUBLISHED)
    assert table.rest < 0.002
    assert table.cells.nbytes <= 32_768


def test_tables_are_kept_and_cannot_be_spoilt() -> None:
    table = level_table(1.0, PUBLISHED)
    assert level_table(1.0, Electronics(1.0, 6.0, 100.0)) is table
    with pytest.raises(ValueError, match="read-only"):
        table.cells[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        table.rest_cdf[0] = 0.0
