from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stempilot.contract.names import DIFFRACTION_SHIFT, FLUCAM
from stempilot.contract.values import Frame, Snapshot

Shot = Callable[..., Snapshot]


@pytest.fixture
def shot() -> Shot:
    """Draw disks (x, y, level) on a noisy background, x and y in px from the frame's centre."""

    def snapshot(
        *disks: tuple[float, float, float],
        radius_px: float = 20.0,
        side: int = 320,
        seed: int = 0,
        shift_rad: tuple[float, float] = (0.0, 0.0),
        most: int = 65535,
    ) -> Snapshot:
        rng = np.random.default_rng(seed)
        counts: npt.NDArray[Any] = 100 + rng.normal(0, 3, (side, side))
        rows, cols = np.ogrid[:side, :side]
        for x, y, level in disks:
            away = np.hypot(cols - (side - 1) / 2 - x, rows - (side - 1) / 2 - y)
            counts = counts + level * np.clip(radius_px + 0.5 - away, 0, 1)
        pixels = np.clip(np.rint(counts), 0, most).astype(np.uint16)
        if most < 65535:
            pixels[pixels == most] = 65535
        return Snapshot(
            frames={FLUCAM: Frame(pixels=pixels, exposure_s=0.1, taken_at_s=0.0)},
            knobs={DIFFRACTION_SHIFT: shift_rad},
            states={},
        )

    return snapshot
