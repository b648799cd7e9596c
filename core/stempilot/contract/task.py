"""The contract of an operation: pure functions over measurements.

A task never sees a backend. The framework (`stempilot.TaskEnv`) takes snapshots, writes what
the task plans, and keeps the state that the task returns.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from stempilot.contract.goals import Centre, Goal, Product, Quantity, Raise
from stempilot.contract.values import (
    KnobValue,
    Needs,
    Outcome,
    SetPoint,
    Snapshot,
    Transitions,
)

M = TypeVar("M")
S = TypeVar("S")
FloatArray = npt.NDArray[np.float64]

SCRAMBLE_STEPS = 6.0
"""How far from home a start is drawn by default, in full actions."""

REWARD_END = 100.0
"""Default reward of success; failure costs as much."""

REWARD_TIMESTEP = 0.1
"""Default cost of a timestep."""


class Task(ABC, Generic[M, S]):
    """An operation of the instrument, as pure functions: same inputs, same outputs.

    ``M`` is a measurement, a few numbers out of a snapshot. ``S`` is the state of an episode.
    Neither may hold pixels. A simple task gives `needs`, `observation_space`, `measure`, `observe`
    and `goal`, and lets the state be the last measurement; all else has a default.
    """

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """What the task requires of a backend."""

    @abstractmethod
    def measure(self, snapshot: Snapshot) -> M:
        """Reduce a snapshot to a few numbers. The ONLY function that sees pixels.

        Called once per timestep and once per reset.

        Raises:
            FrameError: the frame cannot be used at all (wrong shape, clipping hides the edge).
        """

    @property
    @abstractmethod
    def observation_space(self) -> gymnasium.Space[Any]:
        """Space of what `observe` returns."""

    @abstractmethod
    def observe(self, state: S) -> npt.NDArray[Any]:
        """Return the observation, inside the observation space."""

    @property
    def goal(self) -> Goal | None:
        """What the agent is asked for; ``None`` where the reward alone says it."""
        return None

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """Space of what `targets` takes: one number from -1 to 1 for each knob component."""
        size = sum(need.size for need in self.needs.knobs.values())
        return Box(-1.0, 1.0, (size,), dtype=np.float32)

    @property
    def rehearsal(self) -> Mapping[str, Any]:
        """Options of the built-in simulator in which the task finds what it works on.

        ``stempilot check`` uses them. By default none: any simulator that fits will do.
        """
        return {}

    def sees(self, measured: M, source: str) -> bool:
        """Return whether the measurement shows what the task works on in a source's frame.

        The frame guard uses it: a dark frame at the start is the task's failure, a dead frame
        after something was seen stops the run.
        """
        del measured, source
        return True

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        """Return set points around HOME from which an episode can start.

        Called at resets of training and evaluation only, never by a plain run. Home is where the
        knobs stood, or where the task last succeeded on an instrument that drifts. By default
        uniform within `SCRAMBLE_STEPS` full actions of each component.
        """
        return tuple(
            SetPoint(knob, np.array(home[knob]) + rng.uniform(-1, 1, need.size) * reach)
            for knob, need in self.needs.knobs.items()
            for reach in [SCRAMBLE_STEPS * np.array(need.largest_step)]
        )

    def is_start(self, state: S) -> bool:
        """Return whether training or evaluation may start an episode from this state.

        A start that is refused is put back and drawn again.
        """
        return self.outcome(state) is Outcome.RUNNING

    def initial(self, measured: M) -> S:
        """Return the state at the start of an episode; by default the measurement itself."""
        return cast("S", measured)

    def targets(
        self, state: S, action: Any, standing: Mapping[str, KnobValue]
    ) -> tuple[SetPoint, ...]:
        """Return the absolute set points that the action asks for.

        By default each knob moves from where it stands by the action's share of its largest step.

        Args:
            state: the state before the action.
            action: inside the action space.
            standing: what the knobs of `needs` read now.
        """
        del state
        shares, points = np.asarray(action, dtype=np.float64), []
        for knob, need in self.needs.knobs.items():
            share, shares = shares[: need.size], shares[need.size :]
            moved = np.array(standing[knob]) + share * np.array(need.largest_step)
            points.append(SetPoint(knob, moved))
        return tuple(points)

    def own_moves(self, state: S, standing: Mapping[str, KnobValue]) -> tuple[SetPoint, ...] | None:
        """Return set points that the task itself wants next; ``None`` when it wants none.

        Asked after each measurement until it returns ``None`` or the episode ends. The environment
        sends them through the guard, counts each as a timestep, measures, and calls `advance` with
        ``None`` for the action. An empty tuple measures again where the knobs stand. When the
        episode fails on the way, the knobs return to where they stood before the task's moves.
        """
        del state, standing
        return None

    def refused(self, state: S) -> S | None:
        """Return the state after the envelope refused a move of the task's own.

        By default ``None``: the episode ends as blocked. Where it ends, also with a success, the
        knobs return to where they stood before the task's moves.
        """
        del state
        return None

    def advance(self, state: S, action: Any, measured: M) -> S:
        """Return the state after an action (``None``: the task's own move) was measured.

        By default the measurement itself.
        """
        del state, action
        return cast("S", measured)

    def outcome(self, state: S) -> Outcome:
        """Return RUNNING, SUCCESS, FAILURE or AMBIGUOUS; by default as `goal` has it.

        AMBIGUOUS is a failure too. A `Centre` succeeds within its tolerance and fails at its edges.
        Without it an episode runs until its budget of timesteps is spent.
        """
        if not isinstance(self.goal, Centre):
            return Outcome.RUNNING
        residual = self.observe(state)[list(self.goal.residual)]
        lower, upper = self.goal.edges
        if float(np.linalg.norm(residual)) <= self.goal.tolerance:
            return Outcome.SUCCESS
        inside = np.all((np.array(lower) < residual) & (residual < np.array(upper)))
        return Outcome.RUNNING if inside else Outcome.FAILURE

    def reward(self, before: S, action: Any, after: S, outcome: Outcome) -> float:
        """Return the reward of one timestep, finite.

        ``outcome`` is what `outcome` said of ``after``, or BLOCKED, in which case ``after`` is
        ``before``. By default `REWARD_END` for success, minus that for failure or a refusal, and
        else what was gained: of a `Raise` the gain of its entry, of a `Centre` the distance
        covered, in full actions; each timestep costs `REWARD_TIMESTEP`. The end of a `Raise` is
        not paid, or an agent would learn to stop at once.
        """
        del action
        if outcome in {Outcome.FAILURE, Outcome.BLOCKED, Outcome.AMBIGUOUS}:
            return -REWARD_END
        if outcome is Outcome.SUCCESS and not isinstance(self.goal, Raise):
            return REWARD_END
        return self._gain(self.observe(before), self.observe(after)) - REWARD_TIMESTEP

    def _gain(self, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> float:
        if self.goal is None:
            return 0.0
        if isinstance(self.goal, Raise):
            gained = float(after[self.goal.entry]) - float(before[self.goal.entry])
        else:
            # In double precision: little is left of two distances that are nearly the same.
            away, left = (x[list(self.goal.residual)].astype(float) for x in (before, after))
            gained = float(np.linalg.norm(away) - np.linalg.norm(left))
        return gained / (self.goal.full_action or 1.0)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers of `summary` that people want to see, the most important one first."""
        return ()

    def summary(self, state: S) -> dict[str, float]:
        """Return the numbers of a state worth recording, by name with unit."""
        del state
        return {}

    def products(self, state: S) -> Mapping[str, Product]:
        """Return what a finished episode hands on, by name."""
        del state
        return {}

    def explain(self, state: S) -> str:
        """Return what is wrong, for people, also with a success; empty when nothing is."""
        del state
        return ""


class Reading(Task[M, S]):
    """A task that only measures: no agent, no actions, no reward.

    It gives `needs`, `measure`, `initial`, `advance`, `own_moves`, `outcome` and `products`.
    Nothing but its own moves happens, and the instrument is put back when it is done.
    """

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """An empty space: there is no agent to observe."""
        return Box(0.0, 0.0, (0,), dtype=np.float32)

    def observe(self, state: S) -> npt.NDArray[Any]:
        """Return no numbers."""
        del state
        return np.empty(0, dtype=np.float32)

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        """An empty space: there is no agent to act."""
        return Box(0.0, 0.0, (0,), dtype=np.float32)

    @abstractmethod
    def outcome(self, state: S) -> Outcome:
        """Return RUNNING until all is measured, then SUCCESS, or FAILURE."""

    def is_start(self, state: S) -> bool:
        """Return True: a reading begins where the instrument stands."""
        del state
        return True

    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        """Return nothing: a reading begins where the instrument stands."""
        del home, rng
        return ()

    def reward(self, before: S, action: Any, after: S, outcome: Outcome) -> float:
        """Return 0."""
        del before, action, after, outcome
        return 0.0


@runtime_checkable
class Drawable(Protocol):
    """A task whose goal and measurement can be drawn on a frame."""

    def marks(self, state: Any) -> Mapping[str, tuple[float, float]]:
        """Return ``goal`` and ``found`` as (x, y) in pixels of the frame, origin top left.

        A task that only measures has no ``goal``; what is not seen has no ``found``.
        """


@runtime_checkable
class Scored(Protocol):
    """A task for which the best possible action is known when the truth is."""

    def oracle_action(self, state: Any, truth: Mapping[str, KnobValue]) -> Any:
        """Return the action of a controller that knows the full response, lag and backlash.

        Called only by evaluation, on a twin.
        """

    def true_error(self, state: Any, truth: Mapping[str, KnobValue]) -> Mapping[str, float]:
        """Return the true error: ``error_px``, and ``error_mrad`` where it is calibrated."""


@runtime_checkable
class Symmetric(Protocol):
    """A task that knows which other timesteps were just as possible as the ones that were met.

    What a task declares here is a prior about the instrument that a learner takes over: it learns
    from timesteps that never happened. It is on the learner to say so, and to notice where the
    instrument does not have the symmetry.
    """

    def relabel(self, batch: Transitions, rng: np.random.Generator) -> Transitions:
        """Return as many transitions, which the task's symmetry makes just as possible.

        Called by learners for each batch that they learn from. Row i of the result comes from row
        i of the batch. Actions stay as they are; reward and termination are recomputed by the task
        from the new observations alone, so that a limit of timesteps, which no observation shows,
        plays no part. Rows that cannot be moved are returned as they are. Pure but for ``rng``,
        and the batch stays as it was.

        Args:
            batch: timesteps as an agent met them, in unscaled rewards; n may be 0.
            rng: where all of the randomness comes from.
        """


Arrays = dict[str, npt.NDArray[Any]]
"""Numbers of n episodes by name, each array (n, ...)."""


class TaskBatch(Protocol):
    """A task on n episodes at once: its own functions, over arrays.

    States are `Arrays`, so that the framework can begin, keep and replace single rows. What is
    measured comes from `stempilot.InstrumentBatch.measure`. All functions are pure, and
    row i of a result depends on row i of the arguments alone.
    """

    @property
    def measurements(self) -> tuple[str, ...]:
        """Names of what must be measured, beside the knobs.

        Each is an attribute of what `Task.measure` returns, where ``None`` stands for NaN.
        """

    def initial(self, measured: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """Return the states at the start, as `Task.initial`."""

    def is_start(self, state: Arrays) -> npt.NDArray[np.bool_]:
        """Return (n,), as `Task.is_start`."""

    def targets(
        self, state: Arrays, actions: npt.NDArray[Any], standing: Mapping[str, FloatArray]
    ) -> dict[str, FloatArray]:
        """Return the absolute values, (n, components), of the knobs that the task moves."""

    def advance(
        self, state: Arrays, actions: npt.NDArray[Any], measured: Mapping[str, npt.NDArray[Any]]
    ) -> Arrays:
        """Return the states after the actions, as `Task.advance`."""

    def observe(self, state: Arrays) -> npt.NDArray[Any]:
        """Return the observations, (n, ...), as `Task.observe`."""

    def outcome(self, state: Arrays) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which episodes succeed and which fail, (n,) each; the others go on."""

    def reward(
        self,
        before: Arrays,
        actions: npt.NDArray[Any],
        after: Arrays,
        *,
        success: npt.NDArray[np.bool_],
        failure: npt.NDArray[np.bool_],
    ) -> FloatArray:
        """Return the rewards, (n,), as `Task.reward`; a refused plan is among the failures."""


@runtime_checkable
class Batchable(Protocol):
    """A task whose functions also take many episodes at once."""

    def batched(self) -> TaskBatch:
        """Return the same task on arrays; what it gives is what the task gives row by row."""


@runtime_checkable
class ScoredBatch(Protocol):
    """A `TaskBatch` for which the best possible actions are known when the truth is."""

    def oracle_actions(self, state: Arrays, truth: Mapping[str, FloatArray]) -> npt.NDArray[Any]:
        """Return the actions, (n, ...), of which `Scored.oracle_action` gives one."""

    def true_errors(self, state: Arrays, truth: Mapping[str, FloatArray]) -> Arrays:
        """Return the true errors, (n,) by name, as `Scored.true_error`."""
