"""The electron-optical column as the simulator and the emulator share it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from stempilot_backends.column.drive import Drive, Floats
from stempilot_backends.column.film import fresh_area
from stempilot_backends.column.frame.camera import Camera, scene
from stempilot_backends.column.frame.flaws import beam_stop
from stempilot_backends.column.frame.pattern import NO_PATTERN, pattern
from stempilot_backends.column.frame.ronchigram import ronchigram
from stempilot_backends.column.frame.scene import Pattern, Scene
from stempilot_backends.column.matrix import Vector, apply, inverse, product
from stempilot_backends.column.parameters import TOLD, ColumnParameters, spread
from stempilot_backends.column.probe import (
    Aberrations,
    aberrations,
    probe_response,
    turned_astigmatism,
)
from stempilot_backends.column.response import (
    distort,
    distortion_jacobian,
    pattern_matrix,
    response_matrix,
    undistort,
)
from stempilot_backends.column.specimen import is_bare, shares_now, specimen

DIFFRACTION_SHIFT = "diffraction_shift"
STEM_DEFOCUS = "stem_defocus"
CONDENSER_STIGMATOR = "condenser_stigmator"
CAMERA_LENGTH_INDEX = "camera_length_index"


class _Reach(NamedTuple):
    """What a knob takes: larger values mean nothing, and the arithmetic stays finite."""

    size: int
    limit: float
    unit: str
    play: str


_KNOBS = {
    DIFFRACTION_SHIFT: _Reach(2, 1000.0, " rad", "backlash_rad"),
    STEM_DEFOCUS: _Reach(1, 1.0, " m", "defocus_backlash_m"),
    CONDENSER_STIGMATOR: _Reach(2, 1000.0, "", "stigmator_backlash"),
}
"""Knobs with play, lag and noise."""


class Column:
    """What knobs do to the camera's frames, with all that is hidden in between.

    Frames show the bright-field disk, which the diffraction shift moves. Where a film is in and
    the disk is large, they show a Ronchigram, which focus and stigmator change.

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
        self._drives = {
            knob: Drive(np.zeros((Drive.FIELDS, 1)), parameters, play=reach.play)
            for knob, reach in _KNOBS.items()
        }
        self._drive = self._drives[DIFFRACTION_SHIFT]
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
            knob: "diffraction_shift" (x, y) in radians, "stem_defocus" (d,) in metres,
                "condenser_stigmator" (x, y) or "camera_length_index" (i,).
            value: One number per component.

        Raises:
            ValueError: the knob is unknown, or the value has the wrong size or range.
        """
        if knob in _KNOBS:
            command = _command(knob, value)
            if command != self.get(knob):
                both = (*command, 0.0)[:2]
                self._drives[knob].move(np.array(both)[:, np.newaxis], self._normals())
        elif knob == CAMERA_LENGTH_INDEX:
            self.change(camera_length_index=_whole(value))
        else:
            raise _unknown(knob)

    def get(self, knob: str) -> tuple[float, ...]:
        """Return what was commanded.

        Raises:
            ValueError: the knob is unknown.
        """
        if knob in _KNOBS:
            return _pair(self._drives[knob].command)[: _KNOBS[knob].size]
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
        for knob in (STEM_DEFOCUS, CONDENSER_STIGMATOR):
            self._drives[knob].advance(cycles, None)

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
        if self._parameters.shows_ronchigram:
            return self._camera.expose(self._parameters, *self._shadow(image))
        if is_bare(self._parameters):
            return self._camera.expose(self._parameters, image)
        return self._camera.expose(self._parameters, *self._beside(image, shake_px))

    def reseed(self, seed: np.random.SeedSequence) -> None:
        """Forget all hidden state; the deflection has settled at the present knob.

        That is the noise, the play of the backlash, the pending part of a move, drift and its
        direction, the errors of past moves, and the misalignment. Knobs, parameters, screen and
        blanking stay.
        """
        self._mechanics, electronics, self._flicker, places = _generators(seed)
        self._cycles = 0.0
        self._camera = Camera(electronics)
        angle = self._mechanics.uniform(0.0, 2.0 * math.pi)
        self._drive.rest(np.array([[math.cos(angle)], [math.sin(angle)]]))
        for knob in (STEM_DEFOCUS, CONDENSER_STIGMATOR):
            self._drives[knob].rest(np.zeros((2, 1)))
        self._area, self._film_turn = fresh_area(places), places.uniform(0.0, 2.0 * math.pi)
        self._misalignment_rad: Vector = (0.0, 0.0)
        self._misfocus_m = np.zeros(3)
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

    def misfocus(self, c1_m: float, a1_m: Vector) -> None:
        """Set what the aberrations settle at, at the present knobs.

        Args:
            c1_m: Defocus.
            a1_m: Twofold astigmatism (x, y).
        """
        played = self._probe_knobs(lambda drive: drive.resting_deflection)
        self._misfocus_m = np.array([c1_m, *a1_m]) - self._probe_response @ played

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

            Where the frame is a Ronchigram, also the aberrations that it shows, about the middle
            of the disk: defocus_m, astigmatism_m (x, y), aberration_response, which is
            d (C1, A1x, A1y) / d (focus knob, stigmator x, stigmator y), row by row, and
            aberration_pending_m, what of C1, A1x and A1y the lag holds back.
        """
        return dict(self._look((0.0, 0.0)) if self._truth is None else self._truth)

    def _adopt(self, parameters: ColumnParameters) -> None:
        self._parameters = parameters
        for drive in self._drives.values():
            drive.adopt(parameters)
        self._probe_response = probe_response(parameters)
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

    def _probe_knobs(self, of: Callable[[Drive], Floats]) -> Floats:
        """Return (3,) of the focus knob and the stigmator."""
        focus, stigmator = self._drives[STEM_DEFOCUS], self._drives[CONDENSER_STIGMATOR]
        return np.concatenate([of(focus)[:1, 0], of(stigmator)[:, 0]])

    def _aberrations(self) -> Aberrations:
        knobs = self._probe_knobs(lambda drive: drive.deflection)
        return aberrations(self._parameters, self._misfocus_m + self._probe_response @ knobs)

    def _shadow(self, image: Scene) -> tuple[Scene, Pattern]:
        """Return the scene without its disk, and the Ronchigram that takes its place."""
        if image.disk_e == 0.0:
            return image, NO_PATTERN
        (x, y), drift = self._area.place_m, self._cycles * self._parameters.film_drift_m
        drifted = x + drift * math.cos(self._film_turn), y + drift * math.sin(self._film_turn)
        area = evolve(self._area, place_m=drifted)
        wave = ronchigram(self._parameters, image, self._aberrations(), area)
        stop = beam_stop(self._parameters)
        return image._replace(disk_e=0.0, radius=0.0), NO_PATTERN._replace(wave=wave, stop=stop)

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
            **(self._told_of_probe() if parameters.shows_ronchigram else {}),
        }

    def _told_of_probe(self) -> dict[str, tuple[float, ...]]:
        parameters, probe = self._parameters, self._aberrations()
        turn = turned_astigmatism(parameters)
        response = turn @ self._probe_response
        pending = response @ self._probe_knobs(lambda drive: drive.pending)
        return {
            "defocus_m": (probe.c1,),
            "astigmatism_m": (probe.a1.real, probe.a1.imag),
            "aberration_response": tuple(response.ravel().tolist()),
            "aberration_pending_m": tuple(pending.tolist()),
        }


def _generators(seed: np.random.SeedSequence) -> tuple[np.random.Generator, ...]:
    """Return generators: what moves the disk, the camera, a crystal's changes, and a film's place.

    Apart, the path of the disk does not depend on the pixels drawn. ``seed.spawn`` would count
    its calls, so that the same seed gave something else the second time.
    """
    parts = (
        np.random.SeedSequence(
            entropy=seed.entropy, spawn_key=(*seed.spawn_key, part), pool_size=seed.pool_size
        )
        for part in range(4)
    )
    return tuple(map(np.random.default_rng, parts))


def _pair(vectors: NDArray[np.float64]) -> Vector:
    """Return the vector of one column as plain numbers."""
    x, y = vectors[:, 0].tolist()
    return (x, y)


def _command(knob: str, value: tuple[float, ...]) -> tuple[float, ...]:
    size, limit, unit, _ = _KNOBS[knob]
    command = _sized(knob, value, size)
    if not all(abs(component) <= limit for component in command):
        raise ValueError(f"{knob} = {value}{unit} must be finite and within ±{limit:g}{unit}")
    return command


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
    known = ", ".join([*_KNOBS, CAMERA_LENGTH_INDEX])
    return ValueError(f"knob {knob!r} is unknown; this column has {known}")
