"""An action may come in any width of numbers, and a wrong kind of them is named."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from stempilot.errors import IncompatibleError
from stempilot.operation.actions import as_action

PLANE = Box(-1.0, 1.0, (2,), dtype=np.float32)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_floating_numbers_of_any_width_are_taken(kind: Any) -> None:
    found = as_action(np.array([0.5, -1.0], kind), PLANE)
    assert found.dtype == np.float32
    assert found.tolist() == [0.5, -1.0]


def test_what_rounding_alone_brought_outside_is_taken() -> None:
    assert as_action(np.array([1 + 1e-12, 0.0]), PLANE).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.array([1.1, 0.0]), "lies outside"),
        (np.array([np.nan, 0.0]), "lies outside"),
        (np.array([1e300, 0.0]), "lies outside"),
        (np.array([0.1]), "lies outside"),
        (np.array([[0.1, 0.1]]), "lies outside"),
        (np.array([2, 0]), "its dtype is int64, not float32"),
        (np.array([0.5 + 0j, 0]), "its dtype is complex128, not float32"),
        (None, "lies outside"),
        ("left", "lies outside"),
    ],
)
def test_others_are_refused(action: Any, said: str) -> None:
    with pytest.raises(IncompatibleError, match=said):
        as_action(action, PLANE)


def test_a_choice_is_a_whole_number() -> None:
    assert as_action(np.int64(2), Discrete(4)) == 2
    assert as_action(2, Discrete(4)) == 2
    with pytest.raises(IncompatibleError, match="its dtype is float64, not int64"):
        as_action(np.array(2.0), Discrete(4))
