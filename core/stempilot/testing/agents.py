"""The contract of every agent. Subclass `AgentContract` and say how yours is made."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from attrs import evolve
from gymnasium.spaces import Box

from stempilot.contract.agent import Learner, LearnReport
from stempilot.contract.backend import Reseedable
from stempilot.errors import IncompatibleError, RunDirError
from stempilot.operation.task_env import TaskEnv
from stempilot.testing.contract import does_not_apply, expect, is_finite, is_tuple_of
from stempilot.testing.environment import opened_env
from stempilot.testing.fingerprint import fingerprint
from stempilot.testing.policies import PolicyContract, acts, different
from stempilot.testing.saved import damages, file_problems
from stempilot.testing.watched import Lesson, OnReport, go_on, watched_lesson


class AgentContract(PolicyContract):
    """All that an agent must do; the checks of learning apply to a `Learner` alone.

    Attributes:
        steps: timesteps of a lesson; enough for the learner to update, and at least 24.
    """

    steps = 40

    def test_learning_takes_exactly_its_steps(self) -> None:
        """It takes as many timesteps as it was asked to and reports after each."""
        lesson = self._lesson(self._learner())
        expect(lesson.steps == self.steps, f"{self.steps} timesteps are taken", lesson.steps)
        events = [event for event in lesson.events if event != "reset"]
        alternating = events == ["step", "report"] * self.steps
        found = f"{events.count('report')} reports of {events.count('step')} timesteps"
        expect(alternating, "each timestep is followed by one report", found)
        result = lesson.result
        expect(isinstance(result, LearnReport), "learn() returns a LearnReport", result)
        if result is not None:
            counted = result.timesteps
            expect(counted == self.steps, f"its timesteps are {self.steps}", counted)

    def test_learning_stops_when_told(self) -> None:
        """When a report is answered by False, no further timestep is taken."""
        lesson = self._lesson(self._learner(), lambda count: count < 3)
        expect(lesson.steps == 3, "no timestep after report() returned False", lesson.events[-5:])

    def test_learning_leaves_seeding_alone(self) -> None:
        """Episodes are begun without a seed; they are the framework's."""
        lesson = self._lesson(self._learner())
        expect(lesson.events[0] == "reset", "learning begins with a reset", lesson.events[0])
        seeds = [seed for seed in lesson.seeds if seed is not None]
        expect(not seeds, "env.reset() is called without a seed", seeds)

    def test_reports_are_finite_numbers(self) -> None:
        """Reports hold finite floats by name."""
        for numbers in self._lesson(self._learner()).numbers:
            for name, value in numbers.items():
                expect(is_finite(value), "reported numbers are finite", f"{name} = {value!r}")

    def test_learning_repeats_with_its_seed(self) -> None:
        """Two learners with one seed learn the same from the same episodes."""
        self._check_reseedable()
        first, second = self._learner(), self._learner()
        lessons = [self._lesson(learner) for learner in (first, second)]
        reports = [fingerprint(lesson.numbers) for lesson in lessons]
        expect(reports[0] == reports[1], "two learners with one seed report alike", "differences")
        self._expect_equal(first, second, "two learners with one seed learn the same")

    def test_policies_do_not_learn(self) -> None:
        """A policy stays as it was when it was asked for, whatever is learnt later."""
        learner, observations = self._learner(), self._observations()
        kept, then = [], []

        def keep(count: int) -> bool:
            if count == self.steps // 2:
                kept.append(learner.policy())
                then.append(acts(learner.policy(), observations))
            return True

        self._lesson(learner, keep)
        for policy, before in zip(kept, then, strict=True):
            differing = different(before, acts(policy, observations))
            expect(not differing, "later learning does not change a policy", differing)

    def test_saved_files_hold_no_pickle(self) -> None:
        """A saved learner is JSON, CSV, NPY, NPZ or safetensors, directly in its folder."""
        with self._saved() as (_, folder):
            problems = list(file_problems(folder))
            sentence = "loading another person's agent never runs code, so no file can hold any"
            expect(not problems, sentence, "; ".join(problems))

    def test_loaded_learner_acts_alike(self) -> None:
        """A loaded learner has the policy of the saved one."""
        with self._saved() as (learner, folder):
            loaded = self._learner(seed=1)
            loaded.load(folder)
            self._expect_equal(learner, loaded, "a loaded learner acts as the saved one")

    def test_continues_as_if_never_saved(self) -> None:
        """Saved at the end of an episode, loaded and continued equals never having been saved."""
        self._check_reseedable()
        with tempfile.TemporaryDirectory() as name:
            folder, whole = Path(name), self._learner()
            place: list[tuple[int, int]] = []
            with self._env() as env:

                def save(count: int) -> bool:
                    boundary = env.last.ended or env.last.step == 0
                    if count >= self.steps // 2 and boundary and not place:
                        begun = env.last.step == 0
                        place.append((count, env.last.episode if begun else env.next_episode))
                        whole.save(folder)
                    return True

                lesson = watched_lesson(whole, env, self.steps, save)
            done, episode = place[0]
            continued = self._learner(seed=1)
            continued.load(folder)
            with self._env(first_episode=episode, first_timestep=done) as env:
                rest = watched_lesson(continued, env, self.steps - done)
        sentence = "a learner that was saved, loaded and continued equals one that was not"
        same = fingerprint(rest.numbers) == fingerprint(lesson.numbers[done:])
        expect(same, sentence, "other reported numbers")
        self._expect_equal(whole, continued, sentence)
        counted = None if rest.result is None else rest.result.timesteps
        expect(counted == self.steps, f"it counts {self.steps} timesteps in its life", counted)

    def test_damaged_folders_are_refused(self) -> None:
        """Loading raises RunDirError when a file is missing, cut off or something else."""
        with self._saved() as (_, folder):
            for what, damage in damages(folder):
                copy = folder.with_name("damaged")
                shutil.copytree(folder, copy)
                damage(copy)
                self._expect_refused(copy, what)
                shutil.rmtree(copy)
            empty = folder.with_name("empty")
            empty.mkdir()
            self._expect_refused(empty, "without any file")

    def test_other_spaces_are_refused(self) -> None:
        """Loading what was saved for other spaces raises IncompatibleError."""
        brief = self.brief()
        space = brief.observation_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise does_not_apply("the task's observations are not a vector")
        low, high = (np.append(bound, bound[-1]) for bound in (space.low, space.high))
        wider = Box(low, high, dtype=space.dtype.type)
        with self._saved() as (_, folder):
            try:
                other = self.make(evolve(brief, observation_space=wider))
            except IncompatibleError as error:
                raise does_not_apply("it is made for this observation space alone") from error
            if not isinstance(other, Learner):
                raise does_not_apply("it does not learn")
            sentence = f"loading into {wider} what was saved for {space} raises IncompatibleError"
            try:
                other.load(folder)
            except IncompatibleError:
                return
            except RunDirError as error:
                expect(False, sentence, repr(error))
            expect(False, sentence, "it was loaded")

    def test_relearning_goes_on(self) -> None:
        """A loaded learner says what it keeps and drops, and learns on."""
        with self._saved() as (_, folder):
            learner = self._learner()
            learner.load(folder)
            told = learner.relearn()
            expect(
                is_tuple_of(told, str) and bool(told),
                "relearn() says what is kept and dropped",
                repr(told),
            )
            steps = learner.relearn_steps
            expect(
                steps > 0,
                "relearn_steps is at least 1",
                steps,
            )
            lesson = self._lesson(learner)
            taken = lesson.steps
            expect(taken == self.steps, f"it then learns for {self.steps} timesteps", taken)

    def test_learning_goes_on_in_the_same_process(self) -> None:
        """A learner that has learnt relearns and learns on, in the same environment."""
        learner = self._learner()
        with self._env() as env:
            watched_lesson(learner, env, self.steps)
            learner.relearn()
            again = watched_lesson(learner, env, self.steps)
        taken = again.steps
        expect(taken == self.steps, f"it learns for {self.steps} timesteps once more", taken)
        begun = again.events[0]
        expect(begun == "reset", "another lesson begins with a reset", begun)
        counted = None if again.result is None else again.result.timesteps
        expect(counted == 2 * self.steps, "it counts its timesteps on", counted)

    def _learner(self, seed: int = 0) -> Learner:
        agent = self.make(self.brief(seed))
        if not isinstance(agent, Learner):
            raise does_not_apply("it does not learn")
        return agent

    def _env(
        self, *, first_episode: int = 0, first_timestep: int = 0
    ) -> contextlib.AbstractContextManager[TaskEnv]:
        return opened_env(
            self.make_task(),
            self.make_backend(),
            seed=5,
            max_timesteps=self.max_timesteps,
            first_episode=first_episode,
            first_timestep=first_timestep,
        )

    def _lesson(self, learner: Learner, on_report: OnReport = go_on) -> Lesson:
        with self._env() as env:
            return watched_lesson(learner, env, self.steps, on_report)

    def _check_reseedable(self) -> None:
        if not isinstance(self.make_backend(), Reseedable):
            raise does_not_apply("the backend cannot be reseeded")

    @contextlib.contextmanager
    def _saved(self) -> Iterator[tuple[Learner, Path]]:
        learner = self._learner()
        self._lesson(learner)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "saved"
            folder.mkdir()
            learner.save(folder)
            yield learner, folder

    def _expect_equal(self, one: Learner, other: Learner, sentence: str) -> None:
        observations = self._observations()
        series = (acts(learner.policy(), observations) for learner in (one, other))
        differing = different(*series)
        expect(not differing, sentence, differing)

    def _expect_refused(self, folder: Path, what: str) -> None:
        sentence = f"loading a folder {what} raises RunDirError"
        try:
            self._learner().load(folder)
        except RunDirError:
            return
        except (
            ArithmeticError,
            LookupError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            expect(False, sentence, f"{type(error).__name__}: {error}")
        expect(False, sentence, "it was loaded")
