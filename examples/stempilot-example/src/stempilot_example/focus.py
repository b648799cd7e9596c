"""The task ``focus``: find the defocus at which the image is sharpest.

No image says how sharp it could be, so the task is done when the sharpest set point lies between
two neighbours that were tried, were less sharp, and are near enough.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import KnobNeed, KnobValue, Needs, Outcome, Quantity, SetPoint, Snapshot, Task
from stempilot.contract import names as vocabulary

HAADF = "haadf"
_LEAST = 1e-6
"""Sharpness below which it is all noise."""

_GRAIN_M = 1e-10
"""Set points nearer to each other than this are the same."""

_FARTHEST = 50.0
"""Largest distance in an observation, in full actions."""


@frozen(kw_only=True)
class FocusConfig:
    """Options of the task.

    Attributes:
        preset: ``default``, or ``fine`` for a quarter of the step and half of the tolerance, which
            is for a lens that is nearly in focus: far from it such steps change the image less
            than its noise does, and the noise then has maxima of its own.
        step_m: change of defocus by a full action.
        tolerance_m: how near the neighbours on both sides must have been tried.
        scramble_m: how far from home an episode starts at most, on instruments that do not
            misalign themselves.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "default": MappingProxyType({}),
            "fine": MappingProxyType({"step_m": 5e-8, "tolerance_m": 2e-8}),
        }
    )

    preset: str = field(default="default", validator=validators.in_(("default", "fine")))
    step_m: float = field(default=2e-7, validator=validators.gt(0))
    tolerance_m: float = field(default=4e-8, validator=validators.gt(0))
    scramble_m: float = field(default=6e-7, validator=validators.gt(0))


class Tried(NamedTuple):
    """A set point and how sharp the image was there."""

    defocus_m: float
    sharpness: float


@frozen(kw_only=True)
class FocusState:
    """The state of an episode.

    Attributes:
        first: sharpness of the first frame.
        here: the present set point.
        best: the sharpest set point of the episode.
        below: nearest set point tried below the sharpest; minus infinity where there is none.
        above: nearest set point tried above the sharpest; infinity where there is none.
        steps: timesteps into the episode.
    """

    first: float
    here: Tried
    best: Tried
    below: float = -math.inf
    above: float = math.inf
    steps: int = 0


