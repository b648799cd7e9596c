"""What accompanies a learner: checkpoints, evaluations on a twin, progress, clean stops."""

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from attrs import asdict, frozen

from stempilot.agent import Learner
from stempilot.compose import RunConfig
from stempilot.convergence import (
    EPISODES,
    MAX_FAILURES,
    PAPER_WINDOW,
    Evaluation,
    is_due,
)
from stempilot.env import TaskEnv, Timestep
from stempilot.evaluate import evaluate
from stempilot.model import Outcome, Snapshot
from stempilot.pace import Pace
from stempilot.recorder import RunRecorder
from stempilot.rundir import RunDir


@frozen(kw_only=True)
class Progress:
    """How far a long job is.

    Attributes:
        done: timesteps or episodes done.
        total: how many there will be.
        reward: mean reward of the last episodes; ``None`` before the first has ended.
        success_rate: of the last episodes.
        note: what else is worth showing, for example ``evaluating``.
    """

    done: int
    total: int
    reward: float | None = None
    success_rate: float | None = None
    note: str = ""


OnProgress = Callable[[Progress], None]


class RecentEpisodes:
    """Recorder that passes everything on and keeps count of the last 25 episodes.

    Attributes:
        pace: how fast timesteps follow each other.
    """

    def __init__(self, recorder: RunRecorder) -> None:
        self.pace = Pace()
        self._recorder = recorder
        self._reward = 0.0
        self._ended: deque[tuple[float, bool]] = deque(maxlen=PAPER_WINDOW)

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        """Take one timestep; those of relearning in a run are recorded and not counted."""
        self._recorder.record(step, snapshot)
        if self._recorder.phase:
            self.pace.skip()
            return
        self.pace.tick(step.step)
        self._reward = step.reward if step.step <= 1 else self._reward + step.reward
        if step.ended and not step.budget_spent:
            self._ended.append((self._reward, step.outcome is Outcome.SUCCESS))

    def progress(self, done: int, total: int, note: str = "") -> Progress:
        """Return where the job stands."""
        count = len(self._ended)
        return Progress(
            done=done,
            total=total,
            reward=sum(reward for reward, _ in self._ended) / count if count else None,
            success_rate=sum(success for _, success in self._ended) / count if count else None,
            note=note,
        )


class Companion:
    """Is told of each complete timestep of a learner (`stempilot.agent.Report`).

    Args:
        env: the environment of the learner.
        learner: who learns.
        run: where checkpoints go.
        recorder: the recorder of ``env``; its length belongs to each checkpoint.
        recent: counts episodes for the progress display.
        twin: makes an environment on a copy of the instrument as it is now; returns ``None``
            where there is no twin.
        config: how often to checkpoint, whether to evaluate.
        total: timesteps at the end of the run.
        evaluations: those of the run before it was interrupted.
        should_stop: whether a clean stop was asked for.
        on_progress: told after each timestep.
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
        config: RunConfig,
        total: int,
        evaluations: Sequence[Evaluation],
        should_stop: Callable[[], bool],
        on_progress: OnProgress,
    ) -> None:
        self.evaluations = list(evaluations)
        self._env = env
        self._learner = learner
        self._run = run
        self._recorder = recorder
        self._recent = recent
        self._twin = twin
        self._config = config
        self._total = total
        self._should_stop = should_stop
        self._on_progress = on_progress
        self._saved_at = env.timestep
        self._reported_at = env.timestep

    def __call__(self, numbers: Mapping[str, float], /) -> bool:
        """Evaluate, save and show what is due; return whether to go on."""
        del numbers
        timestep = self._env.timestep
        if timestep == self._reported_at:
            return not self._should_stop()
        self._reported_at = timestep
        if is_due(timestep) or timestep == self._total:
            self._evaluate(timestep)
        at_boundary = self._env.last.step == 0 or self._env.last.ended
        if at_boundary and timestep - self._saved_at >= self._config.checkpoint_every:
            self.save()
        self._on_progress(self._recent.progress(timestep, self._total))
        return not (self._should_stop() or self._env.budget_spent)

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
            played, _ = evaluate(
                twin,
                self._learner.policy(),
                EPISODES,
                give_up_after_failures=MAX_FAILURES + 1,
                on_episode=lambda _: not self._should_stop(),
            )
        successes = sum(episode.success for episode in played)
        complete = len(played) == EPISODES or len(played) - successes > MAX_FAILURES
        if complete:
            self.evaluations.append(
                Evaluation(timestep=timestep, episodes=len(played), successes=successes)
            )

    def save(self) -> None:
        """Save the learner and all that going on from here needs.

        Where an episode has just begun or ended, going on is equal to not having stopped. In the
        middle of one, the rest of that episode is given up.

        Raises:
            RecordError: the disk refused.
        """
        self._recorder.flush()
        last = self._env.last
        # A fresh reset belongs to the next episode, which begins anew when the run goes on.
        begun = last.step == 0 and last.episode >= 0
        progress = {
            "timesteps": self._env.timestep,
            "episodes": last.episode if begun else self._env.next_episode,
            "events_bytes": self._recorder.episode_start if begun else self._recorder.length,
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
        }
        self._run.checkpoint(progress, self._learner.save)
        self._saved_at = self._env.timestep
