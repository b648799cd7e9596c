"""The toys do what they are for: the dot follows the knob, the goal can be reached and learnt."""

import numpy as np
import pytest
from numpy.random import SeedSequence

from stempilot.contract.agent import Brief
from stempilot.contract.names import BEAM_SHIFT
from stempilot.operation.episodes import run_episode, run_oracle
from stempilot.testing import TOY_CAMERA, ToyBackend, ToyCentring, ToyLearner, ToyWalker, opened_env
from stempilot.testing.watched import watched_lesson


def brief(task: ToyCentring) -> Brief:
    return Brief(
        observation_space=task.observation_space,
        action_space=task.action_space,
        goal=task.goal,
        seed=0,
    )


def test_dot_is_measured_where_the_truth_says() -> None:
    task = ToyCentring()
    for seed in range(5):
        with opened_env(task, ToyBackend(), seed=seed) as env:
            env.reset()
            truth = np.array((env.last.truth or {})["position_px"])
            assert np.array(env.last.state.offset) * 32 == pytest.approx(truth, abs=0.2)


def test_dot_follows_the_knob_by_the_response() -> None:
    with ToyBackend(serial=3) as backend:
        backend.reseed(SeedSequence(1))
        backend.acquire(TOY_CAMERA)
        before = np.array(backend.truth()["position_px"])
        response = np.array(backend.truth()["response_px_per_m"]).reshape(2, 2)
        backend.write(BEAM_SHIFT, (2e-7, -1e-7))
        backend.acquire(TOY_CAMERA)
        moved = np.array(backend.truth()["position_px"]) - before
    assert moved == pytest.approx(response @ (2e-7, -1e-7), abs=0.12)
    assert np.hypot(*moved) == pytest.approx(40 * np.hypot(0.2, 0.1), abs=0.12)


def test_play_keeps_small_moves_from_arriving() -> None:
    with ToyBackend() as backend:
        backend.acquire(TOY_CAMERA)
        before = backend.truth()
        backend.write(BEAM_SHIFT, (1.9e-9, -1.9e-9))
        backend.acquire(TOY_CAMERA)
        assert backend.truth() == before


def test_parked_toy_shows_no_dot() -> None:
    with ToyBackend() as backend:
        lit = backend.acquire(TOY_CAMERA).pixels.max()
        backend.park()
        assert backend.state("beam_blanker") == "blanked"
        assert backend.acquire(TOY_CAMERA).pixels.max() < 200 < lit


@pytest.mark.parametrize("actions", ["box", "discrete"])
def test_oracle_reaches_the_goal(actions: str) -> None:
    task = ToyCentring("discrete" if actions == "discrete" else "box")
    with opened_env(task, ToyBackend(), max_timesteps=20) as env:
        for _ in range(10):
            played = run_oracle(env)
            assert played is not None
            assert played.success


def test_learner_learns_what_the_walker_does_not_know() -> None:
    task = ToyCentring()
    learner = ToyLearner(brief(task))
    with opened_env(task, ToyBackend(), seed=1, max_timesteps=20) as env:
        watched_lesson(learner, env, 60)
    successes = []
    for policy in (learner.policy(), ToyWalker(brief(task)).policy()):
        with opened_env(task, ToyBackend(), seed=2, max_timesteps=10) as env:
            successes.append(sum(run_episode(env, policy).success for _ in range(20)))
    assert successes[0] >= 18
    assert successes[1] <= 8
