"""Options of the backend ``usetem-themis``. Which defaults are guesses is said with each."""

import math
from typing import Any, Literal

from attrs import Attribute, field, frozen, validators

from stempilot_backends.usetem.client.catalogue import CAMERA_LENGTHS_MM, KnobName
from stempilot_backends.usetem.wire.transport import Endpoint

_MRAD = 1e-3


def _url(_: object, __: "Attribute[Any]", value: str) -> None:
    Endpoint.parse(value)


def _distinct(_: object, attribute: "Attribute[Any]", value: tuple[Any, ...]) -> None:
    if not value or len(set(value)) != len(value):
        msg = f"{attribute.name} = {list(value)} must name at least one knob, and none twice"
        raise ValueError(msg)


def _sides(_: object, attribute: "Attribute[Any]", value: tuple[int, int]) -> None:
    if not all(1 <= side <= 16384 for side in value):  # noqa: PLR2004 - the largest cameras
        msg = f"{attribute.name} = {list(value)} must be two sides of 1 to 16384 pixels"
        raise ValueError(msg)


def _lengths(_: object, attribute: "Attribute[Any]", value: tuple[float, ...]) -> None:
    if not value or not all(0 < length < math.inf for length in value):
        msg = f"{attribute.name} must hold at least one length, all above 0 mm"
        raise ValueError(msg)


def _calibrated(
    _: object, attribute: "Attribute[Any]", value: tuple[tuple[int, float], ...]
) -> None:
    indices = [index for index, _ in value]
    if len(set(indices)) != len(indices):
        msg = f"{attribute.name} calibrates one camera length twice: {indices}"
        raise ValueError(msg)
    for index, angle in value:
        if not 0 < angle < math.inf:
            msg = f"{attribute.name}: {angle:g} mrad at camera length {index} must be above 0"
            raise ValueError(msg)


def _share(_: object, attribute: "Attribute[Any]", value: float | None) -> None:
    if value is not None and not 0 < value < 1:
        msg = f"{attribute.name} = {value:g} must lie between 0 and 1, or be none"
        raise ValueError(msg)


def _named(_: object, attribute: "Attribute[Any]", value: str) -> None:
    if not value.strip():
        msg = f"{attribute.name} must not be empty"
        raise ValueError(msg)


def _positive(default: float) -> Any:
    return field(default=default, validator=validators.gt(0))


def _count(default: int, least: int = 0) -> Any:
    return field(
        default=default, validator=validators.and_(validators.ge(least), validators.le(100))
    )


