"""One test for each line of the wire facts, named by it."""

import socket
import threading
import time

import numpy as np
import pytest
from tests.backends.usetem.client.usetem_server import (
    ACQUIRE,
    COLS,
    LENGTH,
    ROWS,
    SHIFT,
    backend,
    misbehaving,
    options,
    registry,
    reset,
    serving,
    takes_at_most,
)

from stempilot.errors import BackendError
from stempilot_backends.usetem.client.config import UsetemThemisConfig
from stempilot_backends.usetem.client.server import Call, Server

FACTS, fact = registry()

# Transport


@fact("POST /temscript; any other path is 404")
def _(column, url):
    with pytest.raises(BackendError, match="HTTP status 404; a USETEM server serves /temscript"):
        backend(url.replace("temscript", "RPC2")).open()


@fact("the default host is loopback")
def _(column, url):
    assert UsetemThemisConfig().url == "http://127.0.0.1:8001/temscript"


@fact("HTTP/1.0, one connection per call")
def _(column, url):
    with backend(url) as instrument:
        before = column.round_trips
        for _ in range(3):
            instrument.read("diffraction_shift")
        assert column.round_trips == before + 3


@fact("a read waits for another client's acquisition")
def _(column, url):
    column.ahead[SHIFT] = lambda: (time.sleep(0.3), [0.0, 0.0])[1]
    with backend(url) as instrument:
        assert instrument.read("diffraction_shift") == (0.0, 0.0)


@fact("a silent TCP connection blocks every other client: the call ends at its deadline")
def _(column, url):
    with backend(url, call_timeout_s=0.3) as instrument:
        host, port = url.removeprefix("http://").removesuffix("/temscript").split(":")
        with socket.create_connection((host, int(port))):
            time.sleep(0.05)
            with takes_at_most(1), pytest.raises(BackendError, match="within 0.3 s; another"):
                instrument.read("diffraction_shift")


@fact("an exposure is not sent again when the connection drops, unless the options say so")
def _(column, url):
    with misbehaving(lambda connection, _: reset(connection)) as (hostile, seen):
        instrument = backend(hostile, acquire_retries=0)
        with pytest.raises(BackendError, match="broke the connection"):
            instrument._frames._exposed(())
        assert len(seen) == 1


@fact("a ServerProxy shared by two threads raises: other threads are refused")
def _(column, url):
    caught = []
    with backend(url) as instrument:
        thread = threading.Thread(
            target=lambda: caught.append(_raised(lambda: instrument.read("diffraction_shift")))
        )
        thread.start()
        thread.join()
    assert "another thread" in caught[0]


@fact("with a transport given, ServerProxy ignores use_builtin_types: binary values are bytes")
def _(column, url):
    (answer,) = Server(options(url)).multicall([Call(ACQUIRE)])
    assert type(answer.value()) is bytes


@fact("replies over 1,400 bytes are gzipped if the client asks: it does not")
def _(column, url):
    with backend(url) as instrument:
        instrument.acquire("flucam")
    assert {headers.get("Accept-Encoding") for headers in column.requests} == {"identity"}


@fact("multicall works with dotted names and binary results")
def _(column, url):
    with backend(url, discard_frames=0) as instrument:
        instrument.acquire("flucam")
        before = column.round_trips
        instrument.write("diffraction_shift", (0.0, 0.001))
        frame = instrument.acquire("flucam")
    assert frame.pixels.shape == (ROWS, COLS)
    assert column.round_trips - before == 3  # write and read back; frame and states; removal


@fact("system.listMethods does not list dotted methods: it is not asked")
def _(column, url):
    with backend(url) as instrument:
        instrument.acquire("flucam")
    assert all(not name.startswith("system.list") for name, _ in column.calls)


# Types


@fact("setters return nil")
def _(column, url):
    with backend(url) as instrument:
        instrument.write("diffraction_shift", (0.0, 0.001))
    assert column.values[SHIFT] == [0.0, 0.001]


@fact("tuples arrive as arrays, doubles round-trip exactly")
def _(column, url):
    column.values[SHIFT] = (0.1 + 0.2, -1e-300)
    with backend(url) as instrument:
        assert instrument.read("diffraction_shift") == (0.1 + 0.2, -1e-300)


@fact("numpy scalars cannot be marshalled: they are made floats")
def _(column, url):
    with backend(url) as instrument:
        instrument.write("diffraction_shift", tuple(np.array([0.003, 0.004])))
        instrument.write("stem_defocus", (np.float32(0.0),))
        instrument.write("camera_length_index", (np.float64(7),))
    assert [type(item) for item in column.values[SHIFT]] == [float, float]
    assert type(column.values[LENGTH]) is int


@fact("integers above 32 bits overflow: they are refused before")
def _(column, url):
    with backend(url) as instrument, pytest.raises(BackendError, match="32 bits"):
        instrument.write("camera_length_index", (2.0**31,))


