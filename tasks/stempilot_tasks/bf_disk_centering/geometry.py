"""Where the disk is, seen from the goal: array code for any leading batch shape.

All positions are (..., 2): x, y in camera pixels from the frame's centre. Residuals are (..., 2)
in `Geometry.unit_px`.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from stempilot_tasks.bf_disk_centering.config import PUBLISHED_TOLERANCE_PX, BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.region import Region

_DOUBT_PX: Final = 0.1
"""How far off a disk's place may be among others, so that success holds for its true place."""

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@frozen(kw_only=True, eq=False)
class Geometry:
    """The field, the goal in it and the unit that residuals are measured in.

    Attributes:
        half_px: (2,) half the field.
        edge_px: (2,) offset from the frame's centre beyond which the disk counts as lost.
        region: part of the frame beyond which it counts as lost; ``None`` for the whole frame.
        margin_px: how far inside of the region it has to be.
        goal_px: (2,) the goal as it was asked for.
        unit_px: a bin where positions are rounded, otherwise half of the field's larger side:
            one number for both axes, so that the residual's length is a distance.
        rounded: whether positions and the goal are rounded to whole units.
        goal: (2,) the goal that residuals are taken from, in units.
        tolerance_px: largest distance from the goal that counts as centred, where a frame does
            not say what angle its pixels have.
        tolerance_rad: the same as an angle, where it was asked for as one.
    """

    half_px: FloatArray
    edge_px: FloatArray
    region: Region | None
    margin_px: float
    goal_px: FloatArray
    unit_px: float
    rounded: bool
    goal: FloatArray
    tolerance_px: float
    tolerance_rad: float | None

    @classmethod
    def of(cls, config: BfDiskCenteringConfig) -> "Geometry":
        """Return the geometry that a configuration describes."""
        half = np.array(config.half_px)
        goal_px = np.array(config.goal_px, dtype=float)
        rounded = config.observation == "paper"
        unit_px = config.bin_px if rounded else float(half.max())
        goal = goal_px / unit_px
        tolerance_px, tolerance_rad = config.tolerance_px, None
        if config.tolerance_mrad is not None:
            tolerance_px = config.tolerance_mrad / config.pixel_mrad
            tolerance_rad = config.tolerance_mrad * 1e-3
        return cls(
            half_px=half,
            edge_px=half - config.edge_threshold_px,
            region=config.visible if config.region else None,
            margin_px=config.edge_threshold_px,
            goal_px=goal_px,
            unit_px=unit_px,
            rounded=rounded,
            goal=np.rint(goal) if rounded else goal,
            tolerance_px=PUBLISHED_TOLERANCE_PX if tolerance_px is None else tolerance_px,
            tolerance_rad=tolerance_rad,
        )

    def residual(self, position_px: npt.NDArray[Any]) -> FloatArray:
        """Return position minus goal, (..., 2) in units."""
        units: FloatArray = position_px / self.unit_px
        return (np.rint(units) if self.rounded else units) - self.goal

    def is_beyond_edge(self, position_px: npt.NDArray[Any]) -> BoolArray:
        """Return (...), whether the disk's centre is too near to the edge of frame or region."""
        beyond = np.abs(position_px) > self.edge_px
        either: BoolArray = beyond[..., 0] | beyond[..., 1]
        if self.region is not None:
            either |= ~self.region.holds(position_px, self.margin_px)
        return either

    def clipped(self, position_px: npt.NDArray[Any]) -> FloatArray:
        """Return the nearest positions inside the frame, (..., 2).

        A fitted centre may lie beyond the frame, where the disk is lost in any case and an
        observation would leave its space.
        """
        inside: FloatArray = np.minimum(np.maximum(position_px, -self.half_px), self.half_px)
        return inside

    def aim_px(self) -> FloatArray:
        """Return (2,), where the residual is zero: the goal, or its bin's centre if rounded."""
        return self.goal * self.unit_px

    def tolerance(self, pixel_rad: Any = None) -> Any:
        """Return the tolerance in units, a float, or (...) where it depends on the pixel's angle.

        Args:
            pixel_rad: angle of one pixel as the frame gives it, a float or (...).
        """
        angle = self.tolerance_rad
        px = self.tolerance_px if angle is None or pixel_rad is None else angle / pixel_rad
        return px / self.unit_px

    def certain(self, pixel_rad: float | None, *, disks: int) -> float:
        """Return within which distance a disk is certain to be centred, in units.

        That is the tolerance; among other disks, where places are less exact, a little less.

        Args:
            pixel_rad: angle of one pixel as the frame gives it.
            disks: how many disks the frame shows.
        """
        tolerance = float(self.tolerance(pixel_rad))
        if disks <= 1 or self.rounded:
            return tolerance
        return max(tolerance / 2, tolerance - _DOUBT_PX / self.unit_px)


def distance(residual: npt.NDArray[Any]) -> FloatArray:
    """Return the length of residuals, (...), in their unit."""
    x, y = residual[..., 0], residual[..., 1]
    # No residual is so large or small that its square needs `np.hypot`, which takes thrice as long.
    length: FloatArray = np.sqrt(x * x + y * y)
    return length
