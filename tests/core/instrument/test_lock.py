"""Two runs never drive one instrument, and a dead one keeps nobody out."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.core.fakes import Bench, Desk
from tests.core.jobs import desk_envelope

from stempilot.errors import BackendError, InstrumentBusyError
from stempilot.instrument.lock import (
    FOLDER_VARIABLE,
    instrument_lock,
    lock_folder,
    lock_name,
    network_address,
)
from stempilot.operation.session import open_session
from stempilot.testing.toys import ToyCentring

HOLD = """
import sys
from tests.core.fakes import Desk
from stempilot.instrument.lock import instrument_lock
with instrument_lock(Desk(), "desk"):
    print("held", flush=True)
    sys.stdin.read()
"""


class Numbered(Desk):
    """One of several desks that a computer can reach."""

    def lock_name(self) -> str:
        return f"desk number {self.toy.identity()['serial']}"


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "locks"))
    return tmp_path / "locks"


def test_a_second_run_is_told_who_drives_the_instrument(tmp_path: Path) -> None:
    with instrument_lock(Desk(), "desk", run_dir=tmp_path / "first"):
        with pytest.raises(InstrumentBusyError) as caught, instrument_lock(Desk(), "desk"):
            pytest.fail("the block must not begin")
    assert caught.value.exit_code == 4
    assert "desk is in use by process" in str(caught.value)
    assert f"process {os.getpid()} on " in str(caught.value)
    assert f"run directory {tmp_path / 'first'}" in str(caught.value)


def test_it_is_given_back_whatever_happened() -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), instrument_lock(Desk(), "desk"):
            raise KeyboardInterrupt
    with instrument_lock(Desk(), "desk"):
        pass


def test_who_lost_does_not_give_back_what_the_other_holds() -> None:
    with instrument_lock(Desk(), "desk"):
        for _ in range(2):
            with pytest.raises(InstrumentBusyError, match=f"process {os.getpid()}"):
                with instrument_lock(Desk(), "desk"):
                    pytest.fail("the block must not begin")


def test_instruments_are_told_apart_as_far_as_their_backend_can() -> None:
    assert lock_name(Desk(1), "desk") == lock_name(Desk(2), "desk") == "desk"
    with instrument_lock(Numbered(1), "desk"), instrument_lock(Numbered(2), "desk"):
        with pytest.raises(InstrumentBusyError, match="desk desk number 1 is in use"):
            with instrument_lock(Numbered(1), "desk"):
                pytest.fail("the block must not begin")
    with instrument_lock(Desk(), "desk"), instrument_lock(Desk(), "table"):
        pass


def test_a_simulator_needs_no_lock(locks: Path) -> None:
    with instrument_lock(Bench(), "bench"), instrument_lock(Bench(), "bench"):
        assert not locks.exists()


def test_a_process_that_was_killed_keeps_nobody_out(locks: Path) -> None:
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InstrumentBusyError, match=f"process {other.pid} on "):
            with instrument_lock(Desk(), "desk"):
                pytest.fail("the block must not begin")
        other.kill()
    assert list(locks.glob("*.json")), "the other could not tidy up"
    with instrument_lock(Desk(), "desk"):
        (told,) = locks.glob("*.json")
        assert json.loads(told.read_text())["pid"] == os.getpid()


def test_without_a_note_of_who_it_is_the_lock_holds_all_the_same(locks: Path) -> None:
    with instrument_lock(Desk(), "desk"):
        for told in locks.glob("*.json"):
            told.write_text("{")
        with pytest.raises(InstrumentBusyError, match="a run that has only just begun"):
            with instrument_lock(Desk(), "desk"):
                pytest.fail("the block must not begin")


def test_a_folder_that_cannot_be_used_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file" / "locks"))
    with pytest.raises(BackendError, match=f"set {FOLDER_VARIABLE} to another one"):
        with instrument_lock(Desk(), "desk"):
            pytest.fail("the block must not begin")


def test_without_a_home_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(BackendError, match=f"no home directory .* set {FOLDER_VARIABLE}"):
        with instrument_lock(Desk(), "desk"):
            pytest.fail("the block must not begin")


def test_the_users_own_folder_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert lock_folder() == tmp_path / ".stempilot" / "locks"


def test_a_second_session_does_not_even_open_the_instrument() -> None:
    second, calls = Desk(), []
    second.before = lambda what, name: calls.append(what)
    options = {"name": "desk", "envelope": desk_envelope()}
    with open_session(Desk(), [ToyCentring()], **options):
        with pytest.raises(InstrumentBusyError):
            with open_session(second, [ToyCentring()], **options):
                pytest.fail("the block must not begin")
    assert calls == []
    with open_session(second, [ToyCentring()], **options):
        assert calls[0] == "open"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "127.0.0.1", "127.1", "127.0.0.2", "0x7f.1", "2130706433"),
        *("::1", "0.0.0.0", "::ffff:127.0.0.1", socket.gethostname()),  # noqa: S104
    ],
)
def test_this_computer_has_one_address_however_it_is_spelt(host: str) -> None:
    try:
        socket.getaddrinfo(host, 8001)
    except OSError:
        pytest.skip("this system does not know that spelling")
    assert network_address(host, 8001) == "127.0.0.1:8001"


@pytest.mark.parametrize(
    ("found", "written"),
    [
        (["192.0.2.9", "192.0.2.1", "2001:db8::1"], "192.0.2.1:80"),
        (["2001:db8::1"], "[2001:db8::1]:80"),
        (["fe80::1%eth7"], "[fe80::1]:80"),
    ],
)
def test_a_name_is_known_by_its_first_address(
    monkeypatch: pytest.MonkeyPatch, found: list[str], written: str
) -> None:
    answers = [(None, None, 0, "", (address, 80)) for address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert network_address("themis", 80) == written


def test_a_name_that_is_not_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert network_address("Themis", 8001) == "themis:8001"
