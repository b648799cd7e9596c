"""Which pixels of a camera say nothing: dead ones, and clipped or dark columns and rows."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_DARK: Final = 0.5
"""A pixel that reads less than this share of what the frame reads without light is dead."""

_STRIDE: Final = 8
"""Every so many rows tell what a column is like."""


def bad_pixels(
    frame: npt.NDArray[Any], limit: float | None, mask: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Return (rows, cols), where a frame says nothing.

    Single clipped pixels and clusters of them stay: a bright disk is clipped too.

    Args:
        frame: (rows, cols).
        limit: value from which a pixel is clipped, if any.
        mask: (rows, cols) pixels that are known to be bad.
    """
    # Without light a pixel reads the camera's offset; where that is nothing, none is too dark.
    dark = _DARK * float(np.percentile(frame[::_STRIDE, ::_STRIDE], 5.0))
    if frame.dtype.kind in "ui":
        # Whole numbers are compared as such, which is many times faster.
        dark, limit = math.ceil(dark), None if limit is None else math.ceil(limit)
    bad: npt.NDArray[np.bool_] = frame < dark if dark > 0 else np.zeros(frame.shape, np.bool_)
    if mask is not None:
        bad |= mask
    for image, flags in ((frame, bad), (frame.T, bad.T)):
        lines = image[::_STRIDE]
        flags[:, _mostly(lines < dark)] = True
        if limit is not None:
            flags[:, _mostly(lines >= limit)] = True
    return bad


def _mostly(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which columns are true in more than half of the rows."""
    most: npt.NDArray[np.bool_] = 2 * np.count_nonzero(flags, axis=0) > len(flags)
    return most
