"""One row for each line of the wire facts, spoken over real sockets."""

import ast
import gzip
import pickle
import time
import xmlrpc.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.backends.usetem.emulator.conftest import Start, Themis

Fault = xmlrpc.client.Fault
CAMERA = "BM-Flucam"
LENGTHS_M = (
    0.038, 0.048, 0.060, 0.077, 0.100, 0.130, 0.160, 0.195, 0.245, 0.300, 0.380,
    0.480, 0.600, 0.770, 0.940, 1.200, 1.500, 1.900, 2.400, 3.000, 4.100,
)  # fmt: skip


def call(themis: Themis, method: str, *params: Any) -> Any:
    found = themis.proxy()
    for part in method.split("."):
        found = getattr(found, part)
    return found(*params)


def fault(themis: Themis, method: str, *params: Any) -> str:
    with pytest.raises(Fault) as caught:
        call(themis, method, *params)
    assert caught.value.faultCode == 1
    return str(caught.value.faultString)


def frames(themis: Themis) -> Any:
    return pickle.loads(call(themis, "acquisition.acquireImages"))


# What a getter without an argument returns: method, value, type on the wire.
GETTERS = [
    ("projection.diffractionShift", [0.0, 0.0], "array"),
    ("projection.cameraLengthIndex", 6, "int"),
    ("projection.cameraLength", 6, "int"),
    ("projection.mode", 2, "int"),
    ("camera.screenCurrent", 1e-11, "double"),
    ("camera.mainScreenPosition", 3, "int"),
    ("illumination.isBeamBlanked", False, "boolean"),
    ("illumination.STEMDefocus", 0.0, "double"),
    ("illumination.beamShift", [0.0, 0.0], "array"),
    ("vacuum.columnValvesOpen", True, "boolean"),
    ("vacuum.gauges", [], "array"),
    ("mode", 1, "int"),
    ("isSTEMAvailable", True, "boolean"),
]


@pytest.mark.parametrize(("method", "value", "kind"), GETTERS)
def test_getters_return_their_type(themis: Themis, method: str, value: Any, kind: str) -> None:
    found = call(themis, method)
    assert found == value
    assert type(found) is type(value)
    assert f"<value><{kind}>".encode() in themis.post(method).replace(b"\n", b"")


# What a setter takes, and what is read afterwards.
SETTERS = [
    ("projection.diffractionShift", [0.0123, -1 / 3], [0.0123, -1 / 3]),
    ("projection.cameraLengthIndex", 20, 20),
    ("projection.mode", 1, 1),
    ("camera.mainScreenPosition", 2, 2),
    ("illumination.isBeamBlanked", True, True),
    ("illumination.STEMDefocus", -1.5e-9, -1.5e-9),
    ("illumination.beamShift", [1e-9, 3e-7], [1e-9, 3e-7]),
    ("vacuum.columnValvesOpen", False, False),
    ("vacuum.columnValvesOpen", 0, False),
    ("mode", 0, 0),
]


@pytest.mark.parametrize(("method", "value", "then"), SETTERS)
def test_setters_return_nil_and_take_effect(
    themis: Themis, method: str, value: Any, then: Any
) -> None:
    assert b"<nil/>" in themis.post(method, value)
    assert call(themis, method) == then


# What is refused, and how: method, arguments, beginning of the fault.
TYPE, COM = "<class 'TypeError'>:", "<class '_ctypes.COMError'>:("
REFUSED = [
    ("projection.diffractionShift", (0.1, 0.2), TYPE),
    ("projection.diffractionShift", (0.1,), TYPE),
    ("projection.diffractionShift", (["a", "b"],), TYPE),
    ("projection.diffractionShift", ([0.1],), COM),
    ("projection.diffractionShift", ([0.1, 0.2, 0.3],), COM),
    ("projection.diffractionShift", ([4.1, 0.0],), COM),
    ("projection.diffractionShift", ([0.0, -4.1],), COM),
    ("projection.cameraLengthIndex", (1.0,), TYPE),
    ("projection.cameraLengthIndex", ("1",), TYPE),
    ("projection.cameraLengthIndex", (21,), COM),
    ("projection.cameraLengthIndex", (-1,), COM),
    ("projection.cameraLength", (1.0,), TYPE),
    ("projection.mode", (3,), COM),
    ("projection.mode", ("2",), TYPE),
    ("camera.mainScreenPosition", (1,), COM),
    ("camera.screenCurrent", (1e-9,), TYPE),
    ("mode", (2,), COM),
    ("illumination.STEMDefocus", ("0",), TYPE),
    ("isSTEMAvailable", (1,), TYPE),
    ("configInfo", ("1 + 1",), "<class 'PermissionError'>:"),
    ("illumination.tilt", (), "<class 'AttributeError'>:"),
    ("illumination.imageShift", (), "<class 'AttributeError'>:"),
    ("illumination.rotationCenter", (), "<class 'AttributeError'>:"),
    ("illumination.condenserStigmator", (), "<class 'AttributeError'>:"),
    ("acquisition.imageSize", (), "<class 'AttributeError'>:"),
    ("acquisition.addCameraByName", ("no such camera",), COM),
    ("acquisition.removeAcqDeviceByName", (CAMERA,), COM),
    ("acquisition.acquireImages", (), COM),
    ("no.such", (), "<class 'Exception'>:method \"no.such\" is not supported"),
    ("nothing", (), "<class 'Exception'>:method \"nothing\" is not supported"),
    ("_hidden.x", (), "<class 'Exception'>:method \"_hidden.x\" is not supported"),
]


