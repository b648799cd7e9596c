"""Train, relearn and run on toys: what is left on disk, and where the knobs end."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.fakes import (
    BackendOptions,
    Desk,
    NoOptions,
    blank,
    desk_plugin,
    fails,
    plugin,
    toy_registry,
)

from stempilot.backend import Opening
from stempilot.convergence import Evaluation
from stempilot.envelope import Envelope, open_envelope
from stempilot.errors import (
    BackendError,
    EnvelopeError,
    IncompatibleError,
    RecordError,
    RestoreError,
    RunDirError,
    StartError,
)
from stempilot.pipelines import execute
from stempilot.plans import Extras, Plan, plan_relearn, plan_resume, plan_run, plan_train
from stempilot.recorder import FramePolicy, read_events
from stempilot.registry import Registry
from stempilot.rundir import RunDir, read_json
from stempilot.testing.toys import ToyBackend, ToyLearner
from stempilot.training import Progress
from stempilot.vocabulary import BEAM_SHIFT

REGISTRY = toy_registry()
AWAY = (2e-7, -1e-7)
NO_TWIN = {"run": {"evaluate": False}}


def desk_envelope(**changes: Any) -> Envelope:
    return evolve(open_envelope("desk", Desk().capabilities()), **changes)


def desk_away() -> Desk:
    """Return a desk whose knob does not stand at zero."""
    desk = Desk()
    desk.toy.open()
    desk.toy.write(BEAM_SHIFT, AWAY)
    desk.toy.close()
    return desk


def standing(desk: Desk) -> Any:
    desk.toy.open()
    return desk.toy.read(BEAM_SHIFT)


def extras(folder: Path, **more: Any) -> Extras:
    return Extras(**{"seed": 3, "out": folder, **more})


def train(folder: Path, registry: Registry = REGISTRY, **what: Any) -> Plan:
    more = what.pop("extras", {})
    options = {"task": "centring", "agent": "learner", "steps": 40, **what}
    return plan_train(registry, extras=extras(folder, **more), **options)


def on_desk(desk: Desk, folder: Path, *, limits: Envelope | None = None, **what: Any) -> Plan:
    more = {"envelope": limits or desk_envelope()}
    return train(folder, toy_registry(desk_plugin(desk)), backend="desk", extras=more, **what)


def run(desk: Desk, folder: Path, **what: Any) -> Plan:
    more = {"envelope": what.pop("limits", None) or desk_envelope(), **what.pop("extras", {})}
    options = {"task": "centring", "agent": "exact", "backend": "desk", **what}
    registry = toy_registry(desk_plugin(desk))
    return plan_run(registry, extras=extras(folder, **more), **options)


def record(folder: Path) -> dict[str, Any]:
    return RunDir.open(folder).record()


def events(folder: Path) -> list[dict[str, Any]]:
    return list(read_events(folder))


def when(done: int, act: Callable[[], Any]) -> Callable[[Progress], None]:
    """Return what acts at a point of a job."""

    def on_progress(now: Progress) -> None:
        if now.done == done and not now.note:
            act()

    return on_progress


# --- train ---------------------------------------------------------------------------------------


def test_a_training_leaves_all_that_it_did(tmp_path: Path) -> None:
    result = execute(train(tmp_path / "run", settings={"task": {"tolerance": 0.2}}))
    folder = tmp_path / "run"
    found = record(folder)
    assert (found["status"], found["command"], found["seed"]) == ("done", "train", 3)
    assert (found["task"], found["backend"], found["agent"]) == ("centring", "simulator", "learner")
    assert found["config"]["task"] == {"tolerance": 0.2, "actions": "box"}
    assert found["settings"]["task"] == {"tolerance": 0.2}
    assert found["identity"] == {"model": "toy", "serial": "0"}
    assert found["simulated"] is True
    assert found["plugins"]["agent"] == "toys 1.0"
    assert read_json(folder / "baseline.json")["knobs"] == {BEAM_SHIFT: [0.0, 0.0]}
    steps = [event for event in events(folder) if event["k"]]
    assert [event["t"] for event in steps] == list(range(1, 41))
    assert read_json(folder / "result.json") == {"schema": 1, **result}
    assert (result["timesteps"], result["interrupted"]) == (40, False)
    assert result["episodes"] == sum(e["outcome"] != "running" or e["truncated"] for e in steps)
    assert result["run_dir"] == str(folder)
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
    assert record(tmp_path / "run")["envelope"]["backend"] == "desk"


def test_the_baseline_is_on_disk_before_the_first_write(tmp_path: Path) -> None:
    desk, found = desk_away(), list[Any]()

    def look(what: str, _: str) -> None:
        if what == "write" and not found:
            found.append(read_json(tmp_path / "run" / "baseline.json")["knobs"])
            found.append(record(tmp_path / "run")["status"])

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


def without_times(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event that can be compared: no clock, and no ways home, which depend on before."""
    return {**event, "writes": [write[:2] for write in event["writes"] if event["k"]]}


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
    settings = {"run": {"max_steps": 3}, "task": {"tolerance": 1e-6}}
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
        "run": {"max_steps": 4, "checkpoint_every": 10},
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
        settings = {"run": {"evaluate": evaluates, "max_steps": 5}}
        result = execute(train(folder, agent="exact", steps=20, settings=settings))
        progress = RunDir.open(folder).progress()
        assert progress is not None
        timesteps = [one["timestep"] for one in progress["evaluations"]]
        assert timesteps == ([10, 20] if evaluates else [])
        assert (result["converged_at"] == 10) is evaluates


