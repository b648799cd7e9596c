"""A plan that is being carried out on an opened instrument."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from attrs import field, frozen

from stempilot.contract.task import Task
from stempilot.errors import RecordError
from stempilot.instrument.signals import stop_requests
from stempilot.operation.session import Session
from stempilot.operation.task_env import TaskEnv
from stempilot.record.recorder import RunRecorder
from stempilot.record.run_dir import RunDir
from stempilot.runs.plans import Plan
from stempilot.runs.progress import OnProgress


class TimeIsUp(KeyboardInterrupt):
    """A run has lasted for the minutes that its plan allows; it ends as by Ctrl-C."""


@frozen(kw_only=True)
class Job:
    """A plan being carried out on an opened instrument.

    Attributes:
        plan: what to do.
        session: the instrument.
        task: the operation.
        run: where it is recorded.
        on_progress: told of the progress.
        say: told what a person should know.
        log: keeps a line in ``log.txt``.
        files: what is closed at the end.
        afterwards: what is done once the instrument is back.
    """

    plan: Plan
    session: Session
    task: Task[Any, Any]
    run: RunDir
    on_progress: OnProgress
    say: Callable[[str], None]
    log: Callable[[str], None]
    files: ExitStack
    afterwards: ExitStack
    _began_s: float = field(factory=time.monotonic, init=False)

    def out_of_time(self) -> bool:
        """Return whether the run has lasted for the minutes that the plan allows."""
        minutes = self.plan.minutes
        return minutes is not None and time.monotonic() - self._began_s >= 60.0 * minutes

    @contextmanager
    def stop_requests(self) -> Iterator[Callable[[], bool]]:
        """Let the first Ctrl-C, and the end of the plan's minutes, ask for a clean stop.

        Yields:
            A function that tells whether a stop was asked for.
        """
        over = False

        def out_of_time() -> bool:
            nonlocal over
            over = over or self.out_of_time()
            return over

        with stop_requests() as asked:
            yield lambda: asked() or out_of_time()
        if over:
            self.say(self.time_is_up)

    @property
    def time_is_up(self) -> str:
        """The sentence for it."""
        return f"the limit of {self.plan.minutes:g} minutes is reached"

    def recorder(self, offset: int = 0) -> RunRecorder:
        """Return the recorder of the run; what it holds is written out however the run ends.

        Args:
            offset: where in the events to go on, in bytes.
        """
        recorder = RunRecorder(self.run.path, self.task, self.plan.frames, offset=offset)

        def close(_: object, error: BaseException | None, __: object) -> None:
            try:
                recorder.close()
            except RecordError:
                # What ended the run matters more than what could not be written of it.
                if error is None:
                    raise

        self.files.push(close)
        return recorder

    def budget_spent(self, env: TaskEnv, *, episodes: int = 0) -> str | None:
        """Return the sentence that the run budget ended the run, having said and logged it.

        Args:
            env: where the run acted.
            episodes: how many were played to their end.

        Returns:
            The sentence; ``None`` where the budget is not spent.
        """
        if not env.budget_spent:
            return None
        plan, more = self.plan, ""
        if plan.command != "run":
            done = f"The training ended after {env.timestep} of {plan.steps} timesteps"
            more = f" for another run, or go on with: stempilot train --resume {self.run.path}"
        elif plan.episodes is None:
            done = "The run ended before the task did"
        else:
            done = f"The evaluation ended after {episodes} of {plan.episodes} episodes; "
            done += "an episode that was cut off does not count"
            more = ", or ask for fewer --episodes"
        sentence = (
            "the run budget is spent: the envelope allows max_writes = "
            f"{self.session.envelope.max_writes} in a run. {done}. Raise max_writes in the "
            f"envelope file{more}"
        )
        self.say(sentence)
        self.log(sentence)
        return sentence

    @property
    def max_timesteps(self) -> int:
        """Most timesteps of an episode."""
        return self.plan.parts.run.max_timesteps

    def twin_env(self, seed: int, timestep: int = 0) -> TaskEnv | None:
        """Return an environment on a copy of the instrument as it is now, if there can be one."""
        return self.session.twin_env(
            self.task, seed=seed, max_timesteps=self.max_timesteps, timestep=timestep
        )
