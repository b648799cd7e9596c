"""Whether the calibration of a frame's pixels can be true, by what the disk shows of it."""

import math
from typing import Final

from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.state import CenteringState

_FACTOR: Final = 2.0
"""What contradicts the calibration by more is a wrong unit, binning or camera length."""

_FEWEST_PX: Final = 10.0
"""How far the disk must have moved, or should have, to tell."""


def doubts(state: CenteringState, config: BfDiskCenteringConfig) -> str:
    """Return what contradicts the calibration; empty where nothing does.

    Args:
        state: of the episode.
        config: the task's options.
    """
    pixel_rad = state.measured.pixel_rad
    if pixel_rad is None and config.tolerance_mrad is not None:
        # Without a tolerance in mrad nothing rests on it.
        pixel_rad = config.pixel_mrad * 1e-3
    if pixel_rad is None or state.known.disk is None:
        return ""
    found = []
    moved_rad = sum(math.hypot(*move[:2]) for move in state.known.moves)
    moved_px = sum(math.hypot(*move[2:]) for move in state.known.moves)
    if state.known.follows and max(moved_px, moved_rad / pixel_rad) >= _FEWEST_PX:
        times = moved_px * pixel_rad / moved_rad
        found.append((times, f"moved {times:.3g} times as far as the diffraction shift says"))
    radius_mrad = state.known.disk.radius_px * pixel_rad * 1e3
    if config.semi_angle_mrad is not None and radius_mrad > 0:
        times = radius_mrad / config.semi_angle_mrad
        semi = f"semi_angle_mrad = {config.semi_angle_mrad:g}"
        found.append((times, f"has a radius of {radius_mrad:.3g} mrad, {times:.3g} times {semi}"))
    wrong = [said for times, said in found if not 1 / _FACTOR <= times <= _FACTOR]
    if not wrong:
        return ""
    return (
        f"by the calibration of {pixel_rad * 1e3:.4g} mrad a pixel the disk {' and '.join(wrong)}; "
        "see whether unit, binning and camera length are right: angles may be off by as much"
    )
