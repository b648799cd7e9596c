"""What one timestep leaves behind, for recorders and scores."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy.typing as npt
from attrs import field, frozen

from stempilot.contract.values import KnobValue, Outcome, Snapshot
from stempilot.instrument.guard import Write

By = Literal["agent", "task", "return"]


@frozen(kw_only=True, eq=False)
class Timestep:
    """What one timestep, or the reset before the first, left behind; for recorders.

    Attributes:
        episode: number of the episode, from 0.
        step: timesteps into the episode; 0 is the reset.
        timestep: timesteps of the run so far.
        action: what the agent asked for; ``None`` at a reset.
        reward: 0 at a reset.
        outcome: the task's verdict, or BLOCKED.
        truncated: the framework's budget ended the episode.
        budget_spent: the run budget refused the action and cut the episode off.
        by: who moved: the agent, the task itself, or the return to the best place (`Raise`).
        state: the task's state.
        observation: what the agent gets to see.
        writes: all writes since the previous record.
        truth: the backend's truth where it offers one.
        instrument: which instrument this is.
    """

    episode: int
    step: int
    timestep: int
    action: Any = None
    reward: float = 0.0
    outcome: Outcome = Outcome.RUNNING
    truncated: bool = False
    budget_spent: bool = False
    by: By = "agent"
    state: Any = None
    observation: npt.NDArray[Any] | None = None
    writes: tuple[Write, ...] = field(factory=tuple)
    truth: Mapping[str, KnobValue] | None = None
    instrument: str = ""

    @property
    def ended(self) -> bool:
        """Whether the episode ended with this timestep."""
        return self.outcome is not Outcome.RUNNING or self.truncated


class Recorder(Protocol):
    """Keeps what happens in an environment."""

    def record(self, step: Timestep, snapshot: Snapshot | None, /) -> None:
        """Take one timestep and what was seen in it, ``None`` when nothing was sent.

        Pixels must be written or dropped before returning.
        """


def instrument_id(identity: Mapping[str, str]) -> str:
    """Return a short name for the instrument that identifies itself so."""
    text = json.dumps(dict(identity), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def info_of(step: Timestep, reason: str) -> dict[str, Any]:
    """Return what Gymnasium's ``info`` says of a timestep, and why it was refused, if it was."""
    info = {
        "episode_number": step.episode,
        "instrument": step.instrument,
        "outcome": step.outcome.value,
        "is_success": step.outcome is Outcome.SUCCESS,
    }
    return info | ({"reason": reason} if reason and step.step else {})
