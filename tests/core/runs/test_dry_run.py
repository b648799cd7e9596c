"""A dry run moves nothing, makes nothing, and finds what the run would run into."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.core.fakes import RECORD, Desk, desk_plugin, toy_registry
from tests.core.runs.test_plans import trained

from stempilot.contract.names import BEAM_SHIFT
from stempilot.errors import (
    BackendError,
    EnvelopeError,
    IncompatibleError,
    RunDirError,
    StempilotError,
)
from stempilot.instrument.envelope import KnobLimits, open_envelope
from stempilot.runs.dry_run import describe
from stempilot.runs.plans import Extras, Plan, plan_resume, plan_run, plan_train


def plan(desk: Desk, folder: Path, *, agent: str = "walker", **more: Any) -> Plan:
    envelope = more.pop("envelope", open_envelope("desk", desk.offers()))
    return plan_run(
        toy_registry(desk_plugin(desk)),
        task="centring",
        agent=agent,
        backend="desk",
        extras=Extras(out=folder, envelope=envelope),
        **more,
    )


def test_it_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    desk = Desk()
    told = describe(plan(desk, tmp_path / "run", episodes=3))
    assert desk.log == []
    assert not (tmp_path / "run").exists()
    assert told["dry_run"] is True
    assert (told["task"], told["backend"], told["agent"]) == ("centring", "desk", "walker")
    assert (told["episodes"], told["timesteps"], told["timesteps_per_episode"]) == (3, None, 200)
    assert told["sources"] == "toy_camera"
    assert f"{BEAM_SHIFT} within [-4e-06, -4e-06] to [4e-06, 4e-06] m" in told["moves"]
    assert "at most [4e-07, 4e-07] a step, a full action [3.2e-07, 3.2e-07]" in told["moves"]
    assert "now at [0.0, 0.0]" in told["moves"]
    assert told["afterwards"] == "knobs are put back"
    json.dumps(told, allow_nan=False)
    assert describe(plan(desk, tmp_path / "run"))["afterwards"] == "knobs stay where they end"


def test_a_learner_that_was_not_trained_is_named(tmp_path: Path) -> None:
    told = describe(plan(Desk(), tmp_path / "run", agent="learner"))
    assert (told["agent"], told["policy"]) == ("learner", "not trained")
    assert describe(plan(Desk(), tmp_path / "run"))["policy"] is None


def test_the_instrument_is_closed_again(tmp_path: Path) -> None:
    desk = Desk()
    describe(plan(desk, tmp_path / "run"))
    with pytest.raises(BackendError, match="not open"):
        desk.read(BEAM_SHIFT)


def narrow(desk: Desk) -> Any:
    made = open_envelope("desk", desk.offers())
    spec = made.knobs[BEAM_SHIFT].spec
    return evolve(made, knobs={BEAM_SHIFT: KnobLimits(spec=evolve(spec, lower=(1e-7, 1e-7)))})


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"envelope": None}, EnvelopeError, "needs an envelope"),
        ({"envelope": narrow(Desk())}, EnvelopeError, "stands at the start"),
        (
            {"settings": {"task": {"actions": "discrete"}}, "agent": "learner"},
            IncompatibleError,
            "acts with a vector of numbers",
        ),
    ],
)
def test_it_finds_what_the_run_would_run_into(
    tmp_path: Path, change: dict[str, Any], error: type[StempilotError], said: str
) -> None:
    with pytest.raises(error, match=said):
        describe(plan(Desk(), tmp_path / "run", **change))


def test_it_finds_a_mode_that_is_wrong(tmp_path: Path) -> None:
    desk = Desk()
    desk.toy.park()
    with pytest.raises(BackendError, match="set it to open"):
        describe(plan(desk, tmp_path / "run"))


def test_it_finds_an_agent_that_does_not_learn(tmp_path: Path) -> None:
    training = plan_train(
        toy_registry(), task="centring", agent="walker", steps=5, extras=Extras(out=tmp_path / "x")
    )
    with pytest.raises(IncompatibleError, match="does not learn"):
        describe(training)


def test_it_finds_a_directory_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(RunDirError, match="exists already"):
        describe(plan(Desk(), tmp_path))


def test_it_finds_a_saved_agent_that_is_damaged(tmp_path: Path) -> None:
    policy = trained(tmp_path / "run")
    made = plan_run(
        toy_registry(), task="centring", policy=policy, extras=Extras(out=tmp_path / "x")
    )
    with pytest.raises(RunDirError, match="holds no toy learner"):
        describe(made)


def test_resuming_can_be_tried_too(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", saved=False)
    assert describe(plan_resume(toy_registry(), run))["run_dir"] == str(run)
    assert describe(plan_resume(toy_registry(), run))["timesteps"] == RECORD["steps"]
