"""From a frame to a few numbers: the only code of the task that sees pixels."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import Frame, FrameError, KnobValue
from stempilot_tasks.bf_disk_centering.state import Measured
from stempilot_tasks.imaging import locate_disk

_ALL_CLIPPED: Final = 0.99
"""Share of clipped pixels from which a frame shows nothing; dead pixels are not the rest."""


def measure_disk(frame: Frame, shift_rad: KnobValue, shape: tuple[int, int]) -> Measured:
    """Return what a frame of the FluCam shows.

    A snapshot does not tell from which value on pixels are clipped, so the largest value of their
    type counts, and the locator judges types whose largest value no camera reaches. Clipping is
    recorded as a flag. Where it hides the disk's edge there is no centre
    and the disk is lost, which an agent can end up with and the task has to price; only a frame
    that is clipped all over tells nothing of the instrument, and is an error.

    Args:
        frame: one exposure.
        shift_rad: read-back of the diffraction shift.
        shape: (rows, cols) that the frame must have.

    Raises:
        FrameError: wrong shape, pixels that are not numbers, a calibration that is not a positive
            number, or a frame that is clipped all over.
    """
    pixels = frame.pixels
    if pixels.shape != shape:
        msg = (
            f"the frame is {pixels.shape}, expected {shape} (rows, cols); set the task's "
            "camera_shape, or the camera's read-out, so that both agree"
        )
        raise FrameError(msg)
    if pixels.dtype.kind not in "uif":
        msg = f"the frame's pixels are {pixels.dtype}, expected whole or floating-point numbers"
        raise FrameError(msg)
    if frame.pixel_rad is not None and not 0 < frame.pixel_rad < np.inf:
        msg = f"the frame's pixel is calibrated as {frame.pixel_rad:g} rad; it must be above 0"
        raise FrameError(msg)
    found = locate_disk(pixels)
    located = bool(found.visible and np.isfinite(found.x_px) and np.isfinite(found.y_px))
    if found.saturated and not located:
        _check_clipping(pixels)
    rows, cols = shape
    return Measured(
        position_px=(
            (float(found.x_px) - (cols - 1) / 2, float(found.y_px) - (rows - 1) / 2)
            if located
            else None
        ),
        radius_px=float(found.radius_px) if located and np.isfinite(found.radius_px) else None,
        visible=bool(found.visible),
        cut=bool(found.cut),
        saturated=bool(found.saturated),
        pixel_rad=frame.pixel_rad,
        shift_rad=shift_rad,
    )


def _check_clipping(pixels: npt.NDArray[Any]) -> None:
    if pixels.dtype.kind == "f":
        return
    limit = np.iinfo(pixels.dtype).max
    share = np.count_nonzero(pixels == limit) / pixels.size
    if share >= _ALL_CLIPPED:
        msg = (
            f"{share:.0%} of the frame's pixels are clipped at {limit}; shorten the exposure or "
            "lower the current"
        )
        raise FrameError(msg)
