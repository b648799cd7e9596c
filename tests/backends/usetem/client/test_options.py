"""Each option has a test here that fails when the option is ignored."""

import contextlib
import socket
import time

import attrs
import numpy as np
import pytest

from stempilot.errors import BackendError
from stempilot_backends.usetem.client.camera import Camera
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.server import Server

from .usetem_server import (
    ACQUIRE,
    ADD,
    COLS,
    ROWS,
    SHIFT,
    backend,
    http,
    misbehaving,
    options,
    registry,
    reset,
    sending,
    serving,
    takes_at_most,
    xml,
)

TESTS, option = registry()


def spec(knob, **given):
    return backend("http://127.0.0.1:1/t", **given).offers().knobs[knob]


def shown(column, url, **given):
    """Return what a frame of distinct pixels looks like."""
    column.frame = np.arange(ROWS * COLS, dtype=np.int32).reshape(COLS, ROWS, order="F")
    with backend(url, **given) as instrument:
        return column.frame, instrument.acquire("flucam").pixels


@option("url")
def _(column, url):
    with serving() as (other, elsewhere), backend(elsewhere) as instrument:
        instrument.read("diffraction_shift")
    assert (len(column.calls), other.count(SHIFT)) == (0, 1)


@option("instrument")
def _(column, url):
    with backend(url, instrument="Themis 1") as instrument:
        assert instrument.identity()["instrument"] == "Themis 1"


@option("camera")
def _(column, url):
    column.cameras["Other"] = (ROWS, COLS)
    with backend(url, camera="Other"):
        assert column.devices == ["Other"]


@option("frame_shape")
def _(column, url):
    column.cameras["BM-Flucam"] = (30, 20)
    with backend(url, frame_shape=[30, 20]) as instrument:
        assert instrument.offers().sources["flucam"].shape == (30, 20)
        assert instrument.acquire("flucam").pixels.shape == (30, 20)


@option("frame_dtype")
def _(column, url):
    column.frame = np.full((COLS, ROWS), 7, np.uint16)
    with backend(url, frame_dtype="float32") as instrument:
        assert instrument.offers().sources["flucam"].dtype == "float32"
        assert instrument.acquire("flucam").pixels.dtype == np.float32
    with pytest.raises(BackendError, match="uint16, not .* uint8"):
        backend(url, frame_dtype="uint8").open()


@option("saturation")
def _(column, url):
    sources = backend(url, saturation=4095.0).offers().sources
    assert sources["flucam"].saturation == 4095
    assert backend(url).offers().sources["flucam"].saturation is None


@option("exposure_s")
def _(column, url):
    with backend(url, exposure_s=0.5) as instrument:
        assert instrument.acquire("flucam").exposure_s == 0.5


@option("transpose")
def _(column, url):
    column.cameras["BM-Flucam"] = (COLS, ROWS)
    with backend(url, transpose=False) as instrument:
        instrument.acquire("flucam")
    raw, seen = shown(column, url, transpose=False, frame_shape=[COLS, ROWS])
    assert np.array_equal(seen, raw)


@option("flip_x")
def _(column, url):
    raw, seen = shown(column, url, flip_x=True)
    assert np.array_equal(seen, raw.T[:, ::-1])
    assert seen.flags.c_contiguous


@option("flip_y")
def _(column, url):
    raw, seen = shown(column, url, flip_y=True)
    assert np.array_equal(seen, raw.T[::-1])


@option("max_devices")
def _(column, url):
    column.cameras = {"BM-Flucam": (300, 300), "Other": (300, 299)}
    column.devices = ["Other"]
    backend(url, frame_shape=[300, 300], max_devices=2).open()
    column.devices = ["Other"]
    with pytest.raises(BackendError, match="raise backend.max_devices"):
        backend(url, frame_shape=[300, 300], max_devices=1).open()


@option("stale_fetches")
def _(column, url):
    column.frame = np.ones((COLS, ROWS), np.int32)
    for times in (0, 3):
        with backend(url, stale_fetches=times) as instrument:
            instrument.acquire("flucam")
            column.calls.clear()
            instrument.acquire("flucam")
            assert column.count(ACQUIRE) == 1 + times


@option("discard_frames")
def _(column, url):
    with backend(url, discard_frames=2) as instrument:
        column.calls.clear()
        instrument.acquire("flucam")
        assert column.count(ACQUIRE) == 1
        instrument.write("diffraction_shift", (0.0, 0.0))
        instrument.acquire("flucam")
        assert column.count(ACQUIRE) == 4
        instrument.acquire("flucam")
        assert column.count(ACQUIRE) == 5


