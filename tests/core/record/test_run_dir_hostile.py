"""A run directory of a stranger is refused where it is not what it must be."""

import json
from typing import Any

import pytest

from stempilot.errors import RunDirError
from stempilot.files import file_hash, write_json
from stempilot.record.run_dir import RunDir

PROGRESS: dict[str, Any] = {
    "timesteps": 10,
    "episodes": 2,
    "events_bytes": 10,
    "evaluations": [],
    "agent": "agent-10",
    "hashes": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {"agent": ".."},
        {"agent": "."},
        {"agent": ""},
        {"agent": "/"},
        {"agent": "../run"},
        {"agent": "agent-10/../.."},
        {"agent": "agent-11"},
        {"agent": 10},
        {"agent": ["agent-10"]},
        {"timesteps": "10"},
        {"timesteps": -10, "agent": "agent--10"},
        {"timesteps": 10.0},
        {"timesteps": 10**300, "agent": "agent-1" + "0" * 300},
        {"timesteps": None},
        {"episodes": -1},
        {"episodes": "x"},
        {"events_bytes": -1},
        {"events_bytes": 1e3},
        {"evaluations": {}},
        {"evaluations": [1]},
        {"evaluations": [{"timestep": 1}]},
        {"evaluations": [{"timestep": 1, "episodes": 2, "successes": 1, "os.system": "x"}]},
        {"evaluations": [{"timestep": "1", "episodes": 2, "successes": 1}]},
        {"hashes": []},
        {"hashes": {"agent.json": 3}},
        {"hashes": {"agent.json": None}},
        {"hashes": {"../record.json": ""}},
        {"hashes": {"/etc/hostname": ""}},
        {"hashes": {"..\\record.json": ""}},
        {"hashes": {"C:record.json": ""}},
        {"hashes": {"none.json": ""}},
        {"hashes": {"": ""}},
        {"hashes": {"a" * 5000: ""}},
        {"hashes": {"\0": ""}},
        {"hashes": {"\ud800": ""}},
    ],
)
def test_a_hostile_checkpoint_is_refused(run: RunDir, change: dict[str, Any]) -> None:
    (run.path / "agent-10").mkdir()
    write_json(run.path / "progress.json", PROGRESS)
    assert run.agent_folder() == run.path / "agent-10"
    write_json(run.path / "progress.json", {**PROGRESS, **change})
    with pytest.raises(RunDirError):
        run.agent_folder()


@pytest.mark.parametrize("name", ["../record.json", "nets/../../record.json"])
def test_no_file_outside_is_looked_at_even_with_the_right_hash(run: RunDir, name: str) -> None:
    (run.path / "agent-10" / "nets").mkdir(parents=True)
    hashes = {name: file_hash(run.path / "record.json")}
    write_json(run.path / "progress.json", {**PROGRESS, "hashes": hashes})
    with pytest.raises(RunDirError, match="lies outside the run directory"):
        run.agent_folder()


@pytest.mark.parametrize(
    "knobs",
    [
        None,
        3,
        [],
        {"focus": 3.0},
        {"focus": ["3"]},
        {"focus": [None]},
        {"focus": [True]},
        {"focus": "ab"},
        {"focus": [[1.0]]},
    ],
)
def test_a_hostile_baseline_is_refused(run: RunDir, knobs: Any) -> None:
    write_json(run.path / "baseline.json", {"knobs": knobs})
    with pytest.raises(RunDirError, match=r"baseline\.json is damaged"):
        run.baseline()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
def test_a_baseline_is_finite(run: RunDir, number: str) -> None:
    path = run.path / "baseline.json"
    path.write_text(json.dumps({"schema": 1, "knobs": {"focus": ["x"]}}).replace('"x"', number))
    with pytest.raises(RunDirError, match="is damaged"):
        run.baseline()


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "agent-10"},
        {"agent": "../best-10"},
        {"agent": None},
        {"evaluation": {"timestep": 11, "episodes": 5, "successes": 5}},
        {"evaluation": 3},
        {"hashes": {"../record.json": ""}},
        {"hashes": {"none.json": ""}},
    ],
)
def test_a_hostile_best_agent_is_refused(run: RunDir, change: dict[str, Any]) -> None:
    (run.path / "best-10").mkdir()
    sound = {
        "evaluation": {"timestep": 10, "episodes": 5, "successes": 5},
        "agent": "best-10",
        "hashes": {},
    }
    write_json(run.path / "best.json", sound)
    assert run.agent_folder(best=True) == run.path / "best-10"
    write_json(run.path / "best.json", {**sound, **change})
    with pytest.raises(RunDirError):
        run.agent_folder(best=True)
