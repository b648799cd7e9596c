"""Measuring a Ronchigram of 1040 x 1040, over Fourier transforms of that size.

One transform is a complex one in single precision, as drawing such a frame needs two of.
"""

import time
from statistics import median
from typing import Any

import numpy as np
from scipy import fft
from tests.tasks.imaging.shadow import PIXEL_RAD, SIDE, WAVELENGTH_M, ronchigram

from stempilot_tasks.imaging.ronchigram import read_ronchigram

ROUNDS = 15


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Return medians over alternating rounds, in ms, and how many transforms a frame costs."""
    rng = np.random.default_rng(0)
    places = [(-4.5e-7, 1e-7), (-2e-7, 8e-8), (1.5e-7, 0.0), (3e-7, -1e-7)]
    frames = [ronchigram(rng, c1, (a1, a1 / 3)) for c1, a1 in places]
    wave: Any = rng.normal(size=(SIDE, SIDE)).astype(np.complex64)
    read, transform = [], []
    for frame in frames:
        read_ronchigram(frame, PIXEL_RAD, WAVELENGTH_M)
    for _ in range(rounds):
        for frame in frames:
            started = time.perf_counter()
            read_ronchigram(frame, PIXEL_RAD, WAVELENGTH_M)
            read.append(time.perf_counter() - started)
            started = time.perf_counter()
            fft.fft2(wave)
            transform.append(time.perf_counter() - started)
    return {
        "transform [ms]": 1e3 * median(transform),
        "reading a Ronchigram [ms]": 1e3 * median(read),
        "reading / transform": median(read) / median(transform),
    }
