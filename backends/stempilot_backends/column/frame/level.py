"""Pixels of one mean level: their exact distribution, and the tables to draw from it quickly.

A pixel of mean m electrons reads floor(gain (Poisson(m) + Normal(0, read noise)) + offset + 1/2),
clipped to 16 bits.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stempilot import compiled
from stempilot_backends.column.frame.kernels import NORMAL_ABOVE_E, SATURATION_DN
from stempilot_backends.column.frame.scene import Electronics, LevelTable

_TAIL_SIGMAS = 8.5
_NARROW_VALUES = 256
_NARROW_BITS = 14
_WIDE_BITS = 16
_GUIDE_SIZE = 2048
_APPORTION_STEPS = 40
_SAME_FRACTION = 1e-9


def distribution(mean_e: float, electronics: Electronics) -> tuple[int, NDArray[np.float64]]:
    """Return the first digital number and the probabilities of it and its successors.

    Values beyond 8.5 standard deviations are left out; clipping piles up at either end.

    Args:
        mean_e: Mean electrons of the pixel in the exposure.
        electronics: How they are read.
    """
    start_e, weights, sigma_e = _electrons(mean_e, electronics.read_noise_e)
    reach = _TAIL_SIGMAS * sigma_e
    lowest = _digitised(start_e - reach, electronics)
    highest = _digitised(start_e + len(weights) - 1 + reach, electronics)
    bounds_dn = np.arange(lowest, highest, dtype=np.float64) + 0.5
    limits_e = (bounds_dn - electronics.offset_dn) / electronics.gain_dn_per_electron - start_e
    cdf = np.append(_cdf(limits_e, weights, sigma_e), 1.0)
    probabilities: NDArray[np.float64] = np.diff(cdf, prepend=0.0).clip(0.0)
    return lowest, probabilities / probabilities.sum()


@lru_cache(maxsize=64)
def level_table(mean_e: float, electronics: Electronics) -> LevelTable:
    """Return the table of a level, kept for the levels used last; its arrays are read-only."""
    first_dn, probabilities = distribution(mean_e, electronics)
    if len(probabilities) == 1:
        size = 1
    else:
        size = 1 << (_NARROW_BITS if len(probabilities) <= _NARROW_VALUES else _WIDE_BITS)
    counts = _apportion(probabilities, size)
    cells = np.repeat(first_dn + np.arange(len(counts)), counts).astype(np.uint16)
    used = counts > 0
    share = min(float(np.min(probabilities[used] * size / counts[used])), 1.0)
    remainder = np.maximum(probabilities - share * counts / size, 0.0)
    rest_cdf = np.cumsum(remainder) / max(float(remainder.sum()), np.finfo(float).tiny)
    rest_cdf[-1] = 1.0
    starts = np.arange(_GUIDE_SIZE) / _GUIDE_SIZE
    rest_guide = np.searchsorted(rest_cdf, starts, side="right").astype(np.uint16)
    for array in (cells, rest_cdf, rest_guide):
        array.setflags(write=False)
    return LevelTable(electronics, cells, 1.0 - share, rest_cdf, rest_guide, first_dn)


def _digitised(electrons: float, electronics: Electronics) -> int:
    gain, _, offset = electronics
    return min(max(math.floor(gain * electrons + offset + 0.5), 0), SATURATION_DN)


def _electrons(mean_e: float, read_noise_e: float) -> tuple[float, NDArray[np.float64], float]:
    """Return the first electron number, the Poisson weights from there on, the normal's sigma."""
    if mean_e > NORMAL_ABOVE_E:
        return mean_e, np.ones(1), math.sqrt(mean_e + read_noise_e**2)
    reach = _TAIL_SIGMAS * math.sqrt(mean_e)
    first = max(0, math.floor(mean_e - reach))
    # The upper tail of a small mean is much longer than a normal one.
    weights = _poisson(mean_e, first, math.ceil(mean_e + reach) + 25)
    return float(first), weights, read_noise_e


@compiled
def _poisson(mean_e: float, first: int, last: int) -> NDArray[np.float64]:
    """Poisson probabilities of first..last, by recurrence away from the mode."""
    weights = np.zeros(last - first + 1)
    mode = int(mean_e)
    weights[mode - first] = 1.0
    for k in range(mode + 1, last + 1):
        weights[k - first] = weights[k - 1 - first] * mean_e / k
    for k in range(mode - 1, first - 1, -1):
        weights[k - first] = weights[k + 1 - first] * (k + 1) / mean_e
    total: float = weights.sum()
    return weights / total


@compiled
def _cdf(
    limits_e: NDArray[np.float64], weights: NDArray[np.float64], sigma_e: float
) -> NDArray[np.float64]:
    """Probability that k + Normal(0, sigma_e), k by its weight, is below each limit."""
    result = np.empty(limits_e.size)
    if weights.size == 1:
        for i in range(limits_e.size):
            result[i] = _normal_below(limits_e[i], sigma_e)
        return result
    reach = math.ceil(_TAIL_SIGMAS * sigma_e)
    below = np.empty(2 * reach + 1)
    held = -1.0
    sure = 0.0
    first = 0
    for i in range(limits_e.size):
        limit = limits_e[i]
        base = math.floor(limit)
        fraction = limit - base
        # Unless the gain is odd, all limits share one fraction, and the normal is evaluated once.
        if abs(fraction - held) > _SAME_FRACTION:
            for j in range(below.size):
                below[j] = _normal_below(fraction - (j - reach), sigma_e)
            held = fraction
        while first < min(base - reach, weights.size):
            sure += weights[first]
            first += 1
        total = sure
        for k in range(max(base - reach, 0), min(base + reach + 1, weights.size)):
            total += weights[k] * below[k - base + reach]
        result[i] = total
    return result


@compiled
def _normal_below(limit: float, sigma: float) -> float:
    """Probability that Normal(0, sigma) is below limit."""
    if sigma > 0.0:
        return 0.5 * math.erfc(-limit / (sigma * math.sqrt(2.0)))
    return 1.0 if limit > 0.0 else 0.0


def _apportion(probabilities: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Deal ``size`` cells so that the worst served value is served best (d'Hondt's method)."""
    shares = probabilities * size
    enough, too_many = 1.0, 1.0 + len(shares) / size
    for _ in range(_APPORTION_STEPS):
        middle = 0.5 * (enough + too_many)
        if np.floor(shares * middle).sum() <= size:
            enough = middle
        else:
            too_many = middle
    counts = np.floor(shares * enough).astype(np.int64)
    # Values that claim the next cell at the very same scale are left; any order will do.
    tied = np.argsort(-shares / (counts + 1), kind="stable")[: size - int(counts.sum())]
    counts[tied] += 1
    return counts
