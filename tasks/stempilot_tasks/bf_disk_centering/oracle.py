"""The best action when the truth is known: full response, lag and backlash.

Used by evaluation alone, to have something to compare agents with.

The truth says, at the last exposure: ``position_px`` (x, y from the frame's centre),
``jacobian_px_per_rad`` (2 x 2 by rows), ``lag`` (share of a move that is still to come at the next
exposure), ``pending_rad`` (played command minus settled deflection, per component),
``backlash_rad`` (half the width of the play) and ``play_rad`` (command minus played command, per
component). A played command follows the command only when the play is used up.

Array code: each entry of the truth is a tuple, or (n, numbers) for n instruments at once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot_tasks.bf_disk_centering.actions import DISCRETE_MOVES
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import FloatArray, Geometry, distance

Truth = Mapping[str, Any]


def best_actions(config: BfDiskCenteringConfig, geometry: Geometry, truth: Truth) -> Any:
    """Return the actions that bring the next exposure nearest to the goal.

    Args:
        config: the task's options.
        geometry: its geometry.
        truth: what the simulator knows, of one instrument or of n.

    Returns:
        Continuous: (..., 2) exact moves, each component limited to a full action. Discrete: (...)
        the best of the moves there are.
    """
    aim_px, step_rad = geometry.aim_px(), config.step_rad
    if config.actions == "discrete":
        wide = {name: np.asarray(value)[..., np.newaxis, :] for name, value in truth.items()}
        after = position_after(DISCRETE_MOVES * step_rad, wide)
        return np.argmin(distance(after - aim_px), axis=-1)
    share = exact_change(aim_px, truth) / step_rad
    return np.clip(share, -1.0, 1.0).astype(np.float32)


def exact_change(aim_px: npt.NDArray[Any], truth: Truth) -> FloatArray:
    """Return the change of the command that puts the next exposure at the aim, (..., 2) in rad.

    Args:
        aim_px: (2,) where the disk's centre should come to lie.
        truth: what the simulator knows; its lag is below 1.
    """
    away = (aim_px - np.asarray(truth["position_px"]))[..., np.newaxis]
    wanted = np.linalg.solve(_jacobian(truth), away)[..., 0]
    played = wanted / (1 - np.asarray(truth["lag"])) - np.asarray(truth["pending_rad"])
    width, play = np.asarray(truth["backlash_rad"]), np.asarray(truth["play_rad"])
    change: FloatArray = np.where(played == 0, 0.0, played + width * np.sign(played) - play)
    return change


def position_after(change_rad: npt.NDArray[Any], truth: Truth) -> FloatArray:
    """Return where the disk's centre lies at the next exposure, (..., 2) in px.

    Args:
        change_rad: (..., 2) changes of the command.
        truth: what the simulator knows, of shapes that the changes' shape fits.
    """
    width = np.asarray(truth["backlash_rad"])
    play = np.asarray(truth["play_rad"]) + change_rad
    played = play - np.clip(play, -width, width)
    moved = (1 - np.asarray(truth["lag"])) * (np.asarray(truth["pending_rad"]) + played)
    shift = (_jacobian(truth) @ moved[..., np.newaxis])[..., 0]
    after: FloatArray = np.asarray(truth["position_px"]) + shift
    return after


def _jacobian(truth: Truth) -> FloatArray:
    rows = np.asarray(truth["jacobian_px_per_rad"])
    return rows.reshape(*rows.shape[:-1], 2, 2)
