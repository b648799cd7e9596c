"""``stempilot plugins`` and ``stempilot check``."""

import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stempilot.cli import options as o, render
from stempilot.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from stempilot.plugins.registry import Kind, Registry


def plugins(as_json: o.AsJson = False) -> None:
    """List all plug-ins by kind, and what is wrong with those that cannot be used."""
    from stempilot.plugins.registry import discover

    render.plugins(discover(), json_wanted=as_json)


def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a plug-in.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="TOML file with that section; --set overrides it."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="An option of the task, backend, agent or emulator; may be repeated.",
        ),
    ] = None,
    only: Annotated[
        str,
        typer.Option("--only", metavar="CHECK", help="Make this one check.", show_default=False),
    ] = "",
    as_json: o.AsJson = False,
) -> None:
    """Check a backend, task, agent or emulator against its contract; say what to mend, and how."""
    from stempilot.plugins.options import SECTIONS, read_settings
    from stempilot.plugins.parts import part
    from stempilot.plugins.registry import discover
    from stempilot.plugins.suggest import meant
    from stempilot.testing import CheckResult, check_plugin
    from stempilot.testing.checks import remedies

    registry = discover()
    kinds = _kinds(registry, name)
    sections = read_settings(config, settings or (), sections=(*SECTIONS, "emulator"))
    unused = [section for section, values in sections.items() if values and section not in kinds]
    if unused:
        msg = f"{name} is a {' and a '.join(kinds)}; it takes no options of section {unused[0]}"
        raise ConfigError(msg)
    for kind in kinds:
        # Before any check: those of a real instrument that is not there take long.
        part(registry, kind, name, sections[kind])
    found: dict[str, list[CheckResult]] = {}
    with _warnings_once():
        for kind in kinds:
            found[kind] = check_plugin(registry, kind, name, sections[kind], only)
    if not any(found.values()):
        msg = f"no check of {name} is called {only!r}; {meant(only, remedies())}"
        raise ConfigError(msg)
    again = _command(name, config, settings or ())
    render.checks(name, found, again=again, json_wanted=as_json)
    if not all(one.passed for results in found.values() for one in results):
        raise typer.Exit(1)


def _kinds(registry: "Registry", name: str) -> "list[Kind]":
    """Return the kinds of plug-ins that have this name.

    Raises:
        PluginError: there are none.
    """
    from stempilot.plugins.registry import KINDS

    kinds = [kind for kind in KINDS if any(e.name == name for e in registry.of_kind(kind))]
    if not kinds:
        if any(entry.kind is None and entry.name == name for entry in registry.entries):
            # Its package failed before it said what it offers; this raises with the cause.
            registry.get("backend", name)
        msg = f"no plug-in is called {name!r}; see `stempilot plugins`"
        raise PluginError(msg)
    return kinds


def _command(name: str, config: Path | None, settings: Iterable[str]) -> str:
    """Return the command as it can be typed again, into any shell."""
    words = [name, *(("--config", str(config)) if config else ())]
    words += [word for setting in settings for word in ("--set", setting)]
    return " ".join(["stempilot check", *(f'"{w}"' if " " in w else w for w in words)])


@contextlib.contextmanager
def _warnings_once() -> Iterator[None]:
    """Show each warning of a plug-in once, however many checks make it."""
    handler, told = logging.lastResort, set[str]()

    def is_new(record: logging.LogRecord) -> bool:
        sentence = record.getMessage()
        new = sentence not in told
        told.add(sentence)
        return new

    if handler is None:
        yield
        return
    handler.addFilter(is_new)
    try:
        yield
    finally:
        handler.removeFilter(is_new)
