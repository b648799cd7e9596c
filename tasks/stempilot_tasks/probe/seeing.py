"""What the tasks see of the probe: a Ronchigram becomes a few numbers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot import (
    BEAM_BLANKER,
    CAMERA_LENGTH_INDEX,
    CONDENSER_STIGMATOR,
    FLUCAM,
    SCREEN,
    STEM_DEFOCUS,
    FrameError,
    KnobNeed,
    KnobValue,
    Needs,
    Product,
    Snapshot,
)
from stempilot_tasks.imaging.ronchigram import read_ronchigram, wavelength_m
from stempilot_tasks.probe.config import RonchigramConfig

C = TypeVar("C", bound=RonchigramConfig)

Floats = npt.NDArray[np.float64]

UNIT_M: Final = 1e-7
"""Residuals are in units of 100 nm."""

UNIT: Final = "100 nm"

FILM: Final = MappingProxyType({"preset": "film"})
"""Options of a simulator that shows Ronchigrams."""

LOST: Final = 2
"""So many frames in a row that do not tell the aberrations end an episode."""


@frozen(kw_only=True)
class Measured:
    """What one Ronchigram tells, in m; C1 and A1 up to one common sign.

    Attributes:
        lit: whether there is light.
        c1_m: defocus, not negative; ``None`` where the frame does not tell.
        a1_m: (x, y) of the astigmatism.
        uncertainty_m: standard uncertainties of C1, A1x and A1y.
        trust: how sure the rings are (see `Aberrations`).
        knob_m: read-back of the defocus; 0 where the task does not move it.
    """

    lit: bool
    c1_m: float | None = None
    a1_m: tuple[float, float] | None = None
    uncertainty_m: tuple[float, float, float] | None = None
    trust: float | None = None
    knob_m: float = 0.0


def measure_probe(snapshot: Snapshot, config: RonchigramConfig) -> Measured:
    """Return what the FluCam's frame shows.

    Raises:
        FrameError: pixels that are not numbers, or no calibration.
    """
    frame = snapshot.frames[FLUCAM]
    if frame.pixels.dtype.kind not in "uif":
        msg = f"the frame's pixels are {frame.pixels.dtype}; expected whole or floating numbers"
        raise FrameError(msg)
    given = None if config.pixel_mrad is None else config.pixel_mrad * 1e-3
    pixel_rad = frame.pixel_rad or given
    if pixel_rad is None or not 0 < pixel_rad < np.inf:
        msg = (
            f"the frame's pixel is calibrated as {pixel_rad} rad; calibrate the camera length in "
            "the envelope, or set the task's pixel_mrad"
        )
        raise FrameError(msg)
    shadow = read_ronchigram(frame.pixels, pixel_rad, wavelength_m(config.accelerating_voltage_v))
    knob_m = snapshot.knobs.get(STEM_DEFOCUS, (0.0,))[0]
    found = shadow.aberrations
    if found is None:
        return Measured(lit=shadow.lit, knob_m=knob_m)
    return Measured(
        lit=True,
        c1_m=found.c1,
        a1_m=found.a1,
        uncertainty_m=found.uncertainty,
        trust=found.trust,
        knob_m=knob_m,
    )


class Looking(Generic[C]):
    """What the tasks that look at Ronchigrams have in common, to be named before `Task`.

    Args:
        config: the task's options.
    """

    def __init__(self, config: C) -> None:
        self.config = config

    def measure(self, snapshot: Snapshot) -> Measured:
        """Return what the Ronchigram tells."""
        return measure_probe(snapshot, self.config)

    @property
    def rehearsal(self) -> Mapping[str, Any]:
        """A film under the probe."""
        return FILM

    def sees(self, measured: Measured, source: str) -> bool:
        """Return whether there is light."""
        del source
        return measured.lit


def needs_of(*, defocus_m: float | None = None, stigmator: float | None = None) -> Needs:
    """Return the needs of a task that moves the focus, the stigmator, both or nothing, so far."""
    knobs = {}
    if defocus_m is not None:
        knobs[STEM_DEFOCUS] = KnobNeed(unit="m", size=1, largest_step=defocus_m)
    if stigmator is not None:
        knobs[CONDENSER_STIGMATOR] = KnobNeed(unit="1", size=2, largest_step=(stigmator,) * 2)
    return Needs(
        knobs=knobs,
        sources=(FLUCAM,),
        states={SCREEN: "down", BEAM_BLANKER: "open"},
        reads=(CAMERA_LENGTH_INDEX,),
    )


def numbers_of(measured: Measured, sign: float = 1.0) -> dict[str, float]:
    """Return what is worth recording of a measurement, in nm."""
    numbers = {"told": float(measured.c1_m is not None), "lit": float(measured.lit)}
    if measured.c1_m is None or measured.a1_m is None:
        return numbers
    return numbers | {
        "c1_nm": sign * measured.c1_m * 1e9,
        "a1_x_nm": sign * measured.a1_m[0] * 1e9,
        "a1_y_nm": sign * measured.a1_m[1] * 1e9,
        "trust": measured.trust or 0.0,
    }


def products_of(measured: Measured, sign: float) -> dict[str, Product]:
    """Return C1, A1x and A1y with their uncertainties; nothing where the frame does not tell."""
    if measured.c1_m is None or measured.a1_m is None or measured.uncertainty_m is None:
        return {}
    values = (measured.c1_m, *measured.a1_m)
    return {
        name: Product(value=sign * value, unit="m", uncertainty=unsure)
        for name, value, unsure in zip(
            ("C1", "A1x", "A1y"), values, measured.uncertainty_m, strict=True
        )
    }


def why_untold(measured: Measured) -> str:
    """Return why a frame does not tell the aberrations; empty where it does."""
    if not measured.lit:
        return "no light on the screen: check the beam, the screen and the aperture"
    if measured.c1_m is None:
        return (
            "the frame shows no rings: is an amorphous film in the beam, the disk at least an "
            "eighth of the frame in radius, and the probe some 50 nm out of focus, with A1 below "
            "0.8 of C1?"
        )
    return ""


def true_aberrations(truth: Mapping[str, KnobValue]) -> Floats:
    """Return the true C1, A1x and A1y, (3,) in m."""
    return np.array([*truth["defocus_m"], *truth["astigmatism_m"]])


def exact_changes(away: Floats, truth: Mapping[str, Any], last: int) -> Floats:
    """Return the changes of the knobs that remove errors at the next exposure, (..., last).

    Args:
        away: (..., last) errors in m of the last ones of C1, A1x and A1y.
        truth: what the simulator knows, of one instrument or of n; play is not considered.
        last: how many of the three, and of stem_defocus and the stigmator's components.
    """
    rows = np.asarray(truth["aberration_response"])
    response = rows.reshape(*rows.shape[:-1], 3, 3)[..., -last:, -last:]
    pending = np.asarray(truth.get("aberration_pending_m", (0.0,) * 3))[..., -last:]
    wanted = -away / (1 - np.asarray(truth.get("lag", (0.0,)))) - pending
    change: Floats = np.linalg.solve(response, wanted[..., np.newaxis])[..., 0]
    return change
