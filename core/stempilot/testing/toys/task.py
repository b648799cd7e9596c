"""Centring the dot of the toy instrument."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen
from gymnasium.spaces import Box, Discrete, Space

from stempilot.contract.goals import Centre, Quantity
from stempilot.contract.names import BEAM_BLANKER, BEAM_SHIFT
from stempilot.contract.task import Task
from stempilot.contract.values import KnobNeed, KnobValue, Needs, Outcome, SetPoint, Snapshot
from stempilot.testing.toys.backend import TOY_CAMERA

_HALF_PX: Final = 32.0
_EDGE: Final = 1.25
_STEP_M: Final = 3.2e-7
_PX_PER_M: Final = 4e7
_DIRECTIONS: Final = np.array([(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)])
_MOVES: Final = np.concatenate([_DIRECTIONS, _DIRECTIONS / 4])
_FAINTEST: Final = 200
"""Counts above the background from which a pixel belongs to the dot."""


@frozen(kw_only=True)
class ToyMeasured:
    """Where the dot is.

    Attributes:
        offset: x, y from the frame's centre in units of 32 px; ``None`` where no dot shows.
        shift_m: read-back of the beam shift.
    """

    offset: tuple[float, float] | None
    shift_m: KnobValue


@frozen(kw_only=True)
class ToyState:
    """The state of an episode.

    Attributes:
        offset: where the dot is, or was last seen.
        lost: the dot does not show.
        steps: timesteps into the episode.
        target_m: beam shift that was last asked for.
    """

    offset: tuple[float, float]
    lost: bool
    steps: int
    target_m: KnobValue


class ToyCentring(Task[ToyMeasured, ToyState]):
    """Bring the dot on the ``toy_camera`` to the frame's centre with the beam shift.

    Args:
        actions: ``box``: two numbers from -1 to 1. ``discrete``: four directions, a full action or
            a quarter of one.
        tolerance: largest distance that counts as centred, in units of 32 px.
    """

    def __init__(
        self, actions: Literal["box", "discrete"] = "box", *, tolerance: float = 0.1
    ) -> None:
        self._actions = actions
        self._tolerance = tolerance

    @property
    def needs(self) -> Needs:
        """The beam shift, the toy's camera and an open beam."""
        knob = KnobNeed(unit="m", size=2, largest_step=(_STEP_M, _STEP_M))
        return Needs(knobs={BEAM_SHIFT: knob}, sources=(TOY_CAMERA,), states={BEAM_BLANKER: "open"})

    @property
    def observation_space(self) -> Box:
        """Offset of the dot, x and y in units of 32 px."""
        return Box(-_EDGE, _EDGE, (2,), dtype=np.float32)

    @property
    def action_space(self) -> Space[Any]:
        """A box or eight moves, in shares of a full action."""
        if self._actions == "discrete":
            return Discrete(len(_MOVES))
        return Box(-1.0, 1.0, (2,), dtype=np.float32)

    @property
    def goal(self) -> Centre:
        """The offset is the residual; a full action moves the dot by 0.4."""
        return Centre(
            residual=(0, 1),
            unit="32 px",
            tolerance=self._tolerance,
            edges=((-1.0, -0.75), (1.0, 0.75)),
            full_action=_STEP_M * _PX_PER_M / _HALF_PX,
        )

    def measure(self, snapshot: Snapshot) -> ToyMeasured:
        """Return the centre of mass of what is brighter than the background."""
        pixels = snapshot.frames[TOY_CAMERA].pixels.astype(float)
        above = pixels - np.median(pixels)
        above[above < _FAINTEST] = 0.0
        total = float(above.sum())
        offset = None
        if total > 0:
            rows, cols = (np.arange(side) - (side - 1) / 2 for side in above.shape)
            x, y = float((above @ cols).sum()), float((rows @ above).sum())
            offset = (x / total / _HALF_PX, y / total / _HALF_PX)
        return ToyMeasured(offset=offset, shift_m=snapshot.knobs[BEAM_SHIFT])

    def sees(self, measured: ToyMeasured, source: str) -> bool:
        """Return whether the dot shows."""
        del source
        return measured.offset is not None

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        """Return a beam shift within one full action of home."""
        away = rng.uniform(-_STEP_M, _STEP_M, 2)
        return (SetPoint(BEAM_SHIFT, np.array(home[BEAM_SHIFT]) + away),)

    def initial(self, measured: ToyMeasured) -> ToyState:
        """Return the state at the start; a dot that does not show counts as being at the edge."""
        return ToyState(
            offset=measured.offset or (_EDGE, _EDGE),
            lost=measured.offset is None,
            steps=0,
            target_m=measured.shift_m,
        )

    def targets(
        self, state: ToyState, action: Any, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...]:
        """Return the beam shift last asked for plus the action's share of 320 nm."""
        del standing
        return (SetPoint(BEAM_SHIFT, self._target(state, action)),)

    def _target(self, state: ToyState, action: Any) -> npt.NDArray[np.float64]:
        move = _MOVES[action] if self._actions == "discrete" else np.asarray(action, dtype=float)
        target: npt.NDArray[np.float64] = np.array(state.target_m) + move * _STEP_M
        return target

    def advance(self, state: ToyState, action: Any, measured: ToyMeasured) -> ToyState:
        """Return the state after the action."""
        x_m, y_m = self._target(state, action)
        return ToyState(
            offset=measured.offset or state.offset,
            lost=measured.offset is None,
            steps=state.steps + 1,
            target_m=(float(x_m), float(y_m)),
        )

    def observe(self, state: ToyState) -> npt.NDArray[np.float32]:
        """Return the offset, (2,) float32."""
        return np.array(state.offset, dtype=np.float32)

    def outcome(self, state: ToyState) -> Outcome:
        """Return SUCCESS within the tolerance and FAILURE when no dot shows."""
        if state.lost:
            return Outcome.FAILURE
        near = np.hypot(*state.offset) <= self._tolerance
        return Outcome.SUCCESS if near else Outcome.RUNNING

    def reward(self, before: ToyState, action: Any, after: ToyState, outcome: Outcome) -> float:
        """Return how much nearer the dot has come, with 10 for the ends."""
        del action
        if outcome in {Outcome.FAILURE, Outcome.BLOCKED}:
            return -10.0
        if outcome is Outcome.SUCCESS:
            return 10.0
        return float(np.hypot(*before.offset) - np.hypot(*after.offset))

    def summary(self, state: ToyState) -> dict[str, float]:
        """Return the distance from the centre and the number of timesteps."""
        offset_px = float(np.hypot(*state.offset)) * _HALF_PX
        return {"offset_px": offset_px, "steps": float(state.steps)}

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The distance from the centre."""
        return (
            Quantity(name="offset_px", unit="px", better="lower", symbol="offset", error="miss_px"),
        )

    def marks(self, state: ToyState) -> dict[str, tuple[float, float]]:
        """Return ``goal`` and ``found`` in pixels of the frame."""
        x, y = state.offset
        return {"goal": (31.5, 23.5), "found": (31.5 + x * _HALF_PX, 23.5 + y * _HALF_PX)}

    def oracle_action(self, state: ToyState, truth: Mapping[str, KnobValue]) -> Any:
        """Return the action that brings the dot nearest to the centre."""
        del state
        response = np.array(truth["response_px_per_m"]).reshape(2, 2) * _STEP_M
        position = np.array(truth["position_px"])
        if self._actions == "discrete":
            after = position + _MOVES @ response.T
            return np.int64(np.argmin(np.hypot(after[:, 0], after[:, 1])))
        return np.clip(np.linalg.solve(response, -position), -1, 1).astype(np.float32)

    def true_error(self, state: ToyState, truth: Mapping[str, KnobValue]) -> dict[str, float]:
        """Return ``miss_px``, the distance from the centre."""
        del state
        return {"miss_px": float(np.linalg.norm(truth["position_px"]))}
