"""Who presses Ctrl-C waits for the knobs, not for files and not for the end of an episode."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import NoOptions, desk_plugin, fails, plugin, toy_registry
from tests.core.jobs import AWAY, desk_away, desk_envelope, extras, record, run, standing, when

from stempilot.errors import RestoreError
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_train
from stempilot.testing.toys import ToyLearner


def noting(desk: Any, seen: list[Any]) -> Any:
    """Return a learner that notes where the knob stands while it is saved."""

    class Notes(ToyLearner):
        def save(self, folder: Path) -> None:
            seen.append(desk.toy.read("beam_shift"))
            super().save(folder)

    return plugin("notes", NoOptions, lambda _, brief: Notes(brief))


def plan(desk: Any, seen: list[Any], folder: Path) -> Any:
    return plan_train(
        toy_registry(desk_plugin(desk), ("agent", noting(desk, seen))),
        task="centring",
        agent="notes",
        backend="desk",
        steps=40,
        settings={"run": {"checkpoint_every": 1000}},
        extras=extras(folder, envelope=desk_envelope()),
    )


def test_the_instrument_is_put_back_before_the_agent_is_saved(tmp_path: Path) -> None:
    desk, seen = desk_away(), list[Any]()
    stop = when(13, lambda: signal.raise_signal(signal.SIGINT))
    result = execute(plan(desk, seen, tmp_path / "run"), on_progress=stop)
    assert result["interrupted"] is True
    assert seen == [pytest.approx(AWAY, abs=1e-12)]


def test_what_was_learnt_is_saved_even_if_the_instrument_cannot_be_put_back(
    tmp_path: Path,
) -> None:
    desk, seen = desk_away(), list[Any]()

    def stop_and_stick() -> None:
        signal.raise_signal(signal.SIGINT)
        desk.before = lambda what, name: fails("write")(what, "")

    with pytest.raises(RestoreError):
        execute(plan(desk, seen, tmp_path / "run"), on_progress=when(13, stop_and_stick))
    assert len(seen) == 1
    assert RunDir.open(tmp_path / "run").agent_folder().name == "agent-13"
    assert record(tmp_path / "run").reason.startswith("RestoreError")


def test_an_evaluation_that_is_stopped_does_not_play_its_episode_to_the_end(
    tmp_path: Path,
) -> None:
    desk = desk_away()

    def stop(what: str, _: str) -> None:
        if what == "write" and len(desk.log) == 6:
            desk.before = lambda what, name: None
            signal.raise_signal(signal.SIGINT)

    desk.before = stop
    settings = {"task": {"tolerance": 1e-6}, "run": {"max_timesteps": 500}}
    result = execute(run(desk, tmp_path / "run", episodes=3, settings=settings))
    assert result["interrupted"] is True
    assert result["episodes"] == 0, "what was not played to its end does not count"
    assert len(desk.log) < 20
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
