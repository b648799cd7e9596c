"""Compiled functions work on machines where numba's own cache would end the program."""

import errno
import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from numba.core.caching import FunctionCache, IndexDataCacheFile

import stempilot_backends
import stempilot_tasks
from stempilot.plugins import compiled as own

SOURCE = """
from stempilot import compiled

@compiled
def twice(x):
    return x + x
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    path = tmp_path / "kernel.py"
    path.write_text(SOURCE)
    return path


def loaded(path: Path) -> Any:
    """Return the function as a new process would have it: not compiled yet."""
    spec = importlib.util.spec_from_file_location("kernel", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.twice


def kept(path: Path) -> list[Path]:
    return sorted((path.parent / "__pycache__").glob("*.nb?"))


def test_what_was_compiled_is_kept(source: Path) -> None:
    assert loaded(source)(1) == 2
    assert len(kept(source)) == 2
    again = loaded(source)
    assert again(1) == 2
    assert sum(again.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"no pickle"])
def test_a_damaged_cache_is_thrown_away_and_made_again(source: Path, content: bytes) -> None:
    assert loaded(source)(1) == 2
    for file in kept(source):
        file.write_bytes(content)
    assert loaded(source)(1) == 2
    repaired = loaded(source)
    assert repaired(1) == 2
    assert sum(repaired.stats.cache_hits.values()) == 1


def test_a_full_disk_keeps_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(IndexDataCacheFile, "save", full)
    assert loaded(source)(1) == 2
    assert kept(source) == []


def test_without_a_place_it_goes_without(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> None:
        msg = "cannot cache function 'twice': no locator available"
        raise RuntimeError(msg)

    monkeypatch.setattr(FunctionCache, "__init__", nowhere)
    assert loaded(source)(1) == 2


def test_without_a_home_no_folder_is_made(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(own.os, "access", lambda *_: False)
    monkeypatch.chdir(tmp_path)
    assert loaded(source)(1) == 2
    assert kept(source) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"kernel.py", "__pycache__"}


def test_nothing_is_compiled_in_another_way() -> None:
    roots = [Path(module.__file__).parent for module in (stempilot_backends, stempilot_tasks)]
    sources = [path for root in roots for path in root.rglob("*.py")]
    assert len(sources) > 50
    assert [path for path in sources if "cache=True" in path.read_text(encoding="utf-8")] == []
