"""Finding rings in a power spectrum, and fitting them: see `ronchigram`.

A table over directions and ring frequencies tells where rings may be; a Whittle likelihood refines
the best places, in which strength and cut-off of the film, the noise and the depth of the rings
are free. Angular frequencies are in cycles per radian.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from scipy import fft

from stempilot_tasks.imaging.rings import UNIT_PER_M, fit_terms, scored, summed

FloatArray = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

LARGEST_RATIO: Final = 0.8
"""Largest share of A1 in C1 that is told; above, one direction is as good as in focus."""

NEAREST_M, FARTHEST_M = 2.5e-8, 8e-7
"""Range of C1 that is searched."""

_SECTORS: Final = 36
"""Directions of the table."""

_WHITE: Final = 1.35
"""A spectrum is made white over frequencies from 1 / 1.35 to 1.35 times one."""

_SHOWS: Final = 0.05
"""Share of the film in the power from which on a part of the spectrum is fitted."""

_STEP, _MARGIN = 0.0125, 140
"""Between the logarithms of sizes in the table; columns for directions of other frequencies."""

_SIZES: FloatArray = np.exp(np.arange(-math.log(FARTHEST_M), -math.log(NEAREST_M), _STEP))
_RATIOS: FloatArray = np.linspace(-LARGEST_RATIO, LARGEST_RATIO, 33)
_APART = (3, 3, 6)
"""Places of the table, along each axis, within which there is one maximum."""

_TRIES, _ITERATIONS, _SMALL_GAIN = 3, 30, 0.03
"""Maxima that are refined, and when that ends."""

_RIVAL, _NO_SCORE = 0.7, -1e30
"""Share of the best maximum from which on another is refined; a score that counts for none."""

_LOWEST, _HIGHEST = (
    np.array([-60.0, -60.0, -60.0, -60.0, -4.0]),
    np.array([60.0, 60.0, 0.5, 60.0, 6.0]),
)
"""Bounds of the numbers of a fit after the shape."""

_ENOUGH, _CLEAR = 10, 0.3
"""Numbers of the spectrum, and power over that of the noise, with which a ring of it counts."""


@frozen(kw_only=True, eq=False)
class Spectrum:
    """Half of a power spectrum as (n,) arrays.

    Attributes:
        power: in units of the power of white noise of variance 1.
        qx: cycles per radian along columns.
        qy: along rows.
        step: between neighbours, in cycles per radian.
        noise: power without features.
        width: RMS width of the window's transform, in cycles per radian.
        independent: share of the numbers that are independent of each other.
        wavelength: of the electrons.
    """

    power: FloatArray
    qx: FloatArray
    qy: FloatArray
    step: float
    noise: float
    width: float
    independent: float
    wavelength: float


class Fit(NamedTuple):
    """A fit: its log likelihood, its numbers (see `rings.fit_terms`), and its Fisher matrix."""

    likelihood: float
    numbers: FloatArray
    fisher: FloatArray


def fitted(spectrum: Spectrum) -> tuple[Spectrum, Fit] | None:
    """Return the part of a spectrum in which the film shows, and its most likely fit, if any."""
    table, shows = _table(spectrum)
    part = evolve(
        spectrum, power=spectrum.power[shows], qx=spectrum.qx[shows], qy=spectrum.qy[shows]
    )
    fits = [_refined(part, start) for start in _starts(table)]
    return (part, max(fits, key=lambda fit: fit.likelihood)) if fits else None


def _starts(table: Table) -> list[FloatArray]:
    """Return the shapes that explain a table best, the best one first."""
    scores = scored(table, _STEP, _RATIOS, LARGEST_RATIO, _MARGIN)
    found: list[FloatArray] = []
    best = float(scores.max())
    for _ in range(_TRIES):
        place = np.unravel_index(int(scores.argmax()), scores.shape)
        if scores[place] < max(_RIVAL * best, _NO_SCORE):
            break
        j, k, i = (int(index) for index in place)
        found.append(_SIZES[i] * np.array([1.0, _RATIOS[j], _RATIOS[k]]))
        near = tuple(
            slice(max(index - by, 0), index + by + 1)
            for index, by in zip((j, k, i), _APART, strict=True)
        )
        scores[near] = _NO_SCORE
    return found


def _table(spectrum: Spectrum) -> tuple[Table, npt.NDArray[np.bool_]]:
    """Return the evidence for rings by direction and frequency, and where the film shows at all."""
    q = np.hypot(spectrum.qx, spectrum.qy)
    direction = np.arctan2(spectrum.qy, spectrum.qx) / np.pi % 1
    sector = np.minimum((direction * _SECTORS).astype(np.int64), _SECTORS - 1)
    ring = (q / spectrum.step).astype(np.int64)
    count = int(ring.max()) + 1
    power, number = (
        _smoothed(summed(values, sector, ring, _SECTORS, count))
        for values in (spectrum.power, np.ones_like(q))
    )
    mean = power / np.maximum(number, 1e-9)
    seen = np.maximum(mean - spectrum.noise, 0) / np.maximum(mean, 1e-30)
    share = seen[sector, ring]
    white = (spectrum.power / np.maximum(mean, 1e-30)[sector, ring] - 1) * share
    width = NEAREST_M / (4 * spectrum.wavelength)
    place = (q**2 / width).astype(np.int64)
    long = fft.next_fast_len(4 * (int(place.max()) + 1), real=True)
    lined = summed(white, sector, place, _SECTORS, long)
    turns = np.exp(-1j * np.pi * np.arange(long // 2 + 1) / long)
    evidence = -(fft.rfft(lined.astype(np.float32), axis=1) * turns).real
    step = 1 / (spectrum.wavelength * long * width)
    logs = math.log(_SIZES[0]) + _STEP * np.arange(-_MARGIN, len(_SIZES) + _MARGIN)
    where = np.exp(logs) / step
    low = np.minimum(where.astype(np.int64), evidence.shape[1] - 2)
    part = np.minimum(where - low, 1.0)
    table = evidence[:, low] * (1 - part) + evidence[:, low + 1] * part
    table[:, where > evidence.shape[1] - 1] = 0.0
    return table.astype(np.float32), share > _SHOWS


def _smoothed(sums: FloatArray) -> FloatArray:
    """Return sums over three sectors and a range of rings about each."""
    wide = sums + np.roll(sums, 1, axis=0) + np.roll(sums, -1, axis=0)
    running = np.pad(np.cumsum(wide, axis=1), ((0, 0), (1, 0)))
    ring = np.arange(sums.shape[1])
    low = (ring / _WHITE).astype(np.int64)
    high = np.minimum((ring * _WHITE).astype(np.int64) + 2, len(ring))
    smooth: FloatArray = running[:, high] - running[:, low]
    return smooth


def _refined(spectrum: Spectrum, shape: FloatArray) -> Fit:
    """Return the most likely fit from a shape on (Levenberg and Marquardt, Fisher scoring)."""
    parts = spectrum.power, spectrum.qx, spectrum.qy

    def at(numbers: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        found: tuple[float, FloatArray, FloatArray] = fit_terms(
            *parts, numbers, spectrum.wavelength, spectrum.width
        )
        return found

    numbers = np.concatenate([shape, _film(spectrum, shape), [math.log(spectrum.noise), 2.0]])
    likelihood, fisher, gradient = at(numbers)
    damping = 1e-3
    for _ in range(_ITERATIONS):
        damped = fisher + np.diag(damping * np.diag(fisher) + 1e-12 * fisher.max(axis=1) + 1e-300)
        tried = numbers + np.linalg.solve(damped, gradient)
        tried[3:] = np.clip(tried[3:], _LOWEST, _HIGHEST)
        after = at(tried)
        gained = after[0] - likelihood
        if gained > 0:
            numbers, (likelihood, fisher, gradient) = tried, after
            damping = max(damping / 10, 1e-7)
            if gained * spectrum.independent < _SMALL_GAIN:
                break
        else:
            damping *= 10
            if damping > 1e3:  # noqa: PLR2004  no step is small enough
                break
    return Fit(likelihood, numbers, fisher)


def _film(spectrum: Spectrum, shape: FloatArray) -> FloatArray:
    """Return strength, slope and bend of the film's log power, from means over rings of it."""
    a, b, c = shape
    gx, gy = (a + b) * spectrum.qx + c * spectrum.qy, c * spectrum.qx + (a - b) * spectrum.qy
    g = np.hypot(gx, gy) / UNIT_PER_M
    ring = np.minimum((g * 10).astype(np.int64), 19)
    number = np.bincount(ring, minlength=20)[:20]
    power = np.bincount(ring, spectrum.power, minlength=20)[:20]
    means = power / np.maximum(number, 1) - spectrum.noise
    good = (number > _ENOUGH) & (means > _CLEAR * spectrum.noise)
    good[-1] = False
    if good.sum() <= 3:  # noqa: PLR2004  a parabola needs three
        return np.array([math.log(max(float(means.max()), 1e-9 + spectrum.noise)), -1.0, -1.0])
    middle = (np.flatnonzero(good) + 0.5) / 10
    bend, slope, strength = np.polyfit(middle, np.log(means[good]), 2, w=np.sqrt(number[good]))
    return np.array([strength, slope, min(bend, 0.0)])
