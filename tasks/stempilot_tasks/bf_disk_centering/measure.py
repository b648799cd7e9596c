"""From a frame to a few numbers: the only code of the task that sees pixels."""

import math
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import Frame, FrameError, KnobValue
from stempilot_tasks.bf_disk_centering.region import Region
from stempilot_tasks.bf_disk_centering.state import Disk, Measured, Point
from stempilot_tasks.imaging import DiskLocation, find_disks

_ALL_CLIPPED: Final = 0.99
"""Share of clipped pixels from which a frame shows nothing; dead pixels are not the rest."""

_MOST_CLIPPED: Final = 0.5
"""Largest share of a disk that may be clipped while its contrast still tells something."""

_MOST_MASKED: Final = 0.5
"""Largest share of a frame that a mask may leave out."""


def measure_disk(
    frame: Frame,
    shift_rad: KnobValue,
    shape: tuple[int, int],
    *,
    radius_px: float | None = None,
    near_px: Point | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
    region: Region | None = None,
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
        region: part of the frame in which disks are looked for; the whole frame when ``None``.
        simulated: the frame is not of a real instrument.

    Raises:
        FrameError: wrong shape, pixels that are not numbers, a calibration that cannot
            be true, or a frame that is clipped all over.
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
    if frame.pixel_rad is not None and not 0 < frame.pixel_rad * max(shape) <= math.pi:
        msg = (
            f"the frame's pixel is calibrated as {frame.pixel_rad:g} rad; it must be above 0, and "
            f"at most {math.pi / max(shape):.3g}, where the frame spans half a turn: is it in mrad?"
        )
        raise FrameError(msg)
    found, origin_px = _found(pixels, region, radius_px=radius_px, near_px=near_px, mask=mask)
    disks = tuple(_disk(one, origin_px) for one in found if np.isfinite(one.x_px))
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
        ValueError: the file cannot be read, holds something else, or leaves too little.
    """
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        msg = f"mask = {path!r} cannot be read: {error}; make one with `stempilot mask`"
        raise ValueError(msg) from error
    if not isinstance(mask, np.ndarray) or mask.shape != shape or mask.dtype != np.bool_:
        what = f"{mask.shape} {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        msg = f"mask = {path!r} holds {what}; expected {shape} booleans, true where a pixel is bad"
        raise ValueError(msg)
    share = float(mask.mean())
    if share > _MOST_MASKED:
        msg = (
            f"mask = {path!r} leaves out {share:.1%} of the frame, of at most {_MOST_MASKED:.0%}; "
            "true is a bad pixel: is it the wrong way round?"
        )
        raise ValueError(msg)
    return mask


def _found(
    pixels: npt.NDArray[Any],
    region: Region | None,
    *,
    radius_px: float | None,
    near_px: Point | None,
    mask: npt.NDArray[np.bool_] | None,
) -> tuple[tuple[DiskLocation, ...], Point]:
    """Return the disks in a region, and where in the frame their places are counted from."""
    rows, cols = pixels.shape
    x_px, y_px = (1 - cols) / 2, (1 - rows) / 2
    if region is not None:
        view = region.slices((rows, cols))
        x_px, y_px = x_px + view[1].start, y_px + view[0].start
        pixels, mask = pixels[view], None if mask is None else mask[view]
    if near_px is not None:
        near_px = near_px[0] - x_px, near_px[1] - y_px
    search = partial(find_disks, pixels, radius_px=radius_px, near_px=near_px)
    found = search(mask=mask)
    places = np.array([(one.x_px + x_px, one.y_px + y_px) for one in found])
    if found and region and region.circle is not None and not region.holds(places).all():
        # Light beside a round screen, for which the frame is searched without its corners.
        y, x = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        beside = ~region.holds(np.stack(np.broadcast_arrays(x + x_px, y + y_px), axis=-1))
        found = search(mask=beside if mask is None else beside | mask)
    return found, (x_px, y_px)


def _disk(found: DiskLocation, origin_px: Point) -> Disk:
    return Disk(
        position_px=(found.x_px + origin_px[0], found.y_px + origin_px[1]),
        radius_px=found.radius_px,
        contrast=found.contrast,
        clipped=found.clipped > _MOST_CLIPPED,
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
