"""The contract suite, and what the contract says that the suite cannot see."""

import threading

import pytest

from stempilot.contract.backend import Backend, Lockable, Parkable, SuggestsEnvelope
from stempilot.errors import BackendError
from stempilot.instrument.envelope_draft import draft
from stempilot.testing import BackendContract

from .usetem_server import ADD, Column, backend, serving

READS = (
    "camera.mainScreenPosition",
    "vacuum.columnValvesOpen",
    "illumination.isBeamBlanked",
    "projection.mode",
    "isSTEMAvailable",
    "camera.screenCurrent",
)


class TestUsetemThemis(BackendContract):
    @pytest.fixture(autouse=True)
    def _server(self):
        with serving() as (_, self.url):
            yield

    def make(self) -> Backend:
        return backend(self.url)


@pytest.fixture
def served():
    with serving() as (column, url):
        yield column, url


def test_opening_only_reads_and_changes_the_list_of_devices(served):
    column, url = served
    with backend(url):
        written = [(name, params) for name, params in column.calls if params]
    listed = {"acquisition.addCameraByName", "acquisition.removeAcqDeviceByName"}
    assert {name for name, _ in written} == listed
    assert {name for name, params in column.calls if not params} == {
        *READS,
        "acquisition.acquireImages",
    }


def test_all_that_is_wrong_is_listed_with_what_to_do():
    column = Column()
    column.screen, column.blanked, column.valves = 2, True, False
    column.values["projection.mode"] = 1
    column.cameras = {}
    with serving(column) as (_, url):
        with pytest.raises(BackendError) as raised:
            backend(url).open()
    message = str(raised.value)
    for part in (
        "screen is up and must be down: lower the main screen",
        "column_valves is closed and must be open: open the column valves",
        "beam_blanker is blanked and must be open: unblank the beam",
        "projection_mode is imaging and must be diffraction: switch the projector to diffraction",
        "does not take the camera 'BM-Flucam'",
        "set backend.camera",
    ):
        assert part in message
    assert message.count("\n- ") == 5


def test_a_state_that_cannot_be_read_is_listed_too(served):
    column, url = served
    column.screen = 7
    with pytest.raises(BackendError, match="screen must be down: .*mainScreenPosition returned 7"):
        backend(url).open()


def test_to_restore_nothing_but_the_server_is_required():
    column = Column()
    column.screen, column.blanked, column.cameras = 2, True, {}
    with serving(column) as (_, url):
        with backend(url, purpose="restore") as instrument:
            instrument.write("diffraction_shift", (0.0, 0.0))
            assert instrument.read("diffraction_shift") == (0.0, 0.0)
    assert column.count(ADD) == 0


def test_another_thread_is_refused(served):
    _, url = served
    raised = []

    def read():
        try:
            instrument.read("diffraction_shift")
        except BackendError as error:
            raised.append(str(error))

    with backend(url) as instrument:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert instrument.read("diffraction_shift") == (0.01, -0.02)
    assert raised == ["the microscope was opened by another thread; use it from that one alone"]


def test_parking_blanks_the_beam_with_a_real_boolean(served):
    column, url = served
    with backend(url) as instrument:
        assert isinstance(instrument, Parkable)
        instrument.park()
    assert column.blanked is True


def test_parking_that_changes_nothing_is_an_error(served):
    column, url = served
    column.ahead["illumination.isBeamBlanked"] = lambda *params: None if params else False
    with backend(url) as instrument, pytest.raises(BackendError, match="blank it by hand"):
        instrument.park()


def test_identity_stays_and_tells_instruments_apart(served):
    _, url = served
    with backend(url) as instrument:
        first = instrument.identity()
    with backend(url, instrument="Themis 1") as instrument:
        second = instrument.identity()
    assert first == {
        "model": "USETEM temscript server",
        "instrument": url,
        "camera": "BM-Flucam",
        "stem": "true",
    }
    assert second == {**first, "instrument": "Themis 1"}


def test_the_lock_has_one_name_for_this_computer():
    names = {
        backend(f"http://{host}:8001/temscript").lock_name()
        for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST", "127.1", "2130706433")
    }
    assert names == {"127.0.0.1:8001"}
    assert isinstance(backend("http://192.0.2.7:1/t"), Lockable)
    assert backend("http://192.0.2.7/t").lock_name() == "192.0.2.7:8001"


def test_the_suggested_envelope_allows_the_shift_alone_and_marks_guesses():
    made = backend("http://127.0.0.1:1/t")
    assert isinstance(made, SuggestsEnvelope)
    text = "\n".join(draft("usetem-themis", made.offers(), made.suggest_envelope()))
    assert "[knobs.diffraction_shift]" in text
    assert "[knobs.beam_shift]" not in text
    assert "reach = [0.415, 0.415]" in text
    assert "GUESS" in text


def test_screen_current_and_camera_length_are_read_without_setting_anything(served):
    column, url = served
    with backend(url) as instrument:
        column.calls.clear()
        assert instrument.number("screen_current") == 1e-11
        assert instrument.number("camera_length_m") == pytest.approx(0.160)
    reads = [name for name, params in column.calls if not params]
    assert reads == ["camera.screenCurrent", "projection.cameraLengthIndex"]


def test_a_camera_length_outside_the_table_is_an_error(served):
    column, url = served
    column.values["projection.cameraLengthIndex"] = 21
    with backend(url) as instrument, pytest.raises(BackendError, match="camera length 21"):
        instrument.camera_length_m()


def test_an_unreachable_server_is_said_with_what_to_check():
    with serving() as (_, url):
        pass
    with pytest.raises(BackendError, match=r"cannot connect to http://127.*SSH tunnel"):
        backend(url, retries=0).open()
