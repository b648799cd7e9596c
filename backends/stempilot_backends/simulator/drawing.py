"""Draws an instrument from the options."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stempilot_backends.column import ColumnParameters
from stempilot_backends.simulator.options import SimulatorConfig, Span, ends

_AS_GIVEN = (
    "backlash_rad",
    "lag",
    "drift_px_per_cycle",
    "drift_walk_px",
    "distortion_gain",
    "distortion_swirl_rad",
    "gain_dn_per_electron",
    "read_noise_e",
    "background_e_per_px",
    "hot_pixels",
    "vignetting",
    "camera_length_index",
)


DRAWS = 9
"""Uniform numbers that one instrument takes."""

Numbers = Any
"""A float or an array of floats; results are what the arguments are."""


def draw_instrument(config: SimulatorConfig, rng: np.random.Generator) -> ColumnParameters:
    """Return one instrument; always takes the same number of draws from ``rng``."""
    drawn = drawn_parameters(config, rng.random(DRAWS).tolist())
    return ColumnParameters(**drawn, **shared_parameters(config))


def drawn_parameters(config: SimulatorConfig, shares: Sequence[Numbers]) -> dict[str, Numbers]:
    """Return what differs from instrument to instrument, by the column's parameter.

    Args:
        config: the options.
        shares: `DRAWS` uniform numbers from 0 to 1, or as many arrays of them, one number per
            instrument.
    """
    turn, hand, scale, ratio, shear, noise, vibration, angle, current = shares
    return {
        "rotation_deg": _uniform(config.rotation_deg, turn),
        "mirrored": _either(config.mirrored, hand),
        "response_scale": _log_uniform(config.scale, scale),
        "axis_ratio": _log_uniform(config.axis_ratio, ratio),
        "shear_deg": _uniform(config.shear_deg, shear),
        "action_noise": _uniform(config.action_noise, noise),
        "vibration_px": _uniform(config.vibration_px, vibration),
        "semi_angle_rad": _uniform(config.semi_angle_rad, angle),
        "probe_current_a": _log_uniform(config.probe_current_a, current),
    }


def shared_parameters(config: SimulatorConfig) -> dict[str, Any]:
    """Return what all instruments of the options have in common, by the column's parameter."""
    return {name: getattr(config, name) for name in _AS_GIVEN}


def _uniform(span: Span, share: Numbers) -> Numbers:
    low, high = ends(span)
    return low + (high - low) * share


def _log_uniform(span: Span, share: Numbers) -> Numbers:
    low, high = ends(span)
    if low == high:
        return low + 0.0 * share
    exponential = np.exp if isinstance(share, np.ndarray) else math.exp
    return exponential((1 - share) * math.log(low) + share * math.log(high))


def _either(value: bool | str, share: Numbers) -> Any:
    tails = share < 0.5  # noqa: PLR2004 - a coin
    return tails if value == "either" else value | (tails & False)
