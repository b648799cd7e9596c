"""From a Ronchigram of an amorphous film to defocus and twofold astigmatism.

A feature of the film of spatial frequency g appears at the angular frequency q = H g, with
``H = [[C1 + A1x, A1y], [A1y, C1 - A1x]]``, and with the contrast ``2 sin(pi lambda g.Hg)`` of an
in-line hologram. So the power spectrum of the illuminated part shows rings. One common sign of C1
and A1 makes no difference to them.

`spectrum` finds and fits them. Angles are (x, y) along columns and rows, y downward.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import fft

from stempilot_tasks.imaging.rings import binned, gains
from stempilot_tasks.imaging.spectrum import FARTHEST_M, LARGEST_RATIO, NEAREST_M, Spectrum, fitted

FloatArray = npt.NDArray[np.float64]

SIDE: Final = 520
"""Frames are binned to about this many pixels a side; nothing is lost."""

_BLOCK, _SMALLEST_PX = 8, 60.0
"""Side of the blocks in which the disk is looked for; radius below which there are too few features
in it, in pixels of a binned frame."""

_LIT, _ROUND = 0.25, 1.5
"""A disk is by this share of itself brighter than the rest, and not more spread than a round one by
this factor."""

_FEW, _BRIGHT = 16, 12.0
"""Blocks with which nothing is looked for; median deviations from which blocks are lit."""

_RIM, _HOT = 0.96, 8.0
"""Share of the disk's radius that is looked at; deviations from which a pixel is a defect."""

_LEAST_TRUST, _WORST_WEDGE, _WEDGES = 13.0, -1.0, 6
"""Smallest figure of trust with which anything is told; the least that one of six directions may
add to it."""

_MODEL_M: Final = 3e-10
"""Standard uncertainty by what the model leaves out: spherical aberration, coma, a thick film."""


def _window(away: FloatArray) -> FloatArray:
    """Return a window without edges at shares of its radius."""
    smooth: FloatArray = np.cos(np.pi / 2 * np.minimum(away, 1.0)) ** 2
    return smooth


def _integrals() -> tuple[float, float, float]:
    """Return sums of the window's second and fourth powers for radius 1, and its RMS width."""
    away = (np.arange(1000) + 0.5) / 1000
    rings, window = 2 * np.pi * away / 1000, _window(away)
    energy = float((rings * window**2).sum())
    steep = float((rings * (np.pi / 2 * np.sin(np.pi * away)) ** 2).sum()) / 2
    return energy, float((rings * window**4).sum()), math.sqrt(steep / energy) / (2 * np.pi)


_ENERGY, _FOURTH, _WIDTH = _integrals()


_AGREES: Final = 0.6
"""Share of what is expected that the power has in each direction, and the inverse of the most. If
one direction is near focus, another fit may have rings, but not the power beside them."""


@frozen(kw_only=True)
class Aberrations:
    """What a Ronchigram tells; all in m, and C1 and A1 up to one common sign.

    Attributes:
        c1: defocus, not negative.
        a1: (x, y) of the twofold astigmatism.
        uncertainty: standard uncertainties of C1, A1x and A1y.
        trust: by how much rings explain the spectrum better than no rings, as a difference of log
            likelihoods; above 13.
    """

    c1: float
    a1: tuple[float, float]
    uncertainty: tuple[float, float, float]
    trust: float


@frozen(kw_only=True)
class Shadow:
    """What a frame shows.

    Attributes:
        lit: whether there is light.
        aberrations: ``None`` where the frame does not tell them.
    """

    lit: bool
    aberrations: Aberrations | None = None


def wavelength_m(voltage_v: float) -> float:
    """Return the wavelength of electrons that an accelerating voltage gives."""
    energy_j, rest_j = voltage_v * 1.602176634e-19, 8.1871057769e-14
    return 6.62607015e-34 * 2.99792458e8 / math.sqrt(energy_j * (energy_j + 2 * rest_j))


def read_ronchigram(pixels: npt.NDArray[Any], pixel_rad: float, wavelength: float) -> Shadow:
    """Return what a frame shows.

    It does not tell the aberrations where there is no film, no light, too little room about the
    disk's centre, or where a direction is near focus.

    Args:
        pixels: (rows, cols) frame.
        pixel_rad: angle of one pixel.
        wavelength: of the electrons, in m.
    """
    block = max(round(max(pixels.shape) / SIDE), 1)
    frame = binned(pixels, block)
    small = binned(frame, _BLOCK)
    disk = _disk(small, frame.shape)
    if disk is None or disk.radius < _SMALLEST_PX:
        return Shadow(lit=disk is not None or _is_lit(small))
    return Shadow(
        lit=True, aberrations=_told(_spectrum(frame, disk, pixel_rad * block, wavelength))
    )


class _Disk(NamedTuple):
    x: float
    y: float
    radius: float


def _is_lit(small: npt.NDArray[np.float32]) -> bool:
    """Return whether a few blocks stand out from the rest, as those of a small disk do."""
    middle = float(np.median(small))
    spread = float(np.median(np.abs(small - middle)))
    third = float(np.partition(small, -3, axis=None)[-3]) if small.size > _FEW else middle
    return third > middle + _BRIGHT * spread


