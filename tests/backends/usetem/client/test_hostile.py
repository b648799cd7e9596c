"""Servers that break the rules: each ends in a clear error, in time and in bounded memory."""

import contextlib
import time
import tracemalloc

import pytest

from stempilot.errors import BackendError
from stempilot_backends.usetem.client.camera import Camera
from stempilot_backends.usetem.client.server import Server
from stempilot_backends.usetem.wire.marshal import MAX_XML_BYTES
from stempilot_backends.usetem.wire.transport import Endpoint

from .usetem_server import (
    backend,
    http,
    misbehaving,
    options,
    reset,
    sending,
    serving,
    takes_at_most,
    xml,
)

BOMB = (
    b"<?xml version='1.0'?><!DOCTYPE b [<!ENTITY a 'aaaaaaaaaa'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><methodResponse><params><param><value><string>&j;</string></value></param></params>"
    b"</methodResponse>"
)
EXTERNAL = (
    b"<?xml version='1.0'?><!DOCTYPE b [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
    b"<methodResponse><params><param><value>&a;</value></param></params></methodResponse>"
)
DEEP = xml("<array><data><value>" * 500 + "</value></data></array>" * 500)

RAW = {
    "XML bomb": (http(BOMB), "document type or an entity, which is refused"),
    "external entity": (http(EXTERNAL), "document type or an entity, which is refused"),
    "2 GB promised": (http(b"x", length=2 * 1024**3), "longer than the 65536 bytes"),
    "no length but bytes": (http(b"", length="many"), "which is no length"),
    "negative length": (http(b"", length=-1), "which is no length"),
    "longer than promised": (http(xml("<int>1</int>"), length=20), "goes on after the 20 bytes"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "that is not HTTP"),
    "HTTP error": (http(b"", status="500 oh"), "HTTP status 500"),
    "chunked": (http(b"", extra="Transfer-Encoding: chunked\r\n"), "transfer-encoding"),
    "gzipped": (http(b"", extra="Content-Encoding: gzip\r\n"), "content-encoding"),
    "not XML": (http(b"hello"), "no XML-RPC: ExpatError"),
    "another document": (http(b"<html/>"), "no XML-RPC: ResponseError"),
    "no value": (http(b"<methodResponse><params/></methodResponse>"), "no XML-RPC|0 values"),
    "two values": (
        http(
            b"<methodResponse><params><param><value><int>1</int></value></param>"
            b"<param><value><int>1</int></value></param></params></methodResponse>"
        ),
        "holds 2 values",
    ),
    "a number of 5000 digits": (http(xml(f"<int>{'9' * 5000}</int>")), "no XML-RPC: ValueError"),
    "a fault without parts": (
        http(b"<methodResponse><fault><value><int>1</int></value></fault></methodResponse>"),
        "no XML-RPC: TypeError",
    ),
    "binary value without end": (http(xml("<base64>AAAA")), "without end"),
    "two binary values": (http(xml("<base64></base64><base64></base64>")), "more than one"),
    "damaged binary value": (http(xml("<base64>A</base64>")), "binary value is damaged"),
    "lists in lists": (http(DEEP), "returned .* not a whole number"),
    "text for a number": (http(xml("<string>1</string>")), "'1', not a whole number"),
    "a very long text": (http(xml("x" * (MAX_XML_BYTES - 200))), "xxx.*not a whole number"),
    "headers without end": (b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 20000, "headers without end"),
}


@pytest.mark.parametrize("name", RAW)
def test_a_reply_that_breaks_the_rules_is_refused(name):
    data, part = RAW[name]
    with misbehaving(sending(data)) as (url, _):
        with takes_at_most(2), pytest.raises(BackendError, match=part) as raised:
            read_index(url)
    assert len(str(raised.value)) < 1000


def read_index(url, **given):
    """Read the camera length as the backend does, without opening it."""
    instrument = backend(url, retries=0, **given)
    return instrument._read_anew("camera_length_index")


def test_a_reply_without_end_is_given_up_at_its_largest_size():
    def endless(connection, _):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b" " * 65536)

    with misbehaving(endless) as (url, _), peak_below(2e6), takes_at_most(2):
        with pytest.raises(BackendError, match="longer than the 65536 bytes"):
            read_index(url)


