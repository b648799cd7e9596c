"""Agent ``universal``: one trained policy for instruments that it has never seen.

Its network was trained on simulated instruments of all kinds (`docs/universal.md`). What it is
told are statistics of its own moves in the episode, so that it needs no training where it is used.
It works from the task's goal, like ``adaptive``: on any task that drives a residual on two axes
to zero.
"""

import logging
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot import Agent, Brief, IncompatibleError
from stempilot_agents.response.centring import centring_problems
from stempilot_agents.universal.features import features
from stempilot_agents.universal.memory import Field, Floats, Memory, Vectors, complexes
from stempilot_agents.universal.network import SHIPPED, UniversalNetwork

_ALL = np.ones(1, np.bool_)
_log = logging.getLogger(__name__)

_AXES = 2
_CONTRADICTED = 12.0
"""Contradiction from which the response is taken to be another one."""
_WIDEST = 0.12
"""Tolerance in half fields, five times the one trained with, beyond which it stops short or loses
the feature more and more often."""


@frozen(kw_only=True)
class UniversalConfig:
    """Options of ``universal``.

    Attributes:
        memory: ``kept`` keeps the response found while the instrument is the same, and notices when
            it is no longer what it was; ``fresh`` forgets it at the start of every episode, as in
            training.
        weights: file of weights, as training writes it; empty for those that are shipped.
    """

    memory: Literal["kept", "fresh"] = field(
        default="kept", validator=validators.in_(("kept", "fresh"))
    )

    weights: str = field(default="")


def make_universal(config: UniversalConfig, brief: Brief) -> Agent:
    """Return the agent.

    Raises:
        IncompatibleError: the task does not centre anything, or not in a way the agent can use.
        RunDirError: the file of weights is missing or damaged.
    """
    problems = _problems(brief)
    if problems or brief.centre is None or not isinstance(brief.action_space, Box):
        raise IncompatibleError(problems)
    file = Path(config.weights) if config.weights else SHIPPED
    tolerance = float(Field.of(brief.centre).tolerance[0])
    if tolerance > _WIDEST:
        _log.warning(
            "universal: the tolerance is %.2g half fields; it was trained with 0.024 and is made "
            "for at most %.2g; adaptive suits wide tolerances",
            tolerance,
            _WIDEST,
        )
    network = UniversalNetwork.read(file)
    return _Universal(_KeepingPolicy if config.memory == "kept" else _Policy, network, brief)


def _problems(brief: Brief) -> list[str]:
    problems = centring_problems("universal", brief)
    goal = brief.centre
    if goal is None or problems:
        return problems
    if len(goal.residual) != _AXES:
        problems.append(f"universal needs a residual on two axes, not {len(goal.residual)}")
    if not all(map(math.isfinite, (*goal.edges[0], *goal.edges[1]))):
        edges = f"{goal.edges[0]} and {goal.edges[1]}"
        problems.append(f"universal needs finite edges, they are {edges}")
    if goal.full_action is None or not goal.full_action > 0:
        problems.append(
            f"universal needs goal.full_action above 0 to know how large an action is, it is "
            f"{goal.full_action}"
        )
    if not goal.tolerance > 0:
        problems.append(f"universal needs a tolerance above 0, it is {goal.tolerance:g}")
    return problems


class _Universal(Agent):
    """Makes policies; all its learning was done before."""

    def __init__(self, kind: "type[_Policy]", network: UniversalNetwork, brief: Brief) -> None:
        self._kind = kind
        self._parts = (network, brief)

    def policy(self) -> "_Policy":
        """Return a policy that knows nothing of its instrument yet."""
        return self._kind(*self._parts)


class _Policy:
    """Keeps the statistics of an episode and does what the network makes of them."""

    def __init__(self, network: UniversalNetwork, brief: Brief) -> None:
        goal = brief.centre
        if goal is None:
            raise IncompatibleError(["universal needs goal"])
        self._network = network
        self._entries = list(goal.residual)
        self._dtype = brief.action_space.dtype
        self._memory = Memory(Field.of(goal))

    def reset(self, instrument_id: str) -> None:
        """Prepare for a new episode; nothing is known of its response."""
        del instrument_id
        self._memory.begin(_ALL)

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the action for the observation, inside the action space."""
        memory = self._memory
        self._see(observation)
        told, unit = features(memory)
        taken = actions(self._network.forward(told), unit, memory.field)
        memory.act(taken)
        return np.array([taken[0].real, taken[0].imag], self._dtype)

    def _see(self, observation: npt.NDArray[Any]) -> None:
        residual = np.asarray(observation, np.float64)[self._entries]
        self._memory.observe(complexes(residual[None] / self._memory.field.unit))


class _KeepingPolicy(_Policy):
    """Keeps what it found while the instrument is the same.

    It says what contradicts that (`stempilot.NoticesChange`), and begins to probe again.
    """

    _instrument: str | None = None
    _found = ""

    def reset(self, instrument_id: str) -> None:
        """Prepare for a new episode; on the same instrument, keep what is known of its response."""
        if instrument_id == self._instrument:
            self._memory.begin_again(_ALL)
        else:
            self._memory.begin(_ALL)
        self._instrument = instrument_id

    def ended(self, observation: npt.NDArray[Any]) -> None:
        """Learn from where the last action of the episode led."""
        self._see(observation)

    def changed(self) -> str:
        """Return what was found since it was last asked for; mostly empty."""
        found, self._found = self._found, ""
        return found

    def _see(self, observation: npt.NDArray[Any]) -> None:
        super()._see(observation)
        if self._memory.contradiction[0] > _CONTRADICTED:
            self._found = (
                "the response is no longer what was found: the last moves led elsewhere; "
                "probing again"
            )
            self._memory.begin(_ALL)
            super()._see(observation)


def actions(moves: Floats, unit: Floats, field: Field) -> Vectors:
    """Return actions (n,), in full actions, each component limited to one.

    Args:
        moves: (n, 2) the network's answers.
        unit: (n,) what they are measured in.
        field: where the episodes take place.
    """
    share = np.clip(moves * (unit / field.full)[:, None], -1, 1)
    return complexes(share)
