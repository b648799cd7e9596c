"""n probes on films at once, as arrays, at the level of measurements: no Ronchigram is drawn.

The physics is that of `stempilot_backends.column.Column`, which tests hold it against; what would
be read of the frames comes from `stempilot_backends.column.shadows`.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.drive import Drive, Floats
from stempilot_backends.column.normal import draw_normal
from stempilot_backends.column.parameters import ColumnParameters
from stempilot_backends.column.probe import probe_response
from stempilot_backends.column.shadows import dose_e, read

Rows = NDArray[np.intp]

KNOBS: Final = {
    "stem_defocus": (1, "defocus_backlash_m"),
    "condenser_stigmator": (2, "stigmator_backlash"),
}
"""Components of each knob, and the parameter that is its play."""

_DRIVEN = Drive.FIELDS * len(KNOBS)
_RESPONSE, _MISFOCUS = slice(_DRIVEN, _DRIVEN + 9), slice(_DRIVEN + 9, _DRIVEN + 12)
_STATE, _DOSE, _FIELDS = slice(_DRIVEN + 12, _DRIVEN + 15), _DRIVEN + 15, _DRIVEN + 16


class ProbeBatch:
    """n columns with a film in, stepped together: `move`, then `expose`.

    All numbers live in one block with a column for each instrument.

    Args:
        common: what all columns have in common.
        count: how many.
        noise: where moves and readings draw from, for all columns at a time.
        exposure_s: exposure time of each frame that is not drawn.
    """

    def __init__(
        self,
        common: ColumnParameters,
        count: int,
        noise: np.random.Generator,
        *,
        exposure_s: float,
    ) -> None:
        self.count = count
        self._common = common
        self._noise = noise
        self._exposure_s = exposure_s
        self._block: Floats = np.zeros((_FIELDS, count))
        self._drives = {
            knob: Drive(self._block[i * Drive.FIELDS : (i + 1) * Drive.FIELDS], common, play=play)
            for i, (knob, (_, play)) in enumerate(KNOBS.items())
        }
        self._draws: Floats = np.empty((4, count))
        self._jolt: Floats = np.empty((2, count))

    def put(self, rows: Rows, others: Self, which: Rows) -> None:
        """Let some columns stand as some of others do; both are (m,)."""
        self._block[:, rows] = others._block.take(which, axis=1)

    def reset(self, drawn: Mapping[str, Any], home: Mapping[str, Any], start_m: Floats) -> None:
        """Make all columns other instruments, settled, without any hidden state.

        Args:
            drawn: what differs from column to column, each a number or (n,).
            home: where the knobs stand, by name.
            start_m: (3, n), C1, A1x and A1y as they settle there.
        """
        full = {name: np.full(self.count, value, np.float64) for name, value in drawn.items()}
        for knob, drive in self._drives.items():
            size, _ = KNOBS[knob]
            drive.command[:size] = np.reshape(home[knob], (size, -1))
            drive.adopt(self._common, full)
            drive.rest(np.zeros((2, self.count)))
        self._block[_RESPONSE] = probe_response(self._common, full).reshape(9, -1)
        self._block[_MISFOCUS] = 0.0
        self._block[_MISFOCUS] = start_m - self._settled()
        self._block[_STATE] = start_m
        self._block[_DOSE] = dose_e(self._common, full["probe_current_a"], self._exposure_s)

    def command(self, knob: str) -> Floats:
        """Return what is commanded, (components, n). A view: not to be written."""
        return self._drives[knob].command[: KNOBS[knob][0]]

    def move(self, knob: str, command: Floats) -> None:
        """Command absolute values, (components, n); repeating a command changes nothing."""
        both = np.zeros((2, self.count))
        both[: len(command)] = command
        self._drives[knob].move(both, draw_normal(self._noise, self._jolt))

    def expose(self) -> dict[str, NDArray[Any]]:
        """Let one cycle pass, then look; return what would be read, one row for each column.

        See `stempilot_backends.column.shadows.read`; and `pixel_rad`, (n,).
        """
        for drive in self._drives.values():
            drive.advance(1.0, None)
        block = self._block
        block[_STATE] = self._settled()
        told = read(block[_STATE], block[_DOSE], draw_normal(self._noise, self._draws))
        return told | {"pixel_rad": np.full(self.count, self._common.pixel_rad_in_use)}

    def _settled(self) -> Floats:
        """Return C1, A1x and A1y as they are now, (3, n)."""
        knobs = self._knobs(lambda drive: drive.deflection)
        return self._block[_MISFOCUS] + self._brought(knobs)

    def _brought(self, knobs: Floats) -> Floats:
        response = self._block[_RESPONSE]
        brought: Floats = response[0::3] * knobs[0]
        brought += response[1::3] * knobs[1]
        brought += response[2::3] * knobs[2]
        return brought

    def _knobs(self, of: Any) -> Floats:
        return np.concatenate([of(self._drives[knob])[:size] for knob, (size, _) in KNOBS.items()])

    def truth(self) -> dict[str, Floats]:
        """Return what `Column.truth` tells of the probe at the last exposure, (n, size) by name."""
        block, ones = self._block, np.ones((self.count, 1))
        return {
            "defocus_m": block[_STATE][:1].T.copy(),
            "astigmatism_m": block[_STATE][1:].T.copy(),
            "aberration_response": block[_RESPONSE].T.copy(),
            "aberration_pending_m": self._brought(self._knobs(lambda drive: drive.pending)).T,
            "radius_px": self._common.radius_px * ones,
            "pixel_rad": self._common.pixel_rad_in_use * ones,
        }
