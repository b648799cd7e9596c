"""What the direct beam was without a specimen: a run that a later one refers to."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from stempilot import read_events
from stempilot_tasks.bf_disk_centering.state import Point

_WANTED = ("x_px", "y_px", "radius_px", "contrast", "shift_x_rad", "shift_y_rad")
_FEWEST = 3
"""Places that tell the response of the diffraction shift."""


@frozen(kw_only=True, eq=False)
class Reference:
    """The disk of a run on vacuum.

    Attributes:
        radius_px: its radius.
        contrast: what it adds to a pixel.
        shifts_rad: (n, 2) read-backs of the diffraction shift.
        places_px: (n, 2) where the disk was at each.
        response: (2, 2) displacement in px per rad; zeros where the run does not tell.
    """

    radius_px: float
    contrast: float
    shifts_rad: npt.NDArray[np.float64] = field(repr=False)
    places_px: npt.NDArray[np.float64] = field(repr=False)
    response: npt.NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, run: str) -> "Reference":
        """Return what a run directory tells.

        Raises:
            RunDirError: the folder is not that of a run.
            ValueError: the disk was not seen in it.
        """
        found = cls.told(line["summary"] for line in read_events(Path(run)))
        if found is None:
            msg = (
                f"reference = {run!r}: no timestep of that run tells {', '.join(_WANTED)}; "
                "give the folder of a run of this task in which the disk was seen"
            )
            raise ValueError(msg)
        return found

    @classmethod
    def told(cls, summaries: Iterable[Mapping[str, float]]) -> "Reference | None":
        """Return what timesteps tell; ``None`` where the disk was not seen in any.

        Args:
            summaries: what `BfDiskCentering.summary` returns for each.
        """
        seen = [one for one in summaries if one.keys() >= set(_WANTED)]
        if not seen:
            return None
        shifts = np.array([(one["shift_x_rad"], one["shift_y_rad"]) for one in seen])
        places = np.array([(one["x_px"], one["y_px"]) for one in seen])
        response = np.zeros((2, 2))
        away = shifts - shifts.mean(axis=0)
        if len(seen) >= _FEWEST and np.linalg.matrix_rank(away, tol=1e-9) == 2:  # noqa: PLR2004
            solved = np.linalg.lstsq(away, places - places.mean(axis=0), rcond=None)[0]
            response = solved.T
        return cls(
            radius_px=float(np.median([one["radius_px"] for one in seen])),
            contrast=float(np.median([one["contrast"] for one in seen])),
            shifts_rad=shifts,
            places_px=places,
            response=response,
        )

    def place_px(self, shift_rad: Point) -> Point:
        """Return where the disk should be at a diffraction shift, from the nearest one recorded."""
        away = np.array(shift_rad) - self.shifts_rad
        nearest = int(np.argmin(np.linalg.norm(away, axis=1)))
        x, y = (self.places_px[nearest] + self.response @ away[nearest]).tolist()
        return x, y
