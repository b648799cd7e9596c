"""Writes settle and are read back; what came along with a frame or a write never hides a person."""

import threading
import time

import pytest

from stempilot.errors import BackendError, HandsOffError
from stempilot_backends.usetem.client.readings import WITH_FRAME_S, WITH_WRITE_S, Readings
from stempilot_backends.usetem.client.server import Answer

from .usetem_server import SHIFT, backend, http, misbehaving, reset, sending, serving, xml

KNOB = "diffraction_shift"


@pytest.fixture
def served():
    with serving() as (column, url):
        yield column, url


def in_no_time(instrument):
    """Let no time pass for what came along with a frame or a write, however busy the machine."""
    instrument._readings._clock = lambda: 0.0


def test_a_stuck_knob_is_an_error_with_the_numbers(served):
    column, url = served
    with backend(url) as instrument:
        column.ahead[SHIFT] = lambda *_: [0.01, -0.02]
        with pytest.raises(
            BackendError, match=r"reads \(0.01, -0.02\) rad after \(0.1, 0.2\)"
        ) as e:
            instrument.write(KNOB, (0.1, 0.2))
        assert "(1e-05, 1e-05)" in str(e.value)


def test_a_read_back_within_the_resolution_is_taken(served):
    column, url = served
    column.ahead[SHIFT] = lambda *_: [0.1 + 9e-6, 0.2 - 9e-6]
    with backend(url) as instrument:
        instrument.write(KNOB, (0.1, 0.2))


def test_a_read_back_that_lags_is_waited_for(served, caplog):
    column, url = served
    lag = iter([[0.0, 0.0], [0.05, 0.1], [0.1, 0.2]])
    column.ahead[SHIFT] = lambda *params: None if params else next(lag)
    with backend(url, readback_s=1.0) as instrument:
        instrument.write(KNOB, (0.1, 0.2))
    assert next(lag, None) is None
    assert "reading again" in caplog.text


def test_a_write_whose_connection_breaks_is_sent_again_as_it_is_absolute():
    done = http(xml("<array><data>" + 2 * _result("<double>0.5</double>") + "</data></array>"))
    with misbehaving(reset, sending(done)) as (url, seen):
        instrument = backend(url)
        instrument._owner = threading.get_ident()
        instrument.write("stem_defocus", (0.5,))
    assert len(seen) == 2
    assert seen[0] == seen[1]


def _result(value):
    return f"<value><array><data><value>{value}</value></data></array></value>"


def test_a_write_and_its_read_back_take_one_round_trip(served):
    column, url = served
    with backend(url) as instrument:
        in_no_time(instrument)
        before = column.round_trips
        instrument.write(KNOB, (0.0, 0.001))
        assert instrument.read(KNOB) == (0.0, 0.001)
        assert column.round_trips == before + 1


def test_a_correction_takes_three_round_trips_and_a_fresh_read(served):
    column, url = served
    with backend(url) as instrument:
        in_no_time(instrument)

        def look():
            instrument.acquire("flucam")
            return (
                instrument.read(KNOB),
                instrument.read("camera_length_index"),
                instrument.state("screen"),
                instrument.state("beam_blanker"),
            )

        look()
        before = column.round_trips
        assert instrument.read(KNOB) == (0.01, -0.02)
        instrument.write(KNOB, (0.0, 0.001))
        assert look() == ((0.0, 0.001), (6.0,), "down", "open")
        assert column.round_trips == before + 3


def test_the_read_before_a_write_is_made_anew(served):
    column, url = served
    with backend(url) as instrument:
        for _ in range(2):
            instrument.acquire("flucam")
            instrument.read(KNOB)
        column.values[SHIFT] = [0.3, 0.3]
        assert instrument.read(KNOB) == (0.3, 0.3)


def test_a_person_is_seen_even_when_the_only_reading_came_with_the_frame(served):
    column, url = served
    with backend(url) as instrument:
        in_no_time(instrument)
        for _ in range(2):
            instrument.acquire("flucam")
            instrument.read(KNOB)
        column.values[SHIFT] = [0.3, 0.3]
        with pytest.raises(HandsOffError, match="another user moved it") as raised:
            instrument.write(KNOB, (0.0, 0.0))
        assert raised.value.knob == KNOB
        assert column.values[SHIFT] == [0.3, 0.3]


def test_a_reading_that_came_with_a_frame_is_gone_after_a_write(served):
    column, url = served
    with backend(url) as instrument:
        for _ in range(2):
            instrument.acquire("flucam")
            instrument.read("camera_length_index")
        instrument.acquire("flucam")
        instrument.write(KNOB, (0.0, 0.0))
        column.values["projection.cameraLengthIndex"] = 9
        assert instrument.read("camera_length_index") == (9.0,)


def test_a_fault_of_an_expected_reading_comes_when_it_is_asked_for(served):
    column, url = served
    with backend(url) as instrument:
        instrument.acquire("flucam")
        instrument.read("stem_defocus")
        del column.values["illumination.STEMDefocus"]
        instrument.acquire("flucam")
        with pytest.raises(BackendError, match="STEMDefocus failed"):
            instrument.read("stem_defocus")


def test_readings_are_handed_out_once_and_not_for_long():
    now = [0.0]
    readings = Readings(clock=lambda: now[0])
    answer = Answer("mode", value=1)
    readings.came_with_frame({"mode": answer, "screen": answer})
    assert readings.take("mode") is answer
    assert readings.take("mode") is None
    now[0] = 1.01 * WITH_FRAME_S
    assert readings.take("screen") is None
    readings.came_with_write("mode", answer)
    now[0] += 1.01 * WITH_WRITE_S
    assert readings.take("mode") is None


def test_what_is_asked_for_after_one_frame_is_expected_with_the_next():
    readings = Readings()
    readings.take("mode")
    readings.take("screen")
    assert readings.expected() == ("mode", "screen")
    readings.came_with_frame({})
    assert readings.expected() == ()


def test_settling_is_waited_for_and_the_read_back_is_made_after_it(served):
    column, url = served
    with backend(url, settle_s=0.05) as instrument:
        start = time.monotonic()
        instrument.write(KNOB, (0.0, 0.0))
        assert time.monotonic() - start >= 0.05
        column.values[SHIFT] = [0.2, 0.2]
        assert instrument.read(KNOB) == (0.2, 0.2)
