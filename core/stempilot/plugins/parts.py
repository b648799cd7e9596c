"""From names and settings to a task, a backend and an agent that fit together."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar

import attrs
from attrs import field, frozen, validators
from cattrs.errors import StructureHandlerNotFoundError

from stempilot.contract.agent import Agent, Brief
from stempilot.contract.backend import Backend, Opening
from stempilot.contract.emulator import Emulator
from stempilot.contract.goals import Goal
from stempilot.contract.plugin import PROJECT, Plugin
from stempilot.contract.task import Task
from stempilot.errors import IncompatibleError, PluginError
from stempilot.plugins import options as config
from stempilot.plugins.no_agent import NO_AGENT, PLUGIN, NoOptions, require_agent
from stempilot.plugins.registry import Kind, Registry

DEFAULT_MAX_TIMESTEPS = 200
"""Most timesteps of an episode; the rest is cut off, and costs no reward."""

Sections = Mapping[str, Mapping[str, Any]]
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
        tensorboard: write TensorBoard's event files of a training into the run directory; needs
            ``pip install "stempilot[tensorboard]"``.
    """

    earlier: ClassVar[Mapping[str, str]] = MappingProxyType({"max_steps": "max_timesteps"})

    max_timesteps: int = field(default=DEFAULT_MAX_TIMESTEPS, validator=validators.ge(1))
    checkpoint_every: int = field(default=100, validator=validators.ge(1))
    evaluate: bool = True
    adapt_steps: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    tensorboard: bool = False


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
        make = _named(self.kind, self.name, self.source, load=self.plugin.load)
        with _explained(self.kind, self.name, self.source, self.plugin.load):
            made = make(self.config, *more)
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
        registry: where they come from.
    """

    task: Part
    backend: Part
    agent: Part
    run: RunConfig
    settings: Sections
    sources: Mapping[str, str]
    registry: Registry = field(repr=False)

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
            IncompatibleError: the agent cannot work with the task's spaces or goal.
        """
        return make_agent(self.registry, self.agent, task, title=self.task.name, seed=seed)


def make_agent(
    registry: Registry, agent: Part, task: Task[Any, Any], *, title: str, seed: int
) -> Agent:
    """Load an agent for a task that is called ``title``.

    Raises:
        IncompatibleError: the agent cannot work with the task's spaces or goal.
    """
    require_agent(task, title, agent.name)
    goal = task.goal
    if not _serves(agent.plugin, goal):
        others = [n for n in registry.names("agent") if _serves(registry.get("agent", n), goal)]
        problem = (
            f"agent {agent.name} works towards goals of kind {' or '.join(agent.plugin.serves)}; "
            f"task {title} has {'no goal' if goal is None else f'a goal of kind {goal.kind}'}; "
            f"agents that fit: {', '.join(others) or 'none'}"
        )
        raise IncompatibleError([problem])
    made: Agent = agent.load(Brief.of(task, seed))
    return made


def _serves(agent: Plugin, goal: Goal | None) -> bool:
    return not agent.serves or (goal is not None and goal.kind in agent.serves)


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
        registry=registry,
    )


def part(registry: Registry, kind: Kind, name: str, values: Mapping[str, Any]) -> Part:
    """Return one plug-in with its validated configuration; raises as `compose` does."""
    if (kind, name) == ("agent", NO_AGENT):
        return Part(kind=kind, name=name, source=PROJECT, plugin=PLUGIN, config=NoOptions())
    plugin, source = registry.get(kind, name), _source(registry, kind, name)
    try:
        built = config.build(options_class(registry, kind, name), values, section=kind)
    except StructureHandlerNotFoundError as error:
        msg = (
            f"the options of {kind} {name!r} of {source} have a type that no value can be read "
            f"into: {error.type_!r}; see how-to-write-a-plugin.md"
        )
        raise PluginError(msg) from error
    return Part(kind=kind, name=name, source=source, plugin=plugin, config=built)


def options_class(registry: Registry, kind: Kind, name: str) -> type[Any]:
    """Return the attrs class of a plug-in's options.

    Raises:
        PluginError: the name is unknown, or its plug-in is broken.
    """
    reference, source = registry.get(kind, name).config, _source(registry, kind, name)
    options = _named(kind, name, source, config=reference)
    if not (isinstance(options, type) and attrs.has(options)):
        msg = (
            f"the options of {kind} {name!r} of {source} ({reference}) are {options!r}, not an "
            "attrs class (attrs.frozen); see how-to-write-a-plugin.md"
        )
        raise PluginError(msg)
    return options


def _source(registry: Registry, kind: Kind, name: str) -> str:
    entry = registry.entry(kind, name)
    return f"{entry.distribution} {entry.version}"


def _named(kind: Kind, name: str, source: str, **named: str) -> Any:
    """Return what ``config`` or ``load`` of a plug-in names."""
    ((what, reference),) = named.items()
    module, _, attribute = reference.partition(":")
    with _explained(kind, name, source, reference):
        found = getattr(import_module(module), attribute, None)
    if callable(found):
        return found
    said = f"that is {found!r}, no class or function" if found else "there is no such attribute"
    msg = f"{what} of {kind} {name!r} of {source} is {reference!r}, but {said}; correct that text"
    raise PluginError(msg)


@contextlib.contextmanager
def _explained(kind: Kind, name: str, source: str, reference: str) -> Iterator[None]:
    """Turn a missing package or method into an error that says whose it is."""
    try:
        yield
    except ImportError as error:
        if error.name and _package(error.name) == _package(reference):
            msg = (
                f"{kind} {name!r} of {source} ({reference}) lacks a module of its own: {error}; "
                "correct that text or repair the package"
            )
            raise PluginError(msg) from error
        msg = f"{kind} {name!r} needs a package that is not installed: {error}; install it"
        raise PluginError(msg) from error
    except TypeError as error:
        # Python has no exception of its own for this.
        if "instantiate abstract class" not in str(error):
            raise
        raise PluginError(_incomplete(kind, name, source, str(error))) from error


def _package(module: str) -> str:
    return re.split("[.:]", module, maxsplit=1)[0]


def _incomplete(kind: Kind, name: str, source: str, what: str) -> str:
    return (
        f"{kind} {name!r} of {source} lacks a part of the contract "
        f"(stempilot.{_CONTRACTS[kind].__name__}): {what}; update or repair that package"
    )
