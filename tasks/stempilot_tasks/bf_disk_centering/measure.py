"""From a frame to a few numbers: the only code of the task that sees pixels."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import Frame, FrameError, KnobValue
from stempilot_tasks.bf_disk_centering.state import Disk, Measured, Point
from stempilot_tasks.imaging import DiskLocation, find_disks

_ALL_CLIPPED: Final = 0.99
"""Share of clipped pixels from which a frame shows nothing; dead pixels are not the rest."""


def measure_disk(
    frame: Frame,
    shift_rad: KnobValue,
    shape: tuple[int, int],
    *,
    radius_px: float | None = None,
    near_px: Point | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    simulated: bool = True,
) -> Measured:
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
        radius_px: the disks' radius where it is known.
        near_px: where the direct beam should be, if that is known.
        mask: (rows, cols) pixels that are known to be bad.
        simulated: the frame is not of a real instrument.

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
    rows, cols = shape
    if near_px is not None:
        near_px = near_px[0] + (cols - 1) / 2, near_px[1] + (rows - 1) / 2
    found = find_disks(pixels, radius_px=radius_px, near_px=near_px, mask=mask)
    disks = tuple(_disk(one, shape) for one in found if np.isfinite(one.x_px))
    clipped = found[0].saturated if found else _is_clipped(pixels)
    return Measured(
        position_px=disks[0].position_px if disks else None,
        radius_px=disks[0].radius_px if disks and np.isfinite(disks[0].radius_px) else None,
        visible=bool(found),
        cut=bool(found) and found[0].cut,
        saturated=clipped,
        pixel_rad=frame.pixel_rad,
        shift_rad=shift_rad,
        disks=disks,
        simulated=simulated,
    )


def read_mask(path: str, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the mask of defective pixels that a file holds.

    Raises:
        ValueError: the file cannot be read, or holds something else.
    """
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        msg = f"mask = {path!r} cannot be read: {error}; give a file that numpy.save wrote"
        raise ValueError(msg) from error
    if not isinstance(mask, np.ndarray) or mask.shape != shape or mask.dtype != np.bool_:
        what = f"{mask.shape} {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        msg = f"mask = {path!r} holds {what}; expected {shape} booleans, true where a pixel is bad"
        raise ValueError(msg)
    return mask


def _disk(found: DiskLocation, shape: tuple[int, int]) -> Disk:
    rows, cols = shape
    return Disk(
        position_px=(found.x_px - (cols - 1) / 2, found.y_px - (rows - 1) / 2),
        radius_px=found.radius_px,
        contrast=found.contrast,
    )


def _is_clipped(pixels: npt.NDArray[Any]) -> bool:
    """Return whether most of a frame is clipped.

    Raises:
        FrameError: all of it is.
    """
    if pixels.dtype.kind == "f":
        return False
    limit = np.iinfo(pixels.dtype).max
    share = np.count_nonzero(pixels == limit) / pixels.size
    if share >= _ALL_CLIPPED:
        msg = (
            f"{share:.0%} of the frame's pixels are clipped at {limit}; shorten the exposure or "
            "lower the current"
        )
        raise FrameError(msg)
    return bool(share > 0.5)  # noqa: PLR2004 - half
