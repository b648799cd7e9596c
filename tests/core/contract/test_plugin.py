"""Each hook exists, is called once, and is documented."""

import inspect
from typing import Any

import attrs
import pluggy
import pytest
from tests.core.conftest import Install

from stempilot.contract import plugin as hookspecs
from stempilot.contract.goals import Centre, Raise
from stempilot.contract.names import GOAL_KINDS
from stempilot.contract.plugin import Plugin
from stempilot.plugins.registry import KINDS, discover

SOURCE = """
from stempilot.contract.plugin import Plugin, hookimpl
calls = []

@hookimpl
def {hook}():
    calls.append("{hook}")
    return (Plugin("mine", "", config="builtins:dict", load="builtins:dict"),)
"""


def hooks() -> set[str]:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return {name for name in vars(manager.hook) if name.startswith("stempilot")}


def offered(site: Install, hook: str) -> list[tuple[Any, str]]:
    """Return what a package with that hook alone offers, and check that it is called once."""
    point = site(f"pkg-{hook.replace('_', '-')}", SOURCE.format(hook=hook))
    registry = discover([point])
    assert point.load().calls == [hook]
    return [(entry.kind, entry.name) for entry in registry.entries]


def test_hook_stempilot_backends(site: Install) -> None:
    assert offered(site, "stempilot_backends") == [("backend", "mine")]


def test_hook_stempilot_tasks(site: Install) -> None:
    assert offered(site, "stempilot_tasks") == [("task", "mine")]


def test_hook_stempilot_agents(site: Install) -> None:
    assert offered(site, "stempilot_agents") == [("agent", "mine")]


def test_hook_stempilot_emulators(site: Install) -> None:
    assert offered(site, "stempilot_emulators") == [("emulator", "mine")]


def test_each_hook_is_tested_above_and_documented() -> None:
    assert hooks() == {f"stempilot_{kind}s" for kind in KINDS}
    for hook in hooks():
        assert f"test_hook_{hook}" in globals()
        assert inspect.getdoc(getattr(hookspecs, hook))


def test_a_plugin_is_a_frozen_record_of_this_contract_version() -> None:
    plugin = Plugin("mine", "", config="builtins:dict", load="builtins:dict")
    assert plugin.api == 2, "it does not grow with the present version"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        plugin.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [{"name": 3}, {"name": None}, {"summary": 3}, {"api": "1"}, {"config": 3}, {"load": None}],
)
def test_a_plugin_with_fields_of_the_wrong_kind_cannot_be_made(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "mine", "summary": "", "config": "a:b", "load": "a:b"}
    with pytest.raises(TypeError, match=next(iter(change))):
        Plugin(**good | change)


def test_an_agent_serves_kinds_of_goals_that_exist() -> None:
    for kind in GOAL_KINDS:
        assert Plugin("mine", "", config="a:b", load="a:b", serves=(kind,)).serves == (kind,)
    with pytest.raises(ValueError, match="serves"):
        Plugin("mine", "", config="a:b", load="a:b", serves=("center",))
    assert tuple(goal.kind for goal in (Centre, Raise)) == GOAL_KINDS
