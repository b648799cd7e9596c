"""A run ends by itself: once it has converged, or after so many minutes as by Ctrl-C."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.jobs import (
    AWAY,
    NO_TWIN,
    REGISTRY,
    desk_away,
    extras,
    on_desk,
    record,
    run,
    standing,
    train,
    when,
)

from stempilot.errors import ConfigError, RunDirError
from stempilot.record.figures import Evaluation, has_converged
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.job import Job
from stempilot.runs.plans import Extras, plan_relearn, plan_resume, plan_run

AT_ONCE = 1e-9
UNTIL = {"extras": {"until_converged": True}}


def at(timestep: int, successes: int = 100) -> Evaluation:
    return Evaluation(timestep=timestep, episodes=100, successes=successes)


def test_five_evaluations_in_a_row_are_taken_for_convergence() -> None:
    passed = [at(10 * n) for n in range(1, 6)]
    assert has_converged(passed)
    assert not has_converged(passed[1:])
    assert not has_converged([*passed, at(60, 95)])
    assert not has_converged([])


def test_a_training_ends_once_it_has_converged(tmp_path: Path) -> None:
    result = execute(train(tmp_path / "run", agent="exact", steps=200, **UNTIL))
    assert (result["timesteps"], result["converged_at"], result["interrupted"]) == (50, 10, False)
    assert (record(tmp_path / "run").status, record(tmp_path / "run").until_converged) == (
        "done",
        True,
    )
    with pytest.raises(RunDirError, match="has its 50 timesteps; for more, ask for more than 50"):
        plan_resume(REGISTRY, tmp_path / "run")
    more = execute(plan_resume(REGISTRY, tmp_path / "run", steps=70))
    assert more["timesteps"] == 70


def test_what_has_not_converged_for_long_takes_all_its_timesteps(tmp_path: Path) -> None:
    assert execute(train(tmp_path / "run", steps=40, **UNTIL))["timesteps"] == 40


def test_without_a_twin_the_papers_measure_decides(tmp_path: Path) -> None:
    more = {"settings": {"run": {"max_timesteps": 4}}, "agent": "exact", "steps": 400}
    plan = on_desk(desk_away(), tmp_path / "run", **more)
    result = execute(evolve(plan, until_converged=True))
    assert 25 <= result["episodes"] < 40
    assert result["timesteps"] < 400
    assert result["reward_converged_at"] is not None


def test_a_killed_training_still_ends_once_it_has_converged(tmp_path: Path) -> None:
    def kill() -> None:
        raise MemoryError

    plan = train(tmp_path / "run", agent="exact", steps=200, **UNTIL)
    with pytest.raises(MemoryError):
        execute(plan, on_progress=when(13, kill))
    assert execute(plan_resume(REGISTRY, tmp_path / "run"))["timesteps"] == 50


# --- minutes --------------------------------------------------------------------------------------


def after(monkeypatch: pytest.MonkeyPatch, polls: int) -> None:
    """Let the time be over when it was asked for so often."""
    asked: list[Job] = []

    def over(job: Job) -> bool:
        asked.append(job)
        return len(asked) > polls

    monkeypatch.setattr(Job, "out_of_time", over)


def test_a_training_that_is_out_of_time_ends_as_by_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_away()
    said: list[str] = []
    after(monkeypatch, 7)
    plan = evolve(on_desk(desk, tmp_path / "run", steps=40), minutes=3)
    result = execute(plan, say=said.append)
    assert (result["interrupted"], record(tmp_path / "run").status) == (True, "interrupted")
    assert 0 < result["timesteps"] < 40
    assert "the limit of 3 minutes is reached" in said
    assert standing(desk) == pytest.approx(AWAY)


def test_a_training_goes_on_after_its_time_and_may_be_given_more(tmp_path: Path) -> None:
    plan = train(tmp_path / "run", settings=NO_TWIN, extras={"minutes": AT_ONCE})
    assert execute(plan)["timesteps"] == 1
    again = plan_resume(REGISTRY, tmp_path / "run", minutes=AT_ONCE)
    assert execute(again)["timesteps"] == 2
    assert execute(plan_resume(REGISTRY, tmp_path / "run", minutes=60.0))["timesteps"] == 40


def test_an_evaluation_that_is_out_of_time_tells_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desk_away()
    after(monkeypatch, 20)
    plan = run(desk, tmp_path / "run", episodes=50, extras={"minutes": 3})
    result = execute(plan)
    assert result["interrupted"]
    assert 0 < result["episodes"] < 50
    assert standing(desk) == pytest.approx(AWAY)


def test_a_run_that_is_out_of_time_is_put_back_and_recorded_as_interrupted(tmp_path: Path) -> None:
    desk = desk_away()
    said: list[str] = []
    plan = run(desk, tmp_path / "run", extras={"minutes": AT_ONCE})
    with pytest.raises(KeyboardInterrupt, match="the limit of 1e-09 minutes is reached"):
        execute(plan, say=said.append)
    assert said[-1] == "the limit of 1e-09 minutes is reached"
    assert standing(desk) == pytest.approx(AWAY)
    assert record(tmp_path / "run").status == "interrupted"


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_pass_is_refused(tmp_path: Path, minutes: float) -> None:
    with pytest.raises(ConfigError, match="no time that can pass; give more than 0"):
        train(tmp_path / "run", extras={"minutes": minutes})
    with pytest.raises(ConfigError, match="no time that can pass"):
        plan_resume(REGISTRY, tmp_path / "run", minutes=minutes)


# --- the best agent -------------------------------------------------------------------------------


def test_the_best_agent_is_kept_beside_the_last(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = execute(train(folder, agent="exact", steps=35))
    assert result["best_at"] == 35
    best = RunDir(folder).best()
    assert best is not None
    assert best.evaluation == Evaluation(timestep=35, episodes=100, successes=100)
    assert sorted(path.name for path in folder.glob("*-*")) == ["agent-35", "best-35"]
    assert RunDir(folder).agent_folder(best=True) == folder / "best-35"


def test_the_best_agent_can_be_run_and_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(train(folder, agent="exact", steps=35))
    options: dict[str, Any] = {"task": "centring", "policy": folder}
    plan = plan_run(REGISTRY, **options, extras=extras(tmp_path / "a", best=True), episodes=2)
    assert execute(plan)["success_rate"] == 1.0
    assert record(tmp_path / "a").best
    (folder / "best-35" / next(iter((folder / "best-35").iterdir())).name).write_bytes(b"")
    with pytest.raises(RunDirError, match="is not the file that was saved"):
        plan_run(REGISTRY, **options, extras=extras(tmp_path / "b", best=True))
    with pytest.raises(RunDirError, match="is not the file that was saved"):
        plan_relearn(REGISTRY, folder, steps=3, extras=Extras(best=True))
    plan_run(REGISTRY, **options, extras=extras(tmp_path / "b"))


def test_without_evaluations_there_is_no_best_agent(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert execute(train(folder, settings=NO_TWIN))["best_at"] is None
    with pytest.raises(RunDirError, match="no best agent: it was not evaluated while it trained"):
        plan_run(REGISTRY, task="centring", policy=folder, extras=Extras(best=True))
    with pytest.raises(ConfigError, match="give one as policy"):
        plan_run(REGISTRY, task="centring", agent="exact", extras=Extras(best=True))
