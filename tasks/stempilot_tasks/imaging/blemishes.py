"""Which pixels of a camera say nothing: dead ones, and clipped or dark columns and rows."""

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
    bad: npt.NDArray[np.bool_] = frame < dark if dark > 0 else np.zeros(frame.shape, np.bool_)
    if mask is not None:
        bad |= mask
    for image, flags in ((frame, bad), (frame.T, bad.T)):
        middle = np.median(image[::_STRIDE], axis=0)
        flags[:, (middle < dark) | (limit is not None and middle >= limit)] = True
    return bad
