"""Centring the bright-field disk, as a task."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve
from gymnasium.spaces import Box, Space

from stempilot import (
    BEAM_BLANKER,
    CAMERA_LENGTH_INDEX,
    DIFFRACTION_SHIFT,
    FLUCAM,
    KNOB_UNITS,
    SCREEN,
    Centre,
    FrameError,
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
from stempilot_tasks.bf_disk_centering.knowledge import begin, follow, watch
from stempilot_tasks.bf_disk_centering.measure import measure_disk, read_mask
from stempilot_tasks.bf_disk_centering.observation import (
    Observation,
    observation_space,
    observer,
    residual_entries,
)
from stempilot_tasks.bf_disk_centering.oracle import best_actions
from stempilot_tasks.bf_disk_centering.plausible import doubts
from stempilot_tasks.bf_disk_centering.reference import Reference
from stempilot_tasks.bf_disk_centering.reward import reward, verdict
from stempilot_tasks.bf_disk_centering.state import (
    CenteringState,
    Knowledge,
    Measured,
    Point,
)
from stempilot_tasks.bf_disk_centering.symmetry import moved_elsewhere
from stempilot_tasks.bf_disk_centering.telling import explanation, marks, numbers

_EXCURSION = 0.3
"""The task's own small move, in full actions."""


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
        self.reference = Reference.of(config.reference) if config.reference else None
        self._mask = read_mask(config.mask, config.camera_shape) if config.mask else None

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
        self._require_tolerance(snapshot.frames[FLUCAM].pixel_rad)
        shift_rad = snapshot.knobs[DIFFRACTION_SHIFT]
        radius_px, near_px = self.config.radius_px, None
        if self.reference is not None:
            near_px = self.reference.place_px((shift_rad[0], shift_rad[1]))
            radius_px = radius_px or self.reference.radius_px
        return measure_disk(
            snapshot.frames[FLUCAM],
            shift_rad,
            self.config.camera_shape,
            radius_px=radius_px,
            near_px=near_px,
            mask=self._mask,
            region=self.geometry.region,
            simulated=snapshot.simulated,
        )

    def _require_tolerance(self, pixel_rad: float | None) -> None:
        if pixel_rad is None or not pixel_rad > 0:
            return
        tolerance_px = self.geometry.tolerance(pixel_rad) * self.geometry.unit_px
        if tolerance_px > self.config.largest_tolerance_px:
            msg = (
                f"tolerance_mrad = {self.config.tolerance_mrad:g} is {tolerance_px:.4g} px of a "
                f"frame that is calibrated as {pixel_rad * 1e3:.4g} mrad a pixel, more than "
                f"{self.config.largest_tolerance_px:.4g} px, a quarter of half the field; see "
                "whether the units of both are right"
            )
            raise FrameError(msg)

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
        if state.known.watched:
            return True
        reach = self.config.start_range * self.geometry.half_px
        inside = bool((np.abs(state.position_px) <= reach).all())
        return inside and self.outcome(state) is Outcome.RUNNING

    def initial(self, measured: Measured) -> CenteringState:
        """Return the state at the start, with the read-back as the shift last asked for."""
        x_rad, y_rad = measured.shift_rad
        corner = (float(self.geometry.half_px[0]), float(self.geometry.half_px[1]))
        watches = self.config.watch_frames > 0
        known = begin(measured, self.config.disk_px, self.reference, watches=watches)
        return self._state(measured, known, seen_px=corner, steps=0, target_rad=(x_rad, y_rad))

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
        target_rad, out = self._next(state, action)
        before_rad = self._stands_at(state)
        moved_rad = target_rad[0] - before_rad[0], target_rad[1] - before_rad[1]
        half_px, most_frames = self.config.half_px, self.config.watch_frames
        if state.known.watched:
            known = watch(state.known, measured, half_px, most_frames)
        else:
            known = follow(state.known, measured, moved_rad, half_px, self.reference)
        return self._state(
            measured,
            evolve(known, excursion_rad=target_rad if out else None),
            seen_px=state.position_px,
            steps=state.steps + 1,
            target_rad=state.target_rad if out else target_rad,
        )

    def _next(self, state: CenteringState, action: Any) -> tuple[Point, bool]:
        """Return the shift that comes next, and whether it is the task's own small move."""
        if action is not None:
            return self._target(state, action), False
        if state.known.watched or state.known.excursion_rad is not None:
            return state.target_rad, False
        x_rad, y_rad = state.target_rad
        # Away from the nearest edge of the field is not known; a small move stays inside.
        return (x_rad + _EXCURSION * self._step_rad, y_rad), True

    @staticmethod
    def _stands_at(state: CenteringState) -> Point:
        return state.known.excursion_rad or state.target_rad

    def own_moves(
        self, state: CenteringState, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Return the small move that confirms a success, and the move back; or stand still."""
        del standing
        if state.known.watched:
            return ()
        if state.known.excursion_rad is None and not self._is_to_confirm(state):
            return None
        return (SetPoint(DIFFRACTION_SHIFT, self._next(state, None)[0]),)

    def refused(self, state: CenteringState) -> CenteringState | None:
        """Return the state without a confirmation; a refused way back ends the episode."""
        if state.known.excursion_rad is not None:
            return None
        return evolve(state, known=evolve(state.known, unconfirmed=True))

    def _wants_confirmation(self, state: CenteringState) -> bool:
        confirm = self.config.confirm
        return confirm == "always" or (confirm == "real" and not state.measured.simulated)

    def _is_to_confirm(self, state: CenteringState) -> bool:
        known = state.known
        return (
            self._wants_confirmation(state)
            and not (known.follows or known.unconfirmed or known.moves or state.lost)
            and state.distance <= state.tolerance
        )

    def _state(
        self,
        measured: Measured,
        known: Knowledge,
        *,
        seen_px: Point,
        steps: int,
        target_rad: Point,
    ) -> CenteringState:
        """Return the state that a measurement leads to.

        Args:
            measured: what the frame shows.
            known: what is known of the direct beam.
            seen_px: where the disk was seen before, to fall back to.
            steps: timesteps into the episode.
            target_rad: the shift that was asked for.
        """
        geometry = self.geometry
        found = np.array(known.disk.position_px if known.disk else seen_px)
        position = geometry.clipped(found)
        residual = geometry.residual(position)
        x_px, y_px = position.tolist()
        residual_x, residual_y = residual.tolist()
        return CenteringState(
            position_px=(x_px, y_px),
            residual=(residual_x, residual_y),
            distance=float(distance(residual)),
            tolerance=geometry.certain(measured.pixel_rad, disks=len(measured.disks)),
            lost=known.disk is None or bool(geometry.is_beyond_edge(found)),
            steps=steps,
            target_rad=target_rad,
            measured=measured,
            known=known,
        )

    def observe(self, state: CenteringState) -> Observation:
        """Return the residual as the configured observation, float32."""
        return self._observer(np.array(state.residual))

    def outcome(self, state: CenteringState) -> Outcome:
        """Return SUCCESS within the tolerance, FAILURE when lost or out of steps.

        AMBIGUOUS where more than one disk may be the direct beam. What was to be confirmed and
        does not follow the diffraction shift is no success.
        """
        known = state.known
        if known.ambiguous:
            return Outcome.AMBIGUOUS
        if known.watched or known.excursion_rad is not None or self._is_to_confirm(state):
            return Outcome.RUNNING
        success, failure = verdict(
            state.distance,
            state.tolerance,
            state.lost,
            steps=state.steps,
            step_limit=self.config.step_limit,
        )
        if success and self._wants_confirmation(state) and known.moves and not known.follows:
            return Outcome.FAILURE
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
            failure=outcome in {Outcome.FAILURE, Outcome.BLOCKED, Outcome.AMBIGUOUS},
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
        """Return what is wrong with the last frame or its calibration (`telling`, `plausible`)."""
        succeeded = self.outcome(state) is Outcome.SUCCESS
        wrong = explanation(state, self.config, self.geometry, succeeded=succeeded)
        return "; ".join(filter(None, (wrong, doubts(state, self.config))))

    def summary(self, state: CenteringState) -> dict[str, float]:
        """Return what is worth recording of a state (see `telling`)."""
        return numbers(state, self.config.goal_px)

    def marks(self, state: CenteringState) -> dict[str, Point]:
        """Return what to draw on a frame, (x, y) in pixels, origin top left (see `telling`)."""
        return marks(state, self.config)

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