def test_max_steps_holds_in_evaluations_too(tmp_path: Path) -> None:
    passed = []
    for max_steps in (1, 9):
        folder = tmp_path / str(max_steps)
        execute(train(folder, agent="exact", steps=10, settings={"run": {"max_steps": max_steps}}))
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


# --- resume --------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone, without a word."""


def agent_files(folder: Path) -> dict[str, bytes]:
    agent = RunDir.open(folder).agent_folder()
    return {file.name: file.read_bytes() for file in agent.iterdir()}


def kill() -> None:
    raise Killed


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    settings = {"run": {"checkpoint_every": 10, "max_steps": 6}}
    execute(train(tmp_path / "whole", settings=settings))
    with pytest.raises(Killed):
        execute(train(tmp_path / "run", settings=settings), on_progress=when(27, kill))
    progress = RunDir.open(tmp_path / "run").progress()
    assert progress is not None
    assert 10 <= progress["timesteps"] < 27
    result = execute(plan_resume(REGISTRY, tmp_path / "run"))
    assert result["timesteps"] == 40
    assert record(tmp_path / "run")["status"] == "done"
    assert list(map(without_times, events(tmp_path / "run"))) == list(
        map(without_times, events(tmp_path / "whole"))
    )
    assert agent_files(tmp_path / "run") == agent_files(tmp_path / "whole")
    whole = read_json(tmp_path / "whole" / "result.json")
    same = ("timesteps", "converged_at", "reward_converged_at", "episodes")
    assert [result[key] for key in same] == [whole[key] for key in same]


def test_a_run_that_was_killed_before_it_was_saved_begins_anew(tmp_path: Path) -> None:
    execute(train(tmp_path / "whole", settings=NO_TWIN))
    with pytest.raises(Killed):
        execute(train(tmp_path / "run", settings=NO_TWIN), on_progress=when(7, kill))
    execute(plan_resume(REGISTRY, tmp_path / "run"))
    assert agent_files(tmp_path / "run") == agent_files(tmp_path / "whole")


def test_the_first_ctrl_c_ends_cleanly_and_the_run_goes_on_later(tmp_path: Path) -> None:
    desk = desk_away()
    stop = when(13, lambda: signal.raise_signal(signal.SIGINT))
    result = execute(on_desk(desk, tmp_path / "run"), on_progress=stop)
    assert (result["interrupted"], result["timesteps"]) == (True, 13)
    assert record(tmp_path / "run")["status"] == "interrupted"
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    registry = toy_registry(desk_plugin(desk))
    result = execute(plan_resume(registry, tmp_path / "run"))
    assert (result["interrupted"], result["timesteps"]) == (False, 40)
    assert [e["t"] for e in events(tmp_path / "run") if e["k"]] == list(range(1, 41))
    assert len({(e["e"], e["k"]) for e in events(tmp_path / "run")}) == len(
        events(tmp_path / "run")
    )


def test_sigterm_ends_cleanly_too(tmp_path: Path) -> None:
    stop = when(5, lambda: signal.raise_signal(signal.SIGTERM))
    assert execute(train(tmp_path / "run"), on_progress=stop)["interrupted"]


