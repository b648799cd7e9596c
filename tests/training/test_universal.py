"""Training of `universal` on the batched simulation: what it practises on, and the one command."""

from typing import Any

import numpy as np
import pytest
from benchmarks.universal.conditions import groups
from benchmarks.universal.instruments import Group, SimulatedInstruments
from safetensors import safe_open
from training.practice import Practice
from training.universal import main

from stempilot_agents.learners.saving import read_any_arrays
from stempilot_agents.universal.network import UniversalNetwork

QUIET = {"preset": "random", "action_noise": 0.0, "vibration_px": 0.0}


def instruments(
    count: int = 16, task: Any = None, seed: int = 1, **backend: Any
) -> SimulatedInstruments:
    group = Group(name="some", count=count, backend={**QUIET, **backend}, task=task or {})
    return SimulatedInstruments([group], seed)


@pytest.mark.parametrize(
    "backend",
    [{}, {"lag": 0.4}, {"backlash_rad": 1e-3}, {"distortion_swirl_rad": 0.2}],
    ids=["linear", "lagged", "backlash", "distorted"],
)
def test_what_is_needed_centres(backend: Any) -> None:
    some = instruments(task={"step_size": 100_000.0}, shift_limit_rad=100.0, **backend)
    some.reset()
    won = np.zeros(16, np.bool_)
    for _ in range(4):
        needed = some.needed()
        seen = some.step(np.stack([needed.real, needed.imag], 1).astype(np.float32))
        won |= seen.success
        assert not seen.failure.any()
    assert won.all()


def test_ended_episodes_begin_anew_in_the_step_after() -> None:
    some = instruments(count=64)
    seen = some.reset()
    assert seen.begun.all()
    over, won = np.zeros(64, np.bool_), 0
    for _ in range(30):
        needed = some.needed()
        best = np.clip(np.stack([needed.real, needed.imag], 1), -1, 1).astype(np.float32)
        seen = some.step(best)
        np.testing.assert_array_equal(seen.begun, over)
        assert not (seen.success & seen.failure).any()
        over = seen.success | seen.failure
        won += seen.success.sum()
    assert won > 64


def test_groups_stand_side_by_side() -> None:
    tasks = [{}, {"step_size": 400.0}, {"preset": "paper"}]
    some = SimulatedInstruments(
        [Group(name="each", count=3, backend={"preset": "random"}, task=task) for task in tasks], 1
    )
    full, unit = some.field.full, some.field.unit
    np.testing.assert_allclose(full[3:6], 4 * full[:3], rtol=1e-5)
    np.testing.assert_allclose(full[6:], full[:3], rtol=1e-2)
    assert unit[6] == pytest.approx(122.5, rel=1e-3)
    assert some.reset().residual.shape == (9, 2)
    assert np.abs(some.reset().residual[6:]).max() > 2
    assert some.told().shape[0] == 9


def test_conditions_are_drawn_from_the_seed() -> None:
    one, again, other = groups(8, 1), groups(8, 1), groups(8, 2)
    assert one == again
    assert one != other
    assert [group.count for group in one] == [group.count for group in other]
    assert sum(group.count for group in one) == 29 * 8


def test_practice_repeats_with_its_seed() -> None:
    def told(seed: int) -> Any:
        practice = Practice(SimulatedInstruments(groups(2, seed), seed))
        for _ in range(5):
            practice.step(practice.best(), 50.0)
        return practice.told

    np.testing.assert_array_equal(told(1), told(1))
    assert not np.array_equal(told(1), told(2))


def test_a_margin_keeps_starts_at_the_edges() -> None:
    backend = {"preset": "random", "start_range": 1.0}
    group = Group(name="edge", count=64, backend=backend, task={}, margin_px=16.0)
    some = SimulatedInstruments([group], 1)
    # Observations are in half frames, of 520 px; the disk is lost 20.4 px before that.
    from_edge_px = 520 * (1 - np.abs(some.reset().residual).max(1)) - 20.4
    assert from_edge_px.min() >= -0.1
    assert from_edge_px.max() <= 16.1
    assert from_edge_px.std() > 2


@pytest.mark.slow
def test_one_command_trains_and_repeats(tmp_path: Any) -> None:
    files = [tmp_path / name for name in ("one.safetensors", "two.safetensors")]
    for file in files:
        size = ["--instruments", "2", "--rounds", "2", "--iterations", "9"]
        assert main(["--seed", "5", "--out", str(file), *size]) == 0
    one, two = (read_any_arrays(file) for file in files)
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name], err_msg=name)
    network = UniversalNetwork.read(files[0])
    assert np.abs(network.arrays["one.weight"]).max() > 0
    with safe_open(files[0], framework="numpy") as file:
        about = file.metadata()
    assert about["seed"] == "5"
    assert about["command"].startswith("python -m training.universal --seed 5 ")
