"""The rings in a power spectrum: where they may be, and how well they fit.

Compiled functions over one half of a spectrum. With u = q^2 and the direction of q, the phase of
the rings is ``2 pi lambda u (a + b cos 2phi + c sin 2phi)``, where the shape (a, b, c) stands for
the inverse of the matrix ``[[C1 + A1x, A1y], [A1y, C1 - A1x]]``, in 1/m.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FREE: Final = 8
"""Numbers of a fit: the shape, three of the film, log noise, and logit of the rings' depth."""

UNIT_PER_M: Final = 5e9
"""Film frequencies count in this: about where a film's features fade."""


@compiled
def binned(pixels: npt.NDArray[Any], block: int) -> npt.NDArray[np.float32]:
    """Return the sums of blocks of pixels; what is left over at the right and below is dropped."""
    rows, cols = pixels.shape[0] // block, pixels.shape[1] // block
    out = np.zeros((rows, cols), np.float32)
    for i in range(rows * block):
        for j in range(cols * block):
            out[i // block, j // block] += np.float32(pixels[i, j])
    return out


@compiled
def summed(
    values: FloatArray, sector: IntArray, place: IntArray, sectors: int, places: int
) -> FloatArray:
    """Return the sums of values, (sectors, places)."""
    out = np.zeros((sectors, places))
    for i in range(len(values)):
        out[sector[i], place[i]] += values[i]
    return out


@compiled
def scored(
    table: npt.NDArray[np.float32], step: float, ratios: FloatArray, most: float, margin: int
) -> npt.NDArray[np.float32]:
    """Return how well shapes explain a table, (ratios, ratios, sizes); -1e30 for those left out.

    Args:
        table: (sectors, n + 2 margin) evidence for rings of the frequencies exp(step * column).
        step: between the logarithms of frequencies.
        ratios: b / a and c / a.
        most: largest root of the sum of their squares.
        margin: columns on both sides that are of no size a.
    """
    sectors = len(table)
    sizes = table.shape[1] - 2 * margin
    out = np.full((len(ratios), len(ratios), sizes), np.float32(-1e30))
    for j in range(len(ratios)):
        for k in range(len(ratios)):
            if ratios[j] ** 2 + ratios[k] ** 2 > most**2:
                continue
            line = np.zeros(sizes, np.float32)
            for s in range(sectors):
                phi = 2 * (s + 0.5) * math.pi / sectors
                share = 1 + ratios[j] * math.cos(phi) + ratios[k] * math.sin(phi)
                first = margin + round(math.log(share) / step)
                for i in range(sizes):
                    line[i] += table[s, first + i]
            out[j, k] = line
    return out


@compiled
def fit_terms(
    power: FloatArray,
    qx: FloatArray,
    qy: FloatArray,
    numbers: FloatArray,
    wavelength: float,
    width: float,
) -> tuple[float, FloatArray, FloatArray]:
    """Return the Whittle log likelihood of a fit, its Fisher matrix and its gradient.

    Args:
        power: (n,) power spectrum.
        qx: (n,) angular frequency along columns.
        qy: (n,) along rows.
        numbers: (FREE,) of the fit.
        wavelength: of the electrons.
        width: RMS width of the window's transform, by which rings are blurred.
    """
    fisher, gradient = np.zeros((FREE, FREE)), np.zeros(FREE)
    row = np.zeros(FREE)
    likelihood = 0.0
    a, b, c = numbers[0], numbers[1], numbers[2]
    strength, slope, bend = numbers[3], numbers[4], numbers[5]
    noise, depth = math.exp(numbers[6]), 1 / (1 + math.exp(-numbers[7]))
    turn = 2 * math.pi * wavelength
    for i in range(len(power)):
        x, y = qx[i], qy[i]
        even, odd, cross = x * x + y * y, x * x - y * y, 2 * x * y
        gx, gy = (a + b) * x + c * y, c * x + (a - b) * y
        square = (gx * gx + gy * gy) / UNIT_PER_M**2
        g = math.sqrt(square)
        film = math.exp(strength + slope * g + bend * square)
        rings = depth * math.exp(-2 * (turn * width * UNIT_PER_M) ** 2 * square)
        phase = turn * (a * even + b * odd + c * cross)
        shown = film * (1 - rings * math.cos(phase))
        expected = shown + noise
        likelihood -= math.log(expected) + power[i] / expected
        turned = turn * film * rings * math.sin(phase) / expected
        share = shown / expected
        fading = share * (slope / max(2 * g, 1e-9) + bend) * 2 / UNIT_PER_M**2
        row[0] = turned * even + fading * (gx * x + gy * y)
        row[1] = turned * odd + fading * (gx * x - gy * y)
        row[2] = turned * cross + fading * (gx * y + gy * x)
        row[3], row[4], row[5] = share, share * g, share * square
        row[6] = noise / expected
        row[7] = -film * rings * (1 - depth) * math.cos(phase) / expected
        missed = power[i] / expected - 1
        for m in range(FREE):
            gradient[m] += row[m] * missed
            for n in range(m + 1):
                fisher[m, n] += row[m] * row[n]
    for m in range(FREE):
        for n in range(m):
            fisher[n, m] = fisher[m, n]
    return likelihood, fisher, gradient


@compiled
def gains(
    power: FloatArray,
    qx: FloatArray,
    qy: FloatArray,
    numbers: FloatArray,
    wavelength: float,
    width: float,
    sectors: int,
) -> FloatArray:
    """Return how well a fit does by direction, (2, sectors).

    First by how much rings raise the log likelihood over the same without them, then the mean of
    the power over what is expected.
    """
    out, count = np.zeros((2, sectors)), np.zeros(sectors)
    a, b, c = numbers[0], numbers[1], numbers[2]
    strength, slope, bend = numbers[3], numbers[4], numbers[5]
    noise, depth = math.exp(numbers[6]), 1 / (1 + math.exp(-numbers[7]))
    turn = 2 * math.pi * wavelength
    for i in range(len(power)):
        x, y = qx[i], qy[i]
        gx, gy = (a + b) * x + c * y, c * x + (a - b) * y
        square = (gx * gx + gy * gy) / UNIT_PER_M**2
        film = math.exp(strength + slope * math.sqrt(square) + bend * square)
        rings = depth * math.exp(-2 * (turn * width * UNIT_PER_M) ** 2 * square)
        phase = turn * (a * (x * x + y * y) + b * (x * x - y * y) + c * 2 * x * y)
        plain, ringed = film + noise, film * (1 - rings * math.cos(phase)) + noise
        gain = math.log(plain / ringed) + power[i] / plain - power[i] / ringed
        place = int((math.atan2(y, x) / math.pi % 1.0) * sectors) % sectors
        out[0, place] += gain
        out[1, place] += power[i] / ringed
        count[place] += 1
    out[1] /= np.maximum(count, 1)
    return out
