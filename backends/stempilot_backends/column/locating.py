"""What a locator says of a frame, without the frame: its noise and its limits, for n disks at once.

The numbers are those of a centre of mass in a round region of interest around the disk with the
local background subtracted, and of a circle through the part of the edge that shows where the
frame's edge cuts the disk. Tests hold them against a locator on frames.
"""

import math
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from stempilot_backends.column.frame.camera import ELEMENTARY_CHARGE_C
from stempilot_backends.column.frame.kernels import SATURATION_DN
from stempilot_backends.column.parameters import PUBLISHED_EXPOSURE_S, ColumnParameters

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CUT_NOISE_PX: Final = 0.05
"""RMS error per axis of a circle through the arc that shows."""

CLIPPED_NOISE_PX: Final = 0.016
"""RMS error per axis where the disk is clipped: its edge alone tells where it is."""

SMALLEST_NOISE_PX: Final = 0.0005
"""Where the locator stops to refine."""

_REGION = 1.25
_CENTRE_INSIDE = 0.5
"""A cut disk has a centre when it lies so many radii inside the frame."""

_SHOWS_BEYOND = 0.62
"""How many radii beyond the frame's edge the centre may lie for the disk to be noticed."""

_SIGNIFICANCE = 10.0
"""Least signal over the noise of the background under the disk."""

_SMALLEST_RADIUS_PX = 2.5
_LARGEST_SHARE = 0.45
"""Largest radius over the frame's side."""


@frozen(kw_only=True)
class Optics:
    """What a locator can make of n whole disks; each is (n,).

    Attributes:
        noise_px: RMS error per axis.
        shows: whether the disk stands out of the noise and has a size that is searched for.
        clipped: whether its pixels are clipped.
    """

    noise_px: Floats
    shows: Flags
    clipped: Flags


def optics(
    common: ColumnParameters, radius_px: Floats, current_a: Floats, exposure_s: float
) -> Optics:
    """Return what can be made of disks of a radius and a current, (n,) each."""
    background = common.background_e_per_px * exposure_s / PUBLISHED_EXPOSURE_S
    gain = common.gain_dn_per_electron
    variance = background + common.read_noise_e**2 + 1.0 / (12.0 * gain**2)
    electrons = current_a * (exposure_s / ELEMENTARY_CHARGE_C)
    area = math.pi * radius_px**2
    full_e = (SATURATION_DN - common.offset_dn) / gain - background
    clipped = electrons > full_e * area
    known = np.maximum(electrons, 1e-300)
    region = _REGION * radius_px + 1.0
    square = radius_px**2 / (4.0 * known) + variance * math.pi * region**4 / (4.0 * known**2)
    noise = np.where(clipped, CLIPPED_NOISE_PX, np.sqrt(square))
    shows = (
        (electrons >= _SIGNIFICANCE * np.sqrt(variance * area))
        & (radius_px >= _SMALLEST_RADIUS_PX)
        & (radius_px <= _LARGEST_SHARE * common.frame_side_px)
    )
    return Optics(noise_px=np.maximum(noise, SMALLEST_NOISE_PX), shows=shows, clipped=clipped)


def rougher(noise_px: Floats, cut: Flags) -> Floats:
    """Return the RMS errors of disks of which some are cut, (m,)."""
    return np.where(cut, np.maximum(noise_px, CUT_NOISE_PX), noise_px)


@frozen(kw_only=True)
class Sight:
    """How m disks near the frame's edge, or faint ones, are seen; each is (m,).

    Attributes:
        visible: whether a part of the disk is noticed.
        cut: whether the frame's edge cuts it.
        centred: whether it has a centre to be trusted.
    """

    visible: Flags
    cut: Flags
    centred: Flags


def sight(room_px: Floats, radius_px: Floats, shows: Flags) -> Sight:
    """Return how disks are seen.

    Args:
        room_px: (m,) how far the centre lies inside the frame; negative beyond its edge.
        radius_px: (m,).
        shows: (m,) whether the whole disk would show.
    """
    visible = shows & (room_px > -_SHOWS_BEYOND * radius_px)
    return Sight(
        visible=visible,
        cut=visible & (room_px < radius_px + 1.0),
        centred=visible & (room_px >= _CENTRE_INSIDE * radius_px),
    )