@pytest.mark.parametrize(("method", "params", "said"), REFUSED)
def test_refusals_are_faults_with_code_1(
    themis: Themis, method: str, params: Any, said: str
) -> None:
    reply = themis.post(method, *params)
    assert reply.startswith(b"HTTP/1.0 200 ")
    assert fault(themis, method, *params).startswith(said)
    assert themis.emulator.log() == ()


def test_com_errors_read_code_text_details(themis: Themis) -> None:
    said = fault(themis, "projection.diffractionShift", [9.0, 0.0])
    code, text, details = ast.literal_eval(said.partition(":")[2])
    assert isinstance(code, int)
    assert code < 0
    assert isinstance(text, str)
    assert len(details) == 5


def test_camera_length_returns_the_index_and_sets_it_when_asked_for_metres(themis: Themis) -> None:
    assert call(themis, "projection.cameraLength") == 6
    assert [call(themis, "projection.cameraLength", i) for i in range(21)] == list(LENGTHS_M)
    assert call(themis, "projection.cameraLengthIndex") == 20
    assert call(themis, "projection.cameraLength") == 20


@pytest.mark.parametrize("ignored", [0, 1, "true", 1.0])
def test_the_blanker_ignores_what_is_no_boolean(themis: Themis, ignored: Any) -> None:
    for blanked in (True, False):
        call(themis, "illumination.isBeamBlanked", blanked)
        assert call(themis, "illumination.isBeamBlanked", ignored) is None
        assert call(themis, "illumination.isBeamBlanked") is blanked


def test_doubles_round_trip_exactly(themis: Themis) -> None:
    rng = np.random.default_rng(0)
    for shift in rng.normal(0, 1e-3, (20, 2)).tolist():
        call(themis, "projection.diffractionShift", shift)
        assert call(themis, "projection.diffractionShift") == shift


def test_config_info_runs_nothing(themis: Themis, tmp_path: Any) -> None:
    trace = tmp_path / "trace"
    fault(themis, "configInfo", f"open({str(trace)!r}, 'w')")
    assert not trace.exists()


@pytest.mark.parametrize("path", ["/", "/RPC2", "/temscript/", "/rehearsal", "/temscript?x"])
def test_any_other_path_is_404(themis: Themis, path: str) -> None:
    assert themis.post("mode", path=path).startswith(b"HTTP/1.0 404 ")


@pytest.mark.parametrize("more", ["", "Connection: keep-alive\r\n"])
def test_each_call_has_a_connection_of_its_own(themis: Themis, more: str) -> None:
    # `raw` reads until the server closes; it would run into its deadline otherwise.
    assert themis.post("mode", more=more).startswith(b"HTTP/1.0 200 OK\r\n")


@pytest.mark.parametrize(
    ("method", "accepts", "zipped"),
    [
        ("acquisition.acquireImages", "gzip", True),
        ("acquisition.acquireImages", "", False),
        ("acquisition.acquireImages", "identity", False),
        ("mode", "gzip", False),
    ],
)
def test_long_replies_are_zipped_where_the_client_asks(
    themis: Themis, method: str, accepts: str, zipped: bool
) -> None:
    call(themis, "acquisition.addCameraByName", CAMERA)
    more = f"Accept-Encoding: {accepts}\r\n" if accepts else ""
    head, _, body = themis.post(method, more=more).partition(b"\r\n\r\n")
    assert (b"Content-Encoding: gzip" in head) is zipped
    text = gzip.decompress(body) if zipped else body
    assert text.startswith(b"<?xml")
    if method != "mode":
        assert len(body) > 1400


def test_multicall_works_with_dotted_names_binary_results_and_faults(themis: Themis) -> None:
    calls = xmlrpc.client.MultiCall(themis.proxy())
    calls.acquisition.addCameraByName(CAMERA)
    calls.projection.diffractionShift([0.01, 0.02])
    calls.projection.diffractionShift()
    calls.camera.screenCurrent()
    calls.no.such()
    calls.projection.diffractionShift([9.0, 0.0])
    calls.acquisition.acquireImages()
    found = calls().results
    assert found[:4] == [[None], [None], [[0.01, 0.02]], [1e-11]]
    assert found[4] == {
        "faultCode": 1,
        "faultString": "<class 'Exception'>:method \"no.such\" is not supported",
    }
    assert found[5]["faultString"].startswith(COM)
    assert pickle.loads(found[6][0])[0].shape == (1040, 1040)


