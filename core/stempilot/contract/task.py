"""The contract of an operation: pure functions over measurements.

A task never sees a backend. The framework (`stempilot.TaskEnv`) takes snapshots, writes what
the task plans, and keeps the state that the task returns.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import gymnasium
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from stempilot.contract.goals import Product, Quantity
from stempilot.contract.values import (
    KnobValue,
    Needs,
    Outcome,
    SetPoint,
    Snapshot,
    Transitions,
    as_knob_value,
)

M = TypeVar("M")
S = TypeVar("S")
FloatArray = npt.NDArray[np.float64]


@frozen(kw_only=True)
class TaskHints:
    """What an agent may know of a centring task beside its spaces.

    The residual is a part of the observation that is to be driven to zero. All numbers are in
    the units of those observation entries, so that an agent needs no knowledge of the task.

    Attributes:
        residual: indices of the observation entries that form the residual.
        unit: what those entries are measured in, to show to people.
        tolerance: the episode succeeds when the residual's length is at most this.
        edge_lower: residual at which the feature is lost on the low side, per entry.
        edge_upper: residual at which the feature is lost on the high side, per entry.
        resolution: rounding of the residual; 0 where it is not rounded.
        full_action: displacement that an action of length 1 along one axis is nominally expected
            to cause; ``None`` when it is unknown.
    """

    residual: tuple[int, ...]
    unit: str
    tolerance: float
    edge_lower: KnobValue = field(converter=as_knob_value)
    edge_upper: KnobValue = field(converter=as_knob_value)
    resolution: float = 0.0
    full_action: float | None = None


class Task(ABC, Generic[M, S]):
    """An operation of the instrument, as pure functions: same inputs, same outputs.

    ``M`` is a measurement, a few numbers out of a snapshot. ``S`` is the state of an episode.
    Neither may hold pixels.
    """

    @property
    @abstractmethod
    def needs(self) -> Needs:
        """What the task requires of a backend."""

    @property
    @abstractmethod
    def observation_space(self) -> gymnasium.Space[Any]:
        """Space of what `observe` returns."""

    @property
    @abstractmethod
    def action_space(self) -> gymnasium.Space[Any]:
        """Space of what `plan` takes."""

    @property
    def hints(self) -> TaskHints | None:
        """What an agent may know beside the spaces; ``None`` unless the task centres something."""
        return None

    @abstractmethod
    def measure(self, snapshot: Snapshot) -> M:
        """Reduce a snapshot to a few numbers. The ONLY function that sees pixels.

        Called once per timestep and once per reset.

        Raises:
            FrameError: the frame cannot be used at all (wrong shape, clipping hides the edge).
        """

    def sees(self, measured: M) -> bool:
        """Return whether the measurement shows what the task works on.

        The frame guard uses it: a dark frame at the start is the task's failure, a dead frame
        after something was seen stops the run.
        """
        del measured
        return True

    @abstractmethod
    def scramble(
        self, home: Mapping[str, KnobValue], rng: np.random.Generator
    ) -> tuple[SetPoint, ...]:
        """Return set points around HOME from which an episode can start.

        Called at resets of training and evaluation only, never by a plain run.
        """

    def is_start(self, state: S) -> bool:
        """Return whether training or evaluation may start an episode from this state.

        A start that is refused is put back and drawn again.
        """
        return self.outcome(state) is Outcome.RUNNING

    @abstractmethod
    def initial(self, measured: M) -> S:
        """Return the state at the start of an episode."""

    @abstractmethod
    def plan(self, state: S, action: Any) -> tuple[SetPoint, ...]:
        """Return the absolute set points that the action asks for."""

    @abstractmethod
    def advance(self, state: S, action: Any, measured: M) -> S:
        """Return the state after the action was carried out and measured."""

    @abstractmethod
    def observe(self, state: S) -> npt.NDArray[Any]:
        """Return the observation, inside the observation space."""

    @abstractmethod
    def outcome(self, state: S) -> Outcome:
        """Return RUNNING, SUCCESS or FAILURE."""

    @abstractmethod
    def reward(self, before: S, action: Any, after: S, outcome: Outcome) -> float:
        """Return the reward of one timestep, finite.

        ``outcome`` is what `outcome` said of ``after``, or BLOCKED, in which case ``after`` is
        ``before``.
        """

    @abstractmethod
    def summary(self, state: S) -> dict[str, float]:
        """Return the numbers of a state worth recording, by name with unit."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers of `summary` that people want to see, the most important one first."""
        return ()

    def products(self, state: S) -> Mapping[str, Product]:
        """Return what a finished episode hands on, by name."""
        del state
        return {}

    def explain(self, state: S) -> str:
        """Return what a person should know who asks why it failed; empty when nothing is wrong."""
        del state
        return ""


@runtime_checkable
class Drawable(Protocol):
    """A task whose goal and measurement can be drawn on a frame."""

    def marks(self, state: Any) -> Mapping[str, tuple[float, float]]:
        """Return ``goal`` and ``found`` as (x, y) in pixels of the frame, origin top left."""


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

    def plan(self, state: Arrays, actions: npt.NDArray[Any]) -> dict[str, FloatArray]:
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
