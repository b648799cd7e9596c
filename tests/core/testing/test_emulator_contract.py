"""The contract of emulators passes one that keeps it, and says what another one breaks."""

import socket
import threading
from collections.abc import Mapping
from typing import ClassVar

import pytest
from attrs import frozen
from tests.core.fakes import reference

from stempilot.contract.emulator import Emulator, EmulatorError
from stempilot.contract.plugin import Plugin
from stempilot.plugins.registry import Entry, Registry
from stempilot.testing import EmulatorContract, check_plugin, run_contract


@frozen
class Nothing:
    """No options."""


class Listening(Emulator):
    """Accepts connections and says nothing."""

    def __init__(self) -> None:
        self.listener: socket.socket | None = None

    def start(self, host: str, port: int) -> str:
        try:
            self.listener = socket.create_server((host, port))
        except OSError as error:
            msg = f"cannot listen on {host}:{port}: {error}"
            raise EmulatorError(msg) from error
        return f"http://{host}:{self.listener.getsockname()[1]}/x"

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()


class KeepsListening(Listening):
    kept: ClassVar[list[socket.socket]] = []

    def close(self) -> None:
        if self.listener is not None:
            self.kept.append(self.listener)


class OnceOnly(Listening):
    def close(self) -> None:
        if self.listener is not None and self.listener.fileno() == -1:
            msg = "closed already"
            raise RuntimeError(msg)
        super().close()


class NotBeforeStart(Listening):
    def close(self) -> None:
        self.listener.close()  # type: ignore[union-attr]


class LeavesThreads(Listening):
    ended: ClassVar[list[threading.Event]] = []

    def start(self, host: str, port: int) -> str:
        self.ended.append(threading.Event())
        threading.Thread(target=self.ended[-1].wait, daemon=True).start()
        return super().start(host, port)


class ForgetsThePort(Listening):
    def start(self, host: str, port: int) -> str:
        return super().start(host, port).rpartition(":")[0] + "/x"


class Leaks(Listening):
    def start(self, host: str, port: int) -> str:
        try:
            return super().start(host, port)
        except EmulatorError as error:
            raise OSError(str(error)) from error


class NoAddress(Listening):
    def endpoints(self) -> Mapping[str, str]:
        return {"faults": "nowhere"}


def results_of(kind: type[Listening]) -> dict[str, bool]:
    class Bound(EmulatorContract):
        def make(self, seed: int) -> Emulator:
            return kind()

    return {one.check: one.passed for one in run_contract(Bound)}


def test_one_that_keeps_it_passes() -> None:
    assert all(results_of(Listening).values())
    assert len(results_of(Listening)) == 8


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (KeepsListening, "stops_answering_when_closed"),
        (OnceOnly, "may_be_closed_twice"),
        (NotBeforeStart, "may_be_closed_before_it_started"),
        (LeavesThreads, "leaves_no_thread_behind"),
        (ForgetsThePort, "names_the_port_that_it_took"),
        (Leaks, "refuses_a_port_that_is_taken"),
        (NoAddress, "endpoints_are_addresses"),
    ],
)
def test_one_that_breaks_it_is_told(kind: type[Listening], check: str) -> None:
    found = results_of(kind)
    for held in KeepsListening.kept:
        held.close()
    KeepsListening.kept.clear()
    for ended in LeavesThreads.ended:
        ended.set()
    LeavesThreads.ended.clear()
    assert not found[check]


def test_check_plugin_knows_emulators() -> None:
    plugin = Plugin(
        "quiet", "", config=reference(Nothing), load=reference(lambda config, seed: Listening())
    )
    entry = Entry(kind="emulator", name="quiet", distribution="x", version="1", plugin=plugin)
    results = check_plugin(Registry((entry,)), "emulator", "quiet")
    assert len(results) == 1 + len(EmulatorContract.checks())
    assert all(one.passed for one in results)
