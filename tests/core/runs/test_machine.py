"""Checks of a machine say what is in the way, and what to do."""

import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from stempilot.runs import machine
from stempilot.runs.machine import Finding, caches, clock, examine, packages, places


def test_a_check_that_fails_is_a_finding_and_the_others_go_on() -> None:
    def fail() -> Any:
        yield Finding("first", "fine")
        raise SystemExit(3)

    found = examine([("broken", fail), ("sound", lambda: [Finding("sound", "fine")])])
    assert [(each.what, each.state) for each in found] == [
        ("first", "ok"),
        ("broken", "problem"),
        ("sound", "ok"),
    ]


def test_a_disk_that_is_nearly_full_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(5e7))
    found = {each.what: each for each in places(tmp_path / "runs")}
    assert found["run directories"].state == "problem"
    assert found["run directories"].advice == "free some space"
    assert "0.1 GB free" in found["run directories"].found


def test_a_folder_that_cannot_be_written_to_is_a_problem_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEMPILOT_LOCK_DIR", str(tmp_path / "file" / "b"))
    (locks,) = [each for each in places(tmp_path) if each.what == "lock folder"]
    assert locks.state == "problem", "a file is in the way"
    monkeypatch.setenv("STEMPILOT_LOCK_DIR", str(tmp_path / "a" / "b"))

    def refuse(**where: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(where["dir"]))

    monkeypatch.setattr(machine.tempfile, "NamedTemporaryFile", refuse)
    found = {each.what: each for each in places(tmp_path)}
    assert {each.state for each in found.values()} == {"problem"}
    assert "set STEMPILOT_LOCK_DIR to another" in found["lock folder"].advice
    assert "PermissionError" in found["working folder"].found
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "nothing was made"


def test_caches_that_cannot_be_kept_are_worth_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.devnull)
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setattr(machine, "_free_b", lambda path: path / None)  # type: ignore[operator]
    assert [(each.state, each.advice.split()[1]) for each in caches()] == [
        ("note", "NUMBA_CACHE_DIR"),
        ("note", "MPLCONFIGDIR"),
    ]
    monkeypatch.undo()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert next(iter(caches())).found == f"can be kept below {tmp_path}"


def test_clocks_that_are_off_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.time, "time", lambda: 1e9)
    found = list(clock())
    assert [each.state for each in found] == ["problem", "note"]
    assert "before this file was installed" in found[0].found
    assert " s off" in found[1].found


def test_a_package_that_is_missing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        machine.metadata,
        "requires",
        lambda _: ["attrs>=23.2", "no-such-package>=1", "mss; extra == 'screen'"],
    )
    found = list(packages())
    (missing,) = [each for each in found if each.state == "problem"]
    assert (missing.what, missing.advice) == ("no-such-package", "pip install no-such-package")
    assert "attrs " in found[-1].found
