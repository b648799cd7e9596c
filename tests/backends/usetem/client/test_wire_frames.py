"""One test for each line of the wire facts on frames and faults, named by it."""

import pickle

import numpy as np
import pytest

from stempilot.errors import BackendError, FrameError
from stempilot_backends.usetem.client.server import Server

from .usetem_server import (
    ACQUIRE,
    ADD,
    COLS,
    LENGTH,
    REMOVE,
    ROWS,
    SHIFT,
    ComError,
    backend,
    misbehaving,
    options,
    registry,
    sending,
    serving,
)

FACTS, fact = registry()

# Frames


@fact("arrays are int32, [x, y], Fortran order: turned to (row, col) without a copy")
def _(column, url):
    column.frame = np.asfortranarray(np.arange(ROWS * COLS, dtype=np.int32).reshape(COLS, ROWS))
    with backend(url) as instrument:
        pixels = instrument.acquire("flucam").pixels
    assert pixels.dtype == np.int32
    assert np.array_equal(pixels, column.frame.T)
    assert pixels.flags.c_contiguous


@fact("frames are pickled with protocol 4, others are read too")
def _(column, url):
    for protocol in (3, 4, 5):
        column.protocol = protocol
        with backend(url) as instrument:
            assert instrument.acquire("flucam").pixels.mean() == pytest.approx(100, abs=2)


@fact("never unpickle what came over a network: a pickle that would run code is refused")
def _(column, url):
    column.ahead[ACQUIRE] = lambda: pickle.dumps([Runs()])
    with pytest.raises(BackendError, match="might run code"):
        backend(url).open()
    assert Runs.ran == []


class Runs:
    ran = []  # noqa: RUF012

    def __reduce__(self):
        return (self.ran.append, (1,))


@fact("the camera's name is a setting")
def _(column, url):
    column.cameras = {"Lab-Cam": (ROWS, COLS)}
    with backend(url, camera="Lab-Cam") as instrument:
        instrument.acquire("flucam")
    assert (ADD, ("Lab-Cam",)) in column.calls
    assert (REMOVE, ("Lab-Cam",)) in column.calls


@fact("frames may be uint16")
def _(column, url):
    column.frame = np.full((COLS, ROWS), 65535, np.uint16, order="F")
    with backend(url) as instrument:
        assert instrument.acquire("flucam").pixels.max() == 65535


@fact("frames of another size are refused")
def _(column, url):
    column.cameras["BM-Flucam"] = (ROWS, COLS + 1)
    with pytest.raises(BackendError, match=r"\(48, 41\) int32, not \(48, 40\) int32"):
        backend(url).open()


# Faults


@fact("a COM error reads (hresult, text, details)")
def _(column, url):
    def fails(*_):
        raise ComError(-2147467259, "Unspecified error", ("knob", None, None, 0, None))

    with backend(url) as instrument:
        column.ahead[SHIFT] = fails
        with pytest.raises(BackendError) as raised:
            instrument.read("diffraction_shift")
        assert "projection.diffractionShift failed on the server: COM error 0x80004005: " in str(
            raised.value
        )
        assert "Unspecified error" in str(raised.value)
        with pytest.raises(BackendError, match="0x80004005"):
            instrument.write("diffraction_shift", (0.0, 0.0))


@fact("other faults read <class 'NAME'>:message")
def _(column, url):
    with backend(url) as instrument:
        column.values[LENGTH] = 6
        column.ahead[LENGTH] = lambda *_: int("x")
        with pytest.raises(BackendError, match="failed on the server: ValueError: invalid literal"):
            instrument.read("camera_length_index")


@fact("unknown methods fault with their name")
def _(column, url):
    del column.values["illumination.beamShift"]
    with backend(url) as instrument:
        with pytest.raises(BackendError, match='"illumination.beamShift" is not supported'):
            instrument.read("beam_shift")


@fact("the table of camera lengths is the public client's")
def _(column, url):
    lengths = options(url).camera_lengths_mm
    assert (len(lengths), lengths[0], lengths[6], lengths[-1]) == (21, 38, 160, 4100)


@fact("a frame that is not a pickle is refused")
def _(column, url):
    with misbehaving(sending(b"HTTP/1.0 200 OK\r\n\r\n<methodResponse/>")) as (hostile, _):
        with pytest.raises(BackendError, match="no XML-RPC"):
            Server(options(hostile)).call("mode")
    column.ahead[ACQUIRE] = lambda: b"no pickle"
    with pytest.raises(BackendError, match="no list of arrays|refused"):
        backend(url).open()


@pytest.mark.parametrize("line", FACTS)
def test_wire_fact(line):
    with serving() as (column, url):
        FACTS[line](column, url)


def test_short_frames_are_a_frame_error():
    with serving() as (column, url):
        with backend(url) as instrument:
            column.frame = np.zeros((COLS, ROWS // 2), np.int32)
            with pytest.raises(FrameError, match="backend.frame_shape"):
                instrument.acquire("flucam")
