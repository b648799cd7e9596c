"""Timesteps that were just as possible, elsewhere."""

import numpy as np
import pytest

from stempilot import Centre, Transitions
from stempilot_tasks.probe.symmetry import moved_elsewhere, space_of

GOAL = Centre(
    residual=(0, 1),
    unit="100 nm",
    tolerance=0.02,
    edges=((-1.4, -1.4), (1.4, 1.4)),
    full_action=0.3,
)
ROWS = 3000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def batch(rng: np.random.Generator) -> Transitions:
    before = rng.uniform(-1, 1, (ROWS, 2)).astype(np.float32)
    actions = rng.uniform(-1, 1, (ROWS, 2)).astype(np.float32)
    after = before + np.float32(0.3) * actions
    return Transitions(
        observations=before,
        actions=actions,
        rewards=np.zeros(ROWS, np.float32),
        next_observations=after,
        terminated=np.zeros(ROWS, np.bool_),
        truncated=np.zeros(ROWS, np.bool_),
    )


def test_displacements_stay(batch: Transitions, rng: np.random.Generator) -> None:
    moved = moved_elsewhere(batch, rng, GOAL)
    assert np.mean(moved.observations != batch.observations) > 0.8
    shift = moved.next_observations - moved.observations
    assert np.abs(shift - 0.3 * batch.actions).max() < 1e-5


def test_many_timesteps_end_at_a_goal_that_none_of_them_met(
    batch: Transitions, rng: np.random.Generator
) -> None:
    assert (np.linalg.norm(batch.next_observations, axis=1) <= GOAL.tolerance).mean() < 0.003
    moved = moved_elsewhere(batch, rng, GOAL)
    met = np.linalg.norm(moved.next_observations, axis=1) <= GOAL.tolerance
    assert 0.03 < met.mean() < 0.2
    assert moved.terminated[met].all()
    assert (moved.rewards[met] == 100).all()


def test_what_ends_far_beyond_the_edges_stays_in_the_space(
    batch: Transitions, rng: np.random.Generator
) -> None:
    space = space_of(GOAL)
    assert np.allclose(space.high, 2.8)
    far = batch.observations + np.float32(30) * batch.actions
    wide = Transitions(
        observations=batch.observations,
        actions=batch.actions,
        rewards=batch.rewards,
        next_observations=far,
        terminated=batch.terminated,
        truncated=batch.truncated,
    )
    moved = moved_elsewhere(wide, rng, GOAL)
    changed = (moved.observations != wide.observations).any(axis=1)
    assert np.abs(moved.next_observations[changed]).max() <= 2.8 + 1e-6
