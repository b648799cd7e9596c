"""Spaces as plain values."""

import json
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from stempilot.errors import IncompatibleError
from stempilot_agents.learners.spaces import describe, refuse_other_spaces

BOX = Box(np.array([-np.inf, -1], np.float32), np.array([2, np.inf], np.float32), dtype=np.float32)


@pytest.mark.parametrize("space", [BOX, Discrete(5, start=-2)])
def test_descriptions_survive_strict_json(space: Any) -> None:
    described = describe(space)
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_descriptions_tell_spaces_apart() -> None:
    others: list[Any] = [
        Box(-1, 1, (2,), np.float32),
        Box(-1, 1, (2,), np.float64),
        Box(-1, 1, (1, 2), np.float32),
        Box(-1, 2, (2,), np.float32),
        Discrete(2),
        Discrete(3),
        Discrete(2, start=1),
        BOX,
    ]
    described = [json.dumps(describe(space)) for space in others]
    assert len(set(described)) == len(others)


def test_equal_spaces_are_accepted() -> None:
    refuse_other_spaces((describe(BOX), describe(BOX)), (describe(BOX), describe(BOX)))


def test_other_spaces_are_refused_with_both_descriptions() -> None:
    one, other = describe(Discrete(2)), describe(Discrete(3))
    with pytest.raises(IncompatibleError) as caught:
        refuse_other_spaces((one, one), (other, one))
    (problem,) = caught.value.problems
    assert str(one) in problem
    assert str(other) in problem
    assert "observation" in problem
