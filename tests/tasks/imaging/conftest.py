"""Frames drawn here, apart from the simulator, so that the locator is tested on its own."""

from collections.abc import Callable

import numpy as np
import pytest

FULL = (1040, 1040)
READ_NOISE_E, BACKGROUND_E, OFFSET_DN = 6.0, 1.0, 100.0


def disk(x, y, radius, shape=FULL, fine=7):
    """Return how much of each pixel a disk covers, by ``fine`` x ``fine`` points a pixel."""
    covered = np.zeros(shape)
    low_x, high_x = max(0, int(x - radius) - 2), min(shape[1], int(x + radius) + 3)
    low_y, high_y = max(0, int(y - radius) - 2), min(shape[0], int(y + radius) + 3)
    if low_x >= high_x or low_y >= high_y:
        return covered
    inside = (np.arange(fine) + 0.5) / fine - 0.5
    xs = (np.arange(low_x, high_x)[:, None] + inside).ravel()
    ys = (np.arange(low_y, high_y)[:, None] + inside).ravel()
    hit = (xs[None] - x) ** 2 + (ys[:, None] - y) ** 2 <= radius**2
    box = hit.reshape(high_y - low_y, fine, high_x - low_x, fine).mean((1, 3))
    covered[low_y:high_y, low_x:high_x] = box
    return covered


def exposed(electrons, rng):
    """Return a 16-bit frame of an image in electrons, with shot and read noise."""
    noisy = rng.poisson(electrons + BACKGROUND_E) + OFFSET_DN
    return np.clip(
        np.rint(noisy + READ_NOISE_E * rng.standard_normal(electrons.shape)), 0, 65535
    ).astype(np.uint16)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20221122)


@pytest.fixture
def empty(rng: np.random.Generator) -> Callable[[], np.ndarray]:
    return lambda: exposed(np.zeros(FULL), rng)
