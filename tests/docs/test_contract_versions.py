"""The page on contract versions says what the registry does."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.core.fakes import install

import stempilot
from stempilot.errors import PluginError
from stempilot.plugins.registry import CHANGES_SINCE_1, discover

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract-versions.md"
TEXT = PAGE.read_text("utf-8")


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    monkeypatch.syspath_prepend(folder)
    point: EntryPoint = install(folder, "old-package", source, version="0.3")
    with pytest.raises(PluginError) as caught:
        discover([point]).get("task", "old")
    del sys.modules[point.module]
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_an_old_plug_in_is_refused_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from stempilot import Plugin\ntasks = [Plugin('old', '', config=int, load=int)]\n"
    (shown,) = re.findall(r"^```text\n(.*?)\n```$", TEXT, re.M | re.S)
    assert refused(tmp_path, monkeypatch, source) == shown


def test_a_plug_in_of_a_later_version_asks_for_a_newer_stempilot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = f"Plugin('old', '', config='a:b', load='a:b', api={stempilot.API + 1})"
    source = f"from stempilot import Plugin\ntasks = [{later}]\n"
    assert refused(tmp_path, monkeypatch, source).endswith("install a newer stempilot")


def test_the_page_is_about_the_present_version() -> None:
    assert f"This stempilot has version {stempilot.API}." in TEXT
    assert f"## From version {stempilot.API - 1} to {stempilot.API}" in TEXT
    assert PAGE.name in CHANGES_SINCE_1


def test_what_the_page_names_is_public() -> None:
    contracts = TEXT.partition("## What version 2 is")[2].partition("\n## ")[0]
    first = [line.split("|")[1] for line in contracts.splitlines() if line.startswith("| ")]
    named = {name for cell in first for name in re.findall(r"`([A-Z]\w+)`", cell)}
    assert len(named) > 15
    assert named <= set(stempilot.__all__)
    assert set(re.findall(r"`stempilot\.([A-Z_]+)`", TEXT)) <= set(stempilot.__all__)
