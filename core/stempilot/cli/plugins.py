"""``stempilot plugins`` and ``stempilot check``."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from stempilot.cli import options as o, render
from stempilot.errors import ConfigError, PluginError


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
    as_json: o.AsJson = False,
) -> None:
    """Check a backend, task, agent or emulator against its contract."""
    from stempilot.plugins.options import SECTIONS, read_settings
    from stempilot.plugins.parts import part
    from stempilot.plugins.registry import KINDS, discover
    from stempilot.testing import CheckResult, check_plugin

    registry = discover()
    kinds = [kind for kind in KINDS if any(e.name == name for e in registry.of_kind(kind))]
    if not kinds:
        if any(entry.kind is None and entry.name == name for entry in registry.entries):
            # Its package failed before it said what it offers; this raises with the cause.
            registry.get("backend", name)
        msg = f"no plug-in is called {name!r}; see `stempilot plugins`"
        raise PluginError(msg)
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
            found[kind] = check_plugin(registry, kind, name, sections[kind])
    render.checks(name, found, json_wanted=as_json)
    if not all(one.passed for results in found.values() for one in results):
        raise typer.Exit(1)


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
