"""Drawn pixels follow the analytic distribution and are independent."""

import numpy as np
import pytest
from scipy import stats

from stempilot_backends.column.frame.kernels import draw, fill
from stempilot_backends.column.frame.level import distribution, level_table
from stempilot_backends.column.frame.scene import Electronics

PUBLISHED = Electronics(1.0, 6.0, 100.0)
LEVELS = [
    (1.0, PUBLISHED),
    (3700.0, PUBLISHED),
    (65_400.0, PUBLISHED),
    (37.5, Electronics(0.37, 2.0, 12.3)),
    (3.0, Electronics(10.0, 0.5, 2.0)),
    (400_000.0, Electronics(0.1, 6.0, 100.0)),
    (0.2, Electronics(1.0, 0.0, 0.0)),
    (2e9, Electronics(2e-5, 6.0, 100.0)),
]


def filled(count: int, mean_e: float, electronics: Electronics, seed: int = 0) -> np.ndarray:
    """Return ``count`` pixels drawn from the table of a level."""
    pixels = np.full(count, 12_345, np.uint16)
    rng = np.random.default_rng(seed)
    counter = rng.integers(0, 2**64, size=1, dtype=np.uint64)
    fill(pixels, level_table(mean_e, electronics), counter, rng)
    return pixels


def p_value(pixels: np.ndarray, mean_e: float, electronics: Electronics) -> float:
    """Return the chi-square p-value, bins pooled from the left to at least 20 expected counts."""
    first, probabilities = distribution(mean_e, electronics)
    observed = np.bincount(pixels, minlength=65_536)
    inside = observed[first : first + len(probabilities)]
    assert inside.sum() == len(pixels)
    wanted = probabilities * len(pixels)
    groups = np.floor(np.cumsum(wanted) / 20.0).astype(int)
    _, starts = np.unique(groups, return_index=True)
    wanted, inside = np.add.reduceat(wanted, starts), np.add.reduceat(inside, starts)
    if len(wanted) > 1:
        # The last group may hold less than 20.
        wanted = np.append(wanted[:-2], wanted[-2:].sum())
        inside = np.append(inside[:-2], inside[-2:].sum())
    if len(wanted) == 1:
        return 1.0
    return float(stats.chi2.sf(((inside - wanted) ** 2 / wanted).sum(), len(wanted) - 1))


@pytest.mark.parametrize(("mean_e", "electronics"), LEVELS)
def test_filled_pixels_follow_the_distribution(mean_e: float, electronics: Electronics) -> None:
    pixels = filled(4_000_003, mean_e, electronics)
    assert p_value(pixels, mean_e, electronics) > 1e-4


@pytest.mark.parametrize(("mean_e", "electronics"), LEVELS)
def test_single_pixels_follow_the_distribution(mean_e: float, electronics: Electronics) -> None:
    rng = np.random.default_rng(1)
    pixels = np.array([draw(mean_e, electronics, rng) for _ in range(20_000)], np.uint16)
    assert p_value(pixels, mean_e, electronics) > 1e-4


def test_the_chi_square_would_notice_a_missing_remainder() -> None:
    cells = level_table(1.0, PUBLISHED).cells
    pixels = cells[np.random.default_rng(0).integers(0, len(cells), 4_000_000)]
    assert p_value(pixels, 1.0, PUBLISHED) < 1e-9


def test_the_remainder_matters_and_is_drawn() -> None:
    """Drawn from the cells alone, the far tails would be missing."""
    table = level_table(1.0, PUBLISHED)
    pixels = filled(20_000_000, 1.0, PUBLISHED)
    assert pixels.max() > table.cells.max()
    assert pixels.min() < table.cells.min()


def test_mean_and_variance_of_the_background() -> None:
    pixels = filled(16_000_000, 1.0, PUBLISHED).astype(float)
    variance = 1 + 36 + 1 / 12
    assert pixels.mean() == pytest.approx(101, abs=4 * np.sqrt(variance / pixels.size))
    assert pixels.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / pixels.size))


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 260, 1040, 4160])
def test_pixels_are_uncorrelated_with_their_neighbours(lag: int) -> None:
    pixels = filled(4_000_000, 1.0, PUBLISHED, seed=lag).astype(float)
    pixels = (pixels - pixels.mean()) / pixels.std()
    correlation = np.mean(pixels[lag:] * pixels[:-lag])
    assert abs(correlation) < 4 / np.sqrt(pixels.size - lag)
    # The sizes of the deviations are unrelated, too.
    sizes = pixels**2 - 1
    assert abs(np.mean(sizes[lag:] * sizes[:-lag])) / np.mean(sizes**2) < 4 / 2000


def test_neighbours_are_jointly_independent() -> None:
    pixels = filled(4_000_000, 1.0, PUBLISHED).astype(int)
    left, right = np.clip(pixels[0::2], 85, 117) - 85, np.clip(pixels[1::2], 85, 117) - 85
    table = np.bincount(33 * left + right, minlength=33 * 33).reshape(33, 33)
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_successive_fills_are_unrelated() -> None:
    rng = np.random.default_rng(5)
    counter = rng.integers(0, 2**64, size=1, dtype=np.uint64)
    table = level_table(1.0, PUBLISHED)
    frames = np.empty((2, 2_000_000), np.uint16)
    for frame in frames:
        fill(frame, table, counter, rng)
    assert abs(stats.pearsonr(frames[0], frames[1]).statistic) < 4 / np.sqrt(2_000_000)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 1039, 1040, 1041, 2081])
def test_every_pixel_of_any_number_is_drawn(count: int) -> None:
    pixels = filled(count, 1.0, PUBLISHED)
    assert len(pixels) == count
    assert np.all((pixels > 50) & (pixels < 160))


def test_the_same_seed_gives_the_same_pixels() -> None:
    first = filled(100_000, 1.0, PUBLISHED, seed=7)
    assert np.array_equal(first, filled(100_000, 1.0, PUBLISHED, seed=7))
    assert not np.array_equal(first, filled(100_000, 1.0, PUBLISHED, seed=8))


def test_a_saturated_level_is_flat() -> None:
    assert np.all(filled(1000, 4e5, PUBLISHED) == 65_535)


@pytest.mark.parametrize("mean_e", [4e5, 1e12, 1e300])
def test_a_single_strong_pixel_saturates(mean_e: float) -> None:
    assert draw(mean_e, PUBLISHED, np.random.default_rng(0)) == 65_535


def test_a_single_pixel_clips_at_zero() -> None:
    rng = np.random.default_rng(0)
    electronics = Electronics(1.0, 100.0, 0.0)
    values = [int(draw(0.0, electronics, rng)) for _ in range(200)]
    assert min(values) == 0
    assert max(values) < 500
