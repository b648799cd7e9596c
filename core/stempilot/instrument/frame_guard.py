"""Stops a run on frames that an instrument in order would not deliver.

A dead camera must not teach an agent that the beam is lost.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stempilot.contract.values import Frame, SourceSpec
from stempilot.errors import FrameError

_SAMPLES = 64
"""So many pixels of each axis are enough to tell two noisy exposures apart."""


class FrameGuard:
    """Checks each frame of a session against its source and against the frame before.

    Args:
        specs: what each source promises.
    """

    def __init__(self, specs: Mapping[str, SourceSpec]) -> None:
        self._specs = dict(specs)
        self._before: dict[str, npt.NDArray[np.generic]] = {}
        self._seen: set[str] = set()

    def saw_something(self, source: str) -> None:
        """Note that a task found what it works on: from now on a dead frame is a fault.

        A frame without noise shows nothing, whatever the task says.
        """
        sample = self._before.get(source)
        if sample is not None and sample.min() != sample.max():
            self._seen.add(source)

    def forget(self) -> None:
        """Forget the frames so far: a simulator that was reseeded may show them again."""
        self._before.clear()

    def check(self, source: str, frame: Frame) -> None:
        """Check one frame.

        Raises:
            FrameError: wrong shape or pixel type, not finite, or, once something was seen, the
                same pixels as before or no noise at all.
        """
        spec = self._specs[source]
        pixels = frame.pixels
        if pixels.shape != spec.shape or pixels.dtype != np.dtype(spec.dtype):
            msg = (
                f"{source} delivered {pixels.shape} {pixels.dtype}, "
                f"it promised {spec.shape} {spec.dtype}; check the camera's settings"
            )
            raise FrameError(msg)
        rows, cols = (max(1, length // _SAMPLES) for length in pixels.shape)
        sample = pixels[::rows, ::cols].copy()
        if sample.dtype.kind == "f" and not np.isfinite(pixels).all():
            msg = f"{source} delivered pixels that are not finite; check the camera"
            raise FrameError(msg)
        before = self._before.get(source)
        self._before[source] = sample
        if source not in self._seen or before is None:
            return
        if np.array_equal(sample, before):
            msg = f"{source} delivered the same frame twice; is its live view running?"
            raise FrameError(msg)
        if sample.min() == sample.max():
            msg = f"{source} delivered {sample.flat[0]} in every pixel; is the camera on?"
            raise FrameError(msg)
