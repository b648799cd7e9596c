"""`Session`: tasks on an opened instrument, until everything is put back."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from stempilot.contract.agent import Agent
from stempilot.contract.backend import Backend, Twinnable
from stempilot.contract.task import Reading, Task
from stempilot.contract.values import KnobValue
from stempilot.instrument.envelope import Envelope, effective_limits
from stempilot.instrument.fit import check_states, require_fit
from stempilot.instrument.frame_guard import FrameGuard
from stempilot.instrument.guard import GuardedBackend
from stempilot.instrument.opening import Instrument, audited, open_instrument, read_all
from stempilot.instrument.putting_back import put_back, read_baseline, savepoint
from stempilot.instrument.unfinished import Ask, decline, marked_unfinished
from stempilot.operation.episodes import run_episode
from stempilot.operation.scores import Episode
from stempilot.operation.task_env import TaskEnv
from stempilot.operation.timestep import Recorder
from stempilot.plugins.no_agent import NO_AGENT
from stempilot.plugins.parts import DEFAULT_MAX_TIMESTEPS
from stempilot.plugins.registry import discover

AnyTask = Task[Any, Any]
OnBaseline = Callable[[Mapping[str, KnobValue]], None]


@frozen(kw_only=True)
class Session(Instrument):
    """An opened instrument that makes environments and is put back at the end.

    Attributes:
        in_parts: nothing may be written but in a `part`, and there is no baseline outside of one.
    """

    _frames: FrameGuard = field(alias="frames")
    _name: str = field(alias="name")
    in_parts: bool = False

    def env(
        self,
        task: AnyTask,
        *,
        seed: int = 0,
        plain: bool = False,
        scramble: bool = True,
        max_timesteps: int = DEFAULT_MAX_TIMESTEPS,
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

    def play(
        self,
        task: AnyTask,
        agent: Agent | str | None = None,
        *,
        seed: int = 0,
        max_timesteps: int = DEFAULT_MAX_TIMESTEPS,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Episode:
        """Play one episode from where the instrument stands; a success of a task that acts stays.

        Args:
            task: an operation that the session was opened for.
            agent: who acts, or the name of an installed agent that needs no training; ``None``
                for a task that only measures.
            seed: seed of the agent, where it is a name, and of the episode.
            max_timesteps: the framework's budget of timesteps for the episode.
            should_stop: asked before each timestep; then the episode has failed.

        Raises:
            IncompatibleError: the agent does not fit the task.
            BackendError: the instrument is not in the states that the task needs.
            StempilotError: the instrument failed; the knobs are back where the episode began,
                unless it is a `RestoreError`.
        """
        agent = NO_AGENT if agent is None else agent
        acts = discover().agent(agent, task, seed=seed) if isinstance(agent, str) else agent
        with self.part(task, keep=True) as part:
            env = part.env(task, seed=seed, plain=True, max_timesteps=max_timesteps)
            episode = run_episode(env, acts.policy(), should_stop=should_stop)
            # A task that only measures must not leave the knobs where it measured.
            if not episode.success or isinstance(task, Reading):
                part.put_back()
        return episode

    @contextlib.contextmanager
    def part(
        self,
        task: AnyTask,
        *,
        keep: bool,
        run_dir: Path | None = None,
        on_baseline: OnBaseline = lambda _: None,
    ) -> Iterator["Session"]:
        """Begin a session for one task within this one, where the knobs stand now.

        It has a baseline of its own, and the states that the task needs are checked. In a session
        that is used in parts, its limits are worked out from that baseline, as for a new session.

        Args:
            task: an operation that the session was opened for.
            keep: leave the knobs where they are when the block ends without an exception.
            run_dir: an existing folder for the audit of the part; also what a mark leads to until
                the block ends with the knobs where they belong.
            on_baseline: saves the baseline before the first write.

        Raises:
            BackendError: the instrument failed, or is not in the states that the task needs.
            EnvelopeError: the envelope excludes where the knobs stand.
            HandsOffError: another user moved a knob since the part before.
            RestoreError: a knob is not back.
        """
        guard, needs, offers = self.guard, task.needs, self.backend.offers()
        check_states(needs, {state: self.backend.state(state) for state in needs.states})
        limits = guard.limits
        if self.in_parts:
            require_fit(needs, offers, task=type(task).__name__, backend=self._name)
            standing = read_all(self.backend, needs, offers)
            limits = effective_limits(self.envelope, offers, needs, standing)
        with audited(run_dir, ahead=not offers.simulated) as audit, guard.within(limits, audit):
            on_baseline(read_baseline(guard))
            marked = marked_unfinished(self.backend, self._name, run_dir)
            with marked, self.savepoint(keep=keep) as baseline:
                frames = FrameGuard(offers.sources) if self.in_parts else self._frames
                yield evolve(self, baseline=baseline, frames=frames, in_parts=False)

    def standing(self) -> dict[str, KnobValue]:
        """Return where the knobs stand that the session may write; raises as `read_baseline`."""
        return read_baseline(self.guard)

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
        self,
        task: AnyTask,
        *,
        seed: int,
        max_timesteps: int = DEFAULT_MAX_TIMESTEPS,
        timestep: int = 0,
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


@contextlib.contextmanager
def open_session(
    backend: Backend,
    tasks: Sequence[AnyTask],
    *,
    name: str,
    envelope: Envelope | None = None,
    keep: bool = False,
    on_baseline: OnBaseline = lambda _: None,
    names: Sequence[str] = (),
    run_dir: Path | None = None,
    accept_position: bool = False,
    ask: Ask = decline,
    in_parts: bool = False,
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
        accept_position: begin where the knobs stand, also where a run before left them displaced.
        ask: asked whether this is another instrument than that of such a run.
        in_parts: let each `Session.play`, and each `Session.part`, begin and end by itself: its
            states are checked then and not at opening, and only what it moved is put back where it
            fails. ``keep`` and ``on_baseline`` do nothing then.

    Yields:
        The session.

    Raises:
        IncompatibleError: the backend does not offer what the tasks need.
        EnvelopeError: the envelope excludes the start or what the tasks need.
        InstrumentBusyError: another run drives the instrument.
        BackendError: the instrument failed or is not ready.
        RecordError: the audit cannot be written.
        RestoreError: the instrument was not put back, or not by a run before.
        HandsOffError: another user moved a knob that was written; it stays where they put it.
    """
    called = [*names, *(type(task).__name__ for task in tasks[len(names) :])]
    needs = [(title, task.needs) for title, task in zip(called, tasks, strict=True)]
    with open_instrument(
        backend,
        needs,
        name=name,
        envelope=envelope,
        run_dir=run_dir,
        accept_position=accept_position,
        ask=ask,
        any_state=in_parts,
    ) as instrument:
        session = Session(
            backend=backend,
            guard=instrument.guard,
            baseline={} if in_parts else instrument.baseline,
            envelope=instrument.envelope,
            frames=FrameGuard(backend.offers().sources),
            name=name,
            in_parts=in_parts,
        )
        if in_parts:
            with instrument.guard.within({}, None):
                yield session
            return
        on_baseline(instrument.baseline)
        with marked_unfinished(backend, name, run_dir), session.savepoint(keep=keep):
            yield session
