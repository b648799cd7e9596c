"""Whether an emulator can be started, reached and stopped as its contract says."""

import socket
import threading
import time
from abc import abstractmethod
from urllib.parse import urlsplit

from stempilot.contract.emulator import Emulator, EmulatorError
from stempilot.testing.contract import Contract, expect

_HOST = "127.0.0.1"
_PATIENCE_S = 5.0


class EmulatorContract(Contract):
    """Checks of an emulator; needs no client of the instrument that it stands in for."""

    @abstractmethod
    def make(self, seed: int) -> Emulator:
        """Return an emulator that is not started."""

    def test_names_the_port_that_it_took(self) -> None:
        """`start` on port 0 takes a free port and returns an address that names it."""
        with self.make(0) as emulator:
            url = emulator.start(_HOST, 0)
            expect(bool(_port(url)), "port 0 takes a free port, and the address names it", url)
            expect(_answers(url), "clients can connect once `start` has returned", url)

    def test_stops_answering_when_closed(self) -> None:
        """`close` gives the port back, at once, although a client is connected."""
        with self.make(0) as emulator:
            url = emulator.start(_HOST, 0)
            with socket.create_connection((_HOST, _port(url)), timeout=_PATIENCE_S):
                before = time.monotonic()
                emulator.close()
                took = time.monotonic() - before
            expect(took < _PATIENCE_S, "`close` does not wait for clients", f"took {took:.1f} s")
            expect(not _answers(url), "nothing answers after `close`", url)

    def test_may_be_closed_twice(self) -> None:
        """`close` is harmless when repeated."""
        emulator = self.make(0)
        emulator.start(_HOST, 0)
        emulator.close()
        emulator.close()

    def test_may_be_closed_before_it_started(self) -> None:
        """`close` is harmless before `start`."""
        self.make(0).close()

    def test_leaves_no_thread_behind(self) -> None:
        """`close` ends all threads."""
        before = set(threading.enumerate())
        with self.make(0) as emulator:
            emulator.start(_HOST, 0)
        left = [thread.name for thread in threading.enumerate() if thread not in before]
        expect(not left, "`close` ends all threads", left)

    def test_two_run_side_by_side(self) -> None:
        """Two emulators in a process have addresses of their own."""
        with self.make(0) as one, self.make(1) as other:
            urls = (one.start(_HOST, 0), other.start(_HOST, 0))
            expect(len(set(urls)) == len(urls), "each has an address of its own", urls)
            one.close()
            expect(_answers(urls[1]), "closing one does not stop the other", urls[1])

    def test_refuses_a_port_that_is_taken(self) -> None:
        """`start` raises `EmulatorError` where another server listens."""
        with socket.create_server((_HOST, 0)) as taken, self.make(0) as emulator:
            port = taken.getsockname()[1]
            try:
                url = emulator.start(_HOST, port)
            except EmulatorError:
                return
        expect(False, "a port that is taken is an EmulatorError", f"it started at {url}")

    def test_endpoints_are_addresses(self) -> None:
        """`endpoints` maps names to addresses."""
        with self.make(0) as emulator:
            emulator.start(_HOST, 0)
            found = dict(emulator.endpoints())
            right = all(_port(url) for url in found.values())
            expect(right, "`endpoints` maps names to addresses with a port", found)


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def _answers(url: str) -> bool:
    try:
        socket.create_connection((_HOST, _port(url)), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True
