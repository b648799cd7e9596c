"""`stem-focus`: the defocus is driven to a value, also through focus, where no frame tells it."""

import math
from collections.abc import Mapping
from typing import Any, Final

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
from stempilot_tasks.probe.config import StemFocusConfig
from stempilot_tasks.probe.seeing import (
    UNIT,
    UNIT_M,
    Looking,
    Measured,
    needs_of,
    numbers_of,
    why_untold,
)
from stempilot_tasks.probe.symmetry import moved_elsewhere, space_of
from stempilot_tasks.probe.track import Track, begin, doubt, follow

_EDGE_M: Final = 7e-7
"""Farther from focus nothing is told."""

_SURE, _EXACT_M = 0.002, 2.8e-9
"""Largest doubt about the side, and largest standard deviation of the defocus, with which an agent
is asked to move and success is said."""

_READABLE_M, _FAR_M = 6.5e-8, 1.2e-7
"""A defocus that frames tell nearly always, and one from which on a frame should tell it."""

_LARGEST_MOVE_M, _HOMEWARD_M = 2e-7, 3.5e-8
"""Largest move of the task's own, and of its way home."""

_APART, _SIDE_M = 0.4, 1e-7
"""Share of the defocus by which it is moved to find the side, and the most of it."""

_SHARE: Final = 0.5
"""Share of the tolerance within which the best guess must lie; the rest is for what is unknown."""

_OFF: Final = 3.0
"""Standard deviations by which a defocus is off for sure."""

_MOST_OWN: Final = 24
"""Moves of its own after which the task gives up."""


@frozen(kw_only=True)
class Focusing:
    """The state.

    Attributes:
        track: guesses of the defocus, the best one first.
        measured: the last frame.
        home_m: where the knob returns to when both sides were seen; ``None`` while it is there.
        over: whether the defocus was told on the side over focus, since it left home.
        under: the same under focus.
        own: moves of the task's own so far.
        returned: whether the last move was the way home.
    """

    track: Track
    measured: Measured
    home_m: float | None = None
    over: bool = False
    under: bool = False
    own: int = 0
    returned: bool = False


