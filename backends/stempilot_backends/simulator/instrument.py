"""Draws an instrument from the options."""

import math
from typing import Any

import numpy as np

from stempilot_backends.column import ColumnParameters
from stempilot_backends.simulator.config import SimulatorConfig, Span, ends

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


def draw_instrument(config: SimulatorConfig, rng: np.random.Generator) -> ColumnParameters:
    """Return one instrument; always takes the same number of draws from ``rng``."""
    drawn: dict[str, Any] = {
        "rotation_deg": _uniform(config.rotation_deg, rng),
        "mirrored": _either(config.mirrored, rng),
        "response_scale": _log_uniform(config.scale, rng),
        "axis_ratio": _log_uniform(config.axis_ratio, rng),
        "shear_deg": _uniform(config.shear_deg, rng),
        "action_noise": _uniform(config.action_noise, rng),
        "vibration_px": _uniform(config.vibration_px, rng),
        "semi_angle_rad": _uniform(config.semi_angle_rad, rng),
        "probe_current_a": _log_uniform(config.probe_current_a, rng),
    }
    return ColumnParameters(**drawn, **{name: getattr(config, name) for name in _AS_GIVEN})


def _uniform(span: Span, rng: np.random.Generator) -> float:
    low, high = ends(span)
    return low + (high - low) * float(rng.random())


def _log_uniform(span: Span, rng: np.random.Generator) -> float:
    low, high = ends(span)
    share = float(rng.random())
    return low if low == high else math.exp((1 - share) * math.log(low) + share * math.log(high))


def _either(value: bool | str, rng: np.random.Generator) -> bool:
    tails = bool(rng.random() < 0.5)  # noqa: PLR2004 - a coin
    return value if isinstance(value, bool) else tails
