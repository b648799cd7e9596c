"""`TaskVecEnv`: one task on many simulated instruments at once, measured without frames.

For learning from thousands of instruments, and for the evaluations in the course of a training.
What an evaluation of its own reports is measured on frames, through `stempilot.TaskEnv`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.random import SeedSequence

from stempilot.contract.backend import InstrumentBatch, MeasuresDirectly, Rows
from stempilot.contract.task import Arrays, Batchable, FloatArray, ScoredBatch, Task, TaskBatch
from stempilot.contract.values import KnobSpec, KnobValue
from stempilot.errors import IncompatibleError, StartError
from stempilot.instrument.checks import may_change
from stempilot.instrument.guard import GuardedBackend
from stempilot.operation.timestep import instrument_id
from stempilot.plugins.options import whole

_AHEAD = 2048
"""How many starts are drawn at a time: that costs little more than one."""

Flags = npt.NDArray[np.bool_]
Told = tuple[npt.NDArray[Any], FloatArray, Flags, Flags, dict[str, Any]]


class TaskVecEnv(VectorEnv[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]):
    """A task on n instruments, as Gymnasium's vector environments are.

    Made by `stempilot.TaskEnv.vector`. An episode that has ended begins again in the step after
    (``AutoresetMode.NEXT_STEP``): that step ignores its action and returns the first observation
    with a reward of 0. A plan that the limits refuse is not carried out and ends its episode.
    Everything depends on the seed and the actions alone.

    Every info holds ``is_success`` and ``is_blocked``, (n,): whether the task succeeded, or the
    limits refused its plan. An episode that is terminated otherwise has failed.

    Args:
        task: the operation; it is `Batchable`.
        instruments: n of them.
        seed: seed of all episodes until `reset` gets another one.
        limits: what may be written, by knob.
        max_timesteps: the framework's budget of timesteps for an episode.
        instrument: what policies are told of which instrument it is.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - Gymnasium's own attribute
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        task: Task[Any, Any],
        instruments: InstrumentBatch,
        *,
        seed: int,
        limits: Mapping[str, KnobSpec],
        max_timesteps: int,
        instrument: str = "",
    ) -> None:
        if not isinstance(task, Batchable):
            raise IncompatibleError([f"{type(task).__name__} does not take many episodes at once"])
        self.num_envs = count = instruments.count
        self.single_observation_space = task.observation_space
        self.single_action_space = task.action_space
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self._task = task.batched()
        self._knobs = tuple(task.needs.knobs)
        self._instruments = instruments
        self._limits = {knob: _Limit(spec) for knob, spec in limits.items()}
        self._max_timesteps = max_timesteps
        self.instrument = instrument
        self._everywhere = np.ones(count, np.bool_)
        self._everywhere.flags.writeable = False
        self._state: Arrays | None = None
        self._steps = np.zeros(count, np.int64)
        self._ended = np.zeros(count, np.bool_)
        self._sow(seed)

    def _sow(self, seed: int) -> None:
        self._instruments.reseed(SeedSequence(seed))
        self._starts = _Starts(self._task, self._instruments)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Begin an episode on every instrument; with a seed, all randomness begins again.

        Raises:
            StartError: the task refuses every start.
        """
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._sow(seed)
        self._state = self._starts.room(self.num_envs)
        self._begin(np.arange(self.num_envs), self._state)
        self._ended[:] = False
        none = np.zeros(self.num_envs, np.bool_)
        return self._task.observe(self._state), self._info(none, none.copy())

    def step(self, actions: npt.NDArray[Any]) -> Told:
        """Carry out an action on every instrument where an episode is under way.

        Returns:
            Observations, rewards, terminated, truncated and infos, each with n rows.

        Raises:
            RuntimeError: `reset` was never called.
            IncompatibleError: an action is outside the action space.
            StartError: the task refuses every start.
        """
        before = self._state
        if before is None:
            msg = "reset() must be called before the first step()"
            raise RuntimeError(msg)
        if not self.action_space.contains(actions):
            raise IncompatibleError([f"an action of {actions!r} is outside {self.action_space}"])
        # Component by component in memory, as the numbers of all that follows: twice as fast.
        actions = np.asfortranarray(actions)
        standing = {knob: self._instruments.read(knob) for knob in self._knobs}
        blocked = self._send(self._task.targets(before, actions, standing), standing)
        after = self._task.advance(before, actions, self._instruments.measure())
        self._steps += 1
        if blocked.size:
            _replace(after, blocked, before, blocked)
        begun = self._ended.nonzero()[0]
        if begun.size:
            self._begin(begun, after)
        return self._tell(before, actions, after, begun=begun, blocked=blocked)

    def oracle_actions(self) -> npt.NDArray[Any]:
        """Return the best possible actions, (n, ...); for scoring, and to teach with.

        Raises:
            IncompatibleError: the task knows none.
        """
        return self._scored().oracle_actions(self._state or {}, self._instruments.truth())

    def true_errors(self) -> Arrays:
        """Return the true errors after the last step, (n,) by name; for scoring alone.

        Raises:
            IncompatibleError: the task knows none.
        """
        return self._scored().true_errors(self._state or {}, self._instruments.truth())

    def _scored(self) -> ScoredBatch:
        if self._state is None or not isinstance(self._task, ScoredBatch):
            msg = "no best actions are known before reset(), or for a task that is not ScoredBatch"
            raise IncompatibleError([msg])
        return self._task

    def _send(self, plan: Mapping[str, FloatArray], standing: Mapping[str, FloatArray]) -> Rows:
        """Write what the limits allow; return the rows of which they refuse a knob."""
        allowed = self._everywhere
        for knob, values in plan.items():
            limit = self._limits.get(knob)
            if limit is None:
                raise IncompatibleError([f"the limits do not list {knob}, which the plan moves"])
            allowed = allowed & limit.allows(values, standing[knob])
        blocked = (~allowed).nonzero()[0]
        for knob, values in plan.items():
            sent = values
            if blocked.size:
                sent = values.copy(order="K")
                sent[blocked] = standing[knob][blocked]
            self._instruments.write(knob, sent)
        return blocked

    def _begin(self, rows: Rows, state: Arrays) -> None:
        """Put fresh instruments into some rows, with the states that they are in."""
        self._starts.fill(rows, state)
        self._steps[rows] = 0

    def _tell(
        self,
        before: Arrays,
        actions: npt.NDArray[Any],
        after: Arrays,
        *,
        begun: Rows,
        blocked: Rows,
    ) -> Told:
        success, failure = self._task.outcome(after)
        refused = np.zeros(self.num_envs, np.bool_)
        refused[blocked] = True
        refused[begun] = False
        success, failure = success & ~refused, failure | refused
        rewards = self._task.reward(before, actions, after, success=success, failure=failure)
        rewards[begun] = 0.0
        terminated = success | failure
        truncated = (self._steps >= self._max_timesteps) & ~terminated
        self._state, self._ended = after, terminated | truncated
        info = self._info(success, refused)
        return self._task.observe(after), rewards, terminated, truncated, info

    def _info(self, success: Flags, refused: Flags) -> dict[str, Any]:
        every = self._everywhere
        return {
            "is_success": success,
            "_is_success": every,
            "is_blocked": refused,
            "_is_blocked": every,
        }


class _Starts:
    """Instruments drawn ahead, from which the task lets an episode start."""

    def __init__(self, task: TaskBatch, instruments: InstrumentBatch) -> None:
        self._task = task
        self._instruments = instruments
        self._left: Rows = np.arange(0)

    def room(self, count: int) -> Arrays:
        """Return states of so many episodes, to be filled."""
        if not self._left.size:
            self._draw()
        return {
            name: np.empty_like(item, shape=(count, *item.shape[1:]))
            for name, item in self._state.items()
        }

    def fill(self, rows: Rows, state: Arrays) -> None:
        """Put the next ones into some rows of the instruments, and of the states.

        Raises:
            StartError: the task refuses all that were drawn at a time.
        """
        while rows.size:
            if not self._left.size:
                self._draw()
            which, self._left = self._left[: rows.size], self._left[rows.size :]
            now, rows = rows[: which.size], rows[which.size :]
            self._instruments.put(now, self._fresh, which)
            _replace(state, now, self._state, which)

    def _draw(self) -> None:
        self._fresh = self._instruments.fresh(_AHEAD)
        self._state = self._task.initial(self._fresh.measure())
        self._left = self._task.is_start(self._state).nonzero()[0]
        if not self._left.size:
            msg = (
                f"the task starts from none of {_AHEAD} instruments: either it sees nothing, or "
                "its starting range is too narrow or already at the goal"
            )
            raise StartError(msg)


class _Limit:
    """Whether values of a knob may be written, by the rules of `instrument.checks`."""

    def __init__(self, spec: KnobSpec) -> None:
        self._lower, self._upper = np.array(spec.lower), np.array(spec.upper)
        self._change, self._resolution = np.array(spec.max_change), np.array(spec.resolution)

    def allows(self, values: FloatArray, standing: FloatArray) -> Flags:
        """Return (n,), whether each row of ``values`` may be written; NaN may not."""
        inside = values >= self._lower
        inside &= values <= self._upper
        inside &= may_change(values - standing, self._change, self._resolution)
        allowed = inside[:, 0]
        for component in range(1, inside.shape[1]):
            allowed = allowed & inside[:, component]
        return allowed


def _replace(state: Arrays, rows: Rows, other: Arrays, which: Rows) -> None:
    """Set some rows of a state to some of another."""
    for name, item in state.items():
        item[rows] = other[name][which]


def instruments_of(backend: object, task: Task[Any, Any]) -> MeasuresDirectly:
    """Return a backend that can measure for a task without frames.

    Raises:
        IncompatibleError: the task does not take many episodes at once, or the backend does not
            measure without frames, or not what the task needs.
    """
    problems = []
    if not isinstance(task, Batchable):
        problems.append(f"{type(task).__name__} does not take many episodes at once (Batchable)")
    if not isinstance(backend, MeasuresDirectly):
        name = type(backend).__name__
        problems.append(f"{name} does not measure without frames (MeasuresDirectly)")
    if not isinstance(task, Batchable) or not isinstance(backend, MeasuresDirectly):
        raise IncompatibleError(problems)
    offered = backend.measurements()
    missing = [name for name in task.batched().measurements if name not in offered]
    if missing:
        listing = ", ".join(sorted(offered))
        problem = f"the task needs {', '.join(missing)} measured; the backend offers {listing}"
        raise IncompatibleError([problem])
    return backend


def vector_of(
    task: Task[Any, Any],
    guard: GuardedBackend,
    home: Mapping[str, KnobValue] | None,
    asked: tuple[int, int],
    *,
    max_timesteps: int,
) -> TaskVecEnv:
    """Return a task on many instruments such as the one behind a guard.

    Args:
        task: the operation.
        guard: of the one instrument.
        home: where the knobs stand at home; ``None`` for where they stand now.
        asked: how many instruments, and the seed of all their episodes.
        max_timesteps: the framework's budget of timesteps for an episode.

    Raises:
        ConfigError: no instrument is asked for, or a negative seed.
        IncompatibleError: see `instruments_of`.
    """
    count, seed = whole("count", asked[0], least=1), whole("seed", asked[1], least=0)
    source = instruments_of(guard.backend, task)
    home = home or {knob: guard.backend.read(knob) for knob in task.needs.knobs}
    return TaskVecEnv(
        task,
        source.batch(count, home),
        seed=seed,
        limits=guard.limits,
        max_timesteps=max_timesteps,
        instrument=instrument_id(guard.backend.identity()),
    )
