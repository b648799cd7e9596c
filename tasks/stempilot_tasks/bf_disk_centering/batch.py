"""Centring the disk on many instruments at once: the task's own functions, over arrays."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stempilot import DIFFRACTION_SHIFT
from stempilot_tasks.bf_disk_centering.actions import moves
from stempilot_tasks.bf_disk_centering.config import PUBLISHED_SIZE_PX, BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import BoolArray, FloatArray, Geometry, distance
from stempilot_tasks.bf_disk_centering.observation import Observation, observer
from stempilot_tasks.bf_disk_centering.oracle import best_actions
from stempilot_tasks.bf_disk_centering.reward import reward, verdict

Arrays = dict[str, npt.NDArray[Any]]
Measured = Mapping[str, npt.NDArray[Any]]

POSITION, PIXEL_RAD = "position_px", "pixel_rad"
MEASUREMENTS: Final = (POSITION, PIXEL_RAD)
"""The centre found, (n, 2) from the frame's centre, NaN for none; the pixels' angle, (n,)."""


class BfDiskCenteringBatch:
    """`BfDiskCentering` on n episodes at once.

    A state holds ``position_px``, ``residual``, ``distance``, ``tolerance``, ``lost``, ``steps``
    and ``target_rad`` of `CenteringState`, one row for each episode.

    Args:
        config: the options.
    """

    def __init__(self, config: BfDiskCenteringConfig) -> None:
        self._config = config
        self._geometry = Geometry.of(config)
        self._observer = observer(config)
        self._size = PUBLISHED_SIZE_PX / self._geometry.unit_px

    @property
    def measurements(self) -> tuple[str, ...]:
        """Where the disk is and how large a pixel."""
        return MEASUREMENTS

    def initial(self, measured: Measured) -> Arrays:
        """Return the states at the start, with the read-backs as the shifts last asked for."""
        target = np.asarray(measured[DIFFRACTION_SHIFT])
        corner = np.broadcast_to(self._geometry.half_px, target.shape)
        steps = np.zeros(len(target), np.int64)
        return self._state(measured, seen_px=corner, steps=steps, target_rad=target)

    def is_start(self, state: Arrays) -> BoolArray:
        """Return (n,), whether the disk shows within the range of starts and is not centred."""
        reach = self._config.start_range * self._geometry.half_px
        inside = np.abs(state["position_px"]) <= reach
        success, failure = self.outcome(state)
        start: BoolArray = inside[..., 0] & inside[..., 1] & ~(success | failure)
        return start

    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Mapping[str, FloatArray]
    ) -> dict[str, FloatArray]:
        """Return the diffraction shifts, (n, 2) in rad."""
        return {DIFFRACTION_SHIFT: self._target(state, actions)}

    def _target(self, state: Arrays, actions: npt.NDArray[Any]) -> FloatArray:
        target: FloatArray = state["target_rad"] + moves(self._config.actions, actions) * (
            self._config.step_rad
        )
        return target

    def advance(self, state: Arrays, actions: npt.NDArray[Any], measured: Measured) -> Arrays:
        """Return the states after the actions were carried out and measured."""
        return self._state(
            measured,
            seen_px=state["position_px"],
            steps=state["steps"] + 1,
            target_rad=self._target(state, actions),
        )

    def _state(
        self,
        measured: Measured,
        *,
        seen_px: npt.NDArray[Any],
        steps: npt.NDArray[Any],
        target_rad: npt.NDArray[Any],
    ) -> Arrays:
        geometry, found = self._geometry, measured[POSITION]
        missing = np.isnan(found[..., 0])
        unseen = missing.nonzero()[0]
        if unseen.size:
            found = found.copy(order="K")
            found[unseen] = seen_px[unseen]
        position = geometry.clipped(found)
        residual = geometry.residual(position)
        return {
            "position_px": position,
            "residual": residual,
            "distance": distance(residual),
            "tolerance": np.full(missing.shape, geometry.tolerance(measured[PIXEL_RAD])),
            "lost": missing | geometry.is_beyond_edge(found),
            "steps": steps,
            "target_rad": target_rad,
        }

    def observe(self, state: Arrays) -> Observation:
        """Return the residuals as the configured observations, (n, ...) float32."""
        return self._observer(state["residual"])

    def outcome(self, state: Arrays) -> tuple[BoolArray, BoolArray]:
        """Return which episodes succeed and which fail, (n,) each."""
        success, failure = verdict(
            state["distance"],
            state["tolerance"],
            state["lost"],
            steps=state["steps"],
            step_limit=self._config.step_limit,
        )
        return success, failure

    def reward(
        self,
        before: Arrays,
        actions: npt.NDArray[Any],
        after: Arrays,
        *,
        success: BoolArray,
        failure: BoolArray,
    ) -> FloatArray:
        """Return the rewards of Eq. 1 or of its variants, (n,)."""
        del actions
        earned: FloatArray = reward(
            self._config.reward,
            before["distance"],
            after["distance"],
            success=success,
            failure=failure,
            size=self._size,
        )
        return earned

    def oracle_actions(self, state: Arrays, truth: Mapping[str, FloatArray]) -> npt.NDArray[Any]:
        """Return the actions that bring the next exposures nearest to the goal (see `oracle`)."""
        del state
        actions: npt.NDArray[Any] = best_actions(self._config, self._geometry, truth)
        return actions

    def true_errors(self, state: Arrays, truth: Mapping[str, FloatArray]) -> Arrays:
        """Return the true distances from the unrounded goal: ``error_px`` and ``error_mrad``."""
        del state
        error_px = distance(truth["position_px"] - self._geometry.goal_px)
        return {"error_px": error_px, "error_mrad": error_px * truth[PIXEL_RAD][:, 0] * 1e3}
