"""n columns at once, as arrays, at the level of measurements: no frame is ever drawn.

The physics is that of `stempilot_backends.column.Column`, which tests hold it against; what a
locator would say of the frames comes from `stempilot_backends.column.locating`.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stempilot_backends.column.drive import Drive, Floats
from stempilot_backends.column.locating import optics, rougher, sight
from stempilot_backends.column.matrix import apply, product
from stempilot_backends.column.normal import draw_normal
from stempilot_backends.column.parameters import DRAWN, TOLD, ColumnParameters, spread
from stempilot_backends.column.response import (
    distort,
    distortion_jacobian,
    pattern_matrix,
    response_matrix,
    undistort,
)

Rows = NDArray[np.intp]

_DRIVE = Drive.FIELDS
_RESPONSE = slice(_DRIVE, _DRIVE + 4)
_IDEAL, _FOUND = slice(_DRIVE + 4, _DRIVE + 6), slice(_DRIVE + 6, _DRIVE + 8)
_SHAKE, _NOISE, _SPREAD, _RADIUS, _SHOWS, _CLIPPED, _MARGIN, _FIRST_OWN = range(
    _DRIVE + 8, _DRIVE + 16
)
_SEEN = slice(_SHAKE, _CLIPPED)
_OWN = {name: _FIRST_OWN + i for i, name in enumerate(n for n in TOLD if n in DRAWN)}
"""Where the truth finds the parameters that differ from column to column."""
_FIELDS = _FIRST_OWN + len(_OWN)


class ColumnBatch:
    """n columns that differ in `DRAWN`, stepped together: `move`, then `expose`.

    All numbers live in one block with a column for each instrument, so that a few of them are
    replaced at once.

    Args:
        common: what all columns have in common; its values of `DRAWN` do not count.
        count: how many.
        noise: where moves and exposures draw from, for all columns at a time.
        hidden: where the truth draws from what no exposure shows.
        exposure_s: exposure time of each frame that is not drawn.
    """

    def __init__(
        self,
        common: ColumnParameters,
        count: int,
        noise: np.random.Generator,
        *,
        hidden: np.random.Generator,
        exposure_s: float,
    ) -> None:
        self.count = count
        self._common = common
        self._noise = noise
        self._hidden = hidden
        self._exposure_s = exposure_s
        self._half_px = common.frame_side_px / 2
        self._block: Floats = np.zeros((_FIELDS, count))
        self._drive = Drive(self._block[:_DRIVE], common)
        self._straight = common.distortion_gain == 0.0 and common.distortion_swirl_rad == 0.0
        self._walks = common.drift_walk_px > 0.0
        self._draws: Floats = np.empty((4 if self._walks else 2, count))
        self._jolt: Floats = np.empty((2, count))
        self._position: Floats | None = None

    def put(self, rows: Rows, others: Self, which: Rows) -> None:
        """Let some columns stand as some of others do; both are (m,)."""
        self._block[:, rows] = others._block.take(which, axis=1)
        self._position = None

    def reset(
        self,
        drawn: Mapping[str, Any],
        *,
        command_rad: Floats,
        start_px: Floats,
        drift_angle_rad: Floats,
    ) -> None:
        """Make all columns other instruments, settled, without any hidden state.

        Args:
            drawn: the values of `DRAWN`, each a number or (n,).
            command_rad: (2, n) where the knob stands.
            start_px: (2, n) where the disk settles.
            drift_angle_rad: (n,) direction of the steady drift, about the pattern's axis.

        Raises:
            ValueError: the distortion never reaches a start.
        """
        common, block, drive = self._common, self._block, self._drive
        ideal = start_px if self._straight else undistort((start_px[0], start_px[1]), common)
        full = {name: np.full(self.count, drawn[name], np.float64) for name in DRAWN}
        direction = np.cos(drift_angle_rad), np.sin(drift_angle_rad)
        drive.command[...] = command_rad
        drive.adopt(common, full)
        drive.rest(np.stack(apply(pattern_matrix(common), direction)) * common.pixel_rad_in_use)
        response = response_matrix(common, full)
        block[_RESPONSE], block[_IDEAL], block[_FOUND] = response, ideal, start_px
        # The camera length stays, so the drift is in pixels, and begins where the pattern is.
        drive.drift[...] = block[_IDEAL] - np.stack(apply(response, tuple(command_rad)))
        block[_SHAKE] = spread("exposure", common, full)
        radius = full["semi_angle_rad"] / common.pixel_rad_in_use
        seen = optics(common, radius, full["probe_current_a"], self._exposure_s)
        block[_RADIUS], block[_NOISE] = radius, seen.noise_px
        block[_SPREAD] = np.hypot(block[_SHAKE], seen.noise_px)
        block[_SHOWS], block[_CLIPPED] = seen.shows, seen.clipped
        # A disk whose centre lies within this of the frame's edge, or a faint one, is looked at.
        block[_MARGIN] = np.where(seen.shows, self._half_px - radius - 1.0, -1.0)
        for name, row in _OWN.items():
            block[row] = full[name]
        self._position = None

    def command(self) -> Floats:
        """Return (2, n), what is commanded, in rad. A view: not to be written."""
        return self._drive.command

    def move(self, command_rad: Floats) -> None:
        """Command absolute shifts, (2, n) in rad; repeating a command changes nothing."""
        self._drive.move(command_rad, draw_normal(self._noise, self._jolt))

    def expose(self) -> dict[str, NDArray[Any]]:
        """Let one cycle pass, then look; return what a locator says, one row for each column.

        The lag settles, the pattern drifts, the disk shakes.

        Returns:
            position_px: (n, 2) found centre (x, y) from the frame's centre; NaN where there is
                none to be trusted.
            radius_px: (n,) radius, without error; NaN where there is no centre.
            visible: (n,) whether the disk, or a part of it, shows.
            cut: (n,) whether the frame's edge cuts it.
            saturated: (n,) whether its pixels are clipped.
            pixel_rad: (n,) calibrated angle of a pixel.
        """
        block, draws = self._block, draw_normal(self._noise, self._draws)
        self._drive.advance(1.0, draws[2:] if self._walks else None)
        x, y = self._drive.deflection
        ideal, found = block[_IDEAL], block[_FOUND]
        # `apply`, without new memory.
        by_x, by_y = block[_RESPONSE][0::2], block[_RESPONSE][1::2]
        np.multiply(by_x, x, out=ideal)
        np.multiply(by_y, y, out=found)
        ideal += found
        ideal += self._drive.drift
        away = draws[:2]
        away *= block[_SPREAD]
        np.add(self._still(), away, out=found)
        self._position = None
        return self._look(away)

    def _still(self) -> Floats:
        """Return where the disks would be without vibration, (2, n)."""
        ideal = self._block[_IDEAL]
        return ideal if self._straight else np.stack(distort((ideal[0], ideal[1]), self._common))

    def _look(self, away: Floats) -> dict[str, NDArray[Any]]:
        """Return what a locator says of disks that it finds ``away``, (2, n), from `_still`."""
        block = self._block
        found, distance = block[_FOUND], np.abs(block[_FOUND])
        farthest = np.maximum(distance[0], distance[1])
        seen, radius = found.copy(), block[_RADIUS].copy()
        saturated = block[_CLIPPED] > 0.0
        visible, cut = np.ones(self.count, np.bool_), np.zeros(self.count, np.bool_)
        rows = (farthest > block[_MARGIN]).nonzero()[0]
        if rows.size:
            shake, miss, both, radii, shows = block[_SEEN].take(rows, axis=1)
            looks = sight(self._half_px - farthest[rows], radii, shows > 0.0)
            visible[rows], cut[rows] = looks.visible, looks.cut
            saturated[rows] &= looks.visible
            wider = np.hypot(shake, rougher(miss, looks.cut)) / both - 1.0
            found[:, rows] += wider * away[:, rows]
            seen[:, rows] = np.where(looks.centred, found[:, rows], np.nan)
            radius[rows[~looks.centred]] = np.nan
        return {
            "position_px": seen.T,
            "radius_px": radius,
            "visible": visible,
            "cut": cut,
            "saturated": saturated,
            "pixel_rad": np.full(self.count, self._common.pixel_rad_in_use),
        }

    def _true_position(self) -> Floats:
        """Return where the disks were at the last exposure, (2, n), as far as what was found tells.

        One draw for each axis is both vibration and the locator's error. How much of it was which
        is drawn when it is asked for: normal, given their sum. Noise is what timesteps cost most.
        """
        if self._position is None:
            block, still = self._block, self._still()
            room = self._half_px - np.abs(block[_FOUND]).max(axis=0)
            looks = sight(room, block[_RADIUS], block[_SHOWS] > 0.0)
            shake, miss = block[_SHAKE], rougher(block[_NOISE], looks.cut)
            both = np.hypot(shake, miss)
            left = self._hidden.standard_normal((2, self.count)) * (shake * miss / both)
            self._position = still + (block[_FOUND] - still) * (shake / both) ** 2 + left
        return self._position

    def truth(self) -> dict[str, Floats]:
        """Return `Column.truth` of each column at the last exposure, (n, size) by name."""
        block, common, ones = self._block, self._common, np.ones((self.count, 1))
        ideal = block[_IDEAL]
        bend = distortion_jacobian((ideal[0], ideal[1]), common)
        jacobian = product(bend, tuple(block[_RESPONSE]))
        own = {name: block[row] for name, row in _OWN.items()}
        told = {name: own.get(name, getattr(common, name)) for name in TOLD}
        return {
            "position_px": self._true_position().T.copy(),
            "jacobian_px_per_rad": np.stack(jacobian, axis=1),
            "pending_rad": self._drive.pending.T,
            "play_rad": self._drive.play.T,
            "radius_px": block[_RADIUS][:, np.newaxis].copy(),
            "pixel_rad": common.pixel_rad_in_use * ones,
            **{name: np.reshape(value, (-1, 1)) * ones for name, value in told.items()},
        }
