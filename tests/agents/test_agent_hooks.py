"""The entry point offers agents and costs nothing until one is asked for."""

import subprocess
import sys
from typing import Any

import attrs
import pytest

from stempilot.contract.agent import Brief, Learner
from stempilot.contract.plugin import API
from stempilot_agents import hooks

NAMES = (
    "sac",
    "sac-rapid",
    "tqc",
    "crossq",
    "dqn",
    "adaptive",
    "universal",
    "proportional",
    "random",
    "recorded",
)
LEARNERS = ("sac", "sac-rapid", "tqc", "crossq", "dqn")


def plugins() -> Any:
    return {plugin.name: plugin for plugin in hooks.stempilot_agents()}


def test_hook_stempilot_agents() -> None:
    assert tuple(plugins()) == NAMES
    for plugin in plugins().values():
        assert plugin.api == API
        assert plugin.summary.endswith(".")


@pytest.mark.parametrize("name", LEARNERS)
def test_loads_a_learner(name: Any, new_learner: Any) -> None:
    plugin = plugins()[name]
    made = new_learner(name)
    brief = Brief(
        observation_space=made._model.observation_space,
        action_space=made._model.action_space,
        goal=None,
        seed=1,
    )
    learner = plugin.load(plugin.config()(), brief)
    assert isinstance(learner, Learner)
    assert type(learner) is type(made)


def test_importing_and_configuring_imports_no_learning_library() -> None:
    code = """
import sys
from stempilot_agents import hooks
plugins = {plugin.name: plugin for plugin in hooks.stempilot_agents()}
for name in ("sac", "sac-rapid", "tqc", "crossq", "dqn"):
    plugins[name].config()()
heavy = {"torch", "stable_baselines3", "sb3_contrib", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_option_is_described(name: Any) -> None:
    kind = plugins()[name].config()
    text = "".join(each.__doc__ or "" for each in kind.__mro__)
    for attribute in attrs.fields(kind):
        assert f"\n        {attribute.name}: " in text


@pytest.mark.parametrize("name", LEARNERS)
def test_every_preset_names_options_and_is_valid(name: Any) -> None:
    kind = plugins()[name].config()
    names = {attribute.name for attribute in attrs.fields(kind)}
    assert "default" in kind.presets
    for preset, values in kind.presets.items():
        assert values.keys() <= names - {"preset"}
        assert kind(preset=preset, **values).preset == preset
