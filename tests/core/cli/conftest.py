"""The command line in this process, with toys for plug-ins and without drawing reports."""

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from tests.core.fakes import toy_registry

from stempilot import cli
from stempilot.plugins.registry import Registry


@frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; fails when there is anything else."""
        return json.loads(self.out)


Stempilot = Callable[..., Ended]


def typed(line: str) -> list[str]:
    """Return the words of a command line."""
    return line.split()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Registry], None]:
    """Return what makes the command line find other plug-ins."""

    def chosen(registry: Registry) -> None:
        monkeypatch.setattr("stempilot.plugins.registry.discover", lambda *_, **__: registry)

    chosen(toy_registry())
    return chosen


@pytest.fixture
def stempilot(
    use: Callable[[Registry], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Stempilot:
    """Return what runs a command as it would be typed, in an empty folder."""
    del use
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("stempilot.report.write_report", lambda run: run / "report.html")

    def run(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["stempilot", *map(str, words)])
        capsys.readouterr()
        code: Any = 0
        with contextlib.suppress(SystemExit):
            try:
                cli.main()
            except SystemExit as ended:
                code = ended.code or 0
        told = capsys.readouterr()
        return Ended(code=code, out=told.out, err=told.err)

    return run