def test_headers_that_trickle_are_given_up_at_the_deadline():
    _trickles(b"HTTP/1.0 200 OK\r\nX: " + b"a" * 1000)


def test_a_body_that_trickles_is_given_up_at_the_deadline():
    _trickles(http(b"<" * 1000))


def test_a_body_without_length_that_trickles_is_given_up_at_the_deadline():
    _trickles(b"HTTP/1.0 200 OK\r\n\r\n" + b"<" * 1000)


def _trickles(data):
    def trickle(connection, _):
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.002)

    with misbehaving(trickle) as (url, _), takes_at_most(1):
        with pytest.raises(BackendError, match=r"within 0.3 s"):
            read_index(url, call_timeout_s=0.3)


def test_a_server_that_says_nothing_is_given_up_at_the_deadline():
    def silent(connection, _):
        with contextlib.suppress(OSError):
            connection.recv(1)

    with misbehaving(silent) as (url, _), takes_at_most(1):
        with pytest.raises(BackendError, match=r"within 0.2 s; another client may be holding"):
            read_index(url, call_timeout_s=0.2)


def test_a_frame_of_2_gb_is_refused_before_it_is_read():
    with misbehaving(sending(http(b"x", length=2 * 1024**3))) as (url, _), peak_below(1e6):
        with pytest.raises(BackendError, match="raise backend.max_devices"):
            _camera(url).fetch()


def test_a_frame_without_end_is_given_up_at_the_size_of_the_promised_ones():
    given = {"frame_shape": [400, 400], "max_devices": 1}
    most = MAX_XML_BYTES + 1.4 * 400 * 400 * 4

    def endless(connection, _):
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n<methodResponse><params><base64>")
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"A" * 65536)

    with misbehaving(endless) as (url, _), peak_below(4 * most), takes_at_most(2):
        with pytest.raises(BackendError, match="longer than the"):
            _camera(url, **given).fetch()


def test_a_list_of_devices_that_returns_no_binary_value_is_refused():
    with serving() as (column, url):
        column.ahead["acquisition.acquireImages"] = lambda: [1, 2]
        with pytest.raises(BackendError, match=r"acquireImages returned \[1, 2\], not binary"):
            _camera(url).fetch()


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        ("<int>1</int>", "not an array of 1 results"),
        ("<array><data></data></array>", "not an array of 1 results"),
        ("<array><data><value><int>1</int></value></data></array>", "not an array of one value"),
    ],
)
def test_a_multicall_of_another_form_is_refused(reply, part):
    with misbehaving(sending(http(xml(reply)))) as (url, _):
        with pytest.raises(BackendError, match=part):
            _camera(url).fetch()


@pytest.mark.parametrize(
    ("knob", "method", "reply", "part"),
    [
        ("diffraction_shift", "projection.diffractionShift", [1.0], "array of 2 finite numbers"),
        ("diffraction_shift", "projection.diffractionShift", 1.0, "array of 2 finite numbers"),
        ("diffraction_shift", "projection.diffractionShift", ["a", "b"], "array of 2 finite"),
        ("diffraction_shift", "projection.diffractionShift", [float("nan"), 0.0], "nan.*finite"),
        ("diffraction_shift", "projection.diffractionShift", [float("inf"), 0.0], "inf.*finite"),
        ("diffraction_shift", "projection.diffractionShift", [True, 0.0], "True.*finite"),
        ("diffraction_shift", "projection.diffractionShift", None, "None.*finite"),
        ("stem_defocus", "illumination.STEMDefocus", "0.5", "'0.5', not a finite number"),
        ("stem_defocus", "illumination.STEMDefocus", [0.5], "not a finite number"),
        ("camera_length_index", "projection.cameraLengthIndex", 6.0, "6.0, not a whole number"),
        ("camera_length_index", "projection.cameraLengthIndex", True, "True, not a whole number"),
    ],
)
def test_a_reading_of_the_wrong_type_names_method_and_value(knob, method, reply, part):
    with serving() as (column, url), backend(url) as instrument:
        column.ahead[method] = lambda *_: reply
        with pytest.raises(BackendError, match=f"{method} returned .*{part}"):
            instrument.read(knob)


