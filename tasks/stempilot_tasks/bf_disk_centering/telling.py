"""What a state of the centring tells people: in words, in numbers, and in marks on a frame."""

import math

from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import Geometry
from stempilot_tasks.bf_disk_centering.state import CenteringState, Disk, Measured, Point


def explanation(
    state: CenteringState, config: BfDiskCenteringConfig, geometry: Geometry, *, succeeded: bool
) -> str:
    """Return what the last frame shows instead of a centred disk; empty where nothing is wrong.

    Args:
        state: of the episode.
        config: the task's options.
        geometry: its geometry.
        succeeded: the episode ended well, so that only a missing confirmation is left to say.
    """
    known, measured = state.known, state.measured
    if known.unconfirmed:
        return "not confirmed: the envelope refuses the small move that shows what follows it"
    if succeeded:
        return ""
    if known.ambiguous:
        return _which(measured)
    if state.distance <= state.tolerance and known.moves and not known.follows:
        return "what was found does not follow the diffraction shift; is it a flaw of the camera?"
    if known.disk is None or state.lost:
        return _missing(state, config)
    away_px = state.distance * geometry.unit_px
    return f"disk {away_px:.3g} px from the goal at timestep {state.steps}"


def _missing(state: CenteringState, config: BfDiskCenteringConfig) -> str:
    measured = state.measured
    clipped = ", pixels are clipped: lower the exposure" if measured.saturated else ""
    if not measured.visible:
        region = ", ".join(f"{value:g}" for value in config.region or ())
        return f"disk not visible{f' in region = [{region}]' if region else ''}{clipped}"
    if measured.position_px is None:
        return f"disk cut by the frame's edge{clipped}"
    if state.known.disk is None:
        return f"the disk is gone; {len(measured.disks)} other(s) show"
    return f"disk nearer than {config.edge_threshold_px:.3g} px to the frame's edge"


def _which(measured: Measured) -> str:
    """Return what a person can do where more than one disk may be the direct beam."""
    disks = measured.disks
    places = ", ".join(f"[{x:.0f},{y:.0f}]" for x, y in (disk.position_px for disk in disks))
    clipped = "; disks are clipped: lower the exposure" if any(d.clipped for d in disks) else ""
    return (
        f"the direct beam is not certain: disks at {places} px from the frame's centre; look at "
        "the picture and pick it with --set task.disk_px=[x,y], or refer to a run on vacuum with "
        f"--set task.reference=RUN{clipped}"
    )


def numbers(state: CenteringState, goal_px: Point) -> dict[str, float]:
    """Return what is worth recording of a state.

    Positions and ``distance_px`` are unrounded, whatever the observation; where the disk is not
    found they are those of the state (see `CenteringState`), and what is told of the disk is
    absent. So are they while it is not known yet which disk it is.
    """
    measured = state.measured
    told = {
        "visible": float(measured.visible),
        "cut": float(measured.cut),
        "saturated": float(measured.saturated),
        "steps": float(state.steps),
    }
    if state.known.watched:
        return told
    x_px, y_px = state.position_px
    dx_px, dy_px = x_px - goal_px[0], y_px - goal_px[1]
    place = {
        "x_px": x_px,
        "y_px": y_px,
        "dx_px": dx_px,
        "dy_px": dy_px,
        "distance_px": math.hypot(dx_px, dy_px),
    }
    return place | told | _of_disk(state.known.disk, measured)


def _of_disk(disk: Disk | None, measured: Measured) -> dict[str, float]:
    if disk is None:
        return {}
    x_rad, y_rad = measured.shift_rad
    told = {"contrast": disk.contrast, "shift_x_rad": x_rad, "shift_y_rad": y_rad}
    return told if math.isnan(disk.radius_px) else {"radius_px": disk.radius_px, **told}


def marks(state: CenteringState, config: BfDiskCenteringConfig) -> dict[str, Point]:
    """Return ``goal`` and ``found``, (x, y) in pixels of the frame, origin top left.

    While more than one disk may be the direct beam, all are marked instead of ``found``, as
    ``candidate 1`` and so on.
    """
    rows, cols = config.camera_shape
    centre_x, centre_y = (cols - 1) / 2, (rows - 1) / 2
    places = {"goal": config.goal_px}
    if state.known.ambiguous or state.known.watched:
        for number, disk in enumerate(state.measured.disks, start=1):
            places[f"candidate {number}"] = disk.position_px
    else:
        places["found"] = state.position_px
    return {name: (centre_x + x, centre_y + y) for name, (x, y) in places.items()}
