"""The temscript backend against the package's own, unmodified null server."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from stempilot.contract.backend import Lockable, Opening, Parkable
from stempilot.contract.names import BEAM_BLANKER, BEAM_SHIFT, DIFFRACTION_SHIFT, FLUCAM, SCREEN
from stempilot.errors import BackendError, ConfigError, PluginError
from stempilot.plugins.options import build
from stempilot.plugins.parts import part
from stempilot.plugins.registry import discover
from stempilot.testing import check_plugin

temscript = pytest.importorskip("temscript")
from temscript.null_microscope import NullMicroscope  # noqa: E402
from temscript.server import MicroscopeServer  # noqa: E402

from stempilot_backends.temscript.backend import Temscript  # noqa: E402
from stempilot_backends.temscript.config import TemscriptConfig  # noqa: E402
from stempilot_backends.temscript.link import connect  # noqa: E402

SIDE = 256
SHIFT = (1e-3, -2e-3)


@pytest.fixture
def microscope() -> Any:
    """Return the null microscope, set up as an operator would."""
    null = NullMicroscope(wait_exposure=False)
    null.set_column_valves_open(state=True)
    null.set_projection_mode("DIFFRACTION")
    null.set_camera_param("CCD", {"binning": 8, "exposure(s)": 0.25})
    return null


@pytest.fixture
def address(microscope: Any) -> Iterator[tuple[str, int]]:
    """Serve the null microscope."""
    server = MicroscopeServer(("127.0.0.1", 0), microscope_factory=lambda: microscope)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(address: tuple[str, int]) -> dict[str, Any]:
    host, port = address
    return {
        "url": f"http://{host}:{port}",
        "camera": "CCD",
        "camera_shape": [SIDE, SIDE],
        "settle_s": 0.0,
    }


def made(settings: dict[str, Any], **more: Any) -> Temscript:
    config = build(TemscriptConfig, {**settings, **more}, section="backend")
    return Temscript(config, Opening())


@pytest.fixture
def backend(settings: dict[str, Any]) -> Iterator[Temscript]:
    with made(settings) as opened:
        yield opened


def test_keeps_the_contract(settings: dict[str, Any]) -> None:
    results = check_plugin(discover(), "backend", "temscript", settings)
    assert [f"{one.check}: {one.message}" for one in results if not one.passed] == []
    assert sum(one.applies for one in results) >= 8


def test_writes_reach_the_microscope_and_come_back(backend: Temscript, microscope: Any) -> None:
    backend.write(DIFFRACTION_SHIFT, SHIFT)
    backend.write(BEAM_SHIFT, (3e-8, 4e-8))
    assert microscope.get_diffraction_shift() == SHIFT == backend.read(DIFFRACTION_SHIFT)
    assert microscope.get_beam_shift() == (3e-8, 4e-8) == backend.read(BEAM_SHIFT)


def test_states_are_read(backend: Temscript, microscope: Any) -> None:
    assert [backend.state(name) for name in backend.offers().states] == [
        "down",
        "open",
        "open",
        "diffraction",
    ]
    microscope.set_screen_position("UP")
    microscope.set_beam_blanked(mode=True)
    assert (backend.state(SCREEN), backend.state(BEAM_BLANKER)) == ("up", "blanked")


def test_frames_are_what_the_camera_delivers(backend: Temscript) -> None:
    frame = backend.acquire(FLUCAM)
    assert (frame.pixels.shape, frame.pixels.dtype) == ((SIDE, SIDE), np.int16)
    assert frame.exposure_s == 0.25
    assert frame.pixel_rad is None


def test_rows_come_before_columns(backend: Temscript, microscope: Any, monkeypatch: Any) -> None:
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    monkeypatch.setattr(microscope, "acquire", lambda *_: {"CCD": pixels})
    np.testing.assert_array_equal(backend.acquire(FLUCAM).pixels, pixels)


def test_all_that_is_wrong_is_listed_at_once(settings: dict[str, Any], microscope: Any) -> None:
    microscope.set_screen_position("UP")
    microscope.set_beam_blanked(mode=True)
    microscope.set_column_valves_open(state=False)
    microscope.set_projection_mode("IMAGING")
    with pytest.raises(BackendError) as caught, made(settings, camera="Ceta"):
        pass
    for said in ("screen is up", "unblank the beam", "column valves", "imaging", "'Ceta'", "CCD"):
        assert said in str(caught.value)
    assert microscope.get_screen_position() == "UP"
    assert not microscope.get_column_valves_open()


def test_putting_back_needs_only_the_server(settings: dict[str, Any], microscope: Any) -> None:
    microscope.set_beam_blanked(mode=True)
    config = build(TemscriptConfig, settings, section="backend")
    with Temscript(config, Opening(purpose="restore")) as backend:
        backend.write(DIFFRACTION_SHIFT, SHIFT)
    assert microscope.get_diffraction_shift() == SHIFT


def test_another_binning_than_promised_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BackendError, match=r"\(256, 256\).*backend\.camera_shape"):
        made(settings, camera_shape=[512, 512]).open()


def test_parks_by_blanking_the_beam(backend: Temscript, microscope: Any) -> None:
    assert isinstance(backend, Parkable)
    backend.park()
    assert microscope.get_beam_blanked() is True


def test_one_server_is_one_instrument() -> None:
    names = []
    for host in ("localhost", "127.1", "192.0.2.7"):
        one = made({"url": f"http://{host}:8080"})
        assert isinstance(one, Lockable)
        names.append(one.lock_name())
    assert names[0] == names[1] != names[2]


def test_a_stuck_knob_is_noticed(backend: Temscript, microscope: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(microscope, "set_diffraction_shift", lambda _: None)
    with pytest.raises(BackendError, match=r"reads \(0\.0, 0\.0\) rad after \(0\.001, -0\.002\)"):
        backend.write(DIFFRACTION_SHIFT, SHIFT)


@pytest.mark.parametrize("reply", [(1.0,), (1.0, float("nan")), "left", None, (1.0, "x")])
def test_nonsense_is_no_reading(
    backend: Temscript, microscope: Any, monkeypatch: Any, reply: Any
) -> None:
    monkeypatch.setattr(microscope, "get_diffraction_shift", lambda: reply)
    with pytest.raises(BackendError, match="get_diffraction_shift"):
        backend.read(DIFFRACTION_SHIFT)


def test_a_refusal_is_an_error_and_the_next_call_works(
    backend: Temscript, microscope: Any, monkeypatch: Any
) -> None:
    def refuse(_: Any) -> None:
        raise ValueError("lens relay tripped")

    with monkeypatch.context() as patch:
        patch.setattr(microscope, "set_diffraction_shift", refuse)
        with pytest.raises(BackendError, match="lens relay tripped"):
            backend.write(DIFFRACTION_SHIFT, SHIFT)
    backend.write(DIFFRACTION_SHIFT, SHIFT)
    assert backend.read(DIFFRACTION_SHIFT) == SHIFT


def test_a_silent_server_ends_in_an_error(settings: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(BackendError, match=r"within 0\.2 s"):
            made(settings, url=url, timeout_s=0.2).open()


def test_no_server_ends_in_an_error(settings: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(BackendError, match="is it running"):
        made(settings, url=f"http://127.0.0.1:{port}").open()


def test_without_temscript_the_extra_is_named(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "temscript", None)
    with pytest.raises(PluginError, match=r"stempilot\[temscript\]"):
        connect(("127.0.0.1", 1), 1.0)


def test_only_the_owner_thread_may_call(backend: Temscript) -> None:
    caught: list[BackendError] = []

    def elsewhere() -> None:
        try:
            backend.read(DIFFRACTION_SHIFT)
        except BackendError as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "second thread" in str(caught[0])


def test_limits_come_from_the_options(settings: dict[str, Any]) -> None:
    numbers = {
        "shift_limit_rad": 0.2,
        "shift_step_rad": 0.01,
        "shift_resolution_rad": 1e-5,
        "beam_shift_limit_m": 2e-6,
        "beam_shift_step_m": 3e-7,
        "beam_shift_resolution_m": 4e-10,
    }
    more = {"camera_dtype": "uint16", "saturation": 4095.0, **numbers}
    offers = made(settings, **more).offers()
    shift, beam = offers.knobs[DIFFRACTION_SHIFT], offers.knobs[BEAM_SHIFT]
    assert (shift.lower, shift.upper) == ((-0.2, -0.2), (0.2, 0.2))
    assert (shift.max_change, shift.resolution) == ((0.01, 0.01), (1e-5, 1e-5))
    assert (beam.lower, beam.upper) == ((-2e-6, -2e-6), (2e-6, 2e-6))
    assert (beam.max_change, beam.resolution) == ((3e-7, 3e-7), (4e-10, 4e-10))
    assert (offers.sources[FLUCAM].dtype, offers.sources[FLUCAM].saturation) == ("uint16", 4095.0)


def test_calibration_and_settling_come_from_the_options(settings: dict[str, Any]) -> None:
    waited: list[float] = []
    config = build(
        TemscriptConfig, {**settings, "pixel_mrad": 0.5, "settle_s": 0.75}, section="backend"
    )
    with Temscript(config, Opening(), sleep=waited.append) as backend:
        backend.write(DIFFRACTION_SHIFT, SHIFT)
        assert backend.acquire(FLUCAM).pixel_rad == 0.5e-3
    assert waited == [0.75]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("url", "https://127.0.0.1:8080"),
        ("url", "127.0.0.1"),
        ("timeout_s", 0.0),
        ("camera", ""),
        ("camera_shape", [0, 5]),
        ("camera_dtype", "object"),
        ("camera_dtype", "pixels"),
        ("pixel_mrad", -1.0),
        ("settle_s", -0.1),
        *[(f"shift_{what}_rad", 0.0) for what in ("limit", "step", "resolution")],
        *[(f"beam_shift_{what}_m", float("inf")) for what in ("limit", "step", "resolution")],
    ],
)
def test_options_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=option):
        build(TemscriptConfig, {option: value}, section="backend")


def test_every_option_is_named_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    stems = {option.name for option in attrs.fields(TemscriptConfig)}
    spelled = {name for name in stems if name in text or name.rpartition("_")[0] in text}
    assert spelled == stems


def test_a_dark_screen_is_a_disk_not_visible(
    settings: dict[str, Any], microscope: Any, tmp_path: Path
) -> None:
    """The whole command: its frames are zeros, so the task fails and the shift is put back."""
    microscope.set_diffraction_shift(SHIFT)
    cli = [sys.executable, "-m", "stempilot"]
    options = [f"--set=backend.{name}={value}" for name, value in settings.items()]
    envelope = str(tmp_path / "envelope.toml")
    subprocess.run(
        [*cli, "envelope", "init", "--backend", "temscript", "--out", envelope, *options],
        check=True,
        capture_output=True,
    )
    run = [*cli, "run", "bf-disk-centering", "--backend", "temscript", "--agent", "adaptive"]
    run += [*options, f"--set=task.camera_shape=[{SIDE},{SIDE}]", "--envelope", envelope]
    done = subprocess.run(
        [*run, "--yes", "--json", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["reason"] == "disk not visible"
    assert microscope.get_diffraction_shift() == SHIFT
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["backend"] == "temscript"


def test_loading_the_plugin_touches_nothing() -> None:
    loaded = part(discover(), "backend", "temscript", {}).load(Opening())
    assert loaded.offers().simulated is False
