"""A policy notices that the response changed; the run says so and, where it may, relearns."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.core.fakes import Desk, ExactAgent, NoOptions, desk_plugin, plugin, toy_registry
from tests.core.jobs import (
    AWAY,
    agent_files,
    desk_away,
    desk_envelope,
    events,
    extras,
    record,
    standing,
)

from stempilot.contract.agent import Brief, Learner, NoticesChange
from stempilot.contract.plugin import Plugin
from stempilot.contract.values import Outcome
from stempilot.errors import IncompatibleError
from stempilot.files import read_json
from stempilot.operation.episodes import run_episode
from stempilot.operation.session import open_session
from stempilot.operation.task_env import TaskEnv
from stempilot.plugins.registry import Kind
from stempilot.record.run_dir import RunDir
from stempilot.record.transitions import read_transitions
from stempilot.runs.dry_run import describe
from stempilot.runs.execute import execute
from stempilot.runs.plans import plan_relearn, plan_run, plan_train
from stempilot.runs.progress import Progress
from stempilot.testing.toys import ToyBackend, ToyCentring

STEPS = 40
FOUND = "moves go elsewhere"


class Noticing:
    """A policy that knows where its actions lead."""

    def __init__(self, inner: Any, response: Any) -> None:
        self.inner = inner
        self.response = response.copy()
        self.expected: Any = None
        self.found = ""
        self.said: list[str] = []

    def reset(self, instrument_id: str) -> None:
        self.inner.reset(instrument_id)
        self.expected = None

    def act(self, observation: Any) -> Any:
        self.ended(observation)
        action = self.inner.act(observation)
        self.expected = observation[:2] + self.response @ action
        return action

    def ended(self, observation: Any) -> None:
        if self.expected is not None and np.abs(observation[:2] - self.expected).max() > 0.15:
            self.found = FOUND
        self.expected = None

    def changed(self) -> str:
        found, self.found = self.found, ""
        self.said.append(found)
        return found


class NoticingAgent(ExactAgent):
    """A learner whose policies notice."""

    def policy(self) -> Any:
        return Noticing(super().policy(), self._response)


NOTICING: tuple[Kind, Plugin] = (
    "agent",
    plugin("noticing", NoOptions, lambda _, brief: NoticingAgent(brief)),
)


def classical() -> tuple[Kind, Plugin]:
    """Return an agent that notices and does not learn."""
    made = NoticingAgent(brief())
    agent = type("Plain", (), {"policy": lambda _: made.policy()})()
    assert not isinstance(agent, Learner)
    return "agent", plugin("classical", NoOptions, lambda *_: agent)


def turning(at_write: int) -> Desk:
    """Return a desk whose response turns by 120 degrees before a write."""
    desk, count = desk_away(), 0

    def before(what: str, name: str) -> None:
        nonlocal count
        del name
        count += what == "write"
        if count == at_write and what == "write":
            turned = np.array([[-0.5, -(0.75**0.5)], [0.75**0.5, -0.5]])
            # The dot stays where it is: what is past was moved by the old response.
            toy = desk.toy
            where = toy._dot_px()
            toy._response = turned @ toy._response
            toy._misaligned_px = toy._misaligned_px + where - toy._dot_px()

    desk.before = before
    return desk


def plan(desk: Desk, folder: Path, *, adapt: bool = True, **what: Any) -> Any:
    more = {"envelope": what.pop("limits", None) or desk_envelope(), "adapt": adapt}
    settings = {"run": {"adapt_steps": STEPS, "max_timesteps": 30}}
    options = {"agent": "noticing", "settings": settings, **what}
    registry = toy_registry(desk_plugin(desk), NOTICING)
    return plan_run(
        registry, task="centring", backend="desk", extras=extras(folder, **more), **options
    )


def phases(folder: Path) -> list[str]:
    return [event.get("phase", "") for event in events(folder) if event["k"]]


# --- an episode ----------------------------------------------------------------------------------


def brief() -> Brief:
    task = ToyCentring()
    return Brief(
        observation_space=task.observation_space,
        action_space=task.action_space,
        goal=task.goal,
        seed=0,
    )


def played(act: Callable[[TaskEnv, Any], Any], **options: Any) -> Any:
    with open_session(ToyBackend(), [ToyCentring()], name="toy", **options) as session:
        env = session.env(ToyCentring(), seed=1, max_timesteps=20)
        return act(env, NoticingAgent(brief()).policy())


def test_what_is_found_is_told_and_the_episode_goes_on() -> None:
    told: list[str] = []

    def act(env: TaskEnv, policy: Noticing) -> None:
        policy.response = -policy.response

        def note(found: str) -> bool:
            told.append(found)
            return True

        episode = run_episode(env, policy, on_change=note)
        assert episode.success
        assert len(told) == episode.steps

    played(act)
    assert set(told) == {FOUND}


def test_an_episode_that_is_given_up_takes_no_further_action() -> None:
    def act(env: TaskEnv, policy: Noticing) -> None:
        policy.response = -policy.response
        episode = run_episode(env, policy, on_change=lambda _: False)
        assert (episode.steps, episode.success) == (1, False)
        assert not env.last.ended
        assert env.timestep == 1

    played(act)


def test_the_last_transition_of_an_episode_is_shown() -> None:
    def act(env: TaskEnv, policy: Noticing) -> None:
        shown: list[Any] = []
        vars(policy)["ended"] = shown.append
        run_episode(env, policy)
        # `act` shows what came before through the same method.
        assert len(shown) == env.last.step + 1
        assert shown[-1] is env.last.observation

    played(act)


def test_an_action_that_was_refused_led_nowhere() -> None:
    def act(env: TaskEnv, policy: Noticing) -> None:
        shown: list[Any] = []
        vars(policy)["ended"] = shown.append
        run_episode(env, policy)
        assert env.last.outcome is Outcome.BLOCKED
        assert len(shown) == env.last.step

    class Beyond(ToyCentring):
        def targets(self, state: Any, action: Any, standing: Any) -> Any:
            return super().targets(state, 1e3 * np.asarray(action), standing)

    with open_session(ToyBackend(), [Beyond()], name="toy") as session:
        act(session.env(Beyond(), seed=4), NoticingAgent(brief()).policy())


def test_policies_without_a_word_for_it_are_run_as_ever() -> None:
    assert isinstance(NoticingAgent(brief()).policy(), NoticesChange)
    assert not isinstance(ExactAgent(brief()).policy(), NoticesChange)


# --- a run ---------------------------------------------------------------------------------------


def test_without_leave_a_change_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    result = execute(plan(turning(1), tmp_path / "run", adapt=False), say=said.append)
    [first, *_] = result["changes"]
    assert first["sentence"] == FOUND
    assert first["episode"] == 0
    assert f"timestep {first['timestep']}, episode 0: {FOUND}" in said
    assert f"WARNING stempilot: timestep {first['timestep']}, episode 0: {FOUND}" in (
        tmp_path / "run" / "log.txt"
    ).read_text("utf-8")
    assert result["relearnt_timesteps"] == 0
    assert set(phases(tmp_path / "run")) == {""}
    assert read_json(tmp_path / "run" / "result.json")["changes"] == result["changes"]


def test_where_nothing_changes_nothing_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    result = execute(plan(desk_away(), tmp_path / "run"), say=said.append)
    assert (result["success"], result["changes"]) == (True, [])
    assert [sentence for sentence in said if "timestep" in sentence] == []
    assert not (tmp_path / "run" / "log.txt").exists()
    assert RunDir.open(tmp_path / "run").progress() is None


def test_a_run_relearns_at_its_baseline_and_tries_once_more(tmp_path: Path) -> None:
    desk = turning(1)
    result = execute(plan(desk, tmp_path / "run"))
    assert result["success"] is True
    [change] = result["changes"]
    assert result["relearnt_timesteps"] == change["relearnt_timesteps"] == STEPS
    assert phases(tmp_path / "run").count("relearn") == STEPS
    assert standing(desk) == pytest.approx(desk.log[-1], abs=1e-12)
    recorded = events(tmp_path / "run")
    first = next(index for index, event in enumerate(recorded) if "phase" in event)
    again = [event for event in recorded[first:] if event["k"] == 0]
    assert len(again) > 1
    for start in again:
        assert start["writes"][-1][1] == pytest.approx(AWAY, abs=1e-12)
    assert recorded[-1]["outcome"] == "success"
    assert "phase" not in recorded[-1]
    assert [event["t"] for event in recorded if event["k"]] == list(
        range(1, len(phases(tmp_path / "run")) + 1)
    )


def test_a_run_that_relearnt_in_vain_is_put_back(tmp_path: Path) -> None:
    desk = turning(1)
    settings = {"run": {"adapt_steps": 1, "max_timesteps": 30}, "task": {"tolerance": 1e-6}}
    result = execute(plan(desk, tmp_path / "run", settings=settings))
    assert result["success"] is False
    assert result["relearnt_timesteps"] == 1
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


def test_ctrl_c_while_a_run_relearns_puts_the_knobs_back(tmp_path: Path) -> None:
    desk = turning(1)
    displaced = []

    def stop(now: Progress) -> None:
        if now.note == "relearning" and (now.done, now.total) == (5, STEPS):
            displaced.append(standing(desk) != pytest.approx(AWAY, abs=1e-12))
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        execute(plan(desk, tmp_path / "run"), on_progress=stop)
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert displaced == [True]
    found = record(tmp_path / "run")
    assert (found.status, found.reason) == ("interrupted", None)


def test_an_agent_that_does_not_learn_may_notice_and_goes_on(tmp_path: Path) -> None:
    desk = turning(1)
    registry = toy_registry(desk_plugin(desk), classical())
    more = extras(tmp_path / "run", envelope=desk_envelope(), adapt=True)
    result = execute(
        plan_run(registry, task="centring", agent="classical", backend="desk", extras=more)
    )
    assert result["changes"]
    assert result["relearnt_timesteps"] == 0


# --- an evaluation -------------------------------------------------------------------------------


def test_an_evaluation_relearns_and_goes_on(tmp_path: Path) -> None:
    desk, told, said = turning(60), list[Progress](), list[str]()
    adapted = execute(
        plan(desk, tmp_path / "run", episodes=40), on_progress=told.append, say=said.append
    )
    assert adapted["episodes"] == 40
    [change] = adapted["changes"]
    assert change["relearnt_timesteps"] == adapted["relearnt_timesteps"] == STEPS
    assert phases(tmp_path / "run").count("relearn") == STEPS
    assert adapted["success_rate"] >= 39 / 40, "the episode that was given up is no success"
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert told[-1].done == told[-1].total == 40
    assert f"relearning: {STEPS}/{STEPS} timesteps" in {p.note for p in told}
    assert "kept the response" in said
    figures = read_json(tmp_path / "run" / "evaluation.json")
    assert figures["changes"] == adapted["changes"]
    assert record(tmp_path / "run").adapt is True


def test_without_leave_an_evaluation_fails_on(tmp_path: Path) -> None:
    result = execute(plan(turning(60), tmp_path / "run", episodes=40, adapt=False))
    assert result["success_rate"] < 0.9
    assert len(result["changes"]) > 1


def test_what_was_relearnt_is_saved_beside_and_the_parent_stays(tmp_path: Path) -> None:
    calm = desk_away()
    registry = toy_registry(desk_plugin(calm), NOTICING)
    more = {"envelope": desk_envelope()}
    parent = tmp_path / "parent"
    execute(
        plan_train(
            registry,
            task="centring",
            agent="noticing",
            backend="desk",
            steps=30,
            extras=extras(parent, **more),
        )
    )
    kept = agent_files(parent)
    folder = tmp_path / "run"
    desk = turning(60)
    adapted = execute(plan(desk, folder, episodes=20, agent=None, policy=parent))
    assert adapted["relearnt_timesteps"] == STEPS
    assert agent_files(parent) == kept
    assert agent_files(folder) != kept
    assert record(folder).parent == str(parent.resolve())
    again = execute(
        plan(desk, tmp_path / "again", episodes=10, agent=None, policy=folder, adapt=False)
    )
    assert (again["changes"], again["success_rate"]) == ([], 1.0)
    plan_relearn(toy_registry(desk_plugin(desk), NOTICING), folder, steps=5)
    task = ToyCentring()
    assert len(read_transitions(folder, task.observation_space, task.action_space)) > STEPS


def test_the_oracle_goes_on_from_the_same_starts(tmp_path: Path) -> None:
    class Wrong(NoticingAgent):
        """Expects something else than happens, until it has relearnt."""

        def policy(self) -> Any:
            made = super().policy()
            made.response = made.response if self._timesteps else -made.response
            return made

    wrong: tuple[Kind, Plugin] = ("agent", plugin("wrong", NoOptions, lambda _, b: Wrong(b)))
    registry = toy_registry(wrong)
    more = extras(tmp_path / "run", adapt=True)
    settings = {"run": {"adapt_steps": 9}}
    result = execute(
        plan_run(
            registry, task="centring", agent="wrong", episodes=6, settings=settings, extras=more
        )
    )
    assert len(result["changes"]) == 1
    assert result["oracle_success_rate"] == 1.0
    starts = [e for e in events(tmp_path / "run") if e["k"] == 0 and "phase" not in e]
    assert len(starts) == 6
    # It knows the response as the agent does, so that from the same starts it needs as long.
    assert result["oracle_steps_mean"] == pytest.approx(result["paired_steps_mean"], abs=0.5)


def test_relearning_can_be_interrupted(tmp_path: Path) -> None:
    desk = turning(60)

    def stop(now: Progress) -> None:
        if now.note.startswith("relearning: 5/"):
            signal.raise_signal(signal.SIGINT)

    result = execute(plan(desk, tmp_path / "run", episodes=40), on_progress=stop)
    assert result["interrupted"] is True
    assert result["relearnt_timesteps"] == 5
    assert RunDir.open(tmp_path / "run").progress() is None
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)
    assert record(tmp_path / "run").status == "interrupted"


@pytest.mark.parametrize("notices", [True, False])
def test_what_can_no_longer_notice_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notices: bool
) -> None:
    def policy(agent: NoticingAgent) -> Any:
        known = ExactAgent.policy(agent)
        after = (tmp_path / "run" / "progress.json").exists()
        return known if after and not notices else Noticing(known, agent._response)

    monkeypatch.setattr(NoticingAgent, "policy", policy)
    said: list[str] = []
    result = execute(plan(turning(60), tmp_path / "run", episodes=40), say=said.append)
    assert result["relearnt_timesteps"] == STEPS
    assert any("too little to notice another change" in each for each in said) is not notices


def test_relearning_ends_with_the_budget_of_writes(tmp_path: Path) -> None:
    desk = turning(20)
    limits = desk_envelope(max_writes=45)
    result = execute(plan(desk, tmp_path / "run", episodes=40, limits=limits))
    assert 0 < result["relearnt_timesteps"] < STEPS
    played = {event["e"] for event in events(tmp_path / "run") if not event.get("phase")}
    assert result["episodes"] == len(played), "nothing is played that nothing can be done in"
    assert all(event.get("phase") for event in events(tmp_path / "run")[-3:])
    assert standing(desk) == pytest.approx(AWAY, abs=1e-12)


# --- what is refused, and what is shown before ---------------------------------------------------


def test_an_agent_that_cannot_notice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="walker does not notice .* leave --adapt out"):
        execute(plan(desk_away(), tmp_path / "run", agent="walker"))
    assert not (tmp_path / "run").exists()
    execute(plan(desk_away(), tmp_path / "run", agent="walker", adapt=False))


def test_a_dry_run_says_that_it_would_relearn(tmp_path: Path) -> None:
    assert describe(plan(desk_away(), tmp_path / "run"))["when_changed"] == (
        f"relearns for {STEPS} timesteps"
    )
    assert describe(plan(desk_away(), tmp_path / "run", adapt=False))["when_changed"] == "says so"


def test_an_agent_relearns_for_as_long_as_it_takes_as_a_rule(tmp_path: Path) -> None:
    settings = {"run": {"max_timesteps": 30}}
    made = plan(turning(60), tmp_path / "run", episodes=40, settings=settings)
    wanted = NoticingAgent(brief()).relearn_steps
    assert describe(made)["when_changed"] == f"relearns for {wanted} timesteps"
    assert wanted != STEPS
    assert execute(made)["relearnt_timesteps"] == wanted


def test_a_dry_run_says_that_an_agent_does_not_relearn(tmp_path: Path) -> None:
    made = plan_run(
        toy_registry(classical()),
        task="centring",
        agent="classical",
        extras=extras(tmp_path / "run", adapt=True),
    )
    assert describe(made)["when_changed"] == "says so; classical does not relearn"
