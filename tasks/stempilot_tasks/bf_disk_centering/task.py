"""Centring the bright-field disk, as a task."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space

from stempilot import (
    BEAM_BLANKER,
    CAMERA_LENGTH_INDEX,
    DIFFRACTION_SHIFT,
    FLUCAM,
    KNOB_UNITS,
    SCREEN,
    Centre,
    KnobNeed,
    KnobValue,
    Needs,
    Outcome,
    Quantity,
    SetPoint,
    Snapshot,
    Task,
    Transitions,
)
from stempilot_tasks.bf_disk_centering.actions import action_space, moves
from stempilot_tasks.bf_disk_centering.batch import BfDiskCenteringBatch
from stempilot_tasks.bf_disk_centering.config import PUBLISHED_SIZE_PX, BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import Geometry, distance
from stempilot_tasks.bf_disk_centering.measure import measure_disk
from stempilot_tasks.bf_disk_centering.observation import (
    Observation,
    observation_space,
    observer,
    residual_entries,
)
from stempilot_tasks.bf_disk_centering.oracle import best_actions
from stempilot_tasks.bf_disk_centering.reward import reward, verdict
from stempilot_tasks.bf_disk_centering.state import CenteringState, Measured, Point
from stempilot_tasks.bf_disk_centering.symmetry import moved_elsewhere


class BfDiskCentering(Task[Measured, CenteringState]):
    """Bring the bright-field disk to a goal on the FluCam with the diffraction shift.

    Args:
        config: the options.
    """

    def __init__(self, config: BfDiskCenteringConfig) -> None:
        self.config = config
        self.geometry = Geometry.of(config)
        self._step_rad = config.step_rad
        self._size = PUBLISHED_SIZE_PX / self.geometry.unit_px
        self._observer = observer(config)

    @property
    def needs(self) -> Needs:
        """The diffraction shift and the FluCam, with the screen down and the beam on it."""
        unit, size = KNOB_UNITS[DIFFRACTION_SHIFT]
        knob = KnobNeed(unit=unit, size=size, largest_step=(self.config.step_rad,) * size)
        return Needs(
            knobs={DIFFRACTION_SHIFT: knob},
            sources=(FLUCAM,),
            states={SCREEN: "down", BEAM_BLANKER: "open"},
            reads=(CAMERA_LENGTH_INDEX,),
            shapes={FLUCAM: self.config.camera_shape},
        )

    @property
    def observation_space(self) -> Box:
        """A new box around all that can be observed (see `observation`)."""
        return observation_space(self.config)

    @property
    def action_space(self) -> Space[Any]:
        """A new space of the actions (see `actions`)."""
        return action_space(self.config.actions)

    @property
    def goal(self) -> Centre:
        """The residual's place, tolerance, edges, rounding and nominal response."""
        geometry, config = self.geometry, self.config
        full_action_px = config.step_rad / (config.pixel_mrad * 1e-3)
        return Centre(
            residual=residual_entries(config),
            unit="bins" if geometry.rounded else "half fields",
            tolerance=geometry.tolerance(),
            edges=(
                -geometry.edge_px / geometry.unit_px - geometry.goal,
                geometry.edge_px / geometry.unit_px - geometry.goal,
            ),
            resolution=1.0 if geometry.rounded else 0.0,
            full_action=full_action_px / geometry.unit_px,
        )

    def measure(self, snapshot: Snapshot) -> Measured:
        """Return what the FluCam shows (see `measure.measure_disk`).

        Raises:
            FrameError: wrong shape, not numbers, badly calibrated, or clipped all over.
        """
        shift_rad = snapshot.knobs[DIFFRACTION_SHIFT]
        return measure_disk(snapshot.frames[FLUCAM], shift_rad, self.config.camera_shape)

    def sees(self, measured: Measured, source: str) -> bool:
        """Return whether a disk, or a part of one, shows."""
        del source
        return measured.visible

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        """Return a diffraction shift drawn uniformly, each component on its own, around home."""
        reach = self.config.scramble_steps * self.config.step_rad
        shift = np.array(home[DIFFRACTION_SHIFT])
        return (SetPoint(DIFFRACTION_SHIFT, shift + rng.uniform(-reach, reach, shift.shape)),)

    def is_start(self, state: CenteringState) -> bool:
        """Return whether the disk shows within the range of starts and is not centred yet."""
        reach = self.config.start_range * self.geometry.half_px
        inside = bool((np.abs(state.position_px) <= reach).all())
        return inside and self.outcome(state) is Outcome.RUNNING

    def initial(self, measured: Measured) -> CenteringState:
        """Return the state at the start, with the read-back as the shift last asked for."""
        x_rad, y_rad = measured.shift_rad
        corner = (float(self.geometry.half_px[0]), float(self.geometry.half_px[1]))
        return self._state(measured, seen_px=corner, steps=0, target_rad=(x_rad, y_rad))

    def targets(
        self, state: CenteringState, action: Any, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...]:
        """Return the diffraction shift last asked for, plus the action's share of a full one."""
        del standing
        return (SetPoint(DIFFRACTION_SHIFT, self._target(state, action)),)

    def _target(self, state: CenteringState, action: Any) -> Point:
        move_x, move_y = (moves(self.config.actions, action) * self._step_rad).tolist()
        x_rad, y_rad = state.target_rad
        return x_rad + move_x, y_rad + move_y

    def advance(self, state: CenteringState, action: Any, measured: Measured) -> CenteringState:
        """Return the state after the action was carried out and measured."""
        return self._state(
            measured,
            seen_px=state.position_px,
            steps=state.steps + 1,
            target_rad=self._target(state, action),
        )

    def _state(
        self, measured: Measured, *, seen_px: Point, steps: int, target_rad: Point
    ) -> CenteringState:
        """Return the state that a measurement leads to.

        Args:
            measured: what the frame shows.
            seen_px: where the disk was seen before, to fall back to.
            steps: timesteps into the episode.
            target_rad: the shift that was asked for.
        """
        geometry = self.geometry
        found = np.array(seen_px if measured.position_px is None else measured.position_px)
        position = geometry.clipped(found)
        residual = geometry.residual(position)
        x_px, y_px = position.tolist()
        residual_x, residual_y = residual.tolist()
        return CenteringState(
            position_px=(x_px, y_px),
            residual=(residual_x, residual_y),
            distance=float(distance(residual)),
            tolerance=geometry.tolerance(measured.pixel_rad),
            lost=measured.position_px is None or bool(geometry.is_beyond_edge(found)),
            steps=steps,
            target_rad=target_rad,
            measured=measured,
        )

    def observe(self, state: CenteringState) -> Observation:
        """Return the residual as the configured observation, float32."""
        return self._observer(np.array(state.residual))

    def outcome(self, state: CenteringState) -> Outcome:
        """Return SUCCESS within the tolerance, FAILURE when lost or out of steps."""
        success, failure = verdict(
            state.distance,
            state.tolerance,
            state.lost,
            steps=state.steps,
            step_limit=self.config.step_limit,
        )
        if success:
            return Outcome.SUCCESS
        return Outcome.FAILURE if failure else Outcome.RUNNING

    def reward(
        self, before: CenteringState, action: Any, after: CenteringState, outcome: Outcome
    ) -> float:
        """Return the reward of Eq. 1 or of its variants; a refused plan costs what losing does."""
        del action
        value = reward(
            self.config.reward,
            before.distance,
            after.distance,
            success=outcome is Outcome.SUCCESS,
            failure=outcome in {Outcome.FAILURE, Outcome.BLOCKED},
            size=self._size,
        )
        return float(value)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The distance from the goal, and where the disk stands."""
        return (
            Quantity(
                name="distance_px", unit="px", better="lower", symbol="distance", error="error_px"
            ),
            Quantity(name="x_px", unit="px", symbol="x"),
            Quantity(name="y_px", unit="px", symbol="y"),
            # Known from the truth alone.
            Quantity(
                name="error_mrad", unit="mrad", better="lower", symbol="error", error="error_mrad"
            ),
        )

    def explain(self, state: CenteringState) -> str:
        """Return what the last frame shows instead of a centred disk."""
        measured = state.measured
        clipped = ", pixels are clipped: lower the exposure" if measured.saturated else ""
        if not measured.visible:
            return f"disk not visible{clipped}"
        if measured.position_px is None:
            return f"disk cut by the frame's edge{clipped}"
        if state.lost:
            return f"disk nearer than {self.config.edge_threshold_px:.3g} px to the frame's edge"
        away_px = state.distance * self.geometry.unit_px
        return f"disk {away_px:.3g} px from the goal at timestep {state.steps}"

    def summary(self, state: CenteringState) -> dict[str, float]:
        """Return what is worth recording of a state.

        Positions and ``distance_px`` are unrounded, whatever the observation; where the disk is
        not found they are those of the state (see `CenteringState`), and ``radius_px`` is absent.
        """
        x_px, y_px = state.position_px
        dx_px, dy_px = x_px - self.config.goal_px[0], y_px - self.config.goal_px[1]
        measured = state.measured
        numbers = {
            "x_px": x_px,
            "y_px": y_px,
            "dx_px": dx_px,
            "dy_px": dy_px,
            "distance_px": math.hypot(dx_px, dy_px),
            "visible": float(measured.visible),
            "cut": float(measured.cut),
            "saturated": float(measured.saturated),
            "steps": float(state.steps),
        }
        if measured.radius_px is not None:
            numbers["radius_px"] = measured.radius_px
        return numbers

    def marks(self, state: CenteringState) -> dict[str, Point]:
        """Return ``goal`` and ``found``, (x, y) in pixels of the frame, origin top left."""
        rows, cols = self.config.camera_shape
        centre_x, centre_y = (cols - 1) / 2, (rows - 1) / 2
        goal, found = self.config.goal_px, state.position_px
        return {
            "goal": (centre_x + goal[0], centre_y + goal[1]),
            "found": (centre_x + found[0], centre_y + found[1]),
        }

    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        """Return the transitions with their displacements at new starts (see `symmetry`)."""
        return moved_elsewhere(
            batch,
            rng,
            config=self.config,
            geometry=self.geometry,
            see=self._observer,
            size=self._size,
        )

    def batched(self) -> BfDiskCenteringBatch:
        """Return the same task on arrays (see `batch`)."""
        return BfDiskCenteringBatch(self.config)

    def oracle_action(self, state: Any, truth: Mapping[str, KnobValue]) -> Any:
        """Return the action that brings the next exposure nearest to the goal.

        Continuous: the exact move, each component limited to a full action. Discrete: the best of
        the moves there are. See `oracle` for the truth that it reads.
        """
        del state
        return best_actions(self.config, self.geometry, truth)

    def true_error(self, state: Any, truth: Mapping[str, KnobValue]) -> dict[str, float]:
        """Return the true distance from the unrounded goal: ``error_px`` and ``error_mrad``.

        ``error_mrad`` is absent where the truth gives no ``pixel_rad``.
        """
        del state
        offset = np.array(truth["position_px"]) - self.geometry.goal_px
        error = {"error_px": float(distance(offset))}
        if "pixel_rad" in truth:
            error["error_mrad"] = error["error_px"] * truth["pixel_rad"][0] * 1e3
        return error
