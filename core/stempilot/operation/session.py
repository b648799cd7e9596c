"""`Session`, the only opener of a backend: from checking the fit to everything being put back."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from stempilot.contract.backend import Backend, Twinnable
from stempilot.contract.task import Task
from stempilot.contract.values import KnobNeed, KnobValue, Needs, Offers
from stempilot.errors import EnvelopeError, IncompatibleError
from stempilot.instrument.audit import AuditFile
from stempilot.instrument.checks import read_back
from stempilot.instrument.envelope import (
    Envelope,
    check_calibration,
    effective_limits,
    open_envelope,
)
from stempilot.instrument.fit import check_states, mismatches
from stempilot.instrument.frame_guard import FrameGuard
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.lock import instrument_lock
from stempilot.instrument.putting_back import put_back, savepoint
from stempilot.instrument.signals import interrupts_once
from stempilot.operation.task_env import Recorder, TaskEnv
from stempilot.plugins.parts import DEFAULT_MAX_STEPS

AnyTask = Task[Any, Any]


@frozen(kw_only=True)
class Session:
    """An opened instrument with its limits and its baseline.

    Attributes:
        backend: the opened backend. Write through `guard`, never through this.
        guard: the backend behind its limits.
        baseline: where the knobs stood at the start.
        envelope: what the site allows.
    """

    backend: Backend
    guard: GuardedBackend
    baseline: Mapping[str, KnobValue]
    envelope: Envelope
    _frames: FrameGuard = field(alias="frames")

    def env(
        self,
        task: AnyTask,
        *,
        seed: int = 0,
        plain: bool = False,
        scramble: bool = True,
        max_timesteps: int = DEFAULT_MAX_STEPS,
        recorder: Recorder | None = None,
        first_episode: int = 0,
        first_timestep: int = 0,
    ) -> TaskEnv:
        """Return an environment of a task that the session was opened for.

        Args:
            task: the operation.
            seed: seed of all episodes.
            plain: start each episode from where the instrument stands.
            scramble: draw a start around where the knobs stand now for each episode; without,
                each begins at the session's baseline.
            max_timesteps: most timesteps of an episode.
            recorder: told of every timestep.
            first_episode: number of the first episode.
            first_timestep: timesteps of the run before.
        """
        where = self.guard.read if scramble else self.baseline.__getitem__
        home = {knob: where(knob) for knob in task.needs.knobs}
        return TaskEnv(
            task,
            self.guard,
            self._frames,
            seed=seed,
            home=None if plain else home,
            scramble=scramble,
            max_timesteps=max_timesteps,
            recorder=recorder,
            first_episode=first_episode,
            first_timestep=first_timestep,
        )

    def savepoint(self, *, keep: bool) -> contextlib.AbstractContextManager[dict[str, KnobValue]]:
        """Return a block that puts the knobs back to where they stand now; see `savepoint`."""
        return savepoint(self.guard, keep=keep, may_park=self.envelope.may_park)

    def put_back(self) -> None:
        """Put every knob back to where it stood when the session was opened.

        Raises:
            RestoreError: a knob is not back.
        """
        put_back(self.guard, self.baseline, may_park=self.envelope.may_park)

    def twin_env(
        self, task: AnyTask, *, seed: int, max_timesteps: int = DEFAULT_MAX_STEPS, timestep: int = 0
    ) -> TaskEnv | None:
        """Return an environment on an independent copy of the instrument, if it can be copied.

        Closing the environment closes the copy.
        """
        if not isinstance(self.backend, Twinnable):
            return None
        guard = GuardedBackend(self.backend.twin(), self.guard.limits)
        home = {knob: self.baseline[knob] for knob in task.needs.knobs}
        frames = FrameGuard(self.backend.offers().sources)
        env = TaskEnv(
            task,
            guard,
            frames,
            seed=seed,
            home=home,
            max_timesteps=max_timesteps,
            first_timestep=timestep,
        )
        env.closing.callback(guard.backend.close)
        return env


def combined_needs(tasks: Sequence[AnyTask]) -> Needs:
    """Return the needs of several tasks together; of steps of one knob the largest.

    Raises:
        IncompatibleError: two tasks need the instrument in different states.
    """
    knobs: dict[str, KnobNeed] = {}
    for task in tasks:
        for name, need in task.needs.knobs.items():
            other = knobs.get(name, need)
            largest = tuple(map(max, need.largest_step, other.largest_step))
            knobs[name] = evolve(need, largest_step=largest)
    states: dict[str, str] = {}
    for task in tasks:
        for name, value in task.needs.states.items():
            if states.setdefault(name, value) != value:
                problem = f"one task needs {name} = {states[name]}, another {name} = {value}"
                raise IncompatibleError([problem])
    sources = dict.fromkeys(source for task in tasks for source in task.needs.sources)
    return Needs(knobs=knobs, sources=tuple(sources), states=states)


def require_envelope(envelope: Envelope | None, backend: Backend, name: str) -> Envelope:
    """Return the envelope to use; a simulator may do without a file.

    Raises:
        EnvelopeError: none for a real instrument, or one written for another backend.
    """
    if envelope is None:
        if not backend.offers().simulated:
            msg = (
                f"{name} moves a real instrument and needs an envelope; write one with "
                f"`stempilot envelope init --backend {name} --out envelope.toml`, check it, "
                "and pass it with --envelope envelope.toml"
            )
            raise EnvelopeError(msg)
        return open_envelope(name, backend.offers())
    if envelope.backend != name:
        msg = f"this envelope was written for {envelope.backend}, not for {name}"
        raise EnvelopeError(msg)
    return envelope


def _require_fit(
    tasks: Sequence[AnyTask], names: Sequence[str], offers: Offers, backend: str
) -> None:
    """Check what all tasks need, naming each as it is called or by its class."""
    called = [*names, *(type(task).__name__ for task in tasks[len(names) :])]
    problems = [
        problem
        for task, title in zip(tasks, called, strict=True)
        for problem in mismatches(task.needs, offers, task=title, backend=backend)
    ]
    if problems:
        raise IncompatibleError(list(dict.fromkeys(problems)))


def _audit(
    run_dir: Path | None, *, ahead: bool
) -> contextlib.AbstractContextManager[AuditFile | None]:
    return contextlib.nullcontext() if run_dir is None else AuditFile(run_dir, ahead=ahead)


@contextlib.contextmanager
def open_session(
    backend: Backend,
    tasks: Sequence[AnyTask],
    *,
    name: str,
    envelope: Envelope | None = None,
    keep: bool = False,
    on_baseline: Callable[[Mapping[str, KnobValue]], None] | None = None,
    names: Sequence[str] = (),
    run_dir: Path | None = None,
) -> Iterator[Session]:
    """Open a backend for some tasks, and put every knob back when the block ends.

    Nothing is written before the needs of all tasks, the modes of the instrument and the envelope
    have been checked and the baseline has been handed to ``on_baseline``.

    Args:
        backend: a backend that is not open yet.
        tasks: the operations that the session is for.
        name: the backend's name, for messages and to compare with the envelope's.
        envelope: what the site allows; simulators may do without.
        keep: leave the knobs where they are when the block ends without an exception.
        on_baseline: saves the baseline before the first write.
        names: what the tasks are called in messages; their classes' names where there is none.
        run_dir: an existing folder for the audit of all writes; there is none without.

    Yields:
        The session.

    Raises:
        IncompatibleError: the backend does not offer what the tasks need.
        EnvelopeError: the envelope excludes the start or what the tasks need.
        InstrumentBusyError: another run drives the instrument.
        BackendError: the instrument failed or is not ready.
        RecordError: the audit cannot be written.
        RestoreError: the instrument was not put back.
        HandsOffError: another user moved a knob that was written; it stays where they put it.
    """
    offers = backend.offers()
    _require_fit(tasks, names, offers, name)
    envelope = require_envelope(envelope, backend, name)
    check_calibration(envelope, offers, name)
    needs = combined_needs(tasks)
    with (
        interrupts_once(),
        instrument_lock(backend, name, run_dir=run_dir),
        contextlib.ExitStack() as recorded,
        backend,
    ):
        check_states(needs, {state: backend.state(state) for state in needs.states})
        baseline = {knob: read_back(backend, knob, offers.knobs[knob]) for knob in needs.knobs}
        guard = GuardedBackend(
            backend,
            effective_limits(envelope, offers, needs, baseline),
            writes_per_s=envelope.writes_per_s,
            max_writes=envelope.max_writes,
            standing=baseline,
            audit=recorded.enter_context(_audit(run_dir, ahead=not offers.simulated)),
            pixel_mrad=envelope.pixel_mrad,
        )
        if on_baseline is not None:
            on_baseline(baseline)
        with savepoint(guard, keep=keep, may_park=envelope.may_park):
            yield Session(
                backend=backend,
                guard=guard,
                baseline=baseline,
                envelope=envelope,
                frames=FrameGuard(offers.sources),
            )
