"""What accompanies a learner: progress, evaluations and clean ends."""

from pathlib import Path
from typing import Any

import pytest
from tests.core.fakes import ExactAgent, put_record
from tests.core.operation.test_episodes import Noted, brief

from stempilot.contract.agent import Policy
from stempilot.contract.values import Outcome
from stempilot.errors import RecordError
from stempilot.operation.session import Session, open_session
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import Timestep
from stempilot.plugins.parts import RunConfig
from stempilot.record.figures import EPISODES, MAX_FAILURES, Evaluation
from stempilot.record.record import FramePolicy
from stempilot.record.recorder import RunRecorder
from stempilot.record.run_dir import RunDir
from stempilot.runs.learning import Companion
from stempilot.runs.progress import Progress, RecentEpisodes
from stempilot.testing.toys import ToyBackend, ToyCentring, ToyLearner


class Nowhere:
    """A recorder that keeps nothing."""

    phase = ""

    def record(self, step: Timestep, snapshot: Any, /) -> None:
        """Drop it."""


def recent(*ends: tuple[list[float], Outcome]) -> RecentEpisodes:
    counted = RecentEpisodes(Nowhere())  # type: ignore[arg-type]
    for number, (rewards, outcome) in enumerate(ends):
        counted.record(Timestep(episode=number, step=0, timestep=0), None)
        for step, reward in enumerate(rewards, start=1):
            how = outcome if step == len(rewards) else Outcome.RUNNING
            at = Timestep(episode=number, step=step, timestep=step, reward=reward, outcome=how)
            counted.record(at, None)
    return counted


def test_what_a_run_relearns_by_is_not_what_it_does() -> None:
    counted = recent(([1.0, 1.0], Outcome.SUCCESS))
    before, figures = counted.progress(1, 2), counted.pace.figures()
    counted._recorder.phase = "relearn"
    for step in range(3):
        how = Outcome.FAILURE if step == 2 else Outcome.RUNNING
        counted.record(Timestep(episode=1, step=step, timestep=step, outcome=how), None)
    assert (counted.progress(1, 2), counted.pace.figures()) == (before, figures)


def test_progress_before_the_first_episode_has_ended() -> None:
    assert recent().progress(3, 10) == Progress(done=3, total=10)


def test_progress_is_of_the_last_episodes() -> None:
    counted = recent(([1.0, 2.0], Outcome.SUCCESS), ([-5.0], Outcome.FAILURE))
    now = counted.progress(3, 10, note="evaluating")
    assert now == Progress(done=3, total=10, reward=-1.0, success_rate=0.5, note="evaluating")


def test_only_25_episodes_count() -> None:
    ends = [([1000.0], Outcome.FAILURE)] * 5 + [([2.0], Outcome.SUCCESS)] * 25
    now = recent(*ends).progress(1, 1)
    assert (now.reward, now.success_rate) == (2.0, 1.0)


class Bench:
    """A companion on a toy, with all that it needs."""

    def __init__(self, folder: Path, session: Session, learner: ToyLearner, **options: Any) -> None:
        self.run = RunDir.create(folder)
        put_record(self.run.path)
        self.recorder = RunRecorder(folder, ToyCentring(), FramePolicy())
        counted = RecentEpisodes(self.recorder)
        self.env = session.env(ToyCentring(), seed=1, max_timesteps=5, recorder=counted)
        self.seen: list[Progress] = []
        self.stop = False
        self.learner = learner

        def twin() -> TaskEnv | None:
            return session.twin_env(ToyCentring(), seed=2, max_timesteps=5)

        self.companion = Companion(
            self.env,
            learner,
            run=self.run,
            recorder=self.recorder,
            recent=counted,
            twin=options.get("twin", twin),
            seed=2,
            config=options.get("config", RunConfig(evaluate=False)),
            total=options.get("total", 30),
            evaluations=options.get("evaluations", ()),
            should_stop=lambda: self.stop,
            on_progress=self.seen.append,
        )

    def learn(self, steps: int) -> None:
        self.learner.learn(self.env, steps=steps, report=self.companion)


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """Return what makes a bench."""
    stack = []

    def make(learner: type[ToyLearner] = ToyLearner, **options: Any) -> Bench:
        opened = open_session(ToyBackend(), [ToyCentring()], name="toy")
        session = opened.__enter__()
        bench = Bench(tmp_path / "run", session, learner(brief()), **options)
        stack.append((opened, bench))
        return bench

    yield make
    for opened, bench in stack:
        bench.recorder.close()
        opened.__exit__(None, None, None)


