"""Finds the direct beam and follows it, in the way and in the words of the centring."""

import numpy as np
from attrs import evolve

from stempilot import CAMERA_LENGTH_INDEX, DIFFRACTION_SHIFT, Needs, Outcome, Snapshot
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.knowledge import follow
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured, Point
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering


class Beam:
    """The direct beam as the centring sees it.

    Args:
        config: the centring's options.
    """

    def __init__(self, config: BfDiskCenteringConfig) -> None:
        self.half_px = config.half_px
        self._centring = BfDiskCentering(config)

    @property
    def needs(self) -> Needs:
        """What a frame of the disk needs; no knob."""
        return evolve(
            self._centring.needs, knobs={}, reads=(DIFFRACTION_SHIFT, CAMERA_LENGTH_INDEX)
        )

    def measure(self, snapshot: Snapshot) -> Measured:
        """Return what the FluCam shows; raises as `BfDiskCentering.measure`."""
        knobs = {DIFFRACTION_SHIFT: (0.0, 0.0), **snapshot.knobs}
        return self._centring.measure(evolve(snapshot, knobs=knobs))

    def first(self, measured: Measured) -> CenteringState:
        """Return what the first frame tells."""
        return self._centring.initial(measured)

    def then(self, before: CenteringState, measured: Measured, moved_rad: Point) -> CenteringState:
        """Return what a further frame tells, after the diffraction shift moved so far."""
        known = follow(before.known, measured, moved_rad, self.half_px, self._centring.reference)
        return evolve(self._centring.initial(measured), known=known)

    def verdict(self, seen: CenteringState, *, cut: bool = False) -> Outcome:
        """Return RUNNING where the direct beam can be read, else AMBIGUOUS or FAILURE.

        Args:
            seen: what a frame tells.
            cut: whether the frame's edge may cut it.
        """
        if seen.known.ambiguous:
            return Outcome.AMBIGUOUS
        lost = seen.known.disk is None or (self.cut(seen) and not cut)
        return Outcome.FAILURE if lost else Outcome.RUNNING

    def cut(self, seen: CenteringState) -> bool:
        """Return whether the frame's edge cuts the direct beam."""
        disk = seen.known.disk
        if disk is None:
            return False
        room = np.array(self.half_px) - np.abs(disk.position_px)
        return bool(room.min() < disk.radius_px)

    def explain(self, seen: CenteringState) -> str:
        """Return why the direct beam cannot be read; empty where it can."""
        if self.verdict(seen) is Outcome.RUNNING:
            return ""
        if self.cut(seen):
            return "disk cut by the frame's edge; centre it first"
        return self._centring.explain(seen)

    def marks(self, seen: CenteringState) -> dict[str, Point]:
        """Return what to draw on a frame, (x, y) in pixels, origin top left; there is no goal."""
        marks = self._centring.marks(seen)
        del marks["goal"]
        return marks if seen.known.disk or seen.known.ambiguous else {}
