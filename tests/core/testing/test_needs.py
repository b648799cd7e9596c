"""Names that tasks need are held against the whole vocabulary."""

import pytest

from stempilot.contract.names import SOURCES, STATES
from stempilot.contract.values import Needs
from stempilot.testing.needs import name_problems
from stempilot.testing.toys import ToyCentring


@pytest.mark.parametrize("name", STATES)
def test_every_shared_state_is_known(name: str) -> None:
    assert list(name_problems(Needs(states={name: "open"}), ToyCentring)) == []
    (problem,) = name_problems(Needs(states={name.title(): "open"}), ToyCentring)
    assert f"is spelt {name!r}" in problem


@pytest.mark.parametrize("name", SOURCES)
def test_every_shared_source_is_known(name: str) -> None:
    assert list(name_problems(Needs(sources=(name,)), ToyCentring)) == []
