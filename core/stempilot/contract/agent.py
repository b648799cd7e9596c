"""The contract of an agent: it sees a Gymnasium environment and nothing else.

An agent that learns is a `Learner`; one that does not is a plain `Agent`. Neither ever holds a
backend.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from stempilot.contract.goals import Centre, Goal
from stempilot.contract.task import Symmetric, Task
from stempilot.contract.values import Transitions, read_only

__all__ = [
    "Agent",
    "Brief",
    "HasMeanwhile",
    "LearnReport",
    "Learner",
    "NoticesChange",
    "Policy",
    "RelearnsFromRecord",
    "Report",
    "Transitions",
]


@frozen(kw_only=True)
class Brief:
    """What an agent is made for.

    Attributes:
        observation_space: space of the observations it will get.
        action_space: space of the actions it must return.
        goal: what the task asks for; ``None`` where it has no goal that agents know.
        seed: where all of its randomness comes from.
        relabel: the task's own `stempilot.Symmetric.relabel`; ``None`` where it declares no
            symmetry.
    """

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    goal: Goal | None
    seed: int
    relabel: Callable[[Transitions, np.random.Generator], Transitions] | None = None

    @property
    def centre(self) -> Centre | None:
        """The goal where it is to centre something, else ``None``."""
        return self.goal if isinstance(self.goal, Centre) else None

    @classmethod
    def of(cls, task: Task[Any, Any], seed: int) -> "Brief":
        """Return the brief for a task."""
        return cls(
            observation_space=task.observation_space,
            action_space=task.action_space,
            goal=task.goal,
            seed=seed,
            relabel=task.relabel if isinstance(task, Symmetric) else None,
        )


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
class NoticesChange(Protocol):
    """A policy that notices when the instrument's response is no longer what it was."""

    def ended(self, observation: npt.NDArray[Any]) -> None:
        """Take where the last action of an episode led, which `Policy.act` never sees.

        Called at most once between two resets, after the last `Policy.act`, and only when its
        action was carried out.
        """

    def changed(self) -> str:
        """Return, for people, what was found no longer to be as it was; mostly empty.

        Asked after each `Policy.act` and each `ended`. What was found is returned once.
        """


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

        Called again on the same or another environment where a run goes on with relearning; it
        then counts its timesteps on. An episode that was under way before is over. The
        environment's seeding is the framework's: begin with ``env.reset()``, without a seed.
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
        """Prepare for a changed instrument; return what was kept and dropped.

        Called between two lessons: after `load`, or after `learn` in the same process.
        """

    @property
    def relearn_steps(self) -> int:
        """How many timesteps relearning takes as a rule, at least 1.

        What a run with ``--adapt`` spends on a changed response unless it is told otherwise.
        """
        return 500


@runtime_checkable
class RelearnsFromRecord(Protocol):
    """A learner that can begin to relearn from transitions that were recorded before."""

    def relearn_from(self, recorded: Transitions) -> tuple[str, ...]:
        """Do what `Learner.relearn` does, then learn from ``recorded`` before the first action.

        Returns:
            What was kept, dropped and taken.
        """
