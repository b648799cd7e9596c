"""Plans say what is to be done, and refuse early what cannot be."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.fakes import (
    Desk,
    bench_envelope,
    desk_plugin,
    put_record,
    saving,
    toy_registry,
)

from stempilot.errors import (
    ConfigError,
    IncompatibleError,
    PluginError,
    RunDirError,
    StempilotError,
)
from stempilot.instrument.envelope_file import plain_envelope
from stempilot.plugins.registry import Registry
from stempilot.record.record import FramePolicy
from stempilot.record.run_dir import RunDir
from stempilot.runs.execute import execute
from stempilot.runs.plans import (
    Extras,
    Plan,
    default_out,
    plan_relearn,
    plan_resume,
    plan_run,
    plan_train,
)

REGISTRY = toy_registry()


def trained(folder: Path, *, saved: bool = True, **record: Any) -> Path:
    """Lay out the directory of a training."""
    run = RunDir.create(folder)
    put_record(run.path, **record)
    if saved:
        counts = {"timesteps": 10, "episodes": 1, "events_bytes": 0, "evaluations": []}
        run.checkpoint(counts, saving("ten"))
    return folder


def train(registry: Registry = REGISTRY, extras: Extras | None = None, **what: Any) -> Plan:
    options = {"task": "centring", "agent": "learner", "steps": 50, **what}
    return plan_train(registry, extras=extras, **options)


def run(registry: Registry = REGISTRY, extras: Extras | None = None, **what: Any) -> Plan:
    return plan_run(registry, extras=extras, **{"task": "centring", **what})


# --- train ---------------------------------------------------------------------------------------


def test_a_training_is_planned(tmp_path: Path) -> None:
    envelope = bench_envelope()
    extras = Extras(seed=5, out=tmp_path / "out", frames=FramePolicy(every=2), envelope=envelope)
    plan = train(extras=extras, settings={"run": {"max_timesteps": 7}})
    assert (plan.command, plan.seed, plan.steps, plan.episodes) == ("train", 5, 50, None)
    assert (plan.out, plan.frames, plan.envelope) == (tmp_path / "out", FramePolicy(2), envelope)
    assert (plan.parent, plan.resumes, plan.keeps) == (None, False, False)
    assert plan.parts.backend.name == "simulator"
    assert plan.parts.run.max_timesteps == 7
    assert (plan.opening.purpose, plan.opening.seed, plan.opening.instrument_seed) == (
        "train",
        5,
        5,
    )
    assert not plan.opening.trained_here


def test_frames_are_kept_of_a_single_run_alone() -> None:
    assert train().frames == FramePolicy()
    assert run(agent="walker").frames == FramePolicy(ends=True)
    assert run(agent="walker", episodes=2).frames == FramePolicy()
    assert run(agent="walker", extras=Extras(frames=FramePolicy())).frames == FramePolicy()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"steps": 0}, "steps 0 must be 1 or more"),
        ({"steps": -3}, "steps -3 must be 1 or more"),
        ({"steps": 10.5}, "steps 10.5 is not a whole number"),
        ({"steps": "10"}, "steps '10' is not a whole number"),
        ({"steps": True}, "steps True is not a whole number"),
        ({"extras": Extras(seed=-1)}, "seed -1 must be 0 or more"),
        ({"extras": Extras(envelope="a.toml")}, "read it with stempilot.read_envelope"),  # type: ignore[arg-type]
        ({"task": "centrig"}, "did you mean centring?"),
        ({"settings": {"task": {"x": 1}}}, "unknown option"),
    ],
)
def test_trainings_that_cannot_be(what: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        train(**what)
    assert said in str(caught.value)


def test_scripts_may_give_paths_as_text_and_numbers_of_numpy(tmp_path: Path) -> None:
    extras = Extras(seed=np.int64(5), out=str(tmp_path / "run"))  # type: ignore[arg-type]
    plan = train(steps=np.int64(7), extras=extras)
    assert plan.out == tmp_path / "run"
    assert [type(number) for number in (plan.seed, plan.steps, plan.opening.seed)] == [int] * 3
    assert run(agent="walker", episodes=np.int32(3)).episodes == 3
    execute(plan)
    assert plan_resume(REGISTRY, str(plan.out), steps=9).out == plan.out
    relearning = plan_relearn(REGISTRY, str(plan.out), steps=3)
    assert relearning.parent == RunDir.open(plan.out)


def test_without_out_a_free_directory_below_runs_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = train().parts
    words = ("train", parts.task.name, parts.agent.name)
    first = default_out(*words)
    assert first.parent == Path("runs")
    assert first.name.endswith("-train-centring-learner")
    for taken in (first, default_out(*words)):
        taken.mkdir(parents=True, exist_ok=True)
    assert not default_out(*words).exists()


# --- run -----------------------------------------------------------------------------------------


def test_a_run_keeps_and_an_evaluation_does_not() -> None:
    once, often = run(agent="walker"), run(agent="walker", episodes=4)
    assert (once.keeps, often.keeps) == (True, False)
    assert (once.opening.purpose, often.opening.purpose) == ("run", "evaluate")
    assert (once.episodes, often.episodes) == (None, 4)
    assert run(agent="walker", extras=Extras(keep=False)).keeps is False
    assert run(agent="walker", episodes=4, extras=Extras(keep=True)).keeps is True


@pytest.mark.parametrize("who", [{}, {"agent": "walker", "policy": Path("run")}])
def test_a_run_needs_an_agent_or_a_policy(who: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="^give either the name of an agent or a policy"):
        run(**who)


@pytest.mark.parametrize("episodes", [0, -1])
def test_an_evaluation_has_episodes(episodes: int) -> None:
    with pytest.raises(ConfigError, match="^episodes"):
        run(agent="walker", episodes=episodes)


def test_a_policy_brings_its_agent_its_settings_and_its_instrument(tmp_path: Path) -> None:
    policy = trained(tmp_path / "run", settings={"task": {"tolerance": 0.3}}, instrument_seed=77)
    plan = run(policy=policy, extras=Extras(seed=5), settings={"backend": {"serial": 2}})
    assert plan.parts.agent.name == "learner"
    assert plan.parts.task.config.tolerance == 0.3
    assert plan.parts.backend.config.serial == 2
    assert (plan.opening.seed, plan.opening.instrument_seed) == (5, 77)
    assert plan.opening.trained_here
    assert plan.parent == RunDir(policy)


def test_what_is_set_now_goes_before_what_was_set_then(tmp_path: Path) -> None:
    policy = trained(tmp_path / "run", settings={"task": {"tolerance": 0.3, "actions": "box"}})
    plan = run(policy=policy, settings={"task": {"tolerance": 0.4}})
    assert plan.parts.task.config.tolerance == 0.4
    assert plan.parts.settings["task"] == {"tolerance": 0.4, "actions": "box"}


def test_a_policy_on_another_backend_leaves_the_settings_of_the_old_one(tmp_path: Path) -> None:
    policy = trained(tmp_path / "run", settings={"backend": {"serial": 3}})
    plan = run(toy_registry(desk_plugin(Desk())), policy=policy, backend="desk")
    assert plan.parts.backend.name == "desk"
    assert plan.parts.settings["backend"] == {}
    assert not plan.opening.trained_here


def test_a_misspelt_section_is_refused_beside_a_policy_too(tmp_path: Path) -> None:
    parent = trained(tmp_path / "a")
    with pytest.raises(ConfigError, match="unknown section: agnet; did you mean agent"):
        run(agent=None, policy=parent, settings={"agnet": {}})
    with pytest.raises(ConfigError, match="unknown section: bakend; did you mean backend"):
        plan_relearn(REGISTRY, parent, steps=3, settings={"bakend": {"serial": 3}})


def test_a_policy_of_another_task_is_refused(tmp_path: Path) -> None:
    policy = trained(tmp_path / "run", task="focusing")
    with pytest.raises(IncompatibleError, match="was trained for focusing, not for centring"):
        run(policy=policy)


def test_a_run_without_a_trained_agent_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="holds no trained agent yet"):
        run(policy=trained(tmp_path / "run", saved=False))
    with pytest.raises(RunDirError, match="is this a run directory"):
        run(policy=tmp_path / "none")


# --- relearn -------------------------------------------------------------------------------------


def test_relearning_goes_on_with_the_agent_in_a_new_directory(tmp_path: Path) -> None:
    parent = trained(tmp_path / "run", instrument_seed=77)
    plan = plan_relearn(
        REGISTRY,
        parent,
        steps=20,
        settings={"backend": {"serial": 9}},
        extras=Extras(seed=6, out=tmp_path / "out"),
    )
    assert (plan.command, plan.steps, plan.seed) == ("relearn", 20, 6)
    assert plan.parent == RunDir(parent)
    assert plan.out == tmp_path / "out"
    assert plan.parts.backend.config.serial == 9
    assert plan.opening.instrument_seed == 77
    assert plan.opening.trained_here
    assert not plan.keeps


def test_relearning_may_go_on_at_another_instrument(tmp_path: Path) -> None:
    registry = toy_registry(desk_plugin(Desk()))
    parent = trained(tmp_path / "run", settings={"backend": {"serial": 4}, "task": {}})
    plan = plan_relearn(registry, parent, steps=20, backend="desk")
    assert plan.parts.backend.name == "desk"
    assert plan.parts.settings["backend"] == {}, "the other's options mean nothing here"
    assert not plan.opening.trained_here
    same = plan_relearn(registry, parent, steps=20, backend="simulator")
    assert (same.parts.backend.config.serial, same.opening.trained_here) == (4, True)


def test_relearning_needs_a_trained_agent_and_steps(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="holds no trained agent yet"):
        plan_relearn(REGISTRY, trained(tmp_path / "none", saved=False), steps=20)
    with pytest.raises(ConfigError, match="^steps 0"):
        plan_relearn(REGISTRY, trained(tmp_path / "run"), steps=0)


# --- resume --------------------------------------------------------------------------------------


def test_resuming_goes_on_with_what_the_run_was_begun_with(tmp_path: Path) -> None:
    envelope = bench_envelope(max_writes=7)
    path = trained(
        tmp_path / "run",
        settings={"task": {"tolerance": 0.3}, "run": {"max_timesteps": 4}},
        seed=8,
        instrument_seed=9,
        steps=120,
        frames={"every": 3, "ends": True},
        envelope=plain_envelope(envelope),
    )
    plan = plan_resume(REGISTRY, path)
    assert (plan.command, plan.seed, plan.steps, plan.out) == ("train", 8, 120, path)
    assert plan.resumes
    assert plan.frames == FramePolicy(every=3, ends=True)
    assert plan.envelope == envelope
    assert plan.parts.task.config.tolerance == 0.3
    assert plan.parts.run.max_timesteps == 4
    assert (plan.opening.seed, plan.opening.instrument_seed) == (8, 9)
    assert plan_resume(REGISTRY, path, steps=500).steps == 500


def test_resuming_a_relearning_before_it_was_saved_needs_its_parent(tmp_path: Path) -> None:
    parent = trained(tmp_path / "parent")
    path = trained(tmp_path / "run", saved=False, command="relearn", parent=str(parent))
    assert plan_resume(REGISTRY, path).parent == RunDir(parent)
    shutil.rmtree(parent)
    with pytest.raises(RunDirError, match="is this a run directory"):
        plan_resume(REGISTRY, path)


def test_resuming_a_relearning_that_was_saved_does_not(tmp_path: Path) -> None:
    gone = tmp_path / "parent"
    path = trained(tmp_path / "run", command="relearn", parent=str(gone))
    assert plan_resume(REGISTRY, path).parent is None


@pytest.mark.parametrize("trained_here", [True, False])
def test_resuming_tells_the_backend_the_same_again(tmp_path: Path, trained_here: bool) -> None:
    path = trained(tmp_path / "run", trained_here=trained_here)
    assert plan_resume(REGISTRY, path).opening.trained_here is trained_here


def test_only_trainings_can_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="is a run; only a train or relearn can be resumed"):
        plan_resume(REGISTRY, trained(tmp_path / "run", command="run"))
    with pytest.raises(ConfigError, match="^steps 0"):
        plan_resume(REGISTRY, trained(tmp_path / "other"), steps=0)


# --- directories of strangers --------------------------------------------------------------------

ROW = {
    "unit": "m",
    "lower": [0.0],
    "upper": [1.0],
    "max_step": [0.1],
    "resolution": [0.0],
    "reach": None,
}
ENVELOPE: dict[str, Any] = {"schema": 1, "backend": "desk", "knobs": {"focus": ROW}}


@pytest.mark.parametrize(
    "envelope",
    [
        {},
        {**ENVELOPE, "schema": 2},
        {**ENVELOPE, "backend": 3},
        {**ENVELOPE, "knobs": []},
        {**ENVELOPE, "knobs": {"focus": {**ROW, "unit": "mrad"}}},
        {**ENVELOPE, "knobs": {"focus": {**ROW, "lower": [5.0]}}},
        {**ENVELOPE, "knobs": {"focus": {**ROW, "max_step": [-1.0]}}},
        {**ENVELOPE, "knobs": {"focus": {**ROW, "max_step": []}}},
        {**ENVELOPE, "max_writes": 0},
    ],
)
def test_a_hostile_envelope_in_a_record_is_refused(tmp_path: Path, envelope: Any) -> None:
    with pytest.raises(RunDirError, match=r"record\.json is damaged"):
        plan_resume(REGISTRY, trained(tmp_path / "run", envelope=envelope))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"task": "../../evil"}, PluginError),
        ({"agent": "os.system"}, PluginError),
        ({"settings": {"task": {"__class__": "x"}}}, ConfigError),
        ({"settings": {"backend": {"serial": 1e99}}}, ConfigError),
        ({"settings": {"run": {"max_timesteps": -1}}}, ConfigError),
        ({"parent": "/no/such/place"}, RunDirError),
        ({"parent": "\0"}, RunDirError),
        ({"parent": "x" * 5000}, RunDirError),
    ],
)
def test_what_a_strangers_record_asks_for_is_checked(
    tmp_path: Path, change: dict[str, Any], error: type[StempilotError]
) -> None:
    with pytest.raises(error):
        plan_resume(REGISTRY, trained(tmp_path / "run", saved=False, **change))
