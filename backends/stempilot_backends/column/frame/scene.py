"""What falls on the camera and how it is read, as the compiled code takes it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Electronics(NamedTuple):
    """What turns electrons into digital numbers.

    Attributes:
        gain_dn_per_electron: Digital numbers per electron.
        read_noise_e: RMS read noise in electrons.
        offset_dn: Digital number without electrons.
    """

    gain_dn_per_electron: float
    read_noise_e: float
    offset_dn: float


class LevelTable(NamedTuple):
    """A distribution as a condensed table and a remainder; together they are exact.

    With probability 1 - ``rest`` a pixel is a uniformly chosen entry of ``cells``. The whole
    table is small enough for the fastest cache because what it cannot express, ``rest`` of all
    pixels, is drawn from ``rest_cdf`` instead: value ``first_dn`` + i where the uniform number
    is below ``rest_cdf[i]`` for the first time.

    Attributes:
        electronics: How the pixel is read.
        cells: Digital numbers, a power of two of them.
        rest: Probability of the remainder.
        rest_cdf: Cumulative distribution of the remainder.
        rest_guide: Where to begin the search in it: entry i for uniform numbers from
            i / len(rest_guide) on.
        first_dn: Digital number of ``rest_cdf[0]``.
    """

    electronics: Electronics
    cells: NDArray[np.uint16]
    rest: float
    rest_cdf: NDArray[np.float64]
    rest_guide: NDArray[np.uint16]
    first_dn: int


class Scene(NamedTuple):
    """What falls on the camera during an exposure.

    Attributes:
        x: Column of the disk centre in pixel coordinates of the frame: the first is 0.
        y: Row of the disk centre, likewise.
        radius: Radius of the disk in pixels.
        background_e: Mean electrons per pixel everywhere.
        disk_e: Mean electrons per pixel inside the disk, in addition; 0 for no disk.
    """

    x: float
    y: float
    radius: float
    background_e: float
    disk_e: float


class Pattern(NamedTuple):
    """What light a specimen adds to a scene, and what keeps light from the camera.

    Attributes:
        disks: (n, 3), column and row of the centre of a diffracted disk in pixel coordinates,
            and its mean electrons per pixel.
        halo: (2, side), of the columns and of the rows; their product is the halo's mean electrons
            per pixel. (2, 0) for none.
        ring: (k,), mean electrons per pixel of the ring about the direct beam, at every half pixel
            from ``ring_start`` on; 0 at the last two. (0,) for none.
        ring_start: Distance from the direct beam in pixels.
        slope: (2,), by what part of itself the direct disk brightens in a column and in a row.
        bands: (m, 5), of bands across the direct disk: the normal (column, row), between which
            distances along it from the disk's centre a band lies, and by what it multiplies.
        stop: (5,), of the beam stop: column and row of the tip, the direction (column, row) that
            the bar takes from there, and half its width; 0 for no beam stop.
        wave: (side, side), the wave that a film leaves on the camera; its square is the mean
            electrons of a pixel. (0, 0) for none.
    """

    disks: NDArray[np.float64]
    halo: NDArray[np.float64]
    ring: NDArray[np.float64]
    ring_start: float
    slope: NDArray[np.float64]
    bands: NDArray[np.float64]
    stop: NDArray[np.float64]
    wave: NDArray[np.complex64]
