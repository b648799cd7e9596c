"""Draws the Ronchigram of a film: the wave of the electrons on the camera's own pixels."""

import math

import numpy as np
from numpy.typing import NDArray

from stempilot import compiled
from stempilot_backends.column.film import Area, film
from stempilot_backends.column.frame.scene import Scene
from stempilot_backends.column.parameters import ColumnParameters
from stempilot_backends.column.probe import Aberrations


def ronchigram(
    parameters: ColumnParameters, scene: Scene, probe: Aberrations, area: Area
) -> NDArray[np.complex64]:
    """Return the wave on the camera, (side, side); its square is the mean electrons of a pixel.

    The aperture with the aberrations is focused on the film, which it meets as a product, and
    what leaves the film diffracts to the camera.

    Args:
        parameters: of the column.
        scene: with the aperture as its disk.
        probe: aberrations about the middle of the disk.
        area: where the probe stands on the film.
    """
    from scipy import fft

    side, pixel = parameters.frame_side_px, parameters.pixel_rad_in_use
    wave = np.empty((side, side), np.complex64)
    across = (np.arange(side) - scene.x).astype(np.float32)
    _fill_probe(wave, across, scene.y, scene.radius, _turns(parameters, probe), scene.disk_e**0.5)
    wave = fft.ifft2(wave, overwrite_x=True)
    period = parameters.wavelength_m / pixel
    x, y = (round(place / period * side) % side for place in area.place_m)
    _transmit(wave, film(parameters, area.piece), x, y)
    seen: NDArray[np.complex64] = fft.fft2(wave, overwrite_x=True)
    return seen


def _turns(parameters: ColumnParameters, probe: Aberrations) -> NDArray[np.float64]:
    """Return the coefficients that give the aberration function in turns, from pixels.

    These are C1 / 2, C3 / 4 and, x and y each, A1 / 2, B2 and A2 / 3.
    """
    pixel = parameters.pixel_rad_in_use
    second, third = pixel**2 / parameters.wavelength_m, pixel**3 / parameters.wavelength_m
    a1, b2, a2 = second / 2 * probe.a1, third * probe.b2, third / 3 * probe.a2
    return np.array(
        [second / 2 * probe.c1, third * pixel / 4 * probe.c3,
         a1.real, a1.imag, b2.real, b2.imag, a2.real, a2.imag]
    )  # fmt: skip


@compiled
def _fill_probe(
    wave: NDArray[np.complex64],
    across: NDArray[np.float32],
    y0: float,
    radius: float,
    turns: NDArray[np.float64],
    amplitude: float,
) -> None:
    """Fill the aperture with exp(-i chi), and nothing beside it."""
    c1, c3, a1x, a1y, b2x, b2y, a2x, a2y = turns
    for row in range(wave.shape[0]):
        y = row - y0
        square = radius * radius - y * y
        wave[row] = 0.0
        if square <= 0.0:
            continue
        first = np.searchsorted(across, -math.sqrt(square))
        last = np.searchsorted(across, math.sqrt(square))
        # Along a row the function is a polynomial of x.
        constant = y * y * (c1 - a1x + y * (b2y - a2y) + c3 * y * y)
        linear = y * (2.0 * a1y + y * (b2x - 3.0 * a2x))
        quadratic = c1 + a1x + y * (b2y + 3.0 * a2y) + 2.0 * c3 * y * y
        _turn(
            wave[row, first:last], across[first:last], np.float32(constant), np.float32(linear),
            np.float32(quadratic), np.float32(b2x + a2x), np.float32(c3), np.float32(amplitude),
        )  # fmt: skip


@compiled
def _turn(
    wave: NDArray[np.complex64],
    x: NDArray[np.float32],
    constant: np.float32,
    linear: np.float32,
    quadratic: np.float32,
    cubic: np.float32,
    quartic: np.float32,
    amplitude: np.float32,
) -> None:
    """Give each pixel of a row its phase, exp(-2 pi i polynomial), to 3e-7.

    In plain arithmetic, without calls and branches, several pixels are computed at a time.
    """
    one, two, half = np.float32(1.0), np.float32(2.0), np.float32(0.5)
    c2, c4, c6 = np.float32(-19.739208802), np.float32(64.939394023), np.float32(-85.456817206)
    c8, c10, c12 = np.float32(60.244641372), np.float32(-26.426256783), np.float32(7.903536372)
    s1, s3, s5 = np.float32(6.283185307), np.float32(-41.341702240), np.float32(81.605249277)
    s7, s9, s11 = np.float32(-76.705859753), np.float32(42.058693945), np.float32(-15.094642577)
    for i in range(x.size):
        turns = constant + x[i] * (linear + x[i] * (quadratic + x[i] * (cubic + x[i] * quartic)))
        halves = np.floor(turns + turns + half)
        # At most a quarter of a turn is left, where the series are short.
        left = turns - half * halves
        odd = halves - two * np.floor(half * halves)
        size, z = amplitude * (one - two * odd), left * left
        cosine = one + z * (c2 + z * (c4 + z * (c6 + z * (c8 + z * (c10 + z * c12)))))
        sine = left * (s1 + z * (s3 + z * (s5 + z * (s7 + z * (s9 + z * s11)))))
        wave[i] = complex(size * cosine, -size * sine)


@compiled
def _transmit(wave: NDArray[np.complex64], through: NDArray[np.complex64], x: int, y: int) -> None:
    """Multiply the wave by the film where it stands, which goes on at its other side."""
    side = wave.shape[0]
    for row in range(side):
        film_row, here = through[(row + y) % side], wave[row]
        for column in range(side - x):
            here[column] *= film_row[column + x]
        for column in range(side - x, side):
            here[column] *= film_row[column + x - side]