@option("pixel_mrad")
def _(column, url):
    with backend(url, pixel_mrad=[[6, 0.5]]) as instrument:
        assert instrument.acquire("flucam").pixel_rad == pytest.approx(0.5e-3)
    with backend(url) as instrument:
        assert instrument.acquire("flucam").pixel_rad is None


@option("camera_lengths_mm", "first_camera_length")
def _(column, url):
    given = {"camera_lengths_mm": [100.0, 200.0], "first_camera_length": 5}
    with backend(url, **given) as instrument:
        assert instrument.camera_length_m() == pytest.approx(0.2)
        limits = instrument.offers().knobs["camera_length_index"]
    assert (limits.lower, limits.upper) == ((5.0,), (6.0,))


@option("knobs")
def _(column, url):
    with backend(url, knobs=["diffraction_shift"]) as instrument:
        assert list(instrument.offers().knobs) == ["diffraction_shift"]
        with pytest.raises(BackendError, match="no knob 'beam_shift'"):
            instrument.read("beam_shift")


@option("shift_limit_rad", "shift_step_rad", "shift_resolution_rad")
def _(column, url):
    given = {"shift_limit_rad": 0.2, "shift_step_rad": 0.01, "shift_resolution_rad": 1e-4}
    _is(spec("diffraction_shift", **given), "rad", -0.2, 0.2, 0.01, 1e-4, 2)


@option("camera_length_step")
def _(column, url):
    _is(spec("camera_length_index", camera_length_step=5), "index", 0, 20, 5, 0, 1)


@option("defocus_limit_m", "defocus_step_m", "defocus_resolution_m")
def _(column, url):
    given = {"defocus_limit_m": 5e-6, "defocus_step_m": 1e-7, "defocus_resolution_m": 1e-8}
    _is(spec("stem_defocus", **given), "m", -5e-6, 5e-6, 1e-7, 1e-8, 1)


@option("stigmator")
def _(column, url):
    with backend(url) as instrument, pytest.raises(BackendError, match="no knob 'condenser_stig"):
        instrument.read("condenser_stigmator")
    column.values["illumination.condenserStigmator"] = [0.1, -0.2]
    with backend(url, stigmator=True) as instrument:
        assert instrument.read("condenser_stigmator") == (0.1, -0.2)
        instrument.write("condenser_stigmator", (0.0, 0.3))
    assert column.values["illumination.condenserStigmator"] == [0.0, 0.3]


@option("stigmator_limit", "stigmator_step", "stigmator_resolution")
def _(column, url):
    given = {"stigmator_limit": 0.5, "stigmator_step": 0.01, "stigmator_resolution": 1e-4}
    found = spec("condenser_stigmator", stigmator=True, **given)
    _is(found, "1", -0.5, 0.5, 0.01, 1e-4, 2)


@option("beam_shift_limit_m", "beam_shift_step_m", "beam_shift_resolution_m")
def _(column, url):
    given = {
        "beam_shift_limit_m": 5e-6,
        "beam_shift_step_m": 1e-7,
        "beam_shift_resolution_m": 1e-8,
    }
    _is(spec("beam_shift", **given), "m", -5e-6, 5e-6, 1e-7, 1e-8, 2)


def _is(found, unit, lower, upper, step, resolution, size):
    expected = [(value,) * size for value in (lower, upper, step, resolution)]
    assert found.unit == unit
    assert [found.lower, found.upper, found.max_change, found.resolution] == expected


@option("settle_s")
def _(column, url):
    with backend(url, settle_s=0.1) as instrument:
        start = time.monotonic()
        instrument.write("diffraction_shift", (0.0, 0.0))
        assert time.monotonic() - start >= 0.1


@option("readback_s")
def _(column, url):
    with backend(url, readback_s=0.15) as instrument:
        column.ahead[SHIFT] = lambda *_: [0.0, 0.0]
        start = time.monotonic()
        with pytest.raises(BackendError, match="after"):
            instrument.write("diffraction_shift", (0.1, 0.1))
        assert 0.15 <= time.monotonic() - start < 1


@option("connect_timeout_s")
def _(column, url, monkeypatch):
    allowed = []

    class Watched(socket.socket):
        def connect(self, address):
            allowed.append(self.gettimeout())
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Watched)
    Server(options(url, connect_timeout_s=0.25)).call("mode")
    Server(options(url, connect_timeout_s=9.0, call_timeout_s=3.0)).call("mode")
    assert allowed[0] == 0.25
    assert 2.5 < allowed[1] <= 3


def silent(connection, _):
    with contextlib.suppress(OSError):
        connection.recv(1)


@option("call_timeout_s")
def _(column, url):
    with misbehaving(silent) as (hostile, _), takes_at_most(1):
        with pytest.raises(BackendError, match="within 0.1 s"):
            Server(options(hostile, call_timeout_s=0.1)).call("mode")


