"""Every installed plug-in keeps its contract; one that is added is checked here."""

from collections.abc import Mapping
from typing import Any

import pytest

from stempilot.plugins.registry import KINDS, Kind, discover
from stempilot.testing import check_plugin

REGISTRY = discover()
# Small networks, and updates from the beginning: the lessons of the contract are short.
SMALL = {"hidden_sizes": [8, 8], "learning_starts": 8, "batch_size": 8, "gradient_steps": 1}
SETTINGS: Mapping[tuple[Kind, str], Mapping[str, Any]] = {
    ("agent", "sac"): SMALL,
    ("agent", "sac-rapid"): SMALL,
    ("agent", "tqc"): SMALL,
    ("agent", "crossq"): SMALL | {"critic_hidden_sizes": [8, 8]},
    ("agent", "dqn"): SMALL,
}
# Checked where their servers, recorded runs or films are: tests/backends and tests/tasks/probe.
NEED_A_SERVER: set[tuple[Kind, str]] = {
    ("backend", "replay"),
    ("agent", "recorded"),
    ("backend", "temscript"),
    ("backend", "usetem-themis"),
    ("task", "stigmator"),
    ("task", "stigmate-and-focus"),
    ("task", "stem-focus"),
    ("task", "read-aberrations"),
}
PLUGINS = [
    pytest.param(kind, name, marks=[pytest.mark.slow] if (kind, name) in SETTINGS else [])
    for kind in KINDS
    for name in REGISTRY.names(kind)
    if (kind, name) not in NEED_A_SERVER
]


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_plugin_keeps_its_contract(kind: Kind, name: str) -> None:
    results = check_plugin(REGISTRY, kind, name, SETTINGS.get((kind, name)))
    assert [f"{result.check}: {result.message}" for result in results if not result.passed] == []
    assert sum(result.applies for result in results) >= 6


def test_no_installed_plugin_is_broken() -> None:
    assert [entry for entry in REGISTRY.entries if not entry.usable] == []


def test_all_kinds_are_offered() -> None:
    assert all(REGISTRY.names(kind) for kind in KINDS)
