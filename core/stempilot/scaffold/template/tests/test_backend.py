"""The backend keeps its contract, and the spot follows the knob."""

import numpy as np
from my_demo.backend import MyDemoBackend, MyDemoBackendConfig

from stempilot import DIFFRACTION_SHIFT, FLUCAM, Backend, Opening
from stempilot.testing import BackendContract


class TestMyDemoBackend(BackendContract):
    """The contract of every backend."""

    def make(self) -> Backend:
        """Return a backend that is not opened."""
        return MyDemoBackend(MyDemoBackendConfig(), Opening())


def test_the_spot_follows_the_knob() -> None:
    """A move of 0.1 rad in x moves it 20 px to the right."""
    with MyDemoBackend(MyDemoBackendConfig(), Opening()) as backend:
        before = np.argmax(backend.acquire(FLUCAM).pixels.sum(axis=0))
        backend.write(DIFFRACTION_SHIFT, (0.1, 0.0))
        after = np.argmax(backend.acquire(FLUCAM).pixels.sum(axis=0))
    assert abs((after - before) - 20) <= 3
