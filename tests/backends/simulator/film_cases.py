"""A film as options, and what else of its Ronchigram options change."""

from typing import Any

SHOWN: dict[str, Any] = {
    "film": True,
    "semi_angle_rad": 30e-3,
    "camera_length_index": 15,
    "probe_current_a": 100e-12,
    "start_range": 0.0,
    "coma_m": 50e-9,
    "threefold_m": 50e-9,
    "start_side": "over",
}
DIFFERENT: dict[str, Any] = {
    "film": False,
    "film_drift_m": 0.2e-9,
    "accelerating_voltage_v": 200e3,
    "defocus_scale": 1.05,
    "defocus_backlash_m": 5e-9,
    "stigmator_mirrored": True,
    "stigmator_rotation_deg": 40.0,
    "stigmator_scale": 1.2,
    "stigmator_focus_x": 0.1,
    "stigmator_focus_y": 0.1,
    "stigmator_backlash": 2e-3,
    "coma_m": 0.0,
    "coma_deg": 40.0,
    "threefold_m": 0.0,
    "threefold_deg": 40.0,
    "spherical_m": 1e-6,
    "start_defocus_m": 150e-9,
    "start_side": "under",
    "start_astigmatism_m": 30e-9,
}
"""What changes the Ronchigram; without a film it changes nothing."""
