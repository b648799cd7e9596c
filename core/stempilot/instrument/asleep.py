"""Whether this computer slept: what an instrument says after that is not another user's doing."""

import contextlib
import sys
import time
from collections.abc import Iterator

from stempilot.errors import StempilotError

LONG_S = 2.0
"""Clocks that are set, or that count differently, differ by less."""


def slept_s() -> float:
    """Return how long this computer has slept since some moment; only differences mean anything.

    Where the operating system has no clock that goes on in sleep, a clock that is set counts too.
    """
    if sys.platform == "win32":
        import ctypes

        awake = ctypes.c_ulonglong()
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(awake))
        return time.monotonic() - awake.value * 1e-7
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.time() - time.monotonic()


class Sleep:
    """Tells how long this computer has slept since this was made."""

    def __init__(self) -> None:
        self._began_s = slept_s()

    def sentence(self) -> str:
        """Return the sentence that it slept; empty where it did not."""
        for_s = slept_s() - self._began_s
        if for_s < LONG_S:
            return ""
        return (
            f"this computer slept for {for_s:.0f} s while it drove the instrument, so that no one "
            "watched it; keep it awake during a run"
        )


@contextlib.contextmanager
def sleep_told() -> Iterator[None]:
    """Let an error that ends the block begin with the sentence that this computer slept."""
    sleep = Sleep()
    try:
        yield
    except StempilotError as error:
        sentence = sleep.sentence()
        if sentence and sentence not in str(error):
            error.args = (f"{sentence}. What failed then: {error}",)
        raise
