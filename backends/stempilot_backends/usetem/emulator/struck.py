"""Counts calls and says which of the injected faults strike which of them."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from attrs import frozen

from stempilot.faults import FOR_GOOD, Fault, Role


@frozen
class Call:
    """One call, as far as it matters to which faults strike it.

    Attributes:
        method: the server's name for it.
        role: what kind of call it is.
        knob: which knob it reads or writes.
    """

    method: str
    role: Role
    knob: str | None = None


class _Injected:
    """A fault that is waiting, striking or spent."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._since_s = time.monotonic()
        self._passed = 0
        self._struck = 0

    @property
    def spent(self) -> bool:
        return self.fault.times != FOR_GOOD and self._struck >= self.fault.times

    def strikes(self, call: Call) -> bool:
        """Count a call, and return whether it is struck."""
        fault = self.fault
        if fault.role not in {"any", call.role} or not fnmatchcase(call.method, fault.method):
            return False
        if fault.knob not in {None, call.knob}:
            return False
        if self.spent or time.monotonic() < self._since_s + fault.at_s:
            return False
        if self._passed < fault.after:
            self._passed += 1
            return False
        self._struck += 1
        return True


class FaultDesk:
    """All injected faults. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._injected: list[_Injected] = []
        self._done: Counter[str] = Counter()

    def inject(self, fault: Fault) -> None:
        """Let a fault strike from now on."""
        with self._lock:
            self._injected.append(_Injected(fault))

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._injected.clear()

    def strike(self, call: Call) -> tuple[Fault, ...]:
        """Count a call, and return the faults that strike it."""
        with self._lock:
            struck = tuple(one.fault for one in self._injected if one.strikes(call))
            self._done.update(fault.name for fault in struck)
            self._injected = [one for one in self._injected if not one.spent]
            return struck

    def waiting(self) -> Sequence[str]:
        """Return the names of the faults that are injected and not spent."""
        with self._lock:
            return [one.fault.name for one in self._injected]

    def struck(self) -> dict[str, int]:
        """Return how many calls each fault has struck, by name."""
        with self._lock:
            return dict(self._done)