@frozen(kw_only=True)
class UsetemThemisConfig:
    """Options of a microscope behind a USETEM temscript server.

    Those whose text begins with "Guess:" are not measured. Check them at the instrument.

    Attributes:
        url: where the server listens, ``http://HOST:8001/temscript``. It has no authentication
            and no TLS; reach another computer through an SSH tunnel.
        instrument: name of the microscope, by which agents know it again; by default the URL.
        frames: where they come from: ``camera``, by the server's own acquisition, or ``screen``,
            a region of the window in which the vendor's software shows the FluCam.
        camera: name given to ``acquisition.addCameraByName``. Guess: the FluCam is called
            ``BM-Flucam``.
        screen_corner: (left, top) of that region on the desktop; its size is `frame_shape`.
        screen_wait_s: wait before each capture, so that it shows an exposure begun after the last
            write. Guess: two published exposures and a viewer's delay.
        frame_shape: (rows, cols) of a frame.
        frame_dtype: pixel type of the camera's frames. A type that fits into it is taken too. A
            screen always has ``uint8``.
        saturation: pixel value from which a pixel counts as clipped; ``none`` if unknown.
        exposure_s: exposure that the operator has set; recorded, since no call tells or sets it.
            Guess: the published 170 ms.
        transpose: the camera's arrays come indexed [x, y] and are turned to (row, col).
        flip_x: mirror frames left to right, after `transpose`.
        flip_y: mirror frames top to bottom, after `transpose`.
        max_devices: cameras of this frame size that one reply may hold; longer ones are refused.
        stale_fetches: how often a frame equal to the one before is fetched again.
        discard_frames: frames to throw away after each write. Guess: the server exposes on demand.
        pixel_mrad: pairs of a camera length's index and the angle of one pixel there, for example
            ``[[6, 0.565]]``; a camera length that is not listed is not calibrated.
        camera_lengths_mm: nominal camera lengths in the order of their index.
        first_camera_length: index of the first of these. Guess: 0.
        knobs: knobs to offer. Leave out those that the instrument does not have.
        stigmator: offer the condenser stigmator beside them. The published server's call for it
            fails; set this where the site's server has it repaired.
        shift_limit_rad: the diffraction shift goes this far either way. Guess.
        shift_step_rad: largest change of the diffraction shift in one write. Guess.
        shift_resolution_rad: by how much its read-back may differ from what was written. Guess.
        camera_length_step: largest change of the camera length's index in one write.
        defocus_limit_m: the STEM defocus goes this far either way. Guess.
        defocus_step_m: largest change of the STEM defocus in one write. Guess.
        defocus_resolution_m: by how much its read-back may differ. Guess.
        stigmator_limit: the condenser stigmator goes this far either way. Guess.
        stigmator_step: largest change of the condenser stigmator in one write. Guess.
        stigmator_resolution: by how much its read-back may differ. Guess.
        beam_shift_limit_m: the beam shift goes this far either way. Guess.
        beam_shift_step_m: largest change of the beam shift in one write. Guess.
        beam_shift_resolution_m: by how much its read-back may differ. Guess.
        settle_s: wait after each write. Guess: the server returns when the lenses have settled.
        readback_s: for how long a read-back may still differ after a write. Guess.
        connect_timeout_s: longest time for connecting.
        call_timeout_s: deadline of a call and its retries; waiting for another client counts.
        frame_timeout_s: the same for a call that exposes.
        retries: how often a call is sent again when no connection comes about, or when one breaks
            and the call may be repeated.
        retry_wait_s: wait before the first of these; it doubles each time.
        acquire_retries: of these, how many exposures may be repeated when a connection breaks.
        beam_lost_share: a current on the screen below this share of that at opening means that the
            beam is lost, and stops the run; ``none`` never does. Guess: a disk that the task lost
            still falls on the screen, which reaches beyond the camera's field.
        require_screen: position that the main screen must have; ``none`` for any.
        require_valves: the same of the column valves.
        require_beam: the same of the beam blanker.
        require_projection: the same of the projector.
        require_mode: the same of the instrument's mode.
    """

    url: str = field(default="http://127.0.0.1:8001/temscript", validator=_url)
    instrument: str = ""
    frames: Literal["camera", "screen"] = "camera"
    camera: str = field(default="BM-Flucam", validator=_named)
    screen_corner: tuple[int, int] = (0, 0)
    screen_wait_s: float = field(default=0.5, validator=validators.ge(0))
    frame_shape: tuple[int, int] = field(default=(1040, 1040), validator=_sides)
    frame_dtype: Literal["int32", "uint32", "int16", "uint16", "uint8", "float32", "float64"] = (
        "int32"
    )
    saturation: float | None = None
    exposure_s: float = field(default=0.170, validator=validators.ge(0))
    transpose: bool = True
    flip_x: bool = False
    flip_y: bool = False
    max_devices: int = _count(2, least=1)
    stale_fetches: int = _count(2)
    discard_frames: int = _count(0)
    pixel_mrad: tuple[tuple[int, float], ...] = field(default=(), validator=_calibrated)
    camera_lengths_mm: tuple[float, ...] = field(default=CAMERA_LENGTHS_MM, validator=_lengths)
    first_camera_length: int = 0
    knobs: tuple[KnobName, ...] = field(
        default=("diffraction_shift", "camera_length_index", "stem_defocus", "beam_shift"),
        validator=_distinct,
    )
    stigmator: bool = False
    shift_limit_rad: float = _positive(0.5)
    shift_step_rad: float = _positive(0.05)
    shift_resolution_rad: float = _positive(1e-5)
    camera_length_step: int = _count(1, least=1)
    defocus_limit_m: float = _positive(100e-6)
    defocus_step_m: float = _positive(1e-6)
    defocus_resolution_m: float = _positive(1e-9)
    stigmator_limit: float = _positive(1.0)
    stigmator_step: float = _positive(0.1)
    stigmator_resolution: float = _positive(1e-6)
    beam_shift_limit_m: float = _positive(20e-6)
    beam_shift_step_m: float = _positive(1e-6)
    beam_shift_resolution_m: float = _positive(1e-9)
    settle_s: float = field(default=0.0, validator=validators.ge(0))
    readback_s: float = field(default=0.5, validator=validators.ge(0))
    connect_timeout_s: float = _positive(2.0)
    call_timeout_s: float = _positive(10.0)
    frame_timeout_s: float = _positive(20.0)
    retries: int = field(default=5, validator=validators.and_(validators.ge(0), validators.le(20)))
    retry_wait_s: float = _positive(0.1)
    acquire_retries: int = _count(1)
    beam_lost_share: float | None = field(default=0.05, validator=_share)
    require_screen: Literal["down", "up"] | None = "down"
    require_valves: Literal["open", "closed"] | None = "open"
    require_beam: Literal["open", "blanked"] | None = "open"
    require_projection: Literal["diffraction", "imaging"] | None = "diffraction"
    require_mode: Literal["stem", "tem"] | None = None

    @property
    def delivered_dtype(self) -> str:
        """Pixel type of the frames that are delivered, whatever their source."""
        return "uint8" if self.frames == "screen" else self.frame_dtype

    def pixel_rad(self, camera_length_index: int) -> float | None:
        """Return the calibrated angle of a pixel; ``None`` where it is not calibrated."""
        angle = dict(self.pixel_mrad).get(camera_length_index)
        return None if angle is None else angle * _MRAD

    def camera_length_m(self, camera_length_index: int) -> float | None:
        """Return the nominal camera length; ``None`` for an index outside the table."""
        place = camera_length_index - self.first_camera_length
        if not 0 <= place < len(self.camera_lengths_mm):
            return None
        return self.camera_lengths_mm[place] * _MRAD
