"""What stands on the camera and does not move: dead and clipped pixels, modules, a beam stop."""

import math
from functools import lru_cache

import numpy as np
from attrs import frozen
from numpy.random import Generator
from numpy.typing import NDArray

from stempilot import compiled
from stempilot_backends.column.frame.kernels import SATURATION_DN
from stempilot_backends.column.parameters import ColumnParameters
from stempilot_backends.column.specimen import stream

PIXELS = (0, 20)
LINES = (0, 2)
CLUSTER_PX = 12
"""Dead or clipped pixels, such columns and rows, and the longest side of the clipped cluster."""

MODULES = (1, 4)
GAP_PX = (1, 4)
BLOCKS = (2, 8)
GAIN_STEP = 0.2
"""Modules on each axis, the gap between them, blocks of columns that are read out apart, and by
how much their gains differ at most."""

_FLAWS, _STOP = 3, 4
"""Streams beside those of the specimen."""


@frozen(kw_only=True, eq=False)
class Flaws:
    """Flaws of a camera.

    Attributes:
        gains: (side,) of the columns.
        dead: (n,) flat indices of pixels that read 0.
        clipped: (m,) flat indices of pixels that read the largest value.
    """

    gains: NDArray[np.float64]
    dead: NDArray[np.intp]
    clipped: NDArray[np.intp]

    def spoil(self, frame: NDArray[np.uint16], offset_dn: float) -> None:
        """Put the flaws into a (side, side) frame."""
        _amplify(frame, self.gains, offset_dn)
        pixels = frame.reshape(-1)
        pixels[self.clipped] = SATURATION_DN
        pixels[self.dead] = 0


def beam_stop(parameters: ColumnParameters) -> NDArray[np.float64]:
    """Return the beam stop as `Pattern.stop` has it.

    Its tip lies within a radius of the frame's centre, and the bar leaves the frame anywhere.
    """
    rng = stream(parameters, _STOP)
    radius_px = parameters.semi_angle_rad / parameters.pixel_rad
    middle = (parameters.frame_side_px - 1) / 2
    distance = radius_px * math.sqrt(rng.random())
    angle, leaves = rng.uniform(0.0, 2.0 * math.pi, 2)
    tip = middle + distance * math.cos(angle), middle + distance * math.sin(angle)
    half = parameters.beam_stop_radii * radius_px / 2
    return np.array([*tip, math.cos(leaves), math.sin(leaves), half])


@lru_cache(maxsize=8)
def flaws(parameters: ColumnParameters) -> Flaws:
    """Return the flaws of an instrument's camera; the same parameters give the same ones."""
    rng, side = stream(parameters, _FLAWS), parameters.frame_side_px
    dead, clipped = np.zeros((side, side), np.bool_), np.zeros((side, side), np.bool_)
    for _ in range(_whole(rng, PIXELS)):
        (dead, clipped)[_whole(rng, (0, 1))][tuple(rng.integers(side, size=2))] = True
    for _ in range(_whole(rng, LINES)):
        of = (dead, clipped)[_whole(rng, (0, 1))]
        (of, of.T)[_whole(rng, (0, 1))][rng.integers(side)] = True
    rows, columns = rng.integers(1, min(CLUSTER_PX, side) + 1, 2)
    top, left = rng.integers(side - rows + 1), rng.integers(side - columns + 1)
    clipped[top : top + rows, left : left + columns] = True
    gap = _whole(rng, GAP_PX)
    for across in (dead, dead.T):
        modules = _whole(rng, MODULES)
        for start in (side * np.arange(1, modules) - gap * modules // 2) // modules:
            across[start : start + gap] = True
    return Flaws(
        gains=_gains(side, rng), dead=np.flatnonzero(dead), clipped=np.flatnonzero(clipped & ~dead)
    )


def _whole(rng: Generator, ends: tuple[int, int]) -> int:
    return int(rng.integers(ends[0], ends[1] + 1))


def _gains(side: int, rng: Generator) -> NDArray[np.float64]:
    """Return the gains of the columns, block by block."""
    cuts = np.sort(rng.choice(np.arange(1, side), _whole(rng, BLOCKS) - 1, replace=False))
    gains = 1.0 + rng.uniform(-GAIN_STEP / 2, GAIN_STEP / 2, len(cuts) + 1)
    return np.repeat(gains, np.diff([0, *cuts, side]))


@compiled
def _amplify(frame: NDArray[np.uint16], gains: NDArray[np.float64], offset_dn: float) -> None:
    """Multiply what each column reads above the offset."""
    for row in range(frame.shape[0]):
        for column in range(frame.shape[1]):
            read = (frame[row, column] - offset_dn) * gains[column] + offset_dn
            frame[row, column] = np.uint16(min(max(read, 0.0), float(SATURATION_DN)) + 0.5)
