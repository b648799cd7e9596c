"""Options of the simulator and the conditions that instruments are judged on."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from attrs import Attribute, field, frozen, validators

from stempilot_backends.column.parameters import CAMERA_LENGTHS_M, PUBLISHED_PIXEL_RAD

Span = float | tuple[float, float]
"""A number, or the range that each new instrument draws it from."""

FULL_ACTION_RAD = 10 * (1040 / 255) * PUBLISHED_PIXEL_RAD
"""The published full action: 10 bins of 1040 / 255 px, 23.04 mrad."""

_RADIUS_PX = 30.2

_RANDOM: Mapping[str, Any] = {
    "rotation_deg": (0.0, 360.0),
    "mirrored": "either",
    "scale": (0.25, 4.0),
    "axis_ratio": (0.9, 1.1),
    "shear_deg": (-5.0, 5.0),
    "action_noise": (0.0, 0.1),
    "vibration_px": (0.0, 4.0),
    "semi_angle_rad": (9 * PUBLISHED_PIXEL_RAD, 60 * PUBLISHED_PIXEL_RAD),
    "probe_current_a": (1e-12, 100e-12),
    "start_range": 0.85,
}
_DISTORTED: Mapping[str, Any] = {"distortion_gain": 0.2, "distortion_swirl_rad": 0.2}
_BACKLASH: Mapping[str, Any] = {"backlash_rad": 0.05 * FULL_ACTION_RAD}
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "random": _RANDOM,
    "lagged": {**_RANDOM, "lag": 0.4},
    "backlash": {**_RANDOM, **_BACKLASH},
    "distorted": {**_RANDOM, **_DISTORTED},
    "drifting": {**_RANDOM, "drift_px_per_cycle": 0.5, "drift_walk_px": 1.0},
    "low-dose": {
        **_RANDOM,
        "probe_current_a": 0.1e-12,
        "semi_angle_rad": 30 * PUBLISHED_PIXEL_RAD,
    },
    "everything": {
        **_RANDOM,
        **_BACKLASH,
        **_DISTORTED,
        "action_noise": 0.1,
        "vibration_px": 2.0,
        "lag": 0.2,
        "drift_px_per_cycle": 0.25,
    },
}

_FAR_PX = 10_000.0
"""Nothing that happens in a frame is farther than that."""

Check = Callable[[Any, "Attribute[Any]", Any], None]


def ends(span: Span) -> tuple[float, float]:
    """Return the ends of a span; a single number is both."""
    return span if isinstance(span, tuple) else (span, span)


def _span(lower: float, upper: float) -> Check:
    def check(_: object, attribute: "Attribute[Any]", value: Span) -> None:
        low, high = ends(value)
        if not lower <= low <= high <= upper:
            msg = f"{attribute.name} = {value} must lie in [{lower:.7g}, {upper:.7g}]" + (
                ", the smaller end of a range first" if isinstance(value, tuple) else ""
            )
            raise ValueError(msg)

    return check


@frozen(kw_only=True)
class Change:
    """A change of the instrument in the middle of a run; exactly one value in addition to the time.

    Attributes:
        at_timestep: timesteps of the run after which it happens.
        camera_length_index: the new camera length.
        rotation_deg: the new rotation of the response.
        scale: the new scale of the response.
        mirrored: the new handedness.
    """

    at_timestep: int = field(validator=validators.ge(0))
    camera_length_index: int | None = None
    rotation_deg: float | None = field(
        default=None, validator=validators.optional(_span(-360.0, 360.0))
    )
    scale: float | None = field(default=None, validator=validators.optional(_span(1e-3, 1e3)))
    mirrored: bool | None = None

    def __attrs_post_init__(self) -> None:
        """Check that there is one change, and a camera length that exists."""
        if len(self.values()) != 1:
            msg = (
                f"a change at timestep {self.at_timestep} must set exactly one of "
                "camera_length_index, rotation_deg, scale and mirrored"
            )
            raise ValueError(msg)
        index = self.camera_length_index
        if index is not None and not 0 <= index < len(CAMERA_LENGTHS_M):
            msg = f"camera_length_index = {index} is outside 0..{len(CAMERA_LENGTHS_M) - 1}"
            raise ValueError(msg)

    def values(self) -> dict[str, Any]:
        """Return what changes, by the name of the column's parameter."""
        values = {
            "camera_length_index": self.camera_length_index,
            "rotation_deg": self.rotation_deg,
            "response_scale": self.scale,
            "mirrored": self.mirrored,
        }
        return {name: value for name, value in values.items() if value is not None}


