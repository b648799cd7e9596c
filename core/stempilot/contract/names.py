"""Names, units and sizes that tasks and backends agree on.

A plug-in may use further names; these are the shared ones.
"""

from typing import Final

DIFFRACTION_SHIFT: Final = "diffraction_shift"
"""Knob (x, y) in rad: moves the diffraction pattern on the screen."""

BEAM_SHIFT: Final = "beam_shift"
"""Knob (x, y) in m: moves the probe on the sample."""

STEM_DEFOCUS: Final = "stem_defocus"
"""Knob in m."""

CONDENSER_STIGMATOR: Final = "condenser_stigmator"
"""Knob (x, y), a pure number: makes the probe astigmatic."""

CAMERA_LENGTH_INDEX: Final = "camera_length_index"
"""Knob in ``index``: position in the instrument's table of camera lengths."""

FLUCAM: Final = "flucam"
"""Source: the camera that looks at the phosphor screen."""

SCREEN: Final = "screen"
"""State ``up`` or ``down``; ``unknown`` where the instrument cannot tell."""

SCREEN_CURRENT: Final = "screen_current"
"""Number in A: the current that reaches the phosphor screen."""

CAMERA_LENGTH: Final = "camera_length_m"
"""Number in m: the nominal camera length."""

BEAM_BLANKER: Final = "beam_blanker"
"""State ``open`` or ``blanked``."""

COLUMN_VALVES: Final = "column_valves"
"""State ``open`` or ``closed``."""

INSTRUMENT_MODE: Final = "instrument_mode"
"""State ``tem`` or ``stem``."""

PROJECTION_MODE: Final = "projection_mode"
"""State ``imaging`` or ``diffraction``."""

FILM: Final = "film"
"""State ``in`` or ``out``: the amorphous film of which Ronchigrams are taken."""

KNOB_UNITS: Final = {
    DIFFRACTION_SHIFT: ("rad", 2),
    BEAM_SHIFT: ("m", 2),
    STEM_DEFOCUS: ("m", 1),
    CONDENSER_STIGMATOR: ("1", 2),
    CAMERA_LENGTH_INDEX: ("index", 1),
}
"""Unit and number of components of each shared knob."""

SOURCES: Final = (FLUCAM,)
"""The shared sources."""

NUMBER_UNITS: Final = {SCREEN_CURRENT: "A", CAMERA_LENGTH: "m"}
"""Shared numbers and their units."""

STATES: Final = (SCREEN, BEAM_BLANKER, COLUMN_VALVES, INSTRUMENT_MODE, PROJECTION_MODE, FILM)
"""The shared states."""

UNITS: Final = ("rad", "m", "s", "A", "V", "1", "index")
"""Units that a `stempilot.KnobSpec` may use; prefixes belong in the display, not here."""

GOAL_KINDS: Final = ("centre", "raise")
"""Kinds of goals; `stempilot.Centre` and `stempilot.Raise` are such goals."""
