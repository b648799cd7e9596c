"""Frames: which device is ours, which way up, how fresh; and the list that all clients share."""

import numpy as np
import pytest

from stempilot.errors import BackendError, FrameError
from stempilot_backends.usetem.client.camera import Camera
from stempilot_backends.usetem.client.server import Server

from .usetem_server import (
    ACQUIRE,
    ADD,
    COLS,
    REMOVE,
    ROWS,
    Column,
    ComError,
    backend,
    misbehaving,
    options,
    reset,
    serving,
)


@pytest.fixture
def served():
    with serving() as (column, url):
        yield column, url


@pytest.mark.parametrize("absent", ["fault", "nothing"])
@pytest.mark.parametrize("twice", ["listed twice", "once", "fault"])
@pytest.mark.parametrize("empty", ["empty list", "fault"])
@pytest.mark.parametrize("before", [[], ["BM-Flucam"], ["BM-Ceta"], ["BM-Ceta", "BM-Flucam"]])
def test_the_list_is_left_as_it_was_however_the_server_takes_it(absent, twice, empty, before):
    column = Column()
    column.cameras["BM-Ceta"] = (16, 16)
    column.devices = list(before)

    def remove(name):
        if name in column.devices:
            column.devices.remove(name)
        elif absent == "fault":
            raise ComError(-1, "not on the list", ())

    def add(name):
        if name in column.devices and twice == "fault":
            raise ComError(-1, "on the list already", ())
        if name not in column.devices or twice == "listed twice":
            column.devices.append(name)

    def acquire():
        if not column.devices and empty == "fault":
            raise ComError(-1, "nothing to acquire", ())
        return column.acquisition_acquireImages()

    column.ahead = {REMOVE: remove, ADD: add, ACQUIRE: acquire}
    with serving(column) as (_, url):
        with backend(url) as instrument:
            assert sorted(column.devices) == sorted({*before, "BM-Flucam"})
            instrument.acquire("flucam")
    assert sorted(column.devices) == sorted(before)


def test_a_camera_that_is_not_delivered_is_an_error_of_opening(served):
    column, url = served
    column.ahead[ADD] = lambda name: None
    with pytest.raises(BackendError, match="BM-Flucam delivered nothing, not"):
        backend(url).open()


def test_two_devices_that_could_be_ours_are_refused(served):
    column, url = served
    column.cameras["Twin"] = (ROWS, COLS)
    with backend(url) as instrument:
        column.devices.append("Twin")
        with pytest.raises(FrameError, match="2 of them can be BM-Flucam's .* other devices rem"):
            instrument.acquire("flucam")
    assert column.devices == ["Twin"]


def test_a_server_that_restarted_gets_the_camera_again(served, caplog):
    column, url = served
    with backend(url) as instrument:
        column.devices.clear()
        assert instrument.acquire("flucam").pixels.shape == (ROWS, COLS)
        assert column.devices == ["BM-Flucam"]
    assert column.devices == []
    assert "putting BM-Flucam on it again" in caplog.text


def test_an_exposure_that_fails_once_is_repeated(served):
    column, url = served
    failures = [ComError(-2147467259, "busy", ())]

    def acquire():
        if failures:
            raise failures.pop()
        return column.acquisition_acquireImages()

    with backend(url) as instrument:
        column.ahead[ACQUIRE] = acquire
        instrument.acquire("flucam")
        assert column.devices == ["BM-Flucam"]
    assert column.devices == []


def test_an_exposure_that_keeps_failing_is_an_error(served):
    column, url = served

    def acquire():
        raise ComError(-2147467259, "broken", ())

    with backend(url) as instrument:
        column.ahead[ACQUIRE] = acquire
        column.calls.clear()
        with pytest.raises(BackendError, match="acquireImages failed on the server: COM error"):
            instrument.acquire("flucam")
        assert column.count(ACQUIRE) == 2


