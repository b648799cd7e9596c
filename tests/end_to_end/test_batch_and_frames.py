"""Instruments without frames are those with frames, as far as a task and an agent can tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from numpy.random import SeedSequence
from numpy.typing import NDArray
from tests.sampling import sampled

import stempilot
from stempilot.contract.agent import Brief
from stempilot.contract.backend import Opening
from stempilot.operation.task_env import TaskEnv
from stempilot.plugins.parts import part
from stempilot.record.figures import EPISODES, MAX_FAILURES
from stempilot.record.run_dir import RunDir
from stempilot_backends.column import Column, ColumnParameters
from stempilot_backends.column.columns import ColumnBatch
from stempilot_backends.column.locating import optics, sight
from stempilot_backends.column.parameters import DRAWN
from stempilot_tasks.imaging import locate_disk

EXPOSURE_S = 0.17
PIXEL_RAD = 0.565e-3
REGISTRY = stempilot.discover()
WITHIN = 1.5
"""Factor within which the locator's errors in a batch are those on frames."""


def located(
    parameters: ColumnParameters, positions: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return what is found of disks at positions from the frame's centre, and what is visible."""
    column = Column(parameters, SeedSequence(7000))
    middle = (parameters.frame_side_px - 1) / 2
    found, visible = [], []
    for x, y in positions.tolist():
        column.misalign((x, y))
        disk = locate_disk(column.expose(EXPOSURE_S))
        found.append((disk.x_px - middle, disk.y_px - middle) if disk.visible else (np.nan,) * 2)
        visible.append(disk.visible)
    return np.array(found), np.array(visible)


@pytest.mark.parametrize(
    ("radius_px", "current_a"),
    [
        (9.0, 1e-12),
        (9.0, 10e-12),
        (30.0, 1e-13),
        (30.0, 1e-12),
        (30.0, 10e-12),
        (30.0, 100e-12),
        (60.0, 1e-12),
        (60.0, 10e-12),
        (60.0, 100e-12),
    ],
)
def test_errors_of_whole_disks_are_as_large_as_on_frames(
    radius_px: float, current_a: float
) -> None:
    parameters = ColumnParameters(
        semi_angle_rad=radius_px * PIXEL_RAD, probe_current_a=current_a, action_noise=0.0
    )
    positions = np.random.default_rng(7000).uniform(-400, 400, (60, 2))
    found, visible = located(parameters, positions)
    assert visible.all()
    modelled = optics(parameters, np.array([radius_px]), np.array([current_a]), EXPOSURE_S)
    assert modelled.shows.all()
    rms = float(np.sqrt(np.mean((found - positions) ** 2)))
    assert 1 / WITHIN < modelled.noise_px[0] / rms < WITHIN


def test_a_batch_draws_the_errors_that_the_optics_tell() -> None:
    common, count = ColumnParameters(action_noise=0.0), 20_000
    batch = ColumnBatch(
        common,
        count,
        np.random.default_rng(0),
        hidden=np.random.default_rng(1),
        exposure_s=EXPOSURE_S,
    )
    batch.reset(
        {name: getattr(common, name) for name in DRAWN},
        command_rad=np.zeros((2, count)),
        start_px=np.zeros((2, count)),
        drift_angle_rad=np.zeros(count),
    )
    told = optics(
        common, np.array([common.radius_px]), np.array([common.probe_current_a]), EXPOSURE_S
    )
    assert batch.expose()["position_px"].std() == pytest.approx(told.noise_px[0], rel=0.03)


@pytest.mark.parametrize("radius_px", [15.0, 30.0, 60.0])
def test_disks_at_the_edge_are_lost_where_they_are_on_frames(radius_px: float) -> None:
    parameters = ColumnParameters(semi_angle_rad=radius_px * PIXEL_RAD, action_noise=0.0)
    half = parameters.frame_side_px / 2
    # Of the room beyond the edge and inside of it, in radii: seen or not, by far.
    shares = np.array([-1.3, -0.9, -0.3, 0.3, 0.7, 0.9, 1.2])
    positions = np.column_stack([half - shares * radius_px, np.linspace(-100, 100, len(shares))])
    found, visible = located(parameters, positions)
    told = sight(shares * radius_px, np.full(len(shares), radius_px), np.ones(len(shares), bool))
    assert told.visible.tolist() == visible.tolist()
    assert told.centred.tolist() == np.isfinite(found[:, 0]).tolist()
    inside = told.centred
    assert np.abs(found - positions)[inside].max() < 0.5


@pytest.mark.parametrize("current_a", [1e-17, 1e-16, 1e-12])
def test_faint_disks_are_lost_where_they_are_on_frames(current_a: float) -> None:
    parameters = evolve(ColumnParameters(action_noise=0.0), probe_current_a=current_a)
    _, visible = located(parameters, np.array([[40.0, -80.0]] * 5))
    told = optics(parameters, np.array([parameters.radius_px]), np.array([current_a]), EXPOSURE_S)
    assert [bool(told.shows[0])] * 5 == visible.tolist()


@contextmanager
def environment(preset: str, task: dict[str, Any]) -> Iterator[TaskEnv]:
    chosen = part(REGISTRY, "task", "bf-disk-centering", task)
    backend = part(REGISTRY, "backend", "simulator", {"preset": preset, "redraw": "episode"})
    made = chosen.load()
    microscope = backend.load(Opening(purpose="train", seed=7000))
    with stempilot.open_session(microscope, [made], name="simulator") as session:
        yield session.env(made, seed=7000)


def policies(env: TaskEnv, count: int) -> list[Any]:
    agent = part(REGISTRY, "agent", "adaptive", {})
    made = []
    for row in range(count):
        policy = agent.load(Brief.of(env.task, 0)).policy()
        policy.reset(str(row))
        made.append(policy)
    return made


def on_frames(env: TaskEnv, count: int, oracle: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return steps and successes of episodes on frames."""
    steps, won = [], []
    task: Any = env.task
    for policy in policies(env, count):
        observation, info = env.reset()
        ended = False
        while not ended:
            action = (
                task.oracle_action(env.last.state, env.last.truth)
                if oracle
                else policy.act(observation)
            )
            observation, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        steps.append(env.last.step)
        won.append(info["is_success"])
    return np.array(steps), np.array(won)


def in_batch(env: TaskEnv, count: int, oracle: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the same of the first episode on each of so many instruments."""
    many = env.vector(count, 7000)
    acting = policies(env, 0 if oracle else count)
    observations, _ = many.reset()
    steps, won = np.zeros(count, int), np.zeros(count, bool)
    going, number = np.ones(count, bool), 0
    while going.any():
        number += 1
        if oracle:
            actions = many.oracle_actions()
        else:
            actions = np.zeros((count, 2), np.float32)
            for row in np.flatnonzero(going):
                actions[row] = acting[row].act(observations[row])
        observations, _, terminated, truncated, info = many.step(actions)
        ended = going & (terminated | truncated)
        steps[ended], won[ended] = number, info["is_success"][ended]
        going &= ~ended
    return steps, won


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("oracle", sampled([True, False], 2), ids=["oracle", "adaptive"])
@pytest.mark.parametrize("preset", sampled(["random", "paper", "lagged", "everything"], 4))
def test_episodes_are_as_long_as_on_frames(preset: str, oracle: bool) -> None:
    with environment(preset, {"start_range": 0.85}) as env:
        frames, frames_won = on_frames(env, 200 if oracle else 120, oracle)
        batch, batch_won = in_batch(env, 4000 if oracle else 480, oracle)
    # Lengths of what succeeded; three standard errors of the difference.
    few, many = frames[frames_won], batch[batch_won]
    error = np.sqrt(few.var() / len(few) + many.var() / len(many))
    assert abs(few.mean() - many.mean()) < 3 * error
    # As often, as far as so few episodes can tell.
    both = (frames_won.sum() + batch_won.sum() + 1) / (len(frames) + len(batch) + 2)
    spread = np.sqrt(both * (1 - both) * (1 / len(frames) + 1 / len(batch)))
    assert abs(frames_won.mean() - batch_won.mean()) < 3 * spread


@pytest.mark.parametrize(("preset", "at_once"), [("random", True), ("crystal", False)])
def test_a_training_is_evaluated_without_frames_where_that_is_possible(
    tmp_path: Path, preset: str, *, at_once: bool
) -> None:
    plan = stempilot.plan_train(
        REGISTRY,
        task="bf-disk-centering",
        agent="sac-rapid",
        steps=10,
        settings={
            "agent": {"gradient_steps": 0},
            "backend": {"preset": preset},
            "run": {"max_timesteps": 3},
        },
        extras=stempilot.Extras(seed=5, out=tmp_path / "run"),
    )
    stempilot.execute(plan)
    progress = RunDir.open(tmp_path / "run").progress()
    assert progress is not None
    found = progress["evaluations"][0]
    assert found["episodes"] - found["successes"] > MAX_FAILURES, "it has learnt nothing"
    # On frames no more are played after too many failures.
    assert (found["episodes"] == EPISODES) == at_once
