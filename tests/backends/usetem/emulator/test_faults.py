"""Each fault of the table can be seen from outside, strikes when it should, and goes away."""

import contextlib
import http.client
import pickle
import socket
import time
import xmlrpc.client
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
import pytest
from attrs import evolve
from tests.backends.usetem.emulator.conftest import Start, Themis

from stempilot.testing import FAULTS, Fault, fault
from stempilot_backends.usetem.emulator.emulator import ThemisEmulator

SHIFT = "diffraction_shift"
TABLE = [pytest.param(one, id=one.name) for one in FAULTS]
IMPATIENCE_S = 0.7


def quick(one: Fault) -> Fault:
    """Return the fault with a time that is long for a test and short for a person."""
    away = one.effect in {"refuse", "restart"}
    return one if one.effect == "clock-jump" else evolve(one, seconds=0.8 if away else 0.3)


class Client:
    """Does what a role says, and remembers how it ended."""

    def __init__(self, themis: Themis) -> None:
        self.themis = themis
        self.proxy = themis.proxy()
        self.proxy.acquisition.addCameraByName("BM-Flucam")
        self.written = 0

    def read(self) -> Any:
        return self.proxy.projection.diffractionShift()

    def write(self) -> None:
        self.written += 1
        self.proxy.projection.diffractionShift([self.written * 1e-4, 0.0])

    def acquire(self) -> Any:
        return pickle.loads(self.proxy.acquisition.acquireImages())

    def other(self) -> Any:
        return self.proxy.mode()

    def do(self, role: str) -> Any:
        return getattr(self, "other" if role == "any" else role)()

    def date(self) -> float:
        head = self.themis.post("mode").partition(b"\r\n\r\n")[0].decode()
        (line,) = (line for line in head.splitlines() if line.startswith("Date:"))
        return parsedate_to_datetime(line.partition(":")[2].strip()).timestamp()


@pytest.fixture
def client(start: Start) -> Client:
    return Client(start(exposure_s=0.17))


Broken = (OSError, http.client.HTTPException, ExpatError)


def breaks(client: Client, role: str) -> None:
    with pytest.raises(Broken):
        client.do(role)


def slows(client: Client, role: str) -> None:
    before = time.monotonic()
    with contextlib.suppress(TimeoutError):
        client.do(role)
    assert time.monotonic() - before > 0.25


def refuses(client: Client, role: str) -> None:
    client.do(role)
    with pytest.raises(ConnectionRefusedError):
        client.do(role)
    time.sleep(0.9)
    client.other()


def restarts(client: Client, role: str) -> None:
    refuses(client, role)
    with pytest.raises(xmlrpc.client.Fault, match="No acquisition device"):
        client.acquire()


def keeps_waiting(client: Client, role: str) -> None:
    client.do(role)
    slows(client, "other")
    time.sleep(0.2)
    client.other()


def faults(client: Client, role: str) -> None:
    with pytest.raises(xmlrpc.client.Fault, match=r"<class '_ctypes\.COMError'>:\("):
        client.do(role)


def sticks(client: Client, role: str) -> None:
    before = client.read()
    client.do(role)
    assert client.read() == before == list(client.themis.emulator.position(SHIFT))


def reads_wrong(client: Client, role: str) -> None:
    assert client.do(role) != list(client.themis.emulator.position(SHIFT))


def turns(client: Client, role: str) -> None:
    before = client.themis.emulator.position(SHIFT)
    found = client.do(role)
    assert tuple(found) == client.themis.emulator.position(SHIFT) != before
    assert client.themis.emulator.log()[-1].by == "operator"


def frame_is(check: Callable[[Any], bool]) -> Callable[[Client, str], None]:
    def look(client: Client, role: str) -> None:
        (frame,) = client.do(role)
        assert check(frame)

    return look


def delivers_none(client: Client, role: str) -> None:
    assert client.do(role) == []


def delivers_the_one_before(client: Client, role: str) -> None:
    # The one before was taken while the fault let calls pass.
    seen = [client.do(role)[0] for _ in range(2)]
    assert np.array_equal(*seen)


def goes_dark(method: str, value: Any) -> Callable[[Client, str], None]:
    def look(client: Client, role: str) -> None:
        (frame,) = client.do(role)
        assert 100 < frame.max() < 200
        proxy = client.proxy
        for part in method.split("."):
            proxy = getattr(proxy, part)
        assert proxy() == value
        assert client.proxy.camera.screenCurrent() == 0.0

    return look


def jumps(client: Client, role: str) -> None:
    before = client.date()
    assert abs(client.date() - before) > 3000


SEEN: dict[str, Callable[[Client, str], None]] = {
    "latency": slows,
    "refuse": refuses,
    "reset-before": breaks,
    "reset-after": breaks,
    "half-reply": breaks,
    "restart": restarts,
    "competitor": keeps_waiting,
    "call-error": faults,
    "stuck-knob": sticks,
    "wrong-readback": reads_wrong,
    "operator": turns,
    "stale-frame": delivers_the_one_before,
    "dark-frame": frame_is(lambda frame: frame.shape == (1040, 1040) and frame.max() == 0),
    "saturated-frame": frame_is(lambda frame: frame.min() == 65535),
    "short-frame": frame_is(lambda frame: frame.shape == (520, 1040)),
    "nan-frame": frame_is(lambda frame: frame.dtype == np.float64 and np.isnan(frame).any()),
    "no-frame": delivers_none,
    "beam-lost": goes_dark("illumination.isBeamBlanked", False),
    "beam-blanked": goes_dark("illumination.isBeamBlanked", True),
    "screen-raised": goes_dark("camera.mainScreenPosition", 2),
    "valves-closed": goes_dark("vacuum.columnValvesOpen", False),
    "clock-jump": jumps,
}


