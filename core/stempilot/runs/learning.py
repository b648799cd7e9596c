"""What accompanies a learner: checkpoints, evaluations on a twin, progress, clean stops."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import asdict

from stempilot.contract.agent import Learner
from stempilot.contract.backend import Twinnable
from stempilot.errors import (
    BackendError,
    EnvelopeError,
    IncompatibleError,
    RecordError,
    StartError,
)
from stempilot.operation.episodes import evaluate, successes_at_once
from stempilot.operation.task_env import TaskEnv
from stempilot.plugins.parts import RunConfig
from stempilot.record.figures import (
    EPISODES,
    MAX_FAILURES,
    PAPER_WINDOW,
    Evaluation,
    convergence,
    episode_columns,
    has_converged,
    is_due,
)
from stempilot.record.quantities import RAISE, goal_kind
from stempilot.record.recorder import RunRecorder, read_events
from stempilot.record.run_dir import RunDir
from stempilot.runs.board import Board
from stempilot.runs.ending import leave
from stempilot.runs.job import Job
from stempilot.runs.progress import OnProgress, RecentEpisodes

Until = Callable[[Sequence[Evaluation]], bool]
Show = Callable[[Mapping[str, float | None], int], None]


class Companion:
    """Is told of each complete timestep of a learner (`stempilot.Report`).

    Args:
        env: the environment of the learner.
        learner: who learns.
        run: where checkpoints go.
        recorder: the recorder of ``env``; its length belongs to each checkpoint.
        recent: counts episodes for the progress display.
        twin: makes an environment on a copy of the instrument as it is now; returns ``None``
            where there is no twin.
        seed: seed of the episodes of evaluations.
        config: how often to checkpoint, whether to evaluate.
        total: timesteps at the end of the run.
        evaluations: those of the run before it was interrupted.
        should_stop: whether a clean stop was asked for.
        on_progress: told after each timestep.
        until: told the evaluations so far; returns whether to end.
        show: told figures by name, and the timestep.
    """

    def __init__(
        self,
        env: TaskEnv,
        learner: Learner,
        *,
        run: RunDir,
        recorder: RunRecorder,
        recent: RecentEpisodes,
        twin: Callable[[], TaskEnv | None],
        seed: int,
        config: RunConfig,
        total: int,
        evaluations: Sequence[Evaluation],
        should_stop: Callable[[], bool],
        on_progress: OnProgress,
        until: Until = lambda _: False,
        show: Show = lambda *_: None,
    ) -> None:
        self.evaluations = list(evaluations)
        self._env = env
        self._learner = learner
        self._run = run
        self._recorder = recorder
        self._recent = recent
        self._twin = twin
        self._seed = seed
        self._config = config
        self._total = total
        self._should_stop = should_stop
        self._on_progress = on_progress
        self._until = until
        self._show = show
        self._saved_at = env.timestep
        self._reported_at = env.timestep

    def __call__(self, numbers: Mapping[str, float], /) -> bool:
        """Evaluate, save and show what is due; return whether to go on."""
        timestep = self._env.timestep
        if timestep == self._reported_at:
            return not self._should_stop()
        self._reported_at = timestep
        self._show({f"learner/{name}": value for name, value in numbers.items()}, timestep)
        if is_due(timestep) or timestep == self._total:
            self._evaluate(timestep)
        at_boundary = self._env.last.step == 0 or self._env.last.ended
        if at_boundary and timestep - self._saved_at >= self._config.checkpoint_every:
            self.save()
        now = self._recent.progress(timestep, self._total)
        self._on_progress(now)
        if self._env.last.ended:
            means = {"episodes/reward": now.reward, "episodes/success_rate": now.success_rate}
            self._show(means, timestep)
        converged = self._until(self.evaluations)
        return not (converged or self._should_stop() or self._env.budget_spent)

    @property
    def timestep(self) -> int:
        """Timesteps of the run so far."""
        return self._env.timestep

    @property
    def unsaved(self) -> bool:
        """Whether there were timesteps since the last checkpoint."""
        return self.timestep != self._saved_at

    def _evaluate(self, timestep: int) -> None:
        twin = self._twin() if self._config.evaluate else None
        if twin is None:
            return
        self._recent.pace.skip()
        self._on_progress(self._recent.progress(timestep, self._total, note="evaluating"))
        with contextlib.closing(twin):
            played = self._played_at_once(twin) or self._played_on_frames(twin)
        if self._should_stop():
            return
        found = Evaluation(timestep=timestep, episodes=played[0], successes=played[1])
        self.evaluations.append(found)
        self._run.keep_best(found, self._learner.save)
        self._show({"evaluation/success_rate": found.rank[0]}, timestep)

    def _played_at_once(self, twin: TaskEnv) -> tuple[int, int] | None:
        """Return episodes and successes, measured without frames; ``None`` where none can be."""
        try:
            env = twin.vector(EPISODES, self._seed)
        except IncompatibleError:
            return None
        with contextlib.closing(env):
            policies = [self._learner.policy() for _ in range(EPISODES)]
            return EPISODES, successes_at_once(env, policies, should_stop=self._should_stop)

    def _played_on_frames(self, twin: TaskEnv) -> tuple[int, int]:
        """Return episodes and successes; no more are played after too many failures."""
        played, _ = evaluate(
            twin,
            self._learner.policy(),
            EPISODES,
            give_up_after_failures=MAX_FAILURES + 1,
            on_episode=lambda _: not self._should_stop(),
        )
        return len(played), sum(episode.success for episode in played)

    def save(self) -> None:
        """Save the learner and all that going on from here needs.

        Where an episode has just begun or ended, going on is equal to not having stopped. In the
        middle of one, the rest of that episode is given up.

        Raises:
            RecordError: the disk refused.
        """
        self._recorder.flush()
        last = self._env.last
        # A fresh reset belongs to the next episode, which begins again when the run goes on.
        begun = last.step == 0 and last.episode >= 0
        progress = {
            "timesteps": self._env.timestep,
            "episodes": last.episode if begun else self._env.next_episode,
            "events_bytes": self._recorder.episode_start if begun else self._recorder.length,
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
        }
        self._run.checkpoint(progress, self._learner.save)
        self._saved_at = self._env.timestep


INSTRUMENT_ERRORS = (BackendError, EnvelopeError, StartError)
"""What is the instrument's doing, not the learner's."""


EVALUATION_SPAWN = 0x5EED
"""Mixed into the seed of training for the fixed starts of its evaluations."""


_NOTHING: Mapping[str, Any] = {"timesteps": 0, "episodes": 0, "events_bytes": 0, "evaluations": []}
"""The progress of a training that begins."""


def learn(job: Job, learner: Learner) -> dict[str, Any]:
    """Let a learner learn as the plan says; return the result of the run."""
    plan, run, unseen = job.plan, job.run, job.plan.seed ^ EVALUATION_SPAWN
    before = (run.progress() if plan.resumes else None) or _NOTHING
    recorder = job.recorder(before["events_bytes"])
    recent = RecentEpisodes(recorder)
    env = job.session.env(
        job.task,
        seed=plan.seed,
        max_timesteps=job.max_timesteps,
        recorder=recent,
        first_episode=before["episodes"],
        first_timestep=before["timesteps"],
    )
    job.files.callback(env.close)
    started = time.monotonic()
    with job.stop_requests() as stop_asked:
        companion = Companion(
            env,
            learner,
            run=run,
            recorder=recorder,
            recent=recent,
            twin=lambda: job.twin_env(unseen, env.timestep),
            seed=unseen,
            config=plan.parts.run,
            total=plan.steps,
            evaluations=[Evaluation(**values) for values in before["evaluations"]],
            should_stop=stop_asked,
            on_progress=job.on_progress,
            until=_until(job, recent),
            show=_show(job),
        )
        numbers = _learnt(job, learner, env, companion)
        interrupted = stop_asked()
        try:
            leave(job, success=not interrupted)
        finally:
            companion.save()
            recorder.close()
    return {
        "timesteps": env.timestep,
        "interrupted": interrupted,
        "budget_spent": job.budget_spent(env),
        "wall_s": round(time.monotonic() - started, 3),
        **recent.pace.figures(),
        "updates_meanwhile": env.meanwhile_work.calls,
        "updates_waited_s": round(env.meanwhile_work.waited_s, 3),
        "learner": dict(numbers),
        **_convergence(job, companion),
    }


def _convergence(job: Job, companion: Companion) -> dict[str, int | None]:
    """Return the figures that are read off what was recorded."""
    episodes = episode_columns(read_events(job.run.path))
    ends, rewards = episodes["t"], episodes["reward"]
    best = job.run.best()
    return {
        "best_at": None if best is None else best.evaluation.timestep,
        **convergence(goal_kind(job.task), companion.evaluations, ends, rewards),
        "episodes": len(ends),
    }


def _show(job: Job) -> Show:
    """Return what shows figures in TensorBoard, where the plan asks for it."""
    if not job.plan.parts.run.tensorboard:
        return lambda *_: None
    board = Board(job.run.path)
    job.files.callback(board.close)
    return board.show


def _until(job: Job, recent: RecentEpisodes) -> Until:
    """Return what tells whether a learner has converged: by evaluations, else by its reward."""
    if not job.plan.until_converged:
        return lambda _: False
    evaluates = job.plan.parts.run.evaluate and isinstance(job.session.backend, Twinnable)
    if evaluates and goal_kind(job.task) != RAISE:
        return has_converged
    return lambda _: recent.above_zero >= PAPER_WINDOW


def _learnt(job: Job, learner: Learner, env: TaskEnv, companion: Companion) -> Mapping[str, float]:
    """Let the learner learn for the timesteps that are left; return what it says of that."""
    steps = job.plan.steps - env.timestep
    if steps <= 0:
        return {}
    try:
        return learner.learn(env, steps=steps, report=companion).numbers
    except INSTRUMENT_ERRORS:
        # Whoever learns is between two timesteps then, and sound.
        job.afterwards.callback(_keep_learnt, job, companion)
        raise


def _keep_learnt(job: Job, companion: Companion) -> None:
    """Save what was learnt before the instrument failed; that it failed matters more."""
    if not companion.unsaved:
        return
    with suppress(RecordError):
        companion.save()
        job.say(
            f"what was learnt in {companion.timestep} timesteps is saved; go on with "
            f"`stempilot train --resume {job.run.path}`"
        )
