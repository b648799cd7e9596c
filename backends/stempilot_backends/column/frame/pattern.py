"""The light of a specimen in pixels of the frame, and what stands in its way."""

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.frame.flaws import beam_stop
from stempilot_backends.column.frame.scene import Pattern, Scene
from stempilot_backends.column.matrix import Matrix
from stempilot_backends.column.parameters import ColumnParameters
from stempilot_backends.column.specimen import Specimen

Floats = NDArray[np.float64]

NO_PATTERN = Pattern(
    disks=np.empty((0, 3)),
    halo=np.empty((2, 0)),
    ring=np.empty(0),
    ring_start=0.0,
    slope=np.zeros(2),
    bands=np.empty((0, 5)),
    stop=np.zeros(5),
    wave=np.empty((0, 0), np.complex64),
)
RING_WIDTH = 0.15
"""Standard deviation of the diffuse ring's profile, over its radius."""

_SIGMAS = 4.0
"""Where the ring ends, in standard deviations of its profile."""


def pattern(
    parameters: ColumnParameters, scene: Scene, of: Specimen, disks: Floats, turn: Matrix
) -> Pattern:
    """Return what there is beside a scene.

    Args:
        parameters: of the column.
        scene: with the direct disk as it is in vacuum.
        of: the specimen.
        disks: (n, 3) of the diffracted disks: column and row of the centre in pixel coordinates,
            and the brightness over the direct disk's.
        turn: rotation of the pattern.
    """
    stop = beam_stop(parameters)
    if scene.disk_e == 0.0:
        return NO_PATTERN._replace(stop=stop)
    radius, turned = scene.radius, np.reshape(turn, (2, 2)).T
    normals, between, factors = of.bands[:, :2] @ turned, radius * of.bands[:, 2:4], of.bands[:, 4:]
    ring, ring_start = _ring(parameters, scene)
    return Pattern(
        disks=disks * (1.0, 1.0, scene.disk_e),
        halo=_halo(parameters, scene),
        ring=ring,
        ring_start=ring_start,
        slope=of.slope @ turned / radius,
        bands=np.hstack([normals, between, factors]),
        stop=stop,
        wave=NO_PATTERN.wave,
    )


def _halo(parameters: ColumnParameters, scene: Scene) -> Floats:
    """Return the halo as `Pattern.halo` has it."""
    if parameters.halo == 0.0:
        return NO_PATTERN.halo
    places = np.arange(parameters.frame_side_px) - np.array([[scene.x], [scene.y]])
    sigma = parameters.halo_radii * scene.radius
    factors: Floats = np.exp(-0.5 * (places / sigma) ** 2)
    # As many electrons as in the disk, `halo` times.
    factors[0] *= scene.disk_e * parameters.halo / (2.0 * parameters.halo_radii**2)
    return factors


def _ring(parameters: ColumnParameters, scene: Scene) -> tuple[Floats, float]:
    """Return the ring as `Pattern.ring` and `Pattern.ring_start` have it."""
    if parameters.ring == 0.0:
        return NO_PATTERN.ring, 0.0
    middle = parameters.ring_radii * scene.radius
    width = RING_WIDTH * middle
    start = middle - _SIGMAS * width
    away = np.arange(-_SIGMAS, _SIGMAS, 0.5 / width)
    light = scene.disk_e * parameters.ring * np.exp(-0.5 * away**2)
    return np.append(light, (0.0, 0.0)), start