def test_somebody_elses_camera_stays_when_an_exposure_failed(served):
    column, url = served
    column.devices.append("BM-Flucam")
    failures = [ComError(-1, "busy", ())]

    def acquire():
        if failures:
            raise failures.pop()
        return column.acquisition_acquireImages()

    with backend(url) as instrument:
        column.ahead[ACQUIRE] = acquire
        instrument.acquire("flucam")
    assert column.devices == ["BM-Flucam"]


def test_closing_goes_on_when_the_camera_cannot_be_removed(caplog):
    with serving() as (column, url):
        instrument = backend(url, retries=0)
        instrument.open()
        column.ahead[REMOVE] = lambda name: 1 / 0
        instrument.close()
        instrument.close()
    assert "BM-Flucam stays on the server's list" in caplog.text


def test_removing_is_sent_once_when_its_connection_breaks(caplog):
    with misbehaving(reset) as (url, seen):
        given = options(url, retries=3)
        camera = Camera(given, Server(given))
        camera._added = True
        camera.take_down()
    assert len(seen) == 1
    assert "stays on the server's list" in caplog.text


# Freshness


def frames(*values):
    """Return what a camera shows: noise around each value in turn, the last from then on."""
    rng = np.random.default_rng(0)
    made = [np.asfortranarray(rng.integers(0, 9, (COLS, ROWS), np.int32) + v) for v in values]
    return iter([*made, *[made[-1]] * 50])


def showing(column, shown):
    column.exposure = lambda shape: next(shown)


def test_a_repeated_frame_is_fetched_again(served):
    column, url = served
    with backend(url) as instrument:
        old, new = next(frames(100)), next(frames(200))
        showing(column, iter([old, old, old, new]))
        assert np.array_equal(instrument.acquire("flucam").pixels, old.T)
        instrument.write("diffraction_shift", (0.0, 0.001))
        assert np.array_equal(instrument.acquire("flucam").pixels, new.T)


def test_a_frame_that_stays_is_handed_on_for_the_frame_guard_to_judge(served):
    column, url = served
    with backend(url, stale_fetches=2) as instrument:
        showing(column, frames(100))
        first = instrument.acquire("flucam")
        column.calls.clear()
        assert np.array_equal(instrument.acquire("flucam").pixels, first.pixels)
        assert column.count(ACQUIRE) == 3


def test_the_instrument_is_checked_again_after_every_exposure(served):
    column, url = served
    for change, part in (
        ({"screen": 2}, "screen is up and must be down: lower the main screen"),
        ({"valves": False}, "column_valves is closed and must be open"),
        ({"blanked": True}, "beam_blanker is blanked and must be open"),
    ):
        with backend(url) as instrument:
            instrument.acquire("flucam")
            for name, value in change.items():
                setattr(column, name, value)
            with pytest.raises(BackendError, match=f"no longer ready: {part}"):
                instrument.acquire("flucam")
        column.screen, column.valves, column.blanked = 3, True, False


@pytest.mark.parametrize("current", [0.0, -1e-13, None])
def test_a_beam_whose_current_cannot_be_measured_is_not_judged_by_it(served, caplog, current):
    column, url = served
    if current is None:
        column.ahead["camera.screenCurrent"] = lambda: 1 / 0
    column.current = current
    with backend(url) as instrument:
        instrument.acquire("flucam")
    assert "a lost beam will not be noticed" in caplog.text


def test_calibration_follows_the_camera_length(served):
    column, url = served
    with backend(url, pixel_mrad=[[6, 0.565], [7, 0.46]]) as instrument:
        found = []
        for index in (6, 7, 8):
            column.values["projection.cameraLengthIndex"] = index
            found.append(instrument.acquire("flucam").pixel_rad)
    assert found == [pytest.approx(0.565e-3), pytest.approx(0.46e-3), None]


def test_a_frame_stays_as_it_was_when_the_next_one_comes(served):
    _, url = served
    with backend(url) as instrument:
        first = instrument.acquire("flucam")
        kept = first.pixels.copy()
        instrument.acquire("flucam")
        assert np.array_equal(first.pixels, kept)
        assert not first.pixels.flags.writeable