@fact("diffractionShift takes ONE array")
def _(column, url):
    with backend(url) as instrument:
        instrument.write("diffraction_shift", (0.001, 0.002))
    assert (SHIFT, ([0.001, 0.002],)) in column.calls


@fact("cameraLengthIndex takes an int; a fraction is refused")
def _(column, url):
    with backend(url) as instrument:
        instrument.write("camera_length_index", (7.0,))
        with pytest.raises(BackendError, match="not a whole number"):
            instrument.write("camera_length_index", (7.5,))
    assert (LENGTH, (7,)) in column.calls


@fact("cameraLength is never called: it returns the index, and sets it when given one")
def _(column, url):
    with backend(url, pixel_mrad=[[6, 0.565]]) as instrument:
        assert instrument.acquire("flucam").pixel_rad == pytest.approx(0.565e-3)
        assert instrument.camera_length_m() == pytest.approx(0.16)
    assert column.count("projection.cameraLength") == 0


@fact("projection.mode is 1 imaging, 2 diffraction")
def _(column, url):
    _states(column, url, "projection_mode", {1: "imaging", 2: "diffraction"})


@fact("mode is 0 TEM, 1 STEM")
def _(column, url):
    _states(column, url, "instrument_mode", {0: "tem", 1: "stem"})


@fact("screenCurrent is a double in ampere")
def _(column, url):
    with backend(url) as instrument:
        assert instrument.number("screen_current") == 1e-11


@fact("mainScreenPosition is 2 up, 3 down, 1 unknown")
def _(column, url):
    for value, word in {1: "unknown", 2: "up", 3: "down"}.items():
        column.screen = value
        with backend(url, require_screen=None) as instrument:
            assert instrument.state("screen") == word


@fact("isBeamBlanked silently ignores an int: a boolean is sent")
def _(column, url):
    with backend(url) as instrument:
        instrument.park()
        assert instrument.state("beam_blanker") == "blanked"
    sent = [params for name, params in column.calls if name.endswith("isBeamBlanked") and params]
    assert [type(params[0]) for params in sent] == [bool]


@fact("STEMDefocus is one double in metre")
def _(column, url):
    with backend(url) as instrument:
        instrument.write("stem_defocus", (-1.5e-6,))
        assert instrument.read("stem_defocus") == (-1.5e-6,)


@fact("beamShift is one array in metre")
def _(column, url):
    with backend(url) as instrument:
        instrument.write("beam_shift", (1e-7, -1e-7))
    assert ("illumination.beamShift", ([1e-7, -1e-7],)) in column.calls


@fact("columnValvesOpen is a boolean and never set")
def _(column, url):
    with backend(url) as instrument:
        assert instrument.state("column_valves") == "open"
    assert ("vacuum.columnValvesOpen", (True,)) not in column.calls


@fact("isSTEMAvailable is told in the identity")
def _(column, url):
    with backend(url) as instrument:
        assert instrument.identity()["stem"] == "true"


@fact("configInfo evaluates its argument: it is never called")
def _(column, url):
    with backend(url) as instrument:
        instrument.identity()
    assert column.count("configInfo") == 0


@fact("the device list is shared by all clients: theirs stay, and ours goes at the end")
def _(column, url):
    column.cameras["BM-Ceta"] = (16, 16)
    column.devices.append("BM-Ceta")
    with backend(url) as instrument:
        assert column.devices == ["BM-Ceta", "BM-Flucam"]
        instrument.acquire("flucam")
    assert column.devices == ["BM-Ceta"]
    assert column.count("acquisition.removeAllAcqDevices") == 0


@fact("acquireImages returns one array per added device")
def _(column, url):
    column.cameras["BM-Ceta"] = (16, 16)
    column.devices.append("BM-Ceta")
    with backend(url) as instrument:
        assert instrument.acquire("flucam").pixels.shape == (ROWS, COLS)


@fact("broken methods are not used: tilt, imageShift, rotationCenter, gauges, imageSize")
def _(column, url):
    with backend(url) as instrument:
        for knob in instrument.offers().knobs:
            instrument.read(knob)
        instrument.acquire("flucam")
    used = {name.rpartition(".")[2] for name, _ in column.calls}
    assert not used & {"tilt", "imageShift", "rotationCenter", "condenserStigmator", "gauges"}
    assert "imageSize" not in used


@fact("no call sets exposure: the operator's is recorded")
def _(column, url):
    with backend(url, exposure_s=0.25) as instrument:
        assert instrument.acquire("flucam").exposure_s == 0.25


def _states(column, url, state, words):
    method = {"projection_mode": "projection.mode", "instrument_mode": "mode"}[state]
    for value, word in words.items():
        column.values[method] = value
        with backend(url, require_projection=None) as instrument:
            assert instrument.state(state) == word


def _raised(call):
    try:
        call()
    except BackendError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("line", FACTS)
def test_wire_fact(line):
    with serving() as (column, url):
        FACTS[line](column, url)
