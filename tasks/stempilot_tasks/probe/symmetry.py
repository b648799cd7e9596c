"""Timesteps that were just as possible: a correction changes the aberrations by the same anywhere.

Lenses and stigmators are linear over the few hundred nanometres that these tasks work in. It is a
prior about the instrument; play in a knob breaks it.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import evolve
from gymnasium.spaces import Box

from stempilot import REWARD_END, REWARD_TIMESTEP, Centre, Transitions

Floats = npt.NDArray[np.float64]

_NEAREST: Final = 0.5
"""Least distance of what lies about the goal, in tolerances."""

_SHOWN: Final = 2.0
"""How far an observation reaches, over the edges."""


def space_of(goal: Centre) -> Box:
    """Return the space of a residual: twice as far as the edges. A learner scales by it."""
    far = (_SHOWN * np.max(np.abs(goal.edges), axis=0)).astype(np.float32)
    return Box(-far, far, dtype=np.float32)


def moved_elsewhere(batch: Transitions, rng: np.random.Generator, goal: Centre) -> Transitions:
    """Return the transitions with their displacements at new residuals.

    A third of the new starts are uniform within the edges. A third lie about the goal, log-uniform
    in their distance, and from a third the timestep ends there: a tolerance that is small beside a
    full action is hardly ever met by chance. Rewards are those that `stempilot.Task.reward` gives
    by default. A row stays as it is where its displacement is unknown, because the timestep that
    ended the episode led beyond the edges or moved nothing, or where its new start would be none.

    Args:
        batch: n timesteps whose observations are the residual.
        rng: draws the new starts.
        goal: with edges, and with a nominal full action.
    """
    lower, upper = np.array(goal.edges[0]), np.array(goal.edges[1])
    was = batch.observations.astype(np.float64)
    shift = batch.next_observations - was
    start = _starts(shift, rng, goal)
    space = space_of(goal)
    end = np.clip(start + shift, space.low, space.high)
    away, left = np.linalg.norm(start, axis=1), np.linalg.norm(end, axis=1)
    success = left <= goal.tolerance
    inside = np.all((lower < end) & (end < upper), axis=1)
    ended = success | ~inside
    earned = rewards(goal, away, left, success=success, failure=~inside)
    told = np.all((lower < batch.next_observations) & (batch.next_observations < upper), axis=1)
    stopped = (batch.terminated & ~told) | (
        (batch.terminated | batch.truncated) & ~shift.any(axis=1)
    )
    can = ~stopped & (away > goal.tolerance)
    can &= np.all((lower < start) & (start < upper), axis=1)
    rows = can[:, np.newaxis]
    kind = batch.observations.dtype
    terminated = np.where(can, ended, batch.terminated)
    return evolve(
        batch,
        observations=np.where(rows, start, was).astype(kind),
        rewards=np.where(can, earned, batch.rewards).astype(batch.rewards.dtype),
        next_observations=np.where(rows, end, batch.next_observations).astype(kind),
        terminated=terminated,
        truncated=batch.truncated & ~terminated,
    )


def rewards(goal: Centre, away: Floats, left: Floats, *, success: Any, failure: Any) -> Floats:
    """Return what `stempilot.Task.reward` gives by default, (n,).

    Args:
        goal: the goal.
        away: (n,) lengths of the residual before the timesteps.
        left: (n,) after them.
        success: (n,) which ones succeed.
        failure: (n,) which ones fail.
    """
    gained = (away - left) / (goal.full_action or 1.0) - REWARD_TIMESTEP
    ends = np.where(failure, -REWARD_END, np.where(success, REWARD_END, gained))
    return np.asarray(ends)


def _starts(shift: Floats, rng: np.random.Generator, goal: Centre) -> Floats:
    lower, upper = np.array(goal.edges[0]), np.array(goal.edges[1])
    anywhere = rng.uniform(lower, upper, shift.shape)
    ways = rng.normal(size=shift.shape)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    reach = np.log([_NEAREST * goal.tolerance, float(np.minimum(-lower, upper).min())])
    about = ways * np.exp(rng.uniform(reach.min(), reach.max(), (len(shift), 1)))
    kind = rng.integers(3, size=(len(shift), 1))
    return np.where(kind == 0, anywhere, np.where(kind == 1, about, about - shift))
