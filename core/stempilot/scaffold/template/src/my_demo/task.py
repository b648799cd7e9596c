"""The task ``my-demo``: bring the brightest spot to the middle of the frame."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen, validators
from gymnasium.spaces import Box

from stempilot import (
    DIFFRACTION_SHIFT,
    FLUCAM,
    REWARD_END,
    REWARD_TIMESTEP,
    Centre,
    KnobNeed,
    Needs,
    Quantity,
    Snapshot,
    Task,
    Transitions,
)

CELLS = 64
"""A frame is averaged to about so many cells on each side before it is looked at."""

EDGE = 0.95
"""Half frames from the middle at which the spot counts as lost."""

PER_RAD = 3.4
"""Half frames that the spot is expected to move by 1 rad; it need not be true of an instrument."""


@frozen(kw_only=True)
class MyDemoTaskConfig:
    """Options of the task.

    Attributes:
        tolerance: largest distance from the middle that counts as centred, in half frames.
        step_rad: change of the knob by a full action.
    """

    tolerance: float = field(default=0.05, validator=[validators.gt(0), validators.lt(1)])
    step_rad: float = field(default=0.06, validator=validators.gt(0))


class Spot(NamedTuple):
    """Where the spot is, in half frames from the middle: x to the right, y downward.

    Where none is seen it counts as being at the edge.
    """

    x: float
    y: float
    seen: bool


class MyDemoTask(Task[Spot, Spot]):
    """Bring the brightest spot on the camera to the middle with the diffraction shift.

    All functions are pure. The state of an episode is the last measurement; rewards, starts and
    the end of an episode follow from the goal.

    Args:
        config: the options.
    """

    quantities = (Quantity(name="distance", unit="half frames", better="lower"),)

    def __init__(self, config: MyDemoTaskConfig) -> None:
        self._config = config

    @property
    def needs(self) -> Needs:
        """What an instrument must have."""
        knob = KnobNeed(unit="rad", size=2, largest_step=(self._config.step_rad,) * 2)
        return Needs(knobs={DIFFRACTION_SHIFT: knob}, sources=(FLUCAM,))

    @property
    def goal(self) -> Centre:
        """Both numbers of the observation are to become zero."""
        return Centre(
            residual=(0, 1),
            unit="half frames",
            tolerance=self._config.tolerance,
            edges=((-EDGE, -EDGE), (EDGE, EDGE)),
            full_action=PER_RAD * self._config.step_rad,
        )

    @property
    def observation_space(self) -> Box:
        """Where the spot is, x and y."""
        return Box(-1.0, 1.0, (2,), dtype=np.float32)

    def measure(self, snapshot: Snapshot) -> Spot:
        """Return where the spot is. This is the only function that sees pixels."""
        return find_spot(snapshot.frames[FLUCAM].pixels)

    def sees(self, measured: Spot, source: str) -> bool:
        """Return whether a spot shows."""
        del source
        return measured.seen

    def observe(self, state: Spot) -> npt.NDArray[np.float32]:
        """Return what an agent sees, (2,)."""
        return np.array([state.x, state.y], dtype=np.float32)

    def summary(self, state: Spot) -> dict[str, float]:
        """Return what is recorded and tabulated."""
        return {"distance": float(np.hypot(state.x, state.y))}

    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        """Return timesteps as they would have been with the spot somewhere else.

        This is optional: it says that a move shifts the spot by as much wherever it is. A learner
        that is told so needs a hundred timesteps instead of thousands.
        """
        moved = batch.next_observations - batch.observations
        # More of them near the middle, where it matters most.
        start = rng.uniform(-EDGE, EDGE, moved.shape) * rng.random((len(batch), 1))
        start = start.astype(np.float32)
        end = start + moved
        before, after = np.linalg.norm(start, axis=1), np.linalg.norm(end, axis=1)
        success = after <= self.goal.tolerance
        failure = (np.abs(end) >= EDGE).any(axis=1)
        gain = (before - after) / (PER_RAD * self._config.step_rad)
        paid = np.where(failure, -REWARD_END, gain - REWARD_TIMESTEP)
        # The others stay as they are: how far a spot moved that was lost is not known.
        known = (np.abs(batch.next_observations) < EDGE).all(axis=1) & moved.any(axis=1)
        known &= (before > self.goal.tolerance) & (np.abs(end) <= 1).all(axis=1)
        ended = np.where(known, success | failure, batch.terminated)
        return evolve(
            batch,
            observations=np.where(known[:, None], start, batch.observations),
            next_observations=np.where(known[:, None], end, batch.next_observations),
            rewards=np.where(known, np.where(success, REWARD_END, paid), batch.rewards),
            terminated=ended,
            truncated=batch.truncated & ~ended,
        )


def find_spot(pixels: npt.NDArray[Any]) -> Spot:
    """Return the middle of all that is brighter than half of the brightest cell.

    Args:
        pixels: (row, col) counts.
    """
    n = max(1, min(pixels.shape) // CELLS)
    rows, cols = (side // n for side in pixels.shape)
    cells = pixels[: rows * n, : cols * n].reshape(rows, n, cols, n).mean(axis=(1, 3))
    above = cells - np.median(cells)
    if above.max() <= 6 * np.median(np.abs(above)):
        return Spot(1.0, 1.0, seen=False)
    row, col = np.nonzero(above > above.max() / 2)
    x, y = (2 * (np.mean(at) + 0.5) / side - 1 for at, side in ((col, cols), (row, rows)))
    return Spot(float(x), float(y), seen=True)
