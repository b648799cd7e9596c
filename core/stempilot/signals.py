"""Ctrl-C and SIGTERM: stop cleanly, put back, and never in the middle of putting back.

Python delivers signals to the main thread only; elsewhere these blocks do nothing.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; treated like Ctrl-C."""


def _terminate(number: int, frame: FrameType | None) -> None:
    del frame
    msg = f"signal {number}"
    raise Terminated(msg)


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise like Ctrl-C inside the block, so that the instrument is put back.

    A block that overlaps another one leaves the signal to it, so that blocks may end in any order.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is _terminate:
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM inside the block; deliver the first one after it."""
    if not _in_main_thread():
        yield
        return
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in _SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        signal.raise_signal(signal.Signals(arrived[0]))


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM ask for a clean stop; a second one raises as usual.

    Yields:
        A function that tells whether a stop was asked for.
    """
    if not _in_main_thread():
        yield lambda: False
        return
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        asked.append(number)
        give_back()

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        give_back()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
