"""Training on toys: what is left on disk, and where the knobs end."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import (
    BackendOptions,
    plugin,
    toy_registry,
)
from tests.core.jobs import (
    AWAY,
    NO_TWIN,
    desk_away,
    events,
    extras,
    on_desk,
    record,
    standing,
    train,
    without_times,
)

from stempilot.contract.backend import Opening
from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import IncompatibleError, RunDirError
from stempilot.files import read_json
from stempilot.record.figures import Evaluation
from stempilot.record.record import FramePolicy
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_run
from stempilot.testing.toys import ToyBackend


def test_a_training_leaves_all_that_it_did(tmp_path: Path) -> None:
    result = execute(train(tmp_path / "run", settings={"task": {"tolerance": 0.2}}))
    folder = tmp_path / "run"
    found = record(folder)
    assert (found.status, found.command, found.seed) == ("done", "train", 3)
    assert (found.task, found.backend, found.agent) == ("centring", "simulator", "learner")
    assert found.config["task"] == {"tolerance": 0.2, "actions": "box"}
    assert found.settings["task"] == {"tolerance": 0.2}
    assert found.identity == {"model": "toy", "serial": "0"}
    assert found.simulated is True
    assert found.plugins["agent"] == "toys 1.0"
    assert read_json(folder / "baseline.json")["knobs"] == {BEAM_SHIFT: [0.0, 0.0]}
    steps = [event for event in events(folder) if event["k"]]
    assert [event["t"] for event in steps] == list(range(1, 41))
    assert read_json(folder / "result.json") == {"schema": 1, **result}
    assert (result["timesteps"], result["interrupted"]) == (40, False)
    assert result["episodes"] == sum(e["outcome"] != "running" or e["truncated"] for e in steps)
    assert result["run_dir"] == str(folder)
    assert set(result["learner"]) == {"error"}, "what the learner itself says"
    progress = RunDir.open(folder).progress()
    assert progress is not None
    assert progress["timesteps"] == 40
    assert progress["events_bytes"] <= (folder / "events.jsonl").stat().st_size
    assert RunDir.open(folder).agent_folder().name == "agent-40"


def test_training_ends_where_it_began(tmp_path: Path) -> None:
    desk = desk_away()
    result = execute(on_desk(desk, tmp_path / "run"))
    assert result["timesteps"] == 40
    assert len(desk.log) > 40
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert result["converged_at"] is None
    assert record(tmp_path / "run").envelope["backend"] == "desk"


def test_the_baseline_is_on_disk_before_the_first_write(tmp_path: Path) -> None:
    desk, found = desk_away(), list[Any]()

    def look(what: str, _: str) -> None:
        if what == "write" and not found:
            found.append(read_json(tmp_path / "run" / "baseline.json")["knobs"])
            found.append(record(tmp_path / "run").status)

    desk.before = look
    execute(on_desk(desk, tmp_path / "run"))
    assert found == [{BEAM_SHIFT: list(AWAY)}, "running"]


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    told = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        execute(train(tmp_path / name, extras={"seed": seed}, settings=NO_TWIN))
        told.append([without_times(event) for event in events(tmp_path / name)])
    assert told[0] == told[1]
    assert told[0] != told[2]


def test_an_agent_that_does_not_learn_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="agent walker does not learn; use it with `stempi"):
        execute(train(tmp_path / "run", agent="walker"))
    assert not (tmp_path / "run").exists()


def test_an_agent_that_does_not_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="acts with a vector of numbers"):
        execute(train(tmp_path / "run", settings={"task": {"actions": "discrete"}}))
    assert not (tmp_path / "run").exists()


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(RunDirError, match="exists already"):
        execute(train(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_frames_are_kept_as_asked(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=5, extras={"frames": FramePolicy(every=1)}))
    assert len(list((tmp_path / "run" / "frames").iterdir())) == len(events(tmp_path / "run"))


# --- options of the framework --------------------------------------------------------------------


def test_max_steps_ends_episodes(tmp_path: Path) -> None:
    settings = {"run": {"max_timesteps": 3}, "task": {"tolerance": 1e-6}}
    execute(train(tmp_path / "run", settings=settings, steps=12))
    lengths = [e["k"] for e in events(tmp_path / "run") if e["truncated"]]
    assert lengths
    assert set(lengths) == {3}
    assert max(e["k"] for e in events(tmp_path / "run")) == 3


def saves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    at: list[int] = []
    checkpoint = RunDir.checkpoint

    def noted(self: RunDir, progress: Any, save_agent: Any) -> None:
        at.append(progress["timesteps"])
        checkpoint(self, progress, save_agent)

    monkeypatch.setattr(RunDir, "checkpoint", noted)
    return at


def test_checkpoint_every_says_how_often_a_run_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = saves(monkeypatch)
    settings: dict[str, dict[str, Any]] = {
        "run": {"max_timesteps": 4, "checkpoint_every": 10},
        "task": {"tolerance": 1e-6},
    }
    execute(train(tmp_path / "a", settings=settings))
    assert len(at) >= 3
    assert all(b - a >= 10 for a, b in zip([0, *at], at[:-1], strict=False))
    ends = {e["t"] for e in events(tmp_path / "a") if e["truncated"] or e["outcome"] != "running"}
    assert set(at[:-1]) <= ends, "only where an episode ends"
    at.clear()
    settings["run"]["checkpoint_every"] = 1000
    execute(train(tmp_path / "b", settings=settings))
    assert at == [40]


def test_evaluate_says_whether_training_is_evaluated(tmp_path: Path) -> None:
    for evaluates in (True, False):
        folder = tmp_path / str(evaluates)
        settings = {"run": {"evaluate": evaluates, "max_timesteps": 5}}
        result = execute(train(folder, agent="exact", steps=20, settings=settings))
        progress = RunDir.open(folder).progress()
        assert progress is not None
        timesteps = [one["timestep"] for one in progress["evaluations"]]
        assert timesteps == ([10, 20] if evaluates else [])
        assert (result["converged_at"] == 10) is evaluates


def test_max_steps_holds_in_evaluations_too(tmp_path: Path) -> None:
    passed = []
    for max_timesteps in (1, 9):
        folder = tmp_path / str(max_timesteps)
        execute(
            train(
                folder, agent="exact", steps=10, settings={"run": {"max_timesteps": max_timesteps}}
            )
        )
        progress = RunDir.open(folder).progress()
        assert progress is not None
        passed.append(Evaluation(**progress["evaluations"][0]).passed)
    assert passed == [False, True]


def test_evaluations_do_not_change_the_training(tmp_path: Path) -> None:
    told = []
    for evaluates in (True, False):
        folder = tmp_path / str(evaluates)
        execute(train(folder, settings={"run": {"evaluate": evaluates}}))
        told.append([without_times(event) for event in events(folder)])
    assert told[0] == told[1]


def test_a_backend_is_told_what_it_is_opened_for(tmp_path: Path) -> None:
    openings: list[Opening] = []

    def load(config: Any, opening: Opening) -> ToyBackend:
        openings.append(opening)
        return ToyBackend(config.serial)

    registry = toy_registry(("backend", plugin("asks", BackendOptions, load)))
    execute(train(tmp_path / "a", registry, backend="asks", steps=5))
    plan = plan_run(
        registry, task="centring", policy=tmp_path / "a", extras=extras(tmp_path / "b", seed=9)
    )
    execute(plan)
    assert [(o.purpose, o.seed, o.instrument_seed, o.trained_here) for o in openings] == [
        ("train", 3, 3, False),
        ("run", 9, 3, True),
    ]


def test_what_is_written_is_strict_json(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=12))

    def refuse(name: str) -> None:
        pytest.fail(name)

    for file in (tmp_path / "run").rglob("*.json"):
        json.loads(file.read_text(), parse_constant=refuse)
    for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
