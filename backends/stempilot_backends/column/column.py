"""The electron-optical column as the simulator and the emulator share it."""

import math
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from stempilot_backends.column.drive import Drive
from stempilot_backends.column.frame.camera import Camera, scene
from stempilot_backends.column.frame.pattern import pattern
from stempilot_backends.column.frame.scene import Pattern, Scene
from stempilot_backends.column.matrix import Vector, apply, inverse, product
from stempilot_backends.column.parameters import TOLD, ColumnParameters, spread
from stempilot_backends.column.response import (
    distort,
    distortion_jacobian,
    pattern_matrix,
    response_matrix,
    undistort,
)
from stempilot_backends.column.specimen import is_bare, shares_now, specimen

DIFFRACTION_SHIFT = "diffraction_shift"
CAMERA_LENGTH_INDEX = "camera_length_index"
SHIFT_LIMIT_RAD = 1000.0
"""Larger shifts are refused: they are no angles, and the arithmetic stays finite."""


class Column:
    """A bright-field disk that a knob moves over a camera, with all that is hidden in between.

    The column has its own random state and no clock: time passes in `advance` only. The same
    parameters, seed and calls give the same bytes.

    Attributes:
        beam_blanked: Whether the beam is blanked; frames then show the background only.
    """

    def __init__(self, parameters: ColumnParameters, seed: np.random.SeedSequence) -> None:
        self._parameters = parameters
        self.beam_blanked = False
        self._screen = "down"
        self._truth: dict[str, tuple[float, ...]] | None = None
        self._drive = Drive(np.zeros((Drive.FIELDS, 1)), parameters)
        self._adopt(parameters)
        self.reseed(seed)

    @property
    def parameters(self) -> ColumnParameters:
        """The present parameters."""
        return self._parameters

    @property
    def screen(self) -> str:
        """Position of the screen, "down" or "up"; up, frames show the background only."""
        return self._screen

    @screen.setter
    def screen(self, position: str) -> None:
        if position not in ("down", "up"):
            raise ValueError(f"screen = {position!r} is unknown; choose 'down' or 'up'")
        self._screen = position

    def set(self, knob: str, value: tuple[float, ...]) -> None:
        """Command an absolute value; repeating a command changes nothing.

        Args:
            knob: "diffraction_shift" (x, y) in radians or "camera_length_index" (i,).
            value: One number per component.

        Raises:
            ValueError: the knob is unknown, or the value has the wrong size or range.
        """
        if knob == DIFFRACTION_SHIFT:
            command = _shift(value)
            if command != self.get(knob):
                self._drive.move(np.array(command)[:, np.newaxis], self._normals())
        elif knob == CAMERA_LENGTH_INDEX:
            self.change(camera_length_index=_whole(value))
        else:
            raise _unknown(knob)

    def get(self, knob: str) -> tuple[float, ...]:
        """Return what was commanded.

        Raises:
            ValueError: the knob is unknown.
        """
        if knob == DIFFRACTION_SHIFT:
            return _pair(self._drive.command)
        if knob == CAMERA_LENGTH_INDEX:
            return (float(self._parameters.camera_length_index),)
        raise _unknown(knob)

    def advance(self, dt_s: float) -> None:
        """Let ``dt_s`` pass: the lag settles and the pattern drifts.

        Raises:
            ValueError: ``dt_s`` is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0.0):
            raise ValueError(f"dt_s = {dt_s!r} must be finite and at least 0 s")
        parameters = self._parameters
        cycles = dt_s / parameters.cycle_s
        self._cycles += cycles
        self._drive.advance(cycles, self._normals(), parameters.pixel_rad_in_use)

    def expose(self, exposure_s: float) -> NDArray[np.uint16]:
        """Return a new frame, shape (side, side) as (row, col), in digital numbers.

        The beam stands still during the exposure; call `advance` for the time it takes.

        Raises:
            ValueError: ``exposure_s`` is not above 0 s or not finite.
        """
        if not (math.isfinite(exposure_s) and exposure_s > 0.0):
            raise ValueError(f"exposure_s = {exposure_s!r} must be finite and above 0 s")
        shake_px = _pair(self._shake_px * self._normals())
        self._truth = self._look(shake_px)
        lit = self._screen == "down" and not self.beam_blanked
        x, y = self._truth["position_px"]
        image = scene(self._parameters, (x, y) if lit else None, exposure_s)
        if is_bare(self._parameters):
            return self._camera.expose(self._parameters, image)
        return self._camera.expose(self._parameters, *self._beside(image, shake_px))

    def reseed(self, seed: np.random.SeedSequence) -> None:
        """Forget all hidden state; the deflection has settled at the present knob.

        That is the noise, the play of the backlash, the pending part of a move, drift and its
        direction, the errors of past moves, and the misalignment. Knobs, parameters, screen and
        blanking stay.
        """
        self._mechanics, electronics, self._flicker = _generators(seed)
        self._cycles = 0.0
        self._camera = Camera(electronics)
        angle = self._mechanics.uniform(0.0, 2.0 * math.pi)
        self._drive.rest(np.array([[math.cos(angle)], [math.sin(angle)]]))
        self._misalignment_rad: Vector = (0.0, 0.0)
        self._truth = None

    def misalign(self, position_px: tuple[float, float]) -> None:
        """Set the misalignment with which the disk settles at ``position_px`` at the present knob.

        Args:
            position_px: Observed position (x, y) from the frame centre.

        Raises:
            ValueError: the position is not finite or the distortion never reaches it.
        """
        if not all(map(math.isfinite, position_px)):
            raise ValueError(f"position_px = {position_px!r} must be finite")
        x, y = undistort((float(position_px[0]), float(position_px[1])), self._parameters)
        rx, ry = apply(self._response, _pair(self._drive.resting_deflection))
        mx, my = apply(inverse(self._pattern), (x - rx, y - ry))
        dx, dy = _pair(self._drive.drift)
        self._misalignment_rad = (float(mx - dx), float(my - dy))

    def change(self, **parameters: Any) -> None:
        """Change parameters in mid-run; knobs and hidden state stay, so the disk may jump.

        A changed camera length magnifies the pattern, its misalignment and the response.

        Raises:
            TypeError: there is no such parameter.
            ValueError: a value is outside its range; nothing has then changed.
        """
        self._adopt(evolve(self._parameters, **parameters))

    def truth(self) -> dict[str, tuple[float, ...]]:
        """Return the hidden state at the last exposure, or the present one before the first.

        Returns:
            position_px: True observed centre (x, y) from the frame centre, with vibration.
            jacobian_px_per_rad: d position / d knob there with distortion, row by row.
            pending_rad: Played command minus settled deflection (x, y).
            play_rad: Command minus played command (x, y).
            radius_px: Radius of the disk.
            pixel_rad: Angle of a pixel.
            lag, backlash_rad, ...: The parameters that are told.
        """
        return dict(self._look((0.0, 0.0)) if self._truth is None else self._truth)

    def _adopt(self, parameters: ColumnParameters) -> None:
        self._parameters = parameters
        self._drive.adopt(parameters)
        self._pattern = pattern_matrix(parameters)
        self._response = response_matrix(parameters)
        self._shake_px = spread("exposure", parameters)

    def _normals(self) -> NDArray[np.float64]:
        return self._mechanics.standard_normal((2, 1))

    def _ideal_px(self) -> Vector:
        """Return where the direct beam belongs, without distortion and vibration."""
        (mx, my), (dx, dy) = self._misalignment_rad, _pair(self._drive.drift)
        ox, oy = apply(self._pattern, (mx + dx, my + dy))
        rx, ry = apply(self._response, _pair(self._drive.deflection))
        return (ox + rx, oy + ry)

    def _beside(self, image: Scene, shake_px: Vector) -> tuple[Scene, Pattern]:
        """Return the scene as the specimen changes it, and what there is beside it."""
        parameters = self._parameters
        of = specimen(parameters)
        shares = shares_now(of, self._cycles, self._flicker)
        x, y = self._ideal_px()
        away = parameters.semi_angle_rad * of.places[1:].T
        dx, dy = apply(self._pattern, (away[0], away[1]))
        found = np.transpose(distort((x + dx, y + dy), parameters))
        centres = found + shake_px + (parameters.frame_side_px - 1) / 2
        disks = np.column_stack([centres, shares[1:]])
        a, b, c, d = (parameters.pixel_rad_in_use * each for each in self._pattern)
        seen = pattern(parameters, image, of, disks, (a, b, c, d))
        return image._replace(disk_e=image.disk_e * float(shares[0])), seen

    def _look(self, shake_px: Vector) -> dict[str, tuple[float, ...]]:
        parameters, drive = self._parameters, self._drive
        ideal = self._ideal_px()
        x, y = distort(ideal, parameters)
        return {
            "position_px": (x + shake_px[0], y + shake_px[1]),
            "jacobian_px_per_rad": product(distortion_jacobian(ideal, parameters), self._response),
            "pending_rad": _pair(drive.pending),
            "play_rad": _pair(drive.play),
            "radius_px": (parameters.radius_px,),
            "pixel_rad": (parameters.pixel_rad_in_use,),
            **{name: (float(getattr(parameters, name)),) for name in TOLD},
        }


def _generators(seed: np.random.SeedSequence) -> tuple[np.random.Generator, ...]:
    """Return generators for what moves the disk, what the camera adds, and what a crystal changes.

    Apart, the path of the disk does not depend on the pixels drawn. ``seed.spawn`` would count
    its calls, so that the same seed gave something else the second time.
    """
    parts = (
        np.random.SeedSequence(
            entropy=seed.entropy, spawn_key=(*seed.spawn_key, part), pool_size=seed.pool_size
        )
        for part in range(3)
    )
    return tuple(map(np.random.default_rng, parts))


def _pair(vectors: NDArray[np.float64]) -> Vector:
    """Return the vector of one column as plain numbers."""
    x, y = vectors[:, 0].tolist()
    return (x, y)


def _shift(value: tuple[float, ...]) -> Vector:
    x, y = _sized(DIFFRACTION_SHIFT, value, 2)
    if not (abs(x) <= SHIFT_LIMIT_RAD and abs(y) <= SHIFT_LIMIT_RAD):
        raise ValueError(
            f"{DIFFRACTION_SHIFT} = {value} rad must be finite and within ±{SHIFT_LIMIT_RAD:g} rad"
        )
    return (x, y)


def _whole(value: tuple[float, ...]) -> int:
    (number,) = _sized(CAMERA_LENGTH_INDEX, value, 1)
    if not number.is_integer():
        raise ValueError(f"{CAMERA_LENGTH_INDEX} = {number} must be a whole number")
    return int(number)


def _sized(knob: str, value: tuple[float, ...], size: int) -> tuple[float, ...]:
    if len(value) != size:
        raise ValueError(f"{knob} = {value} has {len(value)} components; it takes {size}")
    return tuple(float(component) for component in value)


def _unknown(knob: str) -> ValueError:
    return ValueError(
        f"knob {knob!r} is unknown; this column has {DIFFRACTION_SHIFT} and {CAMERA_LENGTH_INDEX}"
    )