def test_the_second_ctrl_c_stops_at_once_and_the_instrument_is_put_back(tmp_path: Path) -> None:
    desk = desk_away()

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        execute(on_desk(desk, tmp_path / "run"), on_progress=when(13, twice))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    found = record(tmp_path / "run")
    assert (found["status"], found["reason"]) == ("failed", "interrupted")


def test_more_steps_can_be_asked_for(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=10))
    result = execute(plan_resume(REGISTRY, tmp_path / "run", steps=25))
    assert result["timesteps"] == 25
    assert execute(plan_resume(REGISTRY, tmp_path / "run", steps=5))["timesteps"] == 25


def test_a_checkpoint_that_was_changed_is_not_resumed(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=10))
    (tmp_path / "run" / "agent-10" / "learner.json").write_text("{}")
    with pytest.raises(RunDirError, match="is not the file that was saved"):
        execute(plan_resume(REGISTRY, tmp_path / "run", steps=25))


def test_events_that_are_gone_are_not_made_up(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=10))
    (tmp_path / "run" / "events.jsonl").write_text("")
    with pytest.raises(RunDirError, match="has 0 bytes, its checkpoint was at"):
        execute(plan_resume(REGISTRY, tmp_path / "run", steps=25))


# --- relearn and policies ------------------------------------------------------------------------


def test_relearning_says_what_it_kept_and_leaves_its_parent_alone(tmp_path: Path) -> None:
    execute(train(tmp_path / "first"))
    before = {path: path.read_bytes() for path in (tmp_path / "first").rglob("*.json*")}
    said: list[str] = []
    plan = plan_relearn(
        REGISTRY,
        tmp_path / "first",
        steps=15,
        settings={"backend": {"serial": 5}},
        extras=extras(tmp_path / "second"),
    )
    result = execute(plan, say=said.append)
    assert said == ["kept the response"]
    assert (result["command"], result["timesteps"]) == ("relearn", 15)
    found = record(tmp_path / "second")
    assert found["kept_and_dropped"] == ["kept the response"]
    assert found["parent"] == str((tmp_path / "first").resolve())
    assert {path: path.read_bytes() for path in (tmp_path / "first").rglob("*.json*")} == before
    assert agent_files(tmp_path / "first") != agent_files(tmp_path / "second")


def test_a_policy_is_what_was_trained(tmp_path: Path) -> None:
    execute(train(tmp_path / "exact", agent="exact", steps=10, settings={}))
    plan = plan_run(
        REGISTRY,
        task="centring",
        policy=tmp_path / "exact",
        episodes=6,
        extras=extras(tmp_path / "run", seed=11),
    )
    result = execute(plan)
    assert result["success_rate"] == 1.0
    assert result["steps_mean"] < 6


def test_a_policy_saved_for_other_spaces_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    execute(train(tmp_path / "first", steps=5))
    for file in (tmp_path / "first").glob("agent-5/learner.json"):
        file.write_text(file.read_text().replace('"observed": 2', '"observed": 7'))
    progress = read_json(tmp_path / "first" / "progress.json")
    from stempilot.rundir import file_hash, write_json

    folder = tmp_path / "first" / "agent-5"
    hashes = {file.name: file_hash(file) for file in folder.iterdir()}
    progress.pop("schema")
    write_json(tmp_path / "first" / "progress.json", {**progress, "hashes": hashes})
    plan = plan_run(
        REGISTRY, task="centring", policy=tmp_path / "first", extras=extras(tmp_path / "run")
    )
    with pytest.raises(IncompatibleError, match="saved for sizes"):
        execute(plan)
    assert not (tmp_path / "run").exists()


# --- run once ------------------------------------------------------------------------------------


def test_a_run_that_succeeds_keeps_its_result(tmp_path: Path) -> None:
    desk = desk_away()
    result = execute(run(desk, tmp_path / "run"))
    assert (result["success"], result["outcome"]) == (True, "success")
    assert result["episodes"] == 1
    assert standing(desk) == pytest.approx(desk.log[-1], abs=1e-12)
    assert standing(desk) != AWAY
    assert record(tmp_path / "run")["status"] == "done"
    assert len(list((tmp_path / "run" / "frames").iterdir())) == 2


