"""What differs from one simulated instrument to another: one row for each parameter.

A row is all there is to declare. The simulator's options and presets, what is drawn for each
instrument, the truth, and the batch of columns read the rows.
"""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any, Final

import numpy as np
from attrs import Attribute, Factory, field, fields, frozen

from stempilot_backends.column.matrix import (
    Numbers,
    mirror,
    rotation_by_degrees,
    scale,
    shear_by_degrees,
    stretch,
)
from stempilot_backends.column.rows import NOTHING, Draws, Row, row as _row

CAMERA_LENGTHS_M = (
    0.038, 0.048, 0.060, 0.077, 0.100, 0.130, 0.160, 0.195, 0.245, 0.300, 0.380,
    0.480, 0.600, 0.770, 0.940, 1.200, 1.500, 1.900, 2.400, 3.000, 4.100,
)  # fmt: skip
"""Camera lengths of the public USETEM client's table, in metres."""

PUBLISHED_PIXEL_RAD = 0.565e-3
"""Angle of one camera pixel in the paper, section Materials and Methods."""

PUBLISHED_EXPOSURE_S = 0.170
"""Exposure to which ``background_e_per_px`` refers."""

FULL_ACTION_RAD = 10 * (1040 / 255) * PUBLISHED_PIXEL_RAD
"""The published full action: 10 bins of 1040 / 255 px, 23.04 mrad."""

RONCHIGRAM_SHARE = 0.125
"""Radius of the disk over the frame's side from which a film shows as a Ronchigram. Below it the
camera's period on the film, wavelength over pixel angle, no longer holds what the probe lights."""

REST_V = 510998.95
"""Energy of an electron at rest, over its charge."""

_HC_VM = 1.23984198e-6
"""Planck's constant times the speed of light, over the charge of an electron."""

_FAR_PX = 10_000.0
"""Nothing that happens in a frame is farther than that."""


def _beside(default: float, lower: float, upper: float, does: str, **more: Any) -> Any:
    """Return a row of what stands in the frame beside the disk."""
    return _row(default, lower, upper, does, specimen=True, pixels_only=True, **more)


def _probe(default: float, lower: float, upper: float, does: str, **more: Any) -> Any:
    """Return a row of the probe, its aberrations and what changes them."""
    return _row(default, lower, upper, does, probe=True, **more)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _check_lengths(_: object, attribute: "Attribute[Any]", value: tuple[float, ...]) -> None:
    if not value or not all(math.isfinite(length) and length > 0 for length in value):
        raise ValueError(f"{attribute.name} = {value} must hold at least one length, all above 0 m")


def _check_rotations(
    parameters: "ColumnParameters", attribute: "Attribute[Any]", value: tuple[float, ...]
) -> None:
    lengths = len(parameters.camera_lengths_m)
    if len(value) != lengths or not all(map(math.isfinite, value)):
        raise ValueError(
            f"{attribute.name} = {value} must hold {lengths} finite angles, one per camera length"
        )


_LAST_LENGTH = len(CAMERA_LENGTHS_M) - 1
_TURN = {"random": (0.0, 360.0)}
_DISTORTED = {"distorted": 0.2, "everything": 0.2}
_LOOSE = {"backlash": 0.05 * FULL_ACTION_RAD, "everything": 0.05 * FULL_ACTION_RAD}
_COUPLED = {"random": (-0.07, 0.07)}
_RESIDUAL = {"random": (0.0, 60e-9)}
_RADII_RAD = (9 * PUBLISHED_PIXEL_RAD, 60 * PUBLISHED_PIXEL_RAD)


