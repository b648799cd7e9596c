"""The hidden dynamics between a commanded shift and the deflection of the beam."""

import math

import numpy as np

from stempilot_backends.column.parameters import ColumnParameters
from stempilot_backends.column.response import Vector


class Drive:
    """Backlash, lag and action noise of the knob, and the drift of the pattern.

    A command drags the played command along with play, the settled deflection follows that with
    lag, and every move leaves a random error behind. Deflections are in radians of the knob,
    the drift in radians of the pattern.

    Attributes:
        command: What was commanded (x, y), in radians.
        played: The command after the play of the knob.
        drift_rad: Drift of the pattern (x, y) so far.
    """

    def __init__(self, parameters: ColumnParameters, rng: np.random.Generator) -> None:
        self.command: Vector = (0.0, 0.0)
        self.reset(parameters, rng)

    def reset(self, parameters: ColumnParameters, rng: np.random.Generator) -> None:
        """Forget everything but the command; the deflection has settled there."""
        self._parameters = parameters
        self._rng = rng
        self.played = self.command
        self._settled = self.command
        self._error: Vector = (0.0, 0.0)
        self.drift_rad: Vector = (0.0, 0.0)
        angle = rng.uniform(0.0, 2.0 * math.pi)
        self._direction: Vector = (math.cos(angle), math.sin(angle))

    def adopt(self, parameters: ColumnParameters) -> None:
        """Go on with other parameters from the present state."""
        self._parameters = parameters
        self._follow()

    def move(self, command: Vector) -> None:
        """Command an absolute shift in radians; repeating a command changes nothing."""
        if command == self.command:
            return
        dx, dy = command[0] - self.command[0], command[1] - self.command[1]
        spread = self._parameters.action_noise * max(abs(dx), abs(dy))
        self._error = self._jolt(self._error, spread)
        self.command = command
        self._follow()

    def advance(self, dt_s: float) -> None:
        """Let the lag settle and the pattern drift for ``dt_s``."""
        parameters = self._parameters
        cycles = dt_s / parameters.cycle_s
        left = parameters.lag**cycles
        px, py = self.pending
        self._settled = (self.played[0] - left * px, self.played[1] - left * py)
        steady = parameters.drift_px_per_cycle * cycles
        walk = parameters.drift_walk_px * math.sqrt(cycles)
        dx, dy = self._direction
        pixel_rad = self._parameters.pixel_rad_in_use
        x, y = self.drift_rad
        met = (x + pixel_rad * steady * dx, y + pixel_rad * steady * dy)
        self.drift_rad = self._jolt(met, pixel_rad * walk)

    @property
    def pending(self) -> Vector:
        """What the lag still holds back: played command minus settled deflection."""
        return (self.played[0] - self._settled[0], self.played[1] - self._settled[1])

    @property
    def play(self) -> Vector:
        """Command minus played command, at most ``backlash_rad`` per axis."""
        return (self.command[0] - self.played[0], self.command[1] - self.played[1])

    @property
    def deflection(self) -> Vector:
        """The present deflection, with the errors of all moves since the reset."""
        return (self._settled[0] + self._error[0], self._settled[1] + self._error[1])

    @property
    def resting_deflection(self) -> Vector:
        """The deflection once the lag has settled."""
        return (self.played[0] + self._error[0], self.played[1] + self._error[1])

    def _follow(self) -> None:
        """Drag the played command along; without lag the deflection is there at once."""
        half = self._parameters.backlash_rad
        (cx, cy), (px, py) = self.command, self.played
        self.played = (min(max(px, cx - half), cx + half), min(max(py, cy - half), cy + half))
        if self._parameters.lag == 0.0:
            self._settled = self.played

    def _jolt(self, vector: Vector, spread: float) -> Vector:
        nx, ny = self._rng.standard_normal(2)
        return (vector[0] + spread * float(nx), vector[1] + spread * float(ny))
