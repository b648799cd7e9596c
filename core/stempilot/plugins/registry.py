"""Finds plug-ins, keeps the broken ones with their reason, and never picks between two of a name.

The entry points are walked here and not by pluggy's own loader, which stops at the first one that
fails and silently skips a repeated name.
"""

import functools
import os
import traceback
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy
from attrs import field, frozen

from stempilot.contract import plugin as hookspecs
from stempilot.contract.plugin import API, PROJECT, Plugin
from stempilot.errors import PluginError
from stempilot.plugins.suggest import meant

Kind = Literal["backend", "task", "agent", "emulator"]
KINDS: tuple[Kind, ...] = ("backend", "task", "agent", "emulator")
ONLY_VARIABLE = "STEMPILOT_PLUGINS"


@frozen(kw_only=True)
class Entry:
    """One plug-in as ``stempilot plugins`` lists it.

    Attributes:
        kind: backend, task, agent or emulator; ``None`` when the entry point could not even be
            imported.
        name: the plug-in's name, or the entry point's where there is none.
        distribution: the package that offers it.
        version: that package's version.
        plugin: the record, ``None`` when broken.
        problem: why it cannot be used; empty when it can.
        trace: traceback of a failed import.
    """

    kind: Kind | None
    name: str
    distribution: str
    version: str
    plugin: Plugin | None = field(default=None, repr=False)
    problem: str = ""
    trace: str = field(default="", repr=False)

    @property
    def usable(self) -> bool:
        """Whether it can be asked for by name."""
        return not self.problem


@frozen
class Registry:
    """The plug-ins by name. Passed around, never global."""

    entries: tuple[Entry, ...]

    def of_kind(self, kind: Kind) -> tuple[Entry, ...]:
        """Return all entries of a kind, usable or not."""
        return tuple(entry for entry in self.entries if entry.kind == kind)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the usable names of a kind, sorted."""
        return tuple(sorted(e.name for e in self.of_kind(kind) if e.usable))

    def get(self, kind: Kind, name: str) -> Plugin:
        """Return the plug-in of that kind and name.

        Raises:
            PluginError: unknown (with the nearest names), broken (with the traceback), offered
                by two distributions, or written for another contract version.
        """
        entry = self.entry(kind, name)
        if entry.plugin is None or not entry.usable:
            msg = f"{kind} {name!r} of {entry.distribution} {entry.version}: {entry.problem}"
            raise PluginError(f"{msg}\n{entry.trace}".rstrip())
        return entry.plugin

    def entry(self, kind: Kind, name: str) -> Entry:
        """Return the entry of that kind and name, usable or not.

        Raises:
            PluginError: no distribution offers it.
        """
        found = [entry for entry in self.of_kind(kind) if entry.name == name]
        # A package whose import failed never got to say what it offers; its own name must do.
        found = found or [e for e in self.entries if e.kind is None and e.name == name]
        if found:
            return found[0]
        known = self.names(kind)
        broken = [entry.name for entry in self.entries if entry.kind is None]
        more = f" (entry points that failed to load: {', '.join(broken)})" if broken else ""
        msg = f"no {kind} is called {name!r}; {meant(name, known)}{more}; see `stempilot plugins`"
        raise PluginError(msg)


def discover(points: Iterable[EntryPoint] | None = None, only: str | None = None) -> Registry:
    """Return a registry of all installed plug-ins.

    Args:
        points: the entry points to walk; those of the group ``stempilot`` when ``None``.
        only: comma-separated entry points to load beside the built-in ones, to bisect trouble;
            the environment variable ``STEMPILOT_PLUGINS`` when ``None``. Empty means built-ins
            only.

    Raises:
        PluginError: a name to load is no entry point's.
    """
    walked = list(entry_points(group=PROJECT) if points is None else points)
    only = os.environ.get(ONLY_VARIABLE) if only is None else only
    if only is not None:
        wanted = {name.strip() for name in only.split(",")} - {""}
        _require_known(wanted, sorted({point.name for point in walked}))
        walked = [point for point in walked if point.name in wanted or _is_built_in(point)]
    entries: list[Entry] = []
    for point in sorted(walked, key=lambda p: (not _is_built_in(p), p.name)):
        entries.extend(_load(point))
    return Registry(tuple(_refuse_duplicates(entries)))


def _require_known(wanted: Iterable[str], known: Sequence[str]) -> None:
    for name in sorted(wanted):
        if name not in known:
            msg = (
                f"{ONLY_VARIABLE} names {name!r}, which is no entry point of an installed package "
                f"(empty, it loads the built-in ones alone); {meant(name, known)}"
            )
            raise PluginError(msg)


def _is_built_in(point: EntryPoint) -> bool:
    # Not by the entry point's own name, which anybody may use.
    return point.dist is not None and point.dist.name == PROJECT


def _load(point: EntryPoint) -> Iterator[Entry]:
    name, version = (point.dist.name, point.dist.version) if point.dist else ("(unknown)", "")
    from_package = functools.partial(Entry, distribution=name, version=version)
    try:
        offered = list(_offers(point))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything
        trace = traceback.format_exc()
        problem = f"failed to load: {error!r}"
        yield from_package(kind=None, name=point.name, problem=problem, trace=trace)
        return
    for kind, plugin in offered:
        problem = ""
        if plugin.api != API:
            problem = f"written for contract version {plugin.api}; this stempilot has {API}"
        yield from_package(kind=kind, name=plugin.name, plugin=plugin, problem=problem)


def _offers(point: EntryPoint) -> Iterator[tuple[Kind, Plugin]]:
    """Yield what one entry point offers, through a plug-in manager of its own."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(point.load(), name=point.name)
    manager.check_pending()
    for kind in KINDS:
        for offered in getattr(manager.hook, f"stempilot_{kind}s")():
            for plugin in offered:
                yield kind, _checked(plugin)


def _checked(plugin: Any) -> Plugin:
    if not isinstance(plugin, Plugin):
        msg = f"a hook returned {plugin!r}; it must return stempilot.Plugin records"
        raise TypeError(msg)
    return plugin


def _refuse_duplicates(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        others = [
            f"{other.distribution} {other.version}"
            for other in entries
            if other is not entry and (other.kind, other.name) == (entry.kind, entry.name)
        ]
        built_in = entry.distribution == PROJECT
        if entry.kind is None or not others or built_in:
            yield entry
            continue
        yield Entry(
            kind=entry.kind,
            name=entry.name,
            distribution=entry.distribution,
            version=entry.version,
            problem=f"the name {entry.name!r} is also offered by {', '.join(others)}; "
            "uninstall one of them",
        )
