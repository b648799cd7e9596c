"""A training goes on, relearns and is used, as if nothing had happened in between."""

import signal
from pathlib import Path

import pytest
from attrs import evolve
from tests.core.fakes import (
    Desk,
    desk_plugin,
    fails,
    put_record,
    toy_registry,
)
from tests.core.jobs import (
    AWAY,
    NO_TWIN,
    REGISTRY,
    agent_files,
    desk_away,
    events,
    extras,
    on_desk,
    record,
    standing,
    train,
    when,
    without_times,
)

from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import BackendError, IncompatibleError, RestoreError, RunDirError
from stempilot.files import read_json
from stempilot.record.run_dir import RunDir
from stempilot.runs.dry_run import describe
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_relearn, plan_resume, plan_run
from stempilot.runs.restore import restore


class Killed(BaseException):
    """The process is gone, without a word."""


def kill() -> None:
    raise Killed


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    settings = {"run": {"checkpoint_every": 10, "max_timesteps": 6}}
    execute(train(tmp_path / "whole", settings=settings))
    with pytest.raises(Killed):
        execute(train(tmp_path / "run", settings=settings), on_progress=when(27, kill))
    progress = RunDir.open(tmp_path / "run").progress()
    assert progress is not None
    assert 10 <= progress["timesteps"] < 27
    result = execute(plan_resume(REGISTRY, tmp_path / "run"))
    assert result["timesteps"] == 40
    assert record(tmp_path / "run").status == "done"
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
    said: list[str] = []
    execute(plan_resume(REGISTRY, tmp_path / "run"), say=said.append)
    assert "had been saved; it begins again" in said[0]
    assert agent_files(tmp_path / "run") == agent_files(tmp_path / "whole")


def test_the_first_ctrl_c_ends_cleanly_and_the_run_goes_on_later(tmp_path: Path) -> None:
    desk = desk_away()
    stop = when(13, lambda: signal.raise_signal(signal.SIGINT))
    result = execute(on_desk(desk, tmp_path / "run"), on_progress=stop)
    assert (result["interrupted"], result["timesteps"]) == (True, 13)
    assert record(tmp_path / "run").status == "interrupted"
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    registry = toy_registry(desk_plugin(desk))
    result = execute(plan_resume(registry, tmp_path / "run"))
    assert (result["interrupted"], result["timesteps"]) == (False, 40)
    assert [e["t"] for e in events(tmp_path / "run") if e["k"]] == list(range(1, 41))
    assert len({(e["e"], e["k"]) for e in events(tmp_path / "run")}) == len(
        events(tmp_path / "run")
    )


@pytest.mark.parametrize("what", ["acquire", "write"])
def test_what_was_learnt_before_the_instrument_failed_is_kept(tmp_path: Path, what: str) -> None:
    desk = desk_away()

    def fail_for_good(kind: str, _: str) -> None:
        if kind == what and len(desk.log) >= 20:
            desk.before = lambda kind, name: None
            msg = "the server is gone"
            raise BackendError(msg)

    desk.before = fail_for_good
    said: list[str] = []
    with pytest.raises(BackendError, match="the server is gone"):
        execute(on_desk(desk, tmp_path / "run"), say=said.append)
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run").status == "failed"
    progress = RunDir.open(tmp_path / "run").progress()
    assert progress is not None
    done = progress["timesteps"]
    assert done == max(e["t"] for e in events(tmp_path / "run")) > 0
    assert any(f"what was learnt in {done} timesteps is saved" in line for line in said)
    result = execute(plan_resume(toy_registry(desk_plugin(desk)), tmp_path / "run"))
    assert (result["interrupted"], result["timesteps"]) == (False, 40)
    assert [e["t"] for e in events(tmp_path / "run") if e["k"]] == list(range(1, 41))


def test_what_a_learner_with_a_bug_is_left_with_is_not_kept(tmp_path: Path) -> None:
    def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        execute(train(tmp_path / "run", settings=NO_TWIN), on_progress=when(9, bug))
    assert RunDir.open(tmp_path / "run").progress() is None


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
    assert (found.status, found.reason) == ("interrupted", None)


@pytest.mark.parametrize("killed", [False, True])
def test_a_real_instrument_that_was_left_somewhere_is_restored_before_a_run_goes_on(
    tmp_path: Path, killed: bool
) -> None:
    desk = desk_away()
    registry = toy_registry(desk_plugin(desk))

    def stuck(what: str, _: str) -> None:
        if what == "write" and len(desk.log) > 20:
            msg = "no answer"
            raise BackendError(msg)

    desk.before = stuck
    with pytest.raises(RestoreError):
        execute(on_desk(desk, tmp_path / "run"))
    desk.before = lambda what, name: None
    if killed:
        RunDir.open(tmp_path / "run").update_record(status="running", reason=None)
    assert record(tmp_path / "run").displaced is True
    away = standing(desk)
    assert away != pytest.approx(AWAY, abs=1e-12)
    with pytest.raises(RestoreError, match="do that first, with `stempilot restore"):
        execute(plan_resume(registry, tmp_path / "run"))
    assert standing(desk) == away
    assert read_json(tmp_path / "run" / "baseline.json")["knobs"] == {BEAM_SHIFT: list(AWAY)}
    restore(registry, tmp_path / "run")
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert execute(plan_resume(registry, tmp_path / "run"))["timesteps"] == 40
    found = record(tmp_path / "run")
    assert (found.status, found.reason) == ("done", None), "nothing is left of the failure"