class Focus(Task[Tried, FocusState]):
    """Make the image on the source ``haadf`` as sharp as it gets with the defocus.

    An action is one number, the change of defocus in full actions. An observation is four: the
    logarithm of the sharpness over that of the first frame, the present distance from the sharpest
    set point so far, and the distances from that to its nearest tried neighbours below and above,
    all distances in full actions and at most 50.

    Args:
        config: the options.
    """

    def __init__(self, config: FocusConfig) -> None:
        self._config = config

    @property
    def needs(self) -> Needs:
        """The defocus, the detector ``haadf`` and an open beam."""
        unit, size = vocabulary.KNOB_UNITS[vocabulary.STEM_DEFOCUS]
        knob = KnobNeed(unit=unit, size=size, largest_step=self._config.step_m)
        return Needs(
            knobs={vocabulary.STEM_DEFOCUS: knob},
            sources=(HAADF,),
            states={vocabulary.BEAM_BLANKER: "open"},
        )

    @property
    def observation_space(self) -> Box:
        """Four numbers, see the class."""
        low = np.array([-20, -_FARTHEST, 0, 0], dtype=np.float32)
        high = np.array([20, _FARTHEST, _FARTHEST, _FARTHEST], dtype=np.float32)
        return Box(low, high, dtype=np.float32)

    @property
    def action_space(self) -> Box:
        """One number from -1 to 1."""
        return Box(-1.0, 1.0, (1,), dtype=np.float32)

    def measure(self, snapshot: Snapshot) -> Tried:
        """Return where the knob stands and how sharp the image is."""
        (defocus_m,) = snapshot.knobs[vocabulary.STEM_DEFOCUS]
        return Tried(defocus_m, sharpness(snapshot.frames[HAADF].pixels))

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        """Return a defocus drawn uniformly around home."""
        reach = self._config.scramble_m
        (home_m,) = home[vocabulary.STEM_DEFOCUS]
        return (SetPoint(vocabulary.STEM_DEFOCUS, home_m + rng.uniform(-reach, reach)),)

    def initial(self, measured: Tried) -> FocusState:
        """Return the state in which one set point was tried."""
        return FocusState(first=measured.sharpness, here=measured, best=measured)

    def plan(self, state: FocusState, action: Any) -> tuple[SetPoint, ...]:
        """Return the present defocus plus the action's share of a full step."""
        target = state.here.defocus_m + float(action[0]) * self._config.step_m
        return (SetPoint(vocabulary.STEM_DEFOCUS, target),)

    def advance(self, state: FocusState, action: Any, measured: Tried) -> FocusState:
        """Return the state in which one more set point was tried."""
        del action
        best = max(state.best, measured, key=lambda tried: tried.sharpness)
        places = (state.below, state.above, state.best.defocus_m, measured.defocus_m)
        return FocusState(
            first=state.first,
            here=measured,
            best=best,
            below=max((p for p in places if p < best.defocus_m - _GRAIN_M), default=-math.inf),
            above=min((p for p in places if p > best.defocus_m + _GRAIN_M), default=math.inf),
            steps=state.steps + 1,
        )

    def observe(self, state: FocusState) -> npt.NDArray[np.float32]:
        """Return the observation, (4,) float32."""
        best_m = state.best.defocus_m
        distances_m = (state.here.defocus_m - best_m, best_m - state.below, state.above - best_m)
        distances = [item / self._config.step_m for item in distances_m]
        gained = math.log(state.here.sharpness / state.first)
        space = self.observation_space
        seen = np.clip(np.array([gained, *distances]), space.low, space.high)
        return np.asarray(seen, dtype=np.float32)

    def outcome(self, state: FocusState) -> Outcome:
        """Return SUCCESS at the sharpest set point when its neighbours are near enough."""
        best_m, tolerance_m = state.best.defocus_m, self._config.tolerance_m
        near = max(best_m - state.below, state.above - best_m) <= tolerance_m
        there = abs(state.here.defocus_m - best_m) <= _GRAIN_M
        return Outcome.SUCCESS if near and there else Outcome.RUNNING

    def reward(self, before: FocusState, action: Any, after: FocusState, outcome: Outcome) -> float:
        """Return 10 for success, -10 for a refused plan, else the gain in log sharpness - 0.1."""
        del action
        if outcome is Outcome.SUCCESS:
            return 10.0
        if outcome is Outcome.BLOCKED:
            return -10.0
        return math.log(after.here.sharpness / before.here.sharpness) - 0.1

    def summary(self, state: FocusState) -> dict[str, float]:
        """Return where the knob stands, how sharp the image is and how sharp it has been."""
        return {
            "defocus_m": state.here.defocus_m,
            "sharpness": state.here.sharpness,
            "best_sharpness": state.best.sharpness,
            "steps": float(state.steps),
        }

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The sharpness, and where the knob stands."""
        return (
            Quantity(name="sharpness", better="higher"),
            Quantity(name="defocus_m", unit="m", symbol="defocus"),
        )


def sharpness(pixels: npt.NDArray[Any]) -> float:
    """Return the mean squared difference between next but one pixels, over the squared mean.

    The share of counting noise, twice the mean for pixels that count electrons, is taken off.

    Args:
        pixels: (row, col) electrons.
    """
    counts = pixels.astype(np.float64)
    mean = float(counts.mean())
    if mean <= 0:
        return _LEAST
    across, down = counts[:, 2:] - counts[:, :-2], counts[2:] - counts[:-2]
    squared = float(np.mean(across**2) + np.mean(down**2)) - 4 * mean
    return max(squared / mean**2, _LEAST)
