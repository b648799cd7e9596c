"""Ronchigrams by the plain formula: slow, and independent of what the simulator draws."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

WAVELENGTH_M = 1.9687e-12
"""Of electrons at 300 kV."""
PIXEL_RAD = 0.565e-3 / 7.5
SIDE = 1040
# Doyle and Turner (1968): carbon, electrons, in angstrom; s is half the specimen frequency.
_A = (0.7307, 1.1951, 0.4563, 0.1247)
_B = (36.9951, 11.2966, 2.8139, 0.3456)
_RELATIVISTIC = 1.587
_ATOMS_PER_M2 = 1e29 * 5e-9


def film(
    rng: np.random.Generator, side: int, pixel_rad: float, *, source_m: float = 3e-11
) -> npt.NDArray[Any]:
    """Return the phase of 5 nm of amorphous carbon, (side, side) in rad, periodic."""
    period = WAVELENGTH_M / pixel_rad
    g = np.fft.fftfreq(side, period / side)
    g2 = g[:, None] ** 2 + g[None, :] ** 2
    s2 = g2 * 1e-20 / 4
    f = sum(a * np.exp(-b * s2) for a, b in zip(_A, _B, strict=True)) * 1e-10
    cell = (period / side) ** 2
    atoms = rng.poisson(_ATOMS_PER_M2 * cell, (side, side)) / cell
    damped = f * np.exp(-2 * math.pi**2 * source_m**2 * g2)
    phase = np.fft.ifft2(np.fft.fft2(atoms) * damped).real * WAVELENGTH_M * _RELATIVISTIC
    return np.asarray(phase - phase.mean())


def ronchigram(
    rng: np.random.Generator,
    c1: float,
    a1: tuple[float, float] = (0.0, 0.0),
    *,
    b2: complex = 0j,
    a2: complex = 0j,
    c3: float = 0.0,
    side: int = SIDE,
    pixel_rad: float = PIXEL_RAD,
    aperture_rad: float = 0.03,
    electrons: float = 3e7,
    centre: tuple[float, float] = (0.0, 0.0),
    has_film: bool = True,
) -> npt.NDArray[np.uint16]:
    """Return a frame, (side, side); ``centre`` is (x, y) of the disk in px from the frame's."""
    axis = (np.arange(side) - (side - 1) / 2) * pixel_rad
    x, y = axis[None, :] - centre[0] * pixel_rad, axis[:, None] - centre[1] * pixel_rad
    w = x + 1j * y
    chi = 0.5 * abs(w) ** 2 * c1 + 0.5 * np.conj(w) ** 2 * complex(*a1)
    chi = chi + abs(w) ** 2 * w * np.conj(b2) + np.conj(w) ** 3 * a2 / 3 + abs(w) ** 4 * c3 / 4
    chi = 2 * math.pi / WAVELENGTH_M * np.real(chi)
    edge = np.clip((aperture_rad - abs(w)) / pixel_rad + 0.5, 0, 1)
    probe = np.fft.ifft2(np.fft.ifftshift(edge * np.exp(-1j * chi)))
    phase = film(rng, side, pixel_rad) if has_film else 0.0
    seen = np.abs(np.fft.fftshift(np.fft.fft2(probe * np.exp(1j * phase)))) ** 2
    counts = rng.poisson(seen / seen.sum() * electrons) * 10 + rng.normal(100, 5, seen.shape)
    return np.clip(np.round(counts), 0, 65535).astype(np.uint16)
