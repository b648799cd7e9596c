"""What differs from one simulated instrument to another: one row for each parameter.

A row is all there is to declare. The simulator's options and presets, what is drawn for each
instrument, the truth, and the batch of columns read the rows.
"""

import math
from collections.abc import Callable, Mapping
from functools import reduce
from operator import index
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from attrs import Attribute, Factory, field, fields, frozen
from attrs.validators import instance_of

from stempilot_backends.column.matrix import (
    Matrix,
    Numbers,
    mirror,
    rotation_by_degrees,
    scale,
    shear_by_degrees,
    stretch,
)

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

_FAR_PX = 10_000.0
"""Nothing that happens in a frame is farther than that."""

Span = float | tuple[float, float]
"""A number, or the range that each new instrument draws it from."""

Draws = Literal["move", "exposure"]
"""What makes the disk miss by a random amount."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@frozen(kw_only=True)
class Row:
    """What there is to know of a parameter beside name (with unit), type, default and meaning.

    Attributes:
        lower: smallest value.
        upper: largest value.
        below: whether it stays below ``upper``.
        option: whether it is an option of the simulator.
        share: which of an instrument's uniform numbers it is drawn from, where the option is a
            range. A new row takes the next number: then a seed stays the same instrument. Without
            one, all instruments of the same options have the parameter in common.
        logarithmic: whether it is drawn log-uniformly.
        presets: its value or range in the conditions that set it, by their names.
        changes: whether it may change in the middle of a run.
        told: whether the truth tells it.
        pixels_only: whether it shows in pixels alone, so that it is not modelled without frames.
        specimen: whether it is of what a frame shows beside the disk. Where the option is a range
            it is drawn for each instrument from numbers of its own, in the order of the rows.
        response: its part in the response, from one value or n; applied after the rows above.
        spread: what leaves an error with this RMS per axis: a ``move``, as a share of its larger
            component, or an ``exposure``, in pixels.
    """

    lower: float
    upper: float
    below: bool = False
    option: bool = True
    share: int | None = None
    logarithmic: bool = False
    presets: Mapping[str, Any] = NOTHING
    changes: bool = False
    told: bool = False
    pixels_only: bool = False
    specimen: bool = False
    response: Callable[[Numbers], Matrix] | None = None
    spread: Draws | None = None

    @property
    def ranges(self) -> bool:
        """Whether the option may be a range that each instrument draws from."""
        return self.specimen or self.share is not None


def ends(span: Span) -> tuple[float, float]:
    """Return the ends of a span; a single number is both."""
    return span if isinstance(span, tuple) else (span, span)


def check(_: object, attribute: "Attribute[Any]", value: Any) -> None:
    """Check a value or a range against the row; no value, and ``either``, always fit.

    Raises:
        ValueError: it does not lie in the row's range.
    """
    if value is None or isinstance(value, str):
        return
    row: Row = attribute.metadata["row"]
    low, high = ends(value)
    if not row.lower <= low <= high <= row.upper or (row.below and high == row.upper):
        msg = (
            f"{attribute.name} = {value!r} must lie in [{row.lower:.7g}, {row.upper:.7g}"
            + (")" if row.below else "]")
            + (", the smaller end of a range first" if isinstance(value, tuple) else "")
        )
        raise ValueError(msg)


def _row(default: float, lower: float, upper: float, does: str, **more: Any) -> Any:
    kind: Any = type(default)
    plain: Any = {float: float, int: index, bool: None}[kind]
    checked: Any = instance_of(bool) if kind is bool else check
    about = {"row": Row(lower=lower, upper=upper, **more), "does": does}
    return field(default=default, converter=plain, validator=checked, metadata=about)


def _beside(default: float, lower: float, upper: float, does: str, **more: Any) -> Any:
    """Return a row of what stands in the frame beside the disk."""
    return _row(default, lower, upper, does, specimen=True, pixels_only=True, **more)


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
_DISTORTED = {"distorted": 0.2, "everything": 0.2}
_LOOSE = {"backlash": 0.05 * FULL_ACTION_RAD, "everything": 0.05 * FULL_ACTION_RAD}
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
        share=0, presets={"random": (0.0, 360.0)}, changes=True, response=rotation_by_degrees)
    scale: float = _row(
        1.0, 1e-3, 1e3, "response over the calibrated one (40.8 px per published full action).",
        share=2, logarithmic=True, presets={"random": (0.25, 4.0)}, changes=True, response=scale)
    action_noise: float = _row(
        0.001, 0.0, 10.0,
        "RMS error that a move leaves behind, over its larger component, per axis.",
        share=5, presets={"random": (0.0, 0.1), "everything": 0.1}, spread="move")
    backlash_rad: float = _row(
        0.0, 0.0, 10.0, "half-width of the play of each knob axis.", presets=_LOOSE, told=True)
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
        share=7, presets={"random": _RADII_RAD, "low-dose": 30 * PUBLISHED_PIXEL_RAD})
    probe_current_a: float = _row(
        10e-12, 1e-18, 1e-6, "current in the disk.",
        share=8, logarithmic=True, presets={"random": (1e-12, 100e-12), "low-dose": 0.1e-12})
    frame_side_px: int = _row(1040, 8, 8192, "rows and columns of the square frame.", option=False)
    pixel_rad: float = _row(
        PUBLISHED_PIXEL_RAD, 1e-9, 1.0, "angle of one pixel at the reference camera length.",
        option=False)
    camera_lengths_m: tuple[float, ...] = field(
        default=CAMERA_LENGTHS_M, converter=_floats, validator=_check_lengths)
    camera_length_index: int = _row(
        6, 0, _LAST_LENGTH, "position in the table of camera lengths at the start.", changes=True)
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
    def magnification(self) -> float:
        """Camera length in use over the reference one."""
        lengths = self.camera_lengths_m
        return lengths[self.camera_length_index] / lengths[self.reference_camera_length_index]

    @property
    def pixel_rad_in_use(self) -> float:
        """Angle of one pixel at the camera length in use."""
        return self.pixel_rad / self.magnification

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
