"""How fast corrections follow each other, and how evenly."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

PAPER_PER_S = 5.5
"""Corrections per second of the published loop on the microscope."""


class Pace:
    """Takes the time from timestep to timestep within episodes.

    A cycle runs from one timestep's observation (or the reset's) to the next one's, whatever is
    done in between: deciding, moving, settling, exposing, measuring, learning. Ways to new starts,
    evaluations and saving between episodes are not part of it.

    Args:
        clock: seconds since any fixed moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._cycles_s: list[float] = []

    def tick(self, step: int) -> None:
        """Take the time at timestep ``step`` of an episode; 0 is the reset."""
        now = self._clock()
        if step > 0 and self._since is not None:
            self._cycles_s.append(now - self._since)
        self._since = now

    def skip(self) -> None:
        """Leave the present cycle out: something else is done in it."""
        self._since = None

    def figures(self) -> dict[str, Any]:
        """Return corrections per second, and median and 95th percentile of the cycle in seconds.

        ``None`` where there was no cycle.
        """
        total = sum(self._cycles_s)
        if total <= 0:
            return dict.fromkeys(("corrections_per_s", "cycle_s_median", "cycle_s_p95"))
        median, late = np.percentile(self._cycles_s, [50, 95])
        return {
            "corrections_per_s": len(self._cycles_s) / total,
            "cycle_s_median": float(median),
            "cycle_s_p95": float(late),
        }
