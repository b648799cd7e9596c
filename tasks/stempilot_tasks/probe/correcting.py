"""`stigmator` and `stigmate-and-focus`: aberrations that one frame tells are driven to a value."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen
from gymnasium.spaces import Box

from stempilot import (
    STEM_DEFOCUS,
    Centre,
    KnobValue,
    Needs,
    Outcome,
    Product,
    Quantity,
    SetPoint,
    Task,
    Transitions,
)
from stempilot_tasks.imaging.spectrum import LARGEST_RATIO
from stempilot_tasks.probe.batch import CorrectingBatch
from stempilot_tasks.probe.config import StigmateAndFocusConfig, StigmatorConfig
from stempilot_tasks.probe.seeing import (
    LOST,
    UNIT,
    UNIT_M,
    Floats,
    Looking,
    Measured,
    exact_changes,
    needs_of,
    numbers_of,
    products_of,
    true_aberrations,
    why_untold,
)
from stempilot_tasks.probe.symmetry import moved_elsewhere, space_of

C = TypeVar("C", bound=StigmatorConfig)


@frozen(kw_only=True)
class Aberrated:
    """The state.

    Attributes:
        residual: what is to become 0, in 100 nm; the last one that was told.
        untold: frames in a row that told nothing.
        measured: the last frame.
        knob_m: where the defocus stood at the last frame that told something.
        probes: moves of the defocus by which the task made sure of the side.
        turned_m2: sum over them of the move squared.
        answered_m2: sum over them of the move times the change of C1 that followed.
    """

    residual: tuple[float, ...]
    untold: int
    measured: Measured
    knob_m: float = 0.0
    probes: int = 0
    turned_m2: float = 0.0
    answered_m2: float = 0.0

    @property
    def sure(self) -> bool:
        """Whether C1 answered the defocus, or hardly does."""
        return self.probes >= _PROBES or abs(self.answered_m2) > _ANSWER * self.turned_m2

    @property
    def contrary(self) -> bool:
        """Whether C1 changed the other way round than the defocus was moved."""
        return self.answered_m2 < -_ANSWER * self.turned_m2


_PROBES, _ANSWER = 2, 0.25
"""A share of a move that counts as an answer; with less, for example in play, one more is made."""

_PROBE_M = (4e-8, 6e-8)
"""Shortest and longest move that tells the side: away from focus, where rings are told better."""


class _Correcting(Looking[C], Task[Measured, Aberrated]):
    """What both have in common; offset, edges and sign are theirs."""

    def __init__(self, config: C) -> None:
        super().__init__(config)
        size, (lower, upper) = len(self._edges[0]), self._edges
        self._goal = Centre(
            residual=tuple(range(size)),
            unit=UNIT,
            tolerance=config.tolerance_m / UNIT_M,
            edges=(lower, upper),
            full_action=config.full_action_m / UNIT_M,
        )
        self._space = space_of(self._goal)

    _edges: tuple[tuple[float, ...], tuple[float, ...]]
    _sign: float = 1.0

    _offset_m: tuple[float, ...] = ()
    """What is subtracted from the last entries of C1, A1x and A1y; so many are the residual."""

    def _residual_m(self, aberrations: Floats) -> Floats:
        return np.asarray(aberrations[-len(self._offset_m) :] - self._offset_m)

    def oracle_action(self, state: Aberrated, truth: Mapping[str, KnobValue]) -> Any:
        """Return the exact correction, each component limited to a full action."""
        del state
        steps = [step for need in self.needs.knobs.values() for step in need.largest_step]
        away = self._residual_m(true_aberrations(truth))
        change = exact_changes(away, truth, len(self._offset_m))
        return np.clip(change / steps, -1, 1).astype(np.float32)

    @property
    def goal(self) -> Centre:
        """The aberrations are to become what is wanted."""
        return self._goal

    @property
    def observation_space(self) -> Box:
        """The residual in 100 nm."""
        return self._space

    def initial(self, measured: Measured) -> Aberrated:
        """Return the state at the start; beyond the edges where nothing is told."""
        far = Aberrated(residual=self._goal.edges[1], untold=0, measured=measured)
        return self.advance(far, None, measured)

    def advance(self, state: Aberrated, action: Any, measured: Measured) -> Aberrated:
        """Return the state after a frame.

        Where it tells nothing the residual stays, and goes to the edge when that is the end.
        """
        del action
        if measured.c1_m is None or measured.a1_m is None:
            untold = state.untold + 1
            stays = state.residual if untold < LOST else self._goal.edges[1]
            return Aberrated(residual=stays, untold=untold, measured=measured)
        residual = self._residual_m(self._sign * np.array([measured.c1_m, *measured.a1_m]))
        x = np.clip(residual / UNIT_M, self._space.low, self._space.high)
        return Aberrated(residual=tuple(x.tolist()), untold=0, measured=measured)

    def own_moves(
        self, state: Aberrated, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Return no move but another frame, where the last one told nothing."""
        del standing
        return () if 0 < state.untold < LOST else None

    def observe(self, state: Aberrated) -> npt.NDArray[np.float32]:
        """Return the residual."""
        return np.array(state.residual, dtype=np.float32)

    def is_start(self, state: Aberrated) -> bool:
        """Return whether the frame tells an error within the edges that is not corrected yet."""
        return state.untold == 0 and Task.outcome(self, state) is Outcome.RUNNING

    def outcome(self, state: Aberrated) -> Outcome:
        """Return SUCCESS within the tolerance, FAILURE at the edges or when no frame tells."""
        if state.untold:
            return Outcome.RUNNING if state.untold < LOST else Outcome.FAILURE
        return super().outcome(state)

    def summary(self, state: Aberrated) -> dict[str, float]:
        """Return the measurement and the error, in nm."""
        error = float(np.linalg.norm(state.residual)) * UNIT_M * 1e9
        return numbers_of(state.measured, self._sign) | {"distance_nm": error}

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The error."""
        return (
            Quantity(
                name="distance_nm", unit="nm", better="lower", symbol="error", error="error_nm"
            ),
        )

    def products(self, state: Aberrated) -> Mapping[str, Product]:
        """Return C1 and A1 of the last frame."""
        return products_of(state.measured, self._sign)

    def explain(self, state: Aberrated) -> str:
        """Return why the last frame tells nothing."""
        return why_untold(state.measured)

    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        """Return the transitions at other residuals (see `symmetry`)."""
        return moved_elsewhere(batch, rng, self._goal)

    def batched(self) -> CorrectingBatch:
        """Return the same task on arrays (see `batch`)."""
        return CorrectingBatch(self, self._offset_m, self._sign)

    def true_error(self, state: Aberrated, truth: Mapping[str, KnobValue]) -> dict[str, float]:
        """Return the length of the true error: ``error_nm``, where there is a Ronchigram."""
        del state
        if "defocus_m" not in truth:
            return {}
        error = self._residual_m(true_aberrations(truth))
        return {"error_nm": float(np.linalg.norm(error)) * 1e9}


class Stigmator(_Correcting[StigmatorConfig]):
    """Bring the twofold astigmatism to zero with the condenser's stigmator, well out of focus.

    One frame tells A1 up to a sign that stays the same as long as focus is not crossed, and it is
    not needed.
    """

    _offset_m = (0.0, 0.0)
    # At 180 nm of defocus A1 is told up to 144 nm.
    _edges = ((-LARGEST_RATIO * 1.8,) * 2, (LARGEST_RATIO * 1.8,) * 2)

    def products(self, state: Aberrated) -> Mapping[str, Product]:
        """Return the sizes of C1 and A1 of the last frame; it does not tell their sign."""
        found = products_of(state.measured, 1.0)
        if not found:
            return {}
        x, y = found["A1x"], found["A1y"]
        unsure = float(np.hypot(x.uncertainty, y.uncertainty))
        size = Product(value=float(np.hypot(x.value, y.value)), unit="m", uncertainty=unsure)
        return {"C1_size": found["C1"], "A1_size": size}

    @property
    def needs(self) -> Needs:
        """The stigmator, and the FluCam with the beam on the screen."""
        return needs_of(stigmator=self.config.stigmator_step)


class StigmateAndFocus(_Correcting[StigmateAndFocusConfig]):
    """Bring astigmatism to zero and the defocus to a value well off focus, on the side given."""

    def __init__(self, config: StigmateAndFocusConfig) -> None:
        self._sign = -1.0 if config.side == "under" else 1.0
        self._offset_m = (self._sign * config.wanted_m, 0.0, 0.0)
        near = (config.wanted_m - _NEAREST_M) / UNIT_M
        far = (_FARTHEST_M - config.wanted_m) / UNIT_M
        ends = (-far, near) if config.side == "under" else (-near, far)
        wide = _WIDEST_M / UNIT_M
        self._edges = ((ends[0], -wide, -wide), (ends[1], wide, wide))
        super().__init__(config)

    def own_moves(
        self, state: Aberrated, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Return a move of the defocus whose answer tells whether the side is right."""
        if state.untold or state.sure:
            return super().own_moves(state, standing)
        (least, most), outward = _PROBE_M, -self._sign * state.residual[0] * UNIT_M
        move = min(max(outward, least), most, self.config.defocus_step_m)
        return (SetPoint(STEM_DEFOCUS, standing[STEM_DEFOCUS][0] + self._sign * move),)

    def refused(self, state: Aberrated) -> Aberrated:
        """Return the state without such a move: the side is then believed."""
        return evolve(state, probes=_PROBES)

    def advance(self, state: Aberrated, action: Any, measured: Measured) -> Aberrated:
        """Return the state after a frame, with how C1 answered the task's own moves."""
        after = super().advance(state, action, measured)
        knob_m = state.knob_m if after.untold else measured.knob_m
        after = evolve(
            after,
            knob_m=knob_m,
            probes=state.probes,
            turned_m2=state.turned_m2,
            answered_m2=state.answered_m2,
        )
        if action is not None or after.untold or state.untold or state.sure:
            return after
        moved, change = knob_m - state.knob_m, after.residual[0] - state.residual[0]
        return evolve(
            after,
            probes=state.probes + 1,
            turned_m2=state.turned_m2 + moved**2,
            answered_m2=state.answered_m2 + moved * change * UNIT_M,
        )

    def initial(self, measured: Measured) -> Aberrated:
        """Return the state at the start, before any answer."""
        return evolve(super().initial(measured), probes=0, turned_m2=0.0, answered_m2=0.0)

    def outcome(self, state: Aberrated) -> Outcome:
        """Return FAILURE too on the other side, and RUNNING as long as the side is not sure."""
        if state.contrary:
            return Outcome.FAILURE
        found = super().outcome(state)
        return Outcome.RUNNING if found is Outcome.SUCCESS and not state.sure else found

    def explain(self, state: Aberrated) -> str:
        """Return why the last frame tells nothing, or that the side is wrong."""
        if not state.contrary:
            return super().explain(state)
        other = "over" if self.config.side == "under" else "under"
        return (
            f"the defocus acts the other way round than {self.config.side} focus: set the task's "
            f'side = "{other}" if the instrument stands there'
        )

    @property
    def rehearsal(self) -> Mapping[str, Any]:
        """A film under the probe, on the side that is given."""
        return {**super().rehearsal, "start_side": self.config.side}

    @property
    def needs(self) -> Needs:
        """Focus and stigmator, and the FluCam with the beam on the screen."""
        return needs_of(defocus_m=self.config.defocus_step_m, stigmator=self.config.stigmator_step)


_NEAREST_M, _FARTHEST_M, _WIDEST_M = 5e-8, 6e-7, 1.5e-7
"""Range of C1 and largest component of A1 at which something is told."""