@frozen(kw_only=True)
class ColumnParameters:
    """One instrument; the defaults are the published one (Xu, Kumar, LeBeau 2022).

    The rows stand in the order in which the knob's signal meets them.

    Attributes:
        camera_lengths_m: The table behind ``camera_length_index``.
        camera_length_rotation_deg: Rotation of the whole pattern (response, misalignment and
            drift) about the frame centre at each camera length.

    Raises:
        ValueError: a value is outside its range; the message names it.
    """

    # fmt: off
    mirrored: bool = _row(
        False, 0, 1, "whether the knob's second axis is turned round; ``either`` draws it.",
        share=1, presets={"random": "either"}, changes=True, response=mirror)
    axis_ratio: float = _row(
        1.0, 0.1, 10.0, "response of the first knob axis over that of the second.",
        share=3, logarithmic=True, presets={"random": (0.9, 1.1)}, response=stretch)
    shear_deg: float = _row(
        0.0, -80.0, 80.0, "departure of the knob's axes from a right angle.",
        share=4, presets={"random": (-5.0, 5.0)}, response=shear_by_degrees)
    rotation_deg: float = _row(
        30.0, -360.0, 360.0, "rotation from the knob's axes to the camera's.",
        share=0, presets=_TURN, changes=True, response=rotation_by_degrees)
    scale: float = _row(
        1.0, 1e-3, 1e3, "response over the calibrated one (40.8 px per published full action).",
        share=2, logarithmic=True, presets={"random": (0.25, 4.0)}, changes=True, response=scale)
    action_noise: float = _row(
        0.001, 0.0, 10.0,
        "RMS error that a move leaves behind, over its larger component, per axis.",
        share=5, presets={"random": (0.0, 0.1), "everything": 0.1, "film": (0.0, 0.05)},
        spread="move")
    backlash_rad: float = _row(
        0.0, 0.0, 10.0, "half-width of the play of each axis of the diffraction shift.",
        presets=_LOOSE, told=True)
    lag: float = _row(
        0.0, 0.0, 1.0, "share of a move still to come at the exposure after it, first order.",
        below=True, presets={"lagged": 0.4, "everything": 0.2}, told=True)
    cycle_s: float = _row(
        0.18, 1e-6, 3600.0, "time of one correction (5.5 Hz in the paper).", option=False)
    drift_px_per_cycle: float = _row(
        0.0, 0.0, _FAR_PX, "drift per exposure in one direction.",
        presets={"drifting": 0.5, "everything": 0.25})
    drift_walk_px: float = _row(
        0.0, 0.0, _FAR_PX, "RMS of the random walk per axis and exposure.",
        presets={"drifting": 1.0})
    distortion_gain: float = _row(
        0.0, -0.07, 10.0, "radial magnification gained at half the frame side.",
        presets=_DISTORTED)
    distortion_swirl_rad: float = _row(
        0.0, -10.0, 10.0, "rotation gained at half the frame side.", presets=_DISTORTED)
    vibration_px: float = _row(
        0.0, 0.0, _FAR_PX, "RMS displacement per axis from frame to frame.",
        share=6, presets={"random": (0.0, 4.0), "everything": 2.0}, spread="exposure")
    semi_angle_rad: float = _row(
        30.2 * PUBLISHED_PIXEL_RAD, 1e-5, 1.0,
        "convergence semi-angle, the angular radius of the disk.",
        share=7, presets={
            "random": _RADII_RAD, "low-dose": 30 * PUBLISHED_PIXEL_RAD, "film": 0.030})
    probe_current_a: float = _row(
        10e-12, 1e-18, 1e-6, "current in the disk.",
        share=8, logarithmic=True, presets={
            "random": (1e-12, 100e-12), "low-dose": 0.1e-12, "film": (20e-12, 200e-12)})
    frame_side_px: int = _row(1040, 8, 8192, "rows and columns of the square frame.", option=False)
    pixel_rad: float = _row(
        PUBLISHED_PIXEL_RAD, 1e-9, 1.0, "angle of one pixel at the reference camera length.",
        option=False)
    camera_lengths_m: tuple[float, ...] = field(
        default=CAMERA_LENGTHS_M, converter=_floats, validator=_check_lengths)
    camera_length_index: int = _row(
        6, 0, _LAST_LENGTH, "position in the table of camera lengths at the start.",
        presets={"film": 15}, changes=True)
    reference_camera_length_index: int = _row(
        6, 0, _LAST_LENGTH,
        "camera length to which ``pixel_rad`` belongs. A guess (160 mm): the paper does not tell.",
        option=False)
    camera_length_rotation_deg: tuple[float, ...] = field(
        default=Factory(lambda self: (0.0,) * len(self.camera_lengths_m), takes_self=True),
        converter=_floats, validator=_check_rotations)
    gain_dn_per_electron: float = _row(1.0, 1e-6, 1e6, "digital numbers per electron.")
    read_noise_e: float = _row(6.0, 0.0, 1000.0, "RMS read noise in electrons.")
    background_e_per_px: float = _row(1.0, 0.0, 1e6, "background electrons per pixel in 170 ms.")
    offset_dn: float = _row(
        100.0, 0.0, 65535.0, "digital number of a pixel without electrons.", option=False)
    hot_pixels: int = _row(0, 0, 1040**2, "number of hot pixels.", pixels_only=True)
    hot_pixel_seed: int = _row(0, 0, 2**63, "where the hot pixels are.", option=False)
    vignetting: float = _row(
        0.0, 0.0, 1.0, "share of the light lost in the corners.", pixels_only=True)
    halo: float = _beside(
        0.0, 0.0, 100.0, "electrons of a Gaussian halo about the direct beam, over its disk's.",
        presets={"halo": (0.2, 3.0)})
    halo_radii: float = _beside(
        4.0, 0.1, 1000.0, "standard deviation of the halo, in radii of the disk.",
        presets={"halo": (2.0, 8.0)})
    ring: float = _beside(
        0.0, 0.0, 100.0, "brightness of a diffuse ring about the direct beam, over its disk's.",
        presets={"halo": (0.0, 0.3)})
    ring_radii: float = _beside(
        4.0, 0.1, 1000.0, "radius of the ring, in radii of the disk.",
        presets={"halo": (3.0, 6.0)})
    grains: int = _beside(
        0, 0, 10_000, "faint disks on one to four rings about the direct beam.",
        presets={"polycrystal": (20, 200)})
    diffracted: float = _beside(
        0.0, 0.0, 100.0, "brightness of a crystal's strongest diffracted disk over the direct one.",
        presets={"crystal": (0.3, 3.0), "zone-axis": (0.3, 3.0)})
    spacing_radii: float = _beside(
        4.0, 0.1, 1000.0, "shortest distance in the crystal's pattern, in radii of the disk.",
        presets={"crystal": (2.2, 8.0), "zone-axis": (0.8, 2.2)})
    gradient: float = _beside(
        1.0, 1.0, 100.0, "brightness of the direct disk's bright edge over that of its dark one.",
        presets={"structured": (1.0, 3.0)})
    bands: float = _beside(
        0.0, 0.0, 1.0, "contrast of bright or dark bands across the direct disk.",
        presets={"structured": (0.0, 0.6)})
    defects: bool = _beside(
        False, 0, 1, "whether pixels and lines are dead or clipped, and the camera has modules.",
        presets={"defects": True})
    beam_stop_radii: float = _beside(
        0.0, 0.0, 100.0, "width of a beam stop, in radii of the disk at the reference length.",
        presets={"beam-stop": (0.3, 1.2)})
    specimen_seed: int = _row(
        0, 0, 2**63, "how the disks, bands, defects and the beam stop lie.", option=False)
    film: bool = _row(
        False, 0, 1, "whether an amorphous film is in the beam.", presets={"film": True})
    film_drift_m: float = _probe(
        0.0, 0.0, 1e-6, "drift of the film per exposure in one direction.",
        presets={"random": (0.0, 0.2e-9)})
    accelerating_voltage_v: float = _row(
        300e3, 1e3, 1e7, "accelerating voltage, which sets the wavelength.")
    defocus_scale: float = _probe(
        1.0, 1e-3, 1e3, "change of the defocus over that of the knob.",
        presets={"random": (0.9, 1.1)})
    defocus_backlash_m: float = _row(
        0.0, 0.0, 1e-3, "half-width of the play of the focus knob.")
    stigmator_mirrored: bool = _probe(
        False, 0, 1, "whether the stigmator's second axis is turned round; ``either`` draws it.",
        presets={"random": "either"})
    stigmator_rotation_deg: float = _probe(
        30.0, -360.0, 360.0, "rotation from the stigmator's axes to those of the astigmatism.",
        presets=_TURN)
    stigmator_scale: float = _probe(
        1.0, 1e-3, 1e3, "astigmatism over the calibrated one (1 um per unit of the stigmator).",
        logarithmic=True, presets={"random": (0.25, 4.0)})
    stigmator_focus_x: float = _probe(
        0.0, -1.0, 1.0, "defocus over astigmatism that the stigmator's first axis brings.",
        presets=_COUPLED)
    stigmator_focus_y: float = _probe(
        0.0, -1.0, 1.0, "the same of its second axis.", presets=_COUPLED)
    stigmator_backlash: float = _row(
        0.0, 0.0, 1.0, "half-width of the play of each stigmator axis.")
    coma_m: float = _probe(
        0.0, 0.0, 1e-3, "size of the axial coma B2.", presets=_RESIDUAL)
    coma_deg: float = _probe(0.0, -360.0, 360.0, "its direction.", presets=_TURN)
    threefold_m: float = _probe(
        0.0, 0.0, 1e-3, "size of the threefold astigmatism A2.", presets=_RESIDUAL)
    threefold_deg: float = _probe(0.0, -360.0, 360.0, "its direction.", presets=_TURN)
    spherical_m: float = _probe(
        0.0, -0.1, 0.1, "spherical aberration C3.", presets={"random": (-0.5e-6, 0.5e-6)})
    # fmt: on

    def __attrs_post_init__(self) -> None:
        """Check what depends on another parameter."""
        last, pixels = len(self.camera_lengths_m) - 1, self.frame_side_px**2
        for name, largest, why in (
            ("camera_length_index", last, "see camera_lengths_m"),
            ("reference_camera_length_index", last, "see camera_lengths_m"),
            ("hot_pixels", pixels, "a frame has no more pixels"),
        ):
            if getattr(self, name) > largest:
                raise ValueError(f"{name} = {getattr(self, name)} is above {largest}; {why}")

    @property
    def shows_ronchigram(self) -> bool:
        """Whether the film is in, and the disk large enough on the camera to show its shadow."""
        return self.film and self.radius_px >= RONCHIGRAM_SHARE * self.frame_side_px

    @property
    def camera_length_m(self) -> float:
        """Camera length in use."""
        return self.camera_lengths_m[self.camera_length_index]

    @property
    def magnification(self) -> float:
        """Camera length in use over the reference one."""
        return self.camera_length_m / self.camera_lengths_m[self.reference_camera_length_index]

    @property
    def pixel_rad_in_use(self) -> float:
        """Angle of one pixel at the camera length in use."""
        return self.pixel_rad / self.magnification

    @property
    def wavelength_m(self) -> float:
        """Wavelength of the electrons, with relativity."""
        momentum = self.accelerating_voltage_v * (2.0 * REST_V + self.accelerating_voltage_v)
        return _HC_VM / math.sqrt(momentum)

    @property
    def pattern_turn_deg(self) -> float:
        """Rotation of the pattern at the camera length in use."""
        return self.camera_length_rotation_deg[self.camera_length_index]

    @property
    def radius_px(self) -> float:
        """Radius of the disk at the camera length in use."""
        return self.semi_angle_rad / self.pixel_rad_in_use


