"""Run directories have one owner: none holds two runs, and none is resumed twice at once."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.jobs import NO_TWIN, REGISTRY, events, record, train, when

from stempilot.errors import RunDirError
from stempilot.record.owner import owned
from stempilot.runs.dry_run import describe
from stempilot.runs.execute import execute
from stempilot.runs.plans import Extras, plan_resume, plan_train
from stempilot.runs.restore import restore


def test_runs_of_the_same_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    what: dict[str, Any] = {"task": "centring", "agent": "learner", "steps": 3}
    plans = [plan_train(REGISTRY, **what, extras=Extras(seed=seed)) for seed in range(3)]
    plans = [evolve(plan, out=plans[0].out) for plan in plans]
    results: list[Any] = []
    # The second begins while the first runs, the third after it has ended.
    start = when(2, lambda: results.append(execute(plans[1])))
    results.append(execute(plans[0], on_progress=start))
    results.append(execute(plans[2]))
    folders = {Path(result["run_dir"]) for result in results}
    assert len(folders) == 3
    for result in results:
        folder = Path(result["run_dir"])
        assert record(folder).seed == result["seed"]
        assert len([event for event in events(folder) if event["k"]]) == 3


def test_a_folder_that_was_asked_for_and_is_being_begun_is_refused(tmp_path: Path) -> None:
    with owned(tmp_path / "a"):
        with pytest.raises(RunDirError, match="is in use by process"):
            execute(train(tmp_path / "a"))


def test_a_training_is_not_resumed_twice_at_once(tmp_path: Path) -> None:
    execute(train(tmp_path / "a", steps=20, settings=NO_TWIN))
    refused: list[str] = []

    def again() -> None:
        with pytest.raises(RunDirError) as caught:
            execute(plan_resume(REGISTRY, tmp_path / "a", steps=30))
        refused.append(str(caught.value))

    execute(plan_resume(REGISTRY, tmp_path / "a", steps=40), on_progress=when(30, again))
    assert len(refused) == 1
    assert "is in use by process" in refused[0]
    assert execute(plan_resume(REGISTRY, tmp_path / "a", steps=50))["timesteps"] == 50


def test_a_dry_run_says_that_a_run_is_in_use(tmp_path: Path) -> None:
    execute(train(tmp_path / "a", steps=20, settings=NO_TWIN))
    plan = plan_resume(REGISTRY, tmp_path / "a", steps=30)
    with owned(tmp_path / "a"):
        with pytest.raises(RunDirError, match="is in use by process"):
            describe(plan)
    assert describe(plan)["timesteps"] == 30


def test_the_run_of_a_simulator_is_not_restored_while_it_runs(tmp_path: Path) -> None:
    def put_back() -> None:
        with pytest.raises(RunDirError, match="is in use by process"):
            restore(REGISTRY, tmp_path / "a")

    execute(train(tmp_path / "a", settings=NO_TWIN), on_progress=when(20, put_back))
    assert record(tmp_path / "a").status == "done"