@frozen(kw_only=True)
class SimulatorConfig:
    """Options of the simulated instrument; the defaults are the published one.

    An option that takes a range, ``[low, high]``, is drawn from it for each new instrument: scale,
    axis ratio and probe current log-uniformly, all others uniformly.

    Attributes:
        preset: ``paper`` (the published simulator), ``random`` (an instrument drawn at random) or
            one of the conditions on top of it: ``lagged``, ``backlash``, ``distorted``,
            ``drifting``, ``low-dose``, ``everything``.
        redraw: draw a new instrument for each ``episode`` or once for the ``run``; by default
            evaluation draws by episode, training and policies that were trained here by run.
        changes: what changes in the middle of a run.
        start_range: where the disk stands at a start, uniform within this share of the half field
            on each axis.
        rotation_deg: rotation from the knob's axes to the camera's.
        mirrored: whether the knob's second axis is turned round; ``either`` draws it.
        scale: response over the calibrated one (40.8 px per published full action).
        axis_ratio: response of the first knob axis over that of the second.
        shear_deg: departure of the knob's axes from a right angle.
        action_noise: RMS error that a move leaves behind, over its larger component, per axis.
        vibration_px: RMS displacement per axis from frame to frame.
        backlash_rad: half-width of the play of each knob axis.
        lag: share of a move still to come at the exposure after it, first order.
        drift_px_per_cycle: drift per exposure in one direction.
        drift_walk_px: RMS of the random walk per axis and exposure.
        distortion_gain: radial magnification gained at half the frame side.
        distortion_swirl_rad: rotation gained at half the frame side.
        semi_angle_rad: convergence semi-angle, the angular radius of the disk.
        probe_current_a: current in the disk.
        exposure_s: exposure of a frame.
        gain_dn_per_electron: digital numbers per electron.
        read_noise_e: RMS read noise in electrons.
        background_e_per_px: background electrons per pixel in 170 ms.
        hot_pixels: number of hot pixels.
        vignetting: share of the light lost in the corners.
        camera_length_index: position in the table of camera lengths at the start.
        screen: position of the screen.
        beam_blanker: whether the beam is blanked.
        shift_limit_rad: the diffraction shift goes this far either way on each axis.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(dict(_PRESETS))

    preset: str = "paper"
    redraw: Literal["episode", "run"] | None = None
    changes: tuple[Change, ...] = ()
    start_range: float = field(
        default=1.0, validator=validators.and_(validators.ge(0), validators.le(1))
    )
    rotation_deg: Span = field(default=30.0, validator=_span(-360.0, 360.0))
    mirrored: bool | Literal["either"] = False
    scale: Span = field(default=1.0, validator=_span(1e-3, 1e3))
    axis_ratio: Span = field(default=1.0, validator=_span(0.1, 10.0))
    shear_deg: Span = field(default=0.0, validator=_span(-80.0, 80.0))
    action_noise: Span = field(default=0.001, validator=_span(0.0, 10.0))
    vibration_px: Span = field(default=0.0, validator=_span(0.0, _FAR_PX))
    backlash_rad: float = field(default=0.0, validator=_span(0.0, 10.0))
    lag: float = field(default=0.0, validator=validators.and_(validators.ge(0), validators.lt(1)))
    drift_px_per_cycle: float = field(default=0.0, validator=_span(0.0, _FAR_PX))
    drift_walk_px: float = field(default=0.0, validator=_span(0.0, _FAR_PX))
    distortion_gain: float = field(default=0.0, validator=_span(-0.07, 10.0))
    distortion_swirl_rad: float = field(default=0.0, validator=_span(-10.0, 10.0))
    semi_angle_rad: Span = field(
        default=_RADIUS_PX * PUBLISHED_PIXEL_RAD, validator=_span(1e-5, 1.0)
    )
    probe_current_a: Span = field(default=10e-12, validator=_span(1e-18, 1e-6))
    exposure_s: float = field(default=0.170, validator=_span(1e-6, 3600.0))
    gain_dn_per_electron: float = field(default=1.0, validator=_span(1e-6, 1e6))
    read_noise_e: float = field(default=6.0, validator=_span(0.0, 1000.0))
    background_e_per_px: float = field(default=1.0, validator=_span(0.0, 1e6))
    hot_pixels: int = field(default=0, validator=_span(0, 1040**2))
    vignetting: float = field(
        default=0.0, validator=validators.and_(validators.ge(0), validators.le(1))
    )
    camera_length_index: int = field(
        default=6,
        validator=validators.and_(validators.ge(0), validators.lt(len(CAMERA_LENGTHS_M))),
    )
    screen: Literal["down", "up"] = "down"
    beam_blanker: Literal["open", "blanked"] = "open"
    shift_limit_rad: float = field(default=4.0, validator=_span(1e-6, 1000.0))