@option("frame_timeout_s")
def _(column, url):
    with misbehaving(silent) as (hostile, _), takes_at_most(1):
        given = options(hostile, frame_timeout_s=0.1)
        with pytest.raises(BackendError, match="within 0.1 s"):
            Camera(given, Server(given)).fetch()


@option("retries")
def _(column, url):
    with misbehaving(reset, reset, sending(http(xml("<int>1</int>")))) as (hostile, seen):
        assert Server(options(hostile, retries=2)).call("mode") == 1
    with misbehaving(reset) as (hostile, seen):
        with pytest.raises(BackendError, match="broke"):
            Server(options(hostile, retries=1)).call("mode")
        assert len(seen) == 2


@option("retry_wait_s")
def _(column, url):
    with misbehaving(reset) as (hostile, _):
        start = time.monotonic()
        with pytest.raises(BackendError, match="broke"):
            Server(options(hostile, retries=2, retry_wait_s=0.05)).call("mode")
        assert 0.15 <= time.monotonic() - start < 1


@option("acquire_retries")
def _(column, url):
    for times in (0, 2):
        with misbehaving(reset) as (hostile, seen):
            given = options(hostile, acquire_retries=times)
            with pytest.raises(BackendError, match="broke"):
                Camera(given, Server(given)).fetch()
            assert len(seen) == 1 + times


class Region:
    """Stands for a region of the screen: a picture whose pixels differ."""

    def __init__(self, corner, shape, *, wait_s):
        self.asked = (corner, shape, wait_s)
        self.picture = np.arange(ROWS * COLS).astype(np.uint8).reshape(shape)

    def put_up(self):
        self.opened = True

    def take_down(self):
        self.opened = False

    def fetch(self):
        return self.picture + np.uint8(1)


@option("frames", "screen_corner", "screen_wait_s")
def _(column, url, monkeypatch):
    monkeypatch.setattr("stempilot_backends.usetem.client.sources.ScreenRegion", Region)
    given = {"frames": "screen", "flip_x": True, "flip_y": True}
    with backend(url, screen_corner=[30, 40], screen_wait_s=0.25, **given) as instrument:
        region = instrument._frames._region
        frame = instrument.acquire("flucam")
        assert region.opened
        assert instrument.offers().sources["flucam"].dtype == frame.pixels.dtype == np.uint8
        assert instrument.identity()["camera"] == "screen"
    assert region.asked == ((30, 40), (ROWS, COLS), 0.25)
    assert not region.opened
    assert np.array_equal(frame.pixels, (region.picture + np.uint8(1))[::-1, ::-1])
    assert column.count(ADD) == 0
    assert column.count(ACQUIRE) == 0


@option("beam_lost_share")
def _(column, url):
    for share, stops in ((0.5, True), (0.3, False), (None, False)):
        column.current = 1e-11
        with backend(url, beam_lost_share=share) as instrument:
            instrument.acquire("flucam")
            column.current = 4e-12
            if not stops:
                instrument.acquire("flucam")
                continue
            with pytest.raises(BackendError, match="4e-12 A and was 1e-11 A .* the beam is lost"):
                instrument.acquire("flucam")


def _required(name, change, wanted, other, message):
    """Register the test of a required state: relaxed by none, turned round by its other value."""

    @option(name)
    def _(column, url):
        backend(url, **{name: wanted}).open()
        change(column)
        with pytest.raises(BackendError, match=message):
            backend(url, **{name: wanted}).open()
        backend(url, **{name: other}).open()
        with backend(url, **{name: None}) as instrument:
            instrument.acquire("flucam")


_required("require_screen", lambda c: setattr(c, "screen", 2), "down", "up", "lower the main")
_required("require_valves", lambda c: setattr(c, "valves", False), "open", "closed", "open the c")
_required("require_beam", lambda c: setattr(c, "blanked", True), "open", "blanked", "unblank")
_required(
    "require_projection",
    lambda c: c.values.update({"projection.mode": 1}),
    "diffraction",
    "imaging",
    "switch the projector to diffraction",
)
_required("require_mode", lambda c: c.values.update({"mode": 0}), "stem", "tem", "switch to STEM")


@pytest.mark.parametrize("name", TESTS)
def test_option(name, monkeypatch):
    test = TESTS[name]
    takes_more = test.__code__.co_argcount > 2
    extra = (monkeypatch,) if takes_more else ()
    with serving() as (column, url):
        test(column, url, *extra)


def test_every_option_has_a_test():
    assert set(TESTS) == {attribute.name for attribute in attrs.fields(UsetemThemisConfig)}
