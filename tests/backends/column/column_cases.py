"""What the tests of column share."""

from typing import Any

import numpy as np
from attrs import evolve

from stempilot_backends.column import Column, ColumnParameters

SMALL = ColumnParameters(
    frame_side_px=128, semi_angle_rad=12 * 0.565e-3, rotation_deg=0.0, action_noise=0.0
)


RESTLESS = evolve(
    SMALL,
    action_noise=0.1,
    backlash_rad=1e-3,
    lag=0.3,
    drift_px_per_cycle=0.5,
    drift_walk_px=1.0,
    vibration_px=2.0,
)


PIXEL = 0.565e-3


SHIFT = "diffraction_shift"


def seed(number: int = 0, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(number, spawn_key=key)


def column(parameters: ColumnParameters = SMALL, number: int = 0, **changes: Any) -> Column:
    return Column(evolve(parameters, **changes), seed(number))


def position(of: Column) -> tuple[float, ...]:
    """Expose and return the true position."""
    of.expose(0.17)
    return of.truth()["position_px"]


def centre(frame: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass (x, y) of what is well above the background."""
    light = np.where(frame > 300, frame.astype(float) - 101, 0.0)
    rows, columns = np.indices(frame.shape) - (len(frame) - 1) / 2
    return float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())


def used(number: int) -> Column:
    """Return a column with a past of its own."""
    old = column(RESTLESS, number)
    rng = np.random.default_rng(number)
    old.misalign((30.0 * number, -5.0))
    for _ in range(number + 1):
        old.set(SHIFT, (float(rng.uniform(-0.02, 0.02)), 0.01))
        old.advance(0.1)
        old.expose(0.17)
    return old


def steps(of: Column) -> list[tuple[bytes, dict[str, tuple[float, ...]]]]:
    """Drive a column through the same commands and return all it shows."""
    shown = []
    for x in (0.003, -0.01, -0.004):
        of.set(SHIFT, (x, 2 * x))
        of.advance(0.18)
        shown.append((of.expose(0.17).tobytes(), of.truth()))
    return shown


CHANGES: dict[str, Any] = {
    "frame_side_px": 64,
    "pixel_rad": 0.6e-3,
    "camera_lengths_m": tuple(0.01 * (i + 1) ** 2 for i in range(21)),
    "camera_length_index": 8,
    "reference_camera_length_index": 8,
    "camera_length_rotation_deg": (10.0,) * 21,
    "rotation_deg": 10.0,
    "scale": 1.5,
    "axis_ratio": 1.2,
    "shear_deg": 5.0,
    "mirrored": True,
    "action_noise": 0.2,
    "backlash_rad": 2e-3,
    "lag": 0.5,
    "cycle_s": 0.3,
    "drift_px_per_cycle": 2.0,
    "drift_walk_px": 3.0,
    "vibration_px": 1.0,
    "distortion_gain": 0.2,
    "distortion_swirl_rad": 0.2,
    "probe_current_a": 9e-12,
    "semi_angle_rad": 10 * PIXEL,
    "gain_dn_per_electron": 0.9,
    "read_noise_e": 5.0,
    "background_e_per_px": 2.0,
    "offset_dn": 101.0,
    "hot_pixels": 6,
    "hot_pixel_seed": 1,
    "vignetting": 0.1,
    "halo": 1.0,
    "halo_radii": 2.0,
    "ring": 0.2,
    "ring_radii": 3.0,
    "grains": 30,
    "diffracted": 1.0,
    "spacing_radii": 2.5,
    "gradient": 2.0,
    "bands": 0.5,
    "defects": True,
    "beam_stop_radii": 1.0,
    "specimen_seed": 3,
    "film": True,
    "film_drift_m": 0.3e-9,
    "accelerating_voltage_v": 200e3,
    "defocus_scale": 1.1,
    "defocus_backlash_m": 10e-9,
    "stigmator_mirrored": True,
    "stigmator_rotation_deg": 60.0,
    "stigmator_scale": 2.0,
    "stigmator_focus_x": 0.1,
    "stigmator_focus_y": 0.1,
    "stigmator_backlash": 5e-3,
    "coma_m": 1e-6,
    "coma_deg": 90.0,
    "threefold_m": 1e-6,
    "threefold_deg": 90.0,
    "spherical_m": 20e-6,
}
