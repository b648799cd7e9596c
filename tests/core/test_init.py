"""The one door for plug-in authors and scripts."""

import subprocess
import sys

import pytest

import stempilot


def test_every_public_name_can_be_had_and_is_documented() -> None:
    for name in stempilot.__all__:
        value = getattr(stempilot, name)
        if isinstance(value, type) or callable(value):
            assert value.__doc__, name


def test_the_door_lists_its_names() -> None:
    assert set(stempilot.__all__) <= set(dir(stempilot))
    assert "Task" in stempilot.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="attribute Microscope"):
        _ = stempilot.Microscope


def test_importing_it_is_cheap() -> None:
    code = (
        "import stempilot, sys; print(*{'numpy', 'gymnasium', 'torch', 'attrs'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