@pytest.mark.parametrize(
    ("status", "may_be_away"),
    [("running", True), ("failed", True), ("interrupted", False), ("done", False)],
)
def test_a_record_that_does_not_say_whether_the_knobs_are_back(
    tmp_path: Path, status: str, *, may_be_away: bool
) -> None:
    """Records of revision 67ab909 said so in the reason alone."""
    put_record(RunDir.create(tmp_path / "run").path, status=status, reason="RestoreError: x")
    found = record(tmp_path / "run")
    assert (found.displaced, found.must_be_restored) == (None, may_be_away)


def test_more_steps_can_be_asked_for(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=10))
    result = execute(plan_resume(REGISTRY, tmp_path / "run", steps=25))
    assert result["timesteps"] == 25
    assert record(tmp_path / "run").steps == 25


@pytest.mark.parametrize("steps", [None, 5, 10])
def test_a_training_that_is_complete_is_left_as_it_is(tmp_path: Path, steps: int | None) -> None:
    execute(train(tmp_path / "run", steps=10))
    with pytest.raises(
        RunDirError, match="has its 10 timesteps; for more, ask for more than 10 steps"
    ):
        plan_resume(REGISTRY, tmp_path / "run", steps=steps)


def test_a_training_that_was_killed_at_its_very_end_gets_its_result(tmp_path: Path) -> None:
    execute(train(tmp_path / "run", steps=10))
    RunDir(tmp_path / "run").update_record(status="running")
    (tmp_path / "run" / "result.json").unlink()
    assert execute(plan_resume(REGISTRY, tmp_path / "run"))["timesteps"] == 10
    assert (tmp_path / "run" / "result.json").exists()


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
    assert found.kept_and_dropped == ("kept the response",)
    assert found.parent == str((tmp_path / "first").resolve())
    assert found.trained_here is True
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
    from stempilot.files import file_hash, write_json

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


# --- an instrument that was left -----------------------------------------------------------------


def left_displaced(folder: Path) -> Desk:
    """Return a desk whose run could not put it back."""
    desk = desk_away()
    broken = when(20, lambda: setattr(desk, "before", fails("write " + BEAM_SHIFT)))
    with pytest.raises(RestoreError):
        execute(on_desk(desk, folder), on_progress=broken)
    desk.before = lambda what, name: None
    return desk


def test_the_next_run_on_that_instrument_is_refused_and_may_accept_its_position(
    tmp_path: Path,
) -> None:
    desk = left_displaced(tmp_path / "a")
    count, displaced = len(desk.log), standing(desk)
    with pytest.raises(RestoreError, match=f"stempilot restore {tmp_path / 'a'}"):
        execute(on_desk(desk, tmp_path / "b"))
    assert len(desk.log) == count
    refused = record(tmp_path / "b")
    assert (refused.status, refused.displaced) == ("failed", False)
    with pytest.raises(RestoreError):
        describe(on_desk(desk, tmp_path / "c"))
    plan = evolve(on_desk(desk, tmp_path / "b"), accept_position=True)
    execute(plan)
    assert record(tmp_path / "b").accept_position
    assert standing(desk) == pytest.approx(displaced, abs=1e-12)
    execute(on_desk(desk, tmp_path / "d"))


def test_restore_lets_the_next_run_begin(tmp_path: Path) -> None:
    desk = left_displaced(tmp_path / "a")
    registry = toy_registry(desk_plugin(desk))
    restore(registry, tmp_path / "a")
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    execute(on_desk(desk, tmp_path / "b"))


def test_a_resumed_run_may_accept_where_it_was_left(tmp_path: Path) -> None:
    desk = left_displaced(tmp_path / "a")
    registry = toy_registry(desk_plugin(desk))
    displaced = standing(desk)
    execute(plan_resume(registry, tmp_path / "a", accept_position=True))
    assert standing(desk) == pytest.approx(displaced, abs=1e-12)


def test_a_run_is_resumed_on_its_own_instrument(tmp_path: Path) -> None:
    desk = desk_away()
    execute(on_desk(desk, tmp_path / "a"))
    other = Desk(7)
    registry = toy_registry(desk_plugin(other))
    plan = plan_resume(registry, tmp_path / "a", steps=60)
    with pytest.raises(
        BackendError, match=r"said that it is model toy, serial 0; .*Nothing was sent"
    ):
        execute(plan)
    assert other.log == []
    execute(plan, ask=lambda question: question.endswith("Is it the same instrument?"))
    assert other.log != []
