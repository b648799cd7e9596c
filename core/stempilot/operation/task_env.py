"""`TaskEnv`, the only Gymnasium environment of stempilot: a task on a guarded backend."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from numpy.random import SeedSequence

from stempilot.contract.backend import Reseedable, StartsEpisodes, Truthful
from stempilot.contract.goals import Raise
from stempilot.contract.task import Task
from stempilot.contract.values import KnobValue, Outcome, SetPoint, Snapshot
from stempilot.errors import BudgetSpentError, EnvelopeError
from stempilot.instrument.fit import check_states
from stempilot.instrument.frame_guard import FrameGuard
from stempilot.instrument.guard import GuardedBackend, Origin
from stempilot.operation.actions import as_action
from stempilot.operation.meanwhile import Meanwhile
from stempilot.operation.places import Best, Place, Starts, better, no_start
from stempilot.operation.task_vec_env import TaskVecEnv, vector_of
from stempilot.operation.timestep import By, Recorder, Timestep, info_of, instrument_id
from stempilot.plugins.parts import DEFAULT_MAX_TIMESTEPS

Draw = Callable[["TaskEnv", Snapshot], npt.NDArray[np.uint8] | None]


class TaskEnv(gymnasium.Env[npt.NDArray[Any], Any]):
    """A task on a backend, as agents see it.

    Made by `stempilot.Session.env`. Episodes are numbered; the start of an episode depends
    on the seed, its number and the run's timestep alone, unless the instrument has drifted.

    Args:
        task: the operation.
        guard: the session's backend.
        frames: the session's frame guard.
        seed: seed of all episodes.
        home: where resets return to before a start is drawn; ``None`` to start each episode from
            where the instrument stands (a plain run: no reseed, no scramble).
        scramble: draw a start around home; without, each episode begins at home itself.
        max_timesteps: most timesteps of an episode.
        recorder: told of every timestep and reset.
        first_episode: number of the first episode, to continue a run.
        first_timestep: timesteps of the run before, to continue it.

    Attributes:
        closing: what `close` unwinds.
        should_stop: asked before each of the task's own moves; then they are taken back.
        render_mode: how `render` shows what is seen; ``None`` for not at all.
        draw: what draws it, told the environment and what was seen last.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's own attribute
        "render_modes": ["rgb_array", "human"],
        "render_fps": 5,
    }

    def __init__(
        self,
        task: Task[Any, Any],
        guard: GuardedBackend,
        frames: FrameGuard,
        *,
        seed: int,
        home: Mapping[str, KnobValue] | None,
        scramble: bool = True,
        max_timesteps: int = DEFAULT_MAX_TIMESTEPS,
        recorder: Recorder | None = None,
        first_episode: int = 0,
        first_timestep: int = 0,
    ) -> None:
        self.task = task
        self.observation_space = task.observation_space
        self.action_space = task.action_space
        self.next_episode = first_episode
        self.timestep = first_timestep
        self.budget_spent = False
        self.last = Timestep(episode=first_episode - 1, step=0, timestep=first_timestep)
        self._guard = guard
        self._frames = frames
        self._seed = seed
        fresh = isinstance(guard.backend, Reseedable) or guard.backend.offers().misaligns
        self._starts = None if home is None else Starts(home, moves=scramble and not fresh)
        self._scramble = scramble
        self._max_timesteps = max_timesteps
        self.recorder = recorder
        self.should_stop: Callable[[], bool] = lambda: False
        self.meanwhile_work = Meanwhile()
        self.closing = contextlib.ExitStack()
        self.closing.callback(self.meanwhile_work.close)
        self.draw: Draw | None = None
        self._seen: Snapshot | None = None
        self._instrument = self._reason = ""
        self._standing: dict[str, KnobValue] = {}
        self._best: Best | None = None
        self._needs = task.needs
        self._truthful = guard.backend if isinstance(guard.backend, Truthful) else None
        offered = guard.backend.offers().knobs
        further = (knob for knob in self._needs.reads if knob in offered)
        self._recorded_knobs = (*self._needs.knobs, *further)

    @property
    def waits(self) -> bool:
        """Whether a timestep is mostly waiting for an instrument (no simulator)."""
        return not self._guard.backend.offers().simulated

    def meanwhile(self, work: Callable[[], object], times: int) -> None:
        """Let ``work`` be called ``times`` times during the next `step`, beside the instrument.

        The calls come one after the other from one other thread, begin with the step and are all
        done when it returns; what they raise, `step` raises. A step that raises first does not
        wait for more than the call under way. They must not touch this environment, nor the
        generators that anything in the step draws from.
        """
        self.meanwhile_work.ask(work, times)

    def vector(self, count: int, seed: int) -> TaskVecEnv:
        """Return the task on many such instruments at once, measured without frames.

        This environment, its instrument and its episodes are left alone. The limits are the same;
        rate and budget of writes are those of one real instrument, and do not count.

        Args:
            count: how many instruments.
            seed: seed of all their episodes.

        Raises:
            ConfigError: no instrument is asked for, or a negative seed.
            IncompatibleError: the task does not take many episodes at once, or the backend cannot
                measure without frames what it needs, or only with other options.
        """
        home = None if self._starts is None else self._starts.home
        return vector_of(
            self.task, self._guard, home, (count, seed), max_timesteps=self._max_timesteps
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Begin the next episode and return its first observation.

        With a seed, episodes and timesteps are counted from 0 again. Unless the environment is for
        a plain run, the knobs go home, the backend is reseeded or the task scrambles, and starts
        that the task refuses are drawn again. Where none around home is accepted, the instrument
        may have drifted: then they are drawn around the place of the last success.

        Raises:
            StartError: no acceptable start in `MAX_STARTS` attempts around each place.
            BackendError: the instrument failed.
        """
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._seed, self.next_episode, self.timestep = seed, 0, 0
        episode, self.next_episode = self.next_episode, self.next_episode + 1
        starts = None if self.budget_spent else self._starts
        state, snapshot = self._look() if starts is None else self._start(episode, starts)
        self._instrument = instrument_id(self._guard.backend.identity())
        self._best = None
        self._tell(
            episode=episode,
            step=0,
            timestep=self.timestep,
            outcome=self.task.outcome(state),
            state=state,
            snapshot=snapshot,
        )
        self._task_moves()
        return self._told()

    def _start(self, episode: int, starts: Starts) -> tuple[Any, Snapshot]:
        backend, last = self._guard.backend, ""
        if isinstance(backend, StartsEpisodes):
            # Where a recorded episode began, whatever the task thinks of it.
            start = {point.knob: point.value for point in backend.start_of(episode)}
            self._ramp({knob: start[knob] for knob in start if knob in self._needs.knobs})
            self._frames.forget()
            return self._look()
        if not self._scramble:
            self._ramp(starts.home)
            return self._look()
        for attempt, place in starts.attempts():
            try:
                state, snapshot = self._attempt((episode, attempt), place)
            except EnvelopeError as refusal:
                if place == starts.home:
                    raise
                last = str(refusal)
                continue
            if self.task.is_start(state):
                return state, snapshot
            last = self.task.explain(state)
        raise no_start(last, attempt + 1)

    def _attempt(self, key: tuple[int, int], place: Place) -> tuple[Any, Snapshot]:
        """Draw a start around a place, and measure there."""
        backend = self._guard.backend
        self._ramp(place)
        if isinstance(backend, Reseedable):
            backend.reseed(SeedSequence(self._seed, spawn_key=key), timestep=self.timestep)
            self._frames.forget()
        if not backend.offers().misaligns:
            rng = np.random.default_rng(SeedSequence(self._seed, spawn_key=(*key, 1)))
            self._guard.ramp(self.task.scramble(place, rng))
        return self._look()

    def _ramp(self, place: Place, origin: Origin = "reset") -> None:
        self._guard.ramp([SetPoint(knob, value) for knob, value in place.items()], origin)

    def look(self) -> tuple[Any, bool]:
        """Measure once where the knobs stand, and tell no one.

        Returns:
            What the task makes of it as a beginning, and whether it sees what it works on.

        Raises:
            BackendError: the instrument failed.
        """
        _, measured = self._measure()
        seen = all(self.task.sees(measured, source) for source in self._needs.sources)
        return self.task.initial(measured), seen

    def _look(self) -> tuple[Any, Snapshot]:
        snapshot, measured = self._measure()
        return self.task.initial(measured), snapshot

    def _measure(self) -> tuple[Snapshot, Any]:
        needs, guard = self._needs, self._guard
        frames = {}
        for source in needs.sources:
            frames[source] = guard.acquire(source)
            self._frames.check(source, frames[source])
        numbers = {name: guard.backend.number(name) for name in needs.numbers}
        knobs = {knob: guard.read(knob) for knob in self._recorded_knobs}
        states = {name: guard.backend.state(name) for name in needs.states}
        check_states(needs, states)
        snapshot = Snapshot(
            frames=frames, knobs=knobs, states=states, numbers=numbers, simulated=not self.waits
        )
        measured = self.task.measure(snapshot)
        for source in needs.sources:
            if self.task.sees(measured, source):
                self._frames.saw_something(source)
        self._standing = {knob: knobs[knob] for knob in needs.knobs}
        return snapshot, measured

    def step(self, action: Any) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Carry out an action and return observation, reward, terminated, truncated and info.

        The task's own moves that follow belong to the action: their rewards are added to its own.
        An episode that its start has ended moves nothing and ends.

        Raises:
            IncompatibleError: the action is outside the action space.
            HandsOffError: another user moved a knob.
            FrameError: the camera failed.
            BackendError: the instrument failed. Never turned into a reward.
        """
        with self.meanwhile_work.running():
            return self._step(action)

    def _step(self, action: Any) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        if self.last.state is None:
            msg = "reset() must be called before the first step()"
            raise RuntimeError(msg)
        action = as_action(action, self.action_space)
        ended = self.last.ended
        targets = self.task.targets(self.last.state, action, self._standing)
        reward = self._move(() if ended else targets, action)
        reward += self._task_moves()
        observation, info = self._told()
        terminated = self.last.outcome is not Outcome.RUNNING
        return observation, reward, terminated, self.last.truncated, info

    def _task_moves(self) -> float:
        """Carry out what the task itself wants to move; return the reward of it."""
        reward, home = 0.0, None
        while not self.last.ended:
            points = self.task.own_moves(self.last.state, self._standing)
            if points is None:
                return reward
            if self.should_stop():
                break
            home = home or dict(self._standing)
            reward += self._move(points, None, by="task")
        if home and (self._reason or self.last.outcome is not Outcome.SUCCESS):
            self._ramp(home, "task")
        return reward

    def return_to_best(self) -> None:
        """Go to the best place that an episode with the goal `Raise` visited, and measure again.

        The episode has succeeded when that beats its start by more than twice the noise. Nothing is
        done for other goals, or where the task itself says that the episode failed.

        Raises:
            BackendError: the instrument failed.
        """
        goal = self.task.goal
        failed = self.last.outcome is Outcome.FAILURE
        if not isinstance(goal, Raise) or self._best is None or not self.last.ended or failed:
            return
        self._ramp(self._best.place, "task")
        first = self._best.first
        snapshot, measured = self._measure()
        state = self.task.advance(self.last.state, None, measured)
        gained = float(self.task.observe(state)[goal.entry]) - first
        self.timestep += 1
        self._tell(
            episode=self.last.episode,
            step=self.last.step + 1,
            timestep=self.timestep,
            outcome=Outcome.SUCCESS if gained > 2 * goal.noise else Outcome.FAILURE,
            by="return",
            state=state,
            snapshot=snapshot,
        )

    def _move(self, points: Sequence[SetPoint], action: Any, by: By = "agent") -> float:
        """Send set points, measure and tell one timestep; return its reward."""
        before, snapshot = self.last.state, None
        self._reason = ""
        try:
            self._guard.send(points, "task" if by == "task" else "agent")
        except EnvelopeError as refusal:
            after, outcome, self._reason = before, Outcome.BLOCKED, str(refusal)
            refused = self.task.refused(before) if by == "task" else None
            if refused is not None:
                after, outcome = refused, self.task.outcome(refused)
        except BudgetSpentError as spent:
            after, outcome, self._reason = before, Outcome.RUNNING, str(spent)
            self.budget_spent = True
        else:
            snapshot, measured = self._measure()
            after = self.task.advance(before, action, measured)
            outcome = self.task.outcome(after)
        reward = 0.0 if self.budget_spent else self.task.reward(before, action, after, outcome)
        step = self.last.step + 1
        self.timestep += 1
        late = step >= self._max_timesteps or self.budget_spent
        self._tell(
            episode=self.last.episode,
            step=step,
            timestep=self.timestep,
            action=action,
            reward=reward,
            outcome=outcome,
            truncated=late and outcome is Outcome.RUNNING,
            budget_spent=self.budget_spent,
            by=by,
            state=after,
            snapshot=snapshot,
        )
        return reward

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return what was seen last as (rows, cols, 3); ``None`` where a window shows it."""
        if self.draw is None or self._seen is None:
            return None
        return self.draw(self, self._seen)

    def close(self) -> None:
        """Close what was opened for this environment alone; a session's stays open."""
        self.closing.close()

    def _tell(self, **what: Any) -> None:
        """Record a timestep and forget its pixels."""
        writes = tuple(self._guard.writes)
        self._guard.writes.clear()
        truth = None if self._truthful is None else self._truthful.truth()
        snapshot = what.pop("snapshot")
        observation = self.task.observe(what["state"])
        self.last = Timestep(
            writes=writes,
            truth=truth,
            instrument=self._instrument,
            observation=observation,
            **what,
        )
        if self._starts is not None and self.last.outcome is Outcome.SUCCESS:
            self._starts.succeeded(self._standing)
        if isinstance(goal := self.task.goal, Raise):
            self._best = better(self._best, float(observation[goal.entry]), self._standing)
        if self.recorder is not None:
            self.recorder.record(self.last, snapshot)
        if self.draw is not None:
            self._seen = snapshot or self._seen
            if self.render_mode == "human":
                self.render()

    def _told(self) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Return observation and info of the last timestep."""
        assert self.last.observation is not None  # noqa: S101 - for the type checker
        return self.last.observation, info_of(self.last, self._reason)
