"""Ctrl-C and SIGTERM: stop cleanly, put back, and never in the middle of putting back.

As SIGTERM count: what a terminal sends that closes, SIGHUP and on Windows SIGBREAK; SIGUSR1,
SIGUSR2 and SIGXCPU, by which batch systems warn before they kill; and SIGQUIT.

Python delivers signals to the main thread only; elsewhere these blocks do nothing.
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

_NAMES = (
    *("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"),
    *("SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGQUIT"),
)
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


HOLD_S = 10.0
"""So long after a Ctrl-C further ones are held back, while the run is on its way to put back."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived, or a signal that counts as it; treated like Ctrl-C."""


class _Gate:
    """Lets one Ctrl-C or SIGTERM through, and holds back those that follow it closely."""

    def __init__(self) -> None:
        self.users = 0
        self.handlers: dict[int, Any] = {}
        self.held_back: list[int] = []
        self.arrived = 0
        self._raised_at_s = -math.inf

    def handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.arrived += 1
        now_s = time.monotonic()
        if now_s - self._raised_at_s < HOLD_S:
            self.held_back.append(number)
            return
        self._raised_at_s = now_s
        _raise(number)

    def install(self) -> None:
        self.held_back.clear()
        self.arrived = 0
        self._raised_at_s = -math.inf
        self.handlers = _handlers()
        _take(self.handlers, self.handle)

    def remove(self) -> None:
        _give_back(self.handlers)
        self.handlers.clear()

    def go_on(self) -> None:
        """Let the next one through; raise what was held back although the run goes on."""
        self._raised_at_s = -math.inf
        if self.held_back:
            number = self.held_back[0]
            self.held_back.clear()
            _raise(number)


_GATE = _Gate()


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    msg = f"signal {number}"
    raise Terminated(msg)


def _handlers() -> dict[int, Any]:
    """Return what handles the signals that are to be taken over.

    A program that is to outlive its terminal (nohup) ignores that it closes, and goes on doing so;
    what no Python code handles could not be given back.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    hangup = getattr(signal, "SIGHUP", None)
    kept = {number: was for number, was in before.items() if was is not None}
    if kept.get(hangup) is signal.SIG_IGN:
        del kept[hangup]
    return kept


def _take(numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]) -> None:
    for number in numbers:
        signal.signal(number, handler)


def _give_back(before: Mapping[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


@contextlib.contextmanager
def interrupts_once() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM raise inside the block, and hold back those right after it.

    Nothing then interrupts the way from the first one to where the instrument is put back. Where
    the first one was caught and the run goes on, `raise_held_back` raises the second one. Blocks
    may overlap and end in any order.
    """
    if not _in_main_thread():
        yield
        return
    if _GATE.users == 0:
        _GATE.install()
    _GATE.users += 1
    try:
        yield
    finally:
        _GATE.users -= 1
        if _GATE.users == 0:
            _GATE.remove()


def in_haste() -> bool:
    """Return whether more than one Ctrl-C or SIGTERM arrived inside the `interrupts_once` block."""
    return _GATE.users > 0 and _GATE.arrived > 1


def raise_held_back() -> None:
    """Raise a Ctrl-C or SIGTERM that was held back; called by a run that goes on nonetheless."""
    if _GATE.users and _in_main_thread():
        _GATE.go_on()


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM inside the block; deliver the first one after it."""
    if not _in_main_thread():
        yield
        return
    arrived: list[int] = []
    before = _handlers()

    def hold(number: int, frame: FrameType | None) -> None:
        del frame
        _GATE.arrived += 1
        arrived.append(number)

    _take(before, hold)
    try:
        yield
    finally:
        _give_back(before)
    if arrived:
        _GATE.arrived -= 1
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
    before = _handlers()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        _GATE.arrived += 1
        asked.append(number)
        _give_back(before)

    _take(before, ask)
    try:
        yield lambda: bool(asked)
    finally:
        _give_back(before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