def test_a_run_starts_from_where_the_instrument_stands(tmp_path: Path) -> None:
    desk = desk_away()
    execute(run(desk, tmp_path / "run"))
    first = events(tmp_path / "run")[0]
    assert first["writes"] == []
    assert events(tmp_path / "run")[1]["writes"][0][2] == list(AWAY)


def test_a_run_may_be_put_back_all_the_same(tmp_path: Path) -> None:
    desk = desk_away()
    result = execute(run(desk, tmp_path / "run", extras={"keep": False}))
    assert result["success"] is True
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


@pytest.mark.parametrize("keep", [None, True])
def test_a_run_that_fails_is_put_back(tmp_path: Path, keep: bool | None) -> None:
    desk = desk_away()
    settings = {"run": {"max_steps": 2}, "task": {"tolerance": 1e-6}}
    plan = run(desk, tmp_path / "run", settings=settings, extras={"keep": keep})
    result = execute(plan)
    assert (result["success"], result["outcome"]) == (False, "out of steps")
    assert len(desk.log) > 2
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_a_run_that_sees_nothing_at_the_start_fails_and_moves_nothing(tmp_path: Path) -> None:
    desk = desk_away()
    desk.develop = blank
    result = execute(run(desk, tmp_path / "run"))
    assert (result["success"], result["outcome"]) == (False, "failure")
    assert desk.log == []


def test_a_run_without_writes_left_ends_cleanly(tmp_path: Path) -> None:
    desk = desk_away()
    settings = {"task": {"tolerance": 1e-6}}
    plan = run(desk, tmp_path / "run", limits=desk_envelope(max_writes=1), settings=settings)
    result = execute(plan)
    assert (result["success"], result["outcome"]) == (False, "out of steps")
    assert len(desk.log) == 2, "one by the agent, one back"
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_ctrl_c_in_a_run_puts_back(tmp_path: Path) -> None:
    desk = desk_away()

    def interrupt(what: str, _: str) -> None:
        if what == "acquire" and desk.log:
            desk.before = lambda what, name: None
            signal.raise_signal(signal.SIGINT)

    desk.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        execute(run(desk, tmp_path / "run"))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run")["reason"] == "interrupted"


# --- evaluation ----------------------------------------------------------------------------------


def test_an_evaluation_says_so_before_it_starts_and_ends_at_home(tmp_path: Path) -> None:
    desk, said = desk_away(), []

    def say(sentence: str) -> None:
        assert desk.log == []
        said.append(sentence)

    result = execute(run(desk, tmp_path / "run", episodes=5), say=say)
    assert "5 episodes, each from a start drawn around where the knobs stand" in said[0]
    assert "they are put back at the end" in said[0]
    assert result["episodes"] == 5
    assert "success" not in result
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    starts = {tuple(e["summary"].values()) for e in events(tmp_path / "run") if e["k"] == 0}
    assert len(starts) == 5
    figures = read_json(tmp_path / "run" / "evaluation.json")
    assert (figures["seed"], figures["episodes"]) == (3, 5)
    assert figures["success_rate"] == result["success_rate"]


def test_an_evaluation_may_be_kept(tmp_path: Path) -> None:
    desk, said = desk_away(), list[str]()
    execute(run(desk, tmp_path / "run", episodes=2, extras={"keep": True}), say=said.append)
    assert "they stay where the last ends" in said[0]
    assert standing(desk) == pytest.approx(desk.log[-1], abs=1e-12)


def test_on_a_simulator_the_oracle_plays_the_same_starts(tmp_path: Path) -> None:
    plan = plan_run(
        REGISTRY, task="centring", agent="walker", episodes=8, extras=extras(tmp_path / "run")
    )
    result = execute(plan)
    assert result["oracle_success_rate"] == 1.0
    assert result["success_rate"] < 1.0
    assert result["error_px_rms"] > result["measured_error_px_rms"] * 0.5


def test_an_evaluation_can_be_stopped_after_an_episode(tmp_path: Path) -> None:
    plan = plan_run(
        REGISTRY, task="centring", agent="exact", episodes=9, extras=extras(tmp_path / "run")
    )
    stop = when(3, lambda: signal.raise_signal(signal.SIGINT))
    result = execute(plan, on_progress=stop)
    assert (result["episodes"], result["interrupted"]) == (3, True)
    assert record(tmp_path / "run")["status"] == "interrupted"