def test_each_timestep_is_shown_once(made: Any) -> None:
    bench = made()
    bench.learn(12)
    assert [now.done for now in bench.seen] == list(range(1, 13))
    assert {now.total for now in bench.seen} == {30}
    assert bench.companion({}) is True
    assert len(bench.seen) == 12, "nothing new to show"


def test_a_stop_that_is_asked_for_ends_learning(made: Any) -> None:
    bench = made()
    bench.learn(4)
    bench.stop = True
    bench.learn(10)
    assert bench.env.timestep == 5


def test_a_spent_budget_of_writes_ends_learning(made: Any) -> None:
    bench = made()
    bench.env._guard._budget = 3
    bench.learn(30)
    assert bench.env.budget_spent
    assert bench.env.timestep == 4
    assert bench.seen[-1].success_rate == 1.0, "of the one that was not cut off"


class Resting(ToyLearner):
    """Does nothing, most of the time."""

    def policy(self) -> Policy:
        return Noted()


def test_evaluations_that_fail_end_at_the_fifth_failure(made: Any) -> None:
    bench = made(Resting, config=RunConfig())
    bench.learn(10)
    (found,) = bench.companion.evaluations
    assert found.timestep == 10
    assert found.episodes - found.successes == MAX_FAILURES + 1
    assert found.episodes < EPISODES


def test_evaluations_that_pass_are_of_a_hundred_episodes(made: Any) -> None:
    bench = made(ExactAgent, config=RunConfig())
    bench.learn(10)
    (found,) = bench.companion.evaluations
    assert found.episodes == EPISODES
    assert found.passed


def test_the_end_is_evaluated_too(made: Any) -> None:
    bench = made(ExactAgent, config=RunConfig(), total=13)
    bench.learn(13)
    assert [one.timestep for one in bench.companion.evaluations] == [10, 13]
    assert [now.done for now in bench.seen if now.note] == [10, 13]


def test_an_evaluation_that_was_stopped_half_way_does_not_count(made: Any) -> None:
    bench = made(ExactAgent, config=RunConfig(), evaluations=[Evaluation(5, 100, 99)])
    bench.learn(9)
    bench.stop = True
    bench.learn(1)
    assert bench.companion.evaluations == [Evaluation(5, 100, 99)]


def test_without_a_twin_nothing_is_evaluated(made: Any) -> None:
    bench = made(ExactAgent, config=RunConfig(), twin=lambda: None)
    bench.learn(10)
    assert bench.companion.evaluations == []
    assert not [now for now in bench.seen if now.note]


@pytest.mark.parametrize("steps", [4, 5, 8])
def test_what_is_saved_is_where_the_run_goes_on(made: Any, steps: int) -> None:
    bench = made(config=RunConfig(evaluate=False))
    bench.learn(steps)
    bench.companion.save()
    progress = bench.run.progress()
    assert progress["timesteps"] == steps
    assert progress["events_bytes"] == bench.recorder.length
    assert progress["episodes"] == bench.env.next_episode
    bench.env.reset()
    bench.run.path.joinpath("progress.json").unlink()
    bench.companion.save()
    after = bench.run.progress()
    assert after["episodes"] == progress["episodes"], "a fresh reset is begun anew"
    assert after["events_bytes"] == progress["events_bytes"]


def test_a_full_disk_is_told(made: Any) -> None:
    bench = made()
    bench.learn(3)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    bench.learner.save = full
    with pytest.raises(RecordError):
        bench.companion.save()
