"""The best action when the truth is known: full response, lag and backlash.

Used by evaluation alone, to have something to compare agents with.

The truth says, at the last exposure: ``position_px`` (x, y from the frame's centre),
``jacobian_px_per_rad`` (2 x 2 by rows), ``lag`` (share of a move that is still to come at the next
exposure), ``pending_rad`` (played command minus settled deflection, per component),
``backlash_rad`` (half the width of the play) and ``play_rad`` (command minus played command, per
component). A played command follows the command only when the play is used up.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from stempilot.model import Reading
from stempilot_tasks.bf_disk_centering.geometry import FloatArray

Truth = Mapping[str, Reading]


def exact_change(aim_px: npt.NDArray[Any], truth: Truth) -> FloatArray:
    """Return the change of the command that puts the next exposure at the aim, (2,) in rad.

    Args:
        aim_px: (2,) where the disk's centre should come to lie.
        truth: what the simulator knows; its lag is below 1.
    """
    wanted = np.linalg.solve(_jacobian(truth), aim_px - np.array(truth["position_px"]))
    played = wanted / (1 - truth["lag"][0]) - np.array(truth["pending_rad"])
    width, play = truth["backlash_rad"][0], np.array(truth["play_rad"])
    change: FloatArray = np.where(played == 0, 0.0, played + width * np.sign(played) - play)
    return change


def position_after(change_rad: npt.NDArray[Any], truth: Truth) -> FloatArray:
    """Return where the disk's centre lies at the next exposure, (..., 2) in px.

    Args:
        change_rad: (..., 2) changes of the command.
        truth: what the simulator knows.
    """
    width = truth["backlash_rad"][0]
    play = np.array(truth["play_rad"]) + change_rad
    played = play - np.clip(play, -width, width)
    moved = (1 - truth["lag"][0]) * (np.array(truth["pending_rad"]) + played)
    after: FloatArray = np.array(truth["position_px"]) + moved @ _jacobian(truth).T
    return after


def _jacobian(truth: Truth) -> FloatArray:
    return np.array(truth["jacobian_px_per_rad"]).reshape(2, 2)
