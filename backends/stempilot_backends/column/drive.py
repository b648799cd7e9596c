"""The hidden dynamics between commanded shifts and the deflections of the beams of n columns."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.parameters import ColumnParameters, spread
from stempilot_backends.column.rows import NOTHING

Floats = NDArray[np.float64]


class Drive:
    """Backlash, lag and noise of n knobs, and the drift of their patterns.

    A command drags the played command along with play, the settled deflection follows that with
    lag, and every move leaves a random error behind. Vectors are (2, n): x and y of each column,
    those of a
    knob in its unit. A knob of one component has it in x.

    Args:
        state: (`FIELDS`, n), where all numbers are kept, one column of it for each column.
        parameters: what the columns have in common.
        drawn: (n,) values in place of the parameters', by name.
        play: the parameter that is the half-width of the knob's play.

    Attributes:
        command: What was commanded.
        played: The command after the play of the knob.
        drift: Where the patterns have drifted to, in a unit of the caller's.
    """

    FIELDS: Final = 13

    def __init__(
        self,
        state: Floats,
        parameters: ColumnParameters,
        drawn: Mapping[str, Any] = NOTHING,
        play: str = "backlash_rad",
    ) -> None:
        self._play = play
        self.command, self.played, self._settled = state[0:2], state[2:4], state[4:6]
        self._error, self.drift, self._direction = state[6:8], state[8:10], state[10:12]
        self._noise = state[12]
        self.adopt(parameters, drawn)

    def rest(self, direction: Floats) -> None:
        """Forget everything but the command; the deflection has settled there.

        Args:
            direction: in which the patterns will drift, by a pixel of a cycle's steady drift.
        """
        self.played[...] = self._settled[...] = self.command
        self._error[...] = self.drift[...] = 0.0
        self._direction[...] = direction

    def adopt(self, parameters: ColumnParameters, drawn: Mapping[str, Any] = NOTHING) -> None:
        """Go on with other parameters from the present state."""
        self._parameters = parameters
        self._noise[...] = spread("move", parameters, drawn)
        self._follow()

    def move(self, command: Floats, normals: Floats) -> None:
        """Command absolute shifts; where a command is repeated, nothing changes.

        Args:
            command: (2, n).
            normals: (2, n) standard normal numbers; overwritten.
        """
        change = np.abs(command - self.command)
        size = np.maximum(change[0], change[1])
        size *= self._noise
        normals *= size
        self._error += normals
        self.command[...] = command
        self._follow()

    def advance(self, cycles: float, walk: Floats | None, pixel: float = 1.0) -> None:
        """Let the lag settle and the patterns drift.

        Args:
            cycles: for how long.
            walk: (2, n) standard normal numbers, or ``None`` where nothing walks; overwritten.
            pixel: a pixel in the drift's unit.
        """
        parameters = self._parameters
        if parameters.lag > 0.0:
            self._settled -= self.played
            self._settled *= parameters.lag**cycles
            self._settled += self.played
        if parameters.drift_px_per_cycle > 0.0:
            self.drift += pixel * (parameters.drift_px_per_cycle * cycles) * self._direction
        if walk is not None:
            walk *= pixel * (parameters.drift_walk_px * math.sqrt(cycles))
            self.drift += walk

    @property
    def pending(self) -> Floats:
        """What the lag still holds back: played commands minus settled deflections."""
        return self.played - self._settled

    @property
    def play(self) -> Floats:
        """Commands minus played commands, at most the half-width of the play per axis."""
        return self.command - self.played

    @property
    def deflection(self) -> Floats:
        """The present deflections, with the errors of all moves since they rested."""
        return self._settled + self._error

    @property
    def resting_deflection(self) -> Floats:
        """The deflections once the lag has settled."""
        return self.played + self._error

    def _follow(self) -> None:
        """Drag the played commands along; without lag the deflections are there at once."""
        half: float = getattr(self._parameters, self._play)
        if half == 0.0:
            self.played[...] = self.command
        else:
            np.maximum(self.played, self.command - half, out=self.played)
            np.minimum(self.played, self.command + half, out=self.played)
        if self._parameters.lag == 0.0:
            self._settled[...] = self.played
