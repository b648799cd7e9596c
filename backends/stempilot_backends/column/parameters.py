"""What differs from one simulated instrument to another."""

import math
from collections.abc import Callable
from operator import index
from typing import Any

from attrs import Attribute, Factory, field, frozen
from attrs.validators import instance_of

CAMERA_LENGTHS_M = (
    0.038, 0.048, 0.060, 0.077, 0.100, 0.130, 0.160, 0.195, 0.245, 0.300, 0.380,
    0.480, 0.600, 0.770, 0.940, 1.200, 1.500, 1.900, 2.400, 3.000, 4.100,
)  # fmt: skip
"""Camera lengths of the public USETEM client's table, in metres."""

PUBLISHED_PIXEL_RAD = 0.565e-3
"""Angle of one camera pixel in the paper, section Materials and Methods."""

PUBLISHED_EXPOSURE_S = 0.170
"""Exposure to which ``background_e_per_px`` refers."""

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _within(
    lower: float, upper: float = math.inf, *, above: bool = False, below: bool = False
) -> Validator:
    """Validate a finite number in [lower, upper]; ``above`` and ``below`` open an end."""
    ends = (
        f"{'(' if above else '['}{lower:g}, {upper:g}{')' if below or upper == math.inf else ']'}"
    )

    def check(_: object, attribute: "Attribute[Any]", value: float) -> None:
        low_enough = value < upper if below else value <= upper
        high_enough = value > lower if above else value >= lower
        if not (math.isfinite(value) and low_enough and high_enough):
            raise ValueError(
                f"{attribute.name} = {value!r} is not in {ends}; choose a finite value there"
            )

    return check


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _number(default: float, validator: Validator) -> Any:
    return field(default=default, converter=float, validator=validator)


def _integer(default: int, validator: Validator) -> Any:
    return field(default=default, converter=index, validator=validator)


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


def _check_index(parameters: "ColumnParameters", attribute: "Attribute[Any]", value: int) -> None:
    last = len(parameters.camera_lengths_m) - 1
    if not 0 <= value <= last:
        raise ValueError(f"{attribute.name} = {value} is outside 0..{last}; see camera_lengths_m")


def _check_hot(parameters: "ColumnParameters", attribute: "Attribute[Any]", value: int) -> None:
    pixels = parameters.frame_side_px**2
    if not 0 <= value <= pixels:
        raise ValueError(
            f"{attribute.name} = {value} is outside 0..{pixels}, the pixels of a frame"
        )


@frozen(kw_only=True)
class ColumnParameters:
    """One instrument; the defaults are the published one (Xu, Kumar, LeBeau 2022).

    Attributes:
        frame_side_px: Rows and columns of the square frame.
        pixel_rad: Angle of one pixel at the reference camera length.
        camera_lengths_m: The table behind ``camera_length_index``.
        camera_length_index: Camera length in use.
        reference_camera_length_index: Camera length to which ``pixel_rad`` belongs. A guess
            (160 mm): the paper does not state it.
        camera_length_rotation_deg: Rotation of the whole pattern (response, misalignment and
            drift) about the frame centre at each camera length.
        rotation_deg: Rotation from the knob's axes to the frame's.
        response_scale: Response over the calibrated one; 1 moves the disk by the commanded angle.
        axis_ratio: Response of knob axis x over that of knob axis y.
        shear_deg: Departure of the knob's axes from a right angle.
        mirrored: Whether knob axis y is turned round.
        action_noise: RMS error left behind by a move, over its larger component, per axis.
        backlash_rad: Half-width of the play of each knob axis.
        lag: Fraction of a move still to come one ``cycle_s`` later.
        cycle_s: Time of one correction (5.5 Hz in the paper).
        drift_px_per_cycle: Steady drift, in one direction drawn at reseed.
        drift_walk_px: RMS of the random walk per axis and cycle.
        vibration_px: RMS per axis of the displacement drawn for each frame.
        distortion_gain: Radial magnification gained at half the frame side from the centre.
        distortion_swirl_rad: Rotation gained at half the frame side from the centre.
        probe_current_a: Current in the disk.
        semi_angle_rad: Semi-angle of convergence: the angular radius of the disk.
        gain_dn_per_electron: Digital numbers per detected electron.
        read_noise_e: RMS read noise.
        background_e_per_px: Background electrons in an exposure of 170 ms; in proportion otherwise.
        offset_dn: Digital number of a pixel without electrons.
        hot_pixels: Number of pixels stuck near saturation.
        hot_pixel_seed: Where they are and how bright.
        vignetting: Fraction of the light lost in the corners; grows with the radius squared.

    Raises:
        ValueError: a value is outside its range; the message names it.
    """

    frame_side_px: int = _integer(1040, _within(8, 8192))
    pixel_rad: float = _number(PUBLISHED_PIXEL_RAD, _within(0, above=True))
    camera_lengths_m: tuple[float, ...] = field(
        default=CAMERA_LENGTHS_M, converter=_floats, validator=_check_lengths
    )
    camera_length_index: int = _integer(6, _check_index)
    reference_camera_length_index: int = _integer(6, _check_index)
    camera_length_rotation_deg: tuple[float, ...] = field(
        default=Factory(lambda self: (0.0,) * len(self.camera_lengths_m), takes_self=True),
        converter=_floats,
        validator=_check_rotations,
    )
    rotation_deg: float = _number(30.0, _within(-math.inf))
    response_scale: float = _number(1.0, _within(0, above=True))
    axis_ratio: float = _number(1.0, _within(0, above=True))
    shear_deg: float = _number(0.0, _within(-80, 80))
    mirrored: bool = field(default=False, validator=instance_of(bool))
    action_noise: float = _number(0.001, _within(0))
    backlash_rad: float = _number(0.0, _within(0))
    lag: float = _number(0.0, _within(0, 1, below=True))
    cycle_s: float = _number(0.18, _within(0, above=True))
    drift_px_per_cycle: float = _number(0.0, _within(0))
    drift_walk_px: float = _number(0.0, _within(0))
    vibration_px: float = _number(0.0, _within(0))
    distortion_gain: float = _number(0.0, _within(-0.19))
    distortion_swirl_rad: float = _number(0.0, _within(-math.inf))
    probe_current_a: float = _number(10e-12, _within(0))
    semi_angle_rad: float = _number(30.2 * PUBLISHED_PIXEL_RAD, _within(0, above=True))
    gain_dn_per_electron: float = _number(1.0, _within(0, above=True))
    read_noise_e: float = _number(6.0, _within(0, 1000))
    background_e_per_px: float = _number(1.0, _within(0))
    offset_dn: float = _number(100.0, _within(0, 65535))
    hot_pixels: int = _integer(0, _check_hot)
    hot_pixel_seed: int = _integer(0, _within(0))
    vignetting: float = _number(0.0, _within(0, 1))

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
