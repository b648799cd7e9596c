"""Fixtures that tests of the core share."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.core.fakes import install, put_record

from stempilot.record.run_dir import RunDir

Install = Callable[..., EntryPoint]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a package for the length of a test; see `install`."""
    before = set(sys.modules)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def installed(name: str, source: str, version: str = "1.0", point: str = "") -> EntryPoint:
        own = folder / name
        own.mkdir()
        monkeypatch.syspath_prepend(own)
        return install(own, name, source, version=version, point=point or name)

    yield installed
    for name in set(sys.modules) - before:
        if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
            with contextlib.suppress(KeyError):
                del sys.modules[name]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Return a run directory that holds nothing but a record."""
    made = RunDir.create(tmp_path / "run")
    put_record(made.path)
    return made
