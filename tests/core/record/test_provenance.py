"""A record says what software made it."""

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from stempilot.record import provenance


def test_versions_and_command_line_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/somebody/bin/stempilot", "train", "x"])
    told = provenance.provenance()
    assert told["argv"] == ["stempilot", "train", "x"]
    assert told["versions"]["stempilot"] == version("stempilot")
    assert told["versions"]["numpy"] == version("numpy")
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "somebody" not in json.dumps(told)


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_PACKAGES", ("no-such-package-here",))
    assert provenance.provenance()["versions"] == {"no-such-package-here": None}


@pytest.mark.parametrize("error", [OSError("no git"), subprocess.TimeoutExpired("git", 5)])
def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance.provenance()["git_commit"] is None


def test_an_installed_package_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", "/x/site-packages/stempilot/provenance.py")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("git was asked"))
    assert provenance.provenance()["git_commit"] is None