@pytest.mark.parametrize(
    ("state", "method", "reply"),
    [
        ("beam_blanker", "illumination.isBeamBlanked", 0),
        ("column_valves", "vacuum.columnValvesOpen", "open"),
        ("screen", "camera.mainScreenPosition", True),
        ("screen", "camera.mainScreenPosition", 4),
        ("instrument_mode", "mode", 2),
    ],
)
def test_a_state_of_the_wrong_type_names_method_and_value(state, method, reply):
    with serving() as (column, url), backend(url) as instrument:
        column.ahead[method] = lambda: reply
        with pytest.raises(BackendError, match=f"{method} returned {reply!r}, not"):
            instrument.state(state)


def test_whole_numbers_are_taken_for_doubles():
    with serving() as (column, url), backend(url) as instrument:
        column.ahead["projection.diffractionShift"] = lambda: [0, 1]
        assert instrument.read("diffraction_shift") == (0.0, 1.0)


@pytest.mark.parametrize(
    "value", [(0.0,), (0.0, 0.0, 0.0), (float("nan"), 0.0), (float("inf"), 0.0)]
)
def test_a_value_that_cannot_be_written_is_not_sent(value):
    with serving() as (column, url), backend(url) as instrument:
        column.calls.clear()
        with pytest.raises(BackendError, match="takes 2 finite components"):
            instrument.write("diffraction_shift", value)
        assert column.calls == []


def test_an_unknown_host_is_a_clear_error():
    with pytest.raises(BackendError, match=r"no-such-host.invalid:8001/t is not known"):
        read_index("http://no-such-host.invalid:8001/t")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8001/temscript",
        "ftp://127.0.0.1/temscript",
        "127.0.0.1:8001",
        "http://127.0.0.1:8001",
        "http://:8001/temscript",
        "http://user:secret@127.0.0.1/temscript",
        "http://127.0.0.1/temscript?x=1",
        "http://127.0.0.1/tem\r\nscript",
        "http://127.0.0.1:99999/temscript",
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match=r"http|[Pp]ort"):
        Endpoint.parse(url)


def test_an_address_of_version_6_is_written_with_brackets():
    endpoint = Endpoint.parse("http://[::1]:8001/temscript")
    assert (endpoint.host, str(endpoint)) == ("::1", "http://[::1]:8001/temscript")


def _camera(url, **given):
    given = {"retries": 0, "acquire_retries": 0, **given}
    return Camera(options(url, **given), Server(options(url, **given)))


@contextlib.contextmanager
def peak_below(most):
    """Check that the block allocates less than so many bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# Connections that break


def broken(connection, _):
    """Promise more than is sent."""
    connection.sendall(http(xml("<int>1</int>"), length=500))


@pytest.mark.parametrize("script", [reset, broken], ids=["reset", "half a reply"])
def test_a_read_is_sent_again_when_its_connection_breaks(script):
    with misbehaving(script, script, sending(http(xml("<int>6</int>")))) as (url, seen):
        instrument = backend(url, retries=2)
        assert instrument._read_anew("camera_length_index") == (6.0,)
        assert len(seen) == 3


@pytest.mark.parametrize("script", [reset, broken], ids=["reset", "half a reply"])
def test_a_read_is_sent_again_no_more_often_than_the_options_say(script):
    with misbehaving(script) as (url, seen):
        with pytest.raises(BackendError, match="broke"):
            backend(url, retries=2)._read_anew("camera_length_index")
        assert len(seen) == 3


def test_retries_end_at_the_deadline():
    with misbehaving(reset) as (url, seen), takes_at_most(1):
        with pytest.raises(BackendError, match="broke"):
            instrument = backend(url, retries=20, retry_wait_s=0.05, call_timeout_s=0.3)
            instrument._read_anew("camera_length_index")
        assert 2 <= len(seen) <= 4


def test_a_fault_is_not_sent_again():
    with serving() as (column, url), backend(url) as instrument:
        column.ahead["projection.diffractionShift"] = lambda: 1 / 0
        column.calls.clear()
        with pytest.raises(BackendError, match="ZeroDivisionError"):
            instrument.read("diffraction_shift")
        assert len(column.calls) == 1


@pytest.mark.parametrize(("times", "sent"), [(0, 1), (1, 2), (2, 3)])
def test_exposures_are_sent_again_as_often_as_the_options_say(times, sent):
    with misbehaving(reset) as (url, seen):
        with pytest.raises(BackendError, match="broke"):
            _camera(url, retries=5, acquire_retries=times).fetch()
        assert len(seen) == sent