@pytest.mark.parametrize("one", TABLE)
def test_each_fault_can_be_seen_after_the_calls_that_pass(client: Client, one: Fault) -> None:
    emulator = client.themis.emulator
    emulator.inject(quick(one))
    # `jumps` asks for the date once before.
    for _ in range(one.after - (one.effect == "clock-jump")):
        client.do(one.role)
    assert emulator.struck() == {}
    SEEN[one.effect](client, one.role)
    assert emulator.struck()[one.name] >= 1


@pytest.mark.parametrize("one", TABLE)
def test_after_clearing_all_is_as_before(client: Client, one: Fault) -> None:
    emulator = client.themis.emulator
    emulator.inject(evolve(quick(one), after=0))
    with contextlib.suppress(xmlrpc.client.Fault, *Broken):
        client.do(one.role)
    time.sleep(0.9 if one.seconds else 0.0)
    emulator.clear()
    client.proxy.acquisition.removeAllAcqDevices()
    client.proxy.acquisition.addCameraByName("BM-Flucam")
    client.write()
    assert client.read() == [client.written * 1e-4, 0.0]
    (frame,) = client.acquire()
    assert frame.max() > 3000
    assert frame.dtype == np.int32


@pytest.mark.parametrize(
    ("name", "applied"), [("reset-before-write", False), ("reset-after-write", True)]
)
def test_a_connection_breaks_before_or_after_the_command_took_effect(
    client: Client, name: str, applied: bool
) -> None:
    client.themis.emulator.inject(evolve(fault(name), after=0))
    breaks(client, "write")
    assert client.themis.emulator.position(SHIFT) == ((1e-4, 0.0) if applied else (0.0, 0.0))
    assert len([one for one in client.themis.emulator.log() if one.what == SHIFT]) == applied


def test_a_slow_write_takes_effect_although_nobody_waits(client: Client) -> None:
    client.themis.emulator.inject(evolve(fault("slow-write"), after=0, seconds=2.0))
    with pytest.raises(TimeoutError):
        client.themis.proxy(IMPATIENCE_S).projection.diffractionShift([1e-4, 0.0])
    client.other()
    assert client.themis.emulator.position(SHIFT) == (1e-4, 0.0)


def test_it_strikes_as_often_as_it_says(client: Client) -> None:
    client.themis.emulator.inject(evolve(fault("error-on-read"), after=1, times=2))
    ended = []
    for _ in range(5):
        try:
            client.read()
        except xmlrpc.client.Fault:
            ended.append("fault")
        else:
            ended.append("ok")
    assert ended == ["ok", "fault", "fault", "ok", "ok"]
    assert client.themis.emulator.struck() == {"error-on-read": 2}


def test_calls_inside_a_multicall_are_struck_one_by_one(client: Client) -> None:
    client.themis.emulator.inject(evolve(fault("error-on-read"), after=1))
    calls = xmlrpc.client.MultiCall(client.proxy)
    for _ in range(3):
        calls.projection.diffractionShift()
    found = calls().results
    assert [isinstance(one, dict) for one in found] == [False, True, False]


def test_a_method_pattern_and_a_time_narrow_it(client: Client) -> None:
    pattern = evolve(fault("error-on-read"), role="any", knob=None, method="vacuum.*", after=0)
    client.themis.emulator.inject(evolve(pattern, at_s=0.2))
    client.proxy.vacuum.gauges()
    time.sleep(0.2)
    client.other()
    with pytest.raises(xmlrpc.client.Fault):
        client.proxy.vacuum.gauges()


def test_a_knob_narrows_it(client: Client) -> None:
    client.themis.emulator.inject(evolve(fault("stuck-knob"), after=0))
    client.proxy.projection.cameraLengthIndex(8)
    client.proxy.illumination.STEMDefocus(1e-9)
    client.write()
    assert client.proxy.projection.cameraLengthIndex() == 8
    assert client.proxy.illumination.STEMDefocus() == 1e-9
    assert client.read() == [0.0, 0.0]


def test_a_real_silent_client_blocks_all_others(client: Client) -> None:
    address = ("127.0.0.1", client.themis.port)
    with socket.create_connection(address):
        with pytest.raises(TimeoutError):
            client.themis.proxy(IMPATIENCE_S).mode()
    client.other()


def test_a_client_that_hangs_up_does_no_harm(client: Client) -> None:
    address = ("127.0.0.1", client.themis.port)
    with socket.create_connection(address) as gone:
        gone.sendall(b"POST /temscript HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf")
    client.other()


def test_the_emulator_is_faulty_by_protocol(themis: Themis) -> None:
    from stempilot.testing import Faulty

    assert isinstance(themis.emulator, ThemisEmulator)
    assert isinstance(themis.emulator, Faulty)
