"""Images of bright particles under a probe that is out of focus; knows nothing of stempilot."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIDE_PX = 128
PIXEL_M = 0.5e-9
SEMI_ANGLE_RAD = 10e-3
FOCUSED_SIGMA_M = 0.4e-9
PARTICLES = 60
CARBON = 0.3
"""Brightness of the film between the particles; a particle has 1 more."""


def draw_sample(rng: np.random.Generator) -> Floats:
    """Return particles of 1 to 2 nm radius on a film, (128, 128), as if seen without any blur."""
    sample = np.full((SIDE_PX, SIDE_PX), CARBON)
    axis = np.arange(SIDE_PX)
    for row, col in rng.uniform(0, SIDE_PX, (PARTICLES, 2)):
        radius_px = rng.uniform(1e-9, 2e-9) / PIXEL_M
        distance = np.hypot(axis[:, None] - row, axis[None, :] - col)
        sample[distance <= radius_px] += 1.0
    return sample


def blur_sigma_m(defocus_m: float) -> float:
    """Return the standard deviation of the probe at a defocus."""
    return float(np.hypot(FOCUSED_SIGMA_M, SEMI_ANGLE_RAD * defocus_m / 2))


def blurred(sample: Floats, sigma_m: float) -> Floats:
    """Return the sample seen with a Gaussian probe; it goes on periodically at the edges."""
    rows = np.fft.fftfreq(SIDE_PX)[:, None]
    cols = np.fft.rfftfreq(SIDE_PX)[None, :]
    sigma_px = sigma_m / PIXEL_M
    transfer = np.exp(-2 * (np.pi * sigma_px) ** 2 * (rows**2 + cols**2))
    image: Floats = np.fft.irfft2(np.fft.rfft2(sample) * transfer, s=sample.shape)
    return np.maximum(image, 0.0)