ROWS: Final[Mapping[str, Row]] = {
    attribute.name: attribute.metadata["row"]
    for attribute in fields(ColumnParameters)
    if "row" in attribute.metadata
}
"""Each parameter's row, by name."""

DRAWN: Final = tuple(name for name, row in ROWS.items() if row.share is not None)
"""Parameters that differ from instrument to instrument in a batch; all others are common to it."""

SPECIMEN: Final = tuple(name for name, row in ROWS.items() if row.specimen)
"""Parameters of what a frame shows beside the disk."""

PROBE: Final = tuple(name for name, row in ROWS.items() if row.probe)
"""Parameters of the probe, which differ from instrument to instrument where they have a range."""

TOLD: Final = tuple(name for name, row in ROWS.items() if row.told)
"""Parameters that the truth tells."""


def spread(by: Draws, parameters: ColumnParameters, drawn: Mapping[str, Any] = NOTHING) -> Numbers:
    """Return the RMS per axis that moves or exposures leave, all their rows together.

    Args:
        by: a move or an exposure.
        parameters: of the column.
        drawn: for n columns, (n,) values in place of the parameters'.
    """
    rows = (name for name, row in ROWS.items() if row.spread == by)
    return reduce(np.hypot, (drawn.get(name, getattr(parameters, name)) for name in rows))
