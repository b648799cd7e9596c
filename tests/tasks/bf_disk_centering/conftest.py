from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.plugins.options import build
from stempilot_tasks.bf_disk_centering.config import BfDiskCenteringConfig
from stempilot_tasks.bf_disk_centering.state import Measured
from stempilot_tasks.bf_disk_centering.task import BfDiskCentering

MakeTask = Callable[..., BfDiskCentering]
See = Callable[..., Measured]
Draw = Callable[..., npt.NDArray[Any]]


@pytest.fixture
def make_task() -> MakeTask:
    """Make a task from options as a user would set them, preset included."""

    def make(**options: Any) -> BfDiskCentering:
        return BfDiskCentering(build(BfDiskCenteringConfig, options, section="task"))

    return make


@pytest.fixture
def see() -> See:
    """Measure a disk at an offset from the frame's centre, without drawing it."""

    def measured(x_px: float = 100.0, y_px: float = 0.0, **rest: Any) -> Measured:
        values: dict[str, Any] = {
            "position_px": (x_px, y_px),
            "radius_px": 30.0,
            "visible": True,
            "cut": False,
            "saturated": False,
            "pixel_rad": None,
            "shift_rad": (0.0, 0.0),
        }
        return Measured(**(values | rest))

    return measured


@pytest.fixture
def unseen(see: See) -> Measured:
    return see(position_px=None, radius_px=None, visible=False)


@pytest.fixture
def draw() -> Draw:
    """Draw a disk on a noisy background; x, y in pixels from the frame's centre."""

    def frame(
        x_px: float,
        y_px: float,
        *,
        shape: tuple[int, int] = (1040, 1040),
        radius_px: float = 30.0,
        level: float = 3000.0,
        dtype: str = "uint16",
    ) -> npt.NDArray[Any]:
        rng = np.random.default_rng(7)
        rows, cols = np.ogrid[: shape[0], : shape[1]]
        x = cols - (shape[1] - 1) / 2 - x_px
        y = rows - (shape[0] - 1) / 2 - y_px
        # The share of each pixel inside the disk, to a good approximation.
        inside = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
        counts = 100 + level * inside + rng.normal(0, 5, shape)
        if np.dtype(dtype).kind == "f":
            return counts.astype(dtype)
        return np.clip(counts, 0, np.iinfo(dtype).max).astype(dtype)

    return frame
