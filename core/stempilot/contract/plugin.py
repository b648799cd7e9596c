"""The record of a plug-in, and the four hooks for packages that work out what they offer.

Each hook is called once, when the registry is built.
"""

from collections.abc import Iterable
from typing import Any

import pluggy
from attrs import field, frozen, validators

from stempilot.contract.names import GOAL_KINDS

PROJECT = "stempilot"
API = 2
"""Version of the contracts. A plug-in of another version is listed, and refused when used."""

_SAYS_NOTHING = 2
"""The version that a record has which names none. It stays what it is when `API` grows."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def _is_reference(_: Any, attribute: Any, value: Any) -> None:
    # Contract version 1 had functions here; the registry says so by name.
    if not (isinstance(value, str) or callable(value)):
        msg = f'{attribute.name} {value!r} is not text such as "package.module:attribute"'
        raise TypeError(msg)


@frozen
class Plugin:
    """A cheap record of something that can be loaded.

    Attributes:
        name: what users type; lower case with hyphens.
        summary: one line for ``stempilot plugins``.
        config: where the frozen attrs class of its options is, as ``"package.module:Class"``, or
            as ``".module:Class"`` seen from the module that the entry point leads to. Imported
            when it is first needed.
        load: where what makes the object is, in the same way. Called as ``load(config, opening)``
            for a backend, ``load(config)`` for a task, ``load(config, brief)`` for an agent and
            ``load(config, seed)`` for an emulator.
        serves: for an agent, the kinds of goals that it works towards (``"centre"``,
            ``"raise"``); empty for any task that acts.
        default: it is used where no plug-in of its kind is named; of several the first one that
            was found, the built-in ones before all others.
        api: the contract version it was written for; name it.
    """

    name: str = field(validator=validators.instance_of(str))
    summary: str = field(validator=validators.instance_of(str))
    config: str = field(kw_only=True, validator=_is_reference)
    load: str = field(kw_only=True, validator=_is_reference)
    serves: tuple[str, ...] = field(
        default=(), kw_only=True, validator=validators.deep_iterable(validators.in_(GOAL_KINDS))
    )
    default: bool = field(default=False, kw_only=True)
    api: int = field(default=_SAYS_NOTHING, kw_only=True, validator=validators.instance_of(int))


@hookspec
def stempilot_backends() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer backends.

    Called once when the registry is built. Must be cheap: import no vendor library, open no socket.
    """


@hookspec
def stempilot_tasks() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer tasks.

    Called once when the registry is built. Must be cheap: import no image library.
    """


@hookspec
def stempilot_agents() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer agents.

    Called once when the registry is built. Must be cheap: do not import torch.
    """


@hookspec
def stempilot_emulators() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer emulators: what stands in for an instrument's server.

    Called once when the registry is built. Must be cheap: open sockets inside
    `stempilot.Emulator.start`, never here.
    """
