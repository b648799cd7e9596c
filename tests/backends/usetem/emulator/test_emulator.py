"""Emulators begin, end and leave nothing behind; two know nothing of each other."""

import gc
import socket
import threading
import time
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from xml.parsers.expat import ExpatError

import pytest
from attrs import evolve
from tests.backends.usetem.emulator.conftest import PATIENCE_S, Start

from stempilot.testing import FAULTS, EmulatorContract, fault
from stempilot_backends.usetem.emulator.config import EmulatorConfig
from stempilot_backends.usetem.emulator.emulator import ThemisEmulator

SHIFT = "diffraction_shift"


class TestThemisEmulator(EmulatorContract):
    """The contract of every emulator."""

    def make(self, seed: int) -> ThemisEmulator:
        return ThemisEmulator(EmulatorConfig(), seed)


def test_two_share_no_state(start: Start) -> None:
    one, other = start(), start()
    proxy = one.proxy()
    proxy.projection.diffractionShift([0.01, 0.0])
    proxy.projection.mode(1)
    proxy.acquisition.addCameraByName("BM-Flucam")
    one.emulator.inject(evolve(fault("error-on-read"), after=0))
    assert other.proxy().projection.diffractionShift() == [0.0, 0.0]
    assert other.emulator.log() == ()
    assert other.emulator.look()["cameras"] == []
    assert other.proxy().projection.mode() == 2


@pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in FAULTS])
def test_it_closes_at_once_in_the_middle_of_any_fault(start: Start, one: object) -> None:
    before = threading.active_count()
    themis = start(realtime=True, exposure_s=0.01)
    themis.emulator.inject(evolve(one, after=0, role="any", knob=None))
    client = threading.Thread(target=_try_all, args=(themis,))
    client.start()
    time.sleep(0.05)
    began = time.monotonic()
    themis.emulator.close()
    assert time.monotonic() - began < 5.0
    client.join(PATIENCE_S)
    assert threading.active_count() == before


def _try_all(themis: object) -> None:
    proxy = themis.proxy(1.0)
    for call in (proxy.mode, proxy.projection.diffractionShift):
        try:
            call()
        except Exception:
            return


def test_a_long_exposure_does_not_hold_it_up(start: Start) -> None:
    themis = start(realtime=True, exposure_s=60.0)
    themis.proxy().acquisition.addCameraByName("BM-Flucam")
    with ThreadPoolExecutor() as pool:
        exposing = pool.submit(themis.proxy().acquisition.acquireImages)
        time.sleep(0.1)
        began = time.monotonic()
        themis.emulator.close()
        assert time.monotonic() - began < 5.0
        with pytest.raises((OSError, HTTPException, ExpatError)):
            exposing.result(PATIENCE_S)


def test_what_is_closed_is_forgotten() -> None:
    emulator = ThemisEmulator(EmulatorConfig(realtime=False), 0)
    emulator.start("127.0.0.1", 0)
    emulator.close()
    seen = weakref.ref(emulator)
    del emulator
    gc.collect()
    assert seen() is None


def test_memory_does_not_grow_with_frames(start: Start) -> None:
    proxy = start().proxy()
    proxy.acquisition.addCameraByName("BM-Flucam")
    for _ in range(2):
        proxy.acquisition.acquireImages()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            proxy.acquisition.acquireImages()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # A frame has 4.3 MB; one, the latest, may be kept for a camera that turns stale.
    assert grown < 6e6


def test_it_listens_on_loopback_or_where_it_is_told() -> None:
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
        if host == "::1" and not _has_ipv6():
            continue
        with ThemisEmulator(EmulatorConfig(), 0) as emulator:
            url = emulator.start(host, 0)
            assert url.startswith(f"http://{shown}:")
            assert emulator.endpoints()["rehearsal"].startswith("http://127.0.0.1:")


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_many_clients_are_answered_one_after_the_other(start: Start) -> None:
    themis = start()

    def move(number: int) -> None:
        proxy = themis.proxy()
        for step in range(10):
            proxy.projection.diffractionShift([number * 1e-3, step * 1e-3])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move, range(4)))
    log = themis.emulator.log()
    assert len(log) == 40
    assert list(themis.emulator.position(SHIFT)) == log[-1].value
