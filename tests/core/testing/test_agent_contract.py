"""Each check of the agents' contract fails on a toy that breaks what it is about."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.agent import Agent, Brief, LearnReport, Policy, Report
from stempilot.contract.task import Task
from stempilot.errors import IncompatibleError, RunDirError
from stempilot.testing import AgentContract, ToyCentring, ToyLearner, ToyWalker, run_contract
from stempilot.testing.checks import run_check

Env = gymnasium.Env[Any, Any]


class TestToyLearner(AgentContract):
    """The toy keeps its contract, as pytest sees it."""

    def make(self, brief: Brief) -> Agent:
        return ToyLearner(brief)


class Acting:
    """A policy that passes the actions of another one through a function."""

    def __init__(self, policy: Policy, change: Callable[[Any, Any], Any]) -> None:
        self._policy, self._change = policy, change

    def reset(self, instrument_id: str) -> None:
        self._policy.reset(instrument_id)

    def act(self, observation: npt.NDArray[Any]) -> Any:
        return self._change(self._policy.act(observation), observation)


class NoAgent:
    def __init__(self, brief: Brief) -> None:
        del brief


class TooFar(ToyLearner):
    def policy(self) -> Policy:
        return Acting(super().policy(), lambda action, _: 2 * action)


class Unseeded(ToyWalker):
    def policy(self) -> Policy:
        rng = np.random.default_rng()
        return Acting(super().policy(), lambda action, _: action * np.float32(rng.random()))


class SharedWalk(ToyWalker):
    def __init__(self, brief: Brief) -> None:
        super().__init__(brief)
        self._walk = super().policy()

    def policy(self) -> Policy:
        return self._walk


class ForgetsHow(ToyLearner):
    def policy(self) -> Policy:
        class Once(Acting):
            met: str | None = None

            def reset(self, instrument_id: str) -> None:
                if self.met not in {None, instrument_id}:
                    self._change = lambda action, _: action.astype(float)
                self.met = instrument_id

        return Once(super().policy(), lambda action, _: action)


class Scribbles(ToyLearner):
    def policy(self) -> Policy:
        def scribble(action: Any, observation: npt.NDArray[Any]) -> Any:
            observation[0] = 0.5
            return action

        return Acting(super().policy(), scribble)


class OneMore(ToyLearner):
    def learn(self, env: Env, *, steps: int, report: Report) -> LearnReport:
        return super().learn(env, steps=steps + 1, report=report)


class ReportsTwice(ToyLearner):
    def learn(self, env: Env, *, steps: int, report: Report) -> LearnReport:
        def twice(numbers: Mapping[str, float], /) -> bool:
            report(numbers)
            return report(numbers)

        return super().learn(env, steps=steps, report=twice)


class Deaf(ToyLearner):
    def learn(self, env: Env, *, steps: int, report: Report) -> LearnReport:
        def unheard(numbers: Mapping[str, float], /) -> bool:
            report(numbers)
            return True

        return super().learn(env, steps=steps, report=unheard)


class SeedsEpisodes(ToyLearner):
    def learn(self, env: Env, *, steps: int, report: Report) -> LearnReport:
        env.reset(seed=3)
        return super().learn(env, steps=steps, report=report)


class ReportsNan(ToyLearner):
    def learn(self, env: Env, *, steps: int, report: Report) -> LearnReport:
        return super().learn(env, steps=steps, report=lambda _: report({"loss": float("nan")}))


class LearnsByChance(ToyLearner):
    def __init__(self, brief: Brief) -> None:
        super().__init__(brief)
        self._rng = np.random.default_rng()


class LivePolicy(ToyLearner):
    def policy(self) -> Policy:
        learner = self

        class Live(Acting):
            def act(self, observation: npt.NDArray[Any]) -> Any:
                return ToyLearner.policy(learner).act(observation)

        return Live(super().policy(), lambda action, _: action)


class SavesPickle(ToyLearner):
    def save(self, folder: Path) -> None:
        super().save(folder)
        np.save(folder / "notes.npy", np.array([{}], dtype=object), allow_pickle=True)


class LosesResponse(ToyLearner):
    def load(self, folder: Path) -> None:
        response = self._response
        super().load(folder)
        self._response = response


class LosesRandomState(ToyLearner):
    def load(self, folder: Path) -> None:
        rng = self._rng
        super().load(folder)
        self._rng = rng


class LosesCount(ToyLearner):
    def load(self, folder: Path) -> None:
        super().load(folder)
        self._timesteps = 0


class Credulous(ToyLearner):
    def load(self, folder: Path) -> None:
        path = folder / "response.npy"
        if not path.is_file():
            return
        super().load(folder)


class Crashes(ToyLearner):
    def load(self, folder: Path) -> None:
        json.loads((folder / "learner.json").read_text(encoding="utf-8"))
        super().load(folder)


class TakesAnything(ToyLearner):
    def load(self, folder: Path) -> None:
        try:
            super().load(folder)
        except IncompatibleError:
            return


class Silent(ToyLearner):
    def relearn(self) -> tuple[str, ...]:
        return cast("tuple[str, ...]", [])


class InNoTime(ToyLearner):
    relearn_steps = 0


class CountsAnew(ToyLearner):
    def relearn(self) -> tuple[str, ...]:
        self._timesteps = 0
        return super().relearn()


class Repeats(ToyLearner):
    def policy(self) -> Policy:
        class Repeating(Acting):
            def ended(self, observation: npt.NDArray[Any]) -> None:
                del observation

            def changed(self) -> str:
                return "all is different"

        return Repeating(super().policy(), lambda action, _: action)


BROKEN: dict[str, Callable[[Brief], Any]] = {
    "is_an_agent": NoAgent,
    "actions_are_inside_their_space": TooFar,
    "same_seed_gives_same_actions": Unseeded,
    "policies_do_not_share_anything": SharedWalk,
    "episodes_begin_on_any_instrument": ForgetsHow,
    "observations_are_left_alone": Scribbles,
    "learning_takes_exactly_its_steps": OneMore,
    "learning_stops_when_told": Deaf,
    "learning_leaves_seeding_alone": SeedsEpisodes,
    "reports_are_finite_numbers": ReportsNan,
    "learning_repeats_with_its_seed": LearnsByChance,
    "policies_do_not_learn": LivePolicy,
    "saved_files_hold_no_pickle": SavesPickle,
    "loaded_learner_acts_alike": LosesResponse,
    "continues_as_if_never_saved": LosesRandomState,
    "damaged_folders_are_refused": Credulous,
    "other_spaces_are_refused": TakesAnything,
    "relearning_goes_on": Silent,
    "learning_goes_on_in_the_same_process": CountsAnew,
    "changes_are_said_once": Repeats,
}


def suite_of(make_agent: Callable[[Brief], Any]) -> type[AgentContract]:
    class Suite(AgentContract):
        def make(self, brief: Brief) -> Agent:
            made: Agent = make_agent(brief)
            return made

    return Suite


@pytest.mark.parametrize("name", AgentContract.checks())
def test_check_fails_on_an_agent_that_breaks_it(name: str) -> None:
    result = run_check(suite_of(BROKEN[name.removeprefix("test_")]), name)
    assert not result.passed
    assert result.message.startswith("the contract says: ")
    assert not result.message.endswith("found: ")


@pytest.mark.parametrize(
    ("agent", "check", "found"),
    [
        (InNoTime, "relearning_goes_on", "relearn_steps is at least 1; found: 0"),
        (SavesPickle, "saved_files_hold_no_pickle", "notes.npy is not a valid .npy file"),
    ],
)
def test_message_says_what_is_wrong(agent: Callable[[Brief], Any], check: str, found: str) -> None:
    assert found in run_check(suite_of(agent), f"test_{check}").message


@pytest.mark.parametrize("task", [ToyCentring(), ToyCentring("discrete")])
def test_checks_of_learning_leave_out_who_does_not_learn(task: ToyCentring) -> None:
    class Suite(AgentContract):
        def make(self, brief: Brief) -> Agent:
            return ToyWalker(brief)

        def make_task(self) -> Task[Any, Any]:
            return task

    results = run_contract(Suite)
    assert all(result.passed for result in results)
    learning = {result.check for result in results if not result.applies}
    assert len(learning) == 14
    assert "saved_files_hold_no_pickle" in learning


def test_toy_learner_refuses_what_it_cannot_do() -> None:
    task = ToyCentring("discrete")
    with pytest.raises(IncompatibleError, match="vector of numbers"):
        ToyLearner(
            Brief(
                observation_space=task.observation_space,
                action_space=task.action_space,
                goal=None,
                seed=0,
            )
        )


def test_toy_learner_refuses_another_schema(tmp_path: Path) -> None:
    learner = ToyLearner(suite_of(ToyLearner)().brief())
    learner.save(tmp_path)
    record = json.loads((tmp_path / "learner.json").read_text())
    (tmp_path / "learner.json").write_text(json.dumps({**record, "schema": 2}))
    with pytest.raises(RunDirError, match="schema 2"):
        learner.load(tmp_path)