def test_a_task_that_never_finds_a_start_stops(tmp_path: Path) -> None:
    desk = desk_away()
    desk.develop = lambda frame: evolve(frame, pixels=frame.pixels % 7)
    with pytest.raises(StartError):
        execute(run(desk, tmp_path / "run", episodes=2))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run")["reason"].startswith("StartError: ")


# --- what goes wrong -----------------------------------------------------------------------------


def after(count: int, desk: Desk, *what: str) -> Callable[[str, str], None]:
    """Return trouble that begins with some call after so many writes."""

    def trouble(kind: str, knob: str) -> None:
        if len(desk.log) >= count:
            fails(*what)(kind, "")

    return trouble


def test_an_instrument_that_fails_ends_the_run_and_what_was_is_on_disk(tmp_path: Path) -> None:
    desk = desk_away()

    def once(what: str, knob: str) -> None:
        if what == "acquire" and len(desk.log) == 20:
            desk.before = lambda what, name: None
            msg = "the camera vanished"
            raise BackendError(msg)

    desk.before = once
    with pytest.raises(BackendError, match="the camera vanished"):
        execute(on_desk(desk, tmp_path / "run"))
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    found = record(tmp_path / "run")
    assert (found["status"], found["reason"]) == ("failed", "BackendError: the camera vanished")
    told = events(tmp_path / "run")
    assert len([write for event in told for write in event["writes"]]) >= 15
    assert not (tmp_path / "run" / "result.json").exists()


def test_a_bug_is_noted_and_keeps_its_traceback(tmp_path: Path) -> None:
    desk = desk_away()

    def bug() -> None:
        msg = "a bug"
        raise ZeroDivisionError(msg)

    with pytest.raises(ZeroDivisionError):
        execute(on_desk(desk, tmp_path / "run"), on_progress=when(9, bug))
    found = record(tmp_path / "run")
    assert (found["status"], found["reason"]) == ("failed", "ZeroDivisionError: a bug")
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_an_instrument_that_is_not_put_back_is_noted(tmp_path: Path) -> None:
    desk = desk_away()
    desk.before = after(20, desk, "write")
    with pytest.raises(RestoreError) as caught:
        execute(on_desk(desk, tmp_path / "run"))
    assert caught.value.left[0].startswith(f"{BEAM_SHIFT} should read {AWAY}")
    assert record(tmp_path / "run")["reason"].startswith("RestoreError: THE INSTRUMENT WAS NOT")


def test_incompatible_parts_are_refused_before_the_instrument_is_touched(tmp_path: Path) -> None:
    desk = desk_away()
    opened: list[str] = []
    desk.before = lambda what, name: opened.append(what)
    registry = toy_registry(desk_plugin(desk))
    with pytest.raises(EnvelopeError, match="needs an envelope"):
        execute(train(tmp_path / "run", registry, backend="desk"))
    assert opened == []
    assert record(tmp_path / "run")["status"] == "failed"


class FullDisk(ToyLearner):
    """Cannot be saved after its first time."""

    saved = 0

    def save(self, folder: Path) -> None:
        if FullDisk.saved:
            raise OSError(28, "No space left on device", str(folder))
        FullDisk.saved += 1
        super().save(folder)


def test_a_disk_that_is_full_at_a_checkpoint_puts_back_and_the_one_before_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FullDisk, "saved", 0)
    desk = desk_away()
    full = plugin("full", NoOptions, lambda _, brief: FullDisk(brief))
    plan = plan_train(
        toy_registry(desk_plugin(desk), ("agent", full)),
        task="centring",
        agent="full",
        backend="desk",
        steps=40,
        settings={"run": {"checkpoint_every": 10, "max_steps": 5}},
        extras=extras(tmp_path / "run", envelope=desk_envelope()),
    )
    with pytest.raises(RecordError, match="No space left on device; free some space"):
        execute(plan)
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run")["status"] == "failed"
    assert 10 <= int(RunDir.open(tmp_path / "run").agent_folder().name.split("-")[1]) < 40


def test_a_successful_run_that_cannot_be_recorded_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_away()
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "result.json":
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RecordError):
        execute(run(desk, tmp_path / "run"))
    assert len(desk.log) > 1
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


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
