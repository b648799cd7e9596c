"""The one door for plug-in authors and scripts."""

import importlib
import subprocess
import sys

import pytest

import stempilot


def test_every_public_name_can_be_had_and_is_documented() -> None:
    for name in stempilot.__all__:
        value = getattr(stempilot, name)
        if isinstance(value, type) or callable(value):
            assert value.__doc__, name


def test_the_list_and_the_door_agree() -> None:
    assert sorted(stempilot._HOME) == sorted(stempilot.__all__)
    assert set(stempilot.__all__) <= set(dir(stempilot))
    for name, module in stempilot._HOME.items():
        assert name in vars(importlib.import_module(f"stempilot.{module}"))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Microscope'"):
        _ = stempilot.Microscope


def test_importing_it_is_cheap() -> None:
    code = (
        "import stempilot, sys; print(*{'numpy', 'gymnasium', 'torch', 'attrs'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
