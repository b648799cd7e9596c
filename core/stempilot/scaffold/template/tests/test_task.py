"""The task keeps its contract, and finds the spot."""

from typing import Any

import numpy as np
import pytest
from my_demo.task import MyDemoTask, MyDemoTaskConfig, find_spot

from stempilot import Backend, Task, discover
from stempilot.testing import TaskContract


class TestMyDemoTask(TaskContract):
    """The contract of every task."""

    def make(self) -> Task[Any, Any]:
        """Return the task."""
        return MyDemoTask(MyDemoTaskConfig())

    def make_backend(self) -> Backend:
        """Return the simulator, which the task fits."""
        registry = discover()
        return registry.backend(registry.default("backend"))


def test_finds_the_spot() -> None:
    """A square about (row 20, col 80) of a frame of 128 x 128 pixels."""
    frame = np.full((128, 128), 100)
    frame[16:24, 76:84] = 900
    spot = find_spot(frame)
    assert spot.seen
    assert (spot.x, spot.y) == pytest.approx((0.25, -0.6875))


def test_a_dark_frame_has_no_spot() -> None:
    """It counts as being at the edge, so that the episode fails."""
    assert not find_spot(np.full((128, 128), 100)).seen