def _disk(small: npt.NDArray[np.float32], shape: tuple[int, ...]) -> _Disk | None:
    """Return the largest circle about the middle of the light that lies in it and in the frame."""
    if small.size <= _FEW:
        return None
    dark, bright = np.percentile(small, [1, 99])
    lit = small > (dark + bright) / 2
    # A flat frame has no disk; one that is lit all over has no dark part and is one.
    if bright <= 0 or bright - dark < _LIT * bright:
        return None
    rows, cols = np.nonzero(lit)
    radius = math.sqrt(len(rows) / math.pi)
    if rows.var() + cols.var() > _ROUND * radius**2 / 2:
        return None
    x, y = ((float(place.mean()) + 0.5) * _BLOCK - 0.5 for place in (cols, rows))
    room = min(x, y, shape[1] - 1 - x, shape[0] - 1 - y)
    return _Disk(x, y, _RIM * min(radius * _BLOCK, room))


def _windowed(frame: npt.NDArray[np.float32], disk: _Disk) -> npt.NDArray[np.float32]:
    """Return the contrast in the disk under a window without edges."""
    x0, y0 = math.ceil(disk.x - disk.radius), math.ceil(disk.y - disk.radius)
    x1, y1 = math.floor(disk.x + disk.radius) + 1, math.floor(disk.y + disk.radius) + 1
    away = np.hypot(np.arange(x0, x1) - disk.x, np.arange(y0, y1)[:, np.newaxis] - disk.y)
    window = _window(away / disk.radius).astype(np.float32)
    part = frame[y0:y1, x0:x1]
    total = float(window.sum())
    mean = float((part * window).sum()) / total
    contrast = part / np.float32(max(mean, 1e-9)) - 1
    scatter = math.sqrt(float((contrast**2 * window).sum()) / total)
    contrast = np.clip(contrast, -_HOT * scatter, _HOT * scatter)
    contrast -= float((contrast * window).sum()) / total
    return np.asarray(contrast * window)


def _spectrum(
    frame: npt.NDArray[np.float32], disk: _Disk, pixel_rad: float, wavelength: float
) -> Spectrum:
    contrast = _windowed(frame, disk)
    side = fft.next_fast_len(max(contrast.shape), real=True)
    transform = fft.rfft2(contrast, (side, side))
    rows, cols = fft.fftfreq(side, 1 / side), np.arange(side // 2 + 1)
    away = np.hypot(rows[:, np.newaxis], cols)
    kept = (away >= 2.5) & (away < 0.48 * side)  # noqa: PLR2004  beside the window, short of corners
    # Neighbours say nearly the same: the window is narrower than the transform.
    kept &= (rows[:, np.newaxis] + cols) % 2 == 0
    kept[rows < 0, 0] = False
    row, col = np.nonzero(kept)
    energy = _ENERGY * disk.radius**2
    power = (transform.real**2 + transform.imag**2)[kept] / energy
    step = 1 / (side * pixel_rad)
    return Spectrum(
        power=power.astype(np.float64),
        qx=cols[col] * step,
        qy=rows[row] * step,
        step=step,
        noise=float(np.median(power[away[kept] > 0.44 * side])) / math.log(2),
        width=_WIDTH / (disk.radius * pixel_rad),
        independent=min(2 * energy**2 / (side**2 * _FOURTH * disk.radius**2), 1.0),
        wavelength=wavelength,
    )


def _told(spectrum: Spectrum) -> Aberrations | None:
    """Return what the rings of a spectrum tell, if it has any."""
    found = fitted(spectrum)
    if found is None:
        return None
    chosen, best = found
    parts = chosen.power, chosen.qx, chosen.qy
    gained, expected = gains(*parts, best.numbers, chosen.wavelength, chosen.width, _WEDGES)
    gained = chosen.independent * gained
    trust = float(gained.sum())
    shape = best.numbers[:3]
    c1, a1x, a1y = _inverse(shape)
    within = NEAREST_M <= c1 <= FARTHEST_M and math.hypot(a1x, a1y) <= LARGEST_RATIO * c1
    explained = expected.min() > _AGREES and expected.max() < 1 / _AGREES
    if not (within and explained and trust >= _LEAST_TRUST and gained.min() >= _WORST_WEDGE):
        return None
    try:
        covariance = np.linalg.inv(best.fisher)[:3, :3] / chosen.independent
    except np.linalg.LinAlgError:
        return None
    slopes = _slopes(shape)
    variances = np.diag(slopes @ covariance @ slopes.T) + _MODEL_M**2
    one, two, three = np.sqrt(variances).tolist()
    return Aberrations(c1=c1, a1=(a1x, a1y), uncertainty=(one, two, three), trust=trust)


def _inverse(shape: FloatArray) -> tuple[float, float, float]:
    """Return C1, A1x and A1y of a shape, or the other way round."""
    a, b, c = shape.tolist()
    size = a * a - b * b - c * c
    return a / size, -b / size, -c / size


def _slopes(shape: FloatArray) -> FloatArray:
    """Return the (3, 3) derivatives of C1, A1x and A1y by the shape."""
    a, b, c = shape.tolist()
    size = a * a - b * b - c * c
    signed = np.array([a, -b, -c])
    slopes = np.diag([1.0, -1.0, -1.0]) / size - np.outer(signed, 2 * signed) / size**2
    return np.asarray(slopes)
