"""The four hooks of stempilot. Each is called once, when the registry is built."""

from collections.abc import Callable, Iterable
from typing import Any

import pluggy
from attrs import field, frozen, validators

PROJECT = "stempilot"
API = 1
"""Version of the contracts. A plug-in of another version is listed, and refused when used."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@frozen(kw_only=True)
class Plugin:
    """A cheap record of something that can be loaded.

    Attributes:
        name: what users type; lower case with hyphens.
        summary: one line for ``stempilot plugins``.
        config: returns the frozen attrs class of its options. Heavy imports belong inside.
        load: makes the object. Called as ``load(config, opening)`` for a backend, ``load(config)``
            for a task, ``load(config, brief)`` for an agent and ``load(config, seed)`` for an
            emulator. Heavy imports belong inside.
        default: it is used where no plug-in of its kind is named; of several the first one that
            was found, the built-in ones before all others.
        api: the contract version it was written for.
    """

    name: str = field(validator=validators.instance_of(str))
    summary: str = field(validator=validators.instance_of(str))
    config: Callable[[], type[Any]]
    load: Callable[..., Any]
    default: bool = field(default=False, kw_only=True)
    api: int = field(default=API, validator=validators.instance_of(int))


@hookspec
def stempilot_backends() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer backends.

    Called once when the registry is built. Must be cheap: import vendor libraries or open sockets
    inside ``Plugin.load``, never here.
    """


@hookspec
def stempilot_tasks() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer tasks.

    Called once when the registry is built. Must be cheap: import image libraries inside
    ``Plugin.load``, never here.
    """


@hookspec
def stempilot_agents() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer agents.

    Called once when the registry is built. Must be cheap: import torch inside ``Plugin.load``,
    never here.
    """


@hookspec
def stempilot_emulators() -> Iterable[Plugin]:  # type: ignore[empty-body]
    """Offer emulators: what stands in for an instrument's server.

    Called once when the registry is built. Must be cheap: open sockets inside
    `stempilot.Emulator.start`, never here.
    """
