"""The contract of an agent: it sees a Gymnasium environment and nothing else.

An agent that learns is a `Learner`; one that does not is a plain `Agent`. Neither ever holds a
backend.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy.typing as npt
from attrs import field, frozen

from stempilot.model import read_only
from stempilot.task import TaskHints


@frozen(kw_only=True)
class Brief:
    """What an agent is made for.

    Attributes:
        observation_space: space of the observations it will get.
        action_space: space of the actions it must return.
        hints: what else it may know of the task.
        seed: where all of its randomness comes from.
    """

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    hints: TaskHints | None
    seed: int


class Policy(Protocol):
    """Turns observations into actions during an episode. Deterministic given its seed."""

    def reset(self, instrument_id: str) -> None:
        """Prepare for a new episode.

        A new ``instrument_id`` means another instrument: forget any model of the old one. The
        same one means that a model may be kept.
        """

    def act(self, observation: npt.NDArray[Any]) -> Any:
        """Return the action for the observation, inside the action space."""


@runtime_checkable
class HasMeanwhile(Protocol):
    """An environment (``env.unwrapped``) that lets a learner learn while the instrument works."""

    @property
    def waits(self) -> bool:
        """Whether a timestep is mostly waiting for an instrument."""

    def meanwhile(self, work: Callable[[], object], times: int) -> None:
        """Let ``work`` be called ``times`` times during the next step; all is done at its end.

        The calls come one after the other from one other thread.
        """


class Report(Protocol):
    """How a learner tells the framework that one more timestep is complete."""

    def __call__(self, numbers: Mapping[str, float], /) -> bool:
        """Take the learner's own numbers (losses, entropy coefficient); return whether to go on.

        To be called after each timestep, when every update that belongs to it is done: the
        framework may save the learner or evaluate its policy inside this call.
        """


@frozen(kw_only=True)
class LearnReport:
    """What a learner says of its learning.

    Attributes:
        timesteps: timesteps it has learnt from in its life.
        numbers: further figures by name.
    """

    timesteps: int
    numbers: Mapping[str, float] = field(converter=read_only, factory=dict)


@frozen(kw_only=True, eq=False)
class Transitions:
    """What happened in other episodes, in order, as arrays with n rows.

    Attributes:
        observations: before each action, (n, ...), as the observation space has them.
        actions: (n, ...), as the action space has them.
        rewards: (n,), unscaled.
        next_observations: after each action, (n, ...).
        terminated: (n,) booleans: the task ended the episode.
        truncated: (n,) booleans: the framework did.
    """

    observations: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[Any]
    next_observations: npt.NDArray[Any]
    terminated: npt.NDArray[Any]
    truncated: npt.NDArray[Any]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rewards)


class Agent(ABC):
    """Something that operates an instrument through observations and actions."""

    @abstractmethod
    def policy(self) -> Policy:
        """Return the policy as it is now; later learning does not change it."""


class Learner(Agent):
    """An agent that learns from an environment.

    A learner that was saved, loaded and continued must be equal, bit for bit, to one that went
    on without being saved.
    """

    @abstractmethod
    def learn(self, env: gymnasium.Env[Any, Any], *, steps: int, report: Report) -> LearnReport:
        """Learn for ``steps`` timesteps, or until ``report`` returns False.

        Called once in the life of the process. The environment's seeding is the framework's: call
        ``env.reset()`` without a seed.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything that continuing needs into the empty ``folder``, without pickle.

        Networks, optimisers, replay buffer, counters and random states.
        """

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Take over what `save` wrote. Must not run anything that it finds there.

        Raises:
            RunDirError: the folder is damaged or belongs to another kind of agent.
            IncompatibleError: it was saved for other spaces.
        """

    @abstractmethod
    def relearn(self) -> tuple[str, ...]:
        """Prepare a loaded learner for a changed instrument; return what was kept and dropped."""


@runtime_checkable
class RelearnsFromRecord(Protocol):
    """A learner that can begin to relearn from transitions that were recorded before."""

    def relearn_from(self, recorded: Transitions) -> tuple[str, ...]:
        """Do what `Learner.relearn` does, then learn from ``recorded`` before the first action.

        Returns:
            What was kept, dropped and taken.
        """
