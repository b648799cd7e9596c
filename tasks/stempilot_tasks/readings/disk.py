"""Reading the disk where the instrument stands."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from stempilot import (
    FLUCAM,
    KnobValue,
    Needs,
    Outcome,
    Product,
    Quantity,
    Reading,
    SetPoint,
    Snapshot,
)
from stempilot_tasks.bf_disk_centering.measure import read_mask
from stempilot_tasks.bf_disk_centering.state import CenteringState, Disk, Measured, Point
from stempilot_tasks.imaging.rim import fit_rim
from stempilot_tasks.readings.beam import Beam
from stempilot_tasks.readings.config import ReadDiskConfig

_PIXELS: Final = 0.05
"""Standard uncertainty in px of a radius and of a centre, whatever noise says: what the pixels make
of an edge is the same in each frame."""

_CLIPPED_PX: Final = 0.2
"""The same of the radius where the camera clips, which moves the edge outward."""

_EDGE_PX: Final = 3.0
"""Light up to so far beyond the edge belongs to the disk, which the optics blur."""


@frozen(kw_only=True)
class Light:
    """What the pixels of one disk tell beside its place.

    Attributes:
        radius_px: radius of the circle through its edge.
        dose: counts in the disk, without what lies under it.
        clipped: share of its pixels that are clipped.
    """

    radius_px: float
    dose: float
    clipped: float


@frozen(kw_only=True)
class Look:
    """What one frame shows; ``lights`` belong to ``measured.disks``."""

    measured: Measured
    lights: tuple[Light, ...]


@frozen(kw_only=True)
class DiskState:
    """What has been seen so far.

    Attributes:
        seen: what the last frame tells of the direct beam.
        frames: (x, y in px from the frame's centre, radius in px, dose, clipped) of each frame.
    """

    seen: CenteringState
    frames: tuple[tuple[float, float, float, float, float], ...] = ()


class ReadDisk(Reading[Look, DiskState]):
    """Read radius, centre, saturation and dose of the direct beam from a few frames.

    No knob moves. Where the convergence semi-angle is given, the radius calibrates the pixel.

    Args:
        config: the options.

    Raises:
        ValueError: the mask or the reference cannot be read.
    """

    def __init__(self, config: ReadDiskConfig) -> None:
        self.config = config
        self._beam = Beam(config.centring())
        shape = config.camera_shape
        self._bad = read_mask(config.mask, shape) if config.mask else np.zeros(shape, np.bool_)

    @property
    def needs(self) -> Needs:
        """The FluCam, with the screen down and the beam on it."""
        return self._beam.needs

    def measure(self, snapshot: Snapshot) -> Look:
        """Return the disks that the FluCam shows; raises as `BfDiskCentering.measure`."""
        measured = self._beam.measure(snapshot)
        pixels = snapshot.frames[FLUCAM].pixels
        return Look(
            measured=measured,
            lights=tuple(light_of(pixels, self._bad, disk) for disk in measured.disks),
        )

    def sees(self, measured: Look, source: str) -> bool:
        """Return whether a disk, or a part of one, shows."""
        del source
        return measured.measured.visible

    def initial(self, measured: Look) -> DiskState:
        """Return the state after the first frame."""
        return _with(DiskState(seen=self._beam.first(measured.measured)), measured)

    def own_moves(
        self, state: DiskState, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Ask for a further frame, without a move, until there are enough."""
        del standing
        return () if self.outcome(state) is Outcome.RUNNING else None

    def advance(self, state: DiskState, action: Any, measured: Look) -> DiskState:
        """Return the state after a further frame."""
        del action
        seen = self._beam.then(state.seen, measured.measured, (0.0, 0.0))
        return _with(evolve(state, seen=seen), measured)

    def outcome(self, state: DiskState) -> Outcome:
        """Return SUCCESS after the last frame; FAILURE or AMBIGUOUS as the centring does."""
        verdict = self._beam.verdict(state.seen)
        enough = len(state.frames) >= self.config.frames
        return Outcome.SUCCESS if verdict is Outcome.RUNNING and enough else verdict

    def products(self, state: DiskState) -> dict[str, Product]:
        """Return means over the frames with their standard uncertainties; none before the end.

        There is no dose where the camera clips.
        """
        if self.outcome(state) is not Outcome.SUCCESS:
            return {}
        seen = np.array(state.frames)
        x, y, radius, dose, clipped = seen.mean(axis=0).tolist()
        unsure = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
        unsure[:3] = np.hypot(unsure[:3], _PIXELS)
        unsure[2] = math.hypot(unsure[2], _CLIPPED_PX if clipped else 0.0)
        of_x, of_y, of_radius, of_dose, of_clipped = unsure.tolist()
        found = {
            "radius": Product(value=radius, unit="px", uncertainty=of_radius),
            "centre_x": Product(value=x, unit="px", uncertainty=of_x),
            "centre_y": Product(value=y, unit="px", uncertainty=of_y),
            "saturation": Product(value=clipped, unit="", uncertainty=of_clipped),
        }
        if not clipped:
            found["dose"] = Product(value=dose, unit="counts", uncertainty=of_dose)
        if self.config.semi_angle_mrad is not None:
            pixel_mrad = self.config.semi_angle_mrad / radius
            relative = self.config.semi_angle_uncertainty_mrad / self.config.semi_angle_mrad
            of_pixel = pixel_mrad * math.hypot(relative, of_radius / radius)
            found["pixel"] = Product(value=pixel_mrad, unit="mrad/px", uncertainty=of_pixel)
        return found

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Where the disk stands, and its radius."""
        return (
            Quantity(name="x_px", unit="px", symbol="x"),
            Quantity(name="y_px", unit="px", symbol="y"),
            Quantity(name="radius_px", unit="px", symbol="radius"),
        )

    def summary(self, state: DiskState) -> dict[str, float]:
        """Return what the last frame tells; nothing where the direct beam is not seen."""
        if self._beam.verdict(state.seen) is not Outcome.RUNNING:
            return {}
        names = ("x_px", "y_px", "radius_px", "dose", "saturation")
        return dict(zip(names, state.frames[-1], strict=True))

    def explain(self, state: DiskState) -> str:
        """Return why the disk cannot be read, in the words of the centring."""
        return self._beam.explain(state.seen)

    def marks(self, state: DiskState) -> dict[str, Point]:
        """Return ``found``, or the candidates, (x, y) in pixels of the frame, origin top left."""
        return self._beam.marks(state.seen)


def _with(state: DiskState, look: Look) -> DiskState:
    disk = state.seen.known.disk
    if disk is None:
        return state
    light = look.lights[look.measured.disks.index(disk)]
    one = (*disk.position_px, light.radius_px, light.dose, light.clipped)
    return evolve(state, frames=(*state.frames, one))


def light_of(pixels: npt.NDArray[Any], bad: npt.NDArray[np.bool_], disk: Disk) -> Light:
    """Return what the pixels of a disk tell beside its place.

    Args:
        pixels: (rows, cols) of the frame.
        bad: likewise, pixels that say nothing.
        disk: one that was found in it.
    """
    rows, cols = pixels.shape
    x, y = disk.position_px[0] + (cols - 1) / 2, disk.position_px[1] + (rows - 1) / 2
    reach = math.ceil(1.5 * disk.radius_px + 4 * _EDGE_PX)
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    part = np.s_[top : int(y) + reach + 1, left : int(x) + reach + 1]
    view, unusable = pixels[part].astype(np.float32), bad[part]
    rim = fit_rim(view, unusable, x - left, y - top, disk.radius_px)
    radius = disk.radius_px if rim is None else rim.radius
    down, right = np.ogrid[: view.shape[0], : view.shape[1]]
    away = np.hypot(right - (x - left), down - (y - top))
    inside = (away <= radius + _EDGE_PX) & ~unusable
    around = (away > radius + 2 * _EDGE_PX) & (away <= reach) & ~unusable
    under = float(np.median(view[around])) if around.any() else 0.0
    limit = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else math.inf
    return Light(
        radius_px=radius,
        dose=float(np.sum(view[inside], dtype=np.float64)) - under * int(inside.sum()),
        clipped=float(np.mean(view[(away <= radius) & ~unusable] >= limit)),
    )
