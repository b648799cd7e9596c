"""Which methods stand behind knobs and states (wire facts, Types).

Neither `projection.cameraLength` nor `configInfo` is among them: the first returns the index and
sets it when given one, the second evaluates its argument on the server.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

from stempilot import (
    BEAM_BLANKER,
    BEAM_SHIFT,
    CAMERA_LENGTH_INDEX,
    COLUMN_VALVES,
    CONDENSER_STIGMATOR,
    DIFFRACTION_SHIFT,
    INSTRUMENT_MODE,
    KNOB_UNITS,
    PROJECTION_MODE,
    SCREEN,
    STEM_DEFOCUS,
    BackendError,
    KnobValue,
)
from stempilot_backends.usetem.wire.values import boolean, doubles, integer, wrong

IS_BLANKED: Final = "illumination.isBeamBlanked"
GET_SCREEN_CURRENT: Final = "camera.screenCurrent"
IS_STEM_AVAILABLE: Final = "isSTEMAvailable"

CAMERA_LENGTHS_MM: Final = (
    38.0, 48.0, 60.0, 77.0, 100.0, 130.0, 160.0, 195.0, 245.0, 300.0, 380.0,
    480.0, 600.0, 770.0, 940.0, 1200.0, 1500.0, 1900.0, 2400.0, 3000.0, 4100.0,
)  # fmt: skip
"""The public client's table (wire facts, The published instrument)."""

_LARGEST_INT = 2**31 - 1
"""XML-RPC has no larger integers."""

KnobName = Literal["diffraction_shift", "camera_length_index", "stem_defocus", "beam_shift"]


@frozen(kw_only=True)
class WireKnob:
    """How a knob is read and written.

    Attributes:
        knob: its name.
        method: called without arguments it reads, with one it writes.
    """

    knob: str
    method: str

    def reading(self, value: Any) -> KnobValue:
        """Return the reading that a reply holds.

        Raises:
            BackendError: the reply is no reading of this knob.
        """
        unit, size = KNOB_UNITS[self.knob]
        if unit == "index":
            return (float(integer(self.method, value)),)
        return doubles(self.method, value, size)

    def argument(self, value: KnobValue) -> Any:
        """Return the one argument that writes a value: plain numbers, two as ONE array.

        Raises:
            BackendError: wrong number of components, not finite, or a fraction of an index.
        """
        unit, size = KNOB_UNITS[self.knob]
        items = [float(item) for item in value]
        if len(items) != size or not all(map(math.isfinite, items)):
            msg = f"{self.knob} takes {size} finite components in {unit}, not {items}"
            raise BackendError(msg)
        if unit != "index":
            return items if size > 1 else items[0]
        if not items[0].is_integer() or abs(items[0]) > _LARGEST_INT:
            msg = f"{self.knob} = {items[0]:g} is not a whole number of 32 bits"
            raise BackendError(msg)
        return int(items[0])


KNOBS: Final[Mapping[str, WireKnob]] = {
    knob: WireKnob(knob=knob, method=method)
    for knob, method in {
        DIFFRACTION_SHIFT: "projection.diffractionShift",
        CAMERA_LENGTH_INDEX: "projection.cameraLengthIndex",
        STEM_DEFOCUS: "illumination.STEMDefocus",
        CONDENSER_STIGMATOR: "illumination.condenserStigmator",
        BEAM_SHIFT: "illumination.beamShift",
    }.items()
}


@frozen(kw_only=True)
class WireState:
    """How a state is read.

    Attributes:
        method: called without arguments.
        words: what the value on the wire, a whole number or a boolean, is called.
        advice: what the operator should do to bring about a value.
    """

    method: str
    words: Mapping[int, str]
    advice: Mapping[str, str]

    def word(self, value: Any) -> str:
        """Return the value that a reply holds.

        Raises:
            BackendError: the reply is no value of this state.
        """
        kind = type(next(iter(self.words)))
        checked = (boolean if kind is bool else integer)(self.method, value)
        if checked not in self.words:
            raise wrong(self.method, value, f"one of {', '.join(map(str, self.words))}")
        return self.words[checked]


STATES: Final[Mapping[str, WireState]] = {
    SCREEN: WireState(
        method="camera.mainScreenPosition",
        words={1: "unknown", 2: "up", 3: "down"},
        advice={"down": "lower the main screen", "up": "raise the main screen"},
    ),
    BEAM_BLANKER: WireState(
        method=IS_BLANKED,
        words={False: "open", True: "blanked"},
        advice={"open": "unblank the beam", "blanked": "blank the beam"},
    ),
    COLUMN_VALVES: WireState(
        method="vacuum.columnValvesOpen",
        words={False: "closed", True: "open"},
        advice={"open": "open the column valves", "closed": "close the column valves"},
    ),
    INSTRUMENT_MODE: WireState(
        method="mode",
        words={0: "tem", 1: "stem"},
        advice={"tem": "switch to TEM", "stem": "switch to STEM"},
    ),
    PROJECTION_MODE: WireState(
        method="projection.mode",
        words={1: "imaging", 2: "diffraction"},
        advice={
            "imaging": "switch the projector to imaging",
            "diffraction": "switch the projector to diffraction",
        },
    ),
}
