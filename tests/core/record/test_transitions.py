"""Recorded transitions are exactly those that the agent met, or are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from gymnasium.spaces import Box, Discrete
from tests.core.fakes import put_record, reference, toy_plugins, toy_registry
from tests.core.jobs import REGISTRY, events, extras, record, train

from stempilot.contract.agent import Brief, RelearnsFromRecord, Transitions
from stempilot.errors import IncompatibleError, RunDirError
from stempilot.record.recorder import plain_numbers
from stempilot.record.run_dir import RunDir
from stempilot.record.transitions import read_transitions
from stempilot.runs.dry_run import describe
from stempilot.runs.execute import execute
from stempilot.runs.plans import Plan, plan_relearn, plan_resume
from stempilot.testing.toys import ToyCentring, ToyLearner

TASK = ToyCentring()
SPACES = (TASK.observation_space, TASK.action_space)
TINY = (Box(-np.inf, np.inf, (1,), np.float32), Discrete(3))


class Witness(ToyLearner):
    """A learner that keeps what it meets, and what it is given to begin with."""

    met: list[tuple[Any, ...]]
    given: list[Transitions]

    def learn(self, env: Any, *, steps: int, report: Any) -> Any:
        Witness.met = []
        step, reset = env.step, env.reset

        def watched_reset() -> Any:
            self.seen, info = reset()
            return self.seen, info

        def watched_step(action: Any) -> Any:
            after, reward, terminated, truncated, info = step(action)
            Witness.met.append((self.seen, action, reward, after, terminated, truncated))
            self.seen = after
            return after, reward, terminated, truncated, info

        env.reset, env.step = watched_reset, watched_step
        return super().learn(env, steps=steps, report=report)

    def relearn_from(self, recorded: Transitions) -> tuple[str, ...]:
        Witness.given = [recorded]
        return ("took all",)


def witness_registry() -> Any:
    (learner,) = (one for one in toy_plugins()["agent"] if one.name == "learner")
    made: Callable[[Any, Brief], Any] = lambda _, brief: Witness(brief)  # noqa: E731
    return toy_registry(("agent", evolve(learner, name="witness", load=reference(made))))


def recorded(folder: Path, *events: dict[str, Any]) -> Path:
    """Lay out the events of a run with one observed number and three actions."""
    run = RunDir.create(folder)
    put_record(run.path)
    lines = [json.dumps({**event, "outcome": event.get("outcome", "running")}) for event in events]
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def event(k: int, seen: Any, **more: Any) -> dict[str, Any]:
    line = {"e": 0, "k": k, "t": k, "truncated": False, "summary": {}, "observation": seen}
    return {
        **line,
        **({"action": 1, "reward": 0.1, "writes": [["a", [0], [0], 0]]} if k else {}),
        **more,
    }


def test_exactly_what_the_agent_met(tmp_path: Path) -> None:
    registry = witness_registry()
    settings = {"run": {"max_timesteps": 6, "evaluate": False}}
    execute(train(tmp_path / "run", registry, agent="witness", steps=60, settings=settings))
    found, met = read_transitions(tmp_path / "run", *SPACES), Witness.met
    assert len(found) == len(met) == 60
    expected = [np.array(column) for column in zip(*met, strict=True)]
    columns = (
        found.observations,
        found.actions,
        found.rewards,
        found.next_observations,
        found.terminated,
        found.truncated,
    )
    for column, wanted in zip(columns, expected, strict=True):
        assert column.dtype == wanted.dtype
        np.testing.assert_array_equal(column, wanted)
    assert found.terminated.any()
    assert found.truncated.any()


def test_numbers_that_are_not_finite_come_back(tmp_path: Path) -> None:
    seen = np.array([np.inf], np.float32)
    assert plain_numbers(seen) == ["inf"]
    run = recorded(tmp_path / "run", event(0, [0.5]), event(1, plain_numbers(seen)))
    assert read_transitions(run, *TINY).next_observations.tolist() == [[np.inf]]


def test_float32_comes_back_bit_for_bit() -> None:
    seen = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    again = np.asarray(json.loads(json.dumps(plain_numbers(seen))), np.float64).astype(np.float32)
    np.testing.assert_array_equal(again, seen)


def test_a_timestep_that_was_not_carried_out_teaches_nothing(tmp_path: Path) -> None:
    run = recorded(
        tmp_path / "run",
        event(0, [0.0]),
        event(1, [1.0]),
        event(2, [1.0], truncated=True, writes=[]),
    )
    assert len(read_transitions(run, *TINY)) == 1


def test_a_refused_plan_is_a_transition(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", event(0, [0.0]), event(1, [0.0], outcome="blocked", writes=[]))
    assert read_transitions(run, *TINY).terminated.tolist() == [True]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([event(0, [0.0])], "no transitions"),
        ([{**event(0, [0.0]), "observation": None}], "does not lie in|damaged"),
        ([event(0, [0.0]), event(2, [0.0])], "does not follow"),
        ([event(1, [0.0])], "does not follow"),
        ([event(0, [0.0]), event(1, [0.0, 1.0])], "observation .* does not lie in"),
        ([event(0, [0.0]), event(1, ["far"])], "observation .* is damaged"),
        ([event(0, [0.0]), event(1, [0.0], action=3)], "action 3 does not lie in"),
        ([event(0, [0.0]), event(1, [0.0], action=1.5)], "action 1.5 does not lie in"),
        ([event(0, [0.0]), event(1, [0.0], action=[1])], "does not lie in"),
        ([event(0, [0.0]), event(1, [0.0], action=None)], "action None"),
        ([event(0, [0.0]), event(1, [0.0], action={"x": 1})], "damaged"),
    ],
)
def test_damaged_records_are_refused(tmp_path: Path, lines: Any, said: str) -> None:
    with pytest.raises(RunDirError, match=said):
        read_transitions(recorded(tmp_path / "run", *lines), *TINY)


def test_records_of_earlier_versions_are_refused(tmp_path: Path) -> None:
    line = event(0, [0.0])
    del line["observation"]
    with pytest.raises(RunDirError, match="earlier version"):
        read_transitions(recorded(tmp_path / "run", line), *TINY)


# --- relearn --from-log --------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Any, Path]:
    registry = witness_registry()
    settings = {"run": {"evaluate": False}, "task": {"tolerance": 0.1}}
    execute(train(tmp_path / "a", registry, agent="witness", settings=settings))
    return registry, tmp_path / "a"


def relearning(trained: tuple[Any, Path], folder: Path, **what: Any) -> Plan:
    registry, parent = trained
    return plan_relearn(
        registry, parent, steps=10, extras=extras(folder), **{"from_log": parent, **what}
    )


def test_relearning_begins_with_the_log(trained: Any, tmp_path: Path) -> None:
    execute(relearning(trained, tmp_path / "b"))
    (given,) = Witness.given
    np.testing.assert_array_equal(
        given.observations, read_transitions(trained[1], *SPACES).observations
    )
    said = record(tmp_path / "b").kept_and_dropped
    assert said == (f"40 recorded transitions came from {trained[1]}.", "took all")
    assert record(tmp_path / "b").from_log == str(trained[1])


def test_changed_rewards_are_said(trained: Any, tmp_path: Path) -> None:
    execute(relearning(trained, tmp_path / "b", settings={"task": {"tolerance": 0.3}}))
    assert "tolerance was 0.1" in record(tmp_path / "b").kept_and_dropped[1]


def test_a_dry_run_reads_the_log_and_learns_nothing(trained: Any, tmp_path: Path) -> None:
    Witness.given = []
    describe(relearning(trained, tmp_path / "b"))
    assert Witness.given == []
    (trained[1] / "events.jsonl").write_text("")
    with pytest.raises(RunDirError, match="no transitions"):
        describe(relearning(trained, tmp_path / "b"))


def test_a_log_of_other_spaces_is_refused(trained: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    put_record(RunDir.create(other).path, settings={"task": {"actions": "discrete"}})
    with pytest.raises(IncompatibleError, match="the action space Discrete"):
        relearning(trained, tmp_path / "b", from_log=other)


def test_a_log_of_another_task_is_refused(trained: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    put_record(RunDir.create(other).path, task="focusing")
    with pytest.raises(IncompatibleError, match="recorded with focusing, not with centring"):
        relearning(trained, tmp_path / "b", from_log=other)


def test_a_folder_that_is_no_run_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match="is this a run directory"):
        relearning(trained, tmp_path / "b", from_log=tmp_path / "nowhere")


def test_a_damaged_log_is_refused_before_anything_is_made(trained: Any, tmp_path: Path) -> None:
    path = trained[1] / "events.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(RunDirError, match="line 1"):
        execute(relearning(trained, tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_an_agent_that_cannot_says_so(tmp_path: Path) -> None:
    execute(train(tmp_path / "a"))
    plan = relearning((REGISTRY, tmp_path / "a"), tmp_path / "b")
    assert not isinstance(ToyLearner, RelearnsFromRecord)
    with pytest.raises(IncompatibleError, match="cannot learn from recorded transitions"):
        execute(plan)
    assert not (tmp_path / "b").exists()


def test_resuming_before_the_first_checkpoint_begins_with_the_log_again(
    trained: Any, tmp_path: Path
) -> None:
    def die(_: Any) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        execute(relearning(trained, tmp_path / "b"), on_progress=die)
    Witness.given = []
    execute(plan_resume(trained[0], tmp_path / "b"))
    assert len(Witness.given) == 1
    assert [one["t"] for one in events(tmp_path / "b")][-1] == 10
    Witness.given = []
    execute(plan_resume(trained[0], tmp_path / "b", steps=15))
    assert Witness.given == []
