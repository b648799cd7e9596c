"""What an agent sees of the residual: array code for any leading batch shape."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import FloatArray, Geometry

Observation = npt.NDArray[np.float32]
Observer = Callable[[FloatArray], Observation]
"""Turns residuals (..., 2) into observations (..., n)."""

PAPER_RESIDUAL: Final = (1, 2)
UNROUNDED_RESIDUAL: Final = (0, 1)


def residual_entries(config: BfDiskCenteringConfig) -> tuple[int, int]:
    """Return which entries of an observation are the residual, x and y."""
    return PAPER_RESIDUAL if config.observation == "paper" else UNROUNDED_RESIDUAL


def observer(config: BfDiskCenteringConfig) -> Observer:
    """Return the function from residuals (..., 2) to observations (..., n), float32."""
    if config.observation == "unrounded":
        return _unrounded
    step_size = config.step_size

    def paper(residual: FloatArray) -> Observation:
        # Entry by entry in memory, as residuals of many episodes are.
        seen = np.empty((*residual.shape[:-1], 5), dtype=np.float32, order="F")
        seen[..., 0] = step_size
        seen[..., 1:3] = residual
        seen[..., 3:5] = residual == 0
        return seen

    return paper


def _unrounded(residual: FloatArray) -> Observation:
    return residual.astype(np.float32)


def observation_space(config: BfDiskCenteringConfig) -> Box:
    """Return the smallest box around all that can be observed inside the frame.

    Each call makes a new one: a space carries a random state of its own.
    """
    geometry = Geometry.of(config)
    # Rounding keeps the order, so nothing inside the frame is rounded out of the box.
    low = geometry.residual(-geometry.half_px).astype(np.float32)
    high = geometry.residual(geometry.half_px).astype(np.float32)
    if config.observation == "paper":
        # From 0, although the step size never changes: Gymnasium warns of an empty interval.
        low = np.array([0, *low, 0, 0], dtype=np.float32)
        high = np.array([config.step_size, *high, 1, 1], dtype=np.float32)
    return Box(low, high, dtype=np.float32)
