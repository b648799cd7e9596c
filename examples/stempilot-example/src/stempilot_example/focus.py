"""The task ``focus``: find the defocus at which the image is sharpest.

No image says how sharp it could be, so the goal is to `Raise` the sharpness: a run ends at the
sharpest place that it visited.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import (
    BEAM_BLANKER,
    STEM_DEFOCUS,
    KnobNeed,
    Needs,
    Outcome,
    Quantity,
    Raise,
    Snapshot,
    Task,
)

HAADF = "haadf"
_LEAST = 1e-6
"""Sharpness below which it is all noise."""

_SETTLED = 2
"""So many short moves in a row end an episode."""


@frozen(kw_only=True)
class FocusConfig:
    """Options of the task.

    Attributes:
        preset: ``default``, or ``fine`` for a quarter of the step and half of the tolerance, which
            is for a lens that is nearly in focus: far from it such steps change the image less
            than its noise does, and the noise then has maxima of its own.
        step_m: change of defocus by a full action.
        tolerance_m: a move shorter than this is short: the agent has settled.
        noise: standard deviation of the logarithm of the sharpness from frame to frame.
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
    noise: float = field(default=0.02, validator=validators.ge(0))


class Seen(NamedTuple):
    """Where the knob stands, how sharp the image is, and how many short moves led here in a row."""

    defocus_m: float
    sharpness: float
    short_moves: int = 0


class Focus(Task[Seen, Seen]):
    """Make the image on the source ``haadf`` as sharp as it gets with the defocus.

    An action is one number, the change of defocus in full actions; an observation is another, the
    logarithm of the sharpness. The episode is over when the agent has settled: two moves in a row
    were shorter than the tolerance. The framework then goes to the sharpest place, and judges.

    Args:
        config: the options.
    """

    quantities = (
        Quantity(name="sharpness", better="higher", symbol="sharpness"),
        Quantity(name="defocus_m", unit="m", symbol="defocus"),
    )

    def __init__(self, config: FocusConfig) -> None:
        self._config = config

    @property
    def needs(self) -> Needs:
        """The defocus, the detector ``haadf`` and an open beam."""
        knob = KnobNeed(unit="m", size=1, largest_step=self._config.step_m)
        return Needs(knobs={STEM_DEFOCUS: knob}, sources=(HAADF,), states={BEAM_BLANKER: "open"})

    @property
    def goal(self) -> Raise:
        """The logarithm of the sharpness is to grow."""
        return Raise(entry=0, noise=self._config.noise)

    @property
    def observation_space(self) -> Box:
        """One number, see the class."""
        return Box(-20.0, 20.0, (1,), dtype=np.float32)

    def measure(self, snapshot: Snapshot) -> Seen:
        """Return where the knob stands and how sharp the image is."""
        (defocus_m,) = snapshot.knobs[STEM_DEFOCUS]
        return Seen(defocus_m, sharpness(snapshot.frames[HAADF].pixels))

    def advance(self, state: Seen, action: Any, measured: Seen) -> Seen:
        """Return what was measured, and count short moves."""
        del action
        short = abs(measured.defocus_m - state.defocus_m) < self._config.tolerance_m
        return measured._replace(short_moves=state.short_moves + 1 if short else 0)

    def observe(self, state: Seen) -> npt.NDArray[np.float32]:
        """Return the observation, (1,) float32."""
        return np.array([math.log(state.sharpness)], dtype=np.float32)

    def outcome(self, state: Seen) -> Outcome:
        """Return SUCCESS when the agent has settled."""
        return Outcome.SUCCESS if state.short_moves >= _SETTLED else Outcome.RUNNING

    def summary(self, state: Seen) -> dict[str, float]:
        """Return where the knob stands and how sharp the image is."""
        return {"defocus_m": state.defocus_m, "sharpness": state.sharpness}


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
