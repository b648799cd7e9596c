"""Timesteps that were just as possible: how far the disk moves does not depend on where it was.

That is so where the response is the same all over the field. It is a prior about the instrument:
distortion breaks it, and so does whatever a start has to do with the next move.
"""

from typing import Final

import numpy as np
from attrs import evolve

from stempilot import Transitions
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.geometry import (
    BoolArray,
    FloatArray,
    Geometry,
    distance,
)
from stempilot_tasks.bf_disk_centering.observation import Observer, residual_entries
from stempilot_tasks.bf_disk_centering.reward import reward, verdict

_FARTHEST: Final = 0.8
"""Share of the larger half field that starts about the goal reach to: 100 published bins."""

_CLOSE: Final = 1e-5
"""Units within which two positions, observed as float32, are the same."""


def moved_elsewhere(
    batch: Transitions,
    rng: np.random.Generator,
    *,
    config: BfDiskCenteringConfig,
    geometry: Geometry,
    see: Observer,
    size: float,
) -> Transitions:
    """Return the transitions with their displacements at new starts.

    Half of the new starts are uniform over the field, half are about the goal, log-uniform in
    their distance from one tolerance to 100 published bins. Observation, reward and termination
    come from the functions that the task itself uses, the reward from the nominal tolerance. A row
    stays as it is

    - where its displacement is unknown: the disk was lost, or nothing moved in the timestep that
      ended the episode (a refused plan, a disk that went out of sight);
    - where its new start is none, being centred or beyond the edge.

    The task's step limit plays no part, because no observation shows the number of timesteps: a
    timestep in which the steps ran out goes on elsewhere.

    Args:
        batch: n timesteps.
        rng: draws the new starts.
        config: the task's options.
        geometry: its geometry.
        see: its observer.
        size: distance that costs 1 in the informative reward, in units.
    """
    entries = list(residual_entries(config))
    was = batch.observations[:, entries].astype(np.float64)
    shift = batch.next_observations[:, entries] - was
    start_px = _starts(len(batch), rng, geometry)
    end_px = start_px + shift * geometry.unit_px
    before = geometry.residual(start_px)
    after = geometry.residual(geometry.clipped(end_px))
    lost = geometry.is_beyond_edge(end_px)
    away, left, tolerance = distance(before), distance(after), geometry.tolerance()
    centred, _ = verdict(away, tolerance, geometry.is_beyond_edge(start_px))
    success, failure = verdict(left, tolerance, lost)
    earned = reward(config.reward, away, left, success=success, failure=failure, size=size)
    can = _knows_shift(batch, was + shift, shift, geometry)
    can &= ~(centred | geometry.is_beyond_edge(start_px))
    rows = can[:, np.newaxis]
    ended = np.where(can, success | failure, batch.terminated)
    return evolve(
        batch,
        observations=np.where(rows, see(before), batch.observations),
        rewards=np.where(can, earned, batch.rewards).astype(batch.rewards.dtype),
        next_observations=np.where(rows, see(after), batch.next_observations),
        terminated=ended,
        truncated=batch.truncated & ~ended,
    )


def _starts(count: int, rng: np.random.Generator, geometry: Geometry) -> FloatArray:
    """Return (count, 2) positions in px from the frame's centre, some of them no starts at all."""
    anywhere = rng.uniform(-geometry.edge_px, geometry.edge_px, (count, 2))
    nearest = max(geometry.tolerance(), 1.0 if geometry.rounded else 0.0) * geometry.unit_px
    farthest = max(_FARTHEST * float(geometry.half_px.max()), nearest)
    radius = np.exp(rng.uniform(np.log(nearest), np.log(farthest), (count, 1)))
    angle = rng.uniform(-np.pi, np.pi, (count, 1))
    about = geometry.aim_px() + radius * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return np.where(rng.random((count, 1)) < 0.5, anywhere, about)  # noqa: PLR2004 - half


def _knows_shift(
    batch: Transitions, residual: FloatArray, shift: FloatArray, geometry: Geometry
) -> BoolArray:
    """Return (n,), whether the displacement was seen; ``residual`` is the one after it."""
    end = residual + geometry.goal
    # A position at the frame's very edge was clipped to it, which tells only where it went out.
    edge = geometry.residual(geometry.half_px) + geometry.goal
    clipped = (np.abs(end) > edge - _CLOSE).any(axis=1)
    lost = clipped | geometry.is_beyond_edge(end * geometry.unit_px)
    stopped = (batch.terminated | batch.truncated) & ~shift.any(axis=1)
    known: BoolArray = ~(lost | stopped)
    return known
