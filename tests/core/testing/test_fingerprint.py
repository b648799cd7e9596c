"""Values are told apart to the last bit, and what they keep alive is counted."""

import math
from enum import Enum
from typing import Any

import numpy as np
import pytest
from attrs import field, frozen

from stempilot.contract.values import Frame, Snapshot
from stempilot.testing.fingerprint import attributes, entries, fingerprint


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Point:
    x: float
    tags: Any = field(factory=tuple)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: int) -> None:
        self.a = a


class Plain:
    def __init__(self, a: int) -> None:
        self.a = a


PAIRS: list[tuple[Any, Any]] = [
    (0.0, -0.0),
    (1.0, math.nextafter(1.0, 2.0)),
    (1, 1.0),
    (1, True),
    ("a", b"a"),
    ((1, 2), [1, 2]),
    ((1, (2,)), (1, 2)),
    ({"a": 1}, {"a": 2}),
    ({1, 2}, {1, 3}),
    (np.float32(1), np.float64(1)),
    (np.zeros(4), np.zeros((2, 2))),
    (np.zeros(2, np.int32), np.zeros(1, np.int64)),
    (Colour.RED, Colour.BLUE),
    (Point(1.0), Point(2.0)),
    (Point(1.0, tags={"a": np.zeros(2)}), Point(1.0, tags={"a": np.ones(2)})),
    (Slotted(1), Slotted(2)),
    (Plain(1), Plain(2)),
    (None, "None"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_different_values_have_different_fingerprints(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


def test_equal_values_have_equal_fingerprints() -> None:
    assert fingerprint(math.nan) == fingerprint(math.nan)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(Point(1.0)) == fingerprint(Point(1.0))
    assert fingerprint(np.arange(6).reshape(2, 3).T) == fingerprint(
        np.ascontiguousarray(np.arange(6).reshape(2, 3).T)
    )


def test_changed_array_is_noticed() -> None:
    array = np.zeros(3)
    before = fingerprint((array,))
    array[1] = 1
    assert fingerprint((array,)) != before


def test_attributes_are_found_with_slots_or_without() -> None:
    assert attributes(Slotted(1)) == {"a": 1}
    assert attributes(Plain(2)) == {"a": 2}
    assert attributes(Point(3.0)) == {"x": 3.0, "tags": ()}


def test_everything_that_is_kept_alive_is_counted() -> None:
    frame = Frame(pixels=np.zeros((20, 30)), exposure_s=0.1, taken_at_s=1.0)
    snapshot = Snapshot(frames={"camera": frame}, knobs={}, states={})
    view = np.zeros((20, 30))[:2, :2]
    assert dict(entries(Point(1.0, tags=view))) == {".x": 1, ".tags": 600}
    assert dict(entries(Point(1.0, tags=frame))) == {".x": 1, ".tags": 600}
    assert dict(entries(Plain(1))) == {".a": 1}
    assert sum(count for _, count in entries(snapshot)) == 600
    assert sum(count for _, count in entries({"a": [1, (2, b"345")], "b": None})) == 6
