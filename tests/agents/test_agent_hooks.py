"""The entry point offers agents and costs nothing until one is asked for."""

import subprocess
import sys
from typing import Any

import attrs
import pytest

from stempilot.contract.agent import Brief, Learner
from stempilot.contract.plugin import API
from stempilot.plugins.parts import options_class, part
from stempilot.plugins.registry import discover
from stempilot_agents import hooks

NAMES = (
    "sac",
    "sac-rapid",
    "tqc",
    "crossq",
    "dqn",
    "adaptive",
    "proportional",
    "random",
    "recorded",
)
LEARNERS = ("sac", "sac-rapid", "tqc", "crossq", "dqn")


def plugins() -> Any:
    return {plugin.name: plugin for plugin in hooks.agents}


def options(name: str) -> Any:
    return options_class(discover(only=""), "agent", name)


def test_the_agents_are_offered() -> None:
    assert tuple(plugins()) == NAMES
    for plugin in plugins().values():
        assert plugin.api == API
        assert plugin.summary.endswith(".")


@pytest.mark.parametrize("name", LEARNERS)
def test_loads_a_learner(name: Any, new_learner: Any) -> None:
    made = new_learner(name)
    brief = Brief(
        observation_space=made._model.observation_space,
        action_space=made._model.action_space,
        goal=None,
        seed=1,
    )
    learner = part(discover(only=""), "agent", name, {}).load(brief)
    assert isinstance(learner, Learner)
    assert type(learner) is type(made)


def test_importing_and_configuring_imports_no_learning_library() -> None:
    code = """
import sys
from stempilot.plugins.parts import options_class
from stempilot.plugins.registry import discover
registry = discover(only="")
for name in ("sac", "sac-rapid", "tqc", "crossq", "dqn"):
    options_class(registry, "agent", name)()
heavy = {"torch", "stable_baselines3", "sb3_contrib", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_option_is_described(name: Any) -> None:
    kind = options(name)
    text = "".join(each.__doc__ or "" for each in kind.__mro__)
    for attribute in attrs.fields(kind):
        assert f"\n        {attribute.name}: " in text


@pytest.mark.parametrize("name", LEARNERS)
def test_every_preset_names_options_and_is_valid(name: Any) -> None:
    kind = options(name)
    names = {attribute.name for attribute in attrs.fields(kind)}
    assert "default" in kind.presets
    for preset, values in kind.presets.items():
        assert values.keys() <= names - {"preset"}
        assert kind(preset=preset, **values).preset == preset
