"""The options of the readings."""

import math
from typing import Any

from attrs import Attribute, field, frozen, validators

from stempilot_tasks.bf_disk_centering.config import (
    PUBLISHED_PIXEL_MRAD,
    BfDiskCenteringConfig,
)


def _finite(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not 0 < value < math.inf:
        msg = f"{attribute.name} = {value!r} must be a finite number above 0"
        raise ValueError(msg)


@frozen(kw_only=True)
class DiskConfig:
    """How the direct beam is found; the words are those of ``bf-disk-centering``.

    Attributes:
        camera_shape: (rows, cols) that every frame must have.
        disk_px: where the direct beam is at the start, (x, y) from the frame's centre; the disk
            that lies there is taken for it.
        reference: folder of a run of ``bf-disk-centering`` on vacuum at the same camera length,
            whose disk tells radius, contrast and place of the direct beam.
        radius_px: radius of the disks, where it is known.
        mask: file of a NumPy array (rows, cols) in which the camera's defective pixels are true.

    Raises:
        ValueError: an option makes no sense; the message names it.
    """

    camera_shape: tuple[int, int] = (1040, 1040)
    disk_px: tuple[float, float] | None = None
    reference: str | None = None
    radius_px: float | None = None
    mask: str | None = None

    def __attrs_post_init__(self) -> None:
        """Check the options as those of the centring are checked."""
        self.centring()

    def centring(self) -> BfDiskCenteringConfig:
        """Return the options of the centring that finds the same disk, in all of the frame."""
        return BfDiskCenteringConfig(
            watch_frames=0,
            camera_shape=self.camera_shape,
            disk_px=self.disk_px,
            reference=self.reference,
            radius_px=self.radius_px,
            mask=self.mask,
            edge_threshold_px=0.0,
        )


@frozen(kw_only=True)
class ReadDiskConfig(DiskConfig):
    """Options of ``read-disk``.

    Attributes:
        frames: how many frames are taken.
        semi_angle_mrad: convergence semi-angle where it is known; then the disk calibrates the
            pixel.
        semi_angle_uncertainty_mrad: its standard uncertainty.
    """

    frames: int = field(default=5, validator=[validators.ge(2), validators.le(100)])
    semi_angle_mrad: float | None = field(default=None, validator=validators.optional(_finite))
    semi_angle_uncertainty_mrad: float = field(
        default=0.0, validator=[validators.ge(0), validators.lt(math.inf)]
    )


@frozen(kw_only=True)
class ReadResponseConfig(DiskConfig):
    """Options of ``read-response``.

    Attributes:
        largest_move_mrad: no single move of an axis of the diffraction shift is larger.
        reach_px: how far from the middle of its star the disk is moved, about.
        pixel_mrad: angle of one camera pixel where the frame does not say; only the first, small
            move depends on it.
    """

    largest_move_mrad: float = field(default=23.04, validator=_finite)
    reach_px: float = field(default=120.0, validator=_finite)
    pixel_mrad: float = field(default=PUBLISHED_PIXEL_MRAD, validator=_finite)
