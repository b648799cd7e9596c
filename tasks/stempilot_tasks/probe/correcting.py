"""`stigmator` and `stigmate-and-focus`: aberrations that one frame tells are driven to a value."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from attrs import frozen
from gymnasium.spaces import Box

from stempilot import (
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
    """

    residual: tuple[float, ...]
    untold: int
    measured: Measured


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
        return state.untold == 0 and self.outcome(state) is Outcome.RUNNING

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

    @property
    def needs(self) -> Needs:
        """Focus and stigmator, and the FluCam with the beam on the screen."""
        return needs_of(defocus_m=self.config.defocus_step_m, stigmator=self.config.stigmator_step)


_NEAREST_M, _FARTHEST_M, _WIDEST_M = 5e-8, 6e-7, 1.5e-7
"""Range of C1 and largest component of A1 at which something is told."""
