"""Agent ``universal``: one trained policy for instruments that it has never seen.

Its network was trained on simulated instruments of all kinds (`docs/universal.md`). What it is
told are statistics of its own moves in the episode, so that it needs no training where it is used.
It works from the task's hints, like ``adaptive``: on any task that drives a residual on two axes
to zero.
"""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import field, frozen, validators
from gymnasium.spaces import Box

from stempilot.agent import Agent, Brief
from stempilot.errors import IncompatibleError
from stempilot_agents.centring import centring_problems
from stempilot_agents.universal_features import features
from stempilot_agents.universal_memory import Field, Floats, Memory, Vectors, complexes
from stempilot_agents.universal_network import SHIPPED, UniversalNetwork

_AXES = 2
_CONTRADICTED = 12.0
"""Contradiction from which the response is taken to be another one."""


@frozen(kw_only=True)
class UniversalConfig:
    """Options of ``universal``.

    Attributes:
        memory: ``kept`` keeps the response found while the instrument is the same; ``fresh``
            forgets it at the start of every episode, as in training.
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
    if problems or brief.hints is None or not isinstance(brief.action_space, Box):
        raise IncompatibleError(problems)
    file = Path(config.weights) if config.weights else SHIPPED
    return _Universal(config, UniversalNetwork.read(file), brief)


def _problems(brief: Brief) -> list[str]:
    problems = centring_problems("universal", brief)
    hints = brief.hints
    if hints is None or problems:
        return problems
    if len(hints.residual) != _AXES:
        problems.append(f"universal needs a residual on two axes, not {len(hints.residual)}")
    if not all(map(math.isfinite, (*hints.edge_lower, *hints.edge_upper))):
        edges = f"{hints.edge_lower} and {hints.edge_upper}"
        problems.append(f"universal needs finite edges, they are {edges}")
    if hints.full_action is None or not hints.full_action > 0:
        problems.append(
            f"universal needs hints.full_action above 0 to know how large an action is, it is "
            f"{hints.full_action}"
        )
    if not hints.tolerance > 0:
        problems.append(f"universal needs a tolerance above 0, it is {hints.tolerance:g}")
    return problems


class _Universal(Agent):
    """Makes policies; all its learning was done before."""

    def __init__(self, config: UniversalConfig, network: UniversalNetwork, brief: Brief) -> None:
        self._parts = (config, network, brief)

    def policy(self) -> "_UniversalPolicy":
        """Return a policy that knows nothing of its instrument yet."""
        return _UniversalPolicy(*self._parts)


class _UniversalPolicy:
    """Keeps the statistics of an episode and does what the network makes of them.

    What contradicts them it says (`stempilot.agent.NoticesChange`), and begins to probe anew.
    """

    def __init__(self, config: UniversalConfig, network: UniversalNetwork, brief: Brief) -> None:
        hints = brief.hints
        if hints is None:
            raise IncompatibleError(["universal needs hints"])
        self._keeps = config.memory == "kept"
        self._network = network
        self._instrument: str | None = None
        self._found = ""
        self._entries = list(hints.residual)
        self._dtype = brief.action_space.dtype
        self._memory = Memory(Field.of(hints))

    def reset(self, instrument_id: str) -> None:
        """Prepare for a new episode; keep what is known of the response if that is wanted."""
        everything = np.ones(1, np.bool_)
        if self._keeps and instrument_id == self._instrument:
            self._memory.begin_again(everything)
        else:
            self._memory.begin(everything)
        self._instrument = instrument_id

    def act(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the action for the observation, inside the action space."""
        memory = self._memory
        self._see(observation)
        told, unit = features(memory)
        taken = actions(self._network.forward(told), unit, memory.field)
        memory.act(taken)
        return np.array([taken[0].real, taken[0].imag], self._dtype)

    def ended(self, observation: npt.NDArray[Any]) -> None:
        """Learn from where the last action of the episode led."""
        self._see(observation)

    def changed(self) -> str:
        """Return what was found since it was last asked for; mostly empty."""
        found, self._found = self._found, ""
        return found

    def _see(self, observation: npt.NDArray[Any]) -> None:
        memory = self._memory
        residual = np.asarray(observation, np.float64)[self._entries]
        seen = complexes(residual[None] / memory.field.unit)
        memory.observe(seen)
        if self._keeps and memory.contradiction[0] > _CONTRADICTED:
            self._found = (
                "the response is no longer what was found: the last moves led elsewhere; "
                "probing anew"
            )
            memory.begin(np.ones(1, np.bool_))
            memory.observe(seen)


def actions(moves: Floats, unit: Floats, field: Field) -> Vectors:
    """Return actions (n,), in full actions, each component limited to one.

    Args:
        moves: (n, 2) the network's answers.
        unit: (n,) what they are measured in.
        field: where the episodes take place.
    """
    share = np.clip(moves * (unit / field.full)[:, None], -1, 1)
    return complexes(share)
