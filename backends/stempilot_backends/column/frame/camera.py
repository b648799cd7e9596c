"""The camera: a frame of the disk with fresh noise in every pixel."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.frame.flaws import flaws
from stempilot_backends.column.frame.kernels import (
    SATURATION_DN,
    draw_at,
    draw_pattern,
    draw_scene,
)
from stempilot_backends.column.frame.level import level_table
from stempilot_backends.column.frame.pattern import NO_PATTERN
from stempilot_backends.column.frame.scene import Electronics, Pattern, Scene
from stempilot_backends.column.matrix import Vector
from stempilot_backends.column.parameters import PUBLISHED_EXPOSURE_S, ColumnParameters

ELEMENTARY_CHARGE_C = 1.602176634e-19
"""Charge of an electron, exact in the SI."""

_HOT_FROM_DN = 0.9 * SATURATION_DN


def scene(parameters: ColumnParameters, position_px: Vector | None, exposure_s: float) -> Scene:
    """Return the scene with the disk at ``position_px`` from the frame centre, or without one."""
    middle = (parameters.frame_side_px - 1) / 2
    radius = parameters.radius_px
    background = parameters.background_e_per_px * exposure_s / PUBLISHED_EXPOSURE_S
    if position_px is None:
        return Scene(middle, middle, radius, background, 0.0)
    electrons = parameters.probe_current_a * exposure_s / ELEMENTARY_CHARGE_C
    density = electrons / (math.pi * radius**2)
    return Scene(position_px[0] + middle, position_px[1] + middle, radius, background, density)


class Camera:
    """Draws frames; the random state is its own."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._counter = rng.integers(0, 2**64, size=1, dtype=np.uint64)

    def expose(
        self, parameters: ColumnParameters, scene: Scene, pattern: Pattern | None = None
    ) -> NDArray[np.uint16]:
        """Return a new (side, side) frame in digital numbers.

        Args:
            parameters: of the column.
            scene: the direct disk and the background.
            pattern: what there is beside them.
        """
        frame = np.empty((parameters.frame_side_px, parameters.frame_side_px), np.uint16)
        electronics = Electronics(
            parameters.gain_dn_per_electron, parameters.read_noise_e, parameters.offset_dn
        )
        background = level_table(scene.background_e, electronics)
        if pattern is None and parameters.vignetting == 0.0:
            disk = level_table(scene.background_e + scene.disk_e, electronics)
            draw_scene(frame, scene, (background, disk), self._counter, self._rng)
        else:
            # No two pixels share a level, so each is drawn singly: slower than the tables.
            loss, light = parameters.vignetting, pattern or NO_PATTERN
            draw_pattern(frame, scene, light, background, loss, self._counter, self._rng)
        if parameters.hot_pixels:
            self._draw_hot(frame, parameters, electronics)
        if parameters.defects:
            flaws(parameters).spoil(frame, parameters.offset_dn)
        return frame

    def _draw_hot(
        self, frame: NDArray[np.uint16], parameters: ColumnParameters, electronics: Electronics
    ) -> None:
        places, values_dn = _hot_pixels(
            parameters.frame_side_px, parameters.hot_pixels, parameters.hot_pixel_seed
        )
        means_e = (values_dn - electronics.offset_dn).clip(0.0) / electronics.gain_dn_per_electron
        draw_at(frame.reshape(-1), places, means_e, electronics, self._rng)


@lru_cache(maxsize=8)
def _hot_pixels(side: int, number: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the flat indices and the mean digital numbers of the hot pixels."""
    rng = np.random.default_rng(seed)
    places = rng.choice(side * side, size=number, replace=False)
    return places, rng.uniform(_HOT_FROM_DN, SATURATION_DN, size=number)
