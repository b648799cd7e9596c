"""Turns the options into what the instrument offers: ranges of the knobs, states that must hold."""

import math
from typing import Final

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
    EnvelopeSuggestion,
    KnobSpec,
    Suggested,
)
from stempilot_backends.usetem.client.config import UsetemThemisConfig

FLUCAM_HALF_FIELD_RAD: Final = 520 * 0.565e-3
"""From the centre of the published FluCam to its edge at the published calibration."""


@frozen
class _Range:
    lower: float
    upper: float
    step: float
    resolution: float


def knob_specs(config: UsetemThemisConfig) -> dict[str, KnobSpec]:
    """Return range, step and resolution of each offered knob; the same for all its components."""
    first = config.first_camera_length
    last = first + len(config.camera_lengths_mm) - 1
    ranges = {
        DIFFRACTION_SHIFT: _around_zero(
            config.shift_limit_rad, config.shift_step_rad, config.shift_resolution_rad
        ),
        CAMERA_LENGTH_INDEX: _Range(first, last, config.camera_length_step, 0),
        STEM_DEFOCUS: _around_zero(
            config.defocus_limit_m, config.defocus_step_m, config.defocus_resolution_m
        ),
        CONDENSER_STIGMATOR: _around_zero(
            config.stigmator_limit, config.stigmator_step, config.stigmator_resolution
        ),
        BEAM_SHIFT: _around_zero(
            config.beam_shift_limit_m, config.beam_shift_step_m, config.beam_shift_resolution_m
        ),
    }
    offered = (*config.knobs, *((CONDENSER_STIGMATOR,) if config.stigmator else ()))
    return {knob: _spec(knob, ranges[knob]) for knob in offered}


def _around_zero(limit: float, step: float, resolution: float) -> _Range:
    return _Range(-limit, limit, step, resolution)


def _spec(knob: str, span: _Range) -> KnobSpec:
    unit, size = KNOB_UNITS[knob]
    return KnobSpec(
        unit=unit,
        lower=(span.lower,) * size,
        upper=(span.upper,) * size,
        max_change=(span.step,) * size,
        resolution=(span.resolution,) * size,
    )


def required_states(config: UsetemThemisConfig) -> dict[str, str]:
    """Return the states that must hold when the backend opens and at every frame."""
    required = {
        SCREEN: config.require_screen,
        COLUMN_VALVES: config.require_valves,
        BEAM_BLANKER: config.require_beam,
        PROJECTION_MODE: config.require_projection,
        INSTRUMENT_MODE: config.require_mode,
    }
    return {name: value for name, value in required.items() if value is not None}


def suggestion(config: UsetemThemisConfig) -> EnvelopeSuggestion:
    """Return careful limits of the diffraction shift; no other knob is to be moved unasked."""
    limit, step = config.shift_limit_rad, config.shift_step_rad
    reach = min(limit, round(math.sqrt(2) * FLUCAM_HALF_FIELD_RAD, 3))
    rows = {
        "lower": _both(
            -limit,
            "backend.shift_limit_rad. The real range of the diffraction shift is not known.",
            "the values at which the instrument refuses a shift, or the pattern leaves the screen.",
        ),
        "max_step": _both(
            step,
            "backend.shift_step_rad, about two published full actions of 23 mrad.",
            "the largest shift after which the beam still stands still in the next frame.",
        ),
        "resolution": _both(
            config.shift_resolution_rad,
            "backend.shift_resolution_rad, a fiftieth of a published FluCam pixel.",
            "the largest difference of the read-back after writing the same value ten times.",
        ),
        "reach": _both(
            reach,
            "from the centre of the published FluCam to its corner, "
            "520 px x 0.565 mrad x sqrt(2), so that a disk anywhere on it can be centred.",
            "how far the shift must go to bring a disk from the edge of the screen to its centre.",
        ),
    }
    return EnvelopeSuggestion(
        knobs={DIFFRACTION_SHIFT: rows} if DIFFRACTION_SHIFT in config.knobs else {},
        notes=(
            "No limit here was measured at a Themis. Before the first run read "
            "docs/first-day.md, which says what to measure and in which order.",
        ),
    )


def _both(value: float, because: str, measure: str) -> Suggested:
    return Suggested(value=(value, value), because=because, measure=measure)
