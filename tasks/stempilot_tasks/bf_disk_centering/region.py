"""The part of the frame in which the disk is looked for: a rectangle, or a round screen."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SMALLEST_SIDE_PX: Final = 64
"""What is smaller cannot be searched for a disk."""

_CORNERS, _CIRCLE = 4, 3


@frozen
class Region:
    """A part of the frame, in camera pixels from the frame's centre, x to the right, y downward.

    Attributes:
        left: smallest x.
        top: smallest y.
        right: largest x.
        bottom: largest y.
        circle: x, y of the centre and the radius of a round screen, which may reach beyond the
            frame; ``None`` for a rectangle.
    """

    left: float
    top: float
    right: float
    bottom: float
    circle: tuple[float, float, float] | None = None

    @classmethod
    def of(cls, values: Sequence[float] | None, half_px: tuple[float, float]) -> "Region":
        """Return what an option describes.

        Args:
            values: left, top, right, bottom, or x, y, radius; ``None`` for the whole frame.
            half_px: half the frame, (x, y).

        Raises:
            ValueError: anything else, a part beyond the frame, or one too small to be searched.
        """
        half_x, half_y = half_px
        if values is None:
            return cls(-half_x, -half_y, half_x, half_y)
        told = f"region = {[float(value) for value in values]}"
        if len(values) not in {_CORNERS, _CIRCLE} or not all(map(math.isfinite, values)):
            msg = (
                f"{told} must be [left, top, right, bottom], or [x, y, radius] of a round screen, "
                "in pixels from the frame's centre"
            )
            raise ValueError(msg)
        circle = None
        if len(values) == _CIRCLE:
            x, y, radius = circle = (values[0], values[1], values[2])
            left, right = max(x - radius, -half_x), min(x + radius, half_x)
            top, bottom = max(y - radius, -half_y), min(y + radius, half_y)
        else:
            left, top, right, bottom = values
        if max(-left, right) > half_x or max(-top, bottom) > half_y:
            msg = (
                f"{told} reaches beyond the frame, which ends at +-{half_x:g} px in x and "
                f"+-{half_y:g} px in y; give pixels from the frame's centre, y downward"
            )
            raise ValueError(msg)
        if min(right - left, bottom - top) < SMALLEST_SIDE_PX:
            msg = (
                f"{told} is {right - left:g} x {bottom - top:g} px of the frame; give at least "
                f"{SMALLEST_SIDE_PX} px on each side, left before right and top before bottom"
            )
            raise ValueError(msg)
        return cls(left, top, right, bottom, circle)

    @property
    def half_px(self) -> float:
        """Half of the shorter side."""
        return min(self.right - self.left, self.bottom - self.top) / 2

    def holds(
        self, position_px: "npt.NDArray[Any]", margin_px: float = 0.0
    ) -> "npt.NDArray[np.bool_]":
        """Return (...), whether positions (..., 2) lie so far inside, edges included."""
        import numpy as np

        x, y = position_px[..., 0], position_px[..., 1]
        inside: npt.NDArray[np.bool_] = (
            (x >= self.left + margin_px)
            & (x <= self.right - margin_px)
            & (y >= self.top + margin_px)
            & (y <= self.bottom - margin_px)
        )
        if self.circle is not None:
            at_x, at_y, radius = self.circle
            inside &= np.hypot(x - at_x, y - at_y) <= radius - margin_px
        return inside

    def slices(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Return which rows and columns of a frame of a shape it takes."""
        rows, cols = shape
        return _pixels(self.top, self.bottom, rows), _pixels(self.left, self.right, cols)


def _pixels(first: float, last: float, count: int) -> slice:
    """Return the pixels with centres from first to last, both from the middle of so many."""
    middle = (count - 1) / 2
    return slice(max(0, math.ceil(middle + first)), math.floor(middle + last) + 1)
