"""Finds plug-ins, keeps the broken ones with their reason, and never picks between two of a name.

The entry points are walked here and not by pluggy's own loader, which stops at the first one that
fails and silently skips a repeated name.
"""

import functools
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import pluggy
from attrs import evolve, field, frozen

from stempilot.contract import plugin as hookspecs
from stempilot.contract.plugin import API, PROJECT, Plugin
from stempilot.errors import PluginError
from stempilot.plugins.installed import readable_only
from stempilot.plugins.suggest import meant

if TYPE_CHECKING:
    from stempilot.contract.agent import Agent
    from stempilot.contract.backend import Backend
    from stempilot.contract.task import Task

Kind = Literal["backend", "task", "agent", "emulator"]
KINDS: tuple[Kind, ...] = ("backend", "task", "agent", "emulator")
LISTS = tuple(f"{kind}s" for kind in KINDS)
"""Attributes of an entry point's module that hold its records."""

ONLY_VARIABLE = "STEMPILOT_PLUGINS"
CHANGES_SINCE_1 = (
    ': Plugin.config and Plugin.load became text, "package.module:attribute"; Task.hints became '
    "goal, Task.plan became targets(state, action, standing), Backend.capabilities became offers; "
    "see contract-versions.md, or install an earlier stempilot"
)


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

    def default(self, kind: Kind) -> str:
        """Return the name of the plug-in that is used where none of that kind is named.

        Raises:
            PluginError: none is.
        """
        for entry in self.of_kind(kind):
            if entry.usable and entry.plugin is not None and entry.plugin.default:
                return entry.name
        msg = f"no {kind} is the default one; name one of {', '.join(self.names(kind)) or 'none'}"
        raise PluginError(msg)

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

    def task(self, name: str, /, **options: Any) -> "Task[Any, Any]":
        """Return a task with these options; raises as `stempilot.compose` does."""
        from stempilot.plugins.parts import part

        made: Task[Any, Any] = part(self, "task", name, options).load()
        return made

    def backend(self, name: str, /, *, seed: int = 0, **options: Any) -> "Backend":
        """Return a backend with these options, not opened; raises as `stempilot.compose` does.

        Args:
            name: what it is called.
            seed: which instrument it is, and how it stands, where it is simulated.
            options: of its section.
        """
        from stempilot.contract.backend import Opening
        from stempilot.plugins.options import whole
        from stempilot.plugins.parts import part

        seed = whole("seed", seed, least=0)
        opening = Opening(purpose="run", seed=seed, instrument_seed=seed)
        made: Backend = part(self, "backend", name, options).load(opening)
        return made

    def agent(
        self, name: str, task: "Task[Any, Any]", /, *, seed: int = 0, **options: Any
    ) -> "Agent":
        """Return an agent for a task with these options; raises as `stempilot.compose` does.

        Raises:
            IncompatibleError: the agent does not fit the task.
        """
        from stempilot.plugins.options import whole
        from stempilot.plugins.parts import make_agent, part

        chosen = part(self, "agent", name, options)
        title, seed = type(task).__name__, whole("seed", seed, least=0)
        return make_agent(self, chosen, task, title=title, seed=seed)


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
    with readable_only() as damaged:
        walked = list(entry_points(group=PROJECT) if points is None else points)
    only = os.environ.get(ONLY_VARIABLE) if only is None else only
    if only is not None:
        wanted = {name.strip() for name in only.split(",")} - {""}
        _require_known(wanted, sorted({point.name for point in walked}))
        walked = [point for point in walked if point.name in wanted or _is_built_in(point)]
    entries: list[Entry] = []
    for point in sorted(walked, key=lambda p: (not _is_built_in(p), p.name)):
        entries.extend(_load(point))
    entries.extend(
        Entry(
            kind=None,
            name=each.path.name.partition("-")[0],
            distribution=each.path.name,
            version="",
            problem=f"its metadata cannot be read: {each.reason}; install it again",
        )
        for each in damaged
        if each.offers
    )
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
        yield from_package(kind=kind, name=plugin.name, plugin=plugin, problem=_problem(plugin))


def _problem(plugin: Plugin) -> str:
    """Return why a record cannot be used; empty when it can."""
    functions = callable(plugin.config) or callable(plugin.load)
    api = 1 if functions else plugin.api
    if api != API:
        newer = "; install a newer stempilot" if api > API else ""
        changes = CHANGES_SINCE_1 if api == 1 else newer
        return f"written for contract version {api}; this stempilot has {API}{changes}"
    for what, reference in (("config", plugin.config), ("load", plugin.load)):
        if not re.fullmatch(r"\w+(\.\w+)*:\w+", reference):
            return f'{what} {reference!r} is not of the form "package.module:attribute"; correct it'
    return ""


def _offers(point: EntryPoint) -> list[tuple[Kind, Plugin]]:
    """Return what one entry point offers: in lists, or by hooks in a manager of its own."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    module = point.load()
    manager.register(module, name=point.name)
    manager.check_pending()
    found = [
        (kind, _checked(plugin, module))
        for kind in KINDS
        for offered in (*_listed(module, kind), *getattr(manager.hook, f"stempilot_{kind}s")())
        for plugin in offered
    ]
    _require_known_lists(point.value, module)
    if not (found or manager.get_hookcallers(module)):
        msg = f"{point.value} offers nothing; give it a list of Plugin records: {', '.join(LISTS)}"
        raise TypeError(msg)
    return found


def _require_known_lists(where: str, module: Any) -> None:
    for name, value in getattr(module, "__dict__", {}).items():
        records = isinstance(value, list | tuple) and any(isinstance(o, Plugin) for o in value)
        if records and name not in LISTS and not name.startswith("_"):
            msg = f"{where} has an unknown list {name!r} of plug-ins; {meant(name, LISTS)}"
            raise TypeError(msg)


def _listed(module: Any, kind: Kind) -> Iterator[Iterable[Any]]:
    """Yield the list of that kind; a module may be called so too, and is none."""
    offered = getattr(module, f"{kind}s", ())
    if not isinstance(offered, ModuleType):
        yield offered


def _checked(plugin: Any, module: Any) -> Plugin:
    """Return a record with full names of where its parts are."""
    if not isinstance(plugin, Plugin):
        msg = f"{plugin!r} is offered; it must be a stempilot.Plugin record"
        raise TypeError(msg)

    def full(reference: str) -> str:
        relative = str(reference).startswith(".")  # str: contract version 1 had functions here
        return f"{getattr(module, '__package__', '')}{reference}" if relative else reference

    return evolve(plugin, config=full(plugin.config), load=full(plugin.load))


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
