"""From names and settings to a task, a backend and an agent that fit together."""

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import attrs
from attrs import field, frozen, validators
from cattrs.errors import StructureHandlerNotFoundError

from stempilot.contract.agent import Agent, Brief
from stempilot.contract.backend import Backend, Opening
from stempilot.contract.emulator import Emulator
from stempilot.contract.plugin import Plugin
from stempilot.contract.task import Task
from stempilot.errors import (
    PluginError,
)
from stempilot.plugins import options as config
from stempilot.plugins.registry import Kind, Registry

DEFAULT_MAX_STEPS = 200
"""Most timesteps of an episode; the rest is cut off, and costs no reward."""

Sections = Mapping[str, Mapping[str, Any]]
DEFAULT_BACKEND = "simulator"
_CONTRACTS: dict[Kind, Any] = {
    "backend": Backend,
    "task": Task,
    "agent": Agent,
    "emulator": Emulator,
}


@frozen(kw_only=True)
class RunConfig:
    """Options of the framework itself, section ``run``.

    Attributes:
        max_timesteps: most timesteps of an episode; the rest is cut off, and costs no reward.
        checkpoint_every: timesteps after which the next episode's end is a checkpoint.
        evaluate: whether training is accompanied by evaluations on a twin (``converged_at``).
        adapt_steps: timesteps that a run with ``--adapt`` relearns for when the response changed;
            ``None`` for as many as the agent takes as a rule.
    """

    earlier: ClassVar[Mapping[str, str]] = MappingProxyType({"max_steps": "max_timesteps"})

    max_timesteps: int = field(default=DEFAULT_MAX_STEPS, validator=validators.ge(1))
    checkpoint_every: int = field(default=100, validator=validators.ge(1))
    evaluate: bool = True
    adapt_steps: int | None = field(default=None, validator=validators.optional(validators.ge(1)))


@frozen(kw_only=True)
class Part:
    """One plug-in with its validated configuration.

    Attributes:
        kind: what it is.
        name: what it is called.
        source: distribution and version of its package.
        plugin: its record.
        config: its configuration.
    """

    kind: Kind
    name: str
    source: str
    plugin: Plugin = field(repr=False)
    config: Any

    def load(self, *more: Any) -> Any:
        """Return what the plug-in makes of its configuration.

        Args:
            more: what is handed to its kind beside: opening, brief or seed.

        Raises:
            PluginError: a package is not installed, or what is made lacks a part of its contract.
        """
        with _explained(self.kind, self.name, self.source, self.plugin):
            made = self.plugin.load(self.config, *more)
        contract = _CONTRACTS[self.kind]
        needed = () if isinstance(made, contract) else sorted(contract.__abstractmethods__)
        missing = [name for name in needed if not hasattr(made, name)]
        if missing:
            msg = f"{type(made).__name__} has no {', '.join(missing)}"
            raise PluginError(_incomplete(self.kind, self.name, self.source, msg))
        return made


@frozen(kw_only=True)
class Composition:
    """Everything that a run is made of, validated and not yet loaded.

    Attributes:
        task: the operation.
        backend: the microscope.
        agent: who operates it.
        run: the framework's own options.
        settings: what the user set, by section, before presets and defaults.
        sources: distribution and version of each plug-in, by kind.
    """

    task: Part
    backend: Part
    agent: Part
    run: RunConfig
    settings: Sections
    sources: Mapping[str, str]

    def resolved(self) -> dict[str, Any]:
        """Return all configurations as plain values, defaults and presets included."""
        return {
            "task": config.plain(self.task.config),
            "backend": config.plain(self.backend.config),
            "agent": config.plain(self.agent.config),
            "run": config.plain(self.run),
        }

    def make_task(self) -> Task[Any, Any]:
        """Load the task."""
        made: Task[Any, Any] = self.task.load()
        return made

    def make_backend(self, opening: Opening) -> Backend:
        """Load the backend; it is not opened."""
        made: Backend = self.backend.load(opening)
        return made

    def make_agent(self, task: Task[Any, Any], seed: int) -> Agent:
        """Load the agent for a task.

        Raises:
            IncompatibleError: the agent cannot work with the task's spaces.
        """
        made: Agent = self.agent.load(Brief.of(task, seed))
        return made


def compose(
    registry: Registry, *, task: str, backend: str, agent: str, settings: Sections
) -> Composition:
    """Return the parts of a run with their validated configurations.

    Raises:
        PluginError: a name is unknown or its plug-in is broken.
        ConfigError: a section or an option is unknown, or an option out of range.
    """
    config.require_sections(settings)
    names: dict[Kind, str] = {"task": task, "backend": backend, "agent": agent}
    parts = {kind: part(registry, kind, n, settings.get(kind, {})) for kind, n in names.items()}
    return Composition(
        **parts,
        run=config.build(RunConfig, settings.get("run", {}), section="run"),
        settings={section: dict(values) for section, values in settings.items()},
        sources={kind: one.source for kind, one in parts.items()},
    )


def part(registry: Registry, kind: Kind, name: str, values: Mapping[str, Any]) -> Part:
    """Return one plug-in with its validated configuration; raises as `compose` does."""
    plugin, entry = registry.get(kind, name), registry.entry(kind, name)
    source = f"{entry.distribution} {entry.version}"
    with _explained(kind, name, source, plugin):
        options: Any = plugin.config()
    whose, help_ = f"the options of {kind} {name!r} of {source}", "see how-to-write-a-plugin.md"
    if not (isinstance(options, type) and attrs.has(options)):
        msg = f"{whose} are {options!r}, not an attrs class (attrs.frozen); {help_}"
        raise PluginError(msg)
    try:
        built = config.build(options, values, section=kind)
    except StructureHandlerNotFoundError as error:
        msg = f"{whose} have a type that no value can be read into: {error.type_!r}; {help_}"
        raise PluginError(msg) from error
    return Part(kind=kind, name=name, source=source, plugin=plugin, config=built)


@contextlib.contextmanager
def _explained(kind: Kind, name: str, source: str, plugin: Plugin) -> Iterator[None]:
    """Turn a missing package or method into an error that says whose it is."""
    try:
        yield
    except ImportError as error:
        if error.name and _package(error.name) in map(_package, _modules(plugin)):
            msg = f"{kind} {name!r} of {source} lacks a module of its own: {error}; repair it"
            raise PluginError(msg) from error
        msg = f"{kind} {name!r} needs a package that is not installed: {error}; install it"
        raise PluginError(msg) from error
    except TypeError as error:
        # Python has no exception of its own for this.
        if "instantiate abstract class" not in str(error):
            raise
        raise PluginError(_incomplete(kind, name, source, str(error))) from error


def _modules(plugin: Plugin) -> list[str]:
    """Return where the functions of a plug-in are defined."""
    return [getattr(made, "__module__", "") for made in (plugin.config, plugin.load)]


def _package(module: str) -> str:
    return module.partition(".")[0]


def _incomplete(kind: Kind, name: str, source: str, what: str) -> str:
    return (
        f"{kind} {name!r} of {source} lacks a part of the contract "
        f"(stempilot.{_CONTRACTS[kind].__name__}): {what}; update or repair that package"
    )