def test_a_read_waits_for_the_acquisition_of_another_client(start: Start) -> None:
    themis = start(realtime=True, exposure_s=0.5)
    call(themis, "acquisition.addCameraByName", CAMERA)
    with ThreadPoolExecutor() as pool:
        exposing = pool.submit(call, themis, "acquisition.acquireImages")
        while not any(one.what == "acquire" for one in themis.emulator.log()):
            time.sleep(0.005)
        began = time.monotonic()
        assert call(themis, "projection.diffractionShift") == [0.0, 0.0]
        assert time.monotonic() - began > 0.3
        assert exposing.result()


def test_list_methods_does_not_show_dotted_ones(themis: Themis) -> None:
    assert themis.proxy().system.listMethods() == [
        "configInfo",
        "isSTEMAvailable",
        "mode",
        "system.listMethods",
        "system.methodHelp",
        "system.methodSignature",
        "system.multicall",
    ]


def test_nil_counts_as_no_argument(themis: Themis) -> None:
    assert call(themis, "projection.diffractionShift", None) == [0.0, 0.0]


@pytest.mark.parametrize("body", [b"", b"<", b"<methodCall/>", b"\xff\xfe"])
def test_what_is_no_call_is_answered_and_does_no_harm(themis: Themis, body: bytes) -> None:
    head = f"POST /temscript HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    assert themis.raw(head.encode() + body).startswith(b"HTTP/1.0 ")
    assert call(themis, "mode") == 1


def test_integers_above_32_bits_are_refused_by_the_client() -> None:
    with pytest.raises(OverflowError):
        xmlrpc.client.dumps((1 << 40,))


class TestFrames:
    """What `acquireImages` delivers."""

    def test_a_pickled_list_of_int32_fortran_arrays_by_x_and_y(self, start: Start) -> None:
        themis = start(read_noise_e=0.0)
        call(themis, "acquisition.addCameraByName", CAMERA)
        data = call(themis, "acquisition.acquireImages")
        assert type(data) is bytes
        assert data[:2] == b"\x80\x04"
        (frame,) = pickle.loads(data)
        assert (frame.shape, frame.dtype) == ((1040, 1040), np.int32)
        assert frame.flags.f_contiguous
        assert not frame.flags.c_contiguous
        x, y = themis.emulator.look()["truth"]["position_px"]
        bright = np.argwhere(frame > 3000)
        # The first index runs along x.
        assert bright.mean(axis=0) == pytest.approx([x + 519.5, y + 519.5], abs=1.0)

    def test_one_array_for_each_device_that_was_added(self, themis: Themis) -> None:
        for number in (1, 2):
            call(themis, "acquisition.addCameraByName", CAMERA)
            assert len(frames(themis)) == number
        call(themis, "acquisition.removeAcqDeviceByName", CAMERA)
        assert len(frames(themis)) == 1
        call(themis, "acquisition.removeAllAcqDevices")
        assert fault(themis, "acquisition.acquireImages").startswith(COM)

    def test_all_clients_share_the_list_of_devices(self, themis: Themis) -> None:
        one, other = themis.proxy(), themis.proxy()
        one.acquisition.addCameraByName(CAMERA)
        assert other.acquisition.acquireImages()
        other.acquisition.removeAllAcqDevices()
        with pytest.raises(Fault):
            one.acquisition.acquireImages()

    def test_each_frame_has_noise_of_its_own(self, themis: Themis) -> None:
        call(themis, "acquisition.addCameraByName", CAMERA)
        assert not np.array_equal(frames(themis)[0], frames(themis)[0])


# What takes the disk off the screen, and the current with it where electrons do not get there.
DARK: list[tuple[Callable[[Any], Any], bool]] = [
    (lambda p: p.camera.mainScreenPosition(2), True),
    (lambda p: p.vacuum.columnValvesOpen(False), True),
    (lambda p: p.illumination.isBeamBlanked(True), True),
    (lambda p: p.projection.mode(1), False),
]


@pytest.mark.parametrize(("darken", "stops_current"), DARK)
def test_no_disk_without_a_beam_on_the_screen(
    themis: Themis, darken: Callable[[Any], Any], stops_current: bool
) -> None:
    proxy = themis.proxy()
    proxy.acquisition.addCameraByName(CAMERA)
    assert frames(themis)[0].max() > 3000
    darken(proxy)
    assert frames(themis)[0].max() < 200
    assert (proxy.camera.screenCurrent() == 0.0) is stops_current
