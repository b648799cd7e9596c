"""Reads a workflow from a TOML file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import time
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from stempilot.errors import ConfigError
from stempilot.plugins.options import build, read_settings, read_toml
from stempilot.plugins.parts import Sections
from stempilot.workflow.steps import RESERVED, AnyStep, OperatorStep, Step, Workflow


@frozen(kw_only=True)
class _File:
    """The keys of a workflow file."""

    steps: tuple[dict[str, Any], ...]
    name: str | None = None
    every_minutes: float | None = None
    until: str | None = None


def read_workflow(file: str | Path) -> Workflow:
    """Return the workflow of a TOML file; it has the file's name where it says none.

    Raises:
        ConfigError: it cannot be read, a key is unknown (with the nearest ones), a value is not
            what it must be, or the steps do not fit together; the message names file and step.
    """
    path = Path(file)
    content = read_toml(path)
    until = content.get("until")
    with _named(path):
        # TOML knows times of the day.
        timed = {**content, "until": until.isoformat()} if isinstance(until, time) else content
        found = build(_File, timed, section="workflow")
        return Workflow(
            [_step(number, values) for number, values in enumerate(found.steps, start=1)],
            name=path.stem if found.name is None else found.name,
            every_minutes=found.every_minutes,
            until=None if found.until is None else time.fromisoformat(found.until),
        )


def _step(number: int, values: Mapping[str, Any]) -> AnyStep:
    kind: type[AnyStep] = OperatorStep if "operator" in values else Step
    name = values.get("name")
    section = name if isinstance(name, str) and name else f"steps[{number}]"
    for key in ("agent", "policy"):
        if not isinstance(values.get(key, ""), str):
            msg = f"{section}.{key}: {values[key]!r} is not text"
            raise ConfigError(msg)
    return build(kind, values, section=section)


def with_settings(workflow: Workflow, settings: Sections) -> Workflow:
    """Return a workflow with further options of its steps' tasks, by step.

    Raises:
        ConfigError: the steps no longer fit together.
    """
    return evolve(
        workflow,
        steps=[
            evolve(step, options={**step.options, **settings.get(step.name, {})})
            if isinstance(step, Step)
            else step
            for step in workflow.steps
        ],
    )


def parse_settings(workflow: Workflow, settings: list[str]) -> dict[str, dict[str, Any]]:
    """Return the values of ``--set STEP.OPTION=VALUE`` and ``--set backend.OPTION=VALUE``.

    Raises:
        ConfigError: no such step; with the nearest names.
    """
    names = [step.name for step in workflow.steps if isinstance(step, Step)]
    return read_settings(None, settings, [*names, RESERVED])


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in what is wrong with its content."""
    try:
        yield
    except (ConfigError, ValueError) as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error