class StemFocus(Looking[StemFocusConfig], Task[Measured, Focusing]):
    """Bring the defocus to a value, from either side, with the STEM defocus.

    One frame does not tell the side, and near focus it tells nothing. So the task moves by itself:
    once to find the side, and, where a frame tells nothing, to both sides and back to compare. Half
    of the tolerance is left for what the way back misses by.
    """

    def __init__(self, config: StemFocusConfig) -> None:
        super().__init__(config)
        self._aim_m = _SHARE * config.tolerance_m
        low, high = ((edge - config.wanted_m) / UNIT_M for edge in (-_EDGE_M, _EDGE_M))
        self._goal = Centre(
            residual=(0,),
            unit=UNIT,
            tolerance=self._aim_m / UNIT_M,
            edges=((low,), (high,)),
            full_action=config.defocus_step_m / UNIT_M,
        )
        self._space = space_of(self._goal)

    @property
    def needs(self) -> Needs:
        """The focus, and the FluCam with the beam on the screen."""
        return needs_of(defocus_m=self.config.defocus_step_m)

    @property
    def goal(self) -> Centre:
        """The defocus is to become what is wanted."""
        return self._goal

    @property
    def observation_space(self) -> Box:
        """The most probable distance from the wanted defocus in 100 nm."""
        return self._space

    def initial(self, measured: Measured) -> Focusing:
        """Return the state at the start, either side as probable as the other."""
        return Focusing(track=begin(measured.c1_m, _unsure(measured)), measured=measured)

    def advance(self, state: Focusing, action: Any, measured: Measured) -> Focusing:
        """Return the state after a move, by the agent or by the task itself, and a frame."""
        change = measured.knob_m - state.measured.knob_m
        after = evolve(
            state,
            track=follow(state.track, change, measured.c1_m, _unsure(measured)),
            measured=measured,
            returned=False,
        )
        if action is not None:
            return evolve(after, home_m=None, over=False, under=False)
        after = evolve(after, own=state.own + 1)
        if state.home_m is None:
            if not self._compares(state):
                return after
            after = evolve(after, home_m=state.measured.knob_m)
        elif state.over and state.under:
            if abs(measured.knob_m - state.home_m) > _HOMEWARD_M / 2:
                return after
            return evolve(after, home_m=None, over=False, under=False, returned=True)
        told = measured.c1_m is not None
        over = after.track[0].c1 > 0
        return evolve(
            after, over=state.over or (told and over), under=state.under or (told and not over)
        )

    def own_moves(
        self, state: Focusing, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...] | None:
        """Return the move that finds the side, or that steps off focus to compare both sides."""
        if state.own >= _MOST_OWN or not self._is_open(state):
            return None
        here = standing[STEM_DEFOCUS][0]
        if state.home_m is not None and state.over and state.under:
            # A move misses by a share of itself: short moves miss by less.
            left = state.home_m - here
            change = left / max(math.ceil(abs(left) / _HOMEWARD_M), 1)
        elif state.home_m is not None or self._compares(state):
            change = self._off_focus(state)
        elif doubt(state.track) > _SURE:
            change = self._to_the_side(state)
        else:
            return ()
        limit = min(_LARGEST_MOVE_M, self.config.defocus_step_m)
        return (SetPoint(STEM_DEFOCUS, here + float(np.clip(change, -limit, limit))),)

    def _is_open(self, state: Focusing) -> bool:
        """Return whether the task wants to know more before the agent moves."""
        if state.home_m is not None or doubt(state.track) > _SURE:
            return True
        best = state.track[0]
        away = abs(best.c1 - self.config.wanted_m)
        # What is off for sure need not be known well before it is moved.
        clear = 0.0 if state.returned else _OFF * best.deviation
        return best.deviation > _EXACT_M and away <= max(self._aim_m, clear)

    @staticmethod
    def _compares(state: Focusing) -> bool:
        """Return whether both sides are to be seen: it is near focus, and on no known side."""
        return state.measured.c1_m is None and abs(state.track[0].c1) < _FAR_M

    @staticmethod
    def _to_the_side(state: Focusing) -> float:
        """Return a change of the knob after which the two sides look different, and are told."""
        c1 = abs(state.track[0].c1)
        step = min(_APART * c1, _SIDE_M) if c1 > _FAR_M else c1 + _FAR_M
        return -step if state.own % 2 else step

    @staticmethod
    def _off_focus(state: Focusing) -> float:
        """Return the change of the knob to a readable defocus on the side not seen yet."""
        best = state.track[0]
        # The nearer side comes last, so that the way home is short.
        seen = state.over or state.under
        side = (-1.0 if state.over else 1.0) if seen else -math.copysign(1.0, best.c1)
        aim = max(_READABLE_M, _READABLE_M + 1.2 * best.deviation)
        beyond = side * aim - best.c1
        # Where the side looked for is reached and not told, go on outward.
        return (beyond if side * beyond > 0 else side * _READABLE_M / 2) / best.scale

    def observe(self, state: Focusing) -> npt.NDArray[np.float32]:
        """Return the most probable distance from the wanted defocus."""
        away = (state.track[0].c1 - self.config.wanted_m) / UNIT_M
        within = np.clip([away], self._space.low, self._space.high)
        return np.asarray(within, dtype=np.float32)

    def is_start(self, state: Focusing) -> bool:
        """Return whether there is light, and a film where rings should show."""
        return state.measured.lit

    def outcome(self, state: Focusing) -> Outcome:
        """Return SUCCESS within the tolerance, once side and defocus are known well enough."""
        if self._is_open(state):
            lost = not state.measured.lit or state.own >= _MOST_OWN
            return Outcome.FAILURE if lost else Outcome.RUNNING
        return super().outcome(state)

    def summary(self, state: Focusing) -> dict[str, float]:
        """Return the best guess, its standard deviation and the doubt about it, in nm."""
        best = state.track[0]
        return numbers_of(state.measured) | {
            "distance_nm": abs(best.c1 - self.config.wanted_m) * 1e9,
            "defocus_nm": best.c1 * 1e9,
            "deviation_nm": best.deviation * 1e9,
            "doubt": doubt(state.track),
        }

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The distance from the wanted defocus, and the defocus."""
        return (
            Quantity(
                name="distance_nm", unit="nm", better="lower", symbol="error", error="error_nm"
            ),
            Quantity(name="defocus_nm", unit="nm", symbol="C1"),
        )

    def products(self, state: Focusing) -> Mapping[str, Product]:
        """Return the defocus."""
        best = state.track[0]
        return {"C1": Product(value=best.c1, unit="m", uncertainty=best.deviation)}

    def explain(self, state: Focusing) -> str:
        """Return why the task gave up; empty where it did not."""
        if state.own < _MOST_OWN and state.measured.lit:
            return ""
        return why_untold(state.measured) or "the moves of the focus do not fit what frames tell"

    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        """Return the transitions at other defoci (see `symmetry`)."""
        return moved_elsewhere(batch, rng, self._goal)

    def oracle_action(self, state: Focusing, truth: Mapping[str, KnobValue]) -> Any:
        """Return the exact correction, limited to a full action."""
        del state
        away = np.array([truth["defocus_m"][0] - self.config.wanted_m])
        scale = truth["aberration_response"][0]
        pending = truth.get("aberration_pending_m", (0.0,))[0]
        change = (-away / (1 - truth.get("lag", (0.0,))[0]) - pending) / scale
        return np.clip(change / self.config.defocus_step_m, -1, 1).astype(np.float32)

    def true_error(self, state: Focusing, truth: Mapping[str, KnobValue]) -> dict[str, float]:
        """Return the true distance from the wanted defocus: ``error_nm``, of a Ronchigram."""
        del state
        if "defocus_m" not in truth:
            return {}
        return {"error_nm": abs(truth["defocus_m"][0] - self.config.wanted_m) * 1e9}


def _unsure(measured: Measured) -> float:
    return 0.0 if measured.uncertainty_m is None else max(measured.uncertainty_m[0], 5e-10)
